import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from edgecut import load
from edgecut.errors import SourceError
from edgecut.graph.saved import application_arguments, config_of, keras_version, layer_names
from edgecut.graph.saved_operators import OPERATORS, SAVER
from edgecut.records.recipe import Source
from edgecut.source.exported import load_exported
from edgecut.source.load import read_source
from tests.graph import models
from tests.keras2 import test_bridge

pytestmark = pytest.mark.tensorflow


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
    assert (
        fails(path)
        == f"{path}: no such file; give a .keras, .h5 or .onnx file, or keras:NAME such as keras:MobileNetV2"
    )


def test_an_empty_file_is_no_model(tmp_path):
    path = tmp_path / "m.keras"
    path.touch()
    assert fails(path) == f"{path}: is empty; give a .keras, .h5 or .onnx file"


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
        "(unsafe=True) if you trust it"
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


def test_a_keras_2_archive_loads_with_its_weights_and_its_proof(tmp_path):
    old = test_bridge.functional()
    old.save(tmp_path / "m.keras")
    loaded = read_source(Source(model=str(tmp_path / "m.keras")))
    assert keras_version(str(tmp_path / "m.keras")).startswith("2.")
    assert [w.tobytes() for w in old.get_weights()] == [w.tobytes() for w in loaded.model.get_weights()]
    assert (loaded.proof["inputs"], loaded.proof["exact"]) == (2, loaded.proof["max_abs_error"] == 0)
    assert loaded.notes[0].startswith(
        "a Keras 2 model, rebuilt in Keras 3 with the same weights; on 2 inputs its outputs "
    )


def test_a_keras_2_saved_model_loads_with_its_layers(tmp_path):
    old = test_bridge.nested()
    old.save(tmp_path / "folder")
    loaded = load(tmp_path / "folder")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 6, 6, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(old(x)), rtol=1e-5)
    names = layer_names(config_of(str(tmp_path / "folder")))
    assert {"image", "backbone.block.c1", "backbone.bn", "pool"} <= set(names)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_keras_2_h5_file_with_another_hard_sigmoid_is_not_read_as_keras_3s(tmp_path):
    old = test_bridge.hard()
    old.save(tmp_path / "m.h5")
    x = np.linspace(-4, 4, 12).reshape(2, 6).astype("float32")
    np.testing.assert_allclose(np.asarray(load(tmp_path / "m.h5")(x)), np.asarray(old(x)), atol=1e-6)
    wrong = np.asarray(keras.models.load_model(tmp_path / "m.h5", compile=False)([x]))
    assert np.abs(wrong - np.asarray(old(x))).max() > 0.001


def test_a_keras_2_h5_file_with_functions_of_tensorflow_loads(tmp_path):
    old = test_bridge.operators()
    old.save(tmp_path / "m.h5")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 4)).astype("float32")
    np.testing.assert_allclose(np.asarray(load(tmp_path / "m.h5")(x)), np.asarray(old(x)), rtol=1e-5)


@pytest.mark.filterwarnings("error:The structure of", "ignore:You are saving your model as an HDF5 file")
def test_the_one_input_of_a_keras_2_file_is_taken_as_it_is(tmp_path):
    import tf_keras

    x = tf_keras.Input((4,), name="x")
    old = tf_keras.Model(x, tf_keras.layers.Dense(3, name="dense")(x))
    old.save(tmp_path / "m.h5")
    given = np.ones((2, 4), "float32")
    np.testing.assert_allclose(np.asarray(load(tmp_path / "m.h5")(given)), np.asarray(old(given)), rtol=1e-6)


def test_a_keras_2_file_with_a_custom_class_says_so(tmp_path):
    import tf_keras

    class Foreign(tf_keras.layers.Layer):
        pass

    x = tf_keras.Input((4,))
    path = tmp_path / "m.h5"
    tf_keras.Model(x, Foreign(name="foreign")(x)).save(path)
    assert fails(path) == (
        f"{path}: can't be loaded: class 'Foreign' isn't known; register it with "
        "keras.saving.register_keras_serializable and import it first"
    )


