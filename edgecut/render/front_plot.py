"""The pictures of a search as SVG: the front, and accuracy along depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgecut.records.front import CutScore, DeviceCost, FrontPoint
from edgecut.records.units import format_bytes, format_count, format_seconds
from edgecut.render.scatter import Mark, across_of, axes, circle, figure, names, scale_of, scatter
from edgecut.render.ticks import round_ticks
from edgecut.render.words import fraction_words

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
            value=fraction_words(p.accuracy),
            number=str(k + 1),
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
    told = [f"Ringed is number {mark.number}, {mark.label}." for mark in marks if mark.chosen]
    told.append(
        "What is filled was measured, what is pale is what the probe foretells; numbers are those of the choices."
    )
    return figure(drawn, f"{called} against cost on {device}", used, remarks=told)


def depth_plot(cuts: Sequence[CutScore], colours: Mapping[Input, int], called: str) -> str:
    """The probe's score over the position of the cut, a line for each input; "" for no cuts."""
    if not cuts:
        return ""
    kinds = {kind: colours[kind] for kind in colours if any((c.size, c.channels) == kind for c in cuts)}
    last = max(c.position for c in cuts) or 1
    scale = scale_of([c.score for c in cuts])
    lines: list[str] = []
    places: list[tuple[float, float, Mark]] = []
    told: list[str] = []
    for kind, colour in kinds.items():
        row = [c for c in cuts if (c.size, c.channels) == kind]
        at = [(across_of(c.position / last), scale.down(c.score)) for c in row]
        path = " ".join(f"{'M' if k == 0 else 'L'}{x:.1f} {y:.1f}" for k, (x, y) in enumerate(at))
        lines.append(f'<path class="depth c{colour}" style="fill:none" d="{path}"/>')
        best = max(row, key=lambda c: c.score)
        told.append(f"The best of {input_words(*kind)} is {best.cut}: {fraction_words(best.score)}.")
        places += [(x, y, _cut_mark(c, colour, c is best)) for c, (x, y) in zip(row, at, strict=True)]
    circles = [circle(mark, x, y, 3.5) for x, y, mark in places]
    ticks = [(tick / last, f"{tick:g}") for tick in round_ticks(0.0, last) if tick <= last and tick == int(tick)]
    drawn = axes("the layer's place, from input to output", ticks, scale) + "".join([*lines, *circles]) + names(places)
    used = {input_words(*kind): colour for kind, colour in kinds.items()}
    return figure(drawn, f"{called} along depth", used, remarks=told)


def _cut_mark(c: CutScore, colour: int, is_best: bool) -> Mark:
    label = f"{c.cut}, {input_shape(c.size, c.channels)}: {c.score:.3f}{'' if c.exact else ' (projected)'}"
    name, value = (c.cut, fraction_words(c.score)) if is_best else ("", "")
    return Mark(x=c.position, y=c.score, name=name, label=label, kind=f"c{colour}", value=value)


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
