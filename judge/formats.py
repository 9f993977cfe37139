"""The formats of payloads, read as their documents say, by Python's own parsers and fastavro.

A reader takes the bytes of one record and gives (time in microseconds since 1970, rows); no rows if the record
is to be skipped. It raises Refused for what must become a dead letter. What Python's parsers let pass and a
strict reader must not is refused here: names given twice, NaN, bytes behind a datum.
"""

import base64
import datetime
import gzip
import io
import json
import os
import uuid
import zlib

import fastavro
import fastavro.schema

UTC = datetime.timezone.utc
# The schema version that both registries know, as our side is told, too.
GLUE_ID, CONFLUENT_ID = uuid.UUID("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63"), 42
# The schema of avro-plain-looks-like-glue.bin.
ABC = {"type": "record", "name": "ABC", "fields": [
    {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"]}, {"name": "c", "type": "string"}]}
SPACE = " \t\r\n"


class Refused(Exception):
    """The record is none of the format."""


# --- JSON (RFC 8259) ----------------------------------------------------------------------------------

def once(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise Refused("a name is given twice")
    return dict(pairs)


def no_constant(name):
    raise Refused(f"{name} is no JSON")


DECODER = json.JSONDecoder(object_pairs_hook=once, parse_constant=no_constant)


def text(data):
    """UTF-8, without its mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise Refused(str(e)) from None


def whole(s):
    """Lone surrogates, which no file can hold, are U+FFFD."""
    return s.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(s, str) else s


def documents(s):
    """All documents of a text, one behind the other. Behind numbers and words there is white space, or the end."""
    i, out = 0, []
    while True:
        while i < len(s) and s[i] in SPACE:
            i += 1
        if i == len(s):
            return out
        try:
            value, i = DECODER.raw_decode(s, i)
        except ValueError as e:
            raise Refused(str(e)) from None
        if s[i - 1] not in '}]"' and i < len(s) and s[i] not in SPACE:
            raise Refused(f"no space behind {value}")
        out.append(value)


def only(data):
    found = documents(text(data))
    if len(found) != 1:
        raise Refused(f"{len(found)} documents")
    return found[0]


def member(value, name, kind, low=None, high=None):
    """A member of an object by its exact name, None if it is not there or null."""
    v = value.get(name)
    if v is None:
        return None
    if kind is float and type(v) is int:
        v = float(v)
    if type(v) is not kind or low is not None and not low <= v <= high:
        raise Refused(f"{name} is {v!r}")
    return whole(v)


def members(value):
    if not isinstance(value, dict):
        raise Refused(f"{type(value).__name__} instead of an object")
    return {"n": member(value, "n", int, -2**63, 2**63 - 1), "s": member(value, "s", str), "id": member(value, "id", int, -2**63, 2**63 - 1),
            "u": member(value, "u", int, 0, 2**64 - 1), "x": member(value, "x", float)}


def read_json(data):
    return 0, [members(only(data))]


def read_sequence(data):
    return 0, [members(d) for d in documents(text(data))]


# --- CloudWatch Logs, DynamoDB ------------------------------------------------------------------------

def read_cloudwatch(data):
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as e:
            raise Refused(str(e)) from None
    found, rows = documents(text(data)), []
    if not found:
        raise Refused("no document")
    for d in found:
        kind = member(d, "messageType", str) if isinstance(d, dict) else None
        if kind not in ("DATA_MESSAGE", "CONTROL_MESSAGE"):
            raise Refused(f"messageType is {kind}")
        for e in d["logEvents"] if kind == "DATA_MESSAGE" else []:
            rows.append({
                "owner": d["owner"], "log_group": d["logGroup"], "log_stream": d["logStream"], "filters": d["subscriptionFilters"],
                "policy_level": d.get("policyLevel"), "index": len(rows), "id": e["id"], "message": whole(e["message"]),
                "time": datetime.datetime.fromtimestamp(0, UTC) + datetime.timedelta(milliseconds=e["timestamp"]),
                "extracted": e.get("extractedFields")})
    return min((micros(r["time"]) for r in rows), default=0), rows


def micros(t):
    return (t - datetime.datetime.fromtimestamp(0, UTC)) // datetime.timedelta(microseconds=1)


UNITS = {"MILLISECOND": 1000, "MICROSECOND": 1, None: 1_000_000}


def read_dynamodb(data):
    d = only(data)
    if not isinstance(d, dict) or not d.get("eventName") or not isinstance(d.get("dynamodb"), dict) or d["dynamodb"].get("Keys") is None:
        raise Refused("no change record")
    change = dict(d["dynamodb"])
    for image in ("NewImage", "OldImage"):
        change.setdefault(image, None)
    change.setdefault("ApproximateCreationDateTimePrecision", "")
    row = {**d, "dynamodb": change}
    row["userIdentity"] = d["userIdentity"]
    return change["ApproximateCreationDateTime"] * UNITS[d["dynamodb"].get("ApproximateCreationDateTimePrecision")], [row]


def attribute(v):
    """The value of a typed attribute: numbers as text, with all their digits."""
    (kind, value), = v.items()
    if kind in ("S", "N", "BOOL", "SS", "NS"):
        return value
    if kind == "B":
        return base64.b64decode(value, validate=True)
    if kind == "BS":
        return [base64.b64decode(b, validate=True) for b in value]
    if kind == "NULL":
        return None
    if kind == "L":
        return [attribute(w) for w in value]
    if kind == "M":
        return {k: attribute(w) for k, w in value.items()}
    raise Refused(f"attribute of type {kind}")


def stored_dynamodb(row):
    """A row of the lake with its JSON text as values. Each attribute must be one."""
    change = dict(row["dynamodb"])
    for image in ("Keys", "NewImage", "OldImage"):
        if change[image] is not None:
            change[image] = {k: json.loads(v) for k, v in dict(change[image]).items()}
            for v in change[image].values():
                attribute(v)
    change["ApproximateCreationDateTime"] = json.loads(change["ApproximateCreationDateTime"])
    return {**row, "dynamodb": change}


# --- Avro, and the headers of registries --------------------------------------------------------------

class Avro:
    """Data of one schema, to its last byte."""

    def __init__(self, schema):
        self.schema = fastavro.parse_schema(schema)
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        self.fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))

    def datum(self, data):
        f, again = io.BytesIO(data), io.BytesIO()
        try:
            row = fastavro.schemaless_reader(f, self.schema, None)
            fastavro.schemaless_writer(again, self.schema, row)
        except Exception as e:  # whatever fastavro throws at a bad datum
            raise Refused(f"{type(e).__name__}: {e}") from None
        if f.read() or again.getvalue() != data:
            raise Refused("bytes behind the datum, or others than its values give")
        return micros(row["at"]) if "at" in row else 0, [row]

    def single(self, data):
        if data[:2] != b"\xc3\x01" or data[2:10] != self.fingerprint:
            raise Refused("no single object of this schema")
        return self.datum(data[10:])


def glue(data):
    """What is behind a Glue header, and its id."""
    if len(data) < 18 or data[0] != 3 or data[1] not in (0, 5):
        raise Refused("no Glue header")
    payload = data[18:]
    if data[1] == 5:
        z = zlib.decompressobj()
        try:
            payload = z.decompress(payload) + z.flush()
        except zlib.error as e:
            raise Refused(str(e)) from None
        if not z.eof or z.unused_data:
            raise Refused("zlib is cut short, or has bytes behind it")
    return payload, uuid.UUID(bytes=data[2:18])


def confluent(data):
    if len(data) < 5 or data[0] != 0:
        raise Refused("no Confluent header")
    return data[5:], int.from_bytes(data[1:5], "big")


def behind(header, read, known=None):
    """A reader of what is behind a header, whose id is the known one."""
    def reader(data):
        payload, number = header(data)
        if known is not None and number != known:
            raise Refused(f"the registry does not know {number}")
        return read(payload)
    return reader


def readers(folder):
    """All readers, by the names of our lakes."""
    with open(os.path.join(folder, "click.avsc"), encoding="utf-8") as f:
        click = Avro(json.load(f))
    return {
        "json": read_json, "json-sequence": read_sequence, "cloudwatch": read_cloudwatch, "dynamodb": read_dynamodb,
        "glue-avro": behind(glue, click.datum, GLUE_ID), "glue-json": behind(glue, read_json),
        "confluent-avro": behind(confluent, click.datum, CONFLUENT_ID), "confluent-json": behind(confluent, read_json),
        "avro-single": click.single, "avro-click": click.datum, "avro-abc": Avro(ABC).datum,
    }
