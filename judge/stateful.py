"""Checks the lakes of the case stateful: every stage that keeps state, over real data, in four kinds of run.

    stateful.py --lake FOLDER --data FOLDER --manifest FILE

Rows of each folder are compared as multisets with what golden.py computes from the input; then files of a copy are
damaged, which must be noticed. The exit status is 1 if a check failed.
"""

import argparse
import collections
import concurrent.futures
import datetime
import json
import math
import os
import shutil
import sys
import tempfile
import traceback

import duckdb
import fastavro
import pyarrow
import pyarrow.parquet

import golden
from lake import Lake
from report import Report, differences

TOTALS = ("tumbling", "hopping", "sessions", "bounded", "late_tumbling", "late_hopping")
PARTS = ("parts", "joined")
FOLDERS = (*TOTALS, "panes", *PARTS, "distinct", "running", "late", "dead")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def micros(t):
    return (t - EPOCH) // datetime.timedelta(microseconds=1)


def numbers(r):
    return r["count"], r["units"], r["sum"]["value"], r["least"]["value"], r["most"]["value"]


def as_total(r):
    return (r["key"], micros(r["start"]), micros(r["end"]), r["pane"], *numbers(r), r["mean"]["sum"], r["mean"]["count"])


READ = {
    **dict.fromkeys((*TOTALS, "panes"), as_total),
    **dict.fromkeys(PARTS, lambda r: (r["kind"], micros(r["start"]), *numbers(r), r["mean"]["sum"], r["mean"]["count"])),
    "distinct": lambda r: (r["key"], r["row"], micros(r["time"]), r["value"]),
    "running": lambda r: (r["key"], micros(r["at"]), r["count"], r["quiet"]),
    "late": lambda r: (r["stage"], r["key"], r["data"]),
    "dead": lambda r: (r["stage"], r["key"], r["data"], r["reason"]),
}


def near(a, b):
    """Numbers that SQL has added up in some order."""
    return len(a) == len(b) and all(x == y or isinstance(y, float) and math.isclose(x, y, rel_tol=1e-12) for x, y in zip(a, b))


def merged(run, folder, files, want):
    """The query of fold.MergeQuery over the partial rows gives the totals."""
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    db.execute(f"create view {folder} as from read_parquet({[f.local for f in files if f.ext == 'parquet']!r})")
    q = db.execute(run["queries"][folder])
    columns = [c[0] for c in q.description]
    got, problems = {}, []
    for values in q.fetchall():
        r = dict(zip(columns, values))
        key = r["kind"], micros(r["start"])
        if key in got:
            problems.append(f"{key} comes twice")
        got[key] = r["count"], r["units"], r["sum"], r["least"], r["most"]
        if r["mean_count"] != r["count"] or not near((r["mean_sum"], r["mean_mean"]), (r["sum"], r["sum"] / r["count"])):
            problems.append(f"{key}: the mean is {r['mean_sum']} of {r['mean_count']}: {r['mean_mean']}, the sum {r['sum']} of {r['count']}")
    return problems + differences({k: v if not near(v, want.get(k, ())) else want[k] for k, v in got.items()}, want, "total")


def panes(got, want):
    """Panes of a span are there once, and add up to its total."""
    problems = [f"row {r} is there {n} times" for r, n in got.items() if n != 1]
    at = collections.Counter((r[:4]) for r in got)
    problems += [f"pane {k} is there {n} times" for k, n in at.items() if n != 1]
    sums = {}
    for key, start, end, _, count, units, s, least, most, mean, means in got:
        if count < 1:
            problems.append(f"pane of {key} at {start} holds nothing")
        c = sums.setdefault((key, start, end), [0, 0, [], [], [], [], 0])
        c[0], c[1], c[6] = c[0] + count, c[1] + units, c[6] + means
        for part, v in zip(c[2:6], (s, least, most, mean)):
            part.append(v)
    total = {k: (c, u, math.fsum(s), min(lo), max(hi), math.fsum(m), n) for k, (c, u, s, lo, hi, m, n) in sums.items()}
    totals = {r[:3]: r[4:] for r in want}
    return problems + differences({k: v if not near(v, totals.get(k, ())) else totals[k] for k, v in total.items()}, totals, "total of panes")


def compare(run, lake, folder, want, keep=False):
    """Problems of a folder, in both formats. Its rows are forgotten afterwards, unless they are kept."""
    rows = {}
    for f in (folder, folder + "_avro"):
        rows[f] = collections.Counter(READ[folder](r) for r in lake.rows(f))
        for file in lake.files(f) if not keep else ():
            file.drop()
    problems = differences(rows[folder + "_avro"], rows[folder], "row of the Avro files, against the Parquet files,")
    if folder in PARTS:
        return problems + merged(run, folder, lake.files(folder), want["parts"])
    if folder == "panes":
        return problems + panes(rows[folder], want["panes"])
    return problems + differences(rows[folder], want.get(folder, collections.Counter()), "row")


