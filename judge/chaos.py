"""The oracle of a fleet under faults: pyarrow, DuckDB and fastavro on the bucket, and nothing of the product.

    chaos.py --s3 URL --bucket NAME --dynamodb URL --table NAME --put FILE --result FILE

It makes the bucket, prints "ready" and then looks every few seconds, until it reads the line "end": at no
instant may a reader see a number twice, a file that is not committed, or a file go away. It ends at once with
status 1 if it does. After "end" it compares with FILE, in which the producer wrote down what was acknowledged
(number, key, kind, shard and sequence number, separated by tabs), then damages the lake and wants that noticed.
One line a check, as the judge's other checks; the status is 1 if one failed.
"""

import argparse
import collections
import json
import os
import queue
import sys
import tempfile
import threading

import duckdb
import pyarrow.fs

import aws
from lake import NAME
from looks import AVRO, DEAD, ROWS, Broken, Bucket, numbers, twice, uncommitted
from report import Report

EVERY = 3  # seconds between two looks


def main():
    a = argparse.ArgumentParser()
    for name in ("s3", "bucket", "dynamodb", "table", "put", "result"):
        a.add_argument("--" + name, required=True)
    a.add_argument("--name", default="chaos", help="what the checks are called")
    a = a.parse_args()
    observe(a, Bucket(a.s3, a.bucket), look, verdict, "no number was there twice, no file uncommitted, none gone")


def observe(a, bucket, look, verdict, statement):
    """Looks until it reads "end", then gives the verdict and ends the program. look returns what must not be."""
    report = Report(a.name)
    bucket.create()
    print("ready", flush=True)
    lines = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin] + [lines.put("")], daemon=True).start()
    missed = 0
    try:
        while True:
            try:
                line = lines.get(timeout=EVERY)
            except queue.Empty:
                if not bucket.look():
                    missed += 1
                elif problems := look(bucket, a):
                    raise Broken("; ".join(problems[:5]) + f" ({len(problems)} in all)")
                continue
            if line.strip() != "end":
                sys.exit("chaos.py: the driver has gone")
            break
        looks = bucket.looks
        report.check(f"in {looks} looks while the fleet ran ({missed} others found no instant) {statement}",
                     [] if looks else ["it never looked"])
        while not bucket.look():
            pass
        result = verdict(report, bucket, a)
        result["looks"] = looks
    except Broken as e:
        report.check(f"look {bucket.looks} at the bucket", [str(e)])
        sys.exit(1)
    with open(a.result, "w") as f:
        json.dump({**result, "checks": report.passed + report.failed, "failed": report.failed}, f)
    sys.exit(1 if report.failed else 0)


def look(bucket, a):
    """All that holds at any instant."""
    files = bucket.files.values()
    # Read after the listing: what was visible then must be committed now.
    return list(twice(numbers(files))) + (list(uncommitted(files, rows_of(a))) if files else [])


def rows_of(a):
    return {r["leaseKey"]: r for r in aws.scan(a.dynamodb, a.table)}


def acknowledged(path):
    """What was put: {number: (key, kind, shard, sequence number)}."""
    out = {}
    for n, key, kind, shard, seq, _, _ in lines_of(path):
        if n in out:
            sys.exit(f"chaos.py: {path} has number {n} twice")
        out[n] = (key, kind, shard, int(seq) if shard else None)
    return out


def lines_of(path):
    """Number, key, kind, shard, sequence number, user and time of what was put."""
    with open(path) as f:
        for line in f:
            n, *rest = line.rstrip("\n").split("\t")
            yield int(n), *rest


