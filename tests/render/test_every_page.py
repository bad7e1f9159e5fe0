"""Every page in a real browser: axe-core finds nothing, nothing has to be scrolled sideways, all of it is printed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pages import EVERY
from tools.look import CHECKED, WAYS, browser, faults, opened, sheets, stops, wider

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        with browser() as started:
            yield started
    except LookupError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("pages")
    for name, render in EVERY.items():
        (top / f"{name}.html").write_text(render(), encoding="utf-8")
    return top


# What axe-core looks at is a matter of the width or of the colours: each is looked at once here, and together by
# tools/look.
AXE = {"390", "1280-dark"}


@pytest.mark.parametrize("name", EVERY)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(chromium: Browser, folder: Path, name: str) -> None:
    wrong: dict[str, list[str]] = {}
    for way in CHECKED:
        with opened(chromium, (folder / f"{name}.html").as_uri(), way) as (page, said):
            wrong[way.name] = [*said, *wider(page), *(faults(page) if way.name in AXE else ())]
    assert wrong.keys() >= AXE
    assert wrong == {way.name: [] for way in CHECKED}


@pytest.mark.parametrize("name", EVERY)
def test_the_tabulator_comes_by_the_skip_link_to_marks_that_show_it(chromium: Browser, folder: Path, name: str) -> None:
    with opened(chromium, (folder / f"{name}.html").as_uri(), WAYS[0]) as (page, _):
        order = stops(page)
    assert order[0] == "a Skip to the content"
    assert [stop for stop in order if "NO FOCUS" in stop] == []


def test_a_mark_that_has_the_focus_says_its_numbers(chromium: Browser, folder: Path) -> None:
    with opened(chromium, (folder / "search.html").as_uri(), WAYS[0]) as (page, _):
        page.locator(".mark").nth(1).focus()
        assert page.locator(".says").first.inner_text().startswith("block<1>, 96x96x3")


@pytest.mark.parametrize("name", ["build", "search"])
def test_what_is_folded_is_printed_and_no_sheet_has_a_title_alone(
    chromium: Browser, folder: Path, tmp_path: Path, name: str
) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext isn't here")
    with opened(chromium, (folder / f"{name}.html").as_uri(), WAYS[0]) as (page, _):
        folded = page.locator("details").evaluate_all("parts => parts.map(part => part.lastElementChild.textContent)")
        titles = page.locator("h2").all_inner_texts()
        sheets(page, tmp_path / "print.pdf")
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "print.pdf", "-"], capture_output=True, text=True, check=True
    )
    printed = re.sub(r"\s", "", text.stdout)
    assert folded
    assert [part for part in folded if re.sub(r"\s", "", part)[-12:] not in printed] == []
    ends = [sheet.strip().splitlines()[-1].strip() for sheet in text.stdout.split("\f") if sheet.strip()]
    assert [end for end in ends if end in titles] == []
