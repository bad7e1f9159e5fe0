"""Seeded inputs go through a model in parts, so that a proof's memory doesn't depend on the model's picture."""

import keras
import numpy as np
import pytest

from edgecut import calls
from edgecut.errors import StepError
from edgecut.graph import proof
from edgecut.graph.callgraph import flat
from edgecut.graph.edits import edit
from edgecut.graph.features import gradient_x_activation, poolable
from edgecut.graph.saving import save
from tests.graph import models

pytestmark = pytest.mark.tensorflow

L = keras.layers


def sizes(*inputs: keras.KerasTensor, values: int = 1, count: int = 8) -> list[int]:
    """How many images a part of a model has whose values take so many MiB an image."""
    maps = [L.ZeroPadding2D(((0, values * 256 - 16), (0, 1024 - 16)))(x) for x in inputs]
    model = keras.Model(list(inputs), maps)
    return [len(part[0]) for part in proof.parts(calls(model), [np.zeros((count, 1))] * len(inputs))]


def picture(batch: int | None = None, size: int | None = 16) -> keras.KerasTensor:
    return keras.Input((size, size, 1), batch_size=batch)


@pytest.mark.parametrize(
    ("values", "expected"), [(31, [8]), (33, [4, 4]), (127, [2] * 4), (129, [1] * 8), (300, [1] * 8)]
)
def test_the_larger_a_models_values_are_the_smaller_are_its_parts(values: int, expected: list[int]) -> None:
    assert sizes(picture(), values=values) == expected


def test_a_part_is_never_larger_than_a_proof() -> None:
    assert sizes(picture(), count=20) == [8, 8, 4]


def test_a_fixed_batch_is_a_part_and_what_has_none_of_one_size_is_whole() -> None:
    assert sizes(picture(batch=4), values=300) == [4, 4]
    assert sizes(picture(batch=8), picture(batch=4), values=300) == [8]


def test_open_sizes_are_proven_at_once() -> None:
    x = keras.Input((None, None, 3))
    model = keras.Model(x, L.Conv2D(4096, 3)(x))
    assert [len(part[0]) for part in proof.parts(calls(model), [np.zeros((8, 1))])] == [8]


def test_a_proof_image_by_image_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    model = models.residual()
    whole = edit(model, to="pool")
    monkeypatch.setattr(proof, "VALUES_BYTES", 1)
    assert [len(part[0]) for part in proof.parts(calls(model), [np.zeros((8, 1))])] == [1] * 8
    assert edit(model, to="pool").proof == whole.proof
    assert whole.proof["inputs"] == 8
    assert save(whole.model, tmp_path / "cut.keras").exact


def test_a_fault_that_one_image_alone_shows_is_seen_image_by_image(monkeypatch: pytest.MonkeyPatch) -> None:
    x = keras.Input((2, 2, 1), name="picture")
    model = keras.Model(x, L.Rescaling(1.0, name="same")(x))
    graph = calls(model)
    (images,) = proof.seeded_inputs(flat(graph.inputs))
    largest = float(np.sort(images.max(axis=(1, 2, 3)))[-2:].mean())
    y = keras.Input((2, 2, 1), name="picture")
    clipped = keras.Model(y, keras.ops.minimum(y, largest))
    monkeypatch.setattr(proof, "VALUES_BYTES", 1)
    with pytest.raises(StepError, match=r"^the result differs from its source by \S+ on 8 seeded inputs, and 1e-05 is"):
        proof.prove_edit(graph, clipped, [graph.find("same").outputs[0]])


def test_what_an_output_hangs_on_is_the_mean_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.residual()
    graph = calls(model)
    images = np.random.default_rng(0).uniform(-1, 1, (5, *model.input_shape[1:])).astype("float32")
    whole = gradient_x_activation(graph, poolable(graph), images)
    monkeypatch.setattr(proof, "VALUES_BYTES", 1)
    np.testing.assert_allclose(gradient_x_activation(graph, poolable(graph), images), whole, rtol=1e-5)
    assert whole.max() > 0
