"""What scores are worth, against the definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.head.probe import fit_ridge, fit_values
from edgecut.score.metrics import auc, mean_average_precision, r2

values = st.integers(0, 5)


@given(st.lists(st.tuples(values, st.booleans()), min_size=2, max_size=12))
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    """Of all pairs of a positive and a negative image, those with the greater score at the positive; ties half."""
    scores, own = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    if own.all() or not own.any():
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[own] for b in scores[~own]]
    both = np.stack([-scores, scores], axis=1)
    assert auc(both, own.astype(int)) == pytest.approx(np.mean(pairs))


@given(st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=12))
def test_average_precision_is_the_mean_precision_at_each_image_with_the_tag(rows: list[tuple[int, bool]]) -> None:
    """Precision among all images that score no less."""
    scores, own = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    if not own.any():
        return
    precisions = [own[scores >= score].mean() for score in scores[own]]
    assert mean_average_precision(scores[:, None], own[:, None]) == pytest.approx(np.mean(precisions))


def test_tags_that_no_image_has_are_left_out() -> None:
    targets = np.array([[1, 0], [0, 0]])
    assert mean_average_precision(np.array([[0.9, 0.1], [0.1, 0.9]]), targets) == 1


def test_r2_is_one_for_the_targets_and_zero_for_their_mean() -> None:
    targets = np.array([[1.0, 5.0], [2.0, 7.0], [6.0, 0.0]])
    assert (r2(targets, targets), r2(np.tile(targets.mean(axis=0), (3, 1)), targets)) == (1, 0)


def test_values_of_one_and_zero_are_fitted_as_classes_are() -> None:
    random = np.random.default_rng(0)
    features, labels = random.standard_normal((40, 6)), np.arange(40) % 3
    classes, numbers = fit_ridge(features, labels, 3), fit_values(features, np.eye(3)[labels])
    np.testing.assert_array_equal(classes.kernel, numbers.kernel)
    assert (classes.penalty, classes.loo_error) == (numbers.penalty, numbers.loo_error)


def test_the_leave_one_out_score_of_values_is_that_of_fits_without_the_image() -> None:
    random = np.random.default_rng(1)
    features = random.standard_normal((30, 4))
    targets = features @ random.standard_normal((4, 2)) + 0.1 * random.standard_normal((30, 2))
    probe = fit_values(features, targets)
    left_out = []
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    for k in range(30):
        rest = np.arange(30) != k
        x, y = standard[rest], targets[rest]
        centre, middle = x.mean(axis=0), y.mean(axis=0)
        weights = np.linalg.solve(
            (x - centre).T @ (x - centre) + probe.penalty * 30 * np.eye(4), (x - centre).T @ (y - middle)
        )
        left_out.append((standard[k] - centre) @ weights + middle)
    assert probe.loo_accuracy == pytest.approx(r2(np.array(left_out), targets), abs=1e-6)
