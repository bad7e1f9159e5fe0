"""Raw bytes into an int8 file: what the file's input must be, and that nothing is lost on the way."""

import keras
import numpy as np
import pytest

from edgecut import stem
from edgecut.export.tflite import convert, write_saved_model
from edgecut.images.preprocess import normalize
from edgecut.stem.camera import for_bytes
from edgecut.tflite.flatbuffer import parse
from tests.graph import models
from tests.stem.firsts import BUILDERS, MODES, conv_model, model_of, relative

pytestmark = pytest.mark.tensorflow

L = keras.layers


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_middle_gray_is_seen_as_before(kind, mode):
    """LAW: where the picture is the middle of the range, rounding the weights changes nothing."""
    raw = stem(model_of(kind, padding="valid"), channels=1, preprocess=mode, pixels="raw").model
    gray = np.full((1, 12, 14, 1), 127.5, "float32")
    assert relative(for_bytes(raw)(gray), raw(gray)) < 2e-5


@pytest.mark.parametrize("resolution", ["nearest", "bilinear", "average"])
def test_the_kernel_behind_a_resampling_is_rounded_too(resolution):
    size = (24, 24) if resolution == "average" else (8, 8)
    source = conv_model(3, 1, "valid", 12 if resolution == "average" else 16, 12 if resolution == "average" else 16)
    raw = stem(source, channels=1, size=size, preprocess="tf", resolution=resolution, pixels="raw").model
    rounded, gray = for_bytes(raw), np.full((1, *size, 1), 127.5, "float32")
    assert relative(rounded(gray), raw(gray)) < 2e-5
    assert not np.array_equal(rounded.get_layer("conv").kernel, raw.get_layer("conv").kernel)


def test_a_normalization_takes_the_shift_of_a_convolution_without_a_bias():
    model = conv_model(3, 2, "valid", 16, 16, bias=False)
    rounded, gray = for_bytes(model), np.full((1, 16, 16, 3), 127.5, "float32")
    assert relative(rounded(gray), model(gray)) < 2e-5
    assert not np.array_equal(rounded.get_layer("conv").kernel, model.get_layer("conv").kernel)


def test_the_kernel_is_one_that_int8_holds():
    raw = stem(conv_model(3, 2, "same", 16, 16), preprocess="tf", pixels="raw").model
    kernel = np.asarray(for_bytes(raw).get_layer("conv").kernel, "float64")
    steps = kernel / (np.abs(kernel).max(axis=(0, 1, 2)) / 127)
    assert np.allclose(steps, np.rint(steps), atol=1e-4)
    assert not np.array_equal(kernel, np.asarray(raw.get_layer("conv").kernel))


def test_the_float_model_is_left_as_it_was():
    raw = stem(conv_model(3, 2, "same", 16, 16), preprocess="tf", pixels="raw").model
    before = [weight.copy() for weight in raw.get_weights()]
    for_bytes(raw)
    assert all(np.array_equal(a, b) for a, b in zip(before, raw.get_weights(), strict=True))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(float32 file, int8 file, raw model, its source, pixels) of a small model fed with raw gray."""
    folder = tmp_path_factory.mktemp("written")
    x = inputs = keras.Input((16, 16, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = L.ReLU(6.0, name="relu")(L.BatchNormalization(name="bn")(x))
    x = L.Dense(5, name="dense")(L.GlobalAveragePooling2D(name="pool")(x))
    source = models.settle(keras.Model(inputs, x))
    raw = stem(source, channels=1, preprocess="raw", pixels="raw").model
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1)).astype("uint8")
    pixels[0, 0, 0], pixels[0, -1, -1] = 0, 255
    files = []
    for name, model, precision in (("float", raw, "float32"), ("bytes", for_bytes(raw), "int8")):
        write_saved_model(model, folder / name)
        content = convert(folder / name, model, precision, [pixels.astype("float32")])
        path = folder / f"{name}.tflite"
        path.write_bytes(content)
        files.append(path)
    return (*files, raw, source, pixels)


def test_the_written_float_file_has_no_operator_for_its_preprocessing(written):
    graph = parse(written[0].read_bytes(), "float")
    assert {op.name for op in graph.operators} == {"PADV2", "CONV_2D", "MEAN", "FULLY_CONNECTED"}


def test_the_written_int8_file_takes_bytes_and_nothing_but_its_layers(written):
    graph = parse(written[1].read_bytes(), "int8")
    assert [op.name for op in graph.operators] == ["PADV2", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
    tensor = graph.tensors[graph.inputs[0]]
    assert (tensor.dtype, tensor.scales, tensor.zero_points) == ("int8", (1.0,), (-128,))


def test_bytes_into_the_written_file_give_what_the_float_path_gives(written):
    from edgecut.runtime.files import FileRunner, dequantize

    _, path, raw, source, pixels = written
    runner = FileRunner(path)
    got = dequantize(runner.predict_raw((pixels ^ 0x80).view("int8")), runner.outputs[0])
    expected = np.asarray(source(normalize(np.repeat(pixels, 3, axis=-1), "raw")))
    assert np.array_equal(np.asarray(raw(pixels.astype("float32"))).argmax(axis=1), expected.argmax(axis=1))
    noise = np.sqrt(np.mean((got - expected) ** 2) / np.mean(expected**2))
    assert noise < 0.03


def test_a_model_that_scales_the_bytes_itself_is_left_as_it_is():
    """Its first convolution sees values about zero, and the middle of 0..255 is no shift there."""
    x = inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, padding="same", name="conv")(L.Rescaling(1, offset=-127.5)(x))
    model = models.settle(keras.Model(inputs, x))
    assert np.array_equal(for_bytes(model).get_layer("conv").kernel, model.get_layer("conv").kernel)
