"""Marks over two axes as SVG: hover and keyboard show each one's numbers, and those that have room have names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgecut.records.escapes import xml_text
from edgecut.render.ticks import log_ticks, round_ticks

_WIDTH, HEIGHT = 600, 340
_LEFT, _RIGHT, _TOP, BOTTOM = 66, 16, 14, 62
_LETTER = 6.8

PLOT_STYLE = """
svg.plot { width: 100%; height: auto; max-width: 46rem; display: block; font: 12px system-ui, sans-serif; }
svg.plot text { fill: var(--soft); } svg.plot line, svg.plot path.axis { stroke: var(--line); }
svg.plot path.depth { fill: none; stroke-width: 2; }
svg.plot path.range { fill: none; stroke-width: 3; stroke-opacity: .35; } svg.plot path.core { stroke-width: 8; }
svg.plot .group { fill: var(--ink); font-weight: 600; }
.mark { stroke: var(--paper); stroke-width: 1.5; cursor: pointer; } .mark.probe { fill-opacity: .35; }
svg.plot .name.chosen { fill: var(--ink); font-weight: 600; }
.mark:focus { outline: none; stroke: var(--ink); stroke-width: 3; } .mark.chosen { stroke: var(--ink); }
.c0 { fill: #2563eb; stroke: #2563eb; } .c1 { fill: #d97706; stroke: #d97706; } .c2 { fill: #059669; stroke: #059669; }
.c3 { fill: #c026d3; stroke: #c026d3; } .c4 { fill: #dc2626; stroke: #dc2626; } .c5 { fill: #64748b; stroke: #64748b; }
@media screen and (max-width: 40rem) {
  svg.plot { font-size: 19px; } svg.plot .rest, svg.plot .odd { display: none; }
  .mark { r: 8px; } .mark.chosen { r: 11px; } path.depth ~ .mark { r: 4px; }
}
.copied { position: relative; }
.copied button { position: absolute; top: .5rem; right: .5rem; font: inherit; font-size: .85em; color: var(--ink);
  background: var(--paper); border: 1px solid var(--line); border-radius: 4px; padding: .15rem .6rem; cursor: pointer; }
@media print { .copied button, .says { display: none; } }
.says { min-height: 1.5em; margin: .3rem 0; color: var(--soft); }
.legend span { margin-right: 1rem; white-space: nowrap; } .legend svg { width: .8rem; height: .8rem; }
"""

PLOT_SCRIPT = """
document.querySelectorAll('.copied').forEach(function (box) {
  var button = box.querySelector('button');
  button.hidden = !navigator.clipboard;
  button.addEventListener('click', function () {
    navigator.clipboard.writeText(box.querySelector('pre').textContent).then(function () {
      button.textContent = 'Copied';
    });
  });
});
document.querySelectorAll('.mark').forEach(function (mark) {
  var says = mark.closest('figure').querySelector('.says');
  function show() { says.textContent = mark.getAttribute('aria-label'); }
  mark.addEventListener('mouseenter', show); mark.addEventListener('focus', show);
  mark.addEventListener('keydown', function (event) {
    var step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) { return; }
    var marks = Array.from(mark.closest('svg').querySelectorAll('.mark'));
    var next = marks[marks.indexOf(mark) + step];
    if (next) { event.preventDefault(); next.focus(); }
  });
});
"""


@dataclass(frozen=True)
class Mark:
    """x > 0, on a logarithmic axis. label: its numbers. kind: its CSS classes. place: what a script knows it by.

    name, value: what stands beside it where there is room, the value last; number: what a table calls it, which stands
    there on a narrow screen, too.
    """

    x: float
    y: float
    name: str
    label: str
    kind: str
    chosen: bool = False
    place: int = 0
    value: str = ""
    number: str = ""


def scatter(marks: Sequence[Mark], axis: str, units: Callable[[float], str]) -> str:
    """The marks with their axes, inside of an SVG. axis: what is across. units: a value across in words."""
    along = log_scale([mark.x for mark in marks])
    scale = scale_of([mark.y for mark in marks])
    drawn, places = [], []
    for mark in sorted(marks, key=lambda mark: mark.x):
        across, down = along.across(mark.x), scale.down(mark.y)
        places.append((across, down, mark))
        drawn.append(circle(mark, across, down))
    return axes(axis, along.ticks(units), scale) + "".join(drawn) + names(places)


def circle(mark: Mark, across: float, down: float, radius: float = 6) -> str:
    """A mark at its place in the drawing, which tells its numbers. A chosen one is half again as large."""
    says = xml_text(mark.label)
    drawn = f"{1.5 * radius if mark.chosen else radius:g}"
    return (
        f'<circle class="mark {mark.kind}{" chosen" if mark.chosen else ""}" data-k="{mark.place}" '
        f'cx="{across:.1f}" cy="{down:.1f}" r="{drawn}" tabindex="0" role="img" '
        f'aria-label="{says}"><title>{says}</title></circle>'
    )


@dataclass(frozen=True)
class LogScale:
    """A logarithmic axis across."""

    low: float
    high: float

    def across(self, value: float) -> float:
        """Where a value is, in pixels."""
        return across_of(self._share(value))

    def ticks(self, units: Callable[[float], str]) -> list[tuple[float, str]]:
        """(share of the width, what stands there) of round numbers."""
        return [(self._share(tick), units(tick)) for tick in log_ticks(self.low, self.high)]

    def _share(self, value: float) -> float:
        return math.log(value / self.low) / math.log(self.high / self.low)


def log_scale(values: Sequence[float]) -> LogScale:
    """The axis that holds all of the values, each more than 0, with room at both ends."""
    low, high = min(values), max(values)
    return LogScale(low / 2, high * 2) if high < 1.3 * low else LogScale(low / 1.12, high * 1.12)


def figure(
    content: str, title: str, colours: Mapping[str, int], height: float = HEIGHT, remarks: Sequence[str] = ()
) -> str:
    """A drawing with its legend, {words: number of a colour}. remarks: sentences below it."""
    caption = "".join(f"<figcaption>{xml_text(remark)}</figcaption>" for remark in [" ".join(remarks)] if remark)
    legend = "".join(
        f'<span><svg viewBox="0 0 10 10" aria-hidden="true"><circle class="c{colour}" cx="5" cy="5" r="4"/></svg> '
        f"{xml_text(words)}</span>"
        for words, colour in colours.items()
    )
    return (
        f'<figure><p class="legend">{legend}</p>'
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {height:g}" role="group" '
        f'aria-label="{xml_text(title)}">{content}</svg>'
        '<p class="says" aria-live="polite">Point at a mark, or tab to it, for its numbers.</p>'
        f"{caption}</figure>"
    )


@dataclass(frozen=True)
class Scale:
    """Where a score stands, from the first of its ticks to the last."""

    ticks: tuple[float, ...]

    def down(self, score: float) -> float:
        """A score below the ticks, which R2 can have, stands at the foot."""
        share = (score - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return HEIGHT - BOTTOM - max(0.0, share) * (HEIGHT - _TOP - BOTTOM)


def scale_of(scores: Sequence[float]) -> Scale:
    """The axis of scores; those below 0 stand at its foot."""
    seen = [max(0.0, score) for score in scores]
    return Scale(round_ticks(min(seen), max(seen)))


def axes(title: str, across: Sequence[tuple[float, str]], scale: Scale) -> str:
    """Lines and numbers. across: (share of the width, what stands there)."""
    parts = []
    step = scale.ticks[1] - scale.ticks[0]
    digits = next((digits for digits in (2, 3, 4) if abs(round(step, digits) - step) < 1e-9), 4)
    for tick in scale.ticks:
        down = scale.down(tick)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down + 4:.1f}" text-anchor="end">{tick:.{digits}f}</text>')
    return "".join(parts) + axis_across(title, across, HEIGHT - BOTTOM)


def axis_across(title: str, across: Sequence[tuple[float, str]], bottom: float) -> str:
    """The numbers below a drawing that ends at `bottom`."""
    parts = []
    for place, (share, words) in enumerate(across):
        x, anchor = across_of(share), "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        odd = ' class="odd"' if place % 2 else ""
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(f'<text{odd} x="{x:.1f}" y="{bottom + 22}" text-anchor="{anchor}">{xml_text(words)}</text>')
    parts.append(f'<text x="{_WIDTH / 2:.0f}" y="{bottom + 50}" text-anchor="middle">{xml_text(title)}</text>')
    return "".join(parts)


def names(places: Sequence[tuple[float, float, Mark]]) -> str:
    """What stands beside each mark that has room for it, the chosen ones first. places: (x, y, mark).

    A mark without a name is only in the way.
    """
    boxes = [(x - 9, y - 9, x + 9, y + 9) for x, y, _ in places]
    parts = []
    for x, y, mark in sorted(places, key=lambda place: not place[2].chosen):
        words = " ".join(filter(None, (mark.number, mark.name)))
        for text in dict.fromkeys(filter(None, (f"{words} {mark.value}".strip() if mark.name else "", words))):
            spot = next((spot for spot in _around(x, y, len(text), mark.chosen) if _is_free(spot, boxes)), None)
            if spot is not None:
                boxes.append(_box(spot))
                parts.append(_name(spot, text, mark, x))
                break
    return "".join(parts)


def _around(x: float, y: float, letters: int, chosen: bool) -> list[_Spot]:
    """Where a text can stand beside a mark, the best place first."""
    width = _LETTER * letters
    spots = [(x + 13, y + 4, "start"), (x - 13 - width, y + 4, "end"), (x - width / 2, y - 13, "middle")]
    spots += [(x - width / 2, y + 22, "middle"), (x - 9 - width, y - 11, "end"), (x + 9, y + 20, "start")]
    spots += [(x - 9 - width, y - 30, "end"), (x + 9, y + 38, "start")] * chosen
    return [_Spot(left, base, width, anchor) for left, base, anchor in spots]


class _Spot(NamedTuple):
    """Where a text begins, its base line, how wide it is, and where it is held."""

    left: float
    base: float
    width: float
    anchor: str


def _box(spot: _Spot) -> tuple[float, float, float, float]:
    return spot.left, spot.base - 11, spot.left + spot.width, spot.base + 3


def _is_free(spot: _Spot, boxes: Sequence[tuple[float, ...]]) -> bool:
    """Whether a text there is inside of the drawing and on nothing else."""
    left, top, right, bottom = _box(spot)
    inside = left >= _LEFT and right <= _WIDTH - _RIGHT and top >= 0 and bottom <= HEIGHT - BOTTOM
    return inside and not any(_overlap((left, top, right, bottom), other) for other in boxes)


def _name(spot: _Spot, text: str, mark: Mark, x: float) -> str:
    at = {"start": spot.left, "end": spot.left + spot.width, "middle": x}[spot.anchor]
    rest = xml_text(text.removeprefix(mark.number))
    shown = f'{xml_text(mark.number)}<tspan class="rest">{rest}</tspan>'
    kind = "name chosen" if mark.chosen else "name"
    return f'<text class="{kind}" x="{at:.1f}" y="{spot.base:.1f}" text-anchor="{spot.anchor}">{shown}</text>'


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def across_of(share: float) -> float:
    """Where a share of the width is, in pixels."""
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
