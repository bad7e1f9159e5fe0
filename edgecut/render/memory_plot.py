"""A file's memory over the run of its operators as an SVG picture, a bar for each tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from edgecut.records.escapes import xml_text
from edgecut.records.units import format_bytes

LEFT, TOP, RIGHT, BOTTOM, HEIGHT, STEP = 90, 56, 24, 44, 420, 14
SMALLEST_WIDTH, LARGEST_WIDTH = 560, 2400
STYLE = """
text{font:12px system-ui,sans-serif;fill:#1c1f23} .soft{fill:#5c6570} .line{stroke:#d9dee4}
.bar{fill:#8fb4dd;stroke:#fff} .peak{fill:#c4303c;stroke:#fff} .moment{stroke:#c4303c;stroke-dasharray:4 3}
@media (prefers-color-scheme:dark){svg{background:#14171a} text{fill:#e6e9ed} .soft{fill:#9aa4b0}
.line{stroke:#313840} .bar{fill:#3f6ea3;stroke:#14171a} .peak{fill:#ff7480;stroke:#14171a}}
"""


@dataclass(frozen=True)
class Bar:
    """A tensor: alive from operator `first` to `last`, both included, at `offset` for `size_bytes`."""

    name: str
    first: int
    last: int
    offset: int
    size_bytes: int


def memory_svg(title: str, bars: Sequence[Bar], operators: Sequence[str], peak: int, arena_bytes: int) -> str:
    """The picture: operators from left to right, addresses upwards, what is alive at operator `peak` marked.

    arena_bytes: the height of the scale, the arena's head.
    """
    moment = f"the most is alive at operator {peak}, {operators[peak] if operators else ''}"
    subtitle = f"arena head {format_bytes(arena_bytes)}; {moment}"
    return _svg(title, subtitle, bars, len(operators), peak, arena_bytes)


def work_buffer_svg(
    title: str, bars: Sequence[Bar], counts: Sequence[int], peak: int, work_bytes: int, arena_bytes: int
) -> str:
    """The same of the plain C: stretches of operators from left to right, in which each tensor has room for some rows.

    bars: by stretch. counts: the operators of each stretch. arena_bytes: of the interpreter's head, whose scale it is
    drawn to, so that both pictures can be compared.
    """
    starts = [*accumulate(counts, initial=0)]
    wide = [replace(bar, first=starts[bar.first], last=starts[bar.last + 1] - 1) for bar in bars]
    first, last = starts[peak], starts[peak + 1] - 1
    moment = f"operator {first}" if first == last else f"operators {first} to {last}, row by row"
    subtitle = f"work buffer {format_bytes(work_bytes)} (arena head {format_bytes(arena_bytes)}); the most in {moment}"
    return _svg(title, subtitle, wide, starts[-1], starts[peak], max(work_bytes, arena_bytes))


def _svg(title: str, subtitle: str, bars: Sequence[Bar], count: int, peak: int, arena_bytes: int) -> str:
    count = max(1, count)
    plot = min(max(STEP * count, SMALLEST_WIDTH), LARGEST_WIDTH)
    width, height = LEFT + plot + RIGHT, TOP + HEIGHT + BOTTOM
    step, scale = plot / count, HEIGHT / max(1, arena_bytes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img"><title>{xml_text(title)}</title><style>{STYLE}</style>',
        f'<text x="{LEFT}" y="24" font-weight="bold">{xml_text(title)}</text>',
        f'<text class="soft" x="{LEFT}" y="42">{xml_text(subtitle)}</text>',
    ]
    for quarter in range(5):
        y = TOP + HEIGHT - HEIGHT * quarter / 4
        label = format_bytes(arena_bytes * quarter // 4)
        parts.append(f'<line class="line" x1="{LEFT}" x2="{LEFT + plot}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    parts += [_bar(bar, step, scale, peak, count) for bar in bars]
    middle = LEFT + (peak + 0.5) * step
    parts.append(f'<line class="moment" x1="{middle:.1f}" x2="{middle:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}"/>')
    for k in range(0, count, max(1, count // 12)):
        x = LEFT + (k + 0.5) * step
        parts.append(f'<text class="soft" x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{k}</text>')
    parts.append(f'<text class="soft" x="{LEFT}" y="{height - 8}">operator</text></svg>')
    return "\n".join(parts) + "\n"


def _bar(bar: Bar, step: float, scale: float, peak: int, count: int) -> str:
    first, last = max(0, bar.first), min(count - 1, bar.last)
    kind = "peak" if bar.first <= peak <= bar.last else "bar"
    y = TOP + HEIGHT - (bar.offset + bar.size_bytes) * scale
    says = xml_text(f"{bar.name}: {format_bytes(bar.size_bytes)}, operators {first} to {last}")
    return (
        f'<rect class="{kind}" x="{LEFT + first * step:.1f}" y="{y:.1f}" width="{(last - first + 1) * step:.1f}" '
        f'height="{max(1.0, bar.size_bytes * scale):.1f}"><title>{says}</title></rect>'
    )
