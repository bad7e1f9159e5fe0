"""A fitted stem: as near to the source's responses as its size allows, and its error told."""

import keras
import numpy as np
import pytest

from edgecut import stem
from edgecut.errors import StemError
from edgecut.images.device import to_device_batch
from edgecut.images.preprocess import normalize
from tests.graph import models
from tests.stem.firsts import bytes_like, conv_model, model_of, relative

pytestmark = pytest.mark.tensorflow

L = keras.layers


def pictures(count=40, height=32, width=32, channels=3, seed=0):
    """Smooth coloured pictures, so that neighbouring pixels tell of each other as they do in photos."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, 8, 8, channels))
    fine = np.asarray(keras.ops.image.resize(coarse, (height, width), interpolation="bicubic"))
    return np.clip(fine + random.normal(0, 6, fine.shape), 0, 255).astype("uint8")


def classifier(height=32, width=32):
    x = inputs = keras.Input((height, width, 3), name="image")
    x = L.Conv2D(12, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="bn")(x))
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
    x = L.Dense(6, name="dense")(L.GlobalAveragePooling2D(name="pool")(x))
    return models.settle(keras.Model(inputs, x))


@pytest.mark.parametrize("pixels", ["raw", "normalized"])
def test_what_can_be_hit_exactly_is(pixels):
    """The same window and channels: least squares finds the source's own kernel, padding included."""
    model = classifier()
    result = stem(model, preprocess="tf", resolution="fit", pixels=pixels, data=pictures())
    held = pictures(seed=5)
    fed = held.astype("float32") if pixels == "raw" else normalize(held, "tf")
    assert relative(result.model(fed), model(normalize(held, "tf"))) < 1e-3
    assert result.proof["response_error"] < 1e-3
    assert result.proof["top1_agreement"] == 1.0
    assert result.construction == "fit"


def test_half_the_pixels_are_fitted_better_than_repeated():
    model, images = classifier(), pictures(60)
    fitted = stem(model, size=(16, 16), preprocess="tf", resolution="fit", data=images)
    held = pictures(40, seed=7)
    expected = np.asarray(model(normalize(held, "tf")))
    small = normalize(to_device_batch(held, 16, 16, 3), "tf")
    nearest = stem(model, size=(16, 16), preprocess="tf", resolution="nearest").model
    errors = [float(np.mean((np.asarray(m(small)) - expected) ** 2)) for m in (fitted.model, nearest)]
    assert errors[0] < errors[1] / 2
    assert tuple(fitted.model.get_layer("conv").strides) == (1, 1)
    assert not fitted.proof["exact"]


def test_twice_the_pixels_are_seen_as_wide_as_the_source_saw_them():
    """A kernel of as few pixels would see half as much of the picture, and miss pixels between its steps."""
    model, images = classifier(), pictures(60, 64, 64)
    fitted = stem(model, size=(64, 64), preprocess="tf", resolution="fit", data=images)
    average = stem(model, size=(64, 64), preprocess="tf", resolution="average", data=images)
    assert fitted.model.get_layer("conv").kernel_size == (6, 6)
    assert fitted.proof["image_error"] < average.proof["image_error"] / 2


def test_a_larger_window_is_never_worse_and_other_channels_are_taken():
    model, images = classifier(), pictures(60)
    errors = [
        stem(model, 1, (16, 16), "tf", "fit", "raw", images, kernel=kernel).proof["response_error"]
        for kernel in (2, 3, 5)
    ]
    assert errors[0] > errors[1] > errors[2] * 0.99
    result = stem(model, size=(16, 16), order="yuv", preprocess="torch", resolution="fit", pixels="raw", data=images)
    assert result.model.input_shape == (None, 16, 16, 3)
    assert result.proof["response_error"] < 0.5


@pytest.mark.parametrize("filters", [3, 12, 20])
def test_other_filters_come_back_to_the_sources_by_a_1x1_convolution(filters):
    model = classifier()
    result = stem(model, preprocess="tf", resolution="fit", data=pictures(), filters=filters, kernel=5)
    names = [layer.name for layer in result.model.layers[:4]]
    wide = filters != 12
    assert names[1:] == (["conv_spatial", "conv", "relu"] if wide else ["conv", "relu", "conv2"])
    first = result.model.layers[1]
    assert (first.filters, tuple(first.kernel_size)) == (filters, (5, 5))
    assert ("1x1 convolution" in result.construction) is wide
    assert result.proof["response_error"] < (0.75 if filters == 3 else 1e-3)
    assert not wide or np.abs(np.asarray(first.kernel)).sum(axis=(0, 1, 2)).min() > 0


def test_fewer_filters_are_the_best_of_their_rank():
    """By reduced rank the error falls with every filter."""
    model, images = classifier(), pictures()
    errors = [
        stem(model, preprocess="tf", resolution="fit", data=images, filters=filters).proof["response_error"]
        for filters in (1, 2, 4, 8)
    ]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("filters", [None, 6])
