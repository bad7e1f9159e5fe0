import json
import zipfile

import keras
import numpy as np
import pytest

from edgecut import load
from edgecut.errors import SourceError
from edgecut.graph.peek import application_arguments, config_of, layer_names
from tests.graph import models


def fails(source, **options):
    with pytest.raises(SourceError) as caught:
        load(source, **options)
    return str(caught.value)


def test_a_keras_file_loads_with_its_weights(tmp_path):
    model = models.chain()
    model.save(tmp_path / "m.keras")
    loaded = load(tmp_path / "m.keras")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))


def test_layer_names_are_read_without_keras(tmp_path):
    models.nested().save(tmp_path / "m.keras")
    names = layer_names(config_of(str(tmp_path / "m.keras")))
    assert {"image", "backbone.block.c1", "backbone.bn", "dense"} <= set(names)


def test_a_missing_file_says_what_would_do(tmp_path):
    path = tmp_path / "none.keras"
    assert fails(path) == f"{path}: no such file; give a .keras or .h5 file, or keras:NAME such as keras:MobileNetV2"


def test_an_empty_file_is_no_model(tmp_path):
    path = tmp_path / "m.keras"
    path.touch()
    assert fails(path) == f"{path}: is empty; give a .keras or .h5 file"


def test_a_foreign_file_is_no_model(tmp_path):
    path = tmp_path / "m.keras"
    path.write_text("hello, I am no model at all")
    assert fails(path) == f"{path}: is no Keras model (neither a .keras archive nor an HDF5 file)"


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_truncated_file_is_said_to_be_damaged(tmp_path, ending, keep):
    path = tmp_path / f"m.{ending}"
    models.chain().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert fails(path).startswith(f"{path}: is truncated or damaged (")


def test_a_flipped_bit_in_the_weights_is_found(tmp_path):
    path = tmp_path / "m.keras"
    models.chain().save(path)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model.weights.h5")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 2000] ^= 1
    path.write_bytes(content)
    assert "damaged" in fails(path)


def test_a_lambda_needs_leave(tmp_path):
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Lambda(lambda t: t * 2, name="twice", output_shape=(4,))(x))
    path = tmp_path / "m.keras"
    model.save(path)
    assert fails(path) == (
        f"{path}: has Lambda layers ('twice'), which run code that comes with the file; pass --unsafe "
        "(source.unsafe = true) if you trust it"
    )
    assert np.array_equal(
        np.asarray(load(path, unsafe=True)(np.ones((1, 4), "float32"))), np.full((1, 4), 2, "float32")
    )


def test_a_keras_2_file_with_groups_in_its_depthwise_layers_loads(tmp_path):
    import h5py

    path = tmp_path / "m.h5"
    model = models.chain()
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
    loaded = load(path)
    assert type(loaded.get_layer("dw_b")) is keras.layers.DepthwiseConv2D
    x = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    assert np.array_equal(np.asarray(model(x)), np.asarray(loaded(x)))


def test_an_application_is_built_with_its_arguments():
    model = load("keras:MobileNetV2?input_shape=32,32,3&alpha=0.35&weights=none&classes=7")
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 7)


def test_application_faults_offer_the_closest():
    assert fails("keras:MobilNetV2").startswith(
        "keras:MobilNetV2: keras.applications has no model 'MobilNetV2' (closest: 'MobileNetV2'"
    )
    assert (
        fails("keras:MobileNetV2?alhpa=1")
        == "keras:MobileNetV2?alhpa=1: MobileNetV2 takes no 'alhpa' (closest: 'alpha')"
    )


def test_weights_that_can_not_be_fetched_say_why(monkeypatch):
    def refuse(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.org/w.h5: None -- no network")

    monkeypatch.setattr(keras.applications, "MobileNetV2", _like(keras.applications.MobileNetV2, refuse))
    assert fails("keras:MobileNetV2?weights=imagenet") == (
        "keras:MobileNetV2?weights=imagenet: the 'imagenet' weights could not be downloaded (URL fetch failure on "
        "https://example.org/w.h5: None -- no network); give a model file, or weights=none for random weights"
    )


def _like(original, function):
    def builder(*args, **kwargs):
        return function(*args, **kwargs)

    builder.__signature__ = __import__("inspect").signature(original)
    return builder


def test_application_arguments_are_typed():
    assert application_arguments("keras:X?a=1&b=0.5&c=1,2,3&d=none&e=true&f=text") == (
        "X", {"a": 1, "b": 0.5, "c": (1, 2, 3), "d": None, "e": True, "f": "text"},
    )  # fmt: skip
