"""Raw bytes into an int8 file: what the file's input must be, and that nothing is lost on the way."""

import keras
import numpy as np
import pytest

from edgecut import stem
from edgecut.export.tflite import convert, write_saved_model
from edgecut.images.device import file_input
from edgecut.images.preprocess import normalize
from edgecut.records.artifact import TensorSpec
from edgecut.stem.camera import byte_stem
from edgecut.tflite.flatbuffer import parse
from tests.graph import models
from tests.stem.firsts import BUILDERS, MODES, bytes_like, conv_model, model_of, relative

L = keras.layers


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_the_model_to_quantize_gives_what_the_float_model_gives(kind, mode):
    """LAW: but for half a byte in the padding of 'tf', byte_stem(raw)(values of the bytes) == raw(bytes)."""
    raw = stem(model_of(kind), channels=1, preprocess=mode, pixels="raw").model
    camera = byte_stem(raw)
    pixels = bytes_like(12, 14, 1)
    error = relative(camera.model(camera.values(pixels)), raw(pixels.astype("float32")))
    assert error < (0.02 if camera.border else 2e-5)
    assert camera.border <= 0.51


@pytest.mark.parametrize(
    ("mode", "padding", "scale", "zero_point"),
    [
        ("tf", "same", 1 / 127.5, 0), ("tf", "valid", 1 / 127.5, 0), ("raw", "same", 1.0, -128),
        ("caffe", "same", 1 / 127.5, 0), ("torch", "valid", 1 / 127.5, 0),
    ],
)  # fmt: skip
def test_the_zero_point_is_what_the_padding_means(mode, padding, scale, zero_point):
    raw = stem(conv_model(3, 2, padding, 16, 16), channels=1, preprocess=mode, pixels="raw").model
    camera = byte_stem(raw)
    assert (camera.scale, camera.zero_point) == (scale, zero_point)
    held = (bytes_like(16, 16, 1).astype("int32") - 128).astype("int8")
    values = camera.values(bytes_like(16, 16, 1))
    assert np.array_equal(np.rint(values / np.float32(scale)) + zero_point, held)


def test_the_half_step_is_in_the_bias_and_the_inside_is_exact():
    raw = stem(conv_model(3, 2, "same", 16, 16), channels=1, preprocess="tf", pixels="raw").model
    camera = byte_stem(raw)
    assert [type(layer).__name__ for layer in camera.model.layers] == ["InputLayer", "Conv2D"]
    pixels = bytes_like(16, 16, 1)
    got, expected = camera.model(camera.values(pixels)), raw(pixels.astype("float32"))
    assert relative(got[:, :-1, :-1], expected[:, :-1, :-1]) < 1e-5
    assert 1e-5 < relative(got, expected) < 0.01
    assert camera.border == pytest.approx(0.5, abs=1e-4)


def test_a_file_holds_the_byte_minus_128_whatever_its_scale():
    pixels = bytes_like(4, 4, 1)
    for scale, zero_point in ((1.0, -128), (1 / 127.5, 0), (1 / 255, -128)):
        spec = TensorSpec(
            name="input", shape=(1, 4, 4, 1), dtype="int8", scale=scale, zero_point=zero_point, expects="raw"
        )
        held = np.rint(file_input(pixels, "tf", spec) / scale) + zero_point
        assert np.array_equal(held.astype("int8"), (pixels ^ 0x80).view("int8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(float32 file, int8 file, camera, raw model, pixels) of a small model fed with raw gray."""
    folder = tmp_path_factory.mktemp("written")
    x = inputs = keras.Input((16, 16, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = L.ReLU(6.0, name="relu")(L.BatchNormalization(name="bn")(x))
    x = L.Dense(5, name="dense")(L.GlobalAveragePooling2D(name="pool")(x))
    source = models.settle(keras.Model(inputs, x))
    raw = stem(source, channels=1, preprocess="raw", pixels="raw").model
    camera = byte_stem(raw)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1)).astype("uint8")
    pixels[0, 0, 0], pixels[0, -1, -1] = 0, 255
    files = []
    for name, model, precision in (("float", raw, "float32"), ("bytes", camera.model, "int8")):
        write_saved_model(model, folder / name)
        content = convert(folder / name, model, precision, [camera.values(pixels)])
        path = folder / f"{name}.tflite"
        path.write_bytes(content)
        files.append(path)
    return (*files, camera, raw, source, pixels)


def test_the_written_float_file_has_no_operator_for_its_preprocessing(written):
    graph = parse(written[0].read_bytes(), "float")
    assert {op.name for op in graph.operators} == {"PADV2", "CONV_2D", "MEAN", "FULLY_CONNECTED"}


def test_the_written_int8_file_takes_bytes_and_nothing_but_its_layers(written):
    graph = parse(written[1].read_bytes(), "int8")
    assert [op.name for op in graph.operators] == ["CONV_2D", "MEAN", "FULLY_CONNECTED"]
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.dtype == "int8"
    assert tensor.zero_points[0] == 0
    assert tensor.scales[0] == pytest.approx(1 / 127.5, rel=1e-6)


def test_bytes_into_the_written_file_give_what_the_float_path_gives(written):
    from edgecut.bench.run import FileRunner, dequantize

    _, path, _, raw, source, pixels = written
    runner = FileRunner(path)
    got = dequantize(runner.predict_raw((pixels ^ 0x80).view("int8")), runner.outputs[0])
    expected = np.asarray(source(normalize(np.repeat(pixels, 3, axis=-1), "raw")))
    assert np.array_equal(np.asarray(raw(pixels.astype("float32"))).argmax(axis=1), expected.argmax(axis=1))
    noise = np.sqrt(np.mean((got - expected) ** 2) / np.mean(expected**2))
    assert noise < 0.03
