"""What the folders of the case stateful must hold: SQL over the input for what does not depend on the order of records,
and an account of each lane's watermark, from the order of the records alone, for what does."""

import bisect
import collections
import hashlib
import math

import pyarrow

from sets import lines

FILES = {"web-access": "events.jsonl.gz", "machine-sensors": "readings.jsonl.gz"}

# The events of a set, from the text of its lines; t is in microseconds.
EVENTS = {
    "web-access": """
        select i, line ->> 'ip' as key, line ->> 'status' as kind, epoch_us((line ->> 'time')::timestamptz) as t, coalesce((line ->> 'bytes')::double, 0) as value,
          (line ->> 'method') || ' ' || (line ->> 'path') || ' ' || (line ->> 'status') || ' ' || coalesce(line ->> 'bytes', '-') as row""",
    "machine-sensors": """
        select i, line ->> 'sensor' as key, split_part(line ->> 'sensor', '/', 1) as kind, epoch_us((line ->> 'time')::timestamp) as t, (line ->> 'value')::double as value,
          line ->> 'n' as row""",
}
NUMBERS = "count(*), sum(floor(value)::bigint)::bigint, list(value), min(value), max(value)"


def put_order(n):
    """The lines of a set in the order that they are put: (line, whether it is marked as put again)."""
    order = []
    for j in range(n):
        order.append((j, False))
        order += [(i, False) for i in range(max(0, j - 3), j) if i % 11 == 3 and i + 1 + i % 3 == j]
        if j >= 3000 and (j - 3000) % 501 == 7:
            order.append((j - 3000, True))
    return order


class Input:
    """The records of a set as they were put, as a table of DuckDB and as tuples."""

    def __init__(self, db, name, path):
        self.db, self.name, self.lines = db, name, [x.decode() for x in lines(path)]
        self.order = put_order(len(self.lines))
        db.register("lines_in", pyarrow.table({"i": range(len(self.lines)), "line": self.lines}))
        db.register("order_in", pyarrow.table({"turn": range(len(self.order)), "i": [i for i, _ in self.order], "again": [a for _, a in self.order]}))
        db.execute(f"create or replace table put as from ({EVENTS[name]} from (select i, line::json as line from lines_in)) join order_in using (i)")
        # The stages of sure windows do not see what was put again so much later.
        db.execute("create or replace view events as from put where not again")
        self.put = db.execute("select again, key, t, value, row, i from put order by turn").fetchall()
        self.hash = {k: int.from_bytes(hashlib.md5(k.encode()).digest(), "big") for k in {p[1] for p in self.put}}
        assert len(self.put) == len(self.order), "each record has one row"

    def data(self, at):
        """The bytes of a record, as text."""
        again, i = self.put[at][0], self.put[at][5]
        return self.lines[i][:-1] + ',"again":true}' if again else self.lines[i]

    def query(self, sql):
        return self.db.execute(sql).fetchall()


def total(key, start, end, pane, count, units, values, least, most):
    """A row of Total, sums of floats being exact and rounded once."""
    s = math.fsum(values)
    return (key, start, end, pane, count, units, s, least, most, s, count)


def sure(inp, cut):
    """Rows of the folders whose windows miss nothing, by folder, in SQL."""
    w, hops, gap = cut["Window"], cut["Hops"], cut["Gap"]
    return {
        "tumbling": counted(total(k, s, s + w, 0, *n) for k, s, *n in inp.query(
            f"select key, t // {w} * {w} as s, {NUMBERS} from events group by all")),
        "hopping": counted(total(k, s, s + hops * w, 0, *n) for k, s, *n in inp.query(
            f"select key, (t // {w} - h) * {w} as s, {NUMBERS} from events, range({hops}) hops(h) group by all")),
        "sessions": counted(total(k, s, e + gap, 0, *n) for k, s, e, _, *n in inp.query(f"""
            with gaps as (select *, t - lag(t) over (partition by key order by t) as rest from events),
            islands as (select *, sum(coalesce(rest >= {gap}, true)::int) over (partition by key order by t rows unbounded preceding) as island from gaps)
            select key, min(t), max(t), island, {NUMBERS} from islands group by key, island""")),
        "bounded": counted(bounded(inp, gap, cut["Longest"])),
        "parts": {(k, s): (c, u, math.fsum(v), lo, hi) for k, s, c, u, v, lo, hi in inp.query(
            f"select kind, t // {w} * {w} as s, {NUMBERS} from events group by all")},
    }


def counted(rows):
    return collections.Counter(rows)


