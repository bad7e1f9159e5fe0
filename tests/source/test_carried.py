"""A Keras 2 file that names code, modules or files of others: told, and nothing of it is run, imported or read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras

from edgecut.errors import SourceError
from edgecut.source.load import load

pytestmark = pytest.mark.tensorflow

_TRUST = "pass --unsafe (unsafe=True) if you trust it"
_FOREIGN = f"which is none of Keras's own layers; register it, or {_TRUST}"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one Keras 2 model as .keras, as .h5 and as SavedModel."""
    folder = tmp_path_factory.mktemp("sound")
    x = tf_keras.Input((4,), name="x")
    model = tf_keras.Model(x, tf_keras.layers.Activation("relu", name="act")(tf_keras.layers.Dense(3, name="fc")(x)))
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    return folder


def changed(sound: Path, path: Path, edit: Callable[[list[dict[str, Any]]], None]) -> Path:
    """The model with other layers in its configuration."""
    source = sound / f"m{path.suffix}"
    if path.suffix == ".h5":
        path.write_bytes(source.read_bytes())
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config["config"]["layers"])
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                edit(config["config"]["layers"])
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(SourceError) as error:
        load(path)
    start = f"{path}: is a Keras 2 model that can't be read as Keras 3: "
    assert str(error.value).startswith(start)
    return str(error.value).removeprefix(start)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            {"class_name": "TFOpLambda", "config": {"name": "act", "function": "io.write_file"}},
            "layer 'act': the function tf.io.write_file has no counterpart in Keras 3",
        ),
        (
            {"class_name": "SlicingOpLambda", "config": {"name": "act", "function": "io.write_file"}},
            "layer 'act': the function tf.io.write_file has no counterpart in Keras 3",
        ),
        (
            {"class_name": "TensorFlowOpLayer", "config": {"name": "act", "node_def": ""}},
            "layer 'act': the class TensorFlowOpLayer has no counterpart in Keras 3",
        ),
        (
            {"class_name": "function", "module": "os", "registered_name": "function", "config": "system"},
            f"layer 'act' wants 'system' of the module 'os', {_FOREIGN}",
        ),
        (
            {"class_name": "get_file", "module": "keras.utils", "registered_name": None, "config": {}},
            f"layer 'act' wants 'get_file' of the module 'keras.utils', {_FOREIGN}",
        ),
        (
            {"class_name": "Mine", "module": "antigravity", "registered_name": "p>Mine", "config": {"name": "act"}},
            f"layer 'act' wants 'Mine' of the module 'antigravity', {_FOREIGN}",
        ),
        (
            {"class_name": "Dense", "module": "keras.utils", "registered_name": "get_file", "config": {"name": "act"}},
            f"layer 'act' wants 'Dense' of the module 'keras.utils', {_FOREIGN}",
        ),
        (
            {"class_name": "ResidualWrapper", "config": {"name": "act", "residual_fn_type": "lambda"}},
            f"layer 'act' runs code that comes with the file; {_TRUST}",
        ),
        (
            {"class_name": "StringLookup", "module": "keras.layers", "registered_name": None,
             "config": {"name": "act", "vocabulary": "/etc/passwd"}},
            f"layer 'act' reads the file '/etc/passwd'; {_TRUST}",
        ),
    ],
    ids=["tf_function", "slice", "node", "function", "keras_function", "import", "rename", "residual", "file"],
)  # fmt: skip
def test_what_a_layer_asks_for_is_told_before_tf_keras_does_it(
    ending: str, layer: dict[str, Any], sentence: str, sound: Path, tmp_path: Path
) -> None:
    def edit(layers: list[dict[str, Any]]) -> None:
        layers[-1] = {"name": "act", "inbound_nodes": layers[-1]["inbound_nodes"], **layer}

    assert refused(changed(sound, tmp_path / f"m.{ending}", edit)) == sentence


