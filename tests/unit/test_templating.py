"""Texts of files and of users are text on every page, whatever they consist of."""

from __future__ import annotations

import subprocess
import sys

import pytest
from markupsafe import Markup

from edgecut.records.comparison import Comparison, Difference
from edgecut.records.matrix import Matrix, MatrixRow
from edgecut.render.comparison import comparison_markdown
from edgecut.render.matrix import matrix_markdown
from edgecut.render.templating import Markdown, markdown_code, markdown_text, part


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
    assert markdown_code("a`b``c|d\ne") == "``` a`b``c\\|d e ```"


def test_html_escapes_what_is_no_markup() -> None:
    assert part("state", "<i>") == '<span class="state &lt;i&gt;">&lt;i&gt;</span>'
    assert part("folded", "a & b", Markup("<p>c</p>"), False) == (
        "<details><summary>a &amp; b</summary><p>c</p></details>"
    )
    assert Markdown("*") == "*"


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
    assert text.splitlines()[0] == "# a # b"
    assert "| a\\|b |" in text
    assert text.endswith("\n- r: no layer '&lt;b>' at all\n")


def test_a_command_that_writes_no_page_does_not_load_the_templates() -> None:
    code = "import sys; import edgecut.cli.main; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
