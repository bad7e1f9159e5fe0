"""The pieces that every page is made of: its frame, tables, and the sections on a file's memory and time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from edgecut.records.units import format_seconds
from edgecut.records.usage import FileUse, OperatorCost
from edgecut.render.memory_plot import Bar, memory_svg
from edgecut.render.page_style import STYLE
from edgecut.render.words import NOTHING, count_words


class Html(str):
    """Text that is HTML already."""


class Column(NamedTuple):
    """A table's column. number: right-aligned."""

    title: str
    number: bool = False


def page(title: str, header: str, sections: Iterable[tuple[str, str]], *, style: str = "", script: str = "") -> str:
    """A whole document; sections: (heading, HTML), those without HTML left out."""
    body = "".join(f"<section><h2>{escape(name)}</h2>{content}</section>\n" for name, content in sections if content)
    code = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n<header>{header}</header>\n{body}</main>\n{code}</body>\n</html>\n"
    )


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Html:
    """A table without the columns that have nothing to say; nothing at all without rows."""
    if not rows:
        return Html("")
    kept = [k for k in range(len(columns)) if any(row[k] not in {"", NOTHING} for row in rows)]
    head = "".join(f"<th{_class(columns[k])}>{escape(columns[k].title)}</th>" for k in kept)
    lines = "".join(f"<tr>{''.join(_cell(columns[k], row[k]) for k in kept)}</tr>\n" for row in rows)
    return Html(f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table></div>')


def state_html(state: str) -> Html:
    """A state as a coloured word."""
    return Html(f'<span class="state {escape(state)}">{escape(state)}</span>')


def sentences(found: Sequence[str]) -> Html:
    """A list of sentences; nothing without any."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in found)
    return Html(f"<ul>{items}</ul>" if items else "")


def folded(title: str, content: str, *, is_open: bool = False) -> Html:
    """Content behind a line that opens it; print shows it always."""
    return Html(f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{content}</details>")


def picture(svg: str) -> Html:
    """A picture whose own styles stay its own."""
    return Html(f'<div class="wide"><template shadowrootmode="open">{svg}</template></div>')


def memory_html(uses: Iterable[FileUse], titles: dict[str, str]) -> Html:
    """Each file's memory over the run of its operators. titles: what a file is called."""
    parts = []
    for use in uses:
        bars = [Bar(t.name, t.first, t.last, t.offset, t.size_bytes) for t in use.tensors]
        names = [operator.operator for operator in use.operators]
        title = titles.get(use.artifact, use.artifact)
        parts.append(picture(memory_svg(title, bars, names, use.peak_operator, use.planned_bytes)))
    return Html("".join(parts))


def operators_html(uses: Iterable[FileUse], titles: dict[str, str]) -> Html:
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
    return Html("".join(parts))


def _operator_row(place: int, cost: OperatorCost, devices: Sequence[str], totals: dict[str, float]) -> list[str]:
    times = [format_seconds(cost.seconds[name]) if name in cost.seconds else NOTHING for name in devices]
    shares = []
    if devices:
        first, total = devices[0], totals[devices[0]]
        share = cost.seconds.get(first, 0.0) / total if total else 0.0
        shares = [Html(f'<span class="bar" style="width:{100 * share:.1f}%"></span>')]
    return [str(place), cost.operator, cost.layer or NOTHING, count_words(cost.macs), *times, *shares]


def _cell(column: Column, text: str) -> str:
    return f"<td{_class(column)}>{text if isinstance(text, Html) else escape(text)}</td>"


def _class(column: Column) -> str:
    return ' class="number"' if column.number else ""