def test_a_function_on_constants_is_not_called(sound: Path, tmp_path: Path) -> None:
    """tf_keras would call it while it reads the file, and so write a file of the model's choice."""
    target = tmp_path / "written"
    layer = {
        "class_name": "TFOpLambda", "module": "keras.layers", "registered_name": None, "name": "w",
        "config": {"name": "w", "trainable": True, "dtype": "float32", "function": "io.write_file"},
        "inbound_nodes": [["_CONSTANT_VALUE", -1, str(target), {"contents": "x"}]],
    }  # fmt: skip
    for ending in ("keras", "h5"):
        path = changed(sound, tmp_path / f"m.{ending}", lambda layers: layers.append(layer))
        assert refused(path) == "layer 'w': the function tf.io.write_file has no counterpart in Keras 3"
    assert not target.exists()


def test_every_object_of_a_saved_model_is_looked_at(tmp_path: Path) -> None:
    """tf_keras makes each by its own configuration, whatever the model's says."""
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    x = tf_keras.Input((4,), name="x")
    tf_keras.Model(x, tf_keras.layers.Dense(3, name="fc")(x)).save(tmp_path / "folder")
    path = tmp_path / "folder" / "keras_metadata.pb"
    metadata = SavedMetadata.FromString(path.read_bytes())
    (node,) = [node for node in metadata.nodes if json.loads(node.metadata).get("name") == "fc"]
    node.metadata = json.dumps({**json.loads(node.metadata), "class_name": "TFOpLambda",
                                "config": {"name": "fc", "function": "io.read_file"}})  # fmt: skip
    path.write_bytes(metadata.SerializeToString())
    sentence = "layer 'fc': the function tf.io.read_file has no counterpart in Keras 3"
    assert refused(tmp_path / "folder") == sentence


@pytest.mark.parametrize("kind", ["link", "external", "virtual"])
def test_weights_in_another_file_are_not_fetched(kind: str, sound: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["kernel"] = np.ones((4, 3), "float32")
    path = tmp_path / "m.h5"
    path.write_bytes((sound / "m.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        group, name = file["model_weights/fc/fc"], "kernel:0"
        del group[name]
        if kind == "link":
            group[name] = h5py.ExternalLink(str(other), "/kernel")
        elif kind == "external":
            group.create_dataset(name, (4, 3), "float32", external=[(str(other), 0, 48)])
        else:
            layout = h5py.VirtualLayout((4, 3), "float32")
            layout[...] = h5py.VirtualSource(str(other), "kernel", (4, 3))
            group.create_virtual_dataset(name, layout)
    how = "are a link to" if kind == "link" else "lie in"
    sentence = (
        f"its weights 'model_weights/fc/fc/kernel:0' {how} the file '{other}'; save the model again where they are"
    )
    with pytest.raises(SourceError) as error:
        load(path)
    assert str(error.value) == f"{path}: {sentence}"


def test_a_registered_class_and_every_own_layer_load(tmp_path: Path) -> None:
    @tf_keras.saving.register_keras_serializable("mine")
    def twice(x: Any) -> Any:
        return 2 * x

    x = tf_keras.Input((4, 4, 3), name="x")
    y = tf_keras.layers.Conv2D(2, 3, kernel_regularizer="l2", bias_constraint="non_neg", name="conv")(x)
    y = tf_keras.layers.Bidirectional(tf_keras.layers.LSTM(2), name="both")(tf_keras.layers.Reshape((4, 2))(y))
    model = tf_keras.Model(x, y)
    model.save(tmp_path / "m.keras")
    inputs = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(load(tmp_path / "m.keras")(inputs)), np.asarray(model(inputs)), atol=1e-6)
    named = tf_keras.Sequential([tf_keras.layers.Dense(3, activation=twice, input_shape=(4,), name="fc")])
    named.save(tmp_path / "named.keras")
    with pytest.raises(SourceError) as error:
        load(tmp_path / "named.keras")
    assert "which is none of Keras's own layers" not in str(error.value)
