"""Checks one lake against its data set, with pyarrow, DuckDB and fastavro only.

    check.py --set web-access --lake dir:PATH --data events.jsonl.gz --answers FOLDER --manifest FILE

The exit status is 1 if a check failed.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import traceback

import pyarrow.dataset

import answers
import files
import rows
from lake import Lake
from report import Report, differences

MODULES = {
    "web-access": "webaccess", "web-access-log": "webaccess", "online-retail": "retail", "machine-sensors": "sensors",
    "airport-weather": "weather", "nginx-status": "nginx", "earthquakes": "quakes",
}


def main():
    a = argparse.ArgumentParser()
    for name in ("set", "lake", "data", "answers", "manifest"):
        a.add_argument("--" + name, required=True)
    a.add_argument("--name", help="what the checks are called; the set by default")
    a = a.parse_args()
    with open(a.manifest) as f:
        manifest = json.load(f)
    report = Report(a.name or a.set)
    with tempfile.TemporaryDirectory() as work:
        try:
            judge(report, importlib.import_module("sets." + MODULES[a.set]), Lake(a.lake, work), manifest, a.data, a.answers)
        except Exception as e:  # what stops the judge is no reason to pass
            traceback.print_exc()
            report.check("the checks ran to their end", [f"{type(e).__name__}: {e}"])
    sys.exit(1 if report.failed else 0)


def judge(report, s, lake, manifest, data, folder):
    want = list(s.expected(data))
    columns = list(want[0])
    aggregates = {f: g for g in s.AGGREGATES for f in g.folders}
    filtered = s.filtered(want)
    known = {s.ROWS, s.AVRO, "dead", "dead_avro", *aggregates, *filtered}

    report.check("all visible files can be read and belong to the pipeline's folders, and no upload is left over",
                 lake.strange + [f"folder {f}" for f in lake.folders if f not in known] + [f"staged: {n}" for n in lake.unfinished(manifest["killed"])])
    report.run("Parquet", files.parquet, [f for f in lake.files() if f.ext == "parquet"])
    report.run(f"footers and Avro headers of {len(lake.files())} files tell stream, shard, commit and range", files.metadata, lake.files(), manifest, set(aggregates))
    report.run("files of one shard and different commits cover ranges that do not overlap", lambda: [
        p for f in lake.folders for p in files.ranges(lake, f, f in aggregates)])
    report.run("all files of a folder, and of both formats of a row, have one schema", lambda: [
        p for f in lake.folders for p in files.same_schema(lake, f, f + "_avro")] + files.same_schema(lake, s.ROWS, s.AVRO))
    if s.TYPES:
        report.run(f"{s.ROWS}: {len(s.TYPES)} columns of the right types", files.types, lake, s.ROWS, s.TYPES)

    bag = rows.bag(want, columns)
    for f in (s.ROWS, s.AVRO):
        report.run(f"{f}: {len(want)} rows equal the input, as a multiset, in {len(columns)} columns", rows.equal, lake, f, bag, columns)
    report.run(f"{s.AVRO}: rows of one {s.KEY} keep the order of the input", rows.order, lake, s.AVRO, want, s.KEY, columns)
    for f, some in filtered.items():
        report.run(f"{f}: {len(some)} rows equal the input's", rows.equal, lake, f, rows.bag(some, list(some[0])), list(some[0]))

    for name, text, sql, key in s.QUESTIONS:
        asked = dict(key(r) for r in answers.read(os.path.join(folder, name)))
        report.run(f"{name}: {text}, {len(asked)} rows by SQL", answers.question, lake, sql, asked)
    for text, sql, figures in s.FIGURES:
        report.run(text, answers.question, lake, sql, {k: tuple(answers.D(v) for v in vs) for k, vs in figures.items()})

    complete = manifest["drained"]
    shards = rows.Shards(manifest)
    for f, g in aggregates.items():
        source = lake.files(getattr(g, "source", s.ROWS))
        report.run(f"{f}: closed windows are there once a shard, with exact numbers in each family of shards, and no open ones", g.check, lake, f, source, shards)
        asked = dict(s.answer(g, r) for r in answers.read(os.path.join(folder, g.answers)))
        report.run(f, rows.against_answers, g, lake, f, asked, complete)
    for f in ("dead", "dead_avro"):
        report.run(f, rows.dead, lake, f, manifest)
    if lake.s3:
        report.run(f"{s.ROWS}: read in place from the bucket, {len(want)} rows", in_place, lake, s, bag, columns)


def in_place(lake, s, bag, columns):
    """The bucket itself as a Hive dataset, without a copy."""
    data = pyarrow.dataset.dataset(f"{lake.bucket}/{s.ROWS}", filesystem=lake.s3, format="parquet", partitioning="hive")
    return differences(rows.bag(data.to_table().to_pylist(), columns), bag, "row")


if __name__ == "__main__":
    main()