def rewritten(path, member, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(content) if name == member else content)
    return path


def test_an_unknown_function_is_named(tmp_path):
    def swish_of_mine(x):
        return x * keras.ops.sigmoid(x)

    path = tmp_path / "m.keras"
    x = keras.Input((4,), name="x")
    keras.Model(x, keras.layers.Dense(3, activation=swish_of_mine, name="fc")(x)).save(path)
    assert fails(path) == (
        f"{path}: can't be loaded: function 'swish_of_mine' isn't known; register it with "
        "keras.saving.register_keras_serializable and import it first"
    )


def test_a_vocabulary_in_another_file_is_not_read(tmp_path):
    path = tmp_path / "m.keras"
    x = keras.Input((1,), dtype="string", name="x")
    keras.Model(x, keras.layers.StringLookup(vocabulary=["a"], name="index")(x)).save(path)
    rewritten(path, "config.json", lambda text: text.replace(b'["a"]', b'"/etc/passwd"'))
    assert fails(path) == (
        f"{path}: can't be loaded: requested the loading of a vocabulary file outside of the model archive; pass "
        "--unsafe (unsafe=True) if you trust it"
    )


def test_weights_in_another_file_are_named(tmp_path):
    def elsewhere(content):
        (tmp_path / "w.h5").write_bytes(content)
        with h5py.File(tmp_path / "w.h5", "r+") as file:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "/kernel")
        return (tmp_path / "w.h5").read_bytes()

    path = tmp_path / "m.keras"
    x = keras.Input((4,), name="x")
    keras.Model(x, keras.layers.Dense(3, name="fc")(x)).save(path)
    rewritten(path, "model.weights.h5", elsewhere)
    assert fails(path) == (
        f"{path}: its weights 'layers/dense/vars/0' are a link to the file 'other.h5'; save the model again where they "
        "are"
    )


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        (10**9, "layer 'fc' has units = 1,000,000,000, for which the file holds too few weights; it is damaged, "),
        (10**6, "can't be loaded: "),  # the weights don't fit
    ],
)
def test_a_layer_larger_than_its_file_is_not_made(tmp_path, units, reason):
    path = tmp_path / "m.keras"
    x = keras.Input((4,), name="x")
    keras.Model(x, keras.layers.Dense(3, name="fc")(x)).save(path)
    rewritten(path, "config.json", lambda content: content.replace(b'"units": 3', b'"units": %d' % units))
    assert fails(path).startswith(f"{path}: {reason}")


def test_a_shape_that_no_number_counts_is_a_sentence(tmp_path):
    path = tmp_path / "m.keras"
    x = keras.Input((4, 4, 3), name="x")
    keras.Model(x, keras.layers.Conv2D(4, 3, name="conv")(x)).save(path)
    rewritten(path, "config.json", lambda content: content.replace(b"4, 4, 3]", b"4, 4, %d]" % 2**62))
    reason = f"can't be loaded: Shape [3,3,{2**62},4] would have more than 2**63 - 1 elements"
    assert fails(path) == f"{path}: {reason}"


def test_a_lambda_in_a_keras_2_saved_model_needs_leave(tmp_path):
    import tf_keras

    x = tf_keras.Input((4,), name="x")
    tf_keras.Model(x, tf_keras.layers.Lambda(lambda t: t * 2, name="twice")(x)).save(tmp_path / "folder")
    assert fails(tmp_path / "folder") == (
        f"{tmp_path / 'folder'}: has Lambda layers ('twice'), which run code that comes with the file; pass --unsafe "
        "(unsafe=True) if you trust it"
    )
    loaded = load(tmp_path / "folder", unsafe=True)
    assert np.array_equal(np.asarray(loaded(np.ones((1, 4), "float32"))), np.full((1, 4), 2, "float32"))


