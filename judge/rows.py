"""Checks of rows: against the input, across formats, in order, dead letters, aggregates."""

import base64
import collections
import datetime
import hashlib

import kpl
from report import differences

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def micros(t):
    """A time as microseconds since 1970. One without a zone would be a wrong type in the file."""
    if t.tzinfo is None:
        raise ValueError(f"{t} has no time zone")
    d = t - EPOCH
    return (d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds


def freeze(v):
    """A value that can be hashed and compared: maps are pairs, sorted."""
    if isinstance(v, datetime.datetime):
        return micros(v)
    if isinstance(v, dict):
        return tuple(sorted((k, freeze(w)) for k, w in v.items()))
    if isinstance(v, list):
        if v and all(isinstance(w, tuple) and len(w) == 2 for w in v):  # a map as pyarrow gives it
            return tuple(sorted((k, freeze(w)) for k, w in v))
        return tuple(freeze(w) for w in v)
    return v


def bag(rows, columns):
    """Rows as a multiset."""
    return collections.Counter(tuple(freeze(r[c]) for c in columns) for r in rows)


def equal(lake, folder, want, columns):
    """The folder holds exactly the wanted rows, as often, in all columns, nulls and text included."""
    return differences(bag(lake.rows(folder), columns), want, "row")


def order(lake, folder, want, key, columns):
    """Rows of one key lie in the order of the input, through commits, restarts and reshards."""
    def by_key(rows):
        out = collections.defaultdict(list)
        for r in rows:
            out[r[key]].append(tuple(freeze(r[c]) for c in columns))
        return out
    got, want = by_key(lake.rows(folder)), by_key(want)
    problems = [f"keys differ: {sorted(got.keys() ^ want.keys(), key=str)[:5]}"] if got.keys() != want.keys() else []
    for k in got.keys() & want.keys():
        if got[k] != want[k]:
            i = next((i for i, (a, b) in enumerate(zip(got[k], want[k])) if a != b), min(len(got[k]), len(want[k])))
            problems.append(f"key {k}: {len(got[k])} rows of {len(want[k])}, another one at {i}")
    return problems


def dead(lake, folder, manifest):
    """Dead letters are exactly the malformed records, with position, key and bytes as they were put."""
    got, problems = collections.Counter(), []
    for r in lake.rows(folder):
        got[r["lane"], r["seq"], r["sub"], r["key"], hashlib.sha256(r["data"]).hexdigest(), len(r["data"])] += 1
        if r["source"] != manifest["stream"] or not r["stage"] or not 0 < len(r["reason"].encode()) <= 1024 or micros(r["arrived"]) <= 0:
            problems.append(f"letter {r['seq']} of {r['lane']}: source {r['source']}, stage {r['stage']}, reason {r['reason']!r}, arrived {r['arrived']}")
    want = collections.Counter()
    for b in manifest["malformed"]:
        if "data" not in b:
            want[b["shard"], b["seq"], 0, b["key"], b["sha256"], b["bytes"]] += 1
            continue
        for sub, key, data in kpl.users(base64.b64decode(b["data"]), b["key"]):
            want[b["shard"], b["seq"], sub, key, hashlib.sha256(data).hexdigest(), len(data)] += 1
    return (f"{folder}: the {want.total()} dead letters are the {len(manifest['malformed'])} malformed records, aggregated ones taken apart, "
            "with position and bytes"), problems + differences(got, want, "letter")


class Aggregate:
    """What an aggregate stage must yield, from the rows it reads.

    key and measures take a row: the key without its window, and numbers that add
    up, which are the columns named in sums. best holds columns of a least or
    greatest value: name -> (function, value of a row).
    """

    def __init__(self, folders, start, keys, size, grace, time, key, sums, measures, best=None, answers=None):
        self.folders, self.start, self.keys, self.size, self.grace = folders, start, keys, size * 10**6, grace * 10**6
        self.time, self.key, self.sums, self.measures, self.best, self.answers = time, key, sums, measures, best or {}, answers

    def expected(self, files):
        """What all windows hold in the end, over all shards, and the event time that every shard has reached."""
        highs, windows = {}, {}
        for f in files:
            for r in f.rows():
                t = micros(self.time(r))
                highs[f.shard] = max(t, highs.get(f.shard, t))
                self.add(windows, (t - t % self.size, *self.key(r)), self.measures(r), {n: v(r) for n, (_, v) in self.best.items()})
        return windows, min(highs.values(), default=0)

    def add(self, windows, k, numbers, best):
        if k not in windows:
            windows[k] = (list(numbers), dict(best))
            return
        sums, old = windows[k]
        for i, n in enumerate(numbers):
            sums[i] += n
        for name, (choose, _) in self.best.items():
            old[name] = choose(v for v in (old[name], best[name]) if v is not None)

    def stored(self, lake, folder):
        """What the folder holds: {shard: {(start, key): numbers}}. A shard has a row of a window for each of two that were merged into it."""
        out = collections.defaultdict(dict)
        for f in lake.files(folder):
            for r in f.rows():
                start = r[self.start]
                at = micros(start) if isinstance(start, datetime.datetime) else (start - datetime.date(1970, 1, 1)).days * 86400 * 10**6
                k = (at, *(r[c] for c in self.keys))
                self.add(out[f.shard], k, [self.number(r[c]) for c in self.sums], {n: self.number(r[n]) for n in self.best})
        return out

    number = staticmethod(lambda v: v)

    def check(self, lake, folder, files):
        """Windows that every shard has passed are there, with exact numbers; those that are open somewhere, with no more than their rows."""
        want, passed = self.expected(files)
        got = self.total(lake, folder)
        closed = {k: v for k, v in want.items() if k[0] + self.size <= passed - self.grace}
        problems = differences({k: v for k, v in got.items() if k in closed}, closed, f"{folder}, window")
        problems += [f"{folder}: window {k} holds {v[0]} of {want.get(k)}" for k, v in got.items() if k not in want or v[0][0] > want[k][0][0]]
        return problems

    def total(self, lake, folder):
        """The folder added up over shards: {(start, key): (sums, best)}."""
        out = {}
        for windows in self.stored(lake, folder).values():
            for k, (sums, best) in windows.items():
                self.add(out, k, sums, best)
        return out


def against_answers(aggregate, lake, folder, answers, source):
    """The aggregate, added up over shards, equals the answer file.

    The last windows are open, in the shards that are or in those that took over from
    closed ones (all of them, where the grace is as long as the set is out of order):
    what is there must not exceed the answer, and what every shard has passed must be
    complete.
    """
    got = {k: (tuple(s), tuple(sorted(b.items()))) for k, (s, b) in aggregate.total(lake, folder).items()}
    want = {k: (tuple(s), tuple(sorted(b.items()))) for k, (s, b) in answers.items()}
    same = sum(got.get(k) == v for k, v in want.items())
    problems = [f"window {k} is not in the answers" for k in got.keys() - want.keys()]
    problems += [f"window {k}: {got[k]} exceeds {want[k]}" for k in got.keys() & want.keys() if got[k][0][0] > want[k][0][0]]
    passed = aggregate.expected(source)[1] - aggregate.grace
    problems += [f"window {k} is {got.get(k)}, and not {v}" for k, v in want.items() if k[0] + aggregate.size <= passed and got.get(k) != v]
    return f"{folder}: the sum over shards is the answer file in {same} of {len(want)} rows, the others are open", problems
