"""Marks over two axes as SVG: hover and keyboard show each one's numbers, and those that have room have names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgecut.records.escapes import xml_text
from edgecut.render.ticks import log_ticks, round_ticks

_WIDTH, HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, BOTTOM = 66, 16, 14, 62

PLOT_STYLE = """
svg.plot { width: 100%; height: auto; max-width: 60rem; display: block; font: 12px system-ui, sans-serif; }
svg.plot text { fill: var(--soft); } svg.plot line, svg.plot path.axis { stroke: var(--line); }
svg.plot path.depth { fill: none; stroke-width: 2; }
svg.plot path.range { fill: none; stroke-width: 3; stroke-opacity: .35; } svg.plot path.core { stroke-width: 8; }
svg.plot .group { fill: var(--ink); font-weight: 600; }
.mark { stroke: var(--paper); stroke-width: 1.5; cursor: pointer; } .mark.probe { fill-opacity: .35; }
svg.plot .name.chosen { fill: var(--ink); font-weight: 600; }
.mark:focus { outline: none; stroke: var(--ink); stroke-width: 3; } .mark.chosen { stroke: var(--ink); }
.c0 { fill: #2563eb; stroke: #2563eb; } .c1 { fill: #d97706; stroke: #d97706; } .c2 { fill: #059669; stroke: #059669; }
.c3 { fill: #c026d3; stroke: #c026d3; } .c4 { fill: #dc2626; stroke: #dc2626; } .c5 { fill: #64748b; stroke: #64748b; }
@media (max-width: 40rem) {
  svg.plot { font-size: 24px; } svg.plot .name, svg.plot .odd { display: none; }
  .mark { r: 11px; } .mark.chosen { r: 15px; } path.depth ~ .mark { r: 5px; } path.range ~ .mark { r: 8px; }
}
.copied { position: relative; }
.copied button { position: absolute; top: .5rem; right: .5rem; font: inherit; font-size: .85em; color: var(--ink);
  background: var(--paper); border: 1px solid var(--line); border-radius: 4px; padding: .15rem .6rem; cursor: pointer; }
@media print { .copied button, .says { display: none; } }
.says { min-height: 3em; color: var(--soft); }
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
    """x > 0, on a logarithmic axis. label: its numbers. kind: its CSS classes. place: what a script knows it by."""

    x: float
    y: float
    name: str
    label: str
    kind: str
    chosen: bool = False
    place: int = 0


def scatter(marks: Sequence[Mark], axis: str, units: Callable[[float], str]) -> str:
    """The marks with their axes, inside of an SVG. axis: what is across. units: a value across in words."""
    along = log_scale([mark.x for mark in marks])
    scale = scale_of([mark.y for mark in marks])
    drawn, places = [], []
    for mark in sorted(marks, key=lambda mark: mark.x):
        across, down = along.across(mark.x), scale.down(mark.y)
        places.append((across, down, mark.name, mark.chosen))
        drawn.append(circle(mark, across, down))
    return axes(axis, along.ticks(units), scale) + "".join(drawn) + _names(places)


def circle(mark: Mark, across: float, down: float) -> str:
    """A mark at its place in the drawing, which tells its numbers."""
    says = xml_text(mark.label)
    return (
        f'<circle class="mark {mark.kind}{" chosen" if mark.chosen else ""}" data-k="{mark.place}" '
        f'cx="{across:.1f}" cy="{down:.1f}" r="{9 if mark.chosen else 6}" tabindex="0" role="img" '
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


def figure(content: str, title: str, colours: Mapping[str, int], height: float = HEIGHT) -> str:
    """A drawing with its legend, {words: number of a colour}."""
    legend = "".join(
        f'<span><svg viewBox="0 0 10 10" aria-hidden="true"><circle class="c{colour}" cx="5" cy="5" r="4"/></svg> '
        f"{xml_text(words)}</span>"
        for words, colour in colours.items()
    )
    return (
        f'<figure style="margin:0"><p class="legend">{legend}</p>'
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {height:g}" role="group" '
        f'aria-label="{xml_text(title)}">{content}</svg>'
        '<p class="says" aria-live="polite">Point at a mark, or tab to it, for its numbers.</p></figure>'
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


def _names(places: Sequence[tuple[float, float, str, bool]]) -> str:
    """The name of each mark that has room for it, the chosen ones first. places: (x, y, name, whether it's chosen)."""
    boxes = [(x - 9, y - 9, x + 9, y + 9) for x, y, _, _ in places]
    parts = []
    for x, y, name, chosen in sorted(places, key=lambda place: not place[3]):
        width = 6.8 * len(name)
        around = [(x + 12, y + 4, "start"), (x - 12 - width, y + 4, "end"), (x - width / 2, y - 13, "middle")]
        around += [(x - width / 2, y + 22, "middle"), (x - 9 - width, y - 11, "end"), (x + 9, y + 20, "start")]
        around += [(x - 9 - width, y - 30, "end"), (x + 9, y + 38, "start")] * chosen
        for left, base, anchor in around:
            box = (left, base - 11, left + width, base + 3)
            inside = box[0] >= _LEFT and box[2] <= _WIDTH - _RIGHT and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
            if inside and not any(_overlap(box, other) for other in boxes):
                at = {"start": left, "end": left + width, "middle": x}[anchor]
                kind = "name chosen" if chosen else "name"
                parts.append(
                    f'<text class="{kind}" x="{at:.1f}" y="{base:.1f}" text-anchor="{anchor}">{xml_text(name)}</text>'
                )
                boxes.append(box)
                break
    return "".join(parts)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def across_of(share: float) -> float:
    """Where a share of the width is, in pixels."""
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
