import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecut import stem
from edgecut.errors import StemError
from edgecut.images.preprocess import normalize
from edgecut.records.recipe import CustomPreprocess
from tests.graph import models

pytestmark = pytest.mark.tensorflow

L = keras.layers
MODES = (
    "tf",
    "torch",
    "caffe",
    "raw",
    CustomPreprocess(scale=(0.1, 0.2, 0.3), offset=(1, -2, 3), order="bgr"),
)


def first_conv(kernel, stride, padding, height, width, *, bias=True, before=(), explicit=None, dilation=1):
    x = inputs = keras.Input((height, width, 3), name="image")
    for layer in before:
        x = layer(x)
    if explicit is not None:
        x = L.ZeroPadding2D(explicit, name="pad")(x)
    x = L.Conv2D(4, kernel, strides=stride, padding=padding, use_bias=bias, dilation_rate=dilation, name="conv")(x)
    x = L.BatchNormalization(name="bn")(x)
    return models.settle(keras.Model(inputs, x, name="first_conv"))


def bytes_like(height, width, channels, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (2, height, width, channels)).astype("uint8")


def relative(got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    return float(np.max(np.abs(got - expected)) / max(np.max(np.abs(expected)), 1e-30))


@settings(max_examples=60)
@given(
    kernel=st.integers(1, 11), stride=st.integers(1, 4), padding=st.sampled_from(["same", "valid", "explicit"]),
    height=st.integers(11, 24), width=st.integers(11, 24), channels=st.sampled_from([1, 3]),
    mode=st.sampled_from(MODES), bias=st.booleans(),
)  # fmt: skip
def test_raw_pixels_give_what_the_source_gave_on_preprocessed_ones(
    kernel, stride, padding, height, width, channels, mode, bias
):
    """LAW: stem(model, raw)(bytes) == model(preprocess(bytes as RGB)), borders included, to 1e-5 relative."""
    explicit = ((1, 2), (0, 3)) if padding == "explicit" else None
    model = first_conv(kernel, stride, "valid" if explicit else padding, height, width, bias=bias, explicit=explicit)
    result = stem(model, channels=channels, preprocess=mode, pixels="raw")
    pixels = bytes_like(height, width, channels)
    colour = np.repeat(pixels, 3, axis=-1) if channels == 1 else pixels
    assert relative(result.model(pixels.astype("float32")), model(normalize(colour, mode))) < 1e-5
    assert result.proof["exact"]


@settings(max_examples=20)
@given(
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
    size=st.integers(9, 20),
)
def test_gray_gives_what_replicated_gray_gave(kernel, stride, padding, size):
    """LAW: stem(model, gray)(g) == model(g, g, g)."""
    model = first_conv(kernel, stride, padding, size, size + 1)
    result = stem(model, channels=1)
    gray = np.random.default_rng(0).uniform(-1, 1, (2, size, size + 1, 1)).astype("float32")
    assert relative(result.model(gray), model(np.repeat(gray, 3, axis=-1))) < 1e-5
    assert result.construction == "kernel sum"


@pytest.mark.parametrize(
    ("mode", "channels", "padding", "construction"),
    [
        ("raw", 1, "same", "kernel sum"), ("raw", 3, "same", "none"), ("tf", 1, "valid", "bias fold"),
        ("tf", 1, "same", "constant padding"), ("tf", 3, "same", "constant padding"),
        ("caffe", 1, "same", "ones channel"), ("torch", 3, "same", "1x1 convolution"),
        ("torch", 3, "valid", "bias fold"),
    ],
)  # fmt: skip
def test_the_cheapest_exact_construction_is_taken(mode, channels, padding, construction):
    assert (
        stem(first_conv(3, 2, padding, 16, 16), channels=channels, preprocess=mode, pixels="raw").construction
        == construction
    )


def test_normalization_layers_in_front_fold_into_the_convolution():
    norm = L.Normalization(mean=(120.0, 110.0, 100.0), variance=(3000.0, 3100.0, 2900.0), name="norm")
    model = first_conv(3, 2, "same", 16, 16, before=[L.Rescaling(2.0, offset=1.0, name="rescale"), norm])
    result = stem(model, channels=1, preprocess="raw", pixels="raw")
    assert [layer.name for layer in result.model.layers] == ["image", "stem_ones", "conv"]
    pixels = bytes_like(16, 16, 1)
    expected = model(np.repeat(pixels, 3, axis=-1).astype("float32"))
    assert relative(result.model(pixels.astype("float32")), expected) < 1e-5


def test_another_size_reuses_the_weights():
    model = models.chain()
    result = stem(model, size=(24, 20))
    assert result.model.input_shape == (None, 24, 20, 3)
    assert result.construction == "reuse"
    assert result.proof["max_abs_error"] == 0.0
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), result.model.get_weights(), strict=True))


