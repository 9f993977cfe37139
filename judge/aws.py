"""Calls of AWS that the readers lack, signed by hand: the rows of a table, and a bucket's unfinished uploads."""

import datetime
import hashlib
import hmac
import json
import os
import urllib.parse
import urllib.request
import xml.etree.ElementTree

REGION = "us-east-1"
TIMEOUT = 30  # seconds a request


def request(service, method, url, query=(), headers=None, body=b""):
    """One request under Signature Version 4 (IAM user guide, "Create a signed AWS API request")."""
    parts = urllib.parse.urlsplit(url)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    signed = {"host": parts.netloc, "x-amz-date": now, "x-amz-content-sha256": digest, **(headers or {})}
    names = ";".join(sorted(signed))
    query = "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}" for k, v in sorted(query))
    canonical = "\n".join([method, parts.path or "/", query, *(f"{k}:{signed[k]}" for k in sorted(signed)), "", names, digest])
    scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    send = {k: v for k, v in signed.items() if k != "host"}
    send["Authorization"] = f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, Signature={signature}"
    asked = urllib.request.Request(url + (f"?{query}" if query else ""), data=body if method == "POST" else None, headers=send, method=method)
    with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:
        return answer.read()


def scan(endpoint, table):
    """All items of a table as they are now: {attribute: text, integer or sorted list of texts}."""
    items, start = [], {}
    while True:
        body = json.dumps({"TableName": table, "ConsistentRead": True, **start}).encode()
        answer = json.loads(request("dynamodb", "POST", endpoint, body=body, headers={
            "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.Scan"}))
        for item in answer["Items"]:
            plain = {}
            for name, value in item.items():
                (kind, v), = value.items()
                plain[name] = int(v) if kind == "N" else sorted(v) if kind == "SS" else v
            items.append(plain)
        if "LastEvaluatedKey" not in answer:
            return items
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def uploads(endpoint, bucket):
    """The keys of all unfinished multipart uploads of a bucket."""
    keys, marker = [], []
    while True:
        root = xml.etree.ElementTree.fromstring(request("s3", "GET", f"{endpoint}/{bucket}", query=[("uploads", ""), *marker]))
        text = {}
        for e in root.iter():
            name = e.tag.rpartition("}")[2]
            if name == "Upload":
                keys += [k.text for k in e if k.tag.rpartition("}")[2] == "Key"]
            else:
                text.setdefault(name, e.text)
        if text.get("IsTruncated") != "true":
            return keys
        marker = [("key-marker", text["NextKeyMarker"]), ("upload-id-marker", text["NextUploadIdMarker"])]


def begin(endpoint, bucket, key):
    """Begins an upload and returns its id."""
    root = xml.etree.ElementTree.fromstring(request("s3", "POST", f"{endpoint}/{bucket}/{key}", query=[("uploads", "")]))
    return next(e.text for e in root.iter() if e.tag.rpartition("}")[2] == "UploadId")


def abort(endpoint, bucket, key, upload):
    """Removes an upload."""
    request("s3", "DELETE", f"{endpoint}/{bucket}/{key}", query=[("uploadId", upload)])
