"""Latencies of files on devices as SVG: a lane for each, with what was measured or the band of an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgecut.records.bench_rows import BenchRow
from edgecut.records.escapes import xml_text
from edgecut.records.measurement import Measurement
from edgecut.records.units import format_seconds
from edgecut.render.scatter import BOTTOM, LogScale, Mark, across_of, axis_across, circle, figure, log_scale
from edgecut.render.words import UNKNOWN, band_words, measured_words

_TOP, _GROUP, _LANE = 8, 34, 20
_COLOURS = 6  # classes c0 to c5 of PLOT_STYLE
_LETTER = 6.8


def latency_plot(rows: Sequence[BenchRow], precisions: Mapping[str, str]) -> str:
    """A lane for each file below each device; "" where no latency is known.

    precisions: of the files, by name. Each file has a colour, or each precision where there aren't enough. A measured
    mark is filled, its lines go from the shortest run to the longest and, thicker, from p10 to p90; an estimated one is
    pale, and its line is the band.
    """
    known = [m for row in rows if (m := row.latency) is not None and m.value]
    if not known:
        return ""
    along = log_scale([value for m in known for value in (*_ends(m), m.value or 1.0)])
    files = list(dict.fromkeys(row.artifact for row in rows))
    told_by = {name: name if len(files) <= _COLOURS else precisions.get(name, "") for name in files}
    colours = {kind: place % _COLOURS for place, kind in enumerate(dict.fromkeys(told_by.values()))}
    parts, down = [], float(_TOP)
    for device in dict.fromkeys(row.device for row in rows):
        down += _GROUP
        parts.append(f'<text class="group" x="{across_of(0):.0f}" y="{down - 12:.1f}">{xml_text(device)}</text>')
        parts.append(f'<line x1="{across_of(0):.0f}" x2="{across_of(1):.0f}" y1="{down - 6:.1f}" y2="{down - 6:.1f}"/>')
        for row in (row for row in rows if row.device == device):
            parts.append(_lane(row, along, down + _LANE / 2, colours[told_by[row.artifact]]))
            down += _LANE
    bottom = down + 8
    drawn = axis_across("latency (log)", along.ticks(format_seconds), bottom) + "".join(parts)
    return figure(drawn, "latency of each file on each device", colours, bottom + BOTTOM)


def _lane(row: BenchRow, along: LogScale, down: float, colour: int) -> str:
    latency = row.latency
    if latency is None or not latency.value:
        return _text(f"{row.artifact} {UNKNOWN}", across_of(0), down, "start")
    (least, most), core = _ends(latency), latency.spread[1:3]
    low, high = along.across(least), along.across(most)
    ranges = f'<path class="range c{colour}" d="M{low:.1f} {down:.1f} H{high:.1f}"/>'
    if core[0] is not None and core[1] is not None:
        ends = f"M{along.across(core[0]):.1f} {down:.1f} H{along.across(core[1]):.1f}"
        ranges += f'<path class="range core c{colour}" d="{ends}"/>'
    band = f" {band_words(latency.error)}" if latency.error is not None else ""
    words = measured_words(latency)
    label = f"{row.artifact} on {row.device}: {words} ({latency.kind}{band})"
    kind = f"c{colour} {'measured' if latency.kind == 'measured' else 'probe'}"
    mark = Mark(x=latency.value, y=0.0, name=row.artifact, label=label, kind=kind)
    middle = along.across(latency.value)
    beside = _beside(f"{row.artifact} {words}", (low, middle, high), down)
    return ranges + beside + circle(mark, middle, down)


def _beside(words: str, places: tuple[float, float, float], down: float) -> str:
    """The words behind the line of a lane, or before it, or just above it where they have no room at its ends.

    places: where the line begins, where its mark is, and where the line ends.
    """
    low, middle, high = places
    room = _LETTER * len(words) + 12
    for x, is_behind, raised in ((high, True, 0), (low, False, 0), (middle, True, 7), (middle, False, 7)):
        if x + room <= across_of(1) if is_behind else x - room >= across_of(0):
            return _text(words, x + (12 if is_behind else -12), down - raised, "start" if is_behind else "end")
    return _text(words, across_of(0), down - 7, "start")


def _text(words: str, x: float, down: float, anchor: str) -> str:
    return f'<text class="rest" x="{x:.1f}" y="{down + 4:.1f}" text-anchor="{anchor}">{xml_text(words)}</text>'


def _ends(latency: Measurement) -> tuple[float, float]:
    """The shortest and the longest run; of an estimate, where its band ends."""
    value, (least, _, _, most) = latency.value or 1.0, latency.spread
    if least is not None and most is not None:
        return least, most
    return latency.band or (value, value)
