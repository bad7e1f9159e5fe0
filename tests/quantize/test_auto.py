"""Precision "auto": an int8 file that keeps the float model's accuracy, in a build."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.export.tflite import convert, write_saved_model
from edgecut.quantize.interior import outputs_of
from edgecut.quantize.swap import head_first, pooled_head
from edgecut.tflite.flatbuffer import parse
from tests.command_line import run

pytestmark = pytest.mark.tensorflow

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"
L = keras.layers


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The report of a small build with precision auto."""
    from edgecut.pipeline.run import build

    folder = tmp_path_factory.mktemp("auto")
    (folder / "r.toml").write_text(
        f'schema = "edgecut.recipe/1"\nname = "clothes"\n[source]\nmodel = "{DEMO}/cifar10_backbone.keras"\n'
        'preprocess = "tf"\n[cut]\nto = "block_2_relu"\n[head]\nclasses = 10\n'
        f'[data]\ntrain = "{DEMO}/fashion_mnist.npz"\nlimit = [200, 100]\n'
        '[export]\nformats = ["tflite", "onnx"]\nprecisions = ["float32", "auto", "int8"]\nquantizer = "ort"\n'
        "[bench]\nruns = 2\nwarmup = 0\n"
        "[budget]\naccuracy_drop = 0.0\n"
    )
    build(folder / "r.toml", out=folder / "out")
    return json.loads((folder / "out" / "report.json").read_text())


def test_the_file_is_all_int8_and_as_large_as_its_trials_say(report: dict) -> None:
    artifact = next(a for a in report["artifacts"] if a["name"] == "clothes.auto.tflite")
    (chosen,) = [trial for trial in report["trials"] if trial["chosen"]]
    assert (artifact["precision"], artifact["inputs"][0]["dtype"]) == ("int8", "int8")
    assert abs(artifact["size_bytes"] - chosen["size_bytes"]) < 0.02 * artifact["size_bytes"]
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(artifact["operators"])


def test_the_trials_begin_with_the_converters_file_and_one_is_chosen(report: dict) -> None:
    trials = report["trials"]
    assert trials[0]["cures"] == []
    assert trials[1]["cures"] == ["head on the quantized body"]
    assert [trial["chosen"] for trial in trials].count(True) == 1
    # Four folds over the training images: the 100 judging images are not among them.
    assert {trial["images"] for trial in trials} == {200}


def test_the_result_is_nearer_to_the_float_model_than_the_converters(report: dict) -> None:
    trials = report["trials"]
    chosen = next(trial for trial in trials if trial["chosen"])
    assert chosen["sqnr"] > trials[0]["sqnr"] + 3
    assert chosen["agreement"] > trials[0]["agreement"]


def test_the_build_explains_its_int8_file(report: dict) -> None:
    (found,) = [x for x in report["explanations"] if x["artifact"] == "clothes.auto.tflite"]
    assert "block_2_relu" in {layer["name"] for layer in found["layers"]}
    # The head was fitted anew on the int8 body, so that its numbers may not be those of the float model's.
    assert all("head" in label for label in found["unmatched"])
    assert found["collapses_at"] is None


def test_the_runtimes_own_quantizer_makes_the_onnx_file_of_precision_int8_alone(report: dict) -> None:
    takes = {a["name"]: a["inputs"][0]["dtype"] for a in report["artifacts"] if a["format"] == "onnx"}
    assert takes == {
        "clothes.float32.onnx": "float32", "clothes.auto.onnx": "int8", "clothes.int8.onnx": "float32",
    }  # fmt: skip
    found = {m["metric"]: m["value"] for m in report["measurements"] if m["artifact"] == "clothes.int8.onnx"}
    assert found["sqnr"] > 10
    assert found["top1_agreement"] > 0.8


def test_a_quantizer_without_a_file_for_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "plan", f"{DEMO}/cifar10_backbone.keras", "--precision", "float32", "--quantizer", "ort")
    assert answer == (
        2, "", "edgecut: error: cifar10_backbone: export.quantizer: ort makes int8 ONNX files; add onnx to "
        "export.formats and int8 to export.precisions\n",
    )  # fmt: skip


def test_a_head_before_the_pooling_computes_the_same(tmp_path: Path) -> None:
    inputs = keras.Input((16, 16, 3), name="image")
    x = L.Conv2D(96, 3, strides=2, padding="same", activation="relu", name="conv")(inputs)
    x = L.Conv2D(96, 3, padding="same", activation="relu", name="conv_2")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(
        inputs, L.Dense(5, activation="softmax", bias_initializer="ones", name="dense")(x), name="pooled"
    )
    write_saved_model(model, tmp_path / "m")
    content = convert(tmp_path / "m", model, "float32")
    mean, head = pooled_head(parse(content, "m")) or (None, None)
    assert (mean.name, head.name) == ("MEAN", "FULLY_CONNECTED")
    after = head_first(content)
    pixels = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(outputs_of(after, pixels)[0], outputs_of(content, pixels)[0], atol=1e-6)
    assert [op.name for op in parse(after, "m").operators] == ["CONV_2D", "CONV_2D", "CONV_2D", "MEAN", "SOFTMAX"]


def test_auto_needs_images(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "plan", f"{DEMO}/cifar10_backbone.keras", "--precision", "auto")
    assert answer == (
        2, "", "edgecut: error: cifar10_backbone: export.precisions: auto needs data to calibrate on; set data.train "
        "(--data)\n",
    )  # fmt: skip
