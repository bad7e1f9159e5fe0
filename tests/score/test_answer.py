"""What an output answers, decided once from its target, labels, shape and activation; and how it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from edgecut.records.recipe import Target
from edgecut.score.answer import Answer, answer_of, one_judged
from edgecut.score.distance import distances, sqnr, sqnr_varying
from edgecut.score.intervals import fraction_error, paired_error, paired_interval, resampled_error, unseen

TWO = np.array([0, 1, 1, 0])
FIVE = np.array([0, 4, 2, 1])
TAGS = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32)


@pytest.mark.parametrize(
    ("target", "shape", "activation", "labels", "kind", "threshold", "metric"),
    [
        ("classes", (5,), "softmax", FIVE, "classes", None, "accuracy"),
        ("classes", (5,), "linear", FIVE, "classes", None, "accuracy"),
        ("classes", (5,), "sigmoid", FIVE, "classes", None, "accuracy"),
        ("classes", (1, 1, 5), "linear", FIVE, "classes", None, "accuracy"),
        ("classes", (5,), "softmax", None, "classes", None, None),
        ("classes", (5,), "sigmoid", None, "tags", 0.5, None),
        ("classes", (5,), "", None, "values", None, None),
        ("classes", (1,), "sigmoid", TWO, "binary", 0.5, "accuracy"),
        ("classes", (1,), "sigmoid", None, "binary", 0.5, None),
        ("classes", (1,), "linear", TWO, "binary", 0.0, "accuracy"),
        ("classes", (1,), "tanh", TWO, "binary", 0.0, "accuracy"),
        ("classes", (1,), "linear", FIVE, "values", None, "r2"),
        ("classes", (1,), "linear", None, "values", None, None),
        ("classes", (1,), "sigmoid", FIVE, "binary", 0.5, None),
        ("classes", (1,), "softmax", TWO, "values", None, None),
        ("classes", (3,), "softmax", FIVE, "classes", None, None),
        ("classes", (8, 8, 3), "softmax", FIVE, "pixels", None, None),
        ("classes", (8, 8, 1), "sigmoid", None, "pixels", 0.5, None),
        ("classes", (8, 8, 1), "linear", None, "values", None, None),
        ("classes", (8, 8, 3), "features", FIVE, "values", None, None),
        ("tags", (2,), "sigmoid", TAGS, "tags", 0.5, "map"),
        ("tags", (2,), "linear", TAGS, "tags", 0.0, "map"),
        ("tags", (3,), "sigmoid", TAGS, "tags", 0.5, None),
        ("values", (2,), "linear", TAGS, "values", None, "r2"),
        ("features", (2,), "relu", TAGS, "values", None, "r2"),
    ],
)  # fmt: skip
def test_what_an_output_answers(
    target: Target, shape: tuple[int, ...], activation: str, labels: np.ndarray | None,
    kind: str, threshold: float | None, metric: str | None,
) -> None:  # fmt: skip
    answer = answer_of(target, shape, activation, labels)
    assert (answer.kind, answer.threshold, answer.metric) == (kind, threshold, metric)
    assert (answer.unjudged == "") == (metric is not None), "why nothing judges it is always said"


def test_a_head_that_was_fitted_to_tags_parts_them_at_a_half() -> None:
    assert answer_of("tags", (2,), "linear", TAGS, is_fitted=True) == Answer("tags", 0.5, "map")


@pytest.mark.parametrize(
    ("shape", "activation", "labels", "assumed", "unjudged"),
    [
        (
            (1,), "linear", TWO,
            "one output and labels 0 and 1 are taken for two classes, decided at 0, since an output without an "
            "activation is taken for logits", "",
        ),
        ((1,), "linear", FIVE, "one output and labels from 0 to 4 are taken for a value, not for classes", ""),
        ((1,), "sigmoid", FIVE, "", "labels are 0 to 4, and the output tells 2 classes apart"),
        ((3,), "softmax", FIVE, "", "labels are 0 to 4, and the output tells 3 classes apart"),
        ((1,), "softmax", TWO, "", "a softmax over one output is the same for every image, so it decides nothing"),
        ((4, 4, 2), "softmax", TWO, "", "the output is a map, and labels say one thing of a whole picture"),
        (
            (2,), "sigmoid", None,
            "2 sigmoids are taken for tags, since no labels say otherwise; each is decided at 0.5",
            "no labels say what is right",
        ),
    ],
)  # fmt: skip
def test_what_was_assumed_and_why_nothing_judges(
    shape: tuple[int, ...], activation: str, labels: np.ndarray | None, assumed: str, unjudged: str
) -> None:
    answer = answer_of("classes", shape, activation, labels)
    assert (answer.assumed, answer.unjudged) == (assumed, unjudged)


def test_one_score_is_judged_at_its_threshold_and_by_its_order() -> None:
    answer = answer_of("classes", (1,), "sigmoid", TWO)
    floats = np.array([[0.1], [0.9], [0.8], [0.2]])
    shifted, mixed = floats - 0.35, floats[::-1]
    assert answer.scores(floats, TWO) == {"accuracy": 1.0, "auc": 1.0}
    assert answer.scores(shifted, TWO) == {"accuracy": 0.75, "auc": 1.0}
    assert answer.agreement(floats, shifted) == 0.75
    drops = answer.drops(floats, mixed[[0, 1, 3, 2]], TWO)
    assert (drops["accuracy"].value, drops["auc"].value) == (0.5, 0.75)


def test_equal_columns_would_agree_by_argmax_and_a_ruined_score_does_not() -> None:
    answer = answer_of("classes", (1,), "sigmoid", TWO)
    assert answer.agreement(np.array([[0.9], [0.1]]), np.array([[0.1], [0.9]])) == 0.0


def test_tags_agree_each_by_itself_and_maps_place_by_place() -> None:
    tags = answer_of("tags", (2,), "sigmoid", TAGS)
    assert tags.agreement(TAGS, 1 - TAGS[:, :1] * [[1, 0]] - TAGS * [[0, 1]]) == 0.0
    assert tags.agreement(TAGS, TAGS * [[1, 0]]) == 0.75
    assert tags.scores(TAGS, TAGS) == {"map": 1.0, "tag_accuracy": 1.0}
    pixels = answer_of("classes", (2, 2, 2), "softmax")
    first = np.zeros((1, 2, 2, 2))
    other = first.copy()
    other[0, 0, 0, 1] = 1
    assert pixels.agreement(first, other) == 0.75


def test_values_have_no_decisions_and_three_figures() -> None:
    answer = answer_of("values", (1,), "linear", np.array([1.0, 3.0]))
    outputs, targets = np.array([[1.0], [2.0]]), np.array([1.0, 3.0])
    assert answer.agreement(outputs, outputs) is None
    assert answer.scores(outputs, targets) == {"r2": 0.5, "mae": 0.5, "rmse": pytest.approx(0.5**0.5)}
    assert answer.drops(targets[:, None], outputs, targets)["r2"].value == 0.5


def test_labels_judge_one_of_several_outputs() -> None:
    classes = answer_of("classes", (5,), "softmax", FIVE)
    value = answer_of("classes", (1,), "linear", FIVE)
    first, second = one_judged([value, classes])
    assert (first.metric, second.metric) == (None, "accuracy")
    assert first.unjudged == second.assumed == "the labels are taken to be of output 1"


def test_sqnr_counts_all_and_its_varying_form_only_what_tells_pictures_apart() -> None:
    reference = np.array([[100.0, 1.0], [100.0, -1.0]])
    outputs = reference * np.array([[1.0, 1.5]])
    assert sqnr(reference, outputs) == pytest.approx(10 * np.log10(20002 / 0.5))
    assert sqnr_varying(reference, outputs) == pytest.approx(10 * np.log10(2 / 0.5))
    assert distances(reference, reference) == {"max_abs_error": 0.0, "sqnr": 200.0, "cosine": pytest.approx(1.0)}
    assert sqnr(np.zeros(2), np.ones(2)) == sqnr(np.ones(2), np.full(2, np.nan)) == -200.0


def test_errors_of_samples() -> None:
    lost = np.array([0.0, 0.0, 1.0, -1.0])
    assert paired_error(lost) == pytest.approx(lost.std() / 2)
    assert paired_error(lost, judged_on=4) == pytest.approx(lost.std() * np.sqrt(1 / 4 + 1 / 4))
    assert fraction_error(0.5, 100) == 0.05
    many = np.random.default_rng(0).normal(size=400)
    assert resampled_error(lambda rows: float(many[rows].mean()), 400) == pytest.approx(0.05, rel=0.2)


def test_no_difference_on_few_images_says_little_of_others() -> None:
    # Bonett and Price 2012, equation 2, whose estimate of no difference in n is 0 +- 1.96 sqrt(2) / (n + 2).
    for count, high in ((1, 0.924), (40, 0.066), (200, 0.0137)):
        assert paired_interval(np.zeros(count)) == pytest.approx((-high, high), abs=0.0005)
    assert paired_interval(np.ones(3)) == (pytest.approx(-0.101, abs=0.001), 1)
    assert (unseen(1), unseen(300)) == (pytest.approx(0.95), pytest.approx(0.00994, abs=1e-5))


def test_a_drop_has_an_interval_where_the_outputs_are_equal() -> None:
    classes = Answer("classes", metric="accuracy")
    rows, labels = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 1])
    none = classes.drops(rows, rows, labels)["accuracy"]
    assert (none.value, none.error, (none.low, none.high)) == (0, 0, paired_interval(np.zeros(4)))
    values = Answer("values", metric="r2")
    none = values.drops(rows, rows, np.eye(2)[labels])["r2"]
    assert (none.value, none.error, none.high) == (0, 0, unseen(4))
