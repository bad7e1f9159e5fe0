"""A device without latency facts says "none" with the reason, wherever a latency is shown."""

from __future__ import annotations

import re

import pytest

from edgecut.records.front import Front
from edgecut.records.matrix import Matrix, MatrixCell, MatrixFile, MatrixRow
from edgecut.render.csv_rows import FRONT_COLUMNS, front_rows
from edgecut.render.front import front_tables, render_front
from edgecut.render.matrix import matrix_markdown, matrix_table, render_matrix
from edgecut.render.overview import Place, render_side_by_side
from edgecut.render.page import render_page
from edgecut.render.tables import report_tables
from tests.render.command_tables import shown
from tests.render.test_front_page import front
from tests.reports import report

WHY = "profile 'board' has no latency facts"


def matrix() -> Matrix:
    cell = MatrixCell(profile="board", state="meets", arena_bytes=40_000, arena_kind="measured", reason=WHY)
    other = MatrixCell(profile="fast", state="meets", latency=0.2, latency_kind="estimated", latency_error=0.3)
    file = MatrixFile(
        name="m.int8.tflite", format="tflite", precision="int8", size_bytes=9000, accuracy=0.8, cells=(cell, other)
    )
    rows = tuple(
        MatrixRow(name=name, settings={"cut.to": name}, status="meets", code=0, bundle=name, files=(file,), title="m")
        for name in "ab"
    )
    return Matrix(edgecut="1", name="m", axes={"cut.to": ("a", "b")}, rows=rows)


def unknown_front() -> Front:
    found = front()
    points = tuple(
        point.model_copy(update={
            "latency": None,
            "devices": tuple(device.model_copy(update={"latency": None, "reason": WHY}) for device in point.devices),
        })
        for point in found.front
    )  # fmt: skip
    return found.model_copy(update={"front": points})


def test_a_matrix_says_so_in_its_cell_and_why_below() -> None:
    text = shown(matrix_table(matrix()), width=100)
    assert re.search(r"board +39.1 KiB m +none +meets", text)
    assert f"a, b: board latency none: {WHY}" in text
    assert "| board | 39.1 KiB (measured) | none | meets |" in matrix_markdown(matrix())
    assert "board latency none" in render_matrix(matrix())


def test_a_search_says_so_in_its_table_its_page_and_its_values() -> None:
    found = unknown_front()
    text = shown(*front_tables(found, "se"), width=120)
    assert text.count("none") == len(found.front)
    assert f"board latency: {WHY}" in text
    page = render_front(found)
    assert "latency none: profile" in page
    assert "latency not known" not in page
    assert {dict(zip(FRONT_COLUMNS, row, strict=True))["reason"] for row in front_rows(found)} == {WHY}


def test_a_search_of_several_devices_says_which_one_its_costs_are_of() -> None:
    found = front()
    both = tuple(
        point.model_copy(update={"devices": (*point.devices, point.devices[0].model_copy(update={"profile": "other"}))})
        for point in found.front
    )
    assert "latency and arena: on board" in shown(*front_tables(found.model_copy(update={"front": both}), "se"))


def test_a_report_and_builds_side_by_side_say_so() -> None:
    found = report()
    none = [m for m in found.measurements if m.metric == "latency" and m.value is None]
    assert [m.profile for m in none] == ["ek-ra8d1"]
    assert "ek-ra8d1 latency" in shown(*report_tables(found))
    assert re.search(r"<td[^>]*>none</td>", render_page(found))
    page = render_side_by_side([Place("a", found, None)])
    assert re.search(r"latency on ek-ra8d1</td><td[^>]*>none</td>", page)


@pytest.mark.parametrize("kind", ["measured", "estimated"])
def test_builds_side_by_side_show_what_answers(kind: str) -> None:
    """A measured arena isn't overwritten by the estimate behind it, in whichever order they come."""
    found = report()
    arena = next(m for m in found.measurements if m.metric == "arena" and m.value is not None)
    twice = [
        arena.model_copy(update={"kind": "measured", "value": 38_912.0}),
        arena.model_copy(update={"kind": "estimated", "value": 50_000.0, "error": 0.1}),
    ]
    order = twice if kind == "measured" else twice[::-1]
    others = tuple(m for m in found.measurements if m.metric != "arena")
    page = render_side_by_side([Place("a", found.model_copy(update={"measurements": (*others, *order)}), None)])
    assert "38 KiB (measured)" in page
    assert "48.8 KiB" not in page
