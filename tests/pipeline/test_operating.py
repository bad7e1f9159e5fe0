"""Thresholds are chosen on some of the held-out images and measured on the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.errors import DocumentError
from edgecut.images.dataset import Dataset, Images
from edgecut.pipeline.operating import Chooser, chooser, overshoots
from edgecut.pipeline.plan import plan
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.operating import Decision, OperatingPoint
from edgecut.records.recipe import Data, make_recipe
from edgecut.score.answer import Answer
from tests.saved_models import classifier, saved

BINARY = Answer("binary", 0.5, "accuracy")
LABELS = np.arange(40) % 2
NAMES = ("nobody", "person")


def file(*shape: int, scale: float | None = 1 / 256) -> Artifact:
    dtype, zero = ("float32", None) if scale is None else ("int8", -128)
    scores = TensorSpec(name="scores", shape=(1, *shape), dtype=dtype, scale=scale, zero_point=zero)
    return Artifact(
        name="bell.int8.tflite", path="models/bell.int8.tflite", format="tflite", precision="int8", sha256="0" * 64,
        size_bytes=1, inputs=(), outputs=(scores,), operators={},
    )  # fmt: skip


def scores(labels: np.ndarray, scale: float = 1 / 256) -> np.ndarray:
    """(n, 1): a little above .25 where the label says so, in steps of the file."""
    noise = np.random.default_rng(0).normal(0, 0.03, len(labels))
    values: np.ndarray = np.rint((0.2 + 0.1 * labels + noise) / scale) * scale
    return values.astype(np.float32)[:, None]


def chosen(rule: Any, answer: Answer = BINARY, labels: np.ndarray = LABELS, names: Any = NAMES) -> Chooser:
    return chooser(Data(threshold=rule), names, [answer], 0, labels)


def test_what_chooses_does_not_judge() -> None:
    own = chosen("f1")
    assert not set(own.choosing) & set(own.judging)
    assert sorted((*own.choosing, *own.judging)) == list(range(40))
    assert LABELS[own.choosing].sum() == LABELS[own.judging].sum() == 10


def test_a_chosen_threshold_lies_between_two_integers_of_the_file() -> None:
    own, y = chosen("f1"), scores(LABELS)
    (decision,) = own.decisions(file(1), [BINARY], [y])
    (point,) = decision.points
    assert (decision.rule, decision.chosen_on, decision.measured_on) == ("f1", 20, 20)
    assert (point.label, decision.otherwise) == ("person", "nobody")
    assert point.code is not None
    assert point.threshold == (point.code - 0.5 + 128) / 256
    (answer,) = own.decided([BINARY], [y], file(1).outputs)
    assert answer.threshold == point.threshold
    (judged,) = own.judged([y])
    decided = answer.decisions(judged)
    assert decided is not None
    hits = decided[:, 0][LABELS[own.judging] == 1].mean()
    assert point.recall == hits > 0.7


def test_a_given_number_is_measured_on_all_images() -> None:
    answer = Answer("binary", 0.25, "accuracy")
    (decision,) = chosen(0.25, answer).decisions(file(1), [answer], [scores(LABELS)])
    assert (decision.rule, decision.chosen_on, decision.measured_on) == ("given", 0, 40)
    assert (decision.points[0].threshold, decision.points[0].code) == (0.25, -63)
    (unchosen,) = chosen(None).decisions(file(1), [BINARY], [scores(LABELS)])
    assert (unchosen.rule, unchosen.points[0].recall) == ("default", 0.0)


def test_the_other_class_of_a_softmax_can_be_the_positive() -> None:
    y = np.concatenate([1 - scores(LABELS), scores(LABELS)], axis=1)
    answer = Answer("binary", 0.5, "accuracy", column=0)
    own = chosen("f1", answer)
    (decision,) = own.decisions(file(2), [answer], [y])
    assert (decision.column, decision.points[0].label, decision.otherwise) == (0, "nobody", "person")
    (at,) = own.decided([answer], [y], file(2).outputs)
    assert at.scores(y, LABELS)["accuracy"] > 0.8
    assert at.scores(y, LABELS)["auc"] == Answer("binary", 0.5, "accuracy").scores(y[:, 1:], LABELS)["auc"]


def test_each_tag_has_its_own_threshold_and_one_that_no_image_has_keeps_its_own() -> None:
    labels = np.stack([LABELS, np.arange(40) % 4 == 0, np.zeros(40)], axis=1).astype(np.float32)
    y = np.concatenate([scores(labels[:, k]) + 0.1 * k for k in range(3)], axis=1).astype(np.float32)
    tags = Answer("tags", 0.5, "map")
    own = chosen("f1", tags, labels, ("a", "b", "c"))
    (decision,) = own.decisions(file(3), [tags], [y])
    assert [point.label for point in decision.points] == ["a", "b", "c"]
    assert [point.reason for point in decision.points] == ["", "", "none of the 20 images that choose has it"]
    assert decision.points[2].threshold == 0.5
    assert decision.points[0].threshold < decision.points[1].threshold
    (at,) = own.decided([tags], [y], file(3).outputs)
    assert at.threshold == decision.thresholds == tuple(point.threshold for point in decision.points)


def test_a_rate_that_the_images_cannot_tell_and_one_that_is_not_kept_are_said() -> None:
    assert list(chosen("fpr=0.01").notes()) == [
        "data.threshold: fpr=0.01 is chosen on 10 images that aren't it, which can't tell a rate between 0 and 0.1; "
        "give more validation images (data.val, --val)"
    ]
    assert list(chosen("fpr=0.1").notes()) == list(chosen("f1").notes()) == []
    point = OperatingPoint(label="person", threshold=0.5, fpr=0.2, fpr_interval=(0.15, 0.26))
    said = (
        "bell.int8.tflite: the false-positive rate of person is 0.200 (0.150 to 0.260) on images that didn't choose "
        "the threshold, and {} was to be kept"
    )
    for rate, end in (("0.1", ""), ("0.16", ", which may be chance")):
        decision = Decision(artifact="bell.int8.tflite", output="y", rule=f"fpr={rate}", points=(point,))
        assert list(overshoots([decision])) == [said.format(rate) + end]
    assert not list(overshoots([Decision(artifact="a", output="y", rule="fpr=0.2", points=(point,))]))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "net.keras", classifier(classes=2))
    numbers = (np.arange(8) % 2).astype(np.uint8)
    np.savez(tmp_path / "n.npz", x_train=np.zeros((8, 8, 8), np.uint8), y_train=numbers)
    saved(tmp_path / "net3.keras", classifier(classes=3))
    np.savez(tmp_path / "n3.npz", x_train=np.zeros((9, 8, 8), np.uint8), y_train=np.arange(9, dtype=np.uint8) % 3)
    return tmp_path


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("data", "head", "fault"),
    [
        ({"threshold": "f1"}, None, "data.threshold: f1 is chosen on labelled data; set data.train (--data), or give a "
                                    "number"),
        ({"threshold": 0.3, "target": "values"}, None, "data.threshold: decides classes or tags, and data.target is "
                                                       "'values'; leave it out"),
        ({"threshold": "f1", "train": "n.npz"}, {"classes": 3, "train": "none"},
         "data.threshold: is of two classes or of tags, and head.classes is 3; leave it out"),
        ({"positive": "a", "train": "n.npz"}, {"classes": 2, "activation": "logits"},
         "data.positive: is of a softmax over two classes; set head.activation = 'softmax'"),
        ({"threshold": 1.5, "train": "n.npz"}, {"classes": 2},
         "data.threshold: is 1.5, and a softmax's scores lie between 0 and 1; give a number between"),
        ({"threshold": 0, "train": "n.npz"}, {"classes": 2},
         "data.threshold: is 0, and a softmax's scores lie between 0 and 1; give a number between"),
        ({"positive": "Door", "train": "n.npz", "labels": ["door", "bike path"]}, {"classes": 2},
         "data.positive: no class 'Door' (closest: 'door')"),
        ({"threshold": "f1", "train": "n3.npz"}, None,
         "data.threshold: is of two classes or of tags, and the model tells 3 apart; leave it out"),
        ({"units": ["m", "s", "kg"]}, None, "data.units: names 3 units, and an output has 2 values; give one for each, "
                                            "or one"),
        ({"units": ["m", "s"], "target": "values", "train": "n.npz"}, {"classes": 1, "activation": "logits"},
         "data.units: names 2 units, and an output has 1 values; give one for each, or one"),
    ],
)  # fmt: skip
def test_a_threshold_that_nothing_can_have_is_refused(data: dict[str, Any], head: Any, fault: str) -> None:
    model = "net3.keras" if data.get("train") == "n3.npz" else "net.keras"
    tables = {"source": {"model": model, "preprocess": "tf"}, "data": data, "head": head}
    with pytest.raises(DocumentError) as caught:
        plan(make_recipe({**tables, "export": {"precisions": ["float32"]}}, {}, where="test"))
    assert f"model: {fault}" in caught.value.faults


@pytest.mark.parametrize("rule", ["best", "fpr=1", "fpr=", "fpr=-1", "0.3"])
def test_a_rule_that_nobody_knows_is_a_fault(rule: str) -> None:
    with pytest.raises(DocumentError) as caught:
        make_recipe({"source": {"model": "m"}, "data": {"threshold": rule}}, {}, where="test")
    assert caught.value.faults == (
        f"test: data.threshold: expected a number, 'f1' or a rate below 1 as in 'fpr=0.01', found {rule!r}",
    )


def test_without_images_the_thresholds_are_said_without_figures() -> None:
    none = Dataset(Images(np.zeros((0, 1)), None), Images(np.zeros((0, 1)), None), (), False)
    own = chooser(Data(), (), [BINARY], None, none.val.labels)
    (decision,) = own.decisions(file(1), [BINARY], [scores(LABELS)])
    assert (decision.rule, decision.measured_on, decision.points) == (
        "default", 0, (OperatingPoint(threshold=0.5, code=1),)
    )  # fmt: skip
