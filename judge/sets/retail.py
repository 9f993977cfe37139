import datetime
import json

from answers import D, at
from rows import Aggregate

from . import lines

ROWS, AVRO, KEY = "lines", "lines_avro", "invoice_no"
TYPES = {
    "invoice_no": "string", "stock_code": "string", "description": "string", "quantity": "int64", "invoice_date": "timestamp[us, tz=UTC]",
    "unit_price": "decimal128(18, 3)", "amount": "decimal128(18, 3)", "customer_id": "int64", "country": "string",
}


def expected(path):
    for line in lines(path):
        r = json.loads(line, parse_float=D)
        yield {
            "invoice_no": str(r["InvoiceNo"]), "stock_code": str(r["StockCode"]), "description": r["Description"], "quantity": r["Quantity"],
            "invoice_date": datetime.datetime.fromisoformat(r["InvoiceDate"]).replace(tzinfo=datetime.timezone.utc),
            "unit_price": r["UnitPrice"], "amount": r["Quantity"] * r["UnitPrice"],
            "customer_id": None if r["CustomerID"] is None else int(r["CustomerID"]), "country": r["Country"],
        }


def measures(r):
    return (1, r["quantity"], r["amount"])


HOUR, MINUTE = "answers-hour-country.csv", "answers-minute.csv.gz"
AGGREGATES = [
    Aggregate(["hour_country", "hour_country_avro"], "hour_start", ["country"], 3600, 60, lambda r: r["invoice_date"], lambda r: (r["country"],),
              ["count", "sum_quantity", "sum_amount", "null_customer"], lambda r: (*measures(r), int(r["customer_id"] is None)), answers=HOUR),
    Aggregate(["minute"], "minute_start", [], 60, 60, lambda r: r["invoice_date"], lambda r: (),
              ["count", "sum_quantity", "sum_amount"], measures, answers=MINUTE),
]


def answer(a, r):
    if a.answers == HOUR:
        return (at(r["hour_start"]), r["country"]), ([D(r[c]) for c in a.sums], {})
    return (at(r["minute_start"]),), ([D(r[c]) for c in a.sums], {})


QUESTIONS = [
    (HOUR, "count, quantity, exact amount and null customers per hour and country", """
     select epoch_us(date_trunc('hour', invoice_date)), country, count(*), sum(quantity), sum(amount), count(*) - count(customer_id)
     from {lines} group by all""", lambda r: ((at(r["hour_start"]), r["country"]), (D(r["count"]), D(r["sum_quantity"]), D(r["sum_amount"]), D(r["null_customer"])))),
    (MINUTE, "count, quantity and exact amount per minute, with the amount computed by the reader", """
     select epoch_us(date_trunc('minute', invoice_date)), count(*), sum(quantity), sum(quantity * unit_price) from {lines} group by all""",
     lambda r: ((at(r["minute_start"]),), (D(r["count"]), D(r["sum_quantity"]), D(r["sum_amount"])))),
]

FIGURES = [
    ("rows, quantity, exact turnover, invoices, products, customers, countries", """
     select 'all', count(*), sum(quantity), sum(amount), count(distinct invoice_no), count(distinct stock_code), count(distinct customer_id), count(distinct country) from {lines}""",
     {("all",): (245903, 2292167, D("4397950.761"), 12795, 3651, 3002, 37)}),
    ("least and greatest quantity and price, null customers and descriptions, zero prices", """
     select 'all', min(quantity), max(quantity), min(unit_price), max(unit_price), count(*) - count(customer_id), count(*) - count(description), count(*) filter (unit_price = 0) from {lines}""",
     {("all",): (-74215, 74215, 0, 38970, 69014, 924, 1478)}),
    ("pound signs, double quotes and outer blanks of descriptions", """
     select 'all', count(*) filter (contains(description, '£')), count(*) filter (contains(description, '"')), count(*) filter (description <> trim(description)) from {lines}""",
     {("all",): (22, 704, 46760)}),
    ("the partition of a row is its country", "select 'wrong', count(*) from {lines} where country_part <> country", {("wrong",): (0,)}),
]


def filtered(rows):
    return {"taken_back": [r for r in rows if r["quantity"] < 0]}
