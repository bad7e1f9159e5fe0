import keras
import numpy as np
import onnx
import pytest

from edgecut import export
from edgecut.errors import ExportError, RequestError
from edgecut.runtime.files import FileRunner
from edgecut.source.exported import load_exported
from tests.graph import models

pytestmark = pytest.mark.tensorflow

L = keras.layers


def images(count=16, seed=0, size=16):
    return np.random.default_rng(seed).uniform(0, 255, (count, size, size, 3)).astype("float32")


def residual_classifier(head="mean"):
    x = inputs = keras.Input((16, 16, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    y = L.Conv2D(8, 3, padding="same", activation="relu", name="conv")(x)
    x = L.Add(name="add")([x, y])
    x = (
        L.GlobalAveragePooling2D(name="pool")(x)
        if head == "mean"
        else L.Flatten(name="flat")(L.AveragePooling2D(3, name="pool")(x))
    )
    return models.settle(keras.Model(inputs, L.Dense(4, activation="softmax", name="dense")(x), name="residual"))


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_each_precision_runs_and_agrees_with_the_keras_model(tmp_path, precision):
    model = models.chain()
    artifact = export(model, "tflite", precision, images(), tmp_path / "m.tflite")
    runner, x = FileRunner(tmp_path / "m.tflite"), images(seed=1)
    tolerance = {"float32": 1e-5, "float16": 5e-3, "dynamic": 5e-2, "int8": 8e-2, "int16x8": 5e-2}[precision]
    np.testing.assert_allclose(runner.predict(x), np.asarray(model(x)), atol=tolerance)
    assert [(t.name, t.shape) for t in artifact.inputs] == [("input", (1, 16, 16, 3))]
    assert [(t.name, t.shape) for t in artifact.outputs] == [("output", (1, 5))]
    kind = {"int8": "int8", "int16x8": "int16"}.get(precision, "float32")
    assert (artifact.inputs[0].dtype, artifact.outputs[0].dtype) == (kind, kind)
    assert artifact.precision == precision


@pytest.mark.parametrize("build", [models.chain, residual_classifier, lambda: residual_classifier("flatten")])
def test_int8_onnx_agrees_with_int8_tflite_to_a_step_or_two(tmp_path, build):
    model = build()
    export(model, "tflite", "int8", images(), tmp_path / "m.tflite")
    export(model, "onnx", "int8", images(), tmp_path / "m.onnx")
    one, other = FileRunner(tmp_path / "m.tflite"), FileRunner(tmp_path / "m.onnx")
    x = images(64, seed=1)
    steps = np.abs(one.predict(x) - other.predict(x)) / one.outputs[0].scale
    # Both round: a tensor inside may be a step off, and so the scores behind it.
    assert steps.max() <= 2.001
    assert (steps > 1.001).mean() < 0.01
    assert (one.inputs[0].dtype, other.inputs[0].dtype) == ("int8", "int8")


def test_a_loop_is_refused_before_tensorflow_s_calibration_crashes_there(tmp_path):
    rows = keras.Input((6, 3), name="rows")
    loop = keras.Model(rows, Repeated(name="repeated")(rows))
    array = np.zeros((2, 6, 3), "float32")
    for precision in ("int8", "int16x8"):
        with pytest.raises(ExportError) as caught:
            export(loop, "tflite", precision, array, tmp_path / "m.tflite")
        assert str(caught.value).startswith(f"export: {precision} can't be calibrated through the loop 'functional")
        assert "since TensorFlow's calibration crashes there; cut before it, or export" in str(caught.value)


class Repeated(L.Layer):
    """A loop that no layer unrolls."""

    def call(self, x):
        return keras.ops.fori_loop(0, keras.ops.shape(x)[1], lambda _, y: y * 0.5 + x, x)


@pytest.mark.parametrize("layer", [L.GRU(2), L.LSTM(2, return_sequences=True)], ids=["gru", "lstm"])
def test_a_recurrent_layer_is_unrolled_for_calibration_alone(tmp_path, layer):
    rows = keras.Input((6, 3), name="rows")
    model = keras.Model(rows, layer(rows))
    array = np.random.default_rng(0).normal(size=(20, 6, 3)).astype("float32")
    assert "WHILE" in export(model, "tflite", "float32", None, tmp_path / "f.tflite").operators
    assert "WHILE" not in export(model, "tflite", "int8", array, tmp_path / "m.tflite").operators
    whole = FileRunner(tmp_path / "f.tflite").predict(array)
    assert np.abs(FileRunner(tmp_path / "m.tflite").predict(array) - whole).max() < 0.05


def test_int8_onnx_computes_in_integers_throughout(tmp_path):
    export(residual_classifier(), "onnx", "int8", images(), tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx").graph
    signed = {x.name for x in graph.initializer if x.data_type == onnx.TensorProto.INT8}
    edges = {x.name for x in (*graph.input, *graph.output)}
    inside = [
        node for node in graph.node
        if node.op_type == "QuantizeLinear" and node.input[2] in signed and node.output[0] not in edges
    ]  # fmt: skip
    assert inside == []


def test_a_dense_layer_keeps_its_bias_in_onnx_behind_a_flattened_map(tmp_path):
    x = inputs = keras.Input((4, 4, 2), name="image")
    x = L.Flatten(name="flat")(L.MaxPooling2D(2, name="pool")(x))
    model = models.settle(keras.Model(inputs, L.Dense(3, name="dense")(x)))
    model.get_layer("dense").bias.assign([5.0, -7.0, 9.0])
    export(model, "onnx", "float32", path=tmp_path / "m.onnx")
    pictures = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype("float32")
    np.testing.assert_allclose(
        FileRunner(tmp_path / "m.onnx").predict(pictures), np.asarray(model(pictures)), atol=1e-5
    )


def test_int8_without_images_is_refused(tmp_path):
    with pytest.raises(RequestError) as caught:
        export(models.chain(), "tflite", "int8", None, tmp_path / "m.tflite")
    assert str(caught.value) == "export: int8 needs data to calibrate on; set data.train or pass --data"
    assert list(tmp_path.iterdir()) == []


def test_an_open_size_is_refused(tmp_path):
    x = keras.Input((None, None, 3), name="image")
    with pytest.raises(RequestError) as caught:
        export(keras.Model(x, L.Conv2D(2, 3, name="conv")(x)), "tflite", "float32", path=tmp_path / "m.tflite")
    assert str(caught.value) == (
        "export: input 'image' has the open shape (None, None, None, 3); write a model of fixed size first: "
        "edgecut stem MODEL --size HxW -o FIXED.keras"
    )


@pytest.mark.parametrize("mixed_policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_function_in_16_bits_is_refused_with_the_files_that_are_brought_to_float32(tmp_path, mixed_policy):
    x = keras.Input((8, 8, 3), name="image")
    keras.Model(x, L.Conv2D(2, 3, name="conv", dtype=mixed_policy)(x)).export(tmp_path / "saved", verbose=False)
    with pytest.raises(ExportError) as caught:
        export(load_exported(str(tmp_path / "saved")), "tflite", "float32", path=tmp_path / "m.tflite")
    assert str(caught.value) == (
        f"export: the converter refuses float32: TFLite has no Conv2D that computes in {mixed_policy[6:]}; give the "
        ".keras or .h5 file, which is brought to float32, or save it with the policy float32"
    )


def test_onnx_is_written_in_two_precisions(tmp_path):
    with pytest.raises(RequestError, match=r"^export: ONNX is written in float32 and int8, found 'float16'$"):
        export(models.chain(), "onnx", "float16", path=tmp_path / "m.onnx")


def test_what_the_converter_refuses_is_said_in_one_sentence(tmp_path, capfd):
    x = keras.Input((8,), name="x")
    model = keras.Model(x, keras.ops.erfinv(keras.ops.tanh(x)))
    with pytest.raises(ExportError) as caught:
        export(model, "tflite", "float32", path=tmp_path / "m.tflite")
    assert str(caught.value) == (
        "export: the converter refuses float32: TFLite has no operator for Erfinv; cut before it, or replace it"
    )
    assert capfd.readouterr() == ("", "")


def test_several_inputs_and_outputs_keep_their_names(tmp_path):
    artifact = export(models.structured(), "tflite", "float32", path=tmp_path / "m.tflite")
    assert {t.name for t in artifact.inputs} == {"left", "right"}
    assert {t.name for t in artifact.outputs} == {"output_0", "output_1"}


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_inputs_and_outputs_are_in_the_models_own_order(tmp_path, format):
    """The converter has an order of its own; firmware counts tensors."""
    L = keras.layers
    first, second = keras.Input((8, 8, 1), name="z camera"), keras.Input((5,), name="a")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(3, 3, name="conv")(first))
    scores = L.Dense(4, name="scores")(L.Concatenate()([pooled, second]))
    model = keras.Model([first, second], [scores, L.Dense(2, name="box")(pooled), L.Dense(3, name="more")(second)])
    artifact = export(model, format, "float32", path=tmp_path / f"m.{format}")
    assert [spec.name for spec in artifact.inputs] == ["z_camera", "a"]
    assert [spec.shape for spec in artifact.outputs] == [(1, 4), (1, 2), (1, 3)]


def test_the_converter_prints_nothing(tmp_path, capfd):
    export(models.chain(), "onnx", "int8", images(), tmp_path / "m.onnx")
    assert capfd.readouterr() == ("", "")
