"""Quantize until the metric holds: the order, what stops it, what is reported. No TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from edgecut.quantize.corrections import ORDER, Subject
from edgecut.quantize.heads import Linear, follow, on_grid
from edgecut.quantize.interior import outputs_of
from edgecut.quantize.judges import OutputJudge, Score, score
from edgecut.quantize.pairs import pair
from edgecut.quantize.swap import head_first, pooled_head
from edgecut.quantize.until import until
from edgecut.score.answer import Answer, answer_of
from edgecut.tflite.flatbuffer import parse
from tests.quantized import FLOAT, INT8, images


def judge(labels: bool = True) -> OutputJudge:
    pixels = images(60, seed=9)
    (reference,) = outputs_of(FLOAT, pixels)
    own = reference.argmax(axis=1) if labels else None
    answer = answer_of("classes", reference.shape[1:], "softmax", own)
    return OutputJudge(pixels, (reference,), (answer,), own)


def subject() -> Subject:
    return Subject(pair(INT8, FLOAT), images(16))


def test_a_limit_that_the_converters_file_meets_stops_at_once() -> None:
    outcome = until(subject(), judge(), limit=1.1)
    assert [trial.cures for trial in outcome.trials] == [()]
    assert (outcome.met, outcome.trials[0].chosen, outcome.trials[0].kept) == (True, True, True)


def test_a_limit_that_nothing_meets_tries_every_cure_in_order_and_takes_the_best() -> None:
    outcome = until(subject(), judge(), limit=-1.0)
    assert not outcome.met
    added = [
        set(after.cures) - set(before.cures) for before, after in zip(outcome.trials, outcome.trials[1:], strict=False)
    ]
    assert len(outcome.trials) == 1 + len(ORDER)
    assert all(len(names) >= 1 for names in added)
    chosen = [trial for trial in outcome.trials if trial.chosen]
    assert len(chosen) == 1
    assert (chosen[0].drop or 0) <= (outcome.trials[0].drop or 0)
    assert (chosen[0].sqnr_varying or 0) >= (outcome.trials[0].sqnr_varying or 0)


def test_a_cure_that_does_not_help_is_reported_and_not_built_upon() -> None:
    outcome = until(subject(), judge(), limit=-1.0)
    for place, trial in enumerate(outcome.trials):
        before = max((t.sqnr_varying or -999 for t in outcome.trials[:place] if t.kept), default=-1000.0)
        assert trial.kept == ((trial.sqnr_varying or -999) > before)
        assert bool(trial.note) == (not trial.kept)


def test_the_chosen_file_is_what_its_trial_measured() -> None:
    the_judge = judge()
    outcome = until(subject(), the_judge, limit=-1.0)
    chosen = next(trial for trial in outcome.trials if trial.chosen)
    assert the_judge.judged(outcome.content).sqnr_varying == pytest.approx(chosen.sqnr_varying)


def test_without_labels_the_disagreement_counts() -> None:
    outcome = until(subject(), judge(labels=False), limit=-1.0)
    assert all(trial.drop is None and trial.accuracy is None for trial in outcome.trials)
    assert not Score(None, None, None, 0.9, 20.0, 100, unjudged_agreement=0.9).is_near(0.05)
    alike = Score(None, None, None, 0.96, 20.0, 100, unjudged_agreement=0.96)
    assert alike.is_near(0.05)
    assert not alike.meets(0.05), "a drop that wasn't measured meets nothing"


def test_a_drop_counts_with_two_standard_errors_and_a_gain_as_none() -> None:
    assert Score(0.6, 0.004, 0.003, 0.9, 20.0, 100).meets(0.01)
    assert not Score(0.6, 0.005, 0.003, 0.9, 20.0, 100).meets(0.01)
    assert not Score(0.6, -0.02, 0.006, 0.9, 20.0, 100).meets(0.01)


def test_a_drops_error_knows_how_many_images_will_judge() -> None:
    expected, got = np.eye(2)[[0, 1, 0, 1]], np.eye(2)[[0, 1, 1, 1]]
    figures = score(Answer("classes", metric="accuracy"), expected, got, np.array([0, 1, 0, 1]), judged_on=4)
    assert (figures.drop, figures.agreement) == (0.25, 0.75)
    assert figures.drop_error == pytest.approx(np.sqrt(3 / 16) * np.sqrt(1 / 4 + 1 / 4))


def features(count: int = 300, width: int = 12) -> np.ndarray:
    random = np.random.default_rng(1)
    return (random.normal(size=(count, width)) @ random.normal(size=(width, width))).astype(np.float32)


def test_a_head_that_follows_undoes_what_the_body_did_to_its_features() -> None:
    exact = features()
    head = Linear(np.random.default_rng(2).normal(size=(12, 3)), np.zeros(3))
    moved = exact * 1.1 + 0.5
    ours = follow(head, moved, head.scores(exact), penalty=1e-9)
    np.testing.assert_allclose(ours.scores(moved), head.scores(exact), atol=1e-4)
    assert np.abs(head.scores(moved) - head.scores(exact)).max() > 0.3


def test_a_penalty_without_end_leaves_the_head_and_mends_its_bias() -> None:
    exact = features()
    head = Linear(np.random.default_rng(2).normal(size=(12, 3)), np.zeros(3))
    ours = follow(head, exact + 0.5, head.scores(exact), penalty=1e12)
    np.testing.assert_allclose(ours.kernel, head.kernel, atol=1e-6)
    np.testing.assert_allclose(ours.scores(exact + 0.5).mean(0), head.scores(exact).mean(0), atol=1e-5)


def test_a_head_on_the_grid_is_what_its_codes_say_and_has_the_same_mean_scores() -> None:
    exact = features()
    head = Linear(np.random.default_rng(2).normal(size=(12, 3)), np.ones(3))
    ours, codes = on_grid(head, exact)
    np.testing.assert_allclose(ours.kernel, codes.steps.T * codes.scales)
    np.testing.assert_allclose(ours.scores(exact).mean(0), head.scores(exact).mean(0), atol=1e-5)


def test_an_average_pool_is_no_mean_whose_head_could_be_moved() -> None:
    assert pooled_head(parse(FLOAT, "tiny")) is None
    with pytest.raises(ValueError, match=r"^the model has no pooled head that could be moved$"):
        head_first(FLOAT)