def test_damaged_metadata_of_a_saved_model_is_named(tmp_path):
    test_bridge.sequential().save(tmp_path / "folder")
    path = tmp_path / "folder" / "keras_metadata.pb"
    path.write_bytes(path.read_bytes()[:100])
    assert fails(tmp_path / "folder") == (
        f"{path}: is truncated or damaged (a field is longer than the file); fetch or save it again"
    )


def test_an_exported_saved_model_says_why_it_can_not_be_cut(tmp_path):
    folder = tmp_path / "exported"
    models.chain().export(folder, verbose=False)
    assert fails(folder) == (
        f"{folder}: is an exported SavedModel, which holds functions and no layers, so there is nothing to cut; "
        "`edgecut export` and `edgecut bench` work on it, or give the .keras file that it was exported from"
    )


@pytest.mark.parametrize("build", [models.chain, models.structured])
def test_an_exported_saved_model_runs_as_one_layer(tmp_path, build):
    model = build()
    model.export(tmp_path / "exported", verbose=False)
    loaded = load_exported(str(tmp_path / "exported"))
    random = np.random.default_rng(0)
    given = {x.name: random.uniform(0, 1, (1, *x.shape[1:])).astype("float32") for x in model.inputs}
    whole = model(given if len(given) > 1 else next(iter(given.values())))
    part = loaded([given[x.name] for x in loaded.inputs] if len(given) > 1 else next(iter(given.values())))
    for a, b in zip(keras.tree.flatten(whole), keras.tree.flatten(part), strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-5)


class Copier(tf.saved_model.experimental.TrackableResource):
    """A resource whose initializer, which runs when the model is loaded, writes a file."""

    def __init__(self, target):
        super().__init__()
        self.target = str(target)
        self._resource_handle = self._create_resource()

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(dtype=tf.int32, shape=[], shared_name="evil")

    def _initialize(self):
        tf.raw_ops.WriteFile(filename=self.target, contents="evil")


def test_a_saved_model_writes_no_file_when_it_is_loaded(tmp_path):
    module = tf.Module()
    module.copier = Copier(tmp_path / "written")
    signature = tf.TensorSpec([1, 4], tf.float32, name="x")
    serve = tf.function(lambda x: {"y": tf.cast(module.copier.resource_handle is not None, x.dtype) * x}, [signature])
    tf.saved_model.save(module, tmp_path / "evil", signatures={"serving_default": serve})
    (tmp_path / "written").unlink(missing_ok=True)
    with pytest.raises(SourceError) as refusal:
        load_exported(str(tmp_path / "evil"))
    assert re.fullmatch(
        f"{tmp_path / 'evil'}: '.*WriteFile' of its function '.*initializer.*' is the operator WriteFile, which may "
        r"run or reach something outside of the model; pass --unsafe \(unsafe=True\) if you trust it",
        str(refusal.value),
    )
    assert not (tmp_path / "written").exists()
    load_exported(str(tmp_path / "evil"), unsafe=True)
    assert (tmp_path / "written").exists()


def test_what_may_pass_are_operators_of_tensorflow():
    assert not [name for name in OPERATORS | SAVER if op_def_registry.get(name) is None]


@pytest.mark.real
@pytest.mark.parametrize("name", ["cifar10_resnet", "visual_wake_words", "rock_paper_scissors"])
def test_keras_3_reads_the_real_keras_2_files_as_keras_2_does(real, name):
    from edgecut.keras2.bridge import read_keras_2

    path = str(real / f"{name}.h5")
    old, new = read_keras_2(path), load(path)
    x = np.random.default_rng(0).uniform(0, 255, (2, *old.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(np.asarray(new(x)), np.asarray(old(x)), atol=1e-5)
    assert [w.tobytes() for w in old.get_weights()] == [w.tobytes() for w in new.get_weights()]
