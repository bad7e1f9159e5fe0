"""A file of measurements that somebody took on a device: a line for each file, with commas; every fault at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edgecut.errors import DocumentError, RequestError
from edgecut.records.nearest import closest
from edgecut.records.plausible import MOST_BYTES
from edgecut.records.plausible_latency import MOST_S
from edgecut.records.units import parse_bytes, parse_seconds

COLUMNS = ("file", "latency", "arena")
"""What `edgecut bench` prints of a measured file."""
OPTIONAL = ("family", "version")
_ALL = (*COLUMNS, *OPTIONAL)
_EXPECTED = "file, latency and, where known, arena, family, version"
T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Figure:
    """What a file took on a device. line: of the file of measurements.

    family: nets of one architecture; version: of the runtime; "" where it isn't said.
    """

    line: int
    file: Path
    latency_s: float | None
    arena_bytes: int | None
    family: str
    version: str


@dataclass(frozen=True)
class _Cell:
    """A cell's text, and how its place is called."""

    text: str
    place: str


@dataclass(frozen=True)
class _Kind(Generic[T]):
    """What a column's cells are. is_bare: they need no unit."""

    parse: Callable[[object], T]
    expected: str
    most: float
    is_bare: bool = False


_TIME = _Kind(parse_seconds, "a time with its unit, such as '231 ms', of at most a day", MOST_S)
_SIZE = _Kind(
    parse_bytes, "a size in bytes, or with its unit, such as '39.5 KiB', of at most 4096 GiB", MOST_BYTES, is_bare=True
)


def read_figures(path: Path) -> tuple[Figure, ...]:
    """The figures of a CSV file whose first line names its columns: file and latency, and those of OPTIONAL and arena.

    A measured file is looked for beside the CSV file, then from the working folder. Raises RequestError if it can't be
    read, DocumentError with a sentence for each fault: line, column, what was found and what was expected.
    """
    table = csv_lines(path)
    if not table:
        raise RequestError(f"{path}: is empty; expected a line {','.join(COLUMNS)}, then a line for each measured file")
    (first, header), *rows = table
    columns = [name.strip().lower() for name in header]
    faults = list(_header_faults(columns, f"{path}: line {first}"))
    if faults:
        raise DocumentError(faults)
    if not rows:
        raise RequestError(f"{path}: names its columns and no measured file; expected a line for each, such as "
                           "model.tflite,231 ms,")  # fmt: skip
    found = [_figure(path, line, dict(zip(columns, cells, strict=False)), faults) for line, cells in even_lines(
        path, rows, len(columns), faults
    )]  # fmt: skip
    if faults:
        raise DocumentError(faults)
    return tuple(figure for figure in found if figure is not None)


def csv_lines(path: Path) -> list[tuple[int, list[str]]]:
    """(number, cells) of each line that isn't empty."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise RequestError(f"{path}: {(exc.strerror or 'could not be read').lower()}") from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise RequestError(f"{path}: line {line}: is no UTF-8 text; save the table as CSV in UTF-8") from exc
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, cells))
    except csv.Error as exc:
        raise RequestError(f"{path}: line {reader.line_num}: is no line of a CSV table: {exc}") from exc
    return rows


def _header_faults(columns: Sequence[str], place: str) -> Iterator[str]:
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t|"):
        yield f"{place}: found {columns[0]!r} as one column; expected columns with commas between them: {_EXPECTED}"
        return
    for number, name in enumerate(columns, 1):
        if name not in _ALL:
            yield f"{place}, column {number}: found {name!r}{closest(name, _ALL, 1)}; expected {_EXPECTED}"
        elif name in columns[: number - 1]:
            yield f"{place}, column {number}: found {name!r} a second time; expected each column once"
    missing = [name for name in ("file", "latency") if name not in columns]
    if missing and all(name in _ALL for name in columns):
        yield f"{place}: has no column {' and no column '.join(map(repr, missing))}; expected {_EXPECTED}"


def even_lines(
    path: Path, rows: Sequence[tuple[int, list[str]]], width: int, faults: list[str]
) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of the rows that have no more cells than the first line, filled up with empty ones at the end."""
    for line, cells in rows:
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            more = 'text with a comma in it stands in quotation marks: "a, b.tflite"'
            faults.append(
                f"{path}: line {line}: found {len(cells)} cells; expected {width}, as in the first line; {more}"
            )
        else:
            yield line, [*cells, *[""] * (width - len(cells))]


def _figure(path: Path, line: int, cells: Mapping[str, str], faults: list[str]) -> Figure | None:
    def cell(name: str) -> _Cell:
        return _Cell(cells.get(name, "").strip(), f"{path}: line {line}, column {name!r}")

    before = len(faults)
    file, latency, arena = _file(path, cell("file"), faults), cell("latency"), cell("arena")
    seconds, size = _number(latency, _TIME, faults), _number(arena, _SIZE, faults)
    if not latency.text and not arena.text:
        faults.append(f"{latency.place}: is empty; expected a time with its unit, such as '231 ms'")
    if file is None or len(faults) > before:
        return None
    return Figure(line, file, seconds, size, cell("family").text, cell("version").text)


def _file(path: Path, cell: _Cell, faults: list[str]) -> Path | None:
    if not cell.text:
        faults.append(f"{cell.place}: is empty; expected the .tflite file that was measured")
        return None
    places = [path.parent / cell.text, Path(cell.text)]
    found = next((place for place in places if _is_file(place)), None)
    if found is None:
        faults.append(
            f"{cell.place}: found {cell.text!r}, and no such file is there; expected a .tflite file, by a path from "
            f"{str(path.parent)!r} or from the working folder"
        )
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        return False


def _number(cell: _Cell, kind: _Kind[T], faults: list[str]) -> T | None:
    """What a cell says; None where it is empty or, with a fault, no such number."""
    if not cell.text:
        return None
    try:
        value = kind.parse(cell.text)
    except ValueError:
        value = None
    if not value or value > kind.most or (not kind.is_bare and cell.text[-1:].isdigit()):
        faults.append(f"{cell.place}: found {cell.text!r}; expected {kind.expected}")
        return None
    return value
