"""A Parquet or Arrow file as a shard of pictures; pyarrow reads it in a child process, which a crafted one may end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.errors import DataError, StepError
from edgecut.images.encoded import Classes, Encoded, LabelKind, LabelRequest, Targets
from edgecut.records.packages import missing
from edgecut.sandbox.child import Child, ChildDied, the_child
from edgecut.sandbox.wire import Header

WORKER = "edgecut.images.table_worker"


@dataclass(frozen=True, eq=False)
class TableShard:
    """The pictures of a file. columns: which are read, as the child told it."""

    path: Path
    columns: Mapping[str, object]
    rows: int
    labels: Classes | Targets | None
    label_kind: LabelKind | None
    unlabelled: str

    def __len__(self) -> int:
        """The number of pictures."""
        return self.rows

    def read(self, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
        """The pictures at sorted places. Raises DataError for a damaged file."""
        child = the_child(WORKER)
        number = child.number()
        try:
            _ask(child, self.path, where, {"do": "read", "number": number, "columns": self.columns}, chosen)
            while True:
                answer, contents = _ask(child, self.path, where, {"do": "next", "number": number})
                if not answer["places"]:
                    return
                rest = iter(contents)
                for place, has_bytes in zip(answer["places"], answer["has_bytes"], strict=True):
                    yield Encoded(f"{self.path}: {place}", next(rest).tobytes() if has_bytes else None)
        finally:
            child.unused.append(number)


def open_table(path: Path, where: str, request: LabelRequest) -> TableShard:
    """The pictures of a file and their labels, from its schema and the columns of labels alone.

    Raises DataError; MissingRuntimeError without pyarrow.
    """
    if (error := missing("pyarrow")) is not None:
        raise error
    header = {"do": "open", "picture": request.image_column, "labels": request.label_columns, "kind": request.kind}
    answer, arrays = _ask(the_child(WORKER), path, where, header)
    columns = answer["columns"]
    names = None if answer["names"] is None else tuple(answer["names"])
    labels: Classes | Targets | None = None
    if arrays:
        labels = Classes(arrays[0], names, bool(columns["declared"])) if request.kind == "classes" else None
        labels = labels or Targets(arrays[0], names)
    return TableShard(path, columns, answer["rows"], labels, columns["kind"], _unlabelled(columns, request))


def _unlabelled(columns: Header, request: LabelRequest) -> str:
    kind = columns["kind"]
    if kind is None or kind == request.kind or request.kind is None:
        return str(columns["unlabelled"])
    named = ", ".join(columns["labels"])
    return f"has {kind} in {named}, and {request.kind} are expected; set data.target = {kind!r} (--target {kind})"


def _ask(
    child: Child, path: Path, where: str, header: Mapping[str, object], *arrays: np.ndarray
) -> tuple[Header, list[np.ndarray]]:
    """The child's answer about a file. Raises DataError for a file that is damaged, or ends the child."""
    size_bytes = path.stat().st_size if path.exists() else 0
    common = {"path": str(path), "folder": "/" if path.is_absolute() else os.getcwd(), "where": where}
    limit = {"address_bytes": child.limits.address_bytes_for(size_bytes)}
    try:
        answer, contents, _ = child.ask({**common, **limit, **header}, arrays)
    except ChildDied as exc:
        _check_ready(where)
        raise DataError(f"{where}: {path} can't be read ({exc}); write or fetch it again") from exc
    if fault := answer.get("fault"):
        raise DataError(fault)
    return answer, contents


def _check_ready(where: str) -> None:
    """Nothing, if there can be a child at all: else it wasn't the file that ended one. Raises StepError."""
    try:
        the_child(WORKER).ask({"do": "ready"})
    except ChildDied as exc:
        raise StepError(f"{where}: Parquet and Arrow files can't be read ({exc})") from exc
