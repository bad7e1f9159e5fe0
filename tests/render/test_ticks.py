"""Axes have their marks at round numbers, and enclose what is drawn."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgecut.records.front import Basis, DeviceCost, FrontPoint
from edgecut.render.front_plot import front_plot
from edgecut.render.memory_plot import Bar, Limit, arena_picture, memory_svg
from edgecut.render.ticks import byte_ticks, log_ticks, round_ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_round_ticks_enclose_the_values_in_equal_steps(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    step = ticks[1] - ticks[0]
    assert 2 <= len(ticks) <= 6
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= low + span - 1e-6 * step
    lead = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(lead - each) for each in (1, 2, 2.5, 5, 10)) < 1e-3


def test_one_value_has_room_on_its_axis() -> None:
    assert round_ticks(0.0, 0.0) == (0.0, 0.1)
    assert round_ticks(0.5, 0.5) == (0.5, 0.6)


@given(st.integers(1, 1 << 33))
def test_byte_ticks_enclose_the_size_in_equal_steps(size: int) -> None:
    ticks = byte_ticks(size)
    assert 2 <= len(ticks) <= 6
    assert ticks[-2] < size <= ticks[-1]
    assert {b - a for a, b in pairwise(ticks)} == {ticks[1]}


@given(st.floats(1e-9, 1e9), st.floats(1.5, 1e6))
def test_log_ticks_are_round_numbers_inside_the_range(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    leads = {f"{lead:e}"[:8] for lead in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)}
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)
    assert 1 <= len(ticks) <= 9
    assert all(f"{tick:e}"[:8] in leads for tick in ticks)


def test_the_front_names_the_chosen_mark_and_no_two_names_overlap() -> None:
    texts = re.findall(
        r'<text class="(name[^"]*)" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">(.+?)</text>', crowded()
    )
    texts = [(*place, re.sub("<[^>]*>", "", words)) for *place, words in texts]
    boxes = []
    for _, x, y, anchor, name in texts:
        left = float(x) - {"start": 0.0, "middle": 3.4, "end": 6.8}[anchor] * len(name)
        boxes.append((left, float(y) - 11, left + 6.8 * len(name), float(y) + 3))
    assert [name for kind, *_, name in texts if kind == "name chosen"] == ["8 block_7 0.801"]
    assert 3 <= len(texts) < 60
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def crowded() -> str:
    """A front of sixty choices that lie near each other."""
    points = []
    for k in range(60):
        device = DeviceCost(profile="board", state="meets", latency=0.01 * 1.015**k, latency_kind="estimated")
        points.append(
            FrontPoint(
                cut=f"block_{k}", size=(96, 96), channels=3, precision="int8", chosen_by=0.8,
                accuracy=0.8 + 0.001 * (k % 3),
                latency=device.latency, arena=None, size_bytes=1, macs=1,
                basis=Basis(accuracy="probe", latency="estimated"),
                recommended_for=("board",) if k == 7 else (), devices=(device,),
            )
        )  # fmt: skip
    return front_plot(points, "board", {((96, 96), 3): 0}, "accuracy")


def test_a_limit_is_a_line_and_a_far_one_is_at_the_top() -> None:
    bars = [Bar("image", 0, 1, 0, 5000)]
    svg = memory_svg(arena_picture("a", bars, ["CONV_2D"], 0, 5000, [Limit("near", 8192), Limit("far", 1 << 20)]))
    assert svg.count('class="limit"') == 2
    assert re.findall(r'<line class="limit" x1="90" x2="610" y1="([^"]*)"', svg) == ["56.0", "56.0"]
    ends = [*("0 B", "2 KiB", "4 KiB", "6 KiB", "8 KiB"), "near: 8 KiB", "↑ far: 1 MiB", "operator"]
    assert re.findall(r'text-anchor="end">([^<]+)<', svg) == ends
