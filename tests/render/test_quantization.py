from __future__ import annotations

import io

from PIL import Image

from edgecut.records.explanation import Explanation, LayerError, Suspicion
from edgecut.records.trial import Trial
from edgecut.render.explained import explanation_tables
from edgecut.render.explained_plot import png, svg
from edgecut.render.page import render_page
from edgecut.render.tables import report_tables
from edgecut.render.trials import trial_table
from tests.render.test_tables import golden, shown
from tests.reports import report

HEAD = "head on the quantized body"
TRIALS = (
    Trial(cures=(), accuracy=0.485, drop=0.1485, drop_error=0.0196, agreement=0.583, sqnr_varying=-0.6, kept=True),
    Trial(
        cures=(HEAD,), accuracy=0.637, drop=0.003, drop_error=0.01, agreement=0.896, sqnr_varying=13.9, gained=0.1455,
        kept=True,
    ),
    Trial(
        cures=(HEAD, "mse ranges"), accuracy=0.63, drop=0.01, drop_error=0.01, agreement=0.89, sqnr_varying=13.8,
        gained=-0.007,
    ),
    Trial(
        cures=(HEAD, "bias correction"), accuracy=0.64, drop=0.0, drop_error=0.004, agreement=0.95, sqnr_varying=20.1,
        gained=0.003, kept=True, chosen=True,
    ),
)  # fmt: skip

EXPLANATION = Explanation(
    artifact="m.int8.tflite", images=16, collapses_at="pool", shift_starts_at="conv_1",
    layers=(
        LayerError(
            name="conv_1", operator="CONV_2D", dtype="int8", sqnr=43.7, sqnr_varying=32.4, mean_shift=0.005,
            shift_share=0.05, range=(0.0, 6.0), used=(0.0, 6.0), use=1.0, added=0.25,
        ),
        LayerError(
            name="pool", operator="MEAN", dtype="int8", sqnr=21.8, sqnr_varying=6.4, mean_shift=0.435, shift_share=0.82,
            range=(0.0, 4.0), used=(0.0, 3.8), use=0.95, added=0.75, saturation=0.004, cause="biased mean",
            reason="82% of the error is a constant shift",
        ),
    ),
    suspicions=(Suspicion(cause="biased mean", layer="pool", figure=0.4, sentence="a mean shift starts at 'pool'"),),
    unmatched=("head (FULLY_CONNECTED)",),
)  # fmt: skip


def test_the_trials_show_what_each_adds_to_what_was_kept() -> None:
    assert shown(trial_table(TRIALS)) == golden("trials")


def test_an_explanation_reads_well_at_80_columns() -> None:
    assert shown(*explanation_tables(EXPLANATION, verbose=True)) == golden("explanation")


def test_a_report_shows_what_was_tried_and_what_is_suspected() -> None:
    text = shown(*report_tables(report().model_copy(update={"trials": TRIALS, "explanations": (EXPLANATION,)})))
    assert "+ bias correction" in text
    assert "m.int8.tflite: collapses at 'pool' (2 of 3 operators compared, 16 images)" in text
    assert "  biased mean: a mean shift starts at 'pool'" in text


def test_the_page_has_the_trials_and_a_picture_of_each_file() -> None:
    page = render_page(report().model_copy(update={"trials": TRIALS, "explanations": (EXPLANATION,)}))
    assert "<h2>Cures tried for int8</h2>" in page
    assert page.count("<svg ") == 1


def test_a_report_without_quantization_has_no_such_section() -> None:
    page = render_page(report())
    assert "Cures tried" not in page
    assert "<svg " not in page


def test_the_picture_has_the_same_size_as_svg_and_png() -> None:
    assert Image.open(io.BytesIO(png(EXPLANATION))).size == (1000, 64 + 22 * 5)
    assert b'width="1000" height="174"' in svg(EXPLANATION)
