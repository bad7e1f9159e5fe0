"""A matrix of builds as a table, as a page, as comma-separated values, and as text for a page of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup
from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from edgecut.records.escapes import csv_text
from edgecut.records.matrix import Matrix, MatrixCell, MatrixFile, MatrixRow
from edgecut.records.report import Check
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.grid import fitted, remarked_words
from edgecut.render.lines import line
from edgecut.render.page_parts import Column, sentences, state_html, table
from edgecut.render.scatter import PLOT_SCRIPT, PLOT_STYLE, Mark, figure, scatter
from edgecut.render.templating import html, markdown, part
from edgecut.render.words import NOTHING, STYLES, UNKNOWN, check_words, fraction_words, of_kind

CSV_COLUMNS = (
    "row", "status", "file", "format", "precision", "size_bytes", "accuracy", "device", "state", "latency_s",
    "latency_kind", "latency_band", "arena_bytes", "arena_kind", "reason",
)  # fmt: skip
_COLOURS = 6  # classes c0 to c5 of PLOT_STYLE
_HEADINGS = ("size", "accuracy", "device", "arena", "latency", "state")
_FIGURES = (5, 6)  # places of arena and latency in a line's words
_LONG = 24  # columns of a row's axes beyond which they stand above the row
_NONE = MatrixCell(profile="", state="no limit")


class Line(NamedTuple):
    """A line of every form of a matrix: a file of a row on a device. file: None for a row without files."""

    row: MatrixRow
    file: MatrixFile | None
    cell: MatrixCell


def lines_of(matrix: Matrix) -> Iterator[Line]:
    """The lines in the order of the rows, their files, and their devices."""
    for row in matrix.rows:
        left_out = [MatrixCell(profile=name, state="unsupported", reason=why) for name, why in row.unsupported.items()]
        for file in row.files:
            for cell in [*file.cells, *left_out] or [_NONE]:
                yield Line(row, file, cell)
        if not row.files:
            for cell in left_out or [_NONE]:
                yield Line(row, None, cell)


def matrix_table(matrix: Matrix) -> Group:
    """A line for each file of each build on each device; underneath, why builds failed, and which limits aren't met."""
    names = [axis.rpartition(".")[2] for axis in matrix.axes]
    columns = list(zip(*(_words(matrix, each, brief=True) for each in lines_of(matrix)), strict=True))
    columns = [tuple(remarked_words(cells)) if k in _FIGURES else cells for k, cells in enumerate(columns)]
    rows = list(zip(*columns, strict=True))
    is_long = any(cell_len(row[0]) > _LONG for row in rows)
    headings = [f"<{' '.join(names)}", "<file", "size", "accuracy", "<device", "arena", "latency", "<state"]
    several = any(len(row.files) > 1 for row in matrix.rows)
    kept = [k for k in range(len(headings)) if (k != 1 or several) and (k != 0 or not is_long)]
    # A column that says nothing takes the place of one that does.
    said = [k for k in kept if {row[k].strip() for row in rows} != {NOTHING}]
    shown: list[list[str | Text]] = []
    before = ("",) * len(headings)
    for row in rows:
        if is_long and row[0] != before[0]:
            shown.append([line(f"{' '.join(names)}: {row[0]}", "bold")])
        # What is the same as above is said once.
        cells = ["" if k < 4 and row[: k + 1] == before[: k + 1] else row[k] for k in said]
        shown.append([*cells[:-1], Text(cells[-1], STYLES.get(cells[-1], "bold red" if cells[-1] == "failed" else ""))])
        before = row
    found = fitted([headings[k] for k in said], shown, ("size", "arena", "accuracy"))
    kinds = line("m: measured, e: estimated with its band, s: simulated")
    return Group(found, kinds, *(line(sentence) for sentence in _remarks(matrix)))


def matrix_markdown(matrix: Matrix) -> str:
    """The same for a page of text."""
    headings = [*matrix.axes, "file", *_HEADINGS]
    rows = [_with_axes(matrix, each) for each in lines_of(matrix)]
    return markdown("matrix", name=title_of(matrix), headings=headings, rows=rows, remarks=_remarks(matrix))


def matrix_csv(matrix: Matrix) -> str:
    """The same as comma-separated values (RFC 4180): the axes behind CSV_COLUMNS; what is unknown is empty."""
    return csv_text([[*CSV_COLUMNS, *matrix.axes], *matrix_rows(matrix)])


def matrix_rows(matrix: Matrix) -> Iterator[list[str]]:
    """A row for each line, as CSV_COLUMNS and then the axes name its values."""
    for row, file, cell in lines_of(matrix):
        own = ("", "", "", "", "") if file is None else (
            file.name, file.format, file.precision, file.size_bytes, _number(file.accuracy)
        )  # fmt: skip
        costs = (_number(cell.latency), cell.latency_kind, _number(cell.latency_error))
        arena = (_number(cell.arena_bytes), cell.arena_kind)
        axes = (row.settings[axis] for axis in matrix.axes)
        why = cell.reason or row.error
        yield [row.name, row.status, *map(str, own), cell.profile, cell.state, *costs, *arena, why, *axes]


