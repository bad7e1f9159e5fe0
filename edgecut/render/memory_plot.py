"""A file's memory over the run of its operators as an SVG picture, a block for each tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from edgecut.records.escapes import xml_text
from edgecut.records.units import format_bytes
from edgecut.render.ticks import byte_ticks

LEFT, TOP, RIGHT, BOTTOM, WIDTH, HEIGHT = 90, 56, 24, 44, 520, 380
LETTER, LINE = 6.6, 14  # pixels of a letter, and of a line of text
# Of a device's memory that much beyond the file's, the picture would be empty: its line is at the top, off the scale.
FARTHEST_LIMIT = 2.0
MOST_NAMED = 6  # tensors that words say of the fullest moment
# What is drawn smaller than it is has larger letters, and no names inside of blocks.
STYLE = """
svg{max-width:100%;height:auto;display:block}
text{font:12px system-ui,sans-serif;fill:#1c1f23} .soft{fill:#565f69} .line{stroke:#d9dee4}
.bar{fill:#8fb4dd;stroke:#fff} .peak{fill:#c4303c;stroke:#fff} .moment{stroke:#c4303c;stroke-dasharray:4 3}
.name{font-size:11px;fill:#10202f;pointer-events:none} .white{fill:#fff}
.limit{stroke:#7a5200;stroke-width:2;stroke-dasharray:8 4} .said{fill:#7a5200}
.said{paint-order:stroke;stroke:#fff;stroke-width:4}
@media screen and (max-width:40rem){text{font-size:19px} .name,.odd{display:none}}
@media screen and (prefers-color-scheme:dark){svg{background:#14171b} text{fill:#e6e9ed} .soft{fill:#a6b0bb}
.line{stroke:#313840} .bar{fill:#3f6ea3;stroke:#14171b} .peak{fill:#ff7480;stroke:#14171b}
.name{fill:#fff} .white{fill:#14171b} .limit{stroke:#f0c96a} .said{fill:#f0c96a;stroke:#14171b}}
"""


@dataclass(frozen=True)
class Bar:
    """A tensor: alive from operator `first` to `last`, both included, at `offset` for `size_bytes`."""

    name: str
    first: int
    last: int
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Limit:
    """What a device has for it. name: of the device."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class MemoryPicture:
    """What is drawn: `bars` over `count` operators, of which `peak` is the fullest, on a scale to `most_bytes`."""

    title: str
    subtitle: str
    bars: Sequence[Bar]
    count: int
    peak: int
    most_bytes: int
    limits: Sequence[Limit] = ()

    @property
    def fullest(self) -> str:
        """What is alive at the fullest moment, the largest first, in words; "" for nothing."""
        alive = sorted((b for b in self.bars if b.first <= self.peak <= b.last), key=lambda b: -b.size_bytes)
        named = [f"{bar.name} {format_bytes(bar.size_bytes)}" for bar in alive[:MOST_NAMED]]
        more = [f"{len(alive) - MOST_NAMED} more"] if len(alive) > MOST_NAMED else []
        return "; ".join([*named, *more])


def arena_picture(
    title: str,
    bars: Sequence[Bar],
    operators: Sequence[str],
    peak: int,
    arena_bytes: int,
    limits: Sequence[Limit] = (),
) -> MemoryPicture:
    """The interpreter's arena: operators from left to right, addresses upwards, what is alive at `peak` marked.

    arena_bytes: the arena's head. limits: lines across.
    """
    moment = f"the most is alive at operator {peak}, {operators[peak] if operators else ''}"
    subtitle = f"arena head {format_bytes(arena_bytes)}; {moment}"
    return MemoryPicture(title, subtitle, bars, max(1, len(operators)), peak, arena_bytes, limits)


def work_buffer_picture(
    title: str,
    bars: Sequence[Bar],
    counts: Sequence[int],
    peak: int,
    work_bytes: int,
    arena_bytes: int,
    limits: Sequence[Limit] = (),
) -> MemoryPicture:
    """The same of the plain C: stretches of operators from left to right, in which each tensor has room for some rows.

    bars: by stretch. counts: the operators of each stretch. arena_bytes: of the interpreter's head, whose scale it is
    drawn to, so that both pictures can be compared.
    """
    starts = [*accumulate(counts, initial=0)]
    wide = [replace(bar, first=starts[bar.first], last=starts[bar.last + 1] - 1) for bar in bars]
    first, last = starts[peak], starts[peak + 1] - 1
    moment = f"operator {first}" if first == last else f"operators {first} to {last}, row by row"
    subtitle = f"work buffer {format_bytes(work_bytes)} (arena head {format_bytes(arena_bytes)}); the most in {moment}"
    return MemoryPicture(title, subtitle, wide, starts[-1], starts[peak], max(work_bytes, arena_bytes), limits)


def memory_svg(picture: MemoryPicture) -> str:
    """The picture as a file of its own, with its title."""
    head = [
        f'<text x="{LEFT}" y="24" font-weight="bold">{xml_text(picture.title)}</text>',
        f'<text class="soft odd" x="{LEFT}" y="42">{xml_text(picture.subtitle)}</text>',
    ]
    return _svg(picture, 0, head)


def memory_drawing(picture: MemoryPicture) -> str:
    """The same for a page, which says title and subtitle itself."""
    return _svg(picture, TOP - 2 * LINE, [])


def _svg(picture: MemoryPicture, top: int, head: Sequence[str]) -> str:
    near = [limit for limit in picture.limits if limit.size_bytes <= FARTHEST_LIMIT * picture.most_bytes]
    far = [limit for limit in picture.limits if limit not in near]
    ticks = byte_ticks(max([picture.most_bytes, *(limit.size_bytes for limit in near)]))
    width, height = LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM
    step, scale = WIDTH / picture.count, HEIGHT / ticks[-1]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height - top}" '
        f'viewBox="0 {top} {width} {height - top}" role="img"><title>{xml_text(picture.title)}</title>'
        f"<style>{STYLE}</style>",
        *head,
    ]
    for tick in ticks:
        y = TOP + HEIGHT - tick * scale
        parts.append(f'<line class="line" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{format_bytes(tick)}</text>')
    parts += [_bar(bar, step, scale, picture.peak, picture.count) for bar in picture.bars]
    middle = LEFT + (picture.peak + 0.5) * step
    parts.append(f'<line class="moment" x1="{middle:.1f}" x2="{middle:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}"/>')
    parts += [_limit_line(_size_words(limit), TOP + HEIGHT - limit.size_bytes * scale) for limit in near]
    if far:
        parts.append(_limit_line("↑ " + "; ".join(map(_size_words, far)), TOP))
    for place, k in enumerate(range(0, picture.count, max(1, -(-picture.count // 12)))):
        odd = " odd" if place % 2 else ""
        x = LEFT + (k + 0.5) * step
        parts.append(f'<text class="soft{odd}" x="{x:.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{k}</text>')
    parts.append(f'<text class="soft" x="{LEFT - 8}" y="{TOP + HEIGHT + 20}" text-anchor="end">operator</text></svg>')
    return "\n".join(parts) + "\n"


def _bar(bar: Bar, step: float, scale: float, peak: int, count: int) -> str:
    first, last = max(0, bar.first), min(count - 1, bar.last)
    kind = "peak" if bar.first <= peak <= bar.last else "bar"
    y = TOP + HEIGHT - (bar.offset + bar.size_bytes) * scale
    says = xml_text(f"{bar.name}: {format_bytes(bar.size_bytes)}, operators {first} to {last}")
    return (
        f'<rect class="{kind}" x="{LEFT + first * step:.1f}" y="{y:.1f}" width="{(last - first + 1) * step:.1f}" '
        f'height="{max(1.0, bar.size_bytes * scale):.1f}"><title>{says}</title></rect>'
        + _name(bar.name, LEFT + first * step, y, (last - first + 1) * step, bar.size_bytes * scale, kind)
    )


def _name(name: str, x: float, y: float, width: float, height: float, kind: str) -> str:
    """The name inside of a block that has room for it, the end of it where that says enough; "" else."""
    room = int((width - 8) / LETTER)
    short = name if len(name) <= room else f"…{name[len(name) - room + 1 :]}"
    if height < LINE or room < 5:
        return ""
    white = " white" if kind == "peak" else ""
    return f'<text class="name{white}" x="{x + 4:.1f}" y="{y + 11:.1f}">{xml_text(short)}</text>'


def _size_words(limit: Limit) -> str:
    return f"{limit.name}: {format_bytes(limit.size_bytes)}"


def _limit_line(words: str, y: float) -> str:
    """A line across with what it means above it, at its right end."""
    return (
        f'<line class="limit" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="said" x="{LEFT + WIDTH - 4:.1f}" y="{y - 4:.1f}" text-anchor="end">{xml_text(words)}</text>'
    )
