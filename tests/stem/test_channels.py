"""Whatever the device's channels are and whatever sees them first, the result sees what the source saw."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecut import stem
from edgecut.errors import StemError
from edgecut.images.device import in_order
from edgecut.images.preprocess import normalize
from tests.graph import models
from tests.stem.firsts import BUILDERS, MODES, UNLIKE, bytes_like, model_of, relative

pytestmark = pytest.mark.tensorflow

L = keras.layers


def colours(pixels, order):
    """R, G, B in float of what a device of that order gives: the inverse of in_order, written out."""
    pixels = pixels.astype("float64")
    if order == "gray":
        return np.repeat(pixels, 3, axis=-1)
    if order == "yuv":
        y, u, v = (pixels[..., k] for k in range(3))
        u, v = u - 128, v - 128
        return np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], axis=-1)
    return pixels[..., ::-1] if order == "bgr" else pixels[..., :3]


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(BUILDERS)), order=st.sampled_from(["gray", "rgb", "bgr", "yuv", "rgba"]),
    mode=st.sampled_from(MODES), padding=st.sampled_from(["same", "valid"]),
)  # fmt: skip
def test_raw_pixels_of_any_order_give_what_the_source_gave(kind, order, mode, padding):
    """LAW: stem(model, order, raw)(bytes) == model(preprocess(the bytes as R, G, B)), borders included."""
    model = model_of(kind, padding=padding)
    channels = {"gray": 1, "rgba": 4}.get(order, 3)
    result = stem(model, channels=channels, order=order, preprocess=mode, pixels="raw")
    pixels = bytes_like(12, 14, channels)
    assert relative(result.model(pixels.astype("float32")), model(normalize(colours(pixels, order), mode))) < 1e-5
    assert result.proof["exact"]


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_normalized_gray_gives_what_replicated_gray_gave(kind):
    model = model_of(kind)
    gray = np.random.default_rng(0).uniform(-1, 1, (2, 12, 14, 1)).astype("float32")
    assert relative(stem(model, channels=1).model(gray), model(np.repeat(gray, 3, axis=-1))) < 1e-5


@pytest.mark.parametrize("order", ["bgr", "rgba", "yuv"])
def test_normalized_pixels_can_be_mixed_where_preprocessing_treats_channels_alike(order):
    model = model_of("conv")
    pixels = bytes_like(12, 14, 4 if order == "rgba" else 3)
    result = stem(model, order=order, preprocess="tf")
    fed = (pixels / 127.5 - 1).astype("float32")
    assert relative(result.model(fed), model(normalize(colours(pixels, order), "tf"))) < 1e-5


def test_a_map_of_ones_own_is_folded():
    model = model_of("conv")
    matrix, offset = np.array([[0.2, 0.1], [1.0, -1.0], [0.0, 3.0]]), np.array([0.5, 0.0, -2.0])
    fed = np.random.default_rng(0).uniform(-1, 1, (2, 12, 14, 2)).astype("float32")
    result = stem(model, channel_map=(matrix, offset))
    assert relative(result.model(fed), model((fed @ matrix.T + offset).astype("float32"))) < 1e-5


def test_a_map_of_ones_own_comes_before_the_preprocessing_of_raw_pixels():
    model, pixels = model_of("conv"), bytes_like(12, 14, 3)
    swap = np.eye(3)[[1, 2, 0]]
    result = stem(model, channel_map=(swap, np.zeros(3)), preprocess="torch", pixels="raw")
    assert relative(result.model(pixels.astype("float32")), model(normalize(pixels[..., [1, 2, 0]], "torch"))) < 1e-5


def test_a_source_of_other_channels_takes_a_map():
    x = keras.Input((8, 8, 6), name="image")
    model = models.settle(keras.Model(x, L.Conv2D(3, 3, padding="same", name="conv")(x)))
    matrix = np.concatenate([np.eye(3), np.eye(3)])
    fed = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype("float32")
    result = stem(model, channel_map=(matrix, np.zeros(6)))
    assert relative(result.model(fed), model(np.concatenate([fed, fed], axis=-1))) < 1e-5


def test_a_gray_source_takes_yuv_by_its_luma_plane_alone():
    x = keras.Input((8, 8, 1), name="image")
    model = models.settle(keras.Model(x, L.Conv2D(3, 3, padding="same", name="conv")(x)))
    pixels = bytes_like(8, 8, 3)
    result = stem(model, order="yuv", preprocess="tf", pixels="raw")
    expected = model((pixels[..., :1] / 127.5 - 1).astype("float32"))
    # Rounded coefficients: 0.299 * 1.402 - 0.587 * 0.714136 is -3e-7 and not 0.
    assert relative(result.model(pixels.astype("float32")), expected) < 1e-4


def test_pictures_come_in_the_devices_order():
    rgb = bytes_like(4, 4, 3)
    assert np.array_equal(in_order(rgb, "bgr"), rgb[..., ::-1])
    assert np.array_equal(in_order(rgb, "rgba")[..., :3], rgb)
    assert (in_order(rgb, "rgba")[..., 3] == 255).all()
    assert np.abs(colours(in_order(rgb, "yuv"), "yuv") - rgb).max() < 1.5
    gray = np.repeat(bytes_like(4, 4, 1), 3, axis=-1)
    assert np.array_equal(in_order(gray, "yuv"), np.concatenate([gray[..., :1], np.full((2, 4, 4, 2), 128)], axis=-1))


@pytest.mark.parametrize(
    ("kind", "mode", "order", "construction"),
    [
        ("conv", "raw", "gray", "kernel sum"), ("conv", "raw", "rgb", "none"),
        ("conv", "tf", "gray", "constant padding"),
        ("conv", "tf", "rgb", "constant padding"), ("conv", "tf", "rgba", "constant padding"),
        ("conv", "torch", "yuv", "1x1 convolution"),
        ("conv", "caffe", "gray", "ones channel"), ("conv", "torch", "rgb", "1x1 convolution"),
        ("conv", "raw", "bgr", "kernel fold"), ("conv", "raw", "yuv", "1x1 convolution"),
        ("grouped", "raw", "gray", "kernel sum"), ("depthwise", "raw", "gray", "kernel sum"),
        ("separable", "raw", "gray", "kernel sum"), ("depthwise, pointwise", "raw", "gray", "kernel sum"),
        ("depthwise, pointwise", "tf", "gray", "constant padding"),
        ("several consumers", "tf", "rgb", "constant padding"), ("skip", "raw", "gray", "concatenate"),
        ("skip", "tf", "gray", "1x1 convolution"), ("pooled", "raw", "gray", "concatenate"),
        ("dense", "caffe", "gray", "kernel sum"),
    ],
)  # fmt: skip
def test_the_cheapest_exact_construction_is_taken_and_named(kind, mode, order, construction):
    assert stem(model_of(kind), order=order, preprocess=mode, pixels="raw").construction == construction


@pytest.mark.parametrize(("order", "construction"), [("gray", "ones channel"), ("rgb", "1x1 convolution")])
def test_without_constant_padding_another_exact_construction_is_taken(order, construction):
    """What an int16x8 file for TFLM asks for, whose PADV2 takes no 16-bit values."""
    model, pixels = model_of("conv"), bytes_like(12, 14, 1 if order == "gray" else 3)
    result = stem(model, order=order, preprocess="tf", pixels="raw", constant_padding=False)
    expected = model(normalize(np.repeat(pixels, 3, axis=-1) if order == "gray" else pixels, "tf"))
    assert result.construction == construction
    assert relative(result.model(pixels.astype("float32")), expected) < 1e-5


def test_a_depthwise_first_layer_becomes_one_convolution_where_that_is_cheaper():
    result = stem(model_of("depthwise, pointwise"), channels=1, preprocess="torch", pixels="raw")
    kinds = [type(layer).__name__ for layer in result.model.layers]
    assert kinds == ["InputLayer", "Conv2D", "Conv2D", "BatchNormalization", "ReLU"]
    assert result.model.layers[2].kernel.shape == (3, 3, 2, 2)


def test_a_depthwise_first_layer_stays_one_where_channels_are_not_mixed():
    result = stem(model_of("depthwise", padding="valid"), preprocess="torch", pixels="raw")
    assert type(result.model.layers[1]) is L.DepthwiseConv2D


def test_the_cost_is_told():
    result = stem(model_of("conv"), channels=1)
    macs = 6 * 7 * 9 * 4
    assert result.cost == {
        "macs": {"before": 3 * macs, "after": macs},
        "operators": {"before": 3, "after": 3},
    }


def refusal(model, **options):
    with pytest.raises(StemError) as caught:
        stem(model, **options)
    return str(caught.value)


def test_channels_that_mean_nothing_are_refused():
    model = model_of("conv")
    assert refusal(model, order="hsv") == (
        "stem: order is 'hsv'; one of 'gray', 'rgb', 'bgr', 'yuv', 'rgba' is expected"
    )
    assert refusal(model, order="yuv", channels=1) == "stem: order 'yuv' has 3 channels, and channels is 1"
    assert refusal(model, order="yuv", preprocess="torch") == (
        "stem: preprocess 'torch' treats the channels differently, so 'yuv' pixels can't be normalized before they are "
        "mixed; set pixels = 'raw'"
    )
    assert refusal(model, channel_map=(np.eye(2), np.zeros(2))) == (
        "stem: channel_map has shapes (2, 2) and (2,); (3, device channels) and (3,) are expected"
    )
    assert refusal(model, channel_map=(np.eye(3), np.zeros(3)), data=np.zeros((2, 8, 8, 3), "uint8")) == (
        "stem: a channel_map says what the source sees of the device's channels, not what the device sees of a "
        "picture, so data can't be used with it; leave data out, or name the order"
    )
    assert refusal(model, channel_map=(np.eye(3), np.zeros(3)), channels=3) == (
        "stem: a channel_map says what the channels are; leave channels and order out"
    )


def test_an_unlike_preprocessing_is_no_obstacle_to_raw_bgr():
    model, pixels = model_of("conv"), bytes_like(12, 14, 3)
    result = stem(model, order="bgr", preprocess=UNLIKE, pixels="raw")
    # The source takes B, G, R itself: nothing is left to swap.
    assert result.construction == "1x1 convolution"
    assert relative(result.model(pixels.astype("float32")), model(normalize(pixels[..., ::-1], UNLIKE))) < 1e-5
