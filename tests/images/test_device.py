from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgecut.errors import DataError
from edgecut.images.device import model_input, to_device, to_device_batch


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(5, 7, 1), (5, 7, 3)])
def test_a_picture_of_the_right_size_keeps_its_bytes(shape: tuple[int, int, int]) -> None:
    image = _noise(*shape)
    np.testing.assert_array_equal(to_device(image, *shape), image)


def test_colour_is_resized_as_pillow_does() -> None:
    image = _noise(20, 30, 3)
    expected = np.asarray(Image.fromarray(image).resize((8, 12), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(to_device(image, 12, 8, 3), expected)


def test_gray_is_resized_as_pillow_does() -> None:
    image = _noise(28, 28)
    expected = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(to_device(image, 32, 32, 1), expected[..., None])


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_gray_is_the_luma_rounded_to_the_nearest_byte(colour: tuple[int, int, int]) -> None:
    """gray = round(0.299 R + 0.587 G + 0.114 B), halves up."""
    red, green, blue = colour
    thousandths = 299 * red + 587 * green + 114 * blue
    expected = thousandths // 1000 + (thousandths % 1000 >= 500)
    assert to_device(np.array([[colour]], np.uint8), 1, 1, 1).item() == expected


def test_size_is_changed_before_colour() -> None:
    image = _noise(9, 9, 3)
    np.testing.assert_array_equal(to_device(image, 4, 4, 1), to_device(to_device(image, 4, 4, 3), 4, 4, 1))


def test_gray_is_repeated_for_a_colour_model() -> None:
    image = _noise(6, 6)
    result = to_device(image, 4, 4, 3)
    np.testing.assert_array_equal(result, np.repeat(to_device(image, 4, 4, 1), 3, axis=-1))


def test_alpha_is_dropped() -> None:
    image = _noise(6, 6, 4)
    np.testing.assert_array_equal(to_device(image, 4, 4, 3), to_device(image[..., :3], 4, 4, 3))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 8, 6, 1), (3, 8, 6, 3), (3, 32, 20, 4)])
def test_a_batch_is_the_same_as_each_picture_alone(shape: tuple[int, ...], channels: int) -> None:
    images = _noise(*shape)
    expected = np.stack([to_device(image, 8, 6, channels) for image in images])
    np.testing.assert_array_equal(to_device_batch(images, 8, 6, channels), expected)


def test_no_pictures_give_no_pictures() -> None:
    assert to_device_batch(np.zeros((0, 4, 4), np.uint8), 8, 6, 3).shape == (0, 8, 6, 3)


def test_raw_input_is_the_bytes_and_normalized_input_is_preprocessed() -> None:
    pixels = np.array([[[[0], [255]]]], np.uint8)
    raw, normalized = model_input(pixels, "tf", "raw"), model_input(pixels, "tf", "normalized")
    assert (raw.dtype, normalized.dtype) == (np.float32, np.float32)
    assert raw.ravel().tolist() == [0.0, 255.0]
    assert normalized.ravel().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("image", "size", "message"),
    [
        (np.zeros((2, 2), np.float32), (2, 2, 1), "images: bytes (uint8) are expected, found float32"),
        (
            np.zeros((3, 8, 8), np.uint8), (2, 2, 1),
            "images: a picture is (h, w) or (h, w, c) with 1, 3 or 4 channels, found (3, 8, 8); "
            "channels come last",
        ),
        (np.zeros((0, 8), np.uint8), (2, 2, 1), "images: a picture without pixels, found (0, 8)"),
        (
            np.zeros((2, 2), np.uint8), (2, 2, 4),
            "images: a device of 4 channels can't be fed from pictures; 1 or 3 are expected",
        ),
        (
            np.zeros((2, 2), np.uint8), (0, 2, 1),
            "images: 0 x 2 is no size; height and width are at least 1",
        ),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(image: np.ndarray, size: tuple[int, int, int], message: str) -> None:
    with pytest.raises(DataError) as caught:
        to_device(image, *size)
    assert str(caught.value) == message
