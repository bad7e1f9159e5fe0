"""What a search recommends is what a build of that recipe makes, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edgecut.bench.runners import tflm
from edgecut.cache.store import Store
from edgecut.handoff.recipe_text import recipe_toml, resolved
from edgecut.pipeline.device_kernels import KernelLoss, KernelTrial
from edgecut.pipeline.run import build
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Precision, make_recipe, read_recipe
from edgecut.search.building import make, priced
from edgecut.search.inputs import Workbench, outputs_of
from edgecut.search.request import Choice, Request, recipe_for

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose first convolution pads, and images with classes, values and tags."""
    folder = tmp_path_factory.mktemp("recommended")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    pixels = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="c1")(pixels)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="c2")(x)
    keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), name="small").save(folder / "m.keras")
    random, y = np.random.default_rng(0), np.arange(60) % 3
    x = (random.integers(0, 60, (60, 12, 12, 3)) + 60 * y[:, None, None, None]).astype("uint8")
    values = x.mean(axis=(1, 2)).astype("float32") / 255
    for name, labels in (("classes", y), ("values", values), ("tags", (values > values.mean(axis=0)).astype("uint8"))):
        np.savez(folder / f"{name}.npz", x_train=x[:40], y_train=labels[:40], x_test=x[40:], y_test=labels[40:])
    return folder


TWELVE: dict[str, tuple[dict[str, Any], tuple[int, int], int, Precision]] = {
    "raw pixels behind a padded first convolution": ({"stem.pixels": "raw"}, (12, 12), 3, "int8"),
    "order": ({"stem.order": "bgr", "stem.pixels": "raw"}, (12, 12), 3, "float32"),
    "fit": ({"stem.resolution": "fit", "stem.kernel": 3}, (8, 8), 3, "float32"),
    "gray": ({}, (12, 12), 1, "int8"),
    "bilinear": ({"stem.resolution": "bilinear"}, (8, 8), 1, "float32"),
    "trained head": ({"head.classes": 3, "head.train": "fit", "head.hidden": [4]}, (12, 12), 3, "int8"),
    "compress": (
        {"head.classes": 3, "compress.prune": {"sparsity": 0.5}, "compress.epochs": 1}, (12, 12), 3, "int8"
    ),
    "auto": ({"export.precisions": ["auto"]}, (12, 12), 3, "int8"),
    "values": ({"data.train": "values.npz", "data.target": "values"}, (12, 12), 3, "int8"),
    "tags": ({"data.train": "tags.npz", "data.target": "tags"}, (12, 12), 1, "int8"),
    "another size": ({}, (8, 10), 3, "int8"),
    "ONNX": ({"export.formats": ["tflite", "onnx"]}, (12, 12), 3, "float32"),
}  # fmt: skip


@pytest.mark.parametrize("name", TWELVE)
def test_a_choice_is_what_its_recipe_builds(
    name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    settings, size, channels, precision = TWELVE[name]
    recipe = make_recipe(
        {"source": {"model": "m.keras", "preprocess": "tf"}, "data": {"train": "classes.npz"}},
        {"bench.runs": 1, "bench.warmup": 0, **settings}, where="test",
    )  # fmt: skip
    request = Request(recipe, (find_profile("host"),), (size,), (channels,), (precision,), tmp_path / "search")
    choice = Choice("c2", size, 1 if channels == 1 else 3, precision)
    bench = Workbench(request, Store(tmp_path / "store", {}))
    made, content = make(bench, choice)
    outputs = outputs_of(bench.images(size, channels))
    (tmp_path / "recipe.toml").write_text(recipe_toml(resolved(recipe_for(request, choice, outputs, "for_host"))))
    report = build(read_recipe(tmp_path / "recipe.toml"), ["host"], tmp_path / "dist", cache=False)
    artifact = next(artifact for artifact in report.artifacts if artifact.format == "tflite")
    assert (tmp_path / "dist" / artifact.path).read_bytes() == content
    assert (artifact.precision, made.precision) == (precision, precision)


def test_what_a_choice_loses_by_a_boards_kernels_is_judged_as_a_build_judges_it(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    recipe = make_recipe(
        {"source": {"model": "m.keras", "preprocess": "tf"}, "data": {"train": "classes.npz"}},
        {"budget.accuracy_drop": 0.5}, where="test",
    )  # fmt: skip
    boards = (find_profile("nucleo-l4r5zi"), find_profile("esp32-s3"))
    request = Request(recipe, boards, ((12, 12),), (3,), ("int8",), tmp_path)
    choice = Choice("c2", (12, 12), 3, "int8")
    made, content = make(Workbench(request, Store(tmp_path / "store", {})), choice)
    (tmp_path / made.file).write_bytes(content)
    assert made.kernels is not None
    if tflm.is_here():
        assert (made.kernels.reason, made.kernels.of_images, made.kernels.tried_images) == ("", made.judging, 10)

    def states(trial: KernelTrial) -> dict[str, list[tuple[str | None, str, str]]]:
        point, _ = priced(request, made.model_copy(update={"kernels": trial}), tmp_path / made.file, choice)
        return {
            device.profile: [(c.profile, c.state, c.reason) for c in device.checks if c.metric == "accuracy_drop"]
            for device in point.devices
        }

    same = KernelLoss(drop=made.drop, of_all=(made.drop, made.drop), of_judging=(made.drop - 0.6, made.drop + 0.6))
    alike = KernelTrial(images=10, of_images=10, tried_images=10, kernel_agreement=1.0, loss=same)
    few = f"by TFLM's reference kernels on 10 of 10 images it is {same.of_judging[0]:.3f} to {same.of_judging[1]:.3f}"
    assert states(alike) == {
        "nucleo-l4r5zi": [(None, "meets", ""), ("nucleo-l4r5zi", "meets", "")],
        "esp32-s3": [(None, "meets", ""), ("esp32-s3", "unknown", f"{few}, with 95 %")],
    }
    untried = states(KernelTrial(reason="it isn't here"))
    assert [[state for _, state, _ in checks] for checks in untried.values()] == [["meets", "unknown"]] * 2
