"""Heads that are trained: what they learn, what they keep, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import edgecut
from edgecut.errors import HeadError
from edgecut.head.probe import fit_ridge
from edgecut.head.train import HeadShape, TrainingPlan, finetune, fit
from edgecut.records.recipe import Cut, Data, Export, Head, Recipe, Source, Stem, Training

pytestmark = pytest.mark.tensorflow

FAST = Training(epochs=30, batch=32, learning_rate=0.01, patience=4)


def rings(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Points in a disc and in the ring around it, which no line tells apart: (n, 2), (n,)."""
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (count, 2)) * (3.0, 50.0) + (7.0, 100.0)
    inner = np.hypot((points[:, 0] - 7) / 3, (points[:, 1] - 100) / 50) < 0.6
    return points.astype("float32"), inner.astype("int64")


def answers(features: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    for place, (kernel, bias) in enumerate(layers):
        features = features @ kernel + bias
        features = np.maximum(features, 0) if place < len(layers) - 1 else features
    return features


def test_a_hidden_layer_learns_what_no_line_tells_apart() -> None:
    features, labels = rings()
    layers, trained = fit(features, labels, HeadShape(2, (16,)), TrainingPlan("classes", FAST))
    # The features are as they were: their mean of 100 and their scale are in the first layer.
    assert np.mean(answers(features, layers).argmax(axis=1) == labels) > 0.9
    assert trained.loss <= trained.first_loss


def test_values_are_learnt_as_they_are() -> None:
    features = np.random.default_rng(0).standard_normal((200, 3)).astype("float32")
    targets = features @ np.array([[1.0, 0.0], [0.0, -2.0], [0.5, 0.5]], "float32") + 3
    layers, _ = fit(features, targets, HeadShape(2), TrainingPlan("values", Training(epochs=60, learning_rate=0.05)))
    assert np.abs(answers(features, layers) - targets).mean() < 0.2


def test_a_teacher_that_knows_better_corrects_wrong_labels() -> None:
    features, labels = rings()
    wrong = np.where(np.arange(len(labels)) % 3 == 0, 1 - labels, labels)
    taught, _ = fit(features, wrong, HeadShape(2, (16,)), TrainingPlan("classes", FAST), soft=np.eye(2)[labels])
    assert np.mean(answers(features, taught).argmax(axis=1) == labels) > 0.9


def test_what_no_epoch_makes_better_is_the_ridge_head() -> None:
    features, labels = rings(60)
    # A step this long makes everything worse.
    settings = Training(epochs=6, learning_rate=50.0, patience=3)
    ((kernel, bias),), trained = fit(features, labels, HeadShape(2), TrainingPlan("classes", settings))
    assert (trained.best, trained.epochs) == (0, 3)
    assert trained.loss == trained.first_loss
    scores, expected = features @ kernel + bias, fit_ridge(features, labels, 2)
    np.testing.assert_allclose(scores, expected.scores(features) * expected.temperature, atol=1e-3)


@pytest.mark.parametrize(("count", "hidden"), [(40, ()), (60, (16, 16))], ids=str)
def test_by_default_a_trained_head_is_no_worse_than_ridge(count: int, hidden: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    centres = random.standard_normal((4, 12))
    labels = random.integers(0, 4, count + 4000)
    features = (centres[labels] + 1.2 * random.standard_normal((len(labels), 12))).astype("float32") * 9 + 5
    layers, _ = fit(features[:count], labels[:count], HeadShape(4, hidden), TrainingPlan("classes", Training()))
    ridge = fit_ridge(features[:count], labels[:count], 4).scores(features[count:])
    right, ridges = (np.mean(x.argmax(1) == labels[count:]) for x in (answers(features[count:], layers), ridge))
    assert right >= ridges - 0.02


def test_the_same_seed_trains_the_same_weights() -> None:
    features, labels = rings(60)
    plan = TrainingPlan("classes", Training(epochs=2), seed=3)
    both = [fit(features, labels, HeadShape(2, (4,)), plan)[0] for _ in range(2)]
    for first, second in zip(*both, strict=True):
        np.testing.assert_array_equal(first[0], second[0])


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    for k in range(2):
        x = keras.layers.Conv2D(4, 3, name=f"conv_{k}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{k}")(x)
        x = keras.layers.ReLU(name=f"relu_{k}")(x)
    x = keras.layers.Dense(2, name="scores")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Softmax()(x))


def pictures(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % 2
    pixels = np.random.default_rng(0).integers(0, 100, (count, 8, 8, 3)).astype("uint8")
    pixels[labels == 1, ..., 0] += 100
    return pixels, labels


def scaled(pixels: np.ndarray) -> np.ndarray:
    return (pixels / 127.5 - 1).astype("float32")


def test_fine_tuning_changes_what_is_behind_the_layer_and_no_batch_normalization(model: keras.Model) -> None:
    pixels, labels = pictures()
    before = {weight.path: np.array(weight) for weight in model.weights}
    result, trained = finetune(
        lambda rows: model, pixels, labels, scaled, TrainingPlan("classes", FAST), unfreeze="conv_1"
    )
    assert getattr(result, "optimizer", None) is None  # it would be saved with the model, and lie in the bundle
    changed = {weight.path for weight in result.weights if not np.array_equal(before[weight.path], weight)}
    assert changed == {"conv_1/kernel", "conv_1/bias", "scores/kernel", "scores/bias"}
    assert trained.loss < trained.first_loss
    # The source is as it was, and the flags are.
    assert all(np.array_equal(before[weight.path], weight) for weight in model.weights)
    assert all(layer.trainable for layer in result.layers)


def test_fine_tuning_that_makes_nothing_better_ends_where_it_began(model: keras.Model) -> None:
    settings = Training(epochs=5, learning_rate=1e3, patience=2)
    result, trained = finetune(
        lambda rows: model, *pictures(), scaled, TrainingPlan("classes", settings), unfreeze="conv_1"
    )
    assert (trained.best, trained.epochs) == (0, 2)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), result.get_weights(), strict=True))