def test_batch_normalization_changes_nothing_until_it_is_trained(filters):
    model, images = model_of("separable", 12, 14), pictures(20, 12, 14)
    options = {"preprocess": "tf", "resolution": "fit", "data": images, "filters": filters}
    plain, normalized = stem(model, **options), stem(model, **options, batch_norm=True)
    x = normalize(images, "tf")
    assert relative(normalized.model(x), plain.model(x)) < 1e-5
    layers = [layer.name for layer in normalized.model.layers]
    assert layers[-5:-2] == ["first", "first_normalization", "first_activation"]
    seen = keras.Model(normalized.model.inputs, normalized.model.get_layer("first").output)([x])
    statistics = normalized.model.get_layer("first_normalization")
    assert np.allclose(np.mean(seen, axis=(0, 1, 2)), statistics.moving_mean, atol=0.1)


@pytest.mark.parametrize("pixels", ["raw", "normalized"])
def test_a_device_of_the_wrong_ratio_is_interpolated_before_the_fitted_window(pixels):
    model, images = classifier(), pictures()
    result = stem(model, 3, (24, 20), "tf", "fit", pixels, images)
    assert result.construction == "bilinear upsampling, fit"
    assert result.model.input_shape == (None, 24, 20, 3)
    held = to_device_batch(images[-8:], 24, 20, 3)
    expected = np.asarray(model(normalize(images[-8:], "tf")))
    plain = stem(model, 3, (24, 20), "tf", "bilinear", pixels)
    fed = held.astype("float32") if pixels == "raw" else normalize(held, "tf")
    errors = [np.mean((np.asarray(m(fed)) - expected) ** 2) for m in (result.model, plain.model)]
    assert errors[0] < errors[1] / 2
    assert result.proof["image_error"] == pytest.approx((errors[0] / np.mean(expected**2)) ** 0.5, rel=1e-3)


def test_a_device_of_many_more_pixels_in_no_whole_ratio_is_refused():
    assert refusal(classifier(), size=(80, 90), data=bytes_like(32, 32, 3)) == (
        "stem: resolution 'fit': of the device's height 80 the source's 32 would leave pixels out; use at most 64, or "
        "resolution 'average' with a multiple of 32"
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_fit_for_gray_is_never_worse_than_the_kernel_sum(seed):
    """On the held-out pictures, in the outputs: the responses in gray, which the sum gives, are fitted to as well."""
    model, images = classifier(), pictures(40, seed=seed)
    for scale, weight in enumerate(model.weights):
        weight.assign(weight * (1 + 0.1 * seed * scale))
    fitted = stem(model, 1, preprocess="tf", resolution="fit", data=images)
    held = images[-8:]
    expected = np.asarray(model(normalize(held, "tf")))
    gray = normalize(to_device_batch(held, 32, 32, 1), "tf")
    errors = [np.mean((np.asarray(m(gray)) - expected) ** 2) for m in (fitted.model, stem(model, 1).model)]
    assert errors[0] <= errors[1] * 1.001
    assert fitted.notes[0].endswith(f"the variation of {fitted.proof['fitted_to']} on 8 held-out images")
    assert len(fitted.notes) == 2


def test_the_held_out_images_are_told():
    result = stem(classifier(), preprocess="tf", resolution="fit", data=pictures(20))
    assert (result.proof["inputs"], result.proof["fitted_on"]) == (4, 16)
    assert result.notes[0].startswith("fitted: 12 filters of 3x3, stride 2; off by 0.000 of the variation")


def refusal(model, **options):
    with pytest.raises(StemError) as caught:
        stem(model, resolution="fit", **options)
    return str(caught.value)


def test_what_cannot_be_fitted_is_refused():
    model = conv_model(3, 2, "same", 16, 16)
    assert refusal(model) == "stem: resolution 'fit' needs at least 2 images to fit on; give data (--data)"
    even = np.arange(30, dtype="uint8").repeat(16 * 16 * 3).reshape(30, 16, 16, 3)
    assert refusal(model, data=even) == (
        "stem: resolution 'fit': each image is of one colour, which tells nothing of a kernel; give others"
    )
    assert refusal(model, data=even[:0]) == "stem: data holds no image; give some, or leave data out"
    assert refusal(model_of("pooled"), data=bytes_like(12, 14, 3)) == (
        "stem: resolution 'fit' needs one first convolution, and the picture goes into 0 that can be replaced; use "
        "'reuse', 'nearest' or 'average'"
    )
    assert refusal(model, data=bytes_like(16, 16, 3), stride=1) == (
        "stem: stride (1, 1) doesn't give the source's 8x8 responses from 16x16 pixels; use (2, 2)"
    )
    assert refusal(model, data=bytes_like(16, 16, 3), filters=0) == ("stem: kernel, stride and filters are at least 1")
