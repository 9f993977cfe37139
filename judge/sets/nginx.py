import datetime
import json

from answers import D, at
from rows import Aggregate

from . import lines

ROWS, AVRO, KEY = "snapshots", "snapshots_avro", "pid"
TYPES = None  # nested: rows are compared member by member
OPTIONAL = {"max_conns", "connect_time", "first_byte_time", "response_time"}


def time(ms):
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc).replace(microsecond=ms % 1000 * 1000)


def shape(v, name=""):
    """A value of the input as the columns say it: members that begin with a digit renamed, optional ones null."""
    if isinstance(v, list):
        return [shape(w, "peer") for w in v]
    if not isinstance(v, dict):
        return v
    out = {("r" + k if k[0].isdigit() and k.endswith("xx") else k): shape(w, k) for k, w in v.items()}
    if name == "peer":
        out.setdefault("max_conns", None)
        if "connections" in out:
            for c in OPTIONAL:
                out.setdefault(c, None)
    if name == "health_checks":
        out.setdefault("last_passed", None)
    return out


def expected(path):
    for line in lines(path):
        r = shape(json.loads(line))
        r["time"], r["load_time"] = time(r.pop("timestamp")), time(r.pop("load_timestamp"))
        yield r


def peers(rows):
    for r in rows:
        for upstream, u in r["upstreams"].items():
            for p in u["peers"]:
                yield {"time": r["time"], "upstream": upstream, **p}


AGGREGATES = [Aggregate(
    ["minute_upstream", "minute_upstream_avro"], "minute_start", ["upstream"], 60, 60, lambda r: r["time"], lambda r: (r["upstream"],),
    ["peer_rows", "sum_requests", "sum_fails", "missing_last_passed"],
    lambda r: (1, r["requests"], r["fails"], int(r["health_checks"]["last_passed"] is None)), answers="answers-minute-upstream.csv")]
AGGREGATES[0].source = "peers"


def answer(a, r):
    return (at(r["minute_start"]), r["upstream"]), ([D(r[c]) for c in a.sums], {})


def numbers(r):
    return (at(r["minute_start"]), r["upstream"]), tuple(D(r[c]) for c in ("peer_rows", "sum_requests", "sum_fails", "missing_last_passed"))


QUESTIONS = [
    ("answers-minute-upstream.csv", "peers, requests, fails and missing checks per minute and upstream, from the flat rows", """
     select epoch_us(date_trunc('minute', time)), upstream, count(*), sum(requests), sum(fails), count(*) - count(health_checks.last_passed)
     from {peers} group by all""", numbers),
    ("answers-minute-upstream.csv", "the same from the maps and lists of the snapshots", """
     select epoch_us(date_trunc('minute', time)), u.key, count(*), sum(p.requests), sum(p.fails), count(*) - count(p.health_checks.last_passed)
     from (select time, u, unnest(u.value.peers) p from (select time, unnest(map_entries(upstreams)) u from {snapshots})) group by all""", numbers),
]

FIGURES = [
    ("snapshots, workers, greatest counter beyond 32 bits, keys with dots in a map", """
     select 'all', count(*), count(distinct pid), max(epoch_ms(time)), max(server_zones['hg.nginx.org'].sent) from {snapshots}""",
     {("all",): (500, 2, 1446252053399, 6503611952)}),
    ("peers, missing last_passed, present max_conns", """
     select 'all', count(*), count(*) - count(health_checks.last_passed), count(max_conns) from {peers}""", {("all",): (3500, 1000, 500)}),
]


def filtered(rows):
    all_peers = list(peers(rows))
    return {"peers": all_peers, "peers_avro": all_peers}
