import json

from answers import D, at
from rows import Aggregate

from . import lines
from .nginx import time

ROWS, AVRO, KEY = "quakes", "quakes_avro", "net"
TYPES = None  # nested: rows are compared member by member
PLAIN = ["place", "url", "detail", "felt", "alert", "status", "sig", "net", "code", "nst", "type", "title"]


def number(v):
    return None if v is None else D(v)


def expected(path):
    for line in lines(path):
        f = json.loads(line, parse_float=D)
        p, c = f["properties"], f["geometry"]["coordinates"]
        r = {n: p[n] for n in PLAIN}
        r |= {n: number(p[n]) for n in ("mag", "cdi", "mmi", "rms", "gap")}
        r |= {n: p[n].strip(",").split(",") for n in ("ids", "sources", "types")}
        r |= {
            "id": f["id"], "time": time(p["time"]), "updated": time(p["updated"]), "tz_minutes": p["tz"], "mag_type": p["magType"], "tsunami": p["tsunami"] == 1,
            "dmin": None if p["dmin"] is None else float(p["dmin"]),
            "point": {"coordinates": [float(v) for v in c], "longitude": D(c[0]), "latitude": D(c[1]), "depth_km": D(c[2])},
        }
        yield r


AGGREGATES = [Aggregate(
    ["hour_net", "hour_net_avro"], "hour_start", ["net"], 3600, 8 * 86400, lambda r: r["time"], lambda r: (r["net"],),
    ["count", "count_mag", "sum_mag"], lambda r: (1, int(r["mag"] is not None), r["mag"] or 0), {"max_mag": (max, lambda r: r["mag"])}, answers="answers-hour-net.csv", whole=True)]


def answer(a, r):
    return (at(r["hour_start"]), r["net"]), ([D(r[c]) for c in a.sums], {"max_mag": D(r["max_mag"])})


QUESTIONS = [("answers-hour-net.csv", "count, exact sum and greatest magnitude per hour and network", """
    select epoch_us(date_trunc('hour', time)), net, count(*), count(mag), sum(mag), max(mag) from {quakes} group by all""",
    lambda r: ((at(r["hour_start"]), r["net"]), tuple(D(r[c]) for c in ("count", "count_mag", "sum_mag", "max_mag"))))]

FIGURES = [
    ("rows, negative magnitudes, nulls of alert, felt, nst, dmin, rms and gap", """
     select 'all', count(*), count(*) filter (mag < 0), count(*) - count(alert), count(*) - count(felt), count(*) - count(nst), count(*) - count(dmin), count(*) - count(rms), count(*) - count(gap) from {quakes}""",
     {("all",): (1707, 44, 1695, 1580, 465, 305, 5, 303)}),
    ("least and greatest magnitude and time, in milliseconds", """
     select 'all', min(mag), max(mag), min(epoch_ms(time)), max(epoch_ms(time)) from {quakes}""", {("all",): (D("-0.8"), D("6.4"), 1517363399650, 1517966773840)}),
    ("lists of three coordinates, and the struct of the same point", """
     select 'wrong', count(*) from {quakes} where len(point.coordinates) <> 3 or point.coordinates[1] <> point.longitude::double or point.coordinates[3] <> point.depth_km::double""", {("wrong",): (0,)}),
    ("the partition of a row is its day", "select 'wrong', count(*) from {quakes} where dt <> time::date", {("wrong",): (0,)}),
]


def filtered(rows):
    return {"strong": [r for r in rows if r["mag"] is not None and r["mag"] >= D("4.5")]}
