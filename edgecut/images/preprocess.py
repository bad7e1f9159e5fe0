"""What a source model was trained on: one affine map per colour channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgecut.errors import DataError
from edgecut.records.document import parse
from edgecut.records.nearest import closest
from edgecut.records.recipe import CustomPreprocess, Preprocess

NAMES = ("tf", "torch", "caffe", "raw", "none")

# keras.applications.imagenet_utils, preprocess_input(mode="torch"): of pixels divided by 255, in the order R,
# G, B.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)
# The same function, mode="caffe": of pixels in 0..255, in the order B, G, R.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
# Images are mapped one or a few at a time: what fits into a core's cache is mapped ten times as fast.
_CHUNK_VALUES = 1 << 15
_BYTES = np.arange(256)


@dataclass(frozen=True, eq=False)
class Affine:
    """x -> x * scale + offset for each channel of a colour pixel in 0..255.

    scale, offset: (3,), float64, both in the channel order that the model takes. order: that order; the
    pixels themselves are R, G, B.
    """

    scale: np.ndarray
    offset: np.ndarray
    order: Literal["rgb", "bgr"]

    @property
    def changes_nothing(self) -> bool:
        """Whether the model takes the pixels as they are."""
        return self.order == "rgb" and bool(np.all(self.scale == 1) and np.all(self.offset == 0))

    @property
    def treats_channels_alike(self) -> bool:
        """Whether one gray value can carry it."""
        return bool(np.all(self.scale == self.scale[0]) and np.all(self.offset == self.offset[0]))


def affine(preprocess: Preprocess | Mapping[str, object]) -> Affine:
    """The map that a recipe's `source.preprocess` means; a mapping has the keys of CustomPreprocess.

    Raises DataError for a name that isn't known, DocumentError for a mapping with faults.
    """
    if isinstance(preprocess, Mapping):
        preprocess = parse(CustomPreprocess, preprocess, "preprocess")
    if isinstance(preprocess, CustomPreprocess):
        return _affine(preprocess.scale, preprocess.offset, preprocess.order)
    if preprocess == "tf":
        return _affine(1 / 127.5, -1.0, "rgb")
    if preprocess == "torch":
        std = np.array(_TORCH_STD)
        return _affine(1 / (255 * std), -np.array(_TORCH_MEAN) / std, "rgb")
    if preprocess == "caffe":
        return _affine(1.0, -np.array(_CAFFE_MEAN), "bgr")
    if preprocess not in NAMES:
        raise DataError(f"preprocess {preprocess!r} isn't known{closest(str(preprocess), NAMES)}; give one of {NAMES}")
    return _affine(1.0, 0.0, "rgb")


def normalize(pixels: np.ndarray, preprocess: Preprocess | Mapping[str, object]) -> np.ndarray:
    """The pixels as the source model was trained on them, float32.

    pixels: (n, height, width, channels) in 0..255, uint8 or float; colour is R, G, B.
    Computed in float64 and rounded once; of bytes, once for each of the 256, which are then looked up.
    Raises DataError for one gray channel under a preprocessing that treats the colours differently, and for
    any number of channels but 1 and 3 under one that changes them.
    """
    channels = pixels.shape[-1]
    mapping = affine(preprocess)
    if mapping.changes_nothing:
        return pixels.astype(np.float32)
    if channels not in (1, 3):
        raise DataError(f"images: {channels} channels can't be preprocessed; 1 (gray) or 3 (R, G, B) are expected")
    if channels == 1 and not mapping.treats_channels_alike:
        raise DataError(
            f"preprocess {_spelled(preprocess)} treats the channels differently, so one gray value can't "
            'carry it; set stem.pixels = "raw"'
        )
    ordered = pixels[..., ::-1] if channels == 3 and mapping.order == "bgr" else pixels
    scale, offset = mapping.scale[:channels], mapping.offset[:channels]
    result = np.empty(pixels.shape, np.float32)
    tables = [(_BYTES * a + b).astype(np.float32) for a, b in zip(scale, offset, strict=True)]
    step = max(1, _CHUNK_VALUES // max(1, int(np.prod(pixels.shape[1:]))))
    for first in range(0, len(pixels), step):
        chunk = slice(first, first + step)
        if pixels.dtype != np.uint8:
            result[chunk] = ordered[chunk] * scale + offset
        elif mapping.treats_channels_alike:
            np.take(tables[0], ordered[chunk], out=result[chunk], mode="clip")
        else:
            for channel, table in enumerate(tables):
                result[chunk, ..., channel] = table[ordered[chunk, ..., channel]]
    return result


def _affine(scale: object, offset: object, order: Literal["rgb", "bgr"]) -> Affine:
    for key, values in (("scale", scale), ("offset", offset)):
        count = np.size(np.asarray(values))
        if count not in {1, 3}:
            raise DataError(f"preprocess: {key} has {count} values, and pictures have 3 channels; give one or three")
    three = [np.broadcast_to(np.asarray(values, np.float64), (3,)).copy() for values in (scale, offset)]
    for values in three:
        values.setflags(write=False)
    return Affine(three[0], three[1], order)


def _spelled(preprocess: Preprocess | Mapping[str, object]) -> str:
    if not isinstance(preprocess, CustomPreprocess):
        return repr(preprocess)
    return f"{{scale = {_toml(preprocess.scale)}, offset = {_toml(preprocess.offset)}}}"


def _toml(values: float | tuple[float, ...]) -> str:
    return f"[{', '.join(str(v) for v in values)}]" if isinstance(values, tuple) else str(values)