def said(folder, want):
    n = len(want["parts"]) if folder in PARTS else want[folder].total() if folder in want else 0
    return {"parts": f"partial rows and the query of fold.MergeQuery make {n} totals", "joined": f"partial rows, one of two where shards were merged, make {n} totals",
            "panes": f"early and late panes add up to {n} totals, each pane is there once", "late": f"{n} rows are late, each for the stage that it missed",
            "dead": "nothing was refused"}.get(folder, f"{folder}: {n} rows as computed from the input")


def judge(report, name, kind, run, lake, inp, known):
    label = f"{name}, {kind}"
    shards = golden.Lanes(run, inp)
    report.check(f"{label}: {len(inp.put)} records lie in {len(shards.count)} shards as they were put, after {len(run['reshards'])} reshardings, by {run['workers']} workers, {run['killed']} kills and {len(run['runs'] or [0])} runs",
                 differences(collections.Counter(run["count"]), shards.count, "records of") + ([] if kind != "resumed" or run["killed"] and len(run["runs"]) > 1 else ["it was never stopped"])
                 + ([] if kind != "steps" or len(run["runs"]) > 39 and max(r["commits"] for r in run["runs"][:-1]) <= 3 * len(run["count"]) else ["it was not stopped at each step"])
                 + ([] if kind != "fleet" or run["workers"] > 2 and len(run["reshards"]) > 3 else ["it was no fleet"]))
    report.check(f"{label}: all visible files can be read, none is left staged and no folder is unknown",
                 lake.strange + [f"folder {f}" for f in lake.folders if f.removesuffix("_avro") not in FOLDERS] + [f"staged: {n}" for n in lake.unfinished(run["killed"] > 0)])
    want = known | golden.unsure(inp, run["cut"], shards.marks)
    for folder in FOLDERS:
        report.run(f"{label}: {said(folder, want)}", compare, run, lake, folder, want)
    return want


def rewrite(file, kind):
    """Damages one row of a file, which stays a file that can be read."""
    rows = None
    if file.ext == "parquet":
        table = pyarrow.parquet.read_table(file.local)
        rows, schema = table.to_pylist(), table.schema
    else:
        with open(file.local, "rb") as f:
            r = fastavro.reader(f)
            schema, meta, rows = r.writer_schema, r.metadata, list(r)
    at = len(rows) // 2
    if kind == "lost":
        del rows[at]
    elif kind == "doubled":
        rows.append(rows[at])
    else:
        r = rows[at]
        column = next(c for c in ("count", "value", "data") if c in r)
        r[column] += "." if column == "data" else 1
    if file.ext == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), file.local)
    else:
        with open(file.local, "wb") as f:
            fastavro.writer(f, schema, rows, metadata={k: v for k, v in meta.items() if k.startswith("shardlake.")})


def self_check(report, run, where, want):
    """A lake with one row lost, doubled or changed, in any folder and format, must be noticed."""
    missed, tried = [], 0
    with tempfile.TemporaryDirectory(dir=os.path.dirname(where)) as copy:
        lake = Lake("dir:" + shutil.copytree(where, os.path.join(copy, "lake")), None)
        for folder in FOLDERS[:-1]:
            if compare(run, lake, folder, want, keep=True):
                missed.append(f"{folder} has differences before it is damaged")
            for written in (folder, folder + "_avro"):
                file = min((f for f in lake.files(written) if f.rows()), key=lambda f: (os.path.getsize(f.local), f.path))
                for kind in ("lost", "doubled", "changed"):
                    kept = shutil.copy(file.local, copy)
                    rewrite(file, kind)
                    file.drop()
                    tried += 1
                    if not compare(run, lake, folder, want, keep=True):
                        missed.append(f"{written} with one row {kind} passes")
                    os.replace(kept, file.local)
                    file.drop()
    report.check(f"one row lost, doubled or changed is noticed in each of {tried} damaged lakes", missed)


def judge_set(name, runs, a):
    """All checks of a data set, in a process of its own; returns how many have failed."""
    report, known = Report("stateful"), None
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    inp = golden.Input(db, name, os.path.join(a.data, name, golden.FILES[name]))
    for kind, run in runs.items():
        run["cut"] = {k: v if k in ("Hops", "Every") else v // 1000 for k, v in run["cut"].items()}
        known = known or golden.sure(inp, run["cut"])
        where = os.path.join(a.lake, name, kind)
        want = judge(report, name, kind, run, Lake("dir:" + where, None), inp, known)
        if (name, kind) == ("web-access", "straight"):
            self_check(report, run, where, want)
    return report.failed


def main():
    a = argparse.ArgumentParser()
    for option in ("lake", "data", "manifest"):
        a.add_argument("--" + option, required=True)
    a = a.parse_args()
    report = Report("stateful")
    try:
        with open(a.manifest, encoding="utf-8") as f:
            sets = json.load(f)
        report.check("each data set was run in four ways", differences({k: set(v) for k, v in sets.items()}, {k: {"straight", "resumed", "steps", "fleet"} for k in golden.FILES}, "runs of"))
        with concurrent.futures.ProcessPoolExecutor(len(sets)) as pool:
            report.failed += sum(pool.map(judge_set, sets.keys(), sets.values(), [a] * len(sets)))
    except Exception as e:  # what stops the judge is no reason to pass
        traceback.print_exc()
        report.check("the checks ran to their end", [f"{type(e).__name__}: {e}"])
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
