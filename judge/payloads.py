"""Checks the lakes of the case payloads: each codec has read every file of the folder, those of other formats too.

    payloads.py --lake FOLDER --data FOLDER --manifest FILE [--codec NAME]

What each file must become is computed from the file by formats.py, held against what the folder's own manifest
says of it, and against the rows and dead letters of each codec's lake. A file that this module does not know is
a failed check. The exit status is 1 if a check failed.
"""

import argparse
import collections
import gzip
import hashlib
import json
import os
import sys
import traceback

import files
import formats
import kpl
import rows
from lake import Lake
from report import Report, differences

# The formats that each file is of; a file of none is here to be refused. Aggregates of plain text are of none.
HOMES = {
    "cwl-data.gz.bin": "cloudwatch", "cwl-control.gz.bin": "cloudwatch", "cwl-extracted.gz.bin": "cloudwatch", "cwl-expands.gz.bin": "cloudwatch",
    "cwl-truncated.gz.bin": "cloudwatch", "cwl-not-gzipped.bin": "cloudwatch", "cwl-two-members.bin": "cloudwatch",
    "ddb-insert.json": "dynamodb", "ddb-modify.json": "dynamodb", "ddb-modify-again.json": "dynamodb", "ddb-ttl-remove.json": "dynamodb",
    "ddb-microsecond.json": "dynamodb", "ddb-seconds-no-precision.json": "dynamodb",
    "gsr-avro.bin": "glue-avro", "gsr-avro-zlib.bin": "glue-avro", "gsr-json.bin": "glue-json", "gsr-short.bin": "glue-avro", "gsr-bad-zlib.bin": "glue-avro",
    "confluent-avro.bin": "confluent-avro", "confluent-json.bin": "confluent-json", "confluent-short.bin": "confluent-avro",
    "avro-single-object.bin": "avro-single", "avro-plain.bin": "avro-click", "avro-plain-null-first.bin": "avro-click", "avro-plain-looks-like-glue.bin": "avro-abc",
    "kpl-of-gsr.bin": "glue-avro", "kpl-of-cwl.bin": "cloudwatch", "kpl-200.bin": "json",
    **{f"kpl-v{n}.bin": None for n in range(1, 9)},
    "json-two-lines.bin": "json-sequence", "json-concatenated.bin": "json-sequence", "json-bom.bin": "json", "json-bad-utf8.bin": "json",
    "json-lone-surrogate.bin": "json", "json-big-int.bin": "json", "json-dup-keys.bin": "json", "json-nan.bin": "json", "json-null.bin": "json",
    "empty.bin": "json-sequence",
}
# Where the manifest leaves a choice, or says no more than that there is one: ours.
CHOICES = {
    "json-dup-keys.bin": "refused",  # no one wins
    "json-bad-utf8.bin": "refused",  # rather than U+FFFD
    "json-null.bin": "refused",
}


def outcome(read, data):
    """(time, rows), or None for a dead letter."""
    try:
        return read(data)
    except formats.Refused:
        return None


def promised(name, entry, users, got):
    """Problems of what a reader gets of a file and what the folder's manifest says of it, member by member."""
    want, problems = dict(entry["expect"]), []
    found = [r for o in got if o for r in o[1]]
    flat = found[0] if len(found) == 1 else {}
    change = flat.get("dynamodb", {})
    time = got[0][0] if len(got) == 1 and got[0] else None
    simple = {
        "records": 1, "events": len(found), "documents": len(found), "user_records": len(users),
        "distinct_event_ids": len({r.get("id") for r in found}), "empty_messages": sum(r.get("message") == "" for r in found),
        "out_of_order": sum(b["time"] < a["time"] for a, b in zip(found, found[1:]) if "time" in a),
        "event": flat.get("eventName"), "time_unix_ms": time and time / 1000, "time_unix_us": time, "time_unix_s": time and time / 10**6,
        "at_unix_us": time, "schema_id": int.from_bytes(users[0][2][1:5], "big") if users else None, "sum_n": sum(r.get("n") or 0 for r in found),
        "by": "TTL" if flat.get("userIdentity") == {"type": "Service", "principalId": "dynamodb.amazonaws.com"} and "NewImage" in change else None,
        "fingerprint_as_given_by_fastavro": users[0][2][2:10].hex() if users else None,
        "expanded_bytes": len(gzip.decompress(users[0][2])) if "expanded_bytes" in want else None,
    }
    for what, value in want.items():
        if what in ("error", "error_or", "policy"):
            if any(o is not None for o in got) or what != "error" and CHOICES.get(name) != "refused":
                problems.append(f"{name} must be refused, a reader gets {got}")
        elif what == "duplicate_of":
            pass  # its bytes are compared by the caller
        elif what == "user_records" and isinstance(value, str):
            if len(users) != (0 if value.startswith("0 user records") else 1):
                problems.append(f"{name} has {len(users)} user records, the manifest says {value}")
        elif what in ("first", "second"):
            row = found[("first", "second").index(what)]
            if {**row, "at_unix_us": formats.micros(row["at"]), "at": None} != {**value, "at": None}:
                problems.append(f"{name}: {what} is {row}, the manifest says {value}")
        elif what in simple and what not in flat:
            if simple[what] != value:
                problems.append(f"{name}: {what} is {simple[what]}, the manifest says {value}")
        elif what not in flat or flat[what] != ("\ufffd" if value == "U+FFFD" else value):
            problems.append(f"{name}: {what} is {flat.get(what)!r}, the manifest says {value!r}")
    return problems


