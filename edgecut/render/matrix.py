"""A matrix of builds as a table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from edgecut.records.matrix import Matrix
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.tables import STYLES, grid
from edgecut.render.words import NOTHING

_HEADINGS = ("size", "accuracy", "arena", "latency")


def matrix_table(matrix: Matrix) -> Group:
    """A row for each file of each build; underneath, why builds failed."""
    rows = list(_cells(matrix))
    axes = [axis.rpartition(".")[2] for axis in matrix.axes]
    # A column that says nothing takes the place of one that does.
    said = [k for k, column in enumerate(zip(*rows, strict=True)) if set(column) != {NOTHING}]
    headings = [*(f"~{axis}" for axis in axes), "~file", *_HEADINGS, "<status"]
    table = grid(*(headings[k] for k in said))
    for *cells, status in ([row[k] for k in said] for row in rows):
        table.add_row(*cells, Text(status, STYLES.get(status, "bold red")))
    return Group(table, *(Text(f"{row.name}: {row.error}") for row in matrix.rows if row.error))


def matrix_markdown(matrix: Matrix) -> str:
    """The same for a page of text."""
    headings = [*matrix.axes, "file", *_HEADINGS, "status"]
    rows = [headings, ["---"] * len(headings), *_cells(matrix)]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    faults = [f"- {row.name}: {row.error}" for row in matrix.rows if row.error]
    return "\n".join([f"# {matrix.name}", "", *lines, *(["", *faults] if faults else [])]) + "\n"


def _cells(matrix: Matrix) -> Iterator[list[str]]:
    for row in matrix.rows:
        settings = [row.settings[axis] for axis in matrix.axes]
        if not row.files:
            yield [*settings, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, row.status]
        for file in row.files:
            latency = [format_seconds(value) for value in file.latency.values() if value is not None]
            yield [
                *settings, _file_words(file.name.removeprefix(f"{matrix.name}.")), format_bytes(file.size_bytes),
                NOTHING if file.accuracy is None else f"{file.accuracy:.3f}",
                NOTHING if file.arena_bytes is None else format_bytes(file.arena_bytes),
                ", ".join(latency) or NOTHING, row.status,
            ]  # fmt: skip


def _file_words(name: str) -> str:
    """ "int8.tflite" as the other tables have it: "tflite int8"."""
    precision, _, kind = name.rpartition(".")
    return f"{kind} {precision}"
