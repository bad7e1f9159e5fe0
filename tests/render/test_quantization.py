from __future__ import annotations

import io

from PIL import Image

from edgecut.render.explained_plot import png, svg
from edgecut.render.page import render_page
from edgecut.render.tables import report_tables
from tests.render.command_tables import TRIALS, shown
from tests.reports import EXPLANATION, report


def test_a_report_shows_what_was_tried_and_what_is_suspected() -> None:
    text = shown(*report_tables(report().model_copy(update={"trials": TRIALS, "explanations": (EXPLANATION,)})))
    assert "+ bias correction" in text
    assert "m.int8.tflite: collapses at 'pool' (2 of 3 operators compared, 16 images)" in text
    assert "  biased mean: a mean shift starts at 'pool'" in text


def test_the_page_has_the_trials_and_the_error_by_layer_of_each_file() -> None:
    page = render_page(report().model_copy(update={"trials": TRIALS, "explanations": (EXPLANATION,)}))
    assert "<h2>Cures tried for int8</h2>" in page
    assert (
        "<summary>m.int8.tflite: collapses at &#39;pool&#39; (2 of 3 operators compared, 16 images)</summary>" in page
    )
    assert '<span class="bar bad" style="width:12.8%"></span>' in page


def test_a_report_without_quantization_has_no_such_section() -> None:
    page = render_page(report())
    assert "Cures tried" not in page
    assert "<svg " not in page


def test_the_picture_has_the_same_size_as_svg_and_png() -> None:
    assert Image.open(io.BytesIO(png(EXPLANATION))).size == (1000, 64 + 22 * 5)
    assert b'width="1000" height="174"' in svg(EXPLANATION)
