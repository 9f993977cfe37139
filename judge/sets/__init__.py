"""What each data set must become: rows from the input, as plain Python reads it, and the questions of its answers."""

import gzip


def lines(path):
    """The lines of a file as bytes."""
    data = open(path, "rb").read()
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    return data.removesuffix(b"\n").split(b"\n")
