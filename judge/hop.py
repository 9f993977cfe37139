"""The oracle of two groups of workers that are joined by a stream: pyarrow, DuckDB and fastavro, and nothing of the product.

    hop.py --s3 URL --bucket NAME --dynamodb URL --senders TABLE --table TABLE --span SECONDS --put FILE --result FILE

As chaos.py it makes the bucket, looks every few seconds, and compares after "end". At no instant may a reader see a
number twice, two totals of a user and span, a row that is late or was refused, a file that is not committed, or a file
go away. In the end each acknowledged number is there once, and the totals are those of a plain loop over what was put.
"""

import argparse
import collections
import io
import re
import tempfile

import duckdb
import fastavro
import pyarrow.fs
import pyarrow.parquet

import aws
from chaos import commits_in_order, left, lines_of, missing_file, observe, parents_first
from lake import NAME
from looks import Broken, Bucket, uncommitted
from report import differences

HITS, TOTALS, DEAD = "hits", "totals", "dead"
NONE = ("late", "refused")  # where nothing may come
CLOSING = "closing"  # the user of the records that close all windows


class File:
    """One visible file, read whole: its rows, each with what must be unique in the folder."""

    def __init__(self, path, size, data):
        self.path, self.size, self.folder = path, size, path.partition("/")[0]
        m = NAME.search(path)
        if not m or self.folder not in (HITS, TOTALS, DEAD):
            raise Broken(f"{path} must not be there: nothing is late or refused, and nothing else is written")
        self.commit, self.id, self.number, ext = int(m[1]), m[3], int(m[4]), m[5]
        if ext == "parquet":
            f = pyarrow.parquet.ParquetFile(io.BytesIO(data), page_checksum_verification=True)
            meta = {k.decode(): v.decode() for k, v in f.metadata.metadata.items() if k.startswith(b"shardlake.")}
            rows = f.read().to_pylist()
        else:
            r = fastavro.reader(io.BytesIO(data))
            meta, rows = r.metadata, list(r)
        self.shard = meta["shardlake.shard"]
        if not rows:
            raise Broken(f"{path} has no rows")
        if self.folder == DEAD:
            self.rows = {int(re.search(rb'"n":(\d+)', r["data"])[1]): (r["key"], int(r["seq"])) for r in rows}
        elif self.folder == HITS:
            self.rows = {r["n"]: (r["key"], r["user"], micros(r["at"])) for r in rows}
        else:
            self.rows = {(r["user"], micros(r["start"])): (r["count"], r["sum"]) for r in rows}
        if len(self.rows) != len(rows):
            raise Broken(f"{path} has {len(rows)} rows, {len(self.rows)} of them distinct")


def micros(t):
    return round(t.timestamp() * 1_000_000)


def main():
    a = argparse.ArgumentParser()
    for name in ("s3", "bucket", "dynamodb", "senders", "table", "put", "result"):
        a.add_argument("--" + name, required=True)
    a.add_argument("--span", required=True, type=float, help="of a window, in seconds")
    a.add_argument("--name", default="chaos-hop", help="what the checks are called")
    a = a.parse_args()
    observe(a, Bucket(a.s3, a.bucket, File), look, verdict,
            "no number was there twice, no total twice, no row late or refused, no file uncommitted, none gone")


def leases(a):
    """The lease rows of both groups, that of the senders first."""
    return [{r["leaseKey"]: r for r in aws.scan(a.dynamodb, t)} for t in (a.senders, a.table)]


def by_group(files):
    """The files of the senders, and of those who receive."""
    return [f for f in files if f.folder == DEAD], [f for f in files if f.folder != DEAD]


def loose(a, files):
    """Files that are visible and not committed; the rows are read after the listing."""
    for group, rows in zip(by_group(files), leases(a)):
        yield from uncommitted(group, rows)


def union(files):
    """All rows of each folder, {folder: {key: [(value, file), ...]}}."""
    out = {f: collections.defaultdict(list) for f in (HITS, TOTALS, DEAD)}
    for f in files:
        for k, v in f.rows.items():
            out[f.folder][k].append((v, f))
    return out


def twice(found):
    for folder, rows in found.items():
        yield from (f"{k} is {len(v)} times in {folder}: " + " and ".join(f.path for _, f in v[:3]) for k, v in rows.items() if len(v) > 1)


def look(bucket, a):
    """All that holds at any instant."""
    files = bucket.files.values()
    return [*twice(union(files)), *(loose(a, files) if files else ())]


def acknowledged(path):
    """What was put: {number: (kind, key, user, time, shard, sequence number)}."""
    out = {}
    for n, key, kind, shard, seq, user, at in lines_of(path):
        if n in out:
            raise Broken(f"{path} has number {n} twice")
        out[n] = (kind, key, user, int(at), shard, int(seq) if shard else None)
    return out


