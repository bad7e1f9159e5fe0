"""A model of another float's policy is brought to float32 wherever it is read, with its weights and a proof."""

from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tf_keras

from edgecut import export
from edgecut.errors import SourceError
from edgecut.records.recipe import Source
from edgecut.runtime.files import FileRunner
from edgecut.source.load import read_source
from edgecut.source.policies import in_float32
from edgecut.streams import caught_output

pytestmark = pytest.mark.tensorflow

L = keras.layers
POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")


@keras.saving.register_keras_serializable("test_policies")
class Gated(L.Layer):
    """A layer with another one inside, which takes its dtype."""

    def __init__(self, name=None, dtype=None, **options):
        super().__init__(name=name, dtype=dtype, **options)
        self.gate = L.Dense(6, activation="sigmoid", dtype=self.dtype_policy)

    def build(self, shape):
        self.gate.build(shape)

    def call(self, x):
        return x * self.gate(x)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype_policy.name}


@keras.saving.register_keras_serializable("test_policies")
class Stubborn(L.Layer):
    """A layer that computes in 16 bits whatever it is told."""

    def __init__(self, name=None, **options):
        super().__init__(name=name, dtype="mixed_float16")

    def call(self, x):
        return x * 2

    def get_config(self):
        return {"name": self.name}


def sequences(policy: str) -> keras.Model:
    """A nested model, wrapped layers, attention, and a layer of one's own, under a policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        rows = keras.Input((4, 6), dtype=None if policy.startswith("mixed") else policy, name="rows")
        inner = keras.Sequential([keras.Input((4, 6)), L.TimeDistributed(L.Dense(6, activation="relu"))], name="inner")
        x = L.MultiHeadAttention(2, 3, name="attention")(*[inner(rows)] * 2)
        x = Gated(name="gated")(L.LayerNormalization(name="norm")(x))
        x = L.Bidirectional(L.GRU(3, unroll=True, recurrent_initializer="glorot_uniform"), name="memory")(x)
        return keras.Model(rows, L.Dense(3, activation="softmax", dtype="float32", name="scores")(x), name="sequences")
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_model_of_another_policy_is_read_and_exported_in_float32(policy: str, tmp_path: Path) -> None:
    source = sequences(policy)
    source.save(tmp_path / "m.keras")
    loaded = read_source(Source(model=str(tmp_path / "m.keras")))
    assert {layer.dtype_policy.name for layer in loaded.model._flatten_layers()} == {"float32"}
    assert [layer.name for layer in loaded.model.layers] == [layer.name for layer in source.layers]
    for old, new in zip(source.trainable_variables, loaded.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(old, "float32"), np.asarray(new))
    assert 0 < loaded.proof["max_abs_error"] <= loaded.proof["tolerance"]
    assert loaded.notes == (
        f"computes in {policy}; brought to float32 with the same weights, its outputs differ by up to "
        f"{loaded.proof['max_abs_error']:.2g} on 8 seeded inputs",
    )
    export(source, "tflite", "float32", path=tmp_path / "m.tflite")
    x = np.random.default_rng(0).normal(size=(4, 4, 6)).astype("float32")
    outputs = FileRunner(tmp_path / "m.tflite").predict(x)
    np.testing.assert_allclose(outputs, np.asarray(loaded.model(x)), atol=1e-5)


def test_a_float32_model_is_left_as_it_is() -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    result = in_float32(model)
    assert (result.model, result.policies, result.proof, result.notes) == (model, (), {}, ())


def test_a_layer_that_keeps_its_policy_is_named() -> None:
    image = keras.Input((3,))
    model = keras.Model(image, Stubborn(name="double")(image))
    with pytest.raises(SourceError) as caught:
        in_float32(model, "m.keras")
    assert str(caught.value) == (
        "m.keras: layer 'double' (Stubborn) computes in float16 whatever its configuration says; let its __init__ "
        "pass dtype on"
    )


def sigmoids(library: ModuleType) -> keras.Model:
    """Convolution, normalization and a hard sigmoid, which Keras 2 and Keras 3 compute each in its own way."""
    layers = library.layers
    image = library.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Activation("hard_sigmoid", name="gate")(x))
    return library.Model(image, layers.Dense(3, activation="softmax", dtype="float32", name="scores")(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("name", ["m.h5", "m.keras", "saved"])
def test_a_keras_2_model_of_another_policy_is_brought_to_float32(tmp_path: Path, name: str, policy: str) -> None:
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        source = sigmoids(tf_keras)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    with caught_output():
        source.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    loaded = read_source(Source(model=str(tmp_path / name)))
    assert {layer.dtype_policy.name for layer in loaded.model._flatten_layers()} == {"float32"}
    kernel = np.asarray(source.get_layer("conv").kernel, "float32")
    np.testing.assert_array_equal(kernel, np.asarray(loaded.model.get_layer("conv").kernel))
    assert loaded.notes[-1].startswith(f"computes in {policy}; brought to float32 with the same weights, its outputs ")
    assert 0 < loaded.proof["max_abs_error"] <= loaded.proof["tolerance"]


def test_an_hdf5_file_of_bfloat16_weights_says_how_to_save_it(tmp_path: Path) -> None:
    rows = keras.Input((3,))
    keras.Model(rows, L.Dense(2, dtype="bfloat16")(rows)).save(tmp_path / "m.h5")
    with pytest.raises(SourceError) as caught:
        read_source(Source(model=str(tmp_path / "m.h5")))
    assert str(caught.value) == (
        f"{tmp_path / 'm.h5'}: can't be loaded: its weights are bfloat16, a type that HDF5 hasn't; save it as .keras, "
        "or with the policy mixed_bfloat16"
    )
