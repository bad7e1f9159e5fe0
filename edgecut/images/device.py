"""The one way from a picture to what the device's camera would give, and from there to the model's input.

Training, calibration, checks and golden vectors all go through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from edgecut.errors import DataError

if TYPE_CHECKING:
    from edgecut.records.recipe import Preprocess

# What a device's picture can be, and its channels. YUV is ITU-R BT.601 in full range, as JFIF has it: U and V are 128
# without colour.
CHANNELS: dict[str, int] = {"gray": 1, "rgb": 3, "bgr": 3, "yuv": 3, "rgba": 4}
DEFAULT_ORDER: dict[int, str] = {1: "gray", 3: "rgb", 4: "rgba"}
# What the bytes of a pixel are, for people.
COLOURS = {
    "gray": "gray (0.299 R + 0.587 G + 0.114 B)",
    "rgb": "R, G, B",
    "bgr": "B, G, R",
    "rgba": "R, G, B, A",
    "yuv": "Y, U, V (ITU-R BT.601, full range)",
}
YUV_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
_RGB_TO_YUV = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


@dataclass(frozen=True)
class PictureForm:
    """What a device's pictures are. order: of their bytes; None: gray or rgb, as the channels say."""

    height: int
    width: int
    channels: int
    order: str | None = None

    @classmethod
    def in_order(cls, height: int, width: int, order: str) -> PictureForm:
        """The form of pictures whose order alone is known."""
        return cls(height, width, 1 if order == "gray" else 3, order)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture's bytes."""
        channels = self.channels if self.order is None else CHANNELS[self.order]
        return (self.height, self.width, channels)

    def of(self, images: np.ndarray) -> np.ndarray:
        """Pictures as `to_device_batch` takes them, in this form: (n, *shape), uint8."""
        pixels = to_device_batch(images, self.height, self.width, self.channels)
        return pixels if self.order is None else in_order(pixels, self.order)


def is_picture(inputs: Sequence[Sequence[int | None]]) -> bool:
    """Whether a model takes one picture, (batch, height, width, channels)."""
    return len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][3] in DEFAULT_ORDER


def to_device(image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """The picture in the device's format: (height, width, channels), uint8.

    image: uint8, (h, w) or (h, w, 1) gray, (h, w, 3) R, G, B, or (h, w, 4) whose alpha is dropped.
    Resized first (bilinear, Pillow's, which averages when it shrinks), then made gray by luma
    (0.299 R + 0.587 G + 0.114 B, rounded to the nearest byte, halves up). Gray is repeated where 3 channels
    are asked for. A picture that has the size and the channels already comes back with its own bytes. Raises
    DataError for another dtype, shape or number of channels.
    """
    return to_device_batch(image[None], height, width, channels)[0]


def to_device_batch(images: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """The same as to_device for (n, h, w) or (n, h, w, c): (n, height, width, channels), uint8.

    The result shares memory with `images` where nothing has to change.
    """
    _check(images, height, width, channels)
    pixels = images[..., None] if images.ndim == 3 else images[..., :3]
    if pixels.shape[1:3] != (height, width):
        pixels = _resized(pixels, height, width)
    if pixels.shape[-1] == channels:
        return pixels
    return _luma(pixels) if channels == 1 else np.repeat(pixels, 3, axis=-1)


def in_order(pixels: np.ndarray, order: str) -> np.ndarray:
    """Pictures as a device of that order gives them: (n, height, width, CHANNELS[order]), uint8.

    pixels: uint8, (n, height, width, 1) for "gray", else (n, height, width, 3) R, G, B. Alpha is 255; YUV is rounded
    to the nearest byte, halves up.
    """
    if order in {"gray", "rgb"}:
        return pixels
    if order == "bgr":
        return np.ascontiguousarray(pixels[..., ::-1])
    if order == "rgba":
        return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    result = np.empty_like(pixels)
    for index, picture in enumerate(pixels):
        mixed = picture.astype(np.float64) @ np.transpose(_RGB_TO_YUV) + (0.0, 128.0, 128.0)
        result[index] = np.clip(np.floor(mixed + 0.5), 0, 255)
    return result


def shown_pixels(pixels: np.ndarray, order: str) -> np.ndarray:
    """The bytes of a device as a viewer shows them: (n, height, width, 1) for "gray", else (..., 3) R, G, B, uint8.

    What `in_order` makes, made undone; YUV to the nearest byte. pixels: (n, height, width, CHANNELS[order]), uint8.
    """
    if order in {"gray", "rgb"}:
        return pixels
    if order == "bgr":
        return np.ascontiguousarray(pixels[..., ::-1])
    if order == "rgba":
        return pixels[..., :3]
    mixed = (pixels.astype(np.float64) - (0.0, 128.0, 128.0)) @ np.transpose(YUV_TO_RGB)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def model_input(pixels: np.ndarray, preprocess: Preprocess, pixels_mode: Literal["raw", "normalized"]) -> np.ndarray:
    """What the model takes for the device's pixels: (n, height, width, channels), float32.

    pixels: uint8, the same shape. pixels_mode: a recipe's stem.pixels; "raw" gives the bytes as they are,
    "normalized" what the source model was trained on. Raises DataError as `normalize` does.
    """
    if pixels_mode == "raw":
        return pixels.astype(np.float32)
    # Imported here: it reads recipes, and a child process that decodes pictures is started by each command.
    from edgecut.images.preprocess import normalize

    return normalize(pixels, preprocess)


def _check(images: np.ndarray, height: int, width: int, channels: int) -> None:
    if channels not in (1, 3):
        raise DataError(f"images: a device of {channels} channels can't be fed from pictures; 1 or 3 are expected")
    if min(height, width) < 1:
        raise DataError(f"images: {height} x {width} is no size; height and width are at least 1")
    if images.dtype != np.uint8:
        raise DataError(f"images: bytes (uint8) are expected, found {images.dtype}")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in (1, 3, 4)):
        raise DataError(
            f"images: a picture is (h, w) or (h, w, c) with 1, 3 or 4 channels, found {images.shape[1:]}; "
            "channels come last"
        )
    if 0 in images.shape[1:]:
        raise DataError(f"images: a picture without pixels, found {images.shape[1:]}")


def _resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(n, h, w, 1 or 3) -> (n, height, width, the same channels)."""
    result = np.empty((len(pixels), height, width, pixels.shape[-1]), np.uint8)
    for index, image in enumerate(pixels):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else np.ascontiguousarray(image))
        # Across, then down, each rounded to bytes: Pillow chose that order until 12, and from 13 on by the sizes.
        across = picture.resize((width, picture.height), Image.Resampling.BILINEAR)
        resized = np.asarray(across.resize((width, height), Image.Resampling.BILINEAR))
        result[index] = resized.reshape(result.shape[1:])
    return result


def _luma(pixels: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) -> (n, h, w, 1); in whole numbers, so that it is the same on every machine."""
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    gray = (299 * red + 587 * green + 114 * blue + 500) // 1000
    return gray.astype(np.uint8)[..., None]
