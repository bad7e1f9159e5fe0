"""What a device feeds, as a linear map to what the source takes, folded into a convolution's kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecut.images.device import CHANNELS, YUV_TO_RGB

LUMA = (0.299, 0.587, 0.114)
# How far from one another two values may be that are meant to be one, relative: they come from float32 weights.
SAME_VALUE = 1e-6


@dataclass(frozen=True)
class LinearMap:
    """source = matrix @ device + offset, per pixel.

    matrix: (source channels, device channels), float64. offset: (source channels,), float64.
    """

    matrix: np.ndarray
    offset: np.ndarray

    @property
    def is_identity(self) -> bool:
        """Whether source and device agree."""
        rows, columns = self.matrix.shape
        return rows == columns and np.array_equal(self.matrix, np.eye(rows)) and not self.offset.any()

    def then(self, scale: np.ndarray, offset: np.ndarray) -> LinearMap:
        """This map followed by x * scale + offset per source channel."""
        return LinearMap(scale[:, None] * self.matrix, scale * self.offset + offset)

    def after(self, first: LinearMap) -> LinearMap:
        """This map behind another one: self(first(x))."""
        return LinearMap(self.matrix @ first.matrix, self.matrix @ first.offset + self.offset)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """pixels: (..., device channels). Result: (..., source channels), float64."""
        return pixels.astype("float64") @ self.matrix.T + self.offset


def colours_of(order: str) -> LinearMap:
    """R, G, B in 0..255 of what a device feeds in 0..255.

    order: "gray", "rgb", "bgr", "rgba" (alpha has no effect) or "yuv" (ITU-R BT.601, full range as in JFIF: U and V
    are 128 without colour).
    """
    if order == "gray":
        return LinearMap(np.ones((3, 1)), np.zeros(3))
    if order == "yuv":
        matrix = np.array(YUV_TO_RGB)
        return LinearMap(matrix, -matrix @ (0.0, 128.0, 128.0))
    flip = [2, 1, 0] if order == "bgr" else [0, 1, 2]
    return LinearMap(np.eye(CHANNELS[order])[flip], np.zeros(3))


def channel_map(source_channels: int, order: str) -> LinearMap:
    """The map from what the device feeds, 0..255, to R, G, B or, for a gray source, to one luma."""
    if source_channels == 1:
        if order == "gray":
            return LinearMap(np.eye(1), np.zeros(1))
        return LinearMap(np.array([LUMA]), np.zeros(1)).after(colours_of(order))
    return colours_of(order)


def fold_kernel(kernel: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The kernel that sees the device's channels as `kernel` saw matrix @ device.

    kernel: (height, width, source channels, filters). matrix: (source channels, device channels).
    Result: (height, width, device channels, filters), float64. For gray this is the sum over the input channels.
    Exact everywhere, borders included, since zero padding stays zero under a linear map.
    """
    return np.einsum("hwsf,sd->hwdf", kernel.astype("float64"), matrix)


def offset_kernel(kernel: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """What the kernel makes of a constant source offset, by tap.

    Result: (height, width, 1, filters), float64: the kernel of a constant-ones channel that is zero in the padding.
    Its sum over the taps is the bias of an unpadded convolution.
    """
    return np.einsum("hwsf,s->hwf", kernel.astype("float64"), offset)[:, :, None, :]


def pad_value(linear: LinearMap) -> float | None:
    """The one device value that the source would see as zero in every channel; None if there is none."""
    gains = linear.matrix.sum(axis=1)
    largest = float(np.abs(linear.matrix).max(initial=0.0))
    if np.any(np.abs(gains) <= SAME_VALUE * largest):
        return None
    values = -linear.offset / gains
    return float(values[0]) if np.allclose(values, values[0], rtol=SAME_VALUE, atol=0) else None
