"""Where a file's memory goes, in the interpreter and as plain C."""

from __future__ import annotations

import re
from pathlib import Path

from edgecut.bench.usage import file_uses, plain_c_use
from edgecut.engine import plan
from edgecut.export.readback import read_artifact
from edgecut.render.page_parts import memory_html

FIXTURES = Path(__file__).parent.parent / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"


def test_every_room_lies_in_the_work_buffer_and_one_ends_at_its_top() -> None:
    use, made = plain_c_use(INT8), plan(INT8)
    assert use is not None
    assert (use.arena_bytes, len(use.stretches)) == (made.arena_bytes, len(made.segments))
    assert list(use.operators) == [len(stretch.operators) for stretch in made.segments]
    assert {room.first for room in use.rooms} == set(range(len(use.stretches)))
    assert max(room.offset + room.size_bytes for room in use.rooms) == made.arena_bytes


def test_the_plain_c_is_drawn_beside_the_interpreter() -> None:
    artifacts = [read_artifact(FIXTURES / f"tiny.{p}.tflite", name=p, precision=p) for p in ("int8", "float32")]
    uses = file_uses(Path("/"), artifacts, ())
    assert [use.plain_c is not None for use in uses] == [True, False]
    html = str(memory_html(uses[:1], {}))
    assert html.count("<svg") == 2
    assert "; the most in operator" in html
    ticks = re.findall(r'text-anchor="end">([^<]* \w*B)<', html)
    half = len(ticks) // 2
    assert ticks[:half] == ticks[half:] == ["0 B", "2 KiB", "4 KiB", "6 KiB"], "one scale for both, of round sizes"