def test_a_gray_source_takes_colour_by_its_luma():
    x = keras.Input((8, 8, 1), name="image")
    model = models.settle(keras.Model(x, L.Conv2D(3, 3, padding="same", name="conv")(x)))
    result = stem(model, channels=3)
    colour = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype("float32")
    luma = colour @ np.array([[0.299], [0.587], [0.114]], "float32")
    assert relative(result.model(colour), model(luma)) < 1e-5


def test_the_source_is_not_changed_and_nothing_is_shared():
    model = first_conv(3, 2, "same", 16, 16)
    before = [w.copy() for w in model.get_weights()]
    result = stem(model, channels=1, preprocess="tf", pixels="raw")
    for weight in result.model.weights:
        weight.assign(weight * 0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_result_can_be_saved_and_loaded(tmp_path):
    result = stem(first_conv(3, 2, "same", 16, 16), channels=1, preprocess="tf", pixels="raw")
    result.model.save(tmp_path / "m.keras")
    pixels = bytes_like(16, 16, 1).astype("float32")
    assert np.array_equal(
        np.asarray(keras.models.load_model(tmp_path / "m.keras")(pixels)), np.asarray(result.model(pixels))
    )


def refusal(model, **options):
    with pytest.raises(StemError) as caught:
        stem(model, **options)
    return str(caught.value)


def test_too_small_a_picture_names_the_layer_that_collapses():
    assert refusal(first_conv(3, 1, "valid", 16, 16), size=(2, 2)) == (
        "stem: size 2x2: layer 'conv' (Conv2D) can't take (None, 2, 2, 3): "
        "Computed output size would be zero or negative; feed a larger size, or let the layers run at their own "
        "(resolution 'nearest', 'bilinear' or 'fit')"
    )


def test_what_is_no_image_is_refused():
    assert (
        refusal(models.shared(), channels=1)
        == "stem: the model has 2 inputs; a stem edit needs exactly one image input"
    )
    assert refusal(models.recurrent(), channels=1) == (
        "stem: the model's input has shape (None, 5, 4); (batch, height, width, channels) is expected"
    )
    first = keras.Input((3, 8, 6), name="image")
    assert refusal(keras.Model(first, L.Permute((2, 3, 1))(first)), channels=1) == (
        "stem: the model's input is (3, 8, 6), with 6 channels in the last place; 1 or 3 are "
        "expected; in Python, edgecut.stem takes a channel_map (M, t) that says what they are of the device's"
    )
    assert refusal(models.chain(), channels=2) == "stem: channels is 2; 1 (gray), 3 (colour) or 4 (RGBA) is expected"


def test_augmentation_in_front_is_no_obstacle_to_the_fold():
    """A layer that is called with training=True by default does nothing in predict()."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.Sequential([L.RandomFlip(), L.RandomRotation(0.1), L.Identity()], name="augmentation")(inputs)
    x = L.Conv2D(4, 3, padding="same", name="conv")(L.Rescaling(1 / 127.5, -1.0)(x))
    source = models.settle(keras.Model(inputs, x))
    result = stem(source, preprocess="raw", pixels="raw")
    assert (result.construction, result.cost["operators"]["after"]) == ("constant padding", 2)
    pixels = bytes_like(8, 8, 3).astype("float32")
    expected = np.asarray(source(pixels, training=False))
    assert relative(result.model.predict(pixels, verbose=0), expected) <= 1e-5


@pytest.mark.parametrize("deep", [False, True])
def test_a_first_convolution_may_be_a_shared_layer(deep):
    inputs = keras.Input((8, 8, 3), name="image")
    shared = L.Conv2D(3, 3, padding="same", name="conv")
    x = shared(L.ReLU(name="relu")(shared(inputs))) if deep else shared(inputs) + shared(L.Rescaling(0.5, 2.0)(inputs))
    source = models.settle(keras.Model(inputs, x))
    result = stem(source, 1, preprocess="caffe", pixels="raw")
    gray = bytes_like(8, 8, 1).astype("float32")
    expected = source(np.repeat(gray, 3, -1) - np.array([103.939, 116.779, 123.68], "float32"))
    assert relative(result.model(gray), expected) <= 1e-5


def test_a_source_of_whole_numbers_takes_floats_from_then_on():
    inputs = keras.Input((8, 8, 3), dtype="uint8", name="image")
    source = models.settle(keras.Model(inputs, L.Conv2D(4, 3, padding="same")(L.Rescaling(1 / 127.5, -1.0)(inputs))))
    result = stem(source, 1, preprocess="raw", pixels="raw")
    gray = bytes_like(8, 8, 1)
    assert result.model.inputs[0].dtype == "float32"
    assert relative(result.model(gray.astype("float32")), source(np.repeat(gray, 3, -1))) <= 1e-5
