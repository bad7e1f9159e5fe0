"""A search's page, and those of a build, a comparison and a bench: self-contained, true, and silent in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from edgecut.records.units import format_bytes, format_count, format_seconds
from edgecut.render.front import front_tables, render_front
from tests.pages import PAGES, front, use


@pytest.mark.parametrize("name", PAGES)
def test_names_are_escaped_and_nothing_is_fetched(name: str) -> None:
    page = PAGES[name][0]()
    assert re.findall(r"block<1>|a<b>", page) == []
    without = page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r'(?:src|href)="(?!data:|#|[\w-]+/report.html)[^"]*"|url\(|@import|https?://', without) == []


@pytest.mark.parametrize(("folder", "named"), [("found", "found/recipes/board.toml"), ("my cuts", "'my cuts/recipes/")])
def test_the_command_that_builds_a_choice_names_its_recipe(folder: str, named: str) -> None:
    from tests.render.test_tables import shown

    assert f"edgecut build {named}" in shown(*front_tables(front(), folder))
    of_a_file = shown(*front_tables(front(), folder, {"board": "my boards/board.toml"}))
    assert " --profile 'my boards/board.toml' -o dist" in of_a_file
    assert "edgecut build recipes/board.toml --profile board -o dist" in render_front(front())


def test_every_mark_can_be_reached_by_key_and_says_its_numbers() -> None:
    marks = re.findall(r'<circle class="mark[^>]*>', render_front(front()))
    assert len(marks) == 2 + 6
    assert all('tabindex="0"' in mark and "aria-label=" in mark for mark in marks)
    assert (
        'aria-label="block&lt;1&gt;, 96x96x3, int8: accuracy 0.781 (measured), 12.5 ms (estimated), arena 64 KiB, '
        'size 100 KiB; for board"' in marks[1]
    )  # fmt: skip


def test_each_input_has_a_line_along_depth() -> None:
    assert len(re.findall(r'<path class="depth', render_front(front()))) == 2


def test_a_front_of_scores_below_zero_is_drawn() -> None:
    found = front()
    below = [c.model_copy(update={"score": -0.5, "probe": -0.5}) for c in found.cuts]
    points = [p.model_copy(update={"accuracy": -0.5}) for p in found.front]
    page = render_front(found.model_copy(update={"cuts": tuple(below), "front": tuple(points), "metric": "r2"}))
    assert "R² -0.500 (measured)" in page


def numbers_in(value: Any) -> Iterator[float]:
    """Every number of a document, those in its texts, too."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers_in(key)
            yield from numbers_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from numbers_in(part)
        yield float(len(value))
    elif isinstance(value, str):
        yield from (float(x) for x in re.findall(r"\d+(?:\.\d+)?", value))
    elif isinstance(value, int | float):
        yield float(value)


def figures(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def said(value: float) -> set[str]:
    """The figures by which a number may be shown: as it is, rounded, with a unit, or as percent."""
    words = [f"{value:g}", f"{value:.2g}", f"{value:.3g}", f"{value:.3f}", f"{value:.1f}", f"{value:.8g}"]
    words += [f"{value * 100:.0f}", f"{value * 100:.1f}", f"{value:.2f}", format_count(value), f"{value * 100:.2f}"]
    words += [format_seconds(value), format_bytes(value)] if value >= 0 else []
    return {figure for word in words for figure in figures(word)}


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_of_a_table_is_in_the_document(name: str) -> None:
    page, document = PAGES[name][0](), PAGES[name][1]()
    numbers = list(numbers_in(json.loads(json.dumps(document))))
    by_device = sum(o.seconds["board"] for o in use().operators)
    known = {figure for number in (*numbers, by_device) for figure in said(number)}
    # A table's cells, headings that open it, and sentences; row numbers are none of the document's.
    page = re.sub(r'<code class="hash">.*?</code>', "", page)
    page = re.sub(r"\bp90\b|\b90th percentile\b", "", page)  # a column's name and what the legend says of it
    cells = re.findall(r"<(?:td|summary|p|li|dd)(?: [^>]*)?>(.*?)</(?:td|summary|p|li|dd)>", page, re.DOTALL)
    shown = {figure for cell in cells for figure in figures(unescape(re.sub(r"<[^>]*>", " ", cell)))}
    assert shown - known <= {str(k) for k in range(2)}
    assert len(shown) >= 3


def test_a_recipe_that_runs_code_is_built_by_a_line_that_agrees_to_it() -> None:
    whole = front()
    (recommendation,) = whole.recommendations
    text = recommendation.recipe_text
    unsafe = recommendation.model_copy(update={"recipe_text": f"[source]\nunsafe = true\n{text}"})
    assert "--unsafe" not in render_front(whole)
    assert "edgecut build recipes/board.toml --unsafe --profile board" in render_front(
        whole.model_copy(update={"recommendations": (unsafe,)})
    )
