"""What counts as lost, and how it is said."""

from __future__ import annotations

import numpy as np
import pytest

from edgecut.pipeline.losses import is_loss, lost
from edgecut.score.answer import Answer, Drop

pytestmark = pytest.mark.tensorflow

CLASSES = Answer("classes", metric="accuracy")
LABELS = np.arange(200) % 4
RIGHT = np.eye(4)[LABELS]


def wrong_on(count: int) -> np.ndarray:
    outputs = RIGHT.copy()
    outputs[:count] = np.eye(4)[(LABELS[:count] + 1) % 4]
    return outputs


def test_a_fall_beyond_two_standard_errors_is_said_with_its_figures() -> None:
    assert lost(CLASSES, RIGHT, wrong_on(122), LABELS, "the float model, against before") == (
        "the float model, against before: accuracy 0.390 where it was 1.000, on 200 held-out images, which is more "
        "than chance: it fell by 0.610, and two standard errors of the paired difference are 0.069",
    )


def test_a_fall_that_may_be_chance_and_a_gain_are_not_said() -> None:
    assert lost(CLASSES, RIGHT, wrong_on(3), LABELS, "it") == ()
    assert lost(CLASSES, wrong_on(122), RIGHT, LABELS, "it") == ()
    assert lost(Answer("values", unjudged="no labels"), RIGHT, wrong_on(122), LABELS, "it") == ()


def test_images_that_change_both_ways_are_paired() -> None:
    other = RIGHT.copy()
    other[100:120] = np.eye(4)[(LABELS[100:120] + 1) % 4]
    assert lost(CLASSES, other, wrong_on(24), LABELS, "it") == ()


@pytest.mark.parametrize(("value", "error", "images", "said"), [(1.0, 0.0, 1, False), (1.0, 0.0, 3, True)])
def test_one_or_two_images_are_chance(value: float, error: float, images: int, said: bool) -> None:
    assert is_loss(Drop(value, error), images) is said
