"""Checks of files as files: footers, pages, statistics, metadata, ranges."""

import collections

import pyarrow.compute as pc
import pyarrow.types as pt

from lake import Position

PAIRS = ["application", "stream", "shard", "tag", "commit", "commit-id", "fence", "after", "first", "last", "rows", "schema", "min-time", "max-time"]


def entries(value, kind, path):
    """How many entries a value gives the leaf column at path: a null or empty list gives one."""
    if not path:
        return 1
    if pt.is_struct(kind):
        child = kind.field(path[0]).type
        return entries(None if value is None else value[path[0]], child, path[1:])
    if pt.is_map(kind):  # key_value.key or key_value.value
        if not value:
            return 1
        child = kind.key_type if path[1] == "key" else kind.item_type
        return sum(entries(k if path[1] == "key" else v, child, path[2:]) for k, v in value)
    if pt.is_list(kind):  # list.element
        if not value:
            return 1
        return sum(entries(v, kind.value_type, path[2:]) for v in value)
    raise ValueError(f"{kind} has no member {path}")


def parquet(files):
    """Every page has a right checksum, and every column chunk as many values as there are rows."""
    problems, chunks = [], 0
    for f in files:
        p = f.open()
        meta, schema = p.metadata, p.schema_arrow
        rows = 0
        for g in range(meta.num_row_groups):
            group = meta.row_group(g)
            rows += group.num_rows
            table = p.read_row_group(g)  # reads, and so verifies, every page
            if table.num_rows != group.num_rows:
                problems.append(f"{f.path}: row group {g} holds {table.num_rows} rows, its footer says {group.num_rows}")
            for c in range(group.num_columns):
                chunks += 1
                problems += chunk(f, group.column(c), group.num_rows, table, schema)
        if rows != meta.num_rows or int(f.meta["shardlake.rows"]) != rows:
            problems.append(f"{f.path}: {rows} rows in groups, {meta.num_rows} in the footer, {f.meta['shardlake.rows']} in the metadata")
    return f"{chunks} column chunks of {len(files)} Parquet files: checksums, counts of values and statistics are right", problems


def chunk(f, col, num_rows, table, schema):
    path = col.path_in_schema.split(".")
    kind = schema.field(path[0]).type
    want = num_rows
    if pt.is_nested(kind):
        want = sum(entries(v, kind, path[1:]) for v in table.column(path[0]).to_pylist(maps_as_pydicts=None))
    if col.num_values != want:
        return [f"{f.path}: column chunk {col.path_in_schema} says {col.num_values} values, it has {want}"]
    s = col.statistics
    if pt.is_nested(kind) or s is None:
        return []
    data = table.column(path[0])
    problems = []
    if s.has_null_count and s.null_count != data.null_count:
        problems.append(f"{f.path}: {col.path_in_schema} says {s.null_count} nulls, it has {data.null_count}")
    if s.has_min_max and data.null_count < len(data) and not (pt.is_decimal(kind) or pt.is_boolean(kind)):
        low, high = (v.as_py() for v in pc.min_max(data).values())
        # Long strings may be cut, down for the least and up for the greatest.
        if not (s.min <= low and s.max >= high) or not pt.is_string(kind) and not pt.is_binary(kind) and (s.min, s.max) != (low, high):
            problems.append(f"{f.path}: {col.path_in_schema} says {s.min!r} to {s.max!r}, it has {low!r} to {high!r}")
    return problems


def metadata(files, manifest, aggregates):
    """Footers and headers tell stream, shard, commit and range, and agree with the file's name.

    An aggregate's rows come from the newest record that its stage had seen, which
    may be the last one of the commit before. Before a shard's first record it may have
    windows that its parents left.
    """
    problems = []
    for f in files:
        m = {k.removeprefix("shardlake."): v for k, v in f.meta.items()}
        if sorted(m) != sorted(PAIRS):
            problems.append(f"{f.path}: metadata has {sorted(m)}")
            continue
        if (m["stream"], m["application"]) != (manifest["stream"], manifest["application"]):
            problems.append(f"{f.path}: is of {m['application']} on {m['stream']}")
        left = f.folder in aggregates and m["first"] == m["last"] == m["after"] == "" and manifest["parents"].get(m["shard"])
        if m["shard"] not in manifest["last"] and not left:
            problems.append(f"{f.path}: nothing was put to shard {m['shard']}")
        elif not left and f.last > Position(int(manifest["last"][m["shard"]]), 0):
            problems.append(f"{f.path}: ends at {m['last']}, beyond the last record put")
        if (int(m["commit"]), int(m["fence"]), m["commit-id"]) != (f.commit, f.fence, f.id):
            problems.append(f"{f.path}: its metadata says commit {m['commit']}, fence {m['fence']}, id {m['commit-id']}")
        new = f.first > Position.parse(m["after"]) or f.folder in aggregates and f.first == Position.parse(m["after"])
        if not left and (not new or f.last < f.first or m["first"] == ""):
            problems.append(f"{f.path}: range {m['first']} to {m['last']} after {m['after']}")
        if int(m["rows"]) != len(f.rows()):
            problems.append(f"{f.path}: {len(f.rows())} rows, its metadata says {m['rows']}")
    return problems


def ranges(lake, folder, aggregate):
    """Files of one shard and two commits cover ranges of the stream that do not overlap.

    An aggregate's row comes from the newest record that its stage had seen, which
    may be one of the commit before: there, ranges may touch.
    """
    commits = collections.defaultdict(list)
    for f in lake.files(folder):
        commits[f.shard, f.commit].append(f)
    problems, last, ids = [], {}, {}
    for (shard, commit), files in sorted(commits.items()):
        if len({f.id for f in files}) != 1:
            problems.append(f"commit {commit} of {shard} has files of several attempts: {sorted({f.id for f in files})}")
        begin, end = min(f.first for f in files), max(f.last for f in files)
        if shard in last and not (begin > last[shard] or aggregate and begin == last[shard]):
            problems.append(f"commit {commit} of {shard} begins at {begin}, the one before ended at {last[shard]}")
        after = Position.parse(files[0].meta["shardlake.after"])
        if not aggregate and begin <= after:
            problems.append(f"commit {commit} of {shard} begins at {begin}, although {after} was committed")
        last[shard] = end
    return problems


def types(lake, folder, want):
    """Every Parquet file of a folder has the columns and types that the row type says."""
    problems = []
    for f in lake.files(folder):
        got = {c.name: str(c.type) for c in f.open().schema_arrow}
        if got != want:
            problems.append(f"{f.path}: {sorted(set(got.items()) ^ set(want.items()))}")
    return problems


def same_schema(lake, *folders):
    """All files of the folders have one schema: a reader sees one table, in either format."""
    files = [f for folder in folders for f in lake.files(folder)]
    marks = {f.meta["shardlake.schema"] for f in files}
    schemas = {str(f.open().schema_arrow.remove_metadata()) for f in files if f.ext == "parquet"}
    return [f"{folders}: {len(marks)} fingerprints, {len(schemas)} Parquet schemas"] if len(marks) > 1 or len(schemas) > 1 else []