def test_a_layer_that_is_not_there_is_named(model: keras.Model) -> None:
    with pytest.raises(HeadError, match=r"^head\.unfreeze: no layer 'conv_9'; "):
        finetune(lambda rows: model, *pictures(), scaled, TrainingPlan("classes", FAST), unfreeze="conv_9")


@pytest.mark.parametrize(
    "head",
    [
        {"train": "fit", "hidden": (8,)},
        {"train": "distil"},
        {"train": "finetune", "unfreeze": "conv_1"},
    ],
    ids=lambda head: head["train"],
)
def test_a_build_trains_its_head(model: keras.Model, tmp_path: Path, head: dict[str, Any]) -> None:
    model.save(tmp_path / "model.keras")
    pixels, labels = pictures(80)
    np.savez(tmp_path / "images.npz", x_train=pixels, y_train=labels, x_test=pixels[:20], y_test=labels[:20])
    recipe = Recipe(
        source=Source(model=str(tmp_path / "model.keras"), preprocess="tf"), cut=Cut(to="relu_1"), stem=Stem(),
        head=Head(classes=2, training=FAST, **head), data=Data(train=str(tmp_path / "images.npz")),
        export=Export(precisions=("int8",)),
    )  # fmt: skip
    report = edgecut.build(recipe, ["nucleo-l4r5zi"], out=tmp_path / "dist")
    (accuracy,) = [m.value for m in report.measurements if m.metric == "accuracy" and m.artifact.endswith(".tflite")]
    step = next(step for step in report.steps if step.name == "head")
    assert accuracy is not None
    assert accuracy >= 0.9
    assert step.proof.held_out_loss <= step.proof.first_held_out_loss
