from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.errors import DataError, HeadError
from edgecut.head.probe import PENALTIES, Probe, fit_ridge, fit_temperature
from edgecut.score.metrics import accuracy


def _clusters(
    count: int, channels: int, classes: int = 3, seed: int = 0, spread: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = random.normal(size=(classes, channels))
    scales = random.uniform(0.1, 5, channels)
    features = (centres[labels] + spread * random.normal(size=(count, channels))) * scales + 3 * scales
    return features, labels


def _solved(standard: np.ndarray, targets: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and unpenalised bias of one ridge problem, straight from the normal equations."""
    mean, prior = standard.mean(axis=0), targets.mean(axis=0)
    centred = standard - mean
    kernel = np.linalg.solve(centred.T @ centred + penalty * np.eye(standard.shape[1]), centred.T @ (targets - prior))
    return kernel, prior - mean @ kernel


def _refitted_scores(features: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> np.ndarray:
    """The leave-one-out scores by fitting n times, with the standardisation of all the samples."""
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    targets = np.eye(classes)[labels]
    scores = []
    for left_out in range(len(labels)):
        kept = np.arange(len(labels)) != left_out
        kernel, bias = _solved(standard[kept], targets[kept], penalty * len(labels))
        scores.append(standard[left_out] @ kernel + bias)
    return np.array(scores)


@pytest.mark.parametrize(("count", "channels"), [(40, 7), (20, 33), (25, 25)])
@pytest.mark.parametrize("penalty", [1e-5, 0.1, 10.0])
def test_leave_one_out_equals_refitting_without_each_sample(count: int, channels: int, penalty: float) -> None:
    features, labels = _clusters(count, channels)
    scores = _refitted_scores(features, labels, 3, penalty)

    probe = fit_ridge(features, labels, 3, [penalty])

    error = np.mean((np.eye(3)[labels] - scores) ** 2)
    assert probe.loo_error == pytest.approx(error, rel=1e-8)
    assert probe.loo_accuracy == accuracy(scores, labels)


@pytest.mark.parametrize(("count", "channels"), [(60, 9), (20, 50)])
def test_folded_weights_equal_the_standardised_classifier(count: int, channels: int) -> None:
    features, labels = _clusters(count, channels)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    kernel, bias = _solved(standard, np.eye(3)[labels], 0.1 * count)

    probe = fit_ridge(features, labels, 3, [0.1])

    # float32 weights and features of about 10: a few times 1e-6.
    np.testing.assert_allclose(probe.scores(features), standard @ kernel + bias, atol=2e-5)


def test_penalty_is_the_one_with_the_least_leave_one_out_error() -> None:
    features, labels = _clusters(30, 20, spread=4)
    errors = {penalty: fit_ridge(features, labels, 3, [penalty]).loo_error for penalty in PENALTIES}

    probe = fit_ridge(features, labels, 3)

    assert probe.penalty == min(errors, key=errors.__getitem__)
    assert PENALTIES[0] < probe.penalty < PENALTIES[-1]


@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-10, 10),
)
def test_scores_do_not_depend_on_the_units_of_a_channel(scale: float, shift: float) -> None:
    """fit(a x + b) scores a x + b as fit(x) scores x, for any a > 0 and b."""
    features, labels = _clusters(30, 5)
    changed = features.copy()
    changed[:, 2] = changed[:, 2] * scale + shift * scale
    np.testing.assert_allclose(
        fit_ridge(changed, labels, 3).scores(changed),
        fit_ridge(features, labels, 3).scores(features),
        atol=2e-4,
    )


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_a_channel_that_hardly_varies_has_no_weight(noise: float) -> None:
    features, labels = _clusters(40, 6)
    features[:, 4] = 5 * (1 + noise * np.random.default_rng(1).normal(size=40))

    probe = fit_ridge(features.astype(np.float32), labels, 3)

    assert probe.dead == 1
    assert np.all(probe.kernel[4] == 0)
    assert np.all(probe.kernel[:4] != 0)
    assert np.isfinite(probe.kernel).all()


def test_without_a_living_channel_the_scores_are_the_class_frequencies() -> None:
    probe = fit_ridge(np.ones((4, 3)), np.array([0, 0, 0, 1]), 2)
    assert probe.dead == 3
    np.testing.assert_array_equal(probe.scores(np.ones((1, 3))), np.array([[0.75, 0.25]], np.float32))


def test_a_class_without_images_scores_zero() -> None:
    features, labels = _clusters(40, 6, classes=2)
    probe = fit_ridge(features, labels * 2, 4)
    np.testing.assert_array_equal(probe.scores(features)[:, [1, 3]], np.zeros((40, 2), np.float32))
    assert set(np.argmax(probe.scores(features), axis=1)) == {0, 2}


def test_float32_features_are_computed_in_float64() -> None:
    features, labels = _clusters(40, 6)
    features = features.astype(np.float32)
    np.testing.assert_array_equal(
        fit_ridge(features, labels, 3).kernel, fit_ridge(features.astype(np.float64), labels, 3).kernel
    )


def test_temperature_is_the_likeliest() -> None:
    features, labels = _clusters(200, 6, spread=3)
    scores = fit_ridge(features, labels, 3).scores(features).astype(np.float64)
    best = fit_temperature(scores, labels)
    assert _likelihood(scores * best, labels) > _likelihood(scores * best * 1.01, labels)
    assert _likelihood(scores * best, labels) > _likelihood(scores * best / 1.01, labels)


def test_temperature_of_faultless_scores_stays_bounded() -> None:
    assert fit_temperature(np.eye(3), np.arange(3)) == pytest.approx(100)


def test_scaled_head_keeps_the_order_of_the_scores() -> None:
    features, labels = _clusters(60, 6)
    probe = fit_ridge(features, labels, 3)
    kernel, bias = probe.scaled()
    assert (kernel.dtype, bias.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(
        features @ kernel + bias, probe.temperature * probe.scores(features), rtol=1e-4, atol=1e-4
    )


def test_rounded_kernel_is_held_exactly_by_int8() -> None:
    features, labels = _clusters(60, 6)
    kernel = fit_ridge(features, labels, 3).rounded().kernel.astype(np.float64)
    steps = kernel / (np.abs(kernel).max(axis=0) / 127)
    # Weights are float32: 127 steps of it.
    np.testing.assert_allclose(steps, np.rint(steps), atol=127 * 2**-23)


def test_rounding_leaves_the_mean_score_of_each_class() -> None:
    """The mean over the fitted features of rounded().scores is that of scores."""
    features, labels = _clusters(60, 6)
    probe = fit_ridge(features + 100, labels, 3)
    rounded = probe.rounded()
    assert not np.array_equal(rounded.kernel, probe.kernel)
    np.testing.assert_allclose(
        (features + 100).mean(axis=0) @ rounded.kernel + rounded.bias,
        (features + 100).mean(axis=0) @ probe.kernel + probe.bias,
        atol=1e-4,
    )


def test_rounding_again_changes_nothing() -> None:
    features, labels = _clusters(60, 6)
    once = fit_ridge(features, labels, 3).rounded()
    np.testing.assert_allclose(once.rounded().kernel, once.kernel, rtol=1e-6)


def test_a_kernel_of_zeros_rounds_to_zeros() -> None:
    probe = fit_ridge(np.ones((4, 3)), np.array([0, 0, 0, 1]), 2).rounded()
    np.testing.assert_array_equal(probe.kernel, np.zeros((3, 2), np.float32))


def test_accuracy_of_equal_scores_counts_the_first() -> None:
    scores = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9], [0.9, 0.1]])
    assert accuracy(scores, np.array([0, 1, 1, 1])) == 0.5


def test_labels_out_of_range_are_refused() -> None:
    features, labels = _clusters(12, 4)
    with pytest.raises(DataError) as caught:
        fit_ridge(features, labels, 2)
    assert str(caught.value) == (
        "labels: labels are 0..2, and 2 classes allow 0..1; set head.classes = 3 or leave those images out"
    )


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (
            np.zeros((4, 2, 2)), [0, 1, 0, 1],
            "head: features of shape (4, 2, 2) can't be fitted; (n, channels) is expected",
        ),
        (np.zeros((4, 2)), [0, 1, 0], "head: 4 rows of features and 3 labels; make them equal"),
        (np.zeros((1, 2)), [0], "head: features of shape (1, 2) can't be fitted; at least 2 rows are needed"),
        (
            np.array([[0.0], [np.nan]]), [0, 1],
            "head: the features hold NaN or infinity; check source.preprocess and the model's weights",
        ),
    ],
)  # fmt: skip
def test_features_that_cannot_be_fitted_are_refused(features: np.ndarray, labels: list[int], message: str) -> None:
    with pytest.raises(HeadError) as caught:
        fit_ridge(features, np.array(labels), 2)
    assert str(caught.value) == message


def test_a_penalty_of_zero_is_refused() -> None:
    with pytest.raises(HeadError) as caught:
        fit_ridge(np.eye(3), np.arange(3), 3, [0.1, 0.0])
    assert str(caught.value) == "head: penalties are greater than 0, found [0.1, 0.0]"


def _likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(np.mean(logs[np.arange(len(labels)), labels]))


def test_probe_is_frozen() -> None:
    features, labels = _clusters(12, 4)
    probe: Probe = fit_ridge(features, labels, 3)
    with pytest.raises(AttributeError):
        probe.penalty = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("rows", [7, 10, 39])
def test_rows_in_parts_give_what_they_give_at_once(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums about each part's own mean add up, whatever is the parts' size; to the rounding of float64."""
    features, labels = _clusters(40, 6)
    whole = fit_ridge(features, labels, 3)
    monkeypatch.setattr("edgecut.head.ridge.ROWS", rows)
    parts = fit_ridge(features, labels, 3)
    assert (parts.penalty, parts.loo_accuracy, parts.dead) == (whole.penalty, whole.loo_accuracy, whole.dead)
    np.testing.assert_allclose(parts.kernel, whole.kernel, rtol=1e-6)
    np.testing.assert_allclose(parts.bias, whole.bias, rtol=1e-6)
    assert parts.loo_error == pytest.approx(whole.loo_error, rel=1e-12)
    assert parts.temperature == pytest.approx(whole.temperature, rel=1e-9)
