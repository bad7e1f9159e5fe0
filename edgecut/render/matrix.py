"""A matrix of builds as a table, as a page, and as text for a page of others."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from edgecut.records.matrix import Matrix, MatrixFile, MatrixRow
from edgecut.records.report import Check
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.grid import grid, line
from edgecut.render.page_parts import Column, sentences, state_html, table
from edgecut.render.templating import html, markdown, part
from edgecut.render.words import NOTHING, STYLES, fraction_words, limit_words, value_words

_HEADINGS = ("size", "accuracy", "arena", "latency")


def matrix_table(matrix: Matrix) -> Group:
    """A row for each file of each build; underneath, why builds failed, and which limits aren't met."""
    names = [axis.rpartition(".")[2] for axis in matrix.axes]
    # The axes share a column that breaks between their values: one for each would break within them.
    rows = [
        [" ".join(row.settings[axis] for axis in matrix.axes), *words, row.status]
        for row in matrix.rows
        for words in _files(matrix, row)
    ]
    headings = ["~" + " ".join(names), "~file", *_HEADINGS, "<status"]
    kept = [k for k in range(len(headings)) if k != 1 or any(len(row.files) > 1 for row in matrix.rows)]
    # A column that says nothing takes the place of one that does.
    said = [k for k in kept if {row[k] for row in rows} != {NOTHING}]
    found = grid(*(headings[k] for k in said))
    for row in rows:
        cells = [row[k] for k in said]
        found.add_row(*cells[:-1], Text(cells[-1], STYLES.get(cells[-1], "bold red")))
    return Group(found, *(line(sentence) for sentence in _remarks(matrix)))


def matrix_markdown(matrix: Matrix) -> str:
    """The same for a page of text."""
    headings = [*matrix.axes, "file", *_HEADINGS, "status"]
    rows = [[*cells, row.status] for row, cells in _cells(matrix)]
    return markdown("matrix", name=matrix.name, headings=headings, rows=rows, remarks=_remarks(matrix))


def render_matrix(matrix: Matrix) -> str:
    """The page of a matrix, from which each row's own page can be reached."""
    columns = [*(Column(axis) for axis in matrix.axes), Column("file"), *(Column(name, True) for name in _HEADINGS)]
    columns += [Column("status"), Column("report")]
    rows = [[*cells, state_html(row.status), _link(row)] for row, cells in _cells(matrix)]
    states = [row.status for row in matrix.rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    sections = (
        ("Builds", table(columns, rows)),
        ("Limits that aren't met, and rows that failed", sentences(_remarks(matrix))),
    )
    return html(
        "matrix", title=f"matrix: {matrix.name}", sections=sections, style="", script="", matrix=matrix, counts=counts
    )


def _cells(matrix: Matrix) -> Iterator[tuple[MatrixRow, list[str]]]:
    for row in matrix.rows:
        for words in _files(matrix, row):
            yield row, [*(row.settings[axis] for axis in matrix.axes), *words]


def _files(matrix: Matrix, row: MatrixRow) -> list[list[str]]:
    """The cells of each file of a row; a line of dashes for a row without any."""
    elsewhere = any(name != "host" for other in matrix.rows for file in other.files for name in file.latency)
    found = [
        [
            _file_words(file.name.removeprefix(f"{matrix.name}.")),
            format_bytes(file.size_bytes),
            NOTHING if file.accuracy is None else fraction_words(file.accuracy),
            NOTHING if file.arena_bytes is None else format_bytes(file.arena_bytes),
            _latency(file, elsewhere),
        ]
        for file in row.files
    ]
    return found or [[NOTHING] * (1 + len(_HEADINGS))]


def _latency(file: MatrixFile, elsewhere: bool) -> str:
    """The time on the row's device, with names where it has several; this machine's only where there is no other.

    elsewhere: whether the column holds times of other devices, so that this machine's is told from them.
    """
    known = {name: format_seconds(value) for name, value in file.latency.items() if value is not None}
    devices = {name: words for name, words in known.items() if name != "host"} or known
    if len(devices) < 2 and not (elsewhere and "host" in devices):
        return "".join(devices.values()) or NOTHING
    return ", ".join(f"{name} {words}" for name, words in devices.items())


def _remarks(matrix: Matrix) -> list[str]:
    """Why rows failed, and which limits they don't meet; each reason once, behind the rows that it holds for."""
    rows: dict[str, list[str]] = {}
    for row in matrix.rows:
        for reason in [*([row.error] if row.error else []), *(_check_words(matrix, check) for check in row.checks)]:
            rows.setdefault(reason, []).append(row.name)
    return [f"{', '.join(names)}: {reason}" for reason, names in rows.items()]


def _check_words(matrix: Matrix, check: Check) -> str:
    of = f" of {_file_words(check.artifact.removeprefix(f'{matrix.name}.'))}" if check.artifact else ""
    on = f" on {check.profile}" if check.profile else ""
    found = f"{value_words(check.value, check.unit)}, " if check.value is not None else ""
    why = f" ({check.reason})" if check.reason else ""
    return f"{check.state} {check.metric}{of}{on}: {found}limit {limit_words(check)}{why}"


def _link(row: MatrixRow) -> str:
    return NOTHING if row.bundle is None else part("link", row.bundle)


def _file_words(name: str) -> str:
    """ "int8.tflite" as the other tables have it: "tflite int8"."""
    precision, _, kind = name.rpartition(".")
    return f"{kind} {precision}".strip()
