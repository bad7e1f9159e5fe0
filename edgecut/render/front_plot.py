"""The pictures of a search as SVG: the front, and accuracy along depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgecut.records.escapes import xml_text
from edgecut.records.front import CutScore, DeviceCost, FrontPoint
from edgecut.records.units import format_bytes, format_count, format_seconds
from edgecut.render.scatter import Mark, across_of, axes, figure, scale_of, scatter

_COLOURS = 6  # classes c0 to c5 of PLOT_STYLE, one for each input


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
    marks = [
        Mark(
            x=x,
            y=p.accuracy,
            name=p.cut,
            label=_point_words(p, cost, called),
            kind=f"c{colours[(p.size, p.channels)]} {p.basis.accuracy}",
            chosen=device in p.recommended_for,
            place=k,
        )
        for k, p, cost in own
        if (x := cost.latency if by_latency else p.macs)
    ]
    if not marks:
        return ""
    axis = f"latency on {device} (log)" if by_latency else "multiply-accumulates (log)"
    drawn = scatter(marks, axis, format_seconds if by_latency else format_count)
    shown = {(points[mark.place].size, points[mark.place].channels) for mark in marks}
    used = {input_words(*kind): colours[kind] for kind in colours if kind in shown}
    return figure(drawn, f"{called} against cost on {device}", used)


def depth_plot(cuts: Sequence[CutScore], colours: Mapping[Input, int], called: str) -> str:
    """The probe's score over the position of the cut, a line for each input; "" for no cuts."""
    if not cuts:
        return ""
    kinds = {kind: colours[kind] for kind in colours if any((c.size, c.channels) == kind for c in cuts)}
    last = max(c.position for c in cuts) or 1
    scale = scale_of([c.score for c in cuts])
    parts = []
    for (size, channels), colour in kinds.items():
        row = [c for c in cuts if (c.size, c.channels) == (size, channels)]
        path = " ".join(
            f"{'M' if k == 0 else 'L'}{across_of(c.position / last):.1f} {scale.down(c.score):.1f}"
            for k, c in enumerate(row)
        )
        parts.append(f'<path class="depth c{colour}" style="fill:none" d="{path}"/>')
        for c in row:
            label = f"{c.cut}, {input_shape(size, channels)}: {c.score:.3f}{'' if c.exact else ' (projected)'}"
            says = xml_text(label)
            x, y = across_of(c.position / last), scale.down(c.score)
            parts.append(
                f'<circle class="mark c{colour}" cx="{x:.1f}" cy="{y:.1f}" '
                f'r="3.5" tabindex="0" role="img" aria-label="{says}"><title>{says}</title></circle>'
            )
    drawn = axes("depth", ((0.0, "input"), (1.0, "output")), scale) + "".join(parts)
    return figure(drawn, f"{called} along depth", {input_words(*kind): colour for kind, colour in kinds.items()})


def _point_words(p: FrontPoint, cost: DeviceCost, called: str) -> str:
    none = f"latency none{f': {cost.reason}' if cost.reason else ''}"
    latency = none if cost.latency is None else f"{format_seconds(cost.latency)} ({cost.latency_kind})"
    taken = p.arena if cost.arena is None else cost.arena
    arena = "" if taken is None else f", arena {format_bytes(taken)}"
    chosen = f"; for {', '.join(p.recommended_for)}" if p.recommended_for else ""
    return (
        f"{p.cut}, {input_shape(p.size, p.channels)}, {p.precision}: {called} {p.accuracy:.3f} "
        f"({p.basis.accuracy}), {latency}{arena}, size {format_bytes(p.size_bytes)}{chosen}"
    )
