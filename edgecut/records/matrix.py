"""One request built in several ways, a row each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecut.records.document import Record
from edgecut.records.report import Check

CellState = Literal["meets", "misses", "unknown", "unsupported", "no limit"]


class MatrixCell(Record):
    """A file on a device. state: of its limits there; "unsupported": its runtime doesn't take such a file.

    latency in seconds, with its kind ("measured", "simulated", "estimated") and, of an estimate, its relative band;
    arena in bytes, with the same. None: unknown, and reason says why where that is known.
    """

    profile: str
    state: CellState
    latency: float | None = None
    latency_kind: str = ""
    latency_error: float | None = None
    arena_bytes: int | None = None
    arena_kind: str = ""
    arena_error: float | None = None
    reason: str = ""


class MatrixFile(Record):
    """A file of a row. latency: {profile: seconds}, as measured or estimated for it; None: unknown.

    cells: one for each device of the row. format, precision: of the file.
    """

    name: str
    format: str = ""
    precision: str = ""
    size_bytes: int
    accuracy: float | None = None
    arena_bytes: int | None = None
    latency: dict[str, float | None] = Field(default_factory=dict)
    cells: tuple[MatrixCell, ...] = ()


class MatrixRow(Record):
    """One build. settings: {axis: value}. code: the exit code of its build. error: why it failed, "" if it didn't.

    bundle: its folder in the matrix's, None for a row that failed. checks: those of its limits that it doesn't meet.
    status "unsupported": no device of the row takes any file of it, so nothing was built. title: what its files are
    called. unsupported: {device: why} of those that take none of its files.
    """

    name: str
    settings: dict[str, str]
    status: Literal["meets", "misses", "unknown", "failed", "unsupported"]
    code: int
    error: str = ""
    bundle: str | None = None
    files: tuple[MatrixFile, ...] = ()
    checks: tuple[Check, ...] = ()
    title: str = ""
    unsupported: dict[str, str] = Field(default_factory=dict)


class Matrix(Record):
    """matrix.json. name: what all rows are of."""

    schema_: Literal["edgecut.matrix/1"] = Field(default="edgecut.matrix/1", alias="schema")
    edgecut: str
    name: str
    axes: dict[str, tuple[str, ...]]
    rows: tuple[MatrixRow, ...]


def matrix_code(matrix: Matrix, strict: bool = False) -> int:
    """3 if a row failed, 1 if one misses a limit (or, if `strict`, has one that is unknown), else 0."""
    states = {row.status for row in matrix.rows}
    if "failed" in states:
        return 3
    return 1 if "misses" in states or (strict and "unknown" in states) else 0
