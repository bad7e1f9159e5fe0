"""A model's calls as a picture: one row per call from top to bottom, edges at the left, legal cuts marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgecut.records.escapes import xml_text

ROW = 20  # pixels from one row to the next
LANE = 10  # pixels between two arcs
CORNER = 7  # radius of an arc's corners
CHARACTER = 6.7  # pixels of a character of the monospaced font at 11 px, a little more than it takes
GAP = 16
TOP = 84
RIGHT = frozenset({"MACs", "params", "bytes", "latency", "arena"})  # headings of numbers
# As keras.applications name the layers of a block: block_3_expand, conv2_block1_1_bn, block2a_se, expanded_conv_3_add.
BLOCK = re.compile(r"(.*?block_?\d+[a-z]?|.*?_\d+)(?=_)")
LONGEST = 44  # characters of a cell; what is longer is cut in the middle and whole in the tooltip

LEGEND = ("a model can also start behind it", "a start there needs other tensors, too", "a tensor that skips rows")
LEGEND_WIDTH = 26 + sum(len(text) * CHARACTER + 36 for text in LEGEND)

STYLE = """
svg { --paper: #ffffff; --ink: #1c2430; --soft: #5b6675; --line: #9aa5b4; --arc: #b26a00; --legal: #0b7a4b;
  --band: #e6f5ee; background: var(--paper); }
@media (prefers-color-scheme: dark) { svg { --paper: #14181f; --ink: #e8ecf2; --soft: #9aa7b8; --line: #667387;
  --arc: #e0a24a; --legal: #4fd39a; --band: #16302a; } }
text { font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--soft); white-space: pre; }
.title { font-size: 15px; font-weight: 600; fill: var(--ink); }
.name { fill: var(--ink); }
.legal .name { fill: var(--legal); font-weight: 700; }
.head { font-weight: 600; fill: var(--ink); }
.band { fill: transparent; } .legal .band { fill: var(--band); } .row:hover .band { fill: var(--line); opacity: 0.35; }
.block { stroke: var(--line); stroke-width: 1; opacity: 0.7; }
.next { stroke: var(--line); stroke-width: 1.4; }
.arc { stroke: var(--arc); stroke-width: 1.4; fill: none; } .tip { fill: var(--arc); }
.dot { fill: var(--paper); stroke: var(--line); stroke-width: 1.4; }
.legal .dot { fill: var(--legal); stroke: var(--legal); }
"""


@dataclass(frozen=True)
class Row:
    """One call. cells: what stands in the columns, the name first. legal: whether a model can also start there."""

    cells: tuple[str, ...]
    legal: bool
    tooltip: str


def graph_picture(title: str, headings: Sequence[str], rows: Sequence[Row], edges: Iterable[tuple[int, int]]) -> str:
    """An SVG document. edges: (place of the row that puts a tensor out, place of the row that takes it in)."""
    cells = [tuple(_shortened(cell) for cell in row.cells) for row in rows]
    skips = sorted({(a, b) for a, b in edges if b > a + 1})
    lanes = _lanes(skips)
    spine = 26 + LANE * (1 + max(lanes.values(), default=0))
    columns = _columns(headings, cells, spine + 18)
    # The title's letters are at most 9.2 pixels wide, the legend's as wide as a cell's.
    width = max(columns[-1], 40 + round(9.2 * len(title)), round(LEGEND_WIDTH))
    height = TOP + ROW * len(rows) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{xml_text(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="20" y="26">{xml_text(title)}</text>',
        *_legend(),
        *_line(headings, headings, columns, TOP - 10, "head"),
        *(_arc(a, b, lanes[a, b], spine) for a, b in skips),
        *(_step(a, spine) for a, b in sorted({(a, b) for a, b in edges if b == a + 1})),
    ]
    for place, (row, texts) in enumerate(zip(rows, cells, strict=True)):
        y = _y(place)
        parts += _row(row, _line(texts, headings, columns, y + 4, "cell"), y, spine, width)
    parts += [_divider(place, spine, width) for place in _block_starts([row.cells[0] for row in rows])]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lanes(skips: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each arc, so that arcs that run side by side don't share one; short arcs next to the rows."""
    lanes: dict[tuple[int, int], int] = {}
    for arc in sorted(skips, key=lambda skip: (skip[1] - skip[0], skip)):
        beside = {lane for other, lane in lanes.items() if other[0] < arc[1] and arc[0] < other[1]}
        lanes[arc] = next(lane for lane in range(len(skips) + 1) if lane not in beside)
    return lanes


def _columns(headings: Sequence[str], cells: Sequence[Sequence[str]], left: int) -> list[int]:
    """Where each column begins, and where the last one ends."""
    places = [left]
    for number, heading in enumerate(headings):
        longest = max(len(heading), *(len(row[number]) for row in cells), 1)
        places.append(places[-1] + round(longest * CHARACTER) + GAP)
    return places


def _legend() -> list[str]:
    dot = '<circle class="dot" cx="{x}" cy="44" r="4"/>'
    arc = '<line class="arc" x1="{left}" y1="44" x2="{right}" y2="44"/>'
    marks = (f'<g class="legal">{dot}</g>', dot, arc)
    parts, x = [], 26
    for mark, text in zip(marks, LEGEND, strict=True):
        parts.append(mark.format(x=x, left=x - 6, right=x + 6))
        parts.append(f'<text x="{x + 12}" y="48">{text}</text>')
        x += round(len(text) * CHARACTER) + 36
    return parts


def _line(texts: Sequence[str], headings: Sequence[str], columns: Sequence[int], y: int, style: str) -> list[str]:
    """The cells of one line, numbers to the right."""
    parts = []
    for number, text in enumerate(texts):
        right = headings[number] in RIGHT
        x = columns[number + 1] - GAP if right else columns[number]
        anchor = ' text-anchor="end"' if right else ""
        name = "name" if number == 0 and style != "head" else style
        parts.append(f'<text class="{name}" x="{x}" y="{y}"{anchor}>{xml_text(text)}</text>')
    return parts


def _row(row: Row, cells: Sequence[str], y: int, spine: int, width: int) -> list[str]:
    """A row at the height y. cells: the lines of its cells."""
    style = "row legal" if row.legal else "row"
    return [
        f'<g class="{style}"><title>{xml_text(row.tooltip)}</title>',
        f'<rect class="band" x="{spine + 10}" y="{y - 10}" width="{width - spine - 18}" height="{ROW}"/>',
        f'<circle class="dot" cx="{spine}" cy="{y}" r="4"/>',
        *cells,
        "</g>",
    ]


def _block_starts(names: Sequence[str]) -> list[int]:
    """The rows whose names begin another block than the row before: "block_3" of "block_3_expand_BN"."""
    found = [match.group() if (match := BLOCK.match(name)) else "" for name in names]
    return [place for place in range(1, len(found)) if found[place] and found[place] != found[place - 1]]


def _divider(place: int, spine: int, width: int) -> str:
    y = _y(place) - ROW // 2
    return f'<line class="block" x1="{spine + 10}" y1="{y}" x2="{width - 8}" y2="{y}"/>'


def _step(place: int, spine: int) -> str:
    return f'<line class="next" x1="{spine}" y1="{_y(place) + 4}" x2="{spine}" y2="{_y(place + 1) - 4}"/>'


def _arc(first: int, last: int, lane: int, spine: int) -> str:
    """A line that leaves a row to the left, runs down its lane and comes back."""
    x, top, bottom, end = spine - LANE * (lane + 1) - 4, _y(first), _y(last), spine - 5
    return (
        f'<path class="arc" d="M{end} {top} H{x + CORNER} Q{x} {top} {x} {top + CORNER} V{bottom - CORNER} '
        f'Q{x} {bottom} {x + CORNER} {bottom} H{end - 3}"/>'
        f'<path class="tip" d="M{end} {bottom} l-5 -3 v6 z"/>'
    )


def _y(place: int) -> int:
    return TOP + ROW * place + 6


def _shortened(text: str) -> str:
    half = (LONGEST - 1) // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"