def verdict(report, bucket, a):
    put, (senders, receivers) = acknowledged(a.put), leases(a)
    files = sorted(bucket.files.values(), key=lambda f: (f.folder, f.shard, f.commit, f.number))
    dead, rest = by_group(files)
    found, count = union(files), collections.Counter(r[0] for r in put.values())
    want = loop(put, found[HITS], a.span)
    report.run(f"each of {count['row']} acknowledged numbers came through both groups once, with its key, user and time, and nothing else", hits, put, found)
    report.run(f"each of {count['dead']} malformed records is one dead letter of the first group, and nothing else", letters, put, found)
    report.run(f"{sum(u != CLOSING for u, _ in want)} totals of user and span are those of a plain loop over what was put", totals, want, found)
    report.run("DuckDB adds up the rows of the second group to the same totals", sql, bucket, a.span, want)
    report.run("the numbers of a user and shard rise in each shard between the groups, from commit to commit", order, put, rest)
    report.run("the files of a commit were visible before any of the next", lambda: [p for g in (dead, rest) for p in commits_in_order(bucket, g)])
    report.run("the files of a shard were visible before any of its children", lambda: [*parents_first(bucket, dead, senders), *parents_first(bucket, rest, receivers)])
    report.run("no file is visible that is not committed", lambda: list(loose(a, files)))
    report.run(f"none of {len(senders)} lease rows of one group and {len(receivers)} of the other has an owner, or frames or files that are not published",
               lambda: [*left(senders), *left(receivers)])
    report.run("no unfinished upload is left in the server, but of shards that are read to their end", uploads, a, files, senders, receivers)
    for folder in (HITS, TOTALS):
        report.run(f"a file of {folder} that is there twice is noticed", doubled, bucket, put, a, folder)
        report.run(f"a file of {folder} that is gone is noticed", missing_file, bucket, folder, lambda files: accounts(put, files, a))
    report.run("a number too many in a total is noticed", wrong, want, found)
    report.run("after the damage is mended all is as before", lambda: accounts(put, bucket.reread(), a))
    return {"files": len(files), "rows": len(found[HITS]), "dead": len(found[DEAD])}


def hits(put, found):
    yield from twice(found)
    for n, (kind, key, user, at, *_) in put.items():
        got = [v for v, _ in found[HITS].get(n, ())]
        if got != [(key, user, at)] and (kind == "row" or kind == "unknown" and got):
            yield f"number {n} of {key} is there as {got}, and was put as {put[n]}"
    yield from (f"number {n} was put as {put.get(n)} and is there" for n in found[HITS] if n not in put or put[n][0] == "dead")


def letters(put, found):
    for n, (kind, key, _, _, _, seq) in put.items():
        got = [v for v, _ in found[DEAD].get(n, ())]
        if kind == "dead" and got != [(key, seq)]:
            yield f"malformed number {n} of {key} is there as {got}, and was put as {put[n]}"
    yield from (f"number {n} is a dead letter and was put as {put.get(n)}" for n in found[DEAD] if n not in put or put[n][0] == "row")


def loop(put, found, span):
    """The plain loop: {(user, start): (count, sum)}. A record of a call that was not answered counts if it is there."""
    out, size = {}, round(span * 1_000_000)
    for n, (kind, _, user, at, *_) in put.items():
        if kind == "row" or kind == "unknown" and n in found:
            c, s = out.get((user, at - at % size), (0, 0))
            out[user, at - at % size] = c + 1, s + n
    return out


def totals(want, found):
    got = {k: [v for v, _ in rows] for k, rows in found[TOTALS].items()}
    # Whether the windows of the last records, which closed the others, have closed too is a matter of the server.
    return differences(got, {k: [v] for k, v in want.items() if k[0] != CLOSING or k in got}, "total of")


def sql(bucket, span, want):
    """Another reader, on a copy of the files."""
    with tempfile.TemporaryDirectory() as work:
        pyarrow.fs.copy_files(f"{bucket.name}/{HITS}", work, source_filesystem=bucket.s3)
        size = round(span * 1_000_000)
        rows = duckdb.sql(f"select \"user\", epoch_us(\"at\") // {size} * {size}, count(*), sum(n) from read_parquet('{work}/**/*.parquet') group by all").fetchall()
    return differences({(u, s): (c, int(n)) for u, s, c, n in rows}, want, "total of")


def order(put, files):
    last = {}
    for f in files:  # by shard, commit and number
        for n, (_, user, _) in f.rows.items() if f.folder == HITS else ():
            at = (f.shard, user, put[n][4] if n in put else "")
            if at in last and last[at][0] >= n:
                yield f"number {n} of {at} in {f.path} comes behind {last[at][0]} in {last[at][1]}"
            last[at] = (n, f.path)


def uploads(a, files, senders, receivers):
    """As in chaos.py: no row can ever list an upload of a shard that is read to its end."""
    tags = {f.path.rpartition("/")[2].split("-")[1]: (senders if f.folder == DEAD else receivers).get(f.shard, {}) for f in files}
    for key in aws.uploads(a.s3, a.bucket):
        tag = key.rpartition("/")[2].split("-")[1] if NAME.search(key) else None
        if tags.get(tag, {}).get("checkpoint") != "SHARD_END":
            yield f"an upload of {key} is not finished"


def accounts(put, files, a):
    found = union(files)
    return [*hits(put, found), *letters(put, found), *totals(loop(put, found[HITS], a.span), found)]


def doubled(bucket, put, a, folder):
    """Copies a file under the name that the next commit would have given it."""
    f = next(f for f in bucket.files.values() if f.folder == folder)
    copy = f.path.replace(f"-{f.commit:010d}-", f"-{f.commit + 1:010d}-")
    bucket.s3.copy_file(f"{bucket.name}/{f.path}", f"{bucket.name}/{copy}")
    files = bucket.reread()
    bucket.s3.delete_file(f"{bucket.name}/{copy}")
    if not list(twice(union(files))) or not accounts(put, files, a):
        yield f"{f.path} was doubled and nothing was said"


def wrong(want, found):
    k, (count, total) = next(iter(want.items()))
    if not totals({**want, k: (count + 1, total + 1)}, found):
        yield f"the total of {k} is another one and nothing was said"


if __name__ == "__main__":
    main()
