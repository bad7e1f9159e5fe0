"""Figures that are nan or infinity are unknown in what is written, or refused by their places."""

from __future__ import annotations

import json
import math

import pytest

from edgecut.errors import RunError
from edgecut.records.finite import finite
from edgecut.records.proof import OutputProof
from edgecut.records.report import Report, Step
from edgecut.records.trial import Trial
from tests.reports import report


def test_a_report_of_finite_figures_is_itself() -> None:
    assert finite(given := report(), "report.json") is given


def test_figures_that_are_not_finite_are_unknown_and_named() -> None:
    step = Step(name="cut", changed=True, proof=OutputProof(inputs=3, max_abs_error=math.nan, exact=False))
    trial = Trial(cures=(), accuracy=0.5, drop=-math.inf, kept=False)
    given = report().model_copy(update={"steps": (step,), "trials": (trial,), "notes": ("before",)})
    known = finite(given, "report.json")
    assert (known.steps[0].proof.max_abs_error, known.steps[0].proof.inputs) == (None, 3)
    assert (known.trials[0].accuracy, known.trials[0].drop) == (0.5, None)
    assert known.notes == (
        "before",
        "trials[0].drop: nan or infinity was computed, so unknown; a layer puts it out for some input",
    )
    text = json.dumps(known.to_dict(), allow_nan=False)
    assert Report.model_validate(json.loads(text)).to_dict() == known.to_dict()


def test_a_figure_that_cannot_be_unknown_is_refused_by_its_place() -> None:
    given = report()
    step = given.steps[0].model_copy(update={"seconds": math.nan})
    with pytest.raises(RunError) as caught:
        finite(given.model_copy(update={"steps": (step,)}), "report.json")
    assert str(caught.value) == (
        "report.json: steps[0].seconds: nan or infinity was computed, where a finite number is expected; cut the model "
        "before the layer that puts it out, or leave out the input that it is put out for"
    )
