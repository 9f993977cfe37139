"""Answer files, and the same questions put to the lake in SQL (DuckDB)."""

import csv
import datetime
import decimal
import gzip
import io

import duckdb

from report import differences

D = decimal.Decimal


def read(path):
    """An answer file as a list of dictionaries of text."""
    data = open(path, "rb").read()
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    return list(csv.DictReader(io.StringIO(data.decode())))


def at(text):
    """2015-05-17T10:00:00Z as microseconds."""
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 10**6


def question(lake, sql, want):
    """A query whose rows are a key and numbers; {name} in it stands for the files of folder name.

    want is {key: numbers}. Numbers are compared exactly, as decimals.
    """
    con = duckdb.connect()
    con.execute("SET TimeZone='UTC'; SET threads=2")
    for name in lake.folders:
        sql = sql.replace("{" + name + "}", f"read_parquet('{lake.root}/{name}/**/*.parquet', hive_partitioning=true)")
    n = len(next(iter(want)))
    got = {}
    for row in con.execute(sql).fetchall():
        k = tuple(row[:n])
        if k in got:
            return [f"the query gives {k} twice"]
        got[k] = tuple(None if v is None else D(str(v)) for v in row[n:])
    return differences(got, want, "answer")
