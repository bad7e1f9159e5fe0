"""A built file decides at the threshold that was chosen on its own values, and is measured where nothing was chosen."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import edgecut
from edgecut.errors import RequestError
from edgecut.handoff.verify import verify
from edgecut.records.recipe import make_recipe
from edgecut.records.report import Report
from tests.command_line import run

pytestmark = pytest.mark.tensorflow


def brightness(folder: Path, units: int, activation: str) -> Path:
    """A model whose scores rise with the brightness of a picture."""
    image = keras.Input((8, 8, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    scores = keras.layers.Dense(units, activation=activation, name="scores")
    model = keras.Model(image, scores(pooled))
    weights = np.full((3, units), 2 / 255, np.float32) * (np.arange(units) + 1 if units > 1 else 1)
    scores.set_weights([weights.astype(np.float32), np.full(units, -2.5, np.float32)])
    model.save(folder / "net.keras")
    return folder / "net.keras"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thresholds")
    random, labels = np.random.default_rng(0), np.arange(120) % 2
    light = random.normal(110 + 40 * labels, 25).clip(0, 255)
    pixels = np.repeat(light.astype(np.uint8), 192).reshape(120, 8, 8, 3)
    np.savez(folder / "light.npz", x_train=pixels[:40], y_train=labels[:40], x_test=pixels[40:], y_test=labels[40:])
    brightness(folder, 1, "sigmoid")
    return folder


def built(folder: Path, out: Path, compress: object = None, preprocess: object = "none", **data: object) -> Report:
    tables = {
        "name": "light",
        "source": {"model": str(folder / "net.keras"), "preprocess": preprocess},
        "data": {"train": str(folder / "light.npz"), **data},
        "export": {"precisions": ["float32", "int8"]},
        "bench": {"runs": 2, "warmup": 0},
        **({} if compress is None else {"compress": compress}),
    }
    return edgecut.build(make_recipe(tables, {}, where="test"), out=out, cache=False)


@pytest.fixture(scope="module")
def report(work: Path) -> Report:
    return built(work, work / "dist", labels=["dark", "light"], threshold="f1")


def test_each_file_has_a_threshold_of_its_own_values(report: Report) -> None:
    floats, int8 = report.decisions
    assert (floats.artifact, int8.artifact) == ("light.float32.tflite", "light.int8.tflite")
    assert [d.points[0].code is None for d in report.decisions] == [True, False]
    for decision in report.decisions:
        (point,) = decision.points
        assert (decision.rule, decision.chosen_on, decision.measured_on) == ("f1", 40, 40)
        assert (point.label, decision.otherwise, point.positives) == ("light", "dark", 20)
        assert point.threshold != 0.5
        assert point.recall is not None
        assert point.recall > 0.6


def test_accuracy_is_that_of_the_threshold_on_images_that_did_not_choose_it(report: Report) -> None:
    for decision in report.decisions:
        (point,) = decision.points
        row = next(m for m in report.measurements if (m.metric, m.artifact) == ("accuracy", decision.artifact))
        assert row.conditions["images"] == 40
        assert row.conditions["inputs"] == "held-out images that chose no threshold"
        assert point.recall is not None
        assert point.fpr is not None
        assert row.value == pytest.approx((point.recall + 1 - point.fpr) / 2)


def test_the_bundle_is_whole_and_is_run_at_its_threshold(
    report: Report, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    assert verify(work / "dist").faults == ()
    point = report.decisions[1].points[0]
    header = (work / "dist/c/light_io.h").read_text()
    assert f"#define LIGHT_OUTPUT_THRESHOLD_CODE ({point.code})\n" in header
    for name, byte in (("dark", 0), ("light", 255)):
        Image.new("RGB", (8, 8), (byte, byte, byte)).save(work / f"{name}.png")
        answer = run(capsys, "run", str(work / "dist"), str(work / f"{name}.png"), "--json")
        (output,) = json.loads(answer.out)["predictions"][0]["outputs"]
        assert (output["scores"][0]["label"], output["threshold"]) == (name, point.threshold)


def test_what_a_compressed_file_was_before_is_judged_on_the_same_images(work: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    maps = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(16, 3, activation="relu")(image))
    keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(maps)).save(tmp_path / "net.keras")
    (tmp_path / "light.npz").write_bytes((work / "light.npz").read_bytes())
    compress = {"prune": {"sparsity": 0.3}, "epochs": 2}
    report = built(tmp_path, tmp_path / "dist", compress, {"scale": 1 / 255}, threshold="f1")
    rows = {m.artifact: m.value for m in report.measurements if m.metric == "accuracy"}
    for precision in ("float32", "int8"):
        before, after = (rows[f"light{word}.{precision}.tflite"] for word in (".uncompressed", ""))
        said = f"accuracy {after:.3f} against {before:.3f}"
        assert any(said in note for step in report.steps for note in step.notes)
        assert before is not None
        assert before * 40 == pytest.approx(round(before * 40))  # 40 of the 80 choose


def test_logits_of_two_classes_have_no_threshold(work: Path, tmp_path: Path) -> None:
    brightness(tmp_path, 2, "linear")
    (tmp_path / "light.npz").write_bytes((work / "light.npz").read_bytes())
    with pytest.raises(RequestError) as caught:
        built(tmp_path, tmp_path / "dist", threshold=0.3)
    assert str(caught.value) == (
        "data.threshold: is of one score for two classes, of tags, or of a softmax over two classes, and the model "
        "puts out (2,) by linear; leave it out"
    )
    assert not (tmp_path / "dist").exists()
