"""The file that precision "auto" takes: what is known to be better, else the simpler one."""

from __future__ import annotations

import numpy as np
import pytest

from edgecut.quantize.choosing import best_of, is_better
from edgecut.quantize.judges import Score, score
from edgecut.score.answer import Answer

IMAGES = 112
LABELS = np.arange(IMAGES) % 2
ANSWER = Answer("classes", metric="accuracy")
SCORES = np.eye(2)[LABELS] * 4 - 2


def scored(*, wrong: int, noise: float, first: int = 0) -> Score:
    """Of a file that has so many images wrong, and outputs so far from the float model's."""
    outputs = SCORES + noise * np.where(np.arange(IMAGES) % 3 == 0, 1, -1)[:, None]
    outputs[first : first + wrong] *= -1
    return score(ANSWER, SCORES, outputs, LABELS)


def test_a_correction_that_judges_worse_is_never_chosen() -> None:
    own, corrected = scored(wrong=1, noise=0.5), scored(wrong=3, noise=0.01)
    assert corrected.drop == pytest.approx(3 / 112)
    assert best_of([own, corrected], limit=0.001) == 0
    assert best_of([own, corrected], limit=0.5) == 0


def test_a_tie_goes_to_the_simpler_file() -> None:
    assert best_of([scored(wrong=2, noise=0.1), scored(wrong=2, noise=0.1, first=40)], limit=0.0) == 0
    # One image of 112 fewer, and half a decibel nearer, may be chance.
    assert best_of([scored(wrong=0, noise=0.1), scored(wrong=0, noise=0.095)], limit=-1.0) == 0


def test_what_surely_loses_less_or_is_surely_nearer_is_chosen() -> None:
    assert best_of([scored(wrong=30, noise=0.1), scored(wrong=2, noise=0.1)], limit=-1.0) == 1
    assert best_of([scored(wrong=0, noise=0.4), scored(wrong=0, noise=0.1)], limit=-1.0) == 1


def test_a_file_within_the_limit_is_taken_before_one_that_is_not() -> None:
    beyond, within = scored(wrong=1, noise=0.1), scored(wrong=0, noise=0.1)
    assert not beyond.meets(0.01)
    assert is_better(within, beyond, limit=0.01)
    assert not is_better(within, beyond, limit=0.0001 - 1)


def test_without_labels_other_classes_count_as_lost() -> None:
    outputs = SCORES.copy()
    outputs[:30] *= -1
    worse, better = score(ANSWER, SCORES, outputs, None), score(ANSWER, SCORES, SCORES + 0.01, None)
    assert (worse.lost.sum(), better.lost.sum()) == (30, 0)
    assert best_of([worse, better, worse], limit=-1.0) == 1
