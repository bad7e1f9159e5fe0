"""Texts of files and of users are text on every page, whatever they consist of."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # rich needs it
from markupsafe import Markup

from edgecut.records.comparison import Comparison, Difference, Verdict
from edgecut.records.escapes import Markdown, csv_text, harmless, markdown_cell, markdown_code, markdown_text, xml_text
from edgecut.records.matrix import Matrix, MatrixRow
from edgecut.render.comparison import comparison_markdown
from edgecut.render.junit import comparison_junit
from edgecut.render.matrix import matrix_markdown
from edgecut.render.picture import Row, graph_picture
from edgecut.render.templating import part


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("block_2_relu of m.int8.tflite", "block_2_relu of m.int8.tflite"), ("2 * 3 < 7 & 8", "2 * 3 < 7 & 8"),
        ("[1, 2] ± 3 %", "[1, 2] ± 3 %"), ("a|b", "a\\|b"), ("`x`", "\\`x\\`"), ("C:\\new", "C:\\\\new"),
        ("*loud*", "\\*loud\\*"), ("_soft_ __init__", "\\_soft\\_ \\_\\_init\\_\\_"), ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("<b>&lt;", "&lt;b>&amp;lt;"), ("[x](http://a)", "[x\\](http://a)"), ("two\nlines", "two lines"),
        ("# title", "\\# title"), ("- item", "\\- item"), ("1. item", "1\\. item"),
    ],
)  # fmt: skip
def test_markdown_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


def test_a_code_span_holds_any_text() -> None:
    assert markdown_code("m.keras") == "`m.keras`"
    assert markdown_code("a`b``c|d\ne") == "``` a`b``c|d e ```"
    assert markdown_cell("a`b``c|d\ne") == "``` a`b``c\\|d e ```"
    assert [markdown_code(text) for text in ("", " ", " a ")] == ["`  `", "`   `", "`  a  `"]
    assert markdown_code("\x1b[2J\x00\u202e") == "`\ufffd[2J\ufffd\ufffd`"


@given(st.text(st.sampled_from("ab1 .)(<>&;#*_-+=~`|\\[]!:/'\"\n\r\x1b\x00\u202eé"), max_size=14))
def test_a_renderer_of_markdown_shows_any_text_as_it_is(text: str) -> None:
    """What CommonMark with GitHub's tables shows of it, as text, as code and in a cell, is the text in one line."""
    shown = harmless(" ".join(text.splitlines()))
    assert inline(f"x {markdown_text(text)} x\n") == [("text", " ".join(f"x {shown} x".split()))]
    code = [("code_inline", " ".join(shown.split()))]
    assert inline(f"{markdown_code(text)}\n") == code
    cells = f"| a | b |\n|---|---|\n| x {markdown_text(text)} x | {markdown_cell(text)} |\n"
    assert inline(cells)[2:] == [("text", " ".join(f"x {shown} x".split())), *code]


@pytest.mark.parametrize("text", ["[a](javascript:b)", "<javascript:b>", "![a](b)", "[a]: javascript:b", "<script>"])
def test_no_text_is_a_link_or_a_tag(text: str) -> None:
    assert inline(f"- {markdown_text(text)}\n") == [("text", text)]


def inline(text: str) -> list[tuple[str, str]]:
    """(kind, content) of all that a renderer shows, with texts that stand next to each other as one."""
    shown: list[tuple[str, str]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        for child in token.children or ():
            kind = "text" if child.type == "text_special" else child.type
            start = (
                shown.pop()[1] if shown and shown[-1][0] == kind == "text" and child is not token.children[0] else ""
            )
            shown.append((kind, start + child.content))
    return [(kind, " ".join(content.split())) for kind, content in shown]


def test_html_escapes_what_is_no_markup() -> None:
    assert part("state", "<i>") == '<span class="state &lt;i&gt;">&lt;i&gt;</span>'
    assert part("folded", "a & b", Markup("<p>c</p>"), False) == (
        "<details><summary>a &amp; b</summary><p>c</p></details>"
    )
    assert Markdown("*") == "*"
    assert part("state", "\x1b[2J\u202e") == '<span class="state \ufffd[2J\ufffd">\ufffd[2J\ufffd</span>'


def test_a_comparison_of_odd_names_is_still_one_table() -> None:
    odd = Difference(what="label", name="labels.txt", a="0: a|b\n# c", b="0: <img src=x>")
    text = comparison_markdown(Comparison(a="old*new*", b="b", equal=False, changes=(), outputs=(), differences=(odd,)))
    assert text == (
        "### A old\\*new\\*, B b: different\n\n| what | name | A | B |\n|---|---|---|---|\n"
        "| label | labels.txt | 0: a\\|b # c | 0: &lt;img src=x> |\n"
    )


def test_a_matrix_of_an_odd_name_is_still_a_page() -> None:
    row = MatrixRow(name="r", settings={"cut.to": "a|b"}, status="failed", code=2, error="no layer '<b>'\nat all")
    text = matrix_markdown(Matrix(edgecut="1", name="a\n# b", axes={"cut.to": ("a|b",)}, rows=(row,)))
    assert text.splitlines()[0] == "# a # b by cut.to"
    assert "| a\\|b |" in text
    assert text.endswith("\n- r: no layer '&lt;b>' at all\n")


def test_a_command_that_writes_no_page_does_not_load_the_templates() -> None:
    code = "import sys; import edgecut.cli.main; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.text(st.characters(), max_size=8))
def test_xml_holds_any_text(text: str) -> None:
    """An XML parser reads the text back, but for signs that nobody sees."""
    content = ElementTree.fromstring(f'<a b="{xml_text(text)}">{xml_text(text)}</a>').text
    assert (content or "") == harmless(text)


def test_junit_of_a_file_with_an_odd_name_is_xml() -> None:
    odd = Verdict(limit="size=+1%", file="a\x1b[2J\x00\ufffe<b>", state="misses", found="\x07")
    comparison = Comparison(a="a", b="b", equal=False, changes=(), outputs=(), differences=(), verdicts=(odd,))
    case = ElementTree.fromstring(comparison_junit(comparison).encode())[0]
    assert case.get("classname") == "a\ufffd[2J\ufffd\ufffd<b>"


def test_a_picture_of_odd_names_is_xml() -> None:
    rows = [Row(("\x1b\x00<a>", "\u202e"), legal=True, tooltip="\x07")]
    assert ElementTree.fromstring(graph_picture("\x01", ("a", "b"), rows, ())).findtext("{*}title") == "\ufffd"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1+1)", "'@SUM(1+1)"),
        ("+x", "'+x"),
        (" -x", "' -x"),
        ("\t=1", r"'\t=1"),
        ("-0.5", "-0.5"),
        ("+1e-07", "+1e-07"),
        ("a,b", '"a,b"'),
        ('"', '""""'),
        ("a\nb\x1b[2J", r"a\nb\x1b[2J"),
    ],
)
def test_a_spreadsheet_calculates_no_text(cell: str, shown: str) -> None:
    assert csv_text([["x", cell]]) == f"x,{shown}\n"
