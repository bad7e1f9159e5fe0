"""The pictures of a search as SVG: the front, and accuracy along depth; hover and keyboard show each point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgecut.records.escapes import xml_text
from edgecut.records.front import CutScore, DeviceCost, FrontPoint
from edgecut.records.units import format_bytes, format_count, format_seconds
from edgecut.render.ticks import log_ticks, round_ticks

_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 14, 62
_COLOURS = 6  # classes c0 to c5 of FRONT_STYLE, one for each input

FRONT_STYLE = """
svg.plot { width: 100%; height: auto; max-width: 60rem; display: block; font: 12px system-ui, sans-serif; }
svg.plot text { fill: var(--soft); } svg.plot line, svg.plot path.axis { stroke: var(--line); }
svg.plot path.depth { fill: none; stroke-width: 2; }
.mark { stroke: var(--paper); stroke-width: 1.5; cursor: pointer; } .mark.probe { fill-opacity: .35; }
svg.plot .name.chosen { fill: var(--ink); font-weight: 600; }
.mark:focus { outline: none; stroke: var(--ink); stroke-width: 3; } .mark.chosen { stroke: var(--ink); }
.c0 { fill: #2563eb; stroke: #2563eb; } .c1 { fill: #d97706; stroke: #d97706; } .c2 { fill: #059669; stroke: #059669; }
.c3 { fill: #c026d3; stroke: #c026d3; } .c4 { fill: #dc2626; stroke: #dc2626; } .c5 { fill: #64748b; stroke: #64748b; }
@media (max-width: 40rem) {
  svg.plot { font-size: 24px; } svg.plot .name, svg.plot .odd { display: none; }
  .mark { r: 11px; } .mark.chosen { r: 15px; } path.depth ~ .mark { r: 5px; }
}
.copied { position: relative; }
.copied button { position: absolute; top: .5rem; right: .5rem; font: inherit; font-size: .85em; color: var(--ink);
  background: var(--paper); border: 1px solid var(--line); border-radius: 4px; padding: .15rem .6rem; cursor: pointer; }
@media print { .copied button, .says { display: none; } }
.says { min-height: 3em; color: var(--soft); }
.legend span { margin-right: 1rem; white-space: nowrap; } .legend svg { width: .8rem; height: .8rem; }
"""

FRONT_SCRIPT = """
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


Input = tuple[tuple[int, int] | None, int | None]


def input_shape(size: tuple[int, int] | None, channels: int | None) -> str:
    """What a choice is fed, as 96x96x3; "arrays" without a size."""
    return "arrays" if size is None else f"{size[0]}x{size[1]}x{channels}"


def input_words(size: tuple[int, int] | None, channels: int | None) -> str:
    """The same as 96x96 colour."""
    return "arrays" if size is None else f"{size[0]}x{size[1]} {'gray' if channels == 1 else 'colour'}"


def input_colours(inputs: Iterable[Input]) -> dict[Input, int]:
    """A colour's number for each size and number of channels, the largest first; the same in every picture."""
    return {kind: number % _COLOURS for number, kind in enumerate(sorted(set(inputs), reverse=True))}


def front_plot(points: Sequence[FrontPoint], device: str, colours: Mapping[Input, int], called: str) -> str:
    """The metric, by what it is called, over the latency on a device, or over MACs where none is known; "" for none."""
    own = [(k, p, cost) for k, p in enumerate(points) for cost in p.devices if cost.profile == device]
    by_latency = any(cost.latency is not None for _, _, cost in own)
    shown = [(p, cost, x, k) for k, p, cost in own if (x := cost.latency if by_latency else p.macs)]
    if not shown:
        return ""
    shown.sort(key=lambda row: row[2])
    low, high = shown[0][2], shown[-1][2]
    low, high = (low / 2, high * 2) if high < 1.3 * low else (low / 1.12, high * 1.12)
    scale = _scale_of([p.accuracy for p, *_ in shown])
    marks, places = [], []
    for p, cost, x, place in shown:
        label, chosen = _point_words(p, cost, called), device in p.recommended_for
        classes = f"mark c{colours[(p.size, p.channels)]} {p.basis.accuracy}{' chosen' if chosen else ''}"
        across, down = _across(math.log(x / low) / math.log(high / low)), scale.down(p.accuracy)
        places.append((across, down, p.cut, chosen))
        marks.append(
            f'<circle class="{classes}" data-k="{place}" cx="{across:.1f}" cy="{down:.1f}" r="{9 if chosen else 6}" '
            f'tabindex="0" role="img" aria-label="{xml_text(label)}"><title>{xml_text(label)}</title></circle>'
        )
    words = format_seconds if by_latency else format_count
    ticks = [(math.log(tick / low) / math.log(high / low), words(tick)) for tick in log_ticks(low, high)]
    title = f"latency on {device} (log)" if by_latency else "multiply-accumulates (log)"
    used = {kind: colours[kind] for kind in colours if any((p.size, p.channels) == kind for p, *_ in shown)}
    drawn = _axes(title, ticks, scale) + "".join(marks) + _names(places)
    return _figure(drawn, f"{called} against cost on {device}", used)


def depth_plot(cuts: Sequence[CutScore], colours: Mapping[Input, int], called: str) -> str:
    """The probe's score over the position of the cut, a line for each input; "" for no cuts."""
    if not cuts:
        return ""
    kinds = {kind: colours[kind] for kind in colours if any((c.size, c.channels) == kind for c in cuts)}
    last = max(c.position for c in cuts) or 1
    scale = _scale_of([c.score for c in cuts])
    parts = []
    for (size, channels), colour in kinds.items():
        row = [c for c in cuts if (c.size, c.channels) == (size, channels)]
        path = " ".join(
            f"{'M' if k == 0 else 'L'}{_across(c.position / last):.1f} {scale.down(c.score):.1f}"
            for k, c in enumerate(row)
        )
        parts.append(f'<path class="depth c{colour}" style="fill:none" d="{path}"/>')
        for c in row:
            label = f"{c.cut}, {input_shape(size, channels)}: {c.score:.3f}{'' if c.exact else ' (projected)'}"
            says = xml_text(label)
            parts.append(
                f'<circle class="mark c{colour}" cx="{_across(c.position / last):.1f}" cy="{scale.down(c.score):.1f}" '
                f'r="3.5" tabindex="0" role="img" aria-label="{says}"><title>{says}</title></circle>'
            )
    return _figure(
        _axes("depth", ((0.0, "input"), (1.0, "output")), scale) + "".join(parts), f"{called} along depth", kinds
    )


def _point_words(p: FrontPoint, cost: DeviceCost, called: str) -> str:
    latency = "latency not known" if cost.latency is None else f"{format_seconds(cost.latency)} ({cost.latency_kind})"
    taken = p.arena if cost.arena is None else cost.arena
    arena = "" if taken is None else f", arena {format_bytes(taken)}"
    chosen = f"; for {', '.join(p.recommended_for)}" if p.recommended_for else ""
    return (
        f"{p.cut}, {input_shape(p.size, p.channels)}, {p.precision}: {called} {p.accuracy:.3f} "
        f"({p.basis.accuracy}), {latency}{arena}, size {format_bytes(p.size_bytes)}{chosen}"
    )


def _figure(content: str, title: str, kinds: Mapping[Input, int]) -> str:
    legend = "".join(
        f'<span><svg viewBox="0 0 10 10" aria-hidden="true"><circle class="c{colour}" cx="5" cy="5" r="4"/></svg> '
        f"{input_words(size, channels)}</span>"
        for (size, channels), colour in kinds.items()
    )
    return (
        f'<figure style="margin:0"><p class="legend">{legend}</p>'
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" '
        f'aria-label="{xml_text(title)}">{content}</svg>'
        '<p class="says" aria-live="polite">Point at a mark, or tab to it, for its numbers.</p></figure>'
    )


@dataclass(frozen=True)
class _Scale:
    """Where a score stands, from the first of its ticks to the last."""

    ticks: tuple[float, ...]

    def down(self, score: float) -> float:
        """A score below the ticks, which R2 can have, stands at the foot."""
        share = (score - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return _HEIGHT - _BOTTOM - max(0.0, share) * (_HEIGHT - _TOP - _BOTTOM)


def _scale_of(scores: Sequence[float]) -> _Scale:
    seen = [max(0.0, score) for score in scores]
    return _Scale(round_ticks(min(seen), max(seen)))


def _axes(title: str, across: Sequence[tuple[float, str]], scale: _Scale) -> str:
    """Lines and numbers. across: (share of the width, what stands there)."""
    parts = []
    digits = 3 if scale.ticks[1] - scale.ticks[0] < 0.0099 else 2
    for tick in scale.ticks:
        down = scale.down(tick)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down + 4:.1f}" text-anchor="end">{tick:.{digits}f}</text>')
    bottom = _HEIGHT - _BOTTOM
    for place, (share, words) in enumerate(across):
        x, anchor = _across(share), "start" if share < 0.04 else "end" if share > 0.96 else "middle"
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
            inside = box[0] >= _LEFT and box[2] <= _WIDTH - _RIGHT and box[1] >= 0 and box[3] <= _HEIGHT - _BOTTOM
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


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
