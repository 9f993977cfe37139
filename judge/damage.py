"""Damages a lake in one way, so that the judge can be judged: damage.py KIND LAKE.

    lost     a file is gone
    doubled  a file is there twice, under the name that the next commit would have given it
    flipped  a bit of a page is another one
    changed  one value of one row is another one, in a file that is whole
    swapped  two rows are in each other's place
"""

import os
import re
import sys

import fastavro

from lake import Lake


def main(kind, where):
    lake = Lake("dir:" + where, None)
    rows = [f for f in lake.files() if f.folder in ("quakes", "quakes_avro", "rows", "rows_avro")]
    parquet = next(f for f in rows if f.ext == "parquet")
    avro = next(f for f in rows if f.ext == "avro" and len(f.rows()) > 1)
    if kind == "lost":
        os.remove(parquet.local)
    elif kind == "doubled":
        name = re.sub(rf"-{parquet.commit:010d}-", f"-{parquet.commit + 1:010d}-", os.path.basename(parquet.local))
        with open(parquet.local, "rb") as f, open(os.path.join(os.path.dirname(parquet.local), name), "wb") as g:
            g.write(f.read())
    elif kind == "flipped":
        column = parquet.open().metadata.row_group(0).column(0)
        at = min(p for p in (column.data_page_offset, column.dictionary_page_offset) if p) + column.total_compressed_size - 1
        with open(parquet.local, "r+b") as f:
            f.seek(at)
            b = f.read(1)
            f.seek(at)
            f.write(bytes([b[0] ^ 1]))
    else:
        with open(avro.local, "rb") as f:
            r = fastavro.reader(f)
            schema, meta, data = r.writer_schema, r.metadata, list(r)
        if kind == "changed":
            data[0]["title" if "title" in data[0] else "key"] += "."
        elif kind == "swapped":
            data[0], data[1] = data[1], data[0]
        else:
            sys.exit(f"unknown damage {kind}")
        with open(avro.local, "wb") as f:
            fastavro.writer(f, schema, data, metadata={k: v for k, v in meta.items() if k.startswith("shardlake.")})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
