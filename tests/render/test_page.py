"""report.html: one file that asks for nothing, and in which nothing of the user's is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from edgecut.render.page import render_page
from tests.reports import DEVICE, report

VOID = {"meta", "link"}


class Outline(HTMLParser):
    """The tags that are open at each point; headings, cells and links as they are met."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.requests: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.requests += [str(value) for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def outline(name: str = "clothes") -> Outline:
    parser = Outline()
    parser.feed(render_page(report(name)))
    parser.close()
    return parser


def test_the_page_is_well_formed_and_has_its_sections() -> None:
    page = outline()
    assert page.open == []
    assert page.texts["h2"] == [
        "Does it fit?", "Files, and their times on this machine", "Checks",
        "Steps", "Measurements", "Inputs and outputs", "Operators", "Notes",
        "Recipe", "Devices", "Environment",
    ]  # fmt: skip


def test_the_page_asks_for_nothing() -> None:
    text = render_page(report())
    assert {link for link in outline().requests if not link.startswith("#")} == {"data:,"}
    assert re.findall(r"url\(|@import|https?:|<script", text) == []


def test_names_are_text_not_markup() -> None:
    name = "<script>alert('x')</script> & co"
    assert outline(name).texts["title"] == [f"{name}: misses"]
    assert "<script" not in render_page(report(name))


def test_the_page_says_what_the_report_says() -> None:
    page = outline()
    cells = page.texts["td"]
    for words in ("tflite int8", "0.813", "26.9 dB", "≥ 231 ms", "±28 %", "the band of 28 % reaches over the limit",
                  "bytes as they are"):  # fmt: skip
        assert any(words in cell for cell in cells)
    assert page.texts["span"][0] == "misses"


def test_a_step_is_told_in_sentences() -> None:
    text = "".join(outline().texts["li"])
    assert "Outputs: 10 before, 8×8×64 now. Proof: bit-equal to the source on 8 seeded inputs." in text
    assert "int8: the head is fitted anew." in text


def test_the_page_opens_with_whether_each_file_fits_each_device_and_why_not() -> None:
    page = outline()
    assert page.texts["h3"] == [f"Whether tflite int8 fits {DEVICE} isn't known "]
    assert "tflite float32 misses size: 291 KiB, limit 256 KiB" in page.texts["li"]
    assert "latency: 231 ms, limit 250 ms (the band of 28 % reaches over the limit)" in page.texts["li"]


def test_a_column_that_says_nothing_is_left_out() -> None:
    assert "max. error" not in outline().texts["th"]


def test_the_same_report_makes_the_same_page() -> None:
    assert render_page(report()) == render_page(report())