def bounded(inp, gap, longest):
    """Sessions no longer than longest: each record joins the oldest that it touches and does not make too long, or begins
    one, and sessions that touch become one unless it is too long."""
    sessions = collections.defaultdict(list)  # [first, last, values] by key
    for again, key, t, value, _, _ in inp.put:
        if again:
            continue
        mine = sessions[key]
        # Only those at the end can be near: times step back by less than the sessions of a few gaps.
        near = [s for s in mine[-12:] if t - s[1] < gap and s[0] - t < gap and max(s[1], t) - min(s[0], t) <= longest]
        if not near:
            at = bisect.bisect_right([s[0] for s in mine], t)
            mine.insert(at, [t, t, [value]])
            continue
        s = near[0]
        s[2].append(value)
        if s[0] <= t <= s[1]:
            continue
        s[0], s[1] = min(s[0], t), max(s[1], t)
        while True:
            o = next((o for o in mine[-13:] if o is not s and s[0] - o[1] < gap and o[0] - s[1] < gap and max(s[1], o[1]) - min(s[0], o[0]) <= longest), None)
            if o is None:
                break
            mine.remove(o)
            s[0], s[1], s[2] = min(s[0], o[0]), max(s[1], o[1]), s[2] + o[2]
        mine.sort(key=lambda s: s[0])
    for key, mine in sessions.items():
        for first, last, values in mine:
            yield total(key, first, last + gap, 0, len(values), sum(math.floor(v) for v in values), values, min(values), max(values))


class Lanes:
    """Which shard each record went to, and the watermark that counts for it there.

    A shard's watermark is the highest time that it has seen. A child begins with that of its parent; that of two parents with
    the lower one, and for the hash keys of each parent with that parent's.
    """

    def __init__(self, run, inp):
        self.shards = {s["id"]: s for s in run["shards"]}
        self.high, self.floors = {}, collections.defaultdict(list)
        for s in run["shards"]:
            if not s["parents"]:
                self.high[s["id"]] = -math.inf
        reshards = {r["after"]: r["closed"] for r in run["reshards"]}
        self.count = collections.Counter()
        self.marks = []
        where = {}  # shard by key
        for at, (_, key, t, *_) in enumerate(inp.put):
            if at in reshards:
                self.reshard(reshards[at])
                where = {}
            if key not in where:
                where[key] = next(s for s in self.high if self.shards[s]["low"] <= inp.hash[key] <= self.shards[s]["high"])
            lane = where[key]
            self.count[lane] += 1
            self.high[lane] = high = max(self.high[lane], t)
            for floor, low, up in self.floors.get(lane, ()):
                if low <= inp.hash[key] <= up:
                    high = max(high, floor)
            self.marks.append(high)
        if len(inp.put) in reshards:
            self.reshard(reshards[len(inp.put)])
        for lane in self.high:  # the record that ends it
            self.count[lane] += 1

    def reshard(self, closed):
        for child in [s for s in self.shards.values() if s["parents"] and set(s["parents"]) <= set(closed)]:
            parents = [self.shards[p] for p in child["parents"]]
            self.high[child["id"]] = min(self.high[p["id"]] for p in parents)
            for p in parents:
                self.floors[child["id"]] += self.floors[p["id"]] + [(self.high[p["id"]], p["low"], p["high"])]
        for p in closed:
            del self.high[p]


def unsure(inp, cut, marks):
    """Rows of the folders that depend on watermarks, one of each record in marks, by folder."""
    rows = {"late": collections.Counter()}
    w, hops, narrow = cut["Window"], cut["Hops"], cut["Narrow"]
    for stage, size, every, lateness in (("late_tumbling", w, w, narrow), ("late_hopping", hops * w, w, narrow), ("panes", cut["Pane"], cut["Pane"], narrow + cut["Late"])):
        spans = collections.defaultdict(list)
        for at, (_, key, t, value, _, _) in enumerate(inp.put):
            missed = False
            for start in range(t // every * every - size + every, t // every * every + 1, every):
                if marks[at] - lateness >= start + size:
                    missed = True
                else:
                    spans[key, start].append(value)
            if missed:
                rows["late"][stage, key, inp.data(at)] += 1
        rows[stage] = counted(total(k, s, s + size, 0, len(v), sum(math.floor(x) for x in v), v, min(v), max(v)) for (k, s), v in spans.items())
    rows["distinct"] = distinct(inp, cut["TTL"], marks)
    rows["running"] = running(inp, cut, marks)
    return rows


def distinct(inp, ttl, marks):
    """The first record of each event, and those that come when ttl has passed since the one that was passed on."""
    until, out = {}, collections.Counter()
    for at, (_, key, t, value, row, _) in enumerate(inp.put):
        if marks[at] >= until.get((key, t, row), -math.inf):
            until[key, t, row] = max(t, marks[at]) + ttl
            out[key, row, t, value] += 1
    return out


def running(inp, cut, marks):
    """Counts of each key, until none of its records has come for a while."""
    cells, out = {}, collections.Counter()  # cell: count, last time, when it is woken
    for at, (_, key, t, *_) in enumerate(inp.put):
        c = cells.get(key)
        if c and c[2] <= marks[at]:
            out[key, c[2], c[0], True] += 1
            c = None
        count, last = (c[0] + 1, max(c[1], t)) if c else (1, t)
        cells[key] = count, last, max(last + cut["Quiet"], marks[at] + 1)
        if count % cut["Every"] == 0:
            out[key, t, count, False] += 1
    for key, (count, _, wake) in cells.items():
        out[key, wake, count, True] += 1
    return out
