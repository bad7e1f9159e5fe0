"""What a device feeds, as one value: the pictures' shape and order, and how they become the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgecut.images.dataset import Images, calibration_sample
from edgecut.images.device import model_input
from edgecut.records.recipe import Data, Preprocess, Recipe

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Feed:
    """What the device gives, and how it becomes the model's input.

    shape: (height, width, channels) of the device's pictures; None for a model that no camera feeds. preprocess: what
    the source model was trained on. pixels: "raw" if the model takes the bytes as they are, "normalized" if it takes
    what preprocess makes of them.

    >>> Feed((1, 2, 1), "tf", "normalized").values(np.array([[[[0], [255]]]], np.uint8)).ravel().tolist()
    [-1.0, 1.0]
    """

    shape: Shape | None
    preprocess: Preprocess = "none"
    pixels: Literal["raw", "normalized"] = "normalized"

    @property
    def is_raw_camera(self) -> bool:
        """Whether a camera's bytes are the model's values, so that an int8 file can take them unchanged."""
        return self.shape is not None and "raw" in {self.pixels, self.preprocess}

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


def feed_of(recipe: Recipe, shape: Shape | None) -> Feed:
    """The feed of a recipe's model whose pictures have this shape."""
    return Feed(shape, recipe.source.preprocess, recipe.stem.pixels)
