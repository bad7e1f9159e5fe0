"""What a device feeds, as one value: its pictures or arrays, and how they become the model's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edgecut.images.arrays import ArrayInputs
from edgecut.images.dataset import Images, calibration_sample
from edgecut.images.device import is_picture, model_input
from edgecut.images.rows import columns, packed
from edgecut.records.recipe import CustomPreprocess, Data, Kind, Preprocess

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class PictureFeed:
    """What a camera gives, and how it becomes the model's input.

    shape: (height, width, channels) of the device's pictures. preprocess: what the source model was trained on. pixels:
    "raw" if the model takes the bytes as they are, "normalized" if it takes what preprocess makes of them.

    >>> PictureFeed((1, 2, 1), "tf", "normalized").values(np.array([[[[0], [255]]]], np.uint8)).ravel().tolist()
    [-1.0, 1.0]
    """

    shape: Shape
    preprocess: Preprocess = "none"
    pixels: Literal["raw", "normalized"] = "normalized"

    @property
    def is_raw_camera(self) -> bool:
        """Whether a camera's bytes are the model's values, so that an int8 file can take them unchanged."""
        return "raw" in {self.pixels, self.preprocess}

    def values(self, pictures: np.ndarray) -> np.ndarray:
        """What the model takes for pictures: (n, height, width, channels), uint8 -> the same shape, float32."""
        return model_input(pictures, self.preprocess, self.pixels)

    def calibration(self, images: Images, data: Data) -> np.ndarray:
        """The images that set the int8 ranges, as the model takes them: (n, height, width, channels), float32.

        Two corner pixels of the first are set to 0 and 255: images that never reach the extremes would change the
        input's scale, and the camera's bytes would no longer pass as they are.
        """
        pixels = calibration_sample(images, data.calibration, data.seed).copy()
        pixels[0, 0, 0], pixels[0, -1, -1] = 0, 255
        return self.values(pixels)


@dataclass(frozen=True)
class ArrayFeed:
    """What feeds a model's own inputs: rows (rows.py) of their shapes, scaled where preprocess says so.

    preprocess: "none", or a scale and an offset, one number or one for each place of the last axis. No camera gives
    them, so that there is no shape of pictures.

    >>> feed = ArrayFeed((), CustomPreprocess(scale=(2.0, 1.0), offset=-1.0))
    >>> feed.values(np.array([[1.0, 5.0]], np.float32)).tolist()
    [[1.0, 4.0]]
    """

    inputs: ArrayInputs
    preprocess: Preprocess = "none"
    shape: None = field(default=None, init=False)
    pixels: Literal["normalized"] = field(default="normalized", init=False)
    is_raw_camera: Literal[False] = field(default=False, init=False)

    def values(self, rows: np.ndarray) -> np.ndarray:
        """What the model takes for rows, in rows of the same shape."""
        if not isinstance(self.preprocess, CustomPreprocess):
            return rows
        scale, offset = (np.asarray(x, np.float64) for x in (self.preprocess.scale, self.preprocess.offset))
        return packed([x if x.dtype.kind in "iub" else (x * scale + offset).astype(x.dtype) for x in columns(rows)])

    def calibration(self, images: Images, data: Data) -> np.ndarray:
        """The rows that set the int8 ranges, as the model takes them."""
        return self.values(calibration_sample(images, data.calibration, data.seed))


Feed = PictureFeed | ArrayFeed


def kind_of(data: Data, inputs: Sequence[Sequence[int | None]]) -> Kind:
    """What feeds a model of these inputs, (batch, ...) each: what the recipe says, else pictures where it takes one."""
    return data.kind or ("pictures" if is_picture(inputs) else "arrays")