def verdict(report, bucket, a):
    put, rows = acknowledged(a.put), rows_of(a)
    files = sorted(bucket.files.values(), key=lambda f: (f.shard, f.commit, f.number))
    by_number = numbers(files)
    count = collections.Counter(kind for _, kind, _, _ in put.values())
    report.run(f"each of {count['row']} acknowledged numbers is once in the Parquet files and once in the Avro files, with its key", complete, put, by_number, "row", (ROWS, AVRO))
    report.run(f"each of {count['dead']} malformed records is one dead letter, with its key and sequence number", complete, put, by_number, "dead", (DEAD,))
    report.run(f"nothing else is in {len(files)} files", unknown, put, by_number)
    report.run("DuckDB counts the same in the Parquet files", sql, bucket, by_number[ROWS])
    report.run("each file tells the shard of its rows, and a range that holds their sequence numbers", ranges, put, files)
    report.run("within a shard the numbers of a key rise, from commit to commit", order, files)
    report.run("the files of a commit were visible before any of the next", commits_in_order, bucket, files)
    report.run("the files of a shard were visible before any of its children", parents_first, bucket, files, rows)
    report.run("no file is visible that is not committed", lambda: list(uncommitted(files, rows)))
    report.run(f"none of {len(rows)} lease rows has an owner or files that are not published", left, rows)
    ended, other = uploads(a, files, rows)
    report.check("no unfinished upload is left in the server, but of shards that are read to their end", other)
    report.run("an upload that is left is noticed", unfinished, a, files, rows)
    report.run("a file that is there twice is noticed", doubled, bucket, put)
    report.run("a file that is gone is noticed", missing_file, bucket, AVRO, lambda files: accounts(put, files))
    report.run("after the damage is mended all is as before", lambda: accounts(put, bucket.reread()))
    return {"files": len(files), "rows": len(by_number[ROWS]), "dead": len(by_number[DEAD]), "uploads": len(ended)}


def complete(put, by_number, kind, folders):
    """Acknowledged numbers of a kind are once in each folder."""
    for folder in folders:
        found = by_number[folder]
        for n, (key, k, shard, seq) in put.items():
            if k != kind:
                continue
            files = found.get(n, [])
            if len(files) != 1:
                yield f"number {n} ({key} in {shard} at {seq}) is {len(files)} times in {folder}" + "".join(f", {f.path}" for f in files[:3])
                continue
            row = next(r for r in files[0].rows if r[0] == n)
            if row[1] != key or row[2] not in (None, seq):
                yield f"number {n} is there as {row}, and was put as {put[n]}"


def unknown(put, by_number):
    """What is there beyond the acknowledged: only records whose call was not answered, and those once."""
    yield from twice(by_number)
    for folder, found in by_number.items():
        want = ("dead", "unknown") if folder == DEAD else ("row", "unknown")
        for n in found:
            if n not in put or put[n][1] not in want:
                yield f"number {n} is in {folder}, and was put as {put.get(n)}"
    yield from (f"number {n} is in one format only" for n in by_number[ROWS].keys() ^ by_number[AVRO].keys())


def accounts(put, files):
    """All that is wrong with numbers, as the checks above find it."""
    by_number = numbers(files)
    return [*complete(put, by_number, "row", (ROWS, AVRO)), *complete(put, by_number, "dead", (DEAD,)), *unknown(put, by_number)]


def sql(bucket, found):
    """Another reader, on a copy of the files."""
    with tempfile.TemporaryDirectory() as work:
        pyarrow.fs.copy_files(f"{bucket.name}/{ROWS}", work, source_filesystem=bucket.s3)
        n, distinct, parts = duckdb.sql(
            f"select count(*), count(distinct n), count(*) filter (part = class) from read_parquet('{work}/**/*.parquet', hive_partitioning = true)").fetchall()[0]
    want = len(found)
    return [] if (n, distinct, parts) == (want, want, want) else [f"{n} rows, {distinct} distinct, {parts} in their partition; pyarrow read {want}"]


def ranges(put, files):
    for f in files:
        for n, _, _ in f.rows:
            _, _, shard, seq = put.get(n, (None, None, "", None))
            if shard and (shard != f.shard or not f.first.seq <= seq <= f.last.seq):
                yield f"number {n} is in {shard} at {seq}; {f.path} says {f.shard}, {f.first.seq} to {f.last.seq}"


