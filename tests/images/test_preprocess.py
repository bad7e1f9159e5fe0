from __future__ import annotations

import numpy as np
import pytest

from edgecut.errors import DataError
from edgecut.images.preprocess import affine, normalize
from edgecut.records.recipe import CustomPreprocess, Preprocess

# Every byte in each of the three channels, in a different order in each.
BYTES = np.stack([np.roll(np.arange(256), 85 * c) for c in range(3)], axis=-1).astype(np.uint8).reshape(1, 16, 16, 3)


def _keras_formula(pixels: np.ndarray, mode: str) -> np.ndarray:
    """keras.applications.imagenet_utils.preprocess_input, step by step in float64."""
    x = pixels.astype(np.float64)
    if mode == "tf":
        return x / 127.5 - 1.0
    if mode == "torch":
        return (x / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return x[..., ::-1] - [103.939, 116.779, 123.68]


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_every_byte_is_preprocessed_as_keras_does(mode: Preprocess) -> None:
    result = normalize(BYTES, mode)
    assert result.dtype == np.float32
    # One rounding to float32 of values up to 152.
    np.testing.assert_allclose(result, _keras_formula(BYTES, str(mode)), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("mode", ["raw", "none"])
def test_raw_and_none_leave_the_bytes(mode: Preprocess) -> None:
    np.testing.assert_array_equal(normalize(BYTES, mode), BYTES.astype(np.float32))


def test_custom_scale_and_offset_follow_the_order_of_the_model() -> None:
    custom = CustomPreprocess(scale=(1.0, 2.0, 3.0), offset=(0.5, 0.0, -0.5), order="bgr")
    pixels = np.array([[[[10, 20, 30]]]], np.uint8)
    np.testing.assert_array_equal(normalize(pixels, custom), np.array([[[[30.5, 40.0, 29.5]]]], np.float32))


def test_affine_says_the_same_as_normalize() -> None:
    mapping = affine("caffe")
    expected = BYTES[..., ::-1] * mapping.scale + mapping.offset
    assert mapping.order == "bgr"
    np.testing.assert_array_equal(normalize(BYTES, "caffe"), expected.astype(np.float32))


def test_float_pixels_are_taken_as_bytes_are() -> None:
    np.testing.assert_array_equal(normalize(BYTES.astype(np.float32), "torch"), normalize(BYTES, "torch"))


def test_many_images_are_the_same_as_each_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 224, 224, 1), np.uint8)
    together = normalize(pixels, "tf")
    np.testing.assert_array_equal(together, np.concatenate([normalize(image[None], "tf") for image in pixels]))


@pytest.mark.parametrize("mode", ["tf", "raw", CustomPreprocess(scale=0.5, offset=3.0, order="bgr")])
def test_gray_equals_one_channel_of_replicated_gray(mode: Preprocess) -> None:
    gray = BYTES[..., :1]
    np.testing.assert_array_equal(normalize(gray, mode), normalize(np.repeat(gray, 3, axis=-1), mode)[..., :1])


@pytest.mark.parametrize(
    ("mode", "spelled"),
    [
        ("caffe", "'caffe'"),
        ("torch", "'torch'"),
        (CustomPreprocess(scale=(1, 2, 3), offset=0), "{scale = [1.0, 2.0, 3.0], offset = 0.0}"),
        (CustomPreprocess(scale=1, offset=(1, 1, 3)), "{scale = 1.0, offset = [1.0, 1.0, 3.0]}"),
    ],
)
def test_gray_is_refused_where_the_channels_are_treated_differently(mode: Preprocess, spelled: str) -> None:
    with pytest.raises(DataError) as caught:
        normalize(BYTES[..., :1], mode)
    assert str(caught.value) == (
        f"preprocess {spelled} treats the channels differently, so one gray value can't carry it; "
        'set stem.pixels = "raw"'
    )


def test_other_numbers_of_channels_are_refused_where_they_would_change() -> None:
    with pytest.raises(DataError) as caught:
        normalize(np.zeros((1, 2, 2, 4), np.uint8), "tf")
    assert str(caught.value) == "images: 4 channels can't be preprocessed; 1 (gray) or 3 (R, G, B) are expected"
    pixels = np.arange(16, dtype=np.uint8).reshape(1, 2, 2, 4)
    assert np.array_equal(normalize(pixels, "none"), pixels.astype(np.float32))


def test_a_mapping_means_the_same_as_the_record() -> None:
    pixels = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    facts = {"scale": 0.5, "offset": [1.0, 2.0, 3.0], "order": "bgr"}
    expected = normalize(pixels, CustomPreprocess(scale=0.5, offset=(1.0, 2.0, 3.0), order="bgr"))
    assert np.array_equal(normalize(pixels, facts), expected)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        normalize(np.zeros((1, 2, 2, 3), np.uint8), "tff")
    assert str(caught.value) == (
        "preprocess 'tff' isn't known (closest: 'tf', 'caffe'); give one of ('tf', 'torch', 'caffe', 'raw', 'none')"
    )


def test_a_scale_for_another_number_of_channels_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        affine({"scale": [1.0, 2.0]})
    assert str(caught.value) == "preprocess: scale has 2 values, and pictures have 3 channels; give one or three"
