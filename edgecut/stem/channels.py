"""A linear map of the device's channels, folded into a convolution's kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LUMA = (0.299, 0.587, 0.114)


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

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """pixels: (..., device channels). Result: (..., source channels), float64."""
        return pixels.astype("float64") @ self.matrix.T + self.offset


def channel_map(source_channels: int, device_channels: int) -> LinearMap:
    """The map from what the device feeds to what the source takes: gray replicated, colour to gray by luma."""
    if source_channels == device_channels:
        matrix = np.eye(source_channels)
    elif device_channels == 1:
        matrix = np.ones((source_channels, 1))
    else:
        matrix = np.array([LUMA])
    return LinearMap(matrix, np.zeros(source_channels))


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
    if not gains.all():
        return None
    values = -linear.offset / gains
    return float(values[0]) if np.allclose(values, values[0], rtol=1e-12, atol=0) else None
