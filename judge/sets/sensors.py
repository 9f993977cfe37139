import datetime
import json

from answers import D, at
from rows import Aggregate

from . import lines

ROWS, AVRO, KEY = "readings", "readings_avro", "sensor"
TYPES = {"sensor": "string", "time": "timestamp[us, tz=UTC]", "value": "double", "value_text": "string", "n": "int64"}


def expected(path):
    for line in lines(path):
        r = json.loads(line, parse_float=str, parse_int=str)
        yield {
            "sensor": r["sensor"], "time": datetime.datetime.fromisoformat(r["time"]).replace(tzinfo=datetime.timezone.utc),
            "value": float(r["value"]), "value_text": r["value"], "n": int(r["n"]),
        }


AGGREGATES = [Aggregate(
    ["hour_sensor", "hour_sensor_avro"], "hour_start", ["sensor"], 3600, 3600, lambda r: r["time"], lambda r: (r["sensor"],),
    ["count", "sum_value"], lambda r: (1, D(r["value_text"])),
    {"min_value": (min, lambda r: D(r["value_text"])), "max_value": (max, lambda r: D(r["value_text"]))}, answers="answers-hour-sensor.csv.gz", whole=True)]
AGGREGATES[0].number = D


def answer(a, r):
    return (at(r["hour_start"]), r["sensor"]), ([D(r[c]) for c in a.sums], {c: D(r[c]) for c in a.best})


def numbers(r):
    return (at(r["hour_start"]), r["sensor"]), tuple(D(r[c]) for c in ("count", "sum_value", "min_value", "max_value"))


QUESTIONS = [("answers-hour-sensor.csv.gz", "count, exact sum, least and greatest value per hour and sensor", """
    select epoch_us(date_trunc('hour', time)), sensor, count(*), sum(v), min(v), max(v)
    from (select *, value_text::decimal(38, 17) v from {readings}) group by all""", numbers)]

FIGURES = [
    ("rows, sensors, times, and the span of n", """
     select 'all', count(*), count(distinct sensor), count(distinct time), min(n), max(n) from {readings}""",
     {("all",): (113366, 26, 66455, 0, 22694)}),
    ("value is the nearest double of its digits", "select 'wrong', count(*) from {readings} where value <> value_text::double", {("wrong",): (0,)}),
    ("each sensor's n is 0, 1, 2, ... without a gap or a double", """
     select 'wrong', count(*) from (select sensor from {readings} group by 1 having count(*) <> count(distinct n) or max(n) + 1 <> count(*) or min(n) <> 0)""", {("wrong",): (0,)}),
    ("the partition of a row is its day", "select 'wrong', count(*) from {readings} where dt <> time::date", {("wrong",): (0,)}),
]


def filtered(rows):
    return {}
