"""A threshold by its rule, what it gives, and what it is in the integers of a file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.records.artifact import TensorSpec
from edgecut.runtime.files import dequantize
from edgecut.score.operating import best_threshold, between_codes, least_code, one_sided_code, operating_point

SCORES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40)


def spec(dtype: str = "int8", scale: float | None = 1 / 256, zero_point: int | None = -128) -> TensorSpec:
    return TensorSpec(name="score", shape=(1, 1), dtype=dtype, scale=scale, zero_point=zero_point)


def cases(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which some are positive and some aren't."""
    rows = [*rows, (3, True), (4, False)]
    return np.array([row[0] / 13 for row in rows], np.float32), np.array([row[1] for row in rows])


def f1(scores: np.ndarray, positive: np.ndarray, threshold: float) -> float:
    yes = scores > np.float32(threshold)
    return float(2 * (yes & positive).sum() / (yes.sum() + positive.sum()))


@given(SCORES)
def test_no_other_threshold_has_a_better_f1(rows: list[tuple[int, bool]]) -> None:
    """f1(best) >= f1(t) for every t that says no to something; none of equal worth says yes more rarely."""
    scores, positive = cases(rows)
    best = best_threshold(scores, positive, None)
    others = [float(t) for t in np.unique(scores)]
    assert f1(scores, positive, best) == max(f1(scores, positive, t) for t in others)


@given(SCORES, st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_a_rates_threshold_keeps_it_with_the_most_recall(rows: list[tuple[int, bool]], rate: float) -> None:
    """fpr(best) <= rate, and no threshold that keeps it finds more."""
    scores, positive = cases(rows)
    point = operating_point(scores, positive, best_threshold(scores, positive, rate))
    assert (point.fpr or 0.0) <= rate
    for t in np.unique(scores):
        other = operating_point(scores, positive, float(t))
        assert (other.fpr or 0.0) > rate or (other.recall or 0.0) <= (point.recall or 0.0)


def test_a_threshold_between_neighbouring_floats_parts_them() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    t = best_threshold(np.array([low, high]), np.array([False, True]), None)
    assert (low > np.float32(t), high > np.float32(t)) == (False, True)


def test_equal_scores_have_no_threshold_but_the_one_that_says_no() -> None:
    point = operating_point(np.ones(4), np.arange(4) % 2 == 0, best_threshold(np.ones(4), np.arange(4) % 2 == 0, None))
    assert (point.recall, point.fpr, point.precision) == (0.0, 0.0, None)


def test_a_points_figures_are_shares_with_their_intervals() -> None:
    scores, positive = np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True])
    point = operating_point(scores, positive, 0.5)
    assert (point.positives, point.negatives) == (2, 2)
    assert (point.precision, point.recall, point.fpr, point.f1) == (0.5, 0.5, 0.5, 0.5)
    assert point.recall_interval == pytest.approx((0.0945, 0.9055), abs=1e-4)


@given(
    st.sampled_from(["int8", "uint8", "int16"]), st.floats(2**-16, 2, width=32), st.integers(-128, 127),
    st.floats(-3, 3, width=32),
)  # fmt: skip
def test_an_integer_decides_as_its_real_value(dtype: str, scale: float, zero: int, threshold: float) -> None:
    """dequantize(q) > t == (q >= least_code(t)), and the number between two codes decides alike."""
    output = spec(dtype, scale, max(zero, 0) if dtype == "uint8" else zero)
    limits = np.iinfo(dtype)
    codes = np.arange(limits.min, limits.max + 1, dtype=dtype)
    code = least_code(threshold, output)
    assert code is not None
    above = dequantize(codes, output) > np.float32(threshold)
    assert (above == (codes.astype(np.int64) >= code)).all()
    if limits.min < code <= limits.max:
        between = np.float32(between_codes(threshold, output))
        assert ((dequantize(codes, output) > between) == above).all()


@pytest.mark.parametrize(
    ("threshold", "words"),
    [(0.9999, "no int8 value of 'score' is above it"), (-0.1, "every int8 value of 'score' is above it"), (0.99, "")],
)
def test_a_threshold_that_an_integer_output_is_all_on_one_side_of_is_told(threshold: float, words: str) -> None:
    assert one_sided_code(least_code(threshold, spec()), spec()) == words


def test_an_output_of_floats_has_no_integer() -> None:
    assert (least_code(0.5, spec("float32", None, None)), between_codes(0.5, spec("float32", None, None))) == (
        None,
        0.5,
    )
