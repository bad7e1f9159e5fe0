"""Nets that aren't classifiers by argmax, in a build: one score, several outputs, values and tags."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import edgecut
from edgecut.records.recipe import Recipe, make_recipe
from edgecut.records.report import Report

pytestmark = pytest.mark.tensorflow

L = keras.layers
COUNT = 160


@pytest.fixture(scope="module")
def photos() -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures, (n, 12, 12, 3) uint8, and whether each is of the lighter kind."""
    random = np.random.default_rng(0)
    labels = np.arange(COUNT) % 2
    noise = random.normal(0, 60, (COUNT, 12, 12, 3))
    return np.clip(noise + 110 + 30 * labels[:, None, None, None], 0, 255).astype(np.uint8), labels


def lightness(photos: tuple[np.ndarray, np.ndarray]) -> tuple[keras.Model, np.ndarray, float]:
    """A seeded body, and the weights and bias of its features that give the logit of the lighter kind.

    One channel of its depthwise convolution is 300 times the others, and the weights undo that: what float doesn't see
    and what ruins int8, whose ranges are one for all channels.
    """
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = L.DepthwiseConv2D(3, name="depthwise")(L.Conv2D(8, 3, activation="relu")(image))
    body = keras.Model(image, L.GlobalAveragePooling2D()(x))
    features = np.asarray(body.predict(photos[0].astype("float32"), verbose=0), np.float64)
    wide = np.concatenate([features, np.ones((COUNT, 1))], axis=1)
    solved = np.linalg.lstsq(wide, 8.0 * photos[1] - 4, rcond=None)[0]
    kernel, bias = body.get_layer("depthwise").get_weights()
    kernel[..., 0, :] *= 300
    bias[0] *= 300
    body.get_layer("depthwise").set_weights([kernel, bias])
    weights = solved[:-1].copy()
    weights[0] /= 300
    return body, weights[:, None].astype("float32"), float(solved[-1])


def with_outputs(body: keras.Model, *layers: tuple[L.Layer, np.ndarray, float]) -> keras.Model:
    outputs = [layer(body.output) for layer, _, _ in layers]
    for layer, kernel, bias in layers:
        layer.set_weights([kernel, np.full(kernel.shape[1], bias, "float32")])
    return keras.Model(body.input, outputs if len(outputs) > 1 else outputs[0])


def built(folder: Path, model: keras.Model, pixels: np.ndarray, targets: np.ndarray, **keys: object) -> Report:
    model.save(folder / "m.keras")
    np.savez(folder / "d.npz", x_train=pixels, y_train=targets, x_test=pixels[::-1], y_test=targets[::-1])
    settings = {
        "source.model": str(folder / "m.keras"), "source.preprocess": "raw", "data.train": str(folder / "d.npz"),
        "bench.runs": 1, "bench.warmup": 0, "data.calibration": 40, **keys,
    }  # fmt: skip
    recipe: Recipe = make_recipe({}, settings, where="recipe")
    return edgecut.build(recipe, ["host"], folder / "out", cache=False)


def figures(report: Report, name: str) -> dict[str, float | None]:
    return {m.metric: m.value for m in report.measurements if m.artifact == name}


@pytest.fixture(scope="module")
def sigmoid(photos: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A build of a net of one sigmoid, which int8 ruins, with precision auto."""
    body, weights, bias = lightness(photos)
    model = with_outputs(body, (L.Dense(1, activation="sigmoid"), weights, bias))
    keys = {"export.precisions": ["int8", "auto"], "budget.accuracy_drop": 0.01}
    return built(tmp_path_factory.mktemp("sigmoid"), model, *photos, **keys)


def test_auto_sees_that_int8_ruined_a_single_score_and_corrects_it(sigmoid: Report) -> None:
    plain, mended = figures(sigmoid, "model.int8.tflite"), figures(sigmoid, "model.auto.tflite")
    first, chosen = sigmoid.trials[0], next(trial for trial in sigmoid.trials if trial.chosen)
    assert (plain["accuracy_drop"] or 0) > 0.05
    assert (first.drop or 0) > 0.01
    assert first.agreement is not None
    assert first.agreement < 1
    assert chosen.cures
    assert (mended["accuracy_drop"] or 0) < 0.02
    assert (mended["auc"] or 0) > (plain["auc"] or 0)


def test_one_score_is_measured_at_its_threshold_and_by_its_order(sigmoid: Report) -> None:
    floats = figures(sigmoid, "model.keras")
    assert set(floats) == {"accuracy", "auc"}
    assert (floats["accuracy"] or 0) > 0.85
    int8 = figures(sigmoid, "model.int8.tflite")
    assert {"accuracy", "accuracy_drop", "auc", "top1_agreement"} <= set(int8)
    before, after = floats["accuracy"] or 0, int8["accuracy"] or 0
    # What int8 loses here is said; that the output is taken for anything isn't, since nothing is assumed of it.
    (loss,) = [note for note in sigmoid.notes if note.startswith("check:")]
    assert re.sub(r"are 0\.\d{3}$", "are E", loss) == (
        f"check: tflite int8, against the float model: accuracy {after:.3f} where it was {before:.3f}, on 160 held-out "
        f"images, which is more than chance: it fell by {before - after:.3f}, and two standard errors of the paired "
        "difference are E"
    )


def test_each_of_several_outputs_is_judged_as_what_it_answers(
    photos: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    body, weights, bias = lightness(photos)
    both = np.concatenate([-weights, weights], axis=1)
    model = with_outputs(
        body, (L.Dense(1, name="level"), weights, bias), (L.Dense(2, activation="softmax", name="kind"), both, 0.0)
    )
    report = built(tmp_path, model, *photos, **{"export.precisions": ["float32"]})
    rows = [m for m in report.measurements if m.artifact == "model.float32.tflite" and m.method.startswith("LiteRT")]
    of = {(m.conditions.get("output"), m.metric) for m in rows if m.metric in {"sqnr", "accuracy", "auc"}}
    assert of == {("output_0", "sqnr"), ("output_1", "sqnr"), ("output_1", "accuracy")}
    assert "check: output_1: the labels are taken to be of output 1" in report.notes


def test_a_single_output_without_an_activation_is_taken_for_logits_and_says_so(
    photos: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    body, weights, bias = lightness(photos)
    model = with_outputs(body, (L.Dense(1), -weights, -bias))
    report = built(tmp_path, model, *photos, **{"export.precisions": ["float32"]})
    assert (figures(report, "model.keras")["accuracy"] or 1) < 0.15
    assert [note for note in report.notes if note.startswith("check:")] == [
        "check: one output and labels 0 and 1 are taken for two classes, decided at 0, since an output without an "
        "activation is taken for logits",
        f"check: the float model is right on {figures(report, 'model.keras')['accuracy']:.3f} of the images, less than "
        "by chance: its one output may mean the other class; name the classes in its own order (data.labels)",
    ]
