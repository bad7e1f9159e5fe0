"""Small models pruned, clustered and trained quantization-aware: what is promised is in the weights and in the file."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgecut.compress.qat import write_saved_model
from edgecut.compress.run import Compressed, compress
from edgecut.errors import DataError, GraphError, RequestError
from edgecut.export.tflite import convert
from edgecut.runtime.files import FileRunner
from edgecut.tflite.flatbuffer import read
from tests.graph.models import settle

pytestmark = pytest.mark.tensorflow

L = keras.layers


def network() -> keras.Model:
    """Rescaling, a separable convolution, a BatchNormalization behind an Add, relu6 and softmax in their layers."""
    x = image = keras.Input((8, 8, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    x = y = L.Conv2D(8, 3, padding="same", activation="relu6", name="conv")(x)
    x = L.Conv2D(8, 3, padding="same", use_bias=False, name="body")(x)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="folded")(x))
    x = L.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    x = L.BatchNormalization(name="bare")(L.Add(name="add")([x, y]))
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return settle(keras.Model(image, L.Dense(4, activation="softmax", name="scores")(x), name="network"))


def small() -> keras.Model:
    x = image = keras.Input((8, 8, 3), name="image")
    x = keras.ops.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)), constant_values=114.0)  # as a stem that takes bytes does
    x = L.Conv2D(8, 3, strides=2, activation="relu", name="conv")(x)
    x = L.GlobalAveragePooling2D(name="pool")(L.Conv2D(8, 1, name="point")(x))
    return settle(keras.Model(image, L.Dense(4, name="scores")(x), name="small"))


def pictures(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of four classes, told apart by how bright each channel is."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 4
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [160, 160, 160]])[labels]
    return (colours[:, None, None, :] + random.integers(-50, 50, (count, 8, 8, 3))).clip(0, 255).astype("uint8"), labels


def floats(images: np.ndarray) -> np.ndarray:
    return images.astype("float32")


def int8_file(result: Compressed, folder: Path) -> Path:
    write_saved_model(result.aware, folder / "aware")
    path = folder / "aware.tflite"
    path.write_bytes(convert(folder / "aware", result.model, "int8", [floats(pictures()[0])]))
    return path


def kernels(model: keras.Model, *names: str) -> list[np.ndarray]:
    return [np.asarray(model.get_layer(name).kernel) for name in names]


@pytest.fixture(scope="module")
def all_three(tmp_path_factory) -> tuple[Compressed, Path]:
    request = {"prune": {"sparsity": 0.5}, "cluster": {"clusters": 8}, "qat": True, "epochs": 2}
    result = compress(network(), *pictures(), request)
    return result, int8_file(result, tmp_path_factory.mktemp("file"))


def test_each_training_keeps_what_the_one_before_made(all_three) -> None:
    for kernel in kernels(all_three[0].model, "conv", "body", "scores"):
        assert np.mean(kernel == 0) >= 0.5
        filters = kernel.reshape(-1, kernel.shape[-1]).T
        assert max(len(np.unique(weights)) for weights in filters) <= 8


def test_the_weights_of_a_layer_share_a_few_values_and_keep_their_zeros() -> None:
    result = compress(
        small(), *pictures(), {"prune": {"schedule": "constant"}, "cluster": {"clusters": 5}, "epochs": 1}
    )
    for kernel in kernels(result.model, "conv", "scores"):
        assert len(np.unique(kernel)) <= 5
        assert np.mean(kernel == 0) >= 0.5
    assert result.stages[1].facts == {"values": 5}


def test_the_int8_file_holds_the_zeros_and_the_values(all_three) -> None:
    _, path = all_three
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (dense,) = (operator for operator in read(path).operators if operator.name == "FULLY_CONNECTED")
    values = interpreter.get_tensor(dense.inputs[1])
    assert np.mean(values == 0) >= 0.5
    assert len(np.unique(values)) <= 8


def test_the_int8_file_computes_in_integers_what_the_trained_model_foretold(all_three) -> None:
    result, path = all_three
    images = floats(pictures()[0])
    graph = read(path)
    assert {t.dtype for t in graph.tensors} <= {"int8", "int32"}
    foretold = np.asarray(result.aware(images, training=False))
    assert np.abs(FileRunner(path).predict(images) - foretold).max() < 0.05


def test_what_tfmot_does_not_take_is_listed_with_its_reason(all_three) -> None:
    stages = {stage.name: stage.left_out for stage in all_three[0].stages}
    assert stages["qat"] == (
        "'rescale' (Rescaling): TFMOT has no rule for Rescaling",
        "'bare' (BatchNormalization): TFMOT takes a BatchNormalization behind a convolution alone, and it is behind "
        "'add'",
    )
    assert stages["prune"] == ("'separable_depthwise' (DepthwiseConv2D): TFMOT doesn't prune DepthwiseConv2D",)


def test_the_way_over_and_back_is_proven_and_the_models_own_layers_return(all_three) -> None:
    result, _ = all_three
    assert [layer.name for layer in result.model.layers] == [layer.name for layer in network().layers]
    assert result.proof["max_abs_error"] < 1e-5
    assert result.proof["back"] < 1e-5


def test_the_source_is_left_as_it_was_and_the_same_seed_trains_the_same_model() -> None:
    source = small()
    results = [compress(source, *pictures(), {"prune": {"sparsity": 0.6}, "epochs": 1}, seed=3) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(source.get_weights(), small().get_weights(), strict=True))
    first, again = (result.model.get_weights() for result in results)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_two_of_four_consecutive_input_channels_are_zero() -> None:
    result = compress(small(), *pictures(), {"prune": {"pattern": "2:4"}, "epochs": 1})
    (point,) = kernels(result.model, "point")
    assert np.all(np.sum(point.reshape(2, 4, 8) == 0, axis=1) >= 2)
    assert "'conv' (Conv2D): 2:4 needs input channels in fours, and it has 3" in result.stages[0].left_out


def test_blocks_of_dense_layers_are_zero_as_a_whole() -> None:
    result = compress(small(), *pictures(), {"prune": {"pattern": "block", "block": [4, 1]}, "epochs": 1})
    (scores,) = kernels(result.model, "scores")
    zero = scores.reshape(2, 4, 4) == 0
    assert np.array_equal(zero.any(axis=1), zero.all(axis=1))
    assert 0.4 <= zero.mean() <= 0.6


def test_training_that_only_harms_leaves_the_weights_before_it() -> None:
    x = image = keras.Input((8, 8, 3), name="image")
    x = L.Dense(4, name="scores")(L.GlobalAveragePooling2D(name="pool")(x))
    model = settle(keras.Model(image, x))
    model.get_layer("scores").set_weights(
        [np.array([[1, 0, 0, 0.5], [0, 1, 0, 0.5], [0, 0, 1, 0.5]], "float32") / 10, np.zeros(4, "float32")]
    )
    request = {"qat": True, "epochs": 3, "patience": 1, "learning_rate": 1e4}
    result = compress(model, *pictures(), request)
    trained = result.stages[0].trained
    assert (trained.epochs, trained.best) == (1, 0)
    assert all(np.array_equal(a, b) for a, b in zip(result.model.get_weights(), model.get_weights(), strict=True))


def test_ranges_start_at_the_models_own_and_not_at_tfmots(all_three) -> None:
    """TFMOT's -6..6 would leave a softmax's scores of +-30 nowhere."""
    assert all_three[0].stages[-1].facts["sqnr"] > 20


def test_a_model_that_cannot_cross_is_refused_by_its_layers_name() -> None:
    x = image = keras.Input((8, 8, 3), name="image")
    x = L.Dense(4, name="scores")(L.RMSNormalization(name="rms")(L.Flatten(name="flat")(x)))
    with pytest.raises(GraphError) as caught:
        compress(keras.Model(image, x), *pictures(), {"qat": True})
    assert str(caught.value) == "layer 'rms': the class RMSNormalization has no counterpart in Keras 2"


def test_nothing_to_prune_names_every_reason() -> None:
    x = image = keras.Input((8, 8, 3), name="image")
    x = L.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    with pytest.raises(RequestError) as caught:
        compress(keras.Model(image, x), *pictures(), {"prune": {}})
    assert str(caught.value) == (
        "compress.prune: nothing can be pruned: 'depthwise' (DepthwiseConv2D): TFMOT doesn't prune DepthwiseConv2D"
    )


@pytest.mark.parametrize(
    ("tables", "error", "words"),
    [
        ({}, RequestError, "compress: nothing is asked for; set prune, cluster or qat"),
        ({"qat": True, "skip": ["scorse"]}, RequestError, "compress.skip: no layer 'scorse' (closest: 'scores')"),
        ({"prune": {"sparsity": 2.0}}, RequestError, "compress: prune.sparsity: expected a number of less than 1"),
    ],
)
def test_a_wrong_request_is_refused(tables, error, words) -> None:
    with pytest.raises(error) as caught:
        compress(network(), *pictures(), tables)
    assert str(caught.value).startswith(words)


def test_labels_that_the_model_does_not_know_are_refused() -> None:
    images, labels = pictures()
    with pytest.raises(DataError) as caught:
        compress(network(), images, labels + 1, {"qat": True})
    assert str(caught.value) == "compress: labels are 1..4, and the model has 4 classes"
