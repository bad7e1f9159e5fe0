"""The pictures of a search as SVG: the front, and accuracy along depth; hover and keyboard show each point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from edgecut.records.front import CutScore, FrontPoint
from edgecut.records.units import format_bytes, format_count, format_seconds

_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 16, 14, 44
_COLOURS = 6  # classes c0 to c5 of FRONT_STYLE, one for each input

FRONT_STYLE = """
svg.plot { width: 100%; height: auto; max-width: 60rem; display: block; font: 12px system-ui, sans-serif; }
svg.plot text { fill: var(--soft); } svg.plot line, svg.plot path.axis { stroke: var(--line); }
svg.plot path.depth { fill: none; stroke-width: 2; }
.mark { stroke: var(--paper); stroke-width: 1.5; cursor: pointer; } .mark.probe { fill-opacity: .35; }
.mark:focus { outline: none; stroke: var(--ink); stroke-width: 3; } .mark.chosen { stroke: var(--ink); }
.c0 { fill: #2563eb; stroke: #2563eb; } .c1 { fill: #d97706; stroke: #d97706; } .c2 { fill: #059669; stroke: #059669; }
.c3 { fill: #c026d3; stroke: #c026d3; } .c4 { fill: #dc2626; stroke: #dc2626; } .c5 { fill: #64748b; stroke: #64748b; }
.says { min-height: 3em; color: var(--soft); }
.legend span { margin-right: 1rem; white-space: nowrap; } .legend svg { width: .8rem; height: .8rem; }
"""

FRONT_SCRIPT = """
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


def front_plot(points: Sequence[FrontPoint]) -> str:
    """Accuracy over latency, or over MACs where no latency is known; "" for no points."""
    by_latency = any(p.latency is not None for p in points)
    shown = [(p, x) for p in points if (x := p.latency if by_latency else p.macs)]
    if not shown:
        return ""
    shown.sort(key=lambda pair: pair[1])
    low, high = math.log10(min(x for _, x in shown)), math.log10(max(x for _, x in shown))
    low, high = (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)
    top = max(p.accuracy for p, _ in shown)
    kinds = _kinds([(p.size, p.channels) for p, _ in shown])
    marks = []
    for p, x in shown:
        label = _point_words(p)
        classes = f"mark c{kinds[(p.size, p.channels)]} {p.basis.accuracy}{' chosen' if p.recommended_for else ''}"
        across, down = _across((math.log10(x) - low) / (high - low)), _down(p.accuracy / top)
        radius = 9 if p.recommended_for else 6
        marks.append(
            f'<circle class="{classes}" cx="{across:.1f}" cy="{down:.1f}" r="{radius}" tabindex="0" role="img" '
            f'aria-label="{escape(label)}"><title>{escape(label)}</title></circle>'
        )
    words = format_seconds if by_latency else format_count
    ends = words(10**low), words(10**high)
    title = "latency (log)" if by_latency else "multiply-accumulates (log)"
    return _figure(_axes(title, ends, top) + "".join(marks), "Accuracy against cost", kinds)


def depth_plot(cuts: Sequence[CutScore]) -> str:
    """The probe's accuracy over the position of the cut, a line for each input; "" for no cuts."""
    if not cuts:
        return ""
    kinds = _kinds([(c.size, c.channels) for c in cuts])
    last, top = max(c.position for c in cuts) or 1, max(c.score for c in cuts) or 1.0
    parts = []
    for (size, channels), colour in kinds.items():
        row = [c for c in cuts if (c.size, c.channels) == (size, channels)]
        path = " ".join(
            f"{'M' if k == 0 else 'L'}{_across(c.position / last):.1f} {_down(c.score / top):.1f}"
            for k, c in enumerate(row)
        )
        parts.append(f'<path class="depth c{colour}" style="fill:none" d="{path}"/>')
        for c in row:
            label = f"{c.cut}, {size[0]}x{size[1]}x{channels}: {c.score:.3f}{'' if c.exact else ' (projected)'}"
            parts.append(
                f'<circle class="mark c{colour}" cx="{_across(c.position / last):.1f}" cy="{_down(c.score / top):.1f}" '
                f'r="3.5" tabindex="0" role="img" aria-label="{escape(label)}"><title>{escape(label)}</title></circle>'
            )
    return _figure(_axes("depth", ("input", "output"), top) + "".join(parts), "Accuracy along depth", kinds)


def _point_words(p: FrontPoint) -> str:
    latency = "latency not known" if p.latency is None else f"{format_seconds(p.latency)} ({p.basis.latency})"
    arena = "" if p.arena is None else f", arena {format_bytes(p.arena)}"
    chosen = f"; for {', '.join(p.recommended_for)}" if p.recommended_for else ""
    return (
        f"{p.cut}, {p.size[0]}x{p.size[1]}x{p.channels}, {p.precision}: accuracy {p.accuracy:.3f} "
        f"({p.basis.accuracy}), {latency}{arena}, size {format_bytes(p.size_bytes)}{chosen}"
    )


def _kinds(inputs: Sequence[tuple[tuple[int, int], int]]) -> dict[tuple[tuple[int, int], int], int]:
    return {kind: number % _COLOURS for number, kind in enumerate(sorted(set(inputs), reverse=True))}


def _figure(content: str, title: str, kinds: dict[tuple[tuple[int, int], int], int]) -> str:
    legend = "".join(
        f'<span><svg viewBox="0 0 10 10" aria-hidden="true"><circle class="c{colour}" cx="5" cy="5" r="4"/></svg> '
        f"{size[0]}x{size[1]} {'gray' if channels == 1 else 'colour'}</span>"
        for (size, channels), colour in kinds.items()
    )
    return (
        f'<figure style="margin:0"><p class="legend">{legend}</p>'
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" aria-label="{escape(title)}">{content}</svg>'
        '<p class="says" aria-live="polite">Point at a mark, or tab to it, for its numbers.</p></figure>'
    )


def _axes(title: str, ends: tuple[str, str], top: float) -> str:
    parts = []
    for k in range(5):
        down = _down(k / 4)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down + 4:.1f}" text-anchor="end">{top * k / 4:.2f}</text>')
    bottom = _HEIGHT - _BOTTOM + 20
    parts.append(f'<text x="{_LEFT}" y="{bottom}">{escape(ends[0])}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{bottom}" text-anchor="end">{escape(ends[1])}</text>')
    parts.append(f'<text x="{_WIDTH / 2:.0f}" y="{bottom + 16}" text-anchor="middle">{escape(title)}</text>')
    return "".join(parts)


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)
