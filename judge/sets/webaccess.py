import datetime
import json
import re

from answers import D, at
from rows import Aggregate

from . import lines

ROWS, AVRO, KEY = "hits", "hits_avro", "ip"
TYPES = {
    "time": "timestamp[us, tz=UTC]", "ip": "string", "user": "string", "method": "string", "path": "string", "proto": "string",
    "status": "int32", "bytes": "int64", "referer": "string", "agent": "string",
}
COMBINED = re.compile(rb'^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) (\S+) (\S+)" (\d+) (\S+) "(.*?)" "(.*?)"?$')


def expected(path):
    for line in lines(path):
        if ".log" in path:
            g = [x.decode() for x in COMBINED.match(line).groups()]
            g = [None if x == "-" else x for x in g]
            time = datetime.datetime.strptime(g[2], "%d/%b/%Y:%H:%M:%S %z").astimezone(datetime.timezone.utc)
            r = dict(zip(["ip", "user", "_", "method", "path", "proto", "status", "bytes", "referer", "agent"], g))
            r |= {"time": time, "status": int(r["status"]), "bytes": r["bytes"] and int(r["bytes"])}
        else:
            r = json.loads(line)
            r["time"] = datetime.datetime.fromisoformat(r["time"].replace("Z", "+00:00"))
        yield {c: r.get(c) for c in TYPES}


AGGREGATES = [Aggregate(
    ["hour_status", "hour_status_avro"], "hour_start", ["status"], 3600, 120, lambda r: r["time"], lambda r: (r["status"],),
    ["count", "sum_bytes", "null_bytes"], lambda r: (1, r["bytes"] or 0, int(r["bytes"] is None)), answers="answers-hour-status.csv")]


def answer(_, r):
    return (at(r["hour_start"]), int(r["status"])), ([int(r["count"]), int(r["sum_bytes"]), int(r["null_bytes"])], {})


QUESTIONS = [("answers-hour-status.csv", "count, sum and nulls of bytes per hour and status", """
    select epoch_us(date_trunc('hour', time)), status, count(*), coalesce(sum(bytes), 0), count(*) - count(bytes)
    from {hits} group by all""", lambda r: ((at(r["hour_start"]), int(r["status"])), (D(r["count"]), D(r["sum_bytes"]), D(r["null_bytes"]))))]

FIGURES = [
    ("rows, visitors, paths, null referers, null agents, null users", """
     select 'all', count(*), count(distinct ip), count(distinct path), count(*) - count(referer), count(*) - count(agent), count(*) - count("user") from {hits}""",
     {("all",): (10000, 1753, 1498, 4073, 190, 10000)}),
    ("least and greatest bytes, status and time", """
     select 'all', min(bytes), max(bytes), min(status), max(status), epoch(min(time)), epoch(max(time)) from {hits}""",
     {("all",): (35, 69192717, 200, 500, 1431857100, 1432155959)}),
    ("the partition of a row is its day", "select 'wrong', count(*) from {hits} where dt <> time::date", {("wrong",): (0,)}),
]


def filtered(rows):
    return {"failures": [r for r in rows if r["status"] >= 400]}