def render_matrix(matrix: Matrix) -> str:
    """The page of a matrix, from which each row's own page can be reached."""
    axes = [*(Column(axis) for axis in matrix.axes), Column("file")]
    columns = [*axes, *(Column(name, name in {"size", "accuracy", "arena", "latency"}) for name in _HEADINGS)]
    columns += [Column("build"), Column("report")]
    rows = [
        [*_with_axes(matrix, each)[:-1], state_html(each.cell.state), state_html(each.row.status), _link(each.row)]
        for each in lines_of(matrix)
    ]
    states = [row.status for row in matrix.rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    sections = (
        ("Builds", table(columns, rows)),
        ("Limits that aren't met, rows that failed, and what isn't known", sentences(_remarks(matrix))),
        ("Accuracy against latency", part("columns", _charts(matrix))),
    )
    return html(
        "matrix",
        title=f"matrix: {title_of(matrix)}",
        sections=sections,
        style=Markup(PLOT_STYLE),
        script=Markup(PLOT_SCRIPT),
        matrix=matrix,
        counts=counts,
        heading=title_of(matrix),
    )


def title_of(matrix: Matrix) -> str:
    """What was built, and by what it varies."""
    axes = " × ".join(matrix.axes)
    return f"{matrix.name} by {axes}" if axes else matrix.name


def _charts(matrix: Matrix) -> list[Markup]:
    """A picture for each device of which two latencies or more are known, with the accuracy of each."""
    seen = [each for each in lines_of(matrix) if each.file is not None and each.file.accuracy is not None]
    seen = [each for each in seen if each.cell.latency]
    devices = dict.fromkeys(each.cell.profile for each in seen)
    precisions = list(dict.fromkeys(each.file.precision for each in seen if each.file is not None))
    colours = {precision: place % _COLOURS for place, precision in enumerate(precisions)}
    charts: list[Markup] = []
    for device in devices:
        marks = [_mark(matrix, each, colours) for each in seen if each.cell.profile == device]
        if len(marks) > 1:
            drawn = scatter(marks, f"latency on {device} (log)", format_seconds)
            charts.append(Markup(figure(drawn, f"accuracy against latency on {device}", colours)))
    return charts


def _mark(matrix: Matrix, each: Line, colours: dict[str, int]) -> Mark:
    words = _with_axes(matrix, each)
    precision = "" if each.file is None else each.file.precision
    accuracy = 0.0 if each.file is None or each.file.accuracy is None else each.file.accuracy
    label = f"{', '.join(words[: len(matrix.axes) + 1])}: accuracy {accuracy:.3f}, {words[-2]}"
    name = " ".join(each.row.settings[axis] for axis in matrix.axes if axis != "export.precisions") or precision
    kind = f"c{colours[precision]} {'measured' if each.cell.latency_kind == 'measured' else 'probe'}"
    value, name = fraction_words(accuracy), name.rpartition("/")[2]
    return Mark(x=each.cell.latency or 1.0, y=accuracy, name=name, label=label, kind=kind, value=value)


def _with_axes(matrix: Matrix, each: Line) -> list[str]:
    """The cells of a line, the axes in columns of their own."""
    return [*(each.row.settings[axis] for axis in matrix.axes), *_words(matrix, each, brief=False)[1:]]


def _words(matrix: Matrix, each: Line, *, brief: bool) -> list[str]:
    """(axes, file, size, accuracy, device, arena, latency, state). brief: kinds as letters."""
    row, file, cell = each
    axes = " ".join(row.settings[axis] for axis in matrix.axes)
    state = cell.state if file is not None or row.unsupported else row.status
    if file is None:
        return [axes, NOTHING, NOTHING, NOTHING, cell.profile or NOTHING, NOTHING, NOTHING, state]
    accuracy = NOTHING if file.accuracy is None else fraction_words(file.accuracy)
    known = cell.state != "unsupported"
    arena = None if cell.arena_bytes is None else format_bytes(cell.arena_bytes)
    latency = (UNKNOWN if cell.profile else None) if cell.latency is None else format_seconds(cell.latency)
    return [
        axes,
        _file_words(file.name.removeprefix(f"{row.title or matrix.name}.")),
        format_bytes(file.size_bytes),
        accuracy,
        cell.profile or NOTHING,
        of_kind(arena, cell.arena_kind, cell.arena_error, brief) if known else NOTHING,
        of_kind(latency, cell.latency_kind, cell.latency_error, brief) if known else NOTHING,
        state if cell.profile else row.status,
    ]


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _remarks(matrix: Matrix) -> list[str]:
    """Why rows failed, what isn't known of them, and which limits they don't meet.

    Each reason once, behind the rows that it holds for.
    """
    rows: dict[str, list[str]] = {}
    for row in matrix.rows:
        said = [row.error] if row.error else []
        said += [f"unsupported on {name}, which {why}" for name, why in row.unsupported.items()]
        said += dict.fromkeys(
            f"{cell.profile} latency {UNKNOWN}: {cell.reason}"
            for file in row.files
            for cell in file.cells
            if cell.latency is None and cell.reason and cell.state != "unsupported"
        )
        for reason in [*said, *(_check_words(row.title or matrix.name, check) for check in row.checks)]:
            rows.setdefault(reason, []).append(row.name)
    return [f"{', '.join(names)}: {reason}" for reason, names in rows.items()]


def _check_words(title: str, check: Check) -> str:
    of = f" of {_file_words(check.artifact.removeprefix(f'{title}.'))}" if check.artifact else ""
    on = f" on {check.profile}" if check.profile else ""
    return f"{check.state} {check.metric}{of}{on}: {check_words(check)}"


def _link(row: MatrixRow) -> str:
    return NOTHING if row.bundle is None else part("link", row.bundle)


def _file_words(name: str) -> str:
    """ "int8.tflite" as the other tables have it: "tflite int8"."""
    precision, _, kind = name.rpartition(".")
    return f"{kind} {precision}".strip()