def order(files):
    """Dead letters have no order: those that a decoder refuses come before those of the stages, batch by batch."""
    last = {}
    for f in files:  # by shard, commit and number
        for n, key, _ in f.rows if f.folder != DEAD else []:
            at = (f.folder, f.shard, key)
            if at in last and last[at][0] >= n:
                yield f"number {n} of key {key} in {f.path} comes behind {last[at][0]} in {last[at][1]}"
            last[at] = (n, f.path)


def appeared(bucket, files, key):
    """When the files of each group came: {key: (first look, last look)}."""
    out = {}
    for f in files:
        look, k = bucket.since[f.path], key(f)
        low, high = out.get(k, (look, look))
        out[k] = (min(low, look), max(high, look))
    return out


def commits_in_order(bucket, files):
    when = appeared(bucket, files, lambda f: (f.shard, f.commit))
    before = (None, 0)
    for (shard, commit), (low, high) in sorted(when.items()):
        if before[0] == shard and before[1] > low:
            yield f"look {low} saw files of commit {commit} of {shard}, and look {before[1]} was the first to see all of the one before"
        before = (shard, high)


def parents_first(bucket, files, rows):
    when = appeared(bucket, files, lambda f: f.shard)
    for shard, (low, _) in when.items():
        for parent in rows[shard].get("parentShardId", []):
            if parent in when and when[parent][1] > low:
                yield f"look {low} saw files of {shard}, and look {when[parent][1]} was the first to see all of its parent {parent}"


def left(rows):
    for r in rows.values():
        for attribute in ("leaseOwner", "sl_pending", "sl_repair", "sl_hold"):
            if r.get(attribute):
                yield f"{r['leaseKey']} has {attribute} {str(r[attribute])[:200]}"


def uploads(a, files, rows):
    """The keys of unfinished uploads: of shards that are read to their end, and others."""
    ended, other = [], []
    for k in aws.uploads(a.s3, a.bucket):
        (ended if belongs(k, files, rows) else other).append(k)
    return ended, other


def unfinished(a, files, rows):
    """Begins an upload for a shard that is still read, and removes it."""
    f = next(f for f in files if rows[f.shard].get("checkpoint") != "SHARD_END")
    key = f.path.replace(f.id, "0123456789abcdef").replace("=", "%3D")
    upload = aws.begin(a.s3, a.bucket, key)
    _, other = uploads(a, files, rows)
    aws.abort(a.s3, a.bucket, key, upload)
    if len(other) != 1:
        yield f"an upload of {key} was begun, and {other} were found"


def belongs(key, files, rows):
    """Whether an upload is of a lane that is read to its end, which nobody will have again: a worker that was
    frozen, or whose request came late, may have begun it after the lane was swept. The bucket's lifecycle rule
    removes it; no row can ever list it."""
    name = NAME.search(key)
    tag = key.rpartition("/")[2].split("-")[1] if name else None
    shards = {f.shard for f in files if f.path.rpartition("/")[2].split("-")[1] == tag}
    return bool(shards) and all(rows[s].get("checkpoint") == "SHARD_END" for s in shards)


def doubled(bucket, put):
    """Copies a file under the name that the next commit would have given it."""
    f = next(f for f in bucket.files.values() if f.folder == ROWS)
    copy = f.path.replace(f"-{f.commit:010d}-", f"-{f.commit + 1:010d}-")
    bucket.s3.copy_file(f"{bucket.name}/{f.path}", f"{bucket.name}/{copy}")
    files = bucket.reread()
    bucket.s3.delete_file(f"{bucket.name}/{copy}")
    if not list(twice(numbers(files))) or not accounts(put, files):
        yield f"{f.path} was doubled and nothing was said"


def missing_file(bucket, folder, accounts):
    """Removes a file, which accounts must notice, and puts it back."""
    f = next(f for f in bucket.files.values() if f.folder == folder)
    path = f"{bucket.name}/{f.path}"
    with bucket.s3.open_input_stream(path) as source:
        data = source.read()
    bucket.s3.delete_file(path)
    files = bucket.reread()
    with bucket.s3.open_output_stream(path) as sink:
        sink.write(data)
    if not accounts(files):
        yield f"{f.path} was removed and nothing was said"


if __name__ == "__main__":
    main()
