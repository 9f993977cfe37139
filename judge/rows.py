"""Checks of rows: against the input, across formats, in order, dead letters, aggregates."""

import base64
import collections
import datetime
import hashlib
import math

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


class Shards:
    """What became of the shards of a stream, by its manifest."""

    def __init__(self, manifest):
        self.parents, self.drained = manifest["parents"], manifest["drained"]
        self.last = set(self.parents) - {p for parents in self.parents.values() for p in parents}
        self.root = {s: s for s in self.parents}
        for s, parents in self.parents.items():
            for p in parents:
                self.root = {k: self.root[s] if v == self.root[p] else v for k, v in self.root.items()}

    def family(self, shard):
        return self.root[shard]

    def reached(self, family, highs):
        """The event times that all, and that any, of the last shards of a family have come to. A child begins at the lower one of its parents."""
        if self.drained:
            return math.inf, math.inf
        def of(shard):
            above = min((of(p) for p in self.parents[shard]), default=-math.inf)
            return max(highs.get(shard, -math.inf), above)
        ends = [of(s) for s in self.last if self.root[s] == family]
        return min(ends), max(ends)


class Aggregate:
    """What an aggregate stage must yield, from the rows it reads.

    key and measures take a row: the key without its window, and numbers that add
    up, which are the columns named in sums. best holds columns of a least or
    greatest value: name -> (function, value of a row). whole says that all records of
    a key lie in one shard at a time, so that each window comes out once.
    """

    def __init__(self, folders, start, keys, size, grace, time, key, sums, measures, best=None, answers=None, whole=False):
        self.folders, self.start, self.keys, self.size, self.grace = folders, start, keys, size * 10**6, grace * 10**6
        self.time, self.key, self.sums, self.measures, self.best, self.answers, self.whole = time, key, sums, measures, best or {}, answers, whole

    def expected(self, files, shards):
        """Per family of shards, windows: {(start, key): numbers}, and the event times that all and that any of its last shards have reached."""
        highs, windows = {}, collections.defaultdict(dict)
        for f in files:
            for r in f.rows():
                t = micros(self.time(r))
                highs[f.shard] = max(t, highs.get(f.shard, t))
                self.add(windows[shards.family(f.shard)], (t - t % self.size, *self.key(r)), self.measures(r), {n: v(r) for n, (_, v) in self.best.items()})
        return {family: (all_of, *shards.reached(family, highs)) for family, all_of in windows.items()}

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
        """What the folder holds, and problems of rows that are there twice."""
        out, problems = collections.defaultdict(dict), []
        for f in lake.files(folder):
            for r in f.rows():
                start = r[self.start]
                at = micros(start) if isinstance(start, datetime.datetime) else (start - datetime.date(1970, 1, 1)).days * 86400 * 10**6
                k = (at, *(r[c] for c in self.keys))
                if k in out[f.shard]:
                    problems.append(f"{folder}: window {k} is there twice for {f.shard}")
                out[f.shard][k] = ([self.number(r[c]) for c in self.sums], {n: self.number(r[n]) for n in self.best})
        return out, problems

    number = staticmethod(lambda v: v)

    def check(self, lake, folder, files, shards):
        """Closed windows are there once for a shard, and exact in each family of shards; open ones are not there.

        A family is a shard and all that it became by splits and merges, in which its
        windows go on. Where its last shards have not come equally far, what lies between
        may be there in part.
        """
        by_shard, problems = self.stored(lake, folder)
        got = collections.defaultdict(dict)
        for shard, windows in by_shard.items():
            for k, (sums, best) in windows.items():
                if self.whole and k in got[shards.family(shard)]:
                    problems.append(f"{folder}: window {k} comes out of two shards, though its key lies in one")
                self.add(got[shards.family(shard)], k, sums, best)
        want = self.expected(files, shards)
        problems += [f"{folder}: windows of {family}, to which nothing was put" for family in got.keys() - want.keys()]
        for family, (all_of, least, most) in want.items():
            here = got[family]
            closed = {k: v for k, v in all_of.items() if k[0] + self.size <= least - self.grace}
            between = {k for k in all_of if k not in closed and k[0] + self.size <= most - self.grace}
            problems += differences({k: v for k, v in here.items() if k not in between}, closed, f"{folder} of {family}, window")
            problems += [f"{folder} of {family}: window {k} holds {here[k][0]} of {all_of[k][0]}" for k in between & here.keys() if any(h > w for h, w in zip(here[k][0][:1], all_of[k][0][:1]))]
        return problems

    def total(self, lake, folder):
        """The folder added up over shards: {(start, key): (sums, best)}."""
        out = {}
        for windows in self.stored(lake, folder)[0].values():
            for k, (sums, best) in windows.items():
                self.add(out, k, sums, best)
        return out


def against_answers(aggregate, lake, folder, answers, complete):
    """The aggregate, added up over shards, equals the answer file.

    Where a shard is still open, its last windows are: then what is there must not
    exceed the answer, and at least nine tenths of it must be complete.
    """
    got = {k: (tuple(s), tuple(sorted(b.items()))) for k, (s, b) in aggregate.total(lake, folder).items()}
    want = {k: (tuple(s), tuple(sorted(b.items()))) for k, (s, b) in answers.items()}
    if complete:
        return f"{folder}: the sum over shards is the answer file, {len(want)} rows", differences(got, want, "window")
    same = sum(got.get(k) == v for k, v in want.items())
    problems = [f"window {k} is not in the answers" for k in got.keys() - want.keys()]
    problems += [f"window {k}: {got[k]} exceeds {want[k]}" for k in got.keys() & want.keys() if got[k][0][0] > want[k][0][0]]
    if same < 0.9 * len(want):
        problems.append(f"only {same} of {len(want)} windows are complete")
    return f"{folder}: the sum over shards is the answer file in {same} of {len(want)} rows, the others are open", problems
