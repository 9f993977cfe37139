"""A lake as outside readers see it: a folder, or a copy of a bucket."""

import collections
import os
import re

import fastavro
import pyarrow
import pyarrow.fs
import pyarrow.parquet

# sl-TAG-SHARD-COMMIT-FENCE-ID-FILE.EXT
NAME = re.compile(r"sl-[0-9a-f]{10}-(?:\d{1,12}|x)-(\d{10})-(\d{6,})-([0-9a-f]{16})-(\d{3,})\.(parquet|avro)$")


class Position(collections.namedtuple("Position", "seq sub")):
    """A sequence number, as an integer, and the index of a user record inside."""

    @classmethod
    def parse(cls, text):
        if text == "":
            return cls(-1, 0)
        seq, _, sub = text.partition(".")
        return cls(int(seq), int(sub))


class File:
    """One data file. Its metadata is what the product wrote into footer or header."""

    def __init__(self, root, path):
        self.path, self.local, self.folder = path, os.path.join(root, path), path.split(os.sep)[0]
        m = NAME.search(os.path.basename(path))
        if not m:
            raise ValueError(f"{path} is not named like a file of the product")
        self.commit, self.fence, self.id, self.number, self.ext = int(m[1]), int(m[2]), m[3], int(m[4]), m[5]
        self._meta = self._rows = None

    def open(self):
        """The file as pyarrow reads it, with page checksums verified."""
        return pyarrow.parquet.ParquetFile(self.local, page_checksum_verification=True)

    def _read(self):
        if self.ext == "parquet":
            f = self.open()
            raw = f.metadata.metadata or {}
            self._meta = {k.decode(): v.decode() for k, v in raw.items() if k.startswith(b"shardlake.")}
            self._rows = f.read().to_pylist()
            return
        with open(self.local, "rb") as f:
            r = fastavro.reader(f)
            self._meta = {k: v for k, v in r.metadata.items() if k.startswith("shardlake.") and k != "shardlake.padding"}
            self._rows = list(r)

    @property
    def meta(self):
        if self._meta is None:
            self._read()
        return self._meta

    def rows(self):
        """All rows as dictionaries."""
        if self._rows is None:
            self._read()
        return self._rows

    def drop(self):
        """Forgets the rows."""
        self._rows = None

    @property
    def shard(self):
        return self.meta["shardlake.shard"]

    @property
    def first(self):
        return Position.parse(self.meta["shardlake.first"])

    @property
    def last(self):
        return Position.parse(self.meta["shardlake.last"])


class Lake:
    """dir:PATH, or s3:BUCKET@ENDPOINT copied to a folder first."""

    def __init__(self, where, work):
        kind, _, rest = where.partition(":")
        self.s3 = self.bucket = None
        if kind == "dir":
            self.root = rest
        elif kind == "s3":
            self.bucket, _, endpoint = rest.partition("@")
            self.s3 = pyarrow.fs.S3FileSystem(
                access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
                endpoint_override=endpoint.removeprefix("http://"), scheme="http", region="us-east-1")
            self.root = os.path.join(work, self.bucket)
            os.makedirs(self.root)
            pyarrow.fs.copy_files(self.bucket, self.root, source_filesystem=self.s3)
        else:
            raise ValueError(f"lake {where}: want dir:PATH or s3:BUCKET@ENDPOINT")
        self.folders = collections.defaultdict(list)
        self.strange = []
        for base, dirs, names in os.walk(self.root):
            if "_shardlake" in dirs:
                dirs.remove("_shardlake")
            for n in names:
                path = os.path.relpath(os.path.join(base, n), self.root)
                try:
                    f = File(self.root, path)
                    f.meta["shardlake.shard"]  # reads the file: none that cannot be read is among the others
                    self.folders[f.folder].append(f)
                except Exception as e:  # whatever a reader throws at a bad file
                    self.strange.append(f"{path}: {type(e).__name__}: {e}")
        for files in self.folders.values():
            files.sort(key=lambda f: (f.shard, f.commit, f.number))

    def files(self, folder=None):
        """The files of a folder by shard, commit and number in it; all files without one."""
        if folder is not None:
            return self.folders.get(folder, [])
        return [f for name in sorted(self.folders) for f in self.folders[name]]

    def rows(self, folder):
        """All rows of a folder, each shard's in the order it was written."""
        for f in self.files(folder):
            yield from f.rows()

    def unfinished(self, killed):
        """Files of a local lake that are staged and never became visible.

        A process that is killed inside the making of an upload may leave its
        description, without bytes, for a day, and one that is killed while it tries
        whether the folder takes hard links what it tried with; nobody else may leave
        anything.
        """
        staging = os.path.join(self.root, "_shardlake", "staging")
        names = sorted(os.listdir(staging)) if os.path.isdir(staging) else []
        remains = [n for n in names if n.endswith(".upload") and n.replace(".upload", ".data") not in names or n.endswith((".probe", ".probe2"))]
        return [n for n in names if not (killed and n in remains)]