def manifest_holds(entries, data, read):
    """The folder holds the files of its manifest, and a reader gets of each what it says."""
    problems = [f"{n} is not known to this judge" for n in sorted({e["file"] for e in entries} ^ HOMES.keys())]
    problems += [f"{n} is not in the manifest" for n in data.keys() - {e["file"] for e in entries}]
    for e in entries:
        name = e["file"]
        payload = data[name]
        if len(payload) != e["bytes"] or hashlib.sha256(payload).hexdigest() != e["sha256"]:
            problems.append(f"{name} has other bytes than its manifest says")
        if data.get(e["expect"].get("duplicate_of"), payload) != payload:
            problems.append(f"{name} is no duplicate")
        if name in HOMES:
            users = kpl.users(payload, name)
            got = [outcome(read[HOMES[name]], d) for _, _, d in users] if HOMES[name] else []
            problems += promised(name, e, users, got)
    return problems


class Expected:
    """What a codec's lake must hold of the files that were put on its stream."""

    def __init__(self, put, data, read):
        self.rows, self.letters, self.skipped = [], collections.Counter(), 0
        for p in put:
            for sub, key, payload in kpl.users(data[p["file"]], p["key"]):
                o = outcome(read, payload)
                if o is None:
                    self.letters[p["shard"], p["seq"], sub, key, payload] += 1
                    continue
                self.skipped += not o[1]
                self.rows += [{"seq": p["seq"], "sub": sub, "key": key, "time": o[0], "index": i, "row": r} for i, r in enumerate(o[1])]


COLUMNS = ("seq", "sub", "key", "time", "index", "row")


def same_rows(lake, folder, name, want):
    got, problems, last = [], [], {}
    for f in lake.files(folder):
        for r in f.rows():
            at = (int(r["seq"]), r["sub"], r["index"])
            if at <= last.get(f.shard, (-1,)):
                problems.append(f"{f.path}: {at} lies behind {last[f.shard]}")
            last[f.shard] = at
            got.append({**r, "row": formats.stored_dynamodb(r["row"])} if name == "dynamodb" else r)
    return problems + differences(rows.bag(got, COLUMNS), rows.bag(want, COLUMNS), "row")


def same_letters(lake, folder, stream, want):
    got, problems = collections.Counter(), []
    for r in lake.rows(folder):
        got[r["lane"], r["seq"], r["sub"], r["key"], r["data"]] += 1
        if r["source"] != stream or r["stage"] != "decode" or not 0 < len(r["reason"].encode()) <= 1024:
            problems.append(f"letter {r['key']}: source {r['source']}, stage {r['stage']}, reason {r['reason']!r}")
    return problems + differences(got, want, "letter")


def codec(report, name, read, lake, manifest, data):
    """All checks of one codec's lake."""
    want = Expected(manifest["files"], data, read)
    known = {"dead", "dead_avro", "rows", "rows_avro"}
    report.check(f"{name}: every file was put once, and all visible files of the lake can be read and are the pipeline's",
                 differences(collections.Counter(p["file"] for p in manifest["files"]), collections.Counter(list(data)), "file")
                 + lake.strange + [f"folder {f}" for f in lake.folders if f not in known] + [f"staged: {n}" for n in lake.unfinished(False)])
    report.run(name, lambda: (lambda s, p: (f"{name}: {s}", p))(*files.parquet([f for f in lake.files() if f.ext == "parquet"])))
    report.run(f"{name}: footers and headers tell stream, shard, commit and range", files.metadata, lake.files(), manifest, set())
    for f in ("rows", "rows_avro"):
        report.run(f"{name}: {f}: the {len(want.rows)} rows of {len({(r['seq'], r['sub']) for r in want.rows})} records, {want.skipped} without any, in order and each with its position",
                   same_rows, lake, f, name, want.rows)
    for f in ("dead", "dead_avro"):
        report.run(f"{name}: {f}: the {want.letters.total()} records that are none of the format, with position and bytes", same_letters, lake, f, manifest["stream"], want.letters)


def main():
    a = argparse.ArgumentParser()
    for option in ("lake", "data", "manifest"):
        a.add_argument("--" + option, required=True)
    a.add_argument("--codec", help="of which the lake is looked at; all by default")
    a = a.parse_args()
    report = Report("payloads")
    try:
        with open(a.manifest, encoding="utf-8") as f:
            put = json.load(f)
        with open(os.path.join(a.data, "manifest.json"), encoding="utf-8") as f:
            entries = json.load(f)
        data = {}
        for n in os.listdir(a.data):
            if n not in ("manifest.json", "README.md", "click.avsc"):
                with open(os.path.join(a.data, n), "rb") as f:
                    data[n] = f.read()
        read = formats.readers(a.data)
        report.run(f"an outside reader gets of each of the {len(entries)} files what its manifest says", manifest_holds, entries, data, read)
        report.check(f"{len(read)} codecs have a lake", [f"lake {n}" for n in sorted(put.keys() ^ read.keys())])
        for name in read if not a.codec else [a.codec]:
            codec(report, name, read[name], Lake("dir:" + os.path.join(a.lake, name), None), put[name], data)
    except Exception as e:  # what stops the judge is no reason to pass
        traceback.print_exc()
        report.check("the checks ran to their end", [f"{type(e).__name__}: {e}"])
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
