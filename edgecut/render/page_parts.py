"""The pieces that every page is made of: tables, lists, and the sections on a file's memory and time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from edgecut.records.units import format_seconds
from edgecut.records.usage import FileUse, OperatorCost, PlainCUse
from edgecut.render.memory_plot import Bar, memory_svg, work_buffer_svg
from edgecut.render.templating import part
from edgecut.render.words import NOTHING, count_words


class Column(NamedTuple):
    """A table's column. number: right-aligned."""

    title: str
    number: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Markup:
    """A table without the columns that have nothing to say; nothing at all without rows."""
    if not rows:
        return Markup()
    kept = [k for k in range(len(columns)) if any(row[k] not in {"", NOTHING} for row in rows)]
    return part("table", [columns[k] for k in kept], [[row[k] for k in kept] for row in rows])


def state_html(state: str) -> Markup:
    """A state as a coloured word."""
    return part("state", state)


def sentences(found: Sequence[str]) -> Markup:
    """A list of sentences; nothing without any."""
    return part("sentences", found) if found else Markup()


def folded(title: str, content: Markup, *, is_open: bool = False) -> Markup:
    """Content behind a line that opens it; print shows it always."""
    return part("folded", title, content, is_open)


def joined(parts: Iterable[Markup]) -> Markup:
    """HTML one behind the other."""
    return Markup("").join(parts)


def memory_html(uses: Iterable[FileUse], titles: dict[str, str]) -> Markup:
    """Each file's memory over the run of its operators. titles: what a file is called."""
    parts = []
    for use in uses:
        bars = [Bar(t.name, t.first, t.last, t.offset, t.size_bytes) for t in use.tensors]
        names = [operator.operator for operator in use.operators]
        title = titles.get(use.artifact, use.artifact)
        svg = memory_svg(title, bars, names, use.peak_operator, use.planned_bytes)
        parts.append(part("picture", Markup(svg)))
        if use.plain_c is not None and use.plain_c.stretches:
            svg = _work_buffer_svg(f"{title} as plain C", use.plain_c, use.planned_bytes)
            parts.append(part("picture", Markup(svg)))
    return joined(parts)


def _work_buffer_svg(title: str, use: PlainCUse, arena_bytes: int) -> str:
    bars = [Bar(room.name, room.first, room.last, room.offset, room.size_bytes) for room in use.rooms]
    ends = [max((b.offset + b.size_bytes for b in bars if b.first == k), default=0) for k in range(len(use.stretches))]
    return work_buffer_svg(title, bars, use.operators, ends.index(max(ends)), use.arena_bytes, arena_bytes)


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
