"""The main job on a real pretrained model and real images."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import edgecut
from edgecut.bench.runners import tflm
from edgecut.handoff.verify import verify
from edgecut.images.device import model_input, to_device_batch
from edgecut.records.recipe import CustomPreprocess, make_recipe
from edgecut.runtime.files import FileRunner

pytestmark = [pytest.mark.tensorflow, pytest.mark.real]

RUN_TFLM = """
import sys, numpy as np
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_bytes(open(sys.argv[1], "rb").read(), arena_size=int(sys.argv[2]))
interpreter.set_input(np.zeros(interpreter.get_input_details(0)["shape"], "int8"), 0)
interpreter.invoke()
"""


@pytest.fixture(scope="module")
def cifar(real, tmp_path_factory):
    path = tmp_path_factory.mktemp("cifar") / "cifar.npz"
    with np.load(real / "cifar10.npz") as arrays:
        np.savez(
            path, x_train=arrays["x_train"][:2000], y_train=arrays["y_train"][:2000], x_test=arrays["x_test"][:1000],
            y_test=arrays["y_test"][:1000],
        )  # fmt: skip
    return path


def built(real, cifar, out, to, **overrides):
    tables = {
        "name": "cifar", "source": {"model": str(real / "mobilenet_v1_imagenet.keras"), "preprocess": "tf"},
        "cut": {"to": to}, "stem": {"size": [96, 96]}, "head": {"classes": 10}, "data": {"train": str(cifar)},
        "export": {"formats": ["tflite", "onnx"]}, "bench": {"runs": 5, "warmup": 1},
    }  # fmt: skip
    report = edgecut.build(make_recipe(tables, overrides, where="test"), ["nucleo-l4r5zi"], out)
    accuracy = {m.artifact: m.value for m in report.measurements if m.metric == "accuracy"}
    return report, accuracy


@pytest.fixture(scope="module")
def deep(real, cifar, tmp_path_factory):
    out = tmp_path_factory.mktemp("deep") / "dist"
    return out, *built(real, cifar, out, "conv_pw_11_relu")


def test_float_and_int8_keep_the_accuracy_of_a_deep_cut(deep):
    _, _, accuracy = deep
    assert accuracy["cifar.float32.tflite"] >= 0.765
    assert accuracy["cifar.int8.tflite"] >= 0.760


def test_the_bundle_of_a_real_model_verifies(deep):
    assert verify(deep[0]).faults == ()


def test_int8_onnx_equals_int8_tflite_to_one_step(deep, cifar):
    one, other = (FileRunner(deep[0] / "models" / f"cifar.int8.{form}") for form in ("tflite", "onnx"))
    with np.load(cifar) as arrays:
        x = model_input(to_device_batch(arrays["x_test"][:200], 96, 96, 3), "tf", "normalized")
    assert np.abs(one.predict(x) - other.predict(x)).max() / one.outputs[0].scale <= 1.001


@pytest.mark.skipif(not tflm.is_here(), reason="tflite-micro has wheels for Linux x86-64 only")
def test_the_arena_is_the_smallest_that_runs(deep):
    out, report, _ = deep
    rows = [m for m in report.measurements if m.metric == "arena" and m.kind == "measured"]
    assert len(rows) == 1
    path, arena = str(out / "models" / "cifar.int8.tflite"), int(rows[0].value)
    runs = [
        subprocess.run([sys.executable, "-c", RUN_TFLM, path, str(size)], capture_output=True).returncode == 0
        for size in (arena, arena - 64)
    ]
    assert runs == [True, False]


def test_an_early_cut_that_int8_would_ruin_keeps_its_accuracy(real, cifar, tmp_path):
    _, accuracy = built(
        real,
        cifar,
        tmp_path / "dist",
        "conv_pw_5_relu",
        **{"export.formats": ["tflite"], "export.precisions": ["int8"]},
    )
    assert accuracy["cifar.int8.tflite"] >= 0.59


@pytest.mark.parametrize(
    ("name", "size", "preprocess"),
    [
        ("mobilenet_v1_imagenet.keras", (96, 96), "tf"),
        ("cifar10_resnet.h5", None, CustomPreprocess(scale=1 / 128, offset=-1.0)),
        ("visual_wake_words.h5", None, "raw"),
    ],
)
@pytest.mark.parametrize("pixels", ["normalized", "raw"])
def test_gray_equals_replicated_colour(real, cifar, name, size, preprocess, pixels):
    model = edgecut.load(real / name)
    colour = edgecut.stem(model, size=size).model
    gray = edgecut.stem(model, channels=1, size=size, preprocess=preprocess, pixels=pixels).model
    height, width = colour.input_shape[1:3]
    with np.load(cifar) as arrays:
        bytes_ = to_device_batch(arrays["x_test"][:8], height, width, 1)
    expected = np.asarray(colour(model_input(np.repeat(bytes_, 3, axis=-1), preprocess, "normalized")))
    got = np.asarray(gray(model_input(bytes_, preprocess, pixels)))
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_a_cut_of_a_pretrained_model_gives_its_own_features(real):
    model = edgecut.load(real / "mobilenet_v1_imagenet.keras")
    from edgecut.graph.edits import edit

    for to in ("conv1_relu", "conv_pw_5_relu", "conv_pw_13_relu"):
        assert edit(model, to=to).proof == {"inputs": 8, "max_abs_error": 0.0, "exact": True}
