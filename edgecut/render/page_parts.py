"""The pieces that every page is made of: tables, lists, and the sections on a file's memory and time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from edgecut.records.report import Check
from edgecut.records.units import format_seconds
from edgecut.records.usage import FileUse, OperatorCost, PlainCUse
from edgecut.render.memory_plot import (
    Bar,
    Limit,
    MemoryPicture,
    arena_picture,
    memory_drawing,
    work_buffer_picture,
)
from edgecut.render.templating import part
from edgecut.render.words import NOTHING, count_words

_LONGEST_WORD, _SHORT = 20, 11  # letters


class Column(NamedTuple):
    """A table's column. number: right-aligned."""

    title: str
    number: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Markup:
    """A table without the columns that have nothing to say; nothing at all without rows."""
    if not rows:
        return Markup()
    kept = [k for k in range(len(columns)) if any(row[k] not in {"", NOTHING} for row in rows)]
    short = [_is_short([row[k] for row in rows]) for k in kept]
    return part("table", [columns[k] for k in kept], short, [[_breakable(row[k]) for k in kept] for row in rows])


def _is_short(cells: Sequence[str]) -> bool:
    """Whether two such cells have room beside each other on a narrow screen."""
    return not any(isinstance(cell, Markup) or len(cell) > _SHORT for cell in cells)


def _breakable(text: str) -> str:
    """A text that may be broken anywhere if one of its words is long: a table is as wide as its words are."""
    is_long = not isinstance(text, Markup) and any(len(word) > _LONGEST_WORD for word in text.split())
    return part("long", text) if is_long else text


def state_html(state: str) -> Markup:
    """A state as a coloured word."""
    return part("state", state)


def sentences(found: Sequence[str]) -> Markup:
    """A list of sentences; nothing without any."""
    return part("sentences", found) if found else Markup()


def remark(text: str) -> Markup:
    """A paragraph in small type: what columns mean."""
    return part("remark", text)


def folded(title: str, content: Markup, *, is_open: bool = False) -> Markup:
    """Content behind a line that opens it; print shows it always."""
    return part("folded", title, content, is_open)


def joined(parts: Iterable[Markup]) -> Markup:
    """HTML one behind the other."""
    return Markup("").join(parts)


def memory_html(uses: Iterable[FileUse], titles: dict[str, str], checks: Iterable[Check] = ()) -> Markup:
    """Each file's memory over the run of its operators, the plain C's beside the interpreter's.

    titles: what a file is called. checks: of limits on arenas.
    """
    pictures, on_arenas = [], [check for check in checks if check.metric == "arena"]
    for use in uses:
        limits = _arena_limits(check for check in on_arenas if check.artifact in {use.artifact, ""})
        bars = [Bar(t.name, t.first, t.last, t.offset, t.size_bytes) for t in use.tensors]
        names = [operator.operator for operator in use.operators]
        title = titles.get(use.artifact, use.artifact)
        pair = [arena_picture(title, bars, names, use.peak_operator, use.planned_bytes, limits)]
        if use.plain_c is not None and use.plain_c.stretches:
            pair.append(_work_buffer(f"{title} as plain C", use.plain_c, use.planned_bytes, limits))
        pictures.append(part("columns", [_figure(picture) for picture in pair]))
    return joined(pictures)


def _figure(picture: MemoryPicture) -> Markup:
    alive = f"Alive there: {picture.fullest}." if picture.fullest else ""
    return part("picture", picture.title, picture.subtitle, alive, Markup(memory_drawing(picture)))


def _arena_limits(checks: Iterable[Check]) -> list[Limit]:
    """Each limit once, by the first device that has it."""
    sizes: dict[int, str] = {}
    for check in checks:
        if isinstance(check.limit, int | float):
            sizes.setdefault(int(check.limit), check.profile or "limit")
    return [Limit(name, size) for size, name in sizes.items()]


def _work_buffer(title: str, use: PlainCUse, arena_bytes: int, limits: Sequence[Limit]) -> MemoryPicture:
    bars = [Bar(room.name, room.first, room.last, room.offset, room.size_bytes) for room in use.rooms]
    ends = [max((b.offset + b.size_bytes for b in bars if b.first == k), default=0) for k in range(len(use.stretches))]
    return work_buffer_picture(title, bars, use.operators, ends.index(max(ends)), use.arena_bytes, arena_bytes, limits)


def operators_html(uses: Iterable[FileUse], titles: dict[str, str]) -> Markup:
    """Each file's operators with their multiply-accumulates and their time on each device that has latency facts."""
    parts = []
    for use in uses:
        devices = list(dict.fromkeys(name for operator in use.operators for name in operator.seconds))
        columns = [Column("#", True), Column("operator"), Column("layer"), Column("MACs", True)]
        columns += [Column(f"{name}, by its facts", True) for name in devices] + [Column("share")] * bool(devices)
        totals = {name: math.fsum(o.seconds.get(name, 0.0) for o in use.operators) for name in devices}
        rows = [_operator_row(k, operator, devices, totals) for k, operator in enumerate(use.operators)]
        words = [f"{name} {format_seconds(totals[name])}" for name in devices]
        title = f"{titles.get(use.artifact, use.artifact)}: {len(rows)} operators{''.join(f', {w}' for w in words)}"
        parts.append(folded(title, table(columns, rows)))
    return joined(parts)


def _operator_row(place: int, cost: OperatorCost, devices: Sequence[str], totals: dict[str, float]) -> list[str]:
    times = [format_seconds(cost.seconds[name]) if name in cost.seconds else NOTHING for name in devices]
    shares: list[str] = []
    if devices:
        first, total = devices[0], totals[devices[0]]
        share = cost.seconds.get(first, 0.0) / total if total else 0.0
        shares = [part("bar", share)]
    return [str(place), cost.operator, cost.layer or NOTHING, count_words(cost.macs), *times, *shares]
