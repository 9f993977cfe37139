import csv
import datetime

from answers import D, at
from rows import Aggregate

from . import lines

ROWS, AVRO, KEY = "observations", "observations_avro", "origin"
TYPES = {
    "origin": "string", "year": "int32", "month": "int32", "day": "int32", "hour": "int32",
    "temp": "decimal128(9, 2)", "dewp": "decimal128(9, 2)", "humid": "decimal128(9, 2)", "wind_dir": "int32", "wind_speed": "double", "wind_gust": "double",
    "precip": "decimal128(9, 2)", "pressure": "decimal128(9, 1)", "visib": "decimal128(9, 2)", "time_hour": "timestamp[us, tz=UTC]",
}


def expected(path):
    for r in csv.DictReader(line.decode() for line in lines(path)):
        out = {}
        for c, kind in TYPES.items():
            v = r[c]
            if v == "NA":
                v = None
            elif kind == "int32":
                v = int(v)
            elif kind == "double":
                v = float(v)
            elif kind.startswith("decimal"):
                v = D(v)
            elif kind.startswith("timestamp"):
                v = datetime.datetime.fromisoformat(v.replace("Z", "+00:00"))
            out[c] = v
        yield out


AGGREGATES = [Aggregate(
    ["day_origin", "day_origin_avro"], "day_start", ["origin"], 86400, 366 * 86400, lambda r: r["time_hour"], lambda r: (r["origin"],),
    ["count", "count_temp", "sum_temp", "sum_precip", "null_wind_gust"],
    lambda r: (1, int(r["temp"] is not None), r["temp"] or 0, r["precip"] or 0, int(r["wind_gust"] is None)), answers="answers-day-origin.csv", whole=True)]


def answer(a, r):
    return (at(r["day_start"]), r["origin"]), ([D(r[c]) for c in a.sums], {})


QUESTIONS = [("answers-day-origin.csv", "count, exact sums and null gusts per day and airport", """
    select epoch_us(date_trunc('day', time_hour)), origin, count(*), count(temp), sum(temp), sum(precip), count(*) - count(wind_gust)
    from {observations} group by all""", lambda r: ((at(r["day_start"]), r["origin"]), tuple(D(r[c]) for c in ("count", "count_temp", "sum_temp", "sum_precip", "null_wind_gust"))))]

FIGURES = [
    ("rows, nulls of gusts, pressure, wind direction, wind speed and temperature", """
     select 'all', count(*), count(*) - count(wind_gust), count(*) - count(pressure), count(*) - count(wind_dir), count(*) - count(wind_speed), count(*) - count(temp) from {observations}""",
     {("all",): (26115, 20778, 2729, 460, 4, 1)}),
    ("least and greatest temperature, dew point, pressure, and the outlier of the wind", """
     select 'all', min(temp), max(temp), min(dewp), max(dewp), min(pressure), max(pressure), max(wind_speed)::decimal(9, 5) from {observations}""",
     {("all",): (D("10.94"), D("100.04"), D("-9.94"), D("78.08"), D("983.8"), D("1042.1"), D("1048.36058"))}),
    ("the hour that daylight time folds is two hours: 8,714 distinct hours", "select 'all', count(distinct time_hour) from {observations}", {("all",): (8714,)}),
    ("the partitions of a row are its airport and month", """
     select 'wrong', count(*) from {observations} where airport <> origin or month_part <> strftime(time_hour, '%Y-%m')""", {("wrong",): (0,)}),
]


def filtered(rows):
    return {}
