"""The picture of the rooms, from the imports themselves: python -m tools.rooms [-o FILE]; docs/rooms.svg by default.

A row is a floor of tests/house/test_floors.py. An arrow is an import by one room of another, and only where no way over
a third room says it already.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path

from tests.house.test_floors import FLOOR, FLOORS, PACKAGE, imports_of, modules, room_of

PICTURE = PACKAGE.parent / "docs" / "rooms.svg"
WIDTH, ROW, BOX, LEFT, TOP = 860, 74, 34, 24, 20
LETTER = 8.6  # pixels of one letter of the 14 px font, rounded up

STYLE = """
.back { fill: #ffffff } .floor { fill: #f3f5f8 } .room { fill: #ffffff; stroke: #3f51b5; stroke-width: 1.5 }
text { fill: #1b1f27; font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; text-anchor: middle }
.arrow { fill: none; stroke: #7b86a6; stroke-width: 1.2 } .head { fill: #7b86a6 }
@media (prefers-color-scheme: dark) {
.back { fill: #1e2129 } .floor { fill: #272b36 } .room { fill: #1e2129; stroke: #8c9eff } text { fill: #e6e8ef }
.arrow { stroke: #7f89a8 } .head { fill: #7f89a8 }
}
"""

Box = tuple[float, float, float]  # left, top, width


@cache
def room_imports() -> dict[str, set[str]]:
    """{room: the other rooms that its modules import}, those inside functions and for types included."""
    rooms: dict[str, set[str]] = {}
    for path in modules():
        imports = imports_of(ast.parse(path.read_text(encoding="utf-8")))
        names = (module.split(".")[1] for module, _, _ in imports if module.startswith("edgecut."))
        rooms.setdefault(room_of(path), set()).update(name for name in names if name in FLOOR)
    return {room: others - {room} for room, others in rooms.items()}


def direct(rooms: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """The imports (room, other) that no other import of the room leads to, sorted."""
    below: dict[str, set[str]] = {}

    def reached(room: str) -> set[str]:
        if room not in below:
            below[room] = set(rooms[room]).union(*(reached(other) for other in rooms[room]))
        return below[room]

    return sorted(
        (room, other)
        for room, others in rooms.items() for other in others
        if not any(other in reached(third) for third in others - {other})
    )  # fmt: skip


def rooms_svg(rooms: Mapping[str, set[str]]) -> str:
    """The picture, the lowest floor at the bottom; its colours follow the reader's light or dark."""
    floors = [[room for room in floor if room in rooms] for floor in reversed(FLOORS)]
    boxes = {room: box for row, floor in enumerate(floors) for room, box in _placed(floor, row)}
    height = TOP * 2 + ROW * len(floors) - (ROW - BOX - 16)
    bands = (
        f'<rect class="floor" x="{LEFT / 2:g}" y="{TOP + row * ROW - 8}" width="{WIDTH - LEFT}" '
        f'height="{BOX + 16}" rx="6"/>'
        for row in range(len(floors))
    )
    arrows = (_arrow(boxes[room], boxes[other]) for room, other in direct(rooms))
    drawn = (
        f'<rect class="room" x="{x:g}" y="{y:g}" width="{width:g}" height="{BOX}" rx="5"/>'
        f'<text x="{x + width / 2:g}" y="{y + 22:g}">{escape(room)}</text>'
        for room, (x, y, width) in boxes.items()
    )
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="The rooms of edgecut by floor, and which imports which">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
        *bands, *arrows, *drawn, "</svg>",
    )  # fmt: skip
    return "\n".join(parts) + "\n"


def _placed(floor: Sequence[str], row: int) -> list[tuple[str, Box]]:
    """The boxes of a floor, evenly spaced."""
    widths = [len(room) * LETTER + 22 for room in floor]
    gap = (WIDTH - 2 * LEFT - sum(widths)) / (len(floor) + 1)
    left, placed = LEFT + gap, []
    for room, width in zip(floor, widths, strict=True):
        placed.append((room, (round(left, 1), TOP + row * ROW, round(width, 1))))
        left += width + gap
    return placed


def _arrow(importer: Box, imported: Box) -> str:
    x, y = importer[0] + importer[2] / 2, importer[1] + BOX
    end_x, end_y = imported[0] + imported[2] / 2, imported[1] - 1
    bend = (end_y - y) / 2
    return (
        f'<path class="arrow" marker-end="url(#tip)" d="M{x:g} {y:g}C{x:g} {y + bend:g} {end_x:g} {end_y - bend:g} '
        f'{end_x:g} {end_y:g}"/>'
    )


def main() -> int:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=PICTURE)
    out = parser.parse_args().out
    out.write_text(rooms_svg(room_imports()), encoding="utf-8")
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
