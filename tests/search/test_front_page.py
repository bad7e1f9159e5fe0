"""A search's page: self-contained, every number in it, and silent in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecut.records.front import Basis, CutScore, Front, FrontPoint, Recommendation
from edgecut.render.front import render_front

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def front() -> Front:
    point = FrontPoint(
        cut="block<1>", size=(96, 96), channels=3, precision="int8", accuracy=0.781, chosen_by=0.779, latency=0.0125,
        arena=65536, size_bytes=102400, macs=1_000_000, basis=Basis(accuracy="measured", latency="estimated"),
        recommended_for=("board",), why="the most accurate of 1 built for board, which sets no limits",
    )  # fmt: skip
    probed = point.model_copy(update={
        "cut": "block_2", "accuracy": 0.5, "latency": 0.001, "recommended_for": (),
        "basis": Basis(accuracy="probe", latency="estimated"),
    })  # fmt: skip
    cuts = tuple(
        CutScore(cut=f"block_{k}", position=k, size=(size, size), channels=1, width=8, probe=k / 10, score=k / 10,
                 exact=k < 2, cka=0.5, gradient_x_activation=0.1, macs=1000)
        for size in (96, 32) for k in range(1, 4)
    )  # fmt: skip
    recommendation = Recommendation(
        profile="board", state="meets", cut="block<1>", size=(96, 96), channels=3, precision="int8", accuracy=0.781,
        why=point.why, recipe="recipes/board.toml",
    )  # fmt: skip
    return Front(
        edgecut="0.1.0", source="m.keras", sha256="", metric="accuracy", profiles=("board",), finished=True,
        images={"train": 10, "choosing": 5, "judging": 5}, front=(point, probed), cuts=cuts,
        recommendations=(recommendation,), measurements=(),
    )  # fmt: skip


def test_names_are_escaped_and_nothing_is_fetched() -> None:
    page = render_front(front())
    assert "block<1>" not in page
    assert "block&lt;1&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"|url\(|@import|https?://', page) == []


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


def test_a_browser_shows_the_page_without_an_error_or_a_request(tmp_path: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is here")
    page = tmp_path / "report.html"
    # The browser's own traffic is none of the page's: the page's loads are what its resource timing lists.
    probe = (
        "<script>document.querySelectorAll('.mark')[1].dispatchEvent(new Event('focus'));"
        "document.body.dataset.loads = performance.getEntriesByType('resource').map(function (e) { return e.name; })"
        ".filter(function (name) { return !name.startsWith('data:'); }).join(' ');</script></body>"
    )
    page.write_text(render_front(front()).replace("</body>", probe), encoding="utf-8")
    child = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in child.stderr
    assert '<body data-loads="">' in child.stdout
    assert re.search(r'class="says"[^>]*>block&lt;1&gt;, 96x96x3', child.stdout)
