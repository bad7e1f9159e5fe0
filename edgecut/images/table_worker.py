"""The child process in which pyarrow reads files of others: it answers a message (sandbox/wire.py) on stdin by one on
stdout.

A reading of pictures stays open under its number until a message closes it, and gives some of them at a time. What is
wrong with a file is {"fault": "..."}; whatever else happens ends the process, and sandbox/child.py says of what.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edgecut.errors import DataError
from edgecut.images.arrow_labels import read_labels
from edgecut.images.arrow_table import TableColumns, columns_of, read_pictures, row_count
from edgecut.images.encoded import Encoded
from edgecut.sandbox.confined import limit_address_space, limited
from edgecut.sandbox.wire import Header, receive, send

_AT_ONCE, _AT_ONCE_BYTES = 64, 4 << 20  # pictures of an answer, and their bytes

Answer = tuple[Header, Sequence[np.ndarray]]


def main() -> None:
    """Answer until stdin ends."""
    stdin, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    readings: dict[int, Iterator[Encoded]] = {}
    while (message := receive(stdin)) is not None:
        header, arrays = message
        for number in header["close"]:
            readings.pop(number, None)
        limit_address_space(header["address_bytes"])
        with limited(header["seconds"]):
            try:
                answer = _answer(header, arrays, readings)
            except DataError as exc:
                answer = {"fault": str(exc)}, ()
        send(answers, *answer)


def _answer(header: Header, arrays: list[np.ndarray], readings: dict[int, Iterator[Encoded]]) -> Answer:
    if header["do"] == "ready":
        return {}, ()
    path, where = Path(header["path"]), header["where"]
    os.chdir(header["folder"])  # so that a path is said as the user wrote it
    if header["do"] == "open":
        columns = columns_of(path, where, header["picture"], header["labels"])
        lacks_classes = header["kind"] == "classes" and columns.kind != "classes"
        if columns.kind is None or header["kind"] is None or lacks_classes:
            return {"columns": asdict(columns), "rows": row_count(path, columns, where), "names": None}, ()
        labels = read_labels(path, columns, header["kind"], where)
        return {"columns": asdict(columns), "rows": len(labels.rows), "names": labels.names}, (labels.rows,)
    if header["do"] == "read":
        columns = TableColumns(**header["columns"])
        readings[header["number"]] = read_pictures(path, columns, arrays[0], where)
        return {}, ()
    some = _some(readings[header["number"]])
    contents = [np.frombuffer(each.content, np.uint8) for each in some if each.content is not None]
    return {"places": [e.place for e in some], "has_bytes": [e.content is not None for e in some]}, contents


def _some(pictures: Iterator[Encoded]) -> list[Encoded]:
    some, size_bytes = list[Encoded](), 0
    for each in pictures:
        some.append(each)
        size_bytes += len(each.content or b"")
        if len(some) == _AT_ONCE or size_bytes >= _AT_ONCE_BYTES:
            break
    return some


if __name__ == "__main__":
    main()
