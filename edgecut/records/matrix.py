"""One request built in several ways, a row each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgecut.records.document import Record
from edgecut.records.report import Check


class MatrixFile(Record):
    """A file of a row. latency: {profile: seconds}, as measured or estimated for it; None: unknown."""

    name: str
    size_bytes: int
    accuracy: float | None = None
    arena_bytes: int | None = None
    latency: dict[str, float | None] = Field(default_factory=dict)


class MatrixRow(Record):
    """One build. settings: {axis: value}. code: the exit code of its build. error: why it failed, "" if it didn't.

    bundle: its folder in the matrix's, None for a row that failed. checks: those of its limits that it doesn't meet.
    """

    name: str
    settings: dict[str, str]
    status: Literal["meets", "misses", "unknown", "failed"]
    code: int
    error: str = ""
    bundle: str | None = None
    files: tuple[MatrixFile, ...] = ()
    checks: tuple[Check, ...] = ()


class Matrix(Record):
    """matrix.json."""

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
