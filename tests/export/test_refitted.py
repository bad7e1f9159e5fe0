"""An int8 file whose head got other numbers, beside one that was traced and calibrated with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.export.refitted import head_input, takes_head, with_head
from edgecut.export.tflite import convert, convert_with_ranges, write_saved_model
from edgecut.head.attach import attach_head
from edgecut.runtime.files import FileRunner
from edgecut.tflite.cut import cut_tensors
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.patch import constants

pytestmark = pytest.mark.tensorflow

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 3)).astype("float32")


def headed(activation: str, seed: int) -> keras.Model:
    random, body = np.random.default_rng(seed), _body()
    kernel = random.normal(size=(body.output_shape[-1], 5)).astype("float32")
    return attach_head(body, 5, "avg", (), activation, kernel, random.normal(size=5).astype("float32"))


def _body() -> keras.Model:
    entry = keras.Input((16, 16, 3))
    layer = keras.layers.Conv2D(6, 3, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=0))
    return keras.Model(entry, layer(entry))


def weights(model: keras.Model) -> Sequence[np.ndarray]:
    return model.get_weights()[-2:]


@pytest.mark.parametrize("activation", ["softmax", "logits"])
def test_a_file_with_another_head_is_the_one_that_is_converted_anew(activation: str, tmp_path: Path) -> None:
    first, second = headed(activation, 1), headed(activation, 2)
    write_saved_model(first, tmp_path / "first", loops=False)
    write_saved_model(second, tmp_path / "second", loops=False)
    ranged = convert_with_ranges(tmp_path / "first", first, [IMAGES])
    assert ranged.content == convert(tmp_path / "first", first, "int8", [IMAGES])
    assert takes_head(ranged.floats, *weights(first))
    assert not takes_head(ranged.floats, *weights(second))

    taken = head_input(ranged.floats)
    assert taken is not None
    path = tmp_path / "body.tflite"
    path.write_bytes(cut_tensors(ranged.floats, [taken]))
    own = ranged.quantized(with_head(ranged.floats, *weights(second), FileRunner(path).predict(IMAGES)))

    anew = convert(tmp_path / "second", second, "int8", [IMAGES])
    ours, theirs = parse(own, "own"), parse(anew, "anew")
    assert [op.name for op in ours.operators] == [op.name for op in theirs.operators]
    for a, b in zip(ours.tensors, theirs.tensors, strict=True):
        assert a.zero_points == b.zero_points
        assert a.scales == pytest.approx(b.scales, rel=1e-6)  # the converter's kernels round the last bits otherwise
    expected = constants(anew, theirs)
    assert all(np.array_equal(x, expected[i]) for i, x in constants(own, ours).items())


def test_a_file_that_ends_in_no_dense_layer_has_no_head(tmp_path: Path) -> None:
    model = _body()
    write_saved_model(model, tmp_path / "body")
    content = convert(tmp_path / "body", model, "float32")
    assert head_input(content) is None
    with pytest.raises(ValueError, match=r"^the file doesn't end in one Dense layer with a bias$"):
        with_head(content, np.ones((6, 5), np.float32), np.ones(5, np.float32), np.ones((1, 6), np.float32))
