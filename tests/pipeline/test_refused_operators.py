"""A truncated model whose last operator a device lacks: refused with nothing written; the remedied one runs."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import edgecut
from edgecut.bench.runners import tflm
from edgecut.errors import RequestError
from edgecut.pipeline.operators import refuse_file, refuse_model
from edgecut.records.profile_files import find_profile

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def body() -> keras.Model:
    keras.utils.set_random_seed(0)
    whole = keras.applications.MobileNetV2(input_shape=(48, 48, 3), alpha=0.35, weights=None, include_top=False)
    return edgecut.cut(whole, to="block_2_add")


def test_a_truncated_mobilenet_that_ends_in_sum_is_refused_with_nothing_written(
    body: keras.Model, tmp_path: Path
) -> None:
    model = keras.Model(body.inputs, keras.ops.sum(body.outputs[0], axis=(1, 2)))
    source = tmp_path / "net.keras"
    model.save(source)
    layer = model.layers[-1].name if model.layers[-1].name.startswith("sum") else model.operations[-1].name
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'schema = "edgecut.recipe/1"\nname = "net"\n[source]\nmodel = "{source}"\n[export]\nprecisions = ["float32"]\n'
    )
    device = find_profile("nucleo-l4r5zi")
    runtime = device.runtime.model_copy(update={"precisions": ("float32", "int8")})
    device = device.model_copy(update={"runtime": runtime})
    with pytest.raises(RequestError) as caught:
        edgecut.build(recipe, [device], tmp_path / "dist")
    assert f"profile nucleo-l4r5zi: layer {layer!r} becomes SUM, which is in TFLM's sources" in str(caught.value)
    assert str(caught.value).endswith("use a mean instead (GlobalAveragePooling2D), its size multiplied into the next "
                                      "layer's weights")  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.keras", "recipe.toml"]
    with pytest.raises(RequestError):
        refuse_model(model, [("tflite", "int8")], [find_profile("nucleo-l4r5zi")])


@pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
def test_the_remedied_model_passes_and_runs_in_the_interpreter(body: keras.Model, tmp_path: Path) -> None:
    model = keras.Model(body.inputs, keras.layers.GlobalAveragePooling2D(name="pool")(body.outputs[0]))
    profile = find_profile("nucleo-l4r5zi")
    refuse_model(model, [("tflite", "int8")], [profile])
    images = np.random.default_rng(0).uniform(-1, 1, (8, 48, 48, 3)).astype("float32")
    path = tmp_path / "net.tflite"
    edgecut.export(model, precision="int8", calibration=images, path=path)
    refuse_file(path, "int8", [profile])
    arena = tflm.smallest_arena_bytes(path)
    x = np.zeros((1, 48, 48, 3), "int8")
    assert tflm.run_tflm(path, x, arena.smallest_bytes).shape[1:] == (body.outputs[0].shape[-1],)
