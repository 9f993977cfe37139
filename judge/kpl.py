"""Aggregated records of the Kinesis Producer Library, read as its format says, without our reader.

https://github.com/awslabs/kinesis-aggregation, KPL_AGGREGATION_FORMAT.md
"""

import hashlib

MAGIC = bytes.fromhex("f3899ac2")


def varint(b, i):
    value = shift = 0
    while True:
        if i >= len(b) or shift > 63:
            raise ValueError("torn varint")
        value |= (b[i] & 0x7F) << shift
        shift += 7
        i += 1
        if not b[i - 1] & 0x80:
            return value, i


def fields(b):
    """The fields of a message: (number, value) with an int or bytes."""
    i, out = 0, []
    while i < len(b):
        tag, i = varint(b, i)
        kind = tag & 7
        if kind == 0:
            value, i = varint(b, i)
        elif kind == 2:
            n, i = varint(b, i)
            value, i = b[i:i + n], i + n
        elif kind in (1, 5):
            n = 8 if kind == 1 else 4
            value, i = None, i + n
        else:
            raise ValueError(f"wire type {kind}")
        if i > len(b) or tag >> 3 == 0:
            raise ValueError("torn field")
        out.append((tag >> 3, value))
    return out


def users(data, key):
    """The user records in a record, as (index, key, data); the record itself if it is not aggregated, or broken."""
    whole = [(0, key, data)]
    if len(data) <= 20 or data[:4] != MAGIC or hashlib.md5(data[4:-16]).digest() != data[-16:]:
        return whole
    try:
        message = fields(data[4:-16])
        keys = [v.decode() for n, v in message if n == 1]
        out = []
        for r in (v for n, v in message if n == 3):
            f = dict(fields(r))
            out.append((len(out), keys[f[1]], f[3]))
    except (ValueError, IndexError, KeyError):
        return whole
    return out
