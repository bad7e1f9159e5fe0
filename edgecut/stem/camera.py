"""A model that takes raw pixels, made to be quantized: the camera's bytes pass as they are (xor 0x80).

An int8 input holds the byte minus 128. What that stands for is the file's own scale and zero point, so a preprocessing
that is one scale and one offset costs nothing there: for x / 127.5 - 1 the scale is 1 / 127.5 and the zero point 0. The
half step by which (byte - 128) / 127.5 is off goes into the first bias. The values are then spread about zero, as
training had them, which a scale of 1 over 0..255 would not give: there the rounding of each weight, times the mean of
the bytes, shifts the outputs (MobileNetV1 to conv_pw_5, gray 96: accuracy .540 against .597).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgecut.graph.calls import calls, flat
from edgecut.graph.proof import INPUTS, OPEN_SIZE
from edgecut.stem.channels import LinearMap, pad_value
from edgecut.stem.construct import Device
from edgecut.stem.edit import Edit, apply
from edgecut.stem.first import FirstOp, first_operators
from edgecut.stem.proof import compared

STEP = 1 / 127.5
_BYTE_MIDDLE = 128
# Half a step of the input, and room for the rounding of the weights that it is computed from.
_HALF_STEP = 0.5 + 1e-4


@dataclass(frozen=True, eq=False)
class ByteStem:
    """A model to quantize, and what its int8 input must be: value = scale * (int8 - zero_point), int8 = byte - 128.

    proof: the model against the one that takes 0..255, on seeded bytes. border: by how much of a byte the zeros
    around the picture differ from what the source saw there, at most half a byte.
    """

    model: keras.Model
    scale: float
    zero_point: int
    proof: dict[str, Any]
    border: float = 0.0

    def values(self, pixels: np.ndarray) -> np.ndarray:
        """What the model takes for bytes (n, height, width, channels): float32."""
        held = pixels.astype("float64") - (_BYTE_MIDDLE + self.zero_point)
        return (held * self.scale).astype("float32")


def byte_stem(model: keras.Model, step: float = STEP) -> ByteStem:
    """The same function for an int8 file. model: takes 0..255, float32. step: the value of one byte in the new input.

    Where zeros around the picture mean a byte of 0, or where the first operator can't be folded, that is the model
    itself, with scale 1 and zero point -128.
    """
    graph = calls(model)
    (source,) = flat(graph.inputs)
    channels = int(source.shape[3] or 0)
    size = (source.shape[1], source.shape[2])
    own = LinearMap(np.eye(channels), np.zeros(channels))
    zero, border = _zero_byte(first_operators(graph, source, own, size, fold=True))
    if zero == 0:
        return ByteStem(model, 1.0, -_BYTE_MIDDLE, {})
    linear = LinearMap(np.eye(channels) / step, np.full(channels, float(zero)))
    device = Device(size, "reuse", (1, 1), slack=_HALF_STEP * step)
    _, edited = apply(Edit(graph, source, linear, device, channels, fold=True))
    result = ByteStem(edited, step, zero - _BYTE_MIDDLE, {}, border)
    random = np.random.default_rng(0)
    shape = [extent or OPEN_SIZE for extent in (*size, channels)]
    pixels = random.integers(0, 256, (source.shape[0] or INPUTS, *shape)).astype("uint8")
    expected = keras.tree.flatten(model(pixels.astype("float32"), training=False))
    got = keras.tree.flatten(edited(result.values(pixels), training=False))
    proof = compared(got, expected, inputs=len(pixels))
    return ByteStem(edited, step, zero - _BYTE_MIDDLE, proof, border)


def _zero_byte(firsts: Sequence[FirstOp]) -> tuple[int, float]:
    """(the byte that the new input's zero stands for, by how much of a byte the padding is then off).

    It is the byte that the padding means, since zeros around the picture cost nothing; 128 where there is none, or
    where no single byte does: then the padding is written out as the first operator needs it.
    """
    if not firsts:
        return 0, 0.0
    values = []
    for first in firsts:
        pads = (first.rows.before, first.rows.after, first.columns.before, first.columns.after)
        if first.is_dense or not any(pad is None or pad > 0 for pad in pads):
            continue
        value = pad_value(first.linear)
        if value is None or not -0.5 <= value <= 255.5:
            return _BYTE_MIDDLE, 0.0
        values.append(value)
    if not values:
        return _BYTE_MIDDLE, 0.0
    # Of 127.5 both neighbours are as near: the upper one makes the zero point 0.
    zero = int(np.clip(np.floor(values[0] + 0.5 + 1e-6), 0, 255))
    border = max(abs(value - zero) for value in values)
    return (zero, border) if border <= _HALF_STEP else (_BYTE_MIDDLE, 0.0)
