"""Training doesn't depend on whether the scale of the pixels is folded into the first kernel."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edgecut.compress.run import compress
from edgecut.graph.first_kernels import Unit, first_units, folded, unfolded
from edgecut.head.train import TrainingPlan, finetune
from edgecut.images.device import model_input
from edgecut.images.preprocess import affine
from edgecut.records.recipe import CustomPreprocess, Preprocess, Training
from edgecut.stem.edit import stem
from tests.compress.test_compress import pictures

pytestmark = pytest.mark.tensorflow

L = keras.layers
IMAGES, LABELS = pictures(240)


@pytest.fixture(scope="module")
def source() -> keras.Model:
    """A network that tells the pictures apart, trained on values from -1 to 1."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(8, 3, name="conv")(x)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="body")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, L.Dense(4, activation="softmax", name="scores")(x), name="source")
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(model_input(IMAGES, "tf", "normalized"), LABELS, epochs=12, verbose=0)
    return model


def right(model: keras.Model, values: np.ndarray) -> float:
    return float(np.mean(np.asarray(model(values)).argmax(axis=1) == LABELS))


def trained_on(source: keras.Model, preprocess: Preprocess) -> keras.Model:
    """The source as it would be if it had been trained on values of that preprocessing."""
    facts = affine(preprocess)
    order = np.eye(3)[::-1] if facts.order == "bgr" else np.eye(3)
    back = np.diag(1 / facts.scale)
    return stem(source, channel_map=(order @ back / 127.5, -order @ back @ facts.offset / 127.5 - 1)).model


CUSTOM = CustomPreprocess(scale=(0.02, 0.03, 0.5), offset=(-2.0, 1.0, -60.0), order="bgr")


@pytest.mark.parametrize(
    ("preprocess", "pixels"),
    [("tf", "raw"), ("torch", "raw"), ("caffe", "normalized"), ("caffe", "raw"), ("raw", "raw"), (CUSTOM, "raw")],
)
def test_pruning_keeps_what_a_model_knows_whatever_its_pixels(source, preprocess, pixels) -> None:
    model = trained_on(source, preprocess)
    if pixels == "raw":
        model = stem(model, preprocess=preprocess, pixels="raw").model
    values = model_input(IMAGES, preprocess, pixels)
    assert right(model, values) >= 0.98
    result = compress(
        model, IMAGES, LABELS, {"prune": {"sparsity": 0.3}, "epochs": 2, "learning_rate": 0.001},
        to_input=lambda x: model_input(x, preprocess, pixels),
    )  # fmt: skip
    assert right(result.model, values) >= 0.96
    assert [layer.name for layer in result.model.layers] == [layer.name for layer in model.layers]


def test_the_ranges_of_quantization_aware_training_outlive_the_folding(source) -> None:
    model = stem(source, preprocess="tf", pixels="raw").model
    values = IMAGES.astype("float32")
    result = compress(model, IMAGES, LABELS, {"qat": True, "epochs": 2, "learning_rate": 0.001})
    foretold = np.asarray(result.aware(values, training=False))
    assert np.mean(foretold.argmax(axis=1) == LABELS) >= 0.96
    assert np.abs(foretold - np.asarray(result.model(values))).max() < 0.15
    assert not any("_unit" in sentence for stage in result.stages for sentence in stage.left_out)


def test_fine_tuning_from_the_first_layer_learns_the_same_from_raw_pixels(source) -> None:
    scores = L.Dense(4, name="logits")(source.get_layer("pool").output)
    source = keras.Model(source.input, scores)
    settings = Training(epochs=4, learning_rate=1e-3, patience=4)
    losses = []
    for start, pixels in ((source, "normalized"), (stem(source, preprocess="tf", pixels="raw").model, "raw")):
        result, trained = finetune(
            lambda rows, start=start: start, IMAGES, LABELS, lambda x, pixels=pixels: model_input(x, "tf", pixels),
            TrainingPlan("classes", settings), unfreeze="conv",
        )  # fmt: skip
        losses.append(trained.loss)
        assert [layer.name for layer in result.layers] == [layer.name for layer in start.layers]
    assert losses[1] == pytest.approx(losses[0], rel=0.25)


def test_what_a_stem_holds_is_neither_pruned_nor_trained(source) -> None:
    model = stem(source, channels=4, preprocess="tf", pixels="raw", size=(16, 16), resolution="bilinear").model
    names = [layer.name for layer in model.layers]
    assert "stem_adapter" in names or "stem_ones" in names
    constants = next(name for name in names if name in {"stem_adapter", "stem_ones"})
    before = model.get_layer(constants).get_weights()
    wide = np.repeat(np.repeat(np.concatenate([IMAGES, IMAGES[..., :1] * 0 + 255], axis=-1), 2, axis=1), 2, axis=2)
    result = compress(model, wide, LABELS, {"prune": {"sparsity": 0.3}, "epochs": 1})
    after = result.model.get_layer(constants).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert any(
        constants in sentence and "holds a stem's constants" in sentence for sentence in result.stages[0].left_out
    )


def conv(padding: str, *, use_bias: bool = True) -> keras.Model:
    image = keras.Input((6, 6, 3), name="image")
    x = L.Conv2D(4, 3, padding=padding, use_bias=use_bias, bias_initializer="glorot_uniform" if use_bias else None,
                 name="conv")(image)  # fmt: skip
    return keras.Model(image, x)


VALUES = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3)).astype("float32")
VALUES[0, 0, 0, :2] = 0, 255


@pytest.mark.parametrize(
    ("padding", "use_bias", "scale", "centre"),
    [("valid", True, 128.0, 127.5), ("valid", False, 256.0, 0.0), ("same", True, 256.0, 0.0)],
)
def test_a_unit_changes_nothing_that_is_computed(padding, use_bias, scale, centre) -> None:
    model = conv(padding, use_bias=use_bias)
    units = first_units(model, VALUES)
    assert units == (Unit(("conv",), scale, centre),)
    there = unfolded(model, units)
    back = folded(there, units, model)
    for other in (there, back):
        np.testing.assert_allclose(np.asarray(other(VALUES)), np.asarray(model(VALUES)), rtol=1e-4, atol=1e-3)
    assert all(np.array_equal(a, b) for a, b in zip(back.get_weights(), model.get_weights(), strict=True))
    there.get_layer("conv").kernel.assign(there.get_layer("conv").kernel * 2)  # as a training may
    trained = folded(there, units, model)
    np.testing.assert_allclose(np.asarray(trained(VALUES)), np.asarray(there(VALUES)), rtol=1e-4, atol=1e-3)
    assert np.array_equal(trained.get_layer("conv").kernel, model.get_layer("conv").kernel * 2)
    assert there.get_layer("conv_unit").scale == 1 / scale


def test_values_about_one_and_models_that_scale_them_are_left_alone() -> None:
    assert first_units(conv("same"), VALUES / 127.5 - 1) == ()
    x = image = keras.Input((6, 6, 3))
    inside = keras.Model(image, L.Conv2D(4, 3)(L.Rescaling(1 / 127.5, -1)(x)))
    assert first_units(inside, VALUES) == ()
