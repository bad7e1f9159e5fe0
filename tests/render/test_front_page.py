"""A search's page, and those of a build, a comparison and a bench: self-contained, true, and silent in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from edgecut.records.comparison import Change, Comparison
from edgecut.records.front import Basis, CutScore, DeviceCost, Front, FrontPoint, Recommendation
from edgecut.records.report import Check
from edgecut.records.units import format_bytes, format_count, format_seconds
from edgecut.records.usage import FileTimes, FileUse, OperatorCost, OperatorTime, OperatorTimes, TensorLife
from edgecut.render.bench_page import render_bench, render_comparison
from edgecut.render.front import front_tables, render_front
from edgecut.render.page import render_page
from tests.reports import measurements, report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def use() -> FileUse:
    return FileUse(
        artifact="models/a.int8.tflite", peak_operator=1, planned_bytes=5120,
        tensors=(
            TensorLife(name="image", first=-1, last=0, offset=0, size_bytes=3072),
            TensorLife(name="block<1>", first=0, last=2, offset=3072, size_bytes=2048),
        ),
        operators=(
            OperatorCost(operator="CONV_2D", layer="block<1>", macs=123456, seconds={"board": 0.0113}),
            OperatorCost(operator="SOFTMAX", layer="", macs=0, seconds={"board": 0.00021}),
        ),
    )  # fmt: skip


def front() -> Front:
    check = Check(
        metric="arena", artifact="a", profile="board", limit=98304, value=65536, unit="bytes", state="meets",
        basis="estimated",
    )  # fmt: skip
    device = DeviceCost(
        profile="board", state="meets", latency=0.0125, latency_kind="estimated", arena=65536, checks=(check,)
    )
    point = FrontPoint(
        cut="block<1>", size=(96, 96), channels=3, precision="int8", accuracy=0.781, chosen_by=0.779, latency=0.0125,
        arena=65536, size_bytes=102400, macs=1_000_000, basis=Basis(accuracy="measured", latency="estimated"),
        recommended_for=("board",), why="the most accurate of 1 built for board, which sets no limits",
        devices=(device,), artifact="models/a.int8.tflite",
    )  # fmt: skip
    probed = point.model_copy(update={
        "cut": "block_2", "accuracy": 0.5, "latency": 0.001, "recommended_for": (),
        "devices": (device.model_copy(update={"latency": 0.001}),),
        "basis": Basis(accuracy="probe", latency="estimated"),
    })  # fmt: skip
    cuts = tuple(
        CutScore(cut=f"block_{k}", position=k, size=(size, size), channels=1, width=8, probe=k / 10, score=k / 10,
                 exact=k < 2, cka=0.5, gradient_x_activation=0.1, macs=1000)
        for size in (96, 32) for k in range(1, 4)
    )  # fmt: skip
    recommendation = Recommendation(
        profile="board", state="meets", cut="block<1>", size=(96, 96), channels=3, precision="int8", accuracy=0.781,
        why=point.why, recipe="recipes/board.toml", recipe_text='[cut]\nto = "block<1>"\n',
    )  # fmt: skip
    return Front(
        edgecut="0.1.0", source="m.keras", sha256="", metric="accuracy", profiles=("board",), finished=True,
        images={"train": 10, "choosing": 5, "judging": 5}, front=(point, probed), cuts=cuts,
        recommendations=(recommendation,), measurements=measurements(), uses=(use(),),
    )  # fmt: skip


def comparison() -> Comparison:
    change = Change(metric="size", file="a<b>.tflite", a=1024, b=2048, unit="bytes", change=1.0, real=True)
    return Comparison(a="old", b="new", equal=False, changes=(change,), outputs=(), differences=())


def times() -> FileTimes:
    told = OperatorTimes((OperatorTime(0, "Convolution", "block<1>", 0.0019, share=1.0),), "the runtime's profile")
    alone = OperatorTimes((OperatorTime(0, "CONV_2D", "block<1>", 0.0021, share=1.0),), "alone")
    return FileTimes(told, alone, 0.002)


PAGES: dict[str, tuple[Callable[[], str], Callable[[], Any]]] = {
    "search": (lambda: render_front(front()), lambda: front().to_dict()),
    "build": (
        lambda: render_page(report().model_copy(update={"uses": (use(),)})),
        lambda: report().model_copy(update={"uses": (use(),)}).to_dict(),
    ),
    "compare": (lambda: render_comparison(comparison()), lambda: comparison().to_dict()),
    "bench": (
        lambda: render_bench({"a<b>.tflite": "int8"}, measurements(), [use()], {"a<b>.tflite": times()}),
        lambda: [
            [m.to_dict() for m in measurements()], use().to_dict(),
            [vars(row) for way in times()[:2] for row in way.rows],
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_names_are_escaped_and_nothing_is_fetched(name: str) -> None:
    page = PAGES[name][0]()
    assert re.findall(r"block<1>|a<b>", page) == []
    without = page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"|url\(|@import|https?://', without) == []


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
    cells = re.findall(r"<(?:td|summary|p|li)(?: class=\"number\")?>(.*?)</(?:td|summary|p|li)>", page, re.DOTALL)
    shown = {figure for cell in cells for figure in figures(unescape(re.sub(r"<[^>]*>", " ", cell)))}
    assert shown - known <= {str(k) for k in range(2)}
    assert len(shown) >= 3


@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_the_page_without_an_error_or_a_request(tmp_path: Path, name: str) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is here")
    page = tmp_path / "report.html"
    # The browser's own traffic is none of the page's: the page's loads are what its resource timing lists.
    probe = (
        "<script>var mark = document.querySelectorAll('.mark')[1]; if (mark) mark.dispatchEvent(new Event('focus'));"
        "document.body.dataset.loads = performance.getEntriesByType('resource').map(function (e) { return e.name; })"
        ".filter(function (name) { return !name.startsWith('data:'); }).join(' ');"
        "document.body.dataset.wide = document.documentElement.scrollWidth > window.innerWidth;</script></body>"
    )
    page.write_text(PAGES[name][0]().replace("</body>", probe), encoding="utf-8")
    child = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--enable-logging=stderr", "--window-size=390,844", f"--user-data-dir={tmp_path / 'user'}", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in child.stderr
    assert '<body data-loads="" data-wide="false">' in child.stdout
    if name == "search":
        assert re.search(r'class="says"[^>]*>block&lt;1&gt;, 96x96x3', child.stdout)


def test_a_recipe_that_runs_code_is_built_by_a_line_that_agrees_to_it() -> None:
    whole = front()
    (recommendation,) = whole.recommendations
    text = recommendation.recipe_text
    unsafe = recommendation.model_copy(update={"recipe_text": f"[source]\nunsafe = true\n{text}"})
    assert "--unsafe" not in render_front(whole)
    assert "edgecut build recipes/board.toml --unsafe --profile board" in render_front(
        whole.model_copy(update={"recommendations": (unsafe,)})
    )
