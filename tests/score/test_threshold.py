"""A threshold that a request gives: the output that has it, and what no output can have."""

from __future__ import annotations

import pytest

from edgecut.errors import RequestError
from edgecut.records.recipe import Data
from edgecut.score.answer import answer_of
from edgecut.score.threshold import with_threshold

OUTPUTS = {"softmax": ((2,), "softmax"), "sigmoid": ((1,), "sigmoid"), "linear": ((1,), "linear")}


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.5, -0.5])
def test_a_threshold_that_decides_all_alike_is_refused(kind: str, threshold: float) -> None:
    outputs = [OUTPUTS[kind]]
    with pytest.raises(RequestError) as caught:
        with_threshold((answer_of("classes", *outputs[0]),), outputs, Data(threshold=threshold), ())
    assert str(caught.value) == (
        f"data.threshold: is {threshold:g}, and a {kind}'s scores lie between 0 and 1; give a number between"
    )


def test_a_softmax_is_decided_by_the_positive_classs_score() -> None:
    outputs = [OUTPUTS["softmax"]]
    (answer,) = with_threshold(
        (answer_of("classes", *outputs[0]),), outputs, Data(threshold=0.9, positive="bad"), ("bad", "good")
    )
    assert (answer.kind, answer.column, answer.threshold) == ("binary", 0, 0.9)


@pytest.mark.parametrize("key", ["threshold", "positive"])
def test_the_key_that_no_output_can_have_is_named(key: str) -> None:
    outputs = [((4,), "softmax")]
    data = Data.model_validate({key: 0.5 if key == "threshold" else "dog"})
    with pytest.raises(RequestError) as caught:
        with_threshold((answer_of("classes", *outputs[0]),), outputs, data, ("cat", "dog", "none", "other"))
    assert str(caught.value) == (
        f"data.{key}: is of one score for two classes, of tags, or of a softmax over two classes, and the model "
        "puts out (4,) by softmax; leave it out"
    )
