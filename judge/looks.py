"""A bucket that a fleet is writing, looked at again and again by pyarrow and fastavro."""

import collections
import io
import os
import re

import fastavro
import pyarrow.fs
import pyarrow.parquet

from lake import NAME, Position

# What the pipeline writes: numbers are counted for each folder alone.
ROWS, AVRO, DEAD = "events", "events_avro", "dead"
PART = re.compile(r"part=([^/]+)/")


class Broken(Exception):
    """What a reader must never see."""


class File:
    """One visible file, read whole."""

    def __init__(self, path, size, data):
        self.path, self.size, self.folder = path, size, path.partition("/")[0]
        m = NAME.search(path)
        if not m or self.folder not in (ROWS, AVRO, DEAD):
            raise Broken(f"{path} is not named like a file of this pipeline")
        self.commit, self.fence, self.id, self.number, ext = int(m[1]), int(m[2]), m[3], int(m[4]), m[5]
        if ext == "parquet":
            f = pyarrow.parquet.ParquetFile(io.BytesIO(data), page_checksum_verification=True)
            meta = {k.decode(): v.decode() for k, v in f.metadata.metadata.items() if k.startswith(b"shardlake.")}
            rows = f.read().to_pylist()
        else:
            r = fastavro.reader(io.BytesIO(data))
            meta, rows = r.metadata, list(r)
        self.shard = meta["shardlake.shard"]
        self.first, self.last = Position.parse(meta["shardlake.first"]), Position.parse(meta["shardlake.last"])
        if self.folder == DEAD:
            # The number is in the payload, whatever else is wrong with it.
            self.rows = [(int(re.search(rb'"n":(\d+)', r["data"])[1]), r["key"], int(r["seq"])) for r in rows]
        else:
            self.rows = [(r["n"], r["key"], None) for r in rows]
            part = PART.search(path)
            strange = [r for r in rows if not part or r["class"] != part[1] or r["key"][:1] != part[1]]
            if strange:
                raise Broken(f"{path} holds {strange[0]}, which is of another partition")
        if not self.rows:
            raise Broken(f"{path} has no rows")


class Bucket:
    """The bucket, and what was seen of it so far."""

    def __init__(self, endpoint, name, file=File):
        self.name, self.file = name, file
        self.s3 = pyarrow.fs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=endpoint.removeprefix("http://"), scheme="http", region="us-east-1", allow_bucket_creation=True)
        self.files = {}  # by path
        self.since = {}  # path to the number of the look that saw it first
        self.looks = self.tries = 0

    def create(self):
        self.s3.create_dir(self.name)

    def list(self):
        """One listing, {path: size}. It is made of pages and is no instant."""
        found = self.s3.get_file_info(pyarrow.fs.FileSelector(self.name, recursive=True))
        cut = len(self.name) + 1
        return {f.path[cut:]: f.size for f in found if f.type == pyarrow.fs.FileType.File and not f.path[cut:].startswith("_shardlake/")}

    def instant(self, tries):
        """A listing that is one instant, or None if none was found.

        Files only come. So when two listings are equal, one after the other, the
        bucket held exactly that between the end of the first and the beginning of the
        second. A file that goes is noticed by the caller.
        """
        before = self.list()
        for _ in range(tries):
            self.tries += 1
            now = self.list()
            if now == before:
                return now
            gone = before.keys() - now.keys()
            if gone:
                raise Broken(f"{min(gone)} was visible and is gone")
            before = now
        return None

    def read(self, path, size):
        with self.s3.open_input_stream(f"{self.name}/{path}") as f:
            data = f.read()
        if len(data) != size:
            raise Broken(f"{path} was listed with {size} bytes and has {len(data)}")
        return self.file(path, size, data)

    def reread(self):
        """All files as they are now."""
        return [self.read(path, size) for path, size in self.list().items()]

    def look(self, tries=40):
        """Looks once and reads what is new. False if no instant was found."""
        listed = self.instant(tries)
        if listed is None:
            return False
        gone = self.files.keys() - listed.keys()
        if gone:
            raise Broken(f"{min(gone)} was visible and is gone")
        self.looks += 1
        for path, size in listed.items():
            old = self.files.get(path)
            if old is None:
                self.files[path] = self.read(path, size)
                self.since[path] = self.looks
            elif old.size != size:
                raise Broken(f"{path} had {old.size} bytes and has {size}")
        return True


def numbers(files):
    """The files of each number: {folder: {number: [file, ...]}}."""
    out = {ROWS: collections.defaultdict(list), AVRO: collections.defaultdict(list), DEAD: collections.defaultdict(list)}
    for f in files:
        for row in f.rows:
            out[f.folder][row[0]].append(f)
    return out


def twice(by_number):
    """Problems of numbers that are there more than once."""
    for folder, found in by_number.items():
        for n, files in found.items():
            if len(files) > 1:
                yield f"number {n} is {len(files)} times in {folder}: " + " and ".join(f.path for f in files[:3])


def uncommitted(files, rows):
    """Problems of files that are visible although their commit is not in the lease rows, which were read later."""
    for f in files:
        row = rows.get(f.shard)
        if row is None:
            yield f"{f.path} is visible and {f.shard} has no lease row"
        elif f.commit > row.get("sl_cn", 0) or f.commit == row.get("sl_cn", 0) and f.id != row.get("sl_cid"):
            yield f"{f.path} is visible, and {f.shard} has committed {row.get('sl_cn', 0)} as {row.get('sl_cid')}"
