"""Another resolution, folded into the windows of the first convolution or into a Dense layer behind Flatten."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import StemError

if TYPE_CHECKING:
    pass

MODES = ("reuse", "stride", "nearest", "bilinear", "average", "fit")
# Interpolation without a filter reads two pixels along each axis: of a device with more of them some would never count.
_MOST_SHRUNK = 2


@dataclass(frozen=True)
class Axis:
    """How a convolution walks along one axis of a picture.

    size: of the picture, None if it is open. before, after: the zeros around it, None where an open size leaves
    those of padding "same" unknown.
    """

    size: int | None
    kernel: int
    stride: int
    dilation: int = 1
    before: int | None = 0
    after: int | None = 0

    @property
    def reach(self) -> int:
        """The pixels from the first tap to the last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def outputs(self) -> int | None:
        """How many positions the convolution takes; None if the size is open."""
        if self.size is None or self.before is None or self.after is None:
            return None
        return (self.size + self.before + self.after - self.reach) // self.stride + 1

    @property
    def is_same(self) -> bool:
        """Whether padding "same" would put these zeros."""
        return self.size is not None and (self.before, self.after) == same_padding(self)


def same_padding(axis: Axis) -> tuple[int, int]:
    """(before, after) of padding "same" as TensorFlow pads: ceil(size / stride) outputs, the odd zero at the end."""
    size = axis.size or 0
    total = max((ceil(size / axis.stride) - 1) * axis.stride + axis.reach - size, 0)
    return total // 2, total - total // 2


def factor_of(source: int | None, device: int | None, mode: str, where: str) -> int:
    """How many source pixels one device pixel is ("stride", "nearest"), or the other way round ("average").

    Raises StemError where the sizes don't divide.
    """
    if source is None or device is None:
        raise StemError(f"stem: resolution {mode!r} needs a source of fixed size, and its {where} is open; use 'reuse'")
    larger, smaller = (device, source) if mode == "average" else (source, device)
    if larger % smaller:
        whole = [source // by for by in range(1, source + 1) if source % by == 0]
        multiples = [source * by for by in range(1, device // source + 2)]
        fitting = min(multiples if mode == "average" else whole, key=lambda size: abs(size - device))
        # Of a prime there is nothing between 1 and itself, which helps nobody.
        other = f"a {where} such as {fitting}, or " if device / 2 <= fitting <= device * 2 else ""
        raise StemError(
            f"stem: resolution {mode!r}: the source's {where} {source} and the device's {device} have no whole ratio; "
            f"use {other}resolution {'fit' if mode == 'stride' else 'bilinear'!r} or 'reuse'"
        )
    return larger // smaller


def check_interpolated(source: int | None, device: int | None, where: str, mode: str = "bilinear") -> None:
    """Raises StemError where there is no size to interpolate to, or where pixels would be left out."""
    if source is None or device is None:
        raise StemError(f"stem: resolution {mode!r} needs a source of fixed size, and its {where} is open; use 'reuse'")
    if device > _MOST_SHRUNK * source:
        raise StemError(
            f"stem: resolution {mode!r}: of the device's {where} {device} the source's {source} would leave pixels "
            f"out; use at most {_MOST_SHRUNK * source}, or resolution 'average' with a multiple of {source}"
        )


def folded_nearest(axis: Axis, factor: int) -> tuple[Axis, np.ndarray] | None:
    """The walk over a picture of 1 / factor the size that equals `axis` over that picture repeated `factor` times.

    With it the matrix (new kernel, old kernel) that the kernel is multiplied by. None where the stride isn't a
    multiple of the factor: the positions then differ in phase, and no single convolution does it.
    Exact at the borders too: a picture pixel's copies lie inside together or outside together.
    """
    if factor == 1:
        return axis, np.eye(axis.kernel)
    if axis.size is None or axis.before is None or axis.stride % factor or axis.outputs is None:
        return None
    taps = [(tap * axis.dilation - axis.before) // factor for tap in range(axis.kernel)]
    first, count = taps[0], taps[-1] - taps[0] + 1
    fold = np.zeros((count, axis.kernel))
    fold[[tap - first for tap in taps], range(axis.kernel)] = 1
    walk = Axis(axis.size // factor, count, axis.stride // factor, 1, -first, 0)
    return _with_outputs(walk, axis.outputs), fold


def folded_average(axis: Axis, factor: int) -> tuple[Axis, np.ndarray] | None:
    """The same over a picture `factor` times the size, of which `axis` saw the averages of `factor` pixels."""
    if factor == 1:
        return axis, np.eye(axis.kernel)
    if axis.size is None or axis.before is None or axis.outputs is None:
        return None
    fold = np.zeros((factor * axis.reach, axis.kernel))
    for tap in range(axis.kernel):
        start = factor * tap * axis.dilation
        fold[start : start + factor, tap] = 1 / factor
    walk = Axis(axis.size * factor, len(fold), axis.stride * factor, 1, axis.before * factor, 0)
    return _with_outputs(walk, axis.outputs), fold


def smaller_stride(axis: Axis, factor: int) -> tuple[Axis, np.ndarray] | None:
    """The same kernel over a picture of 1 / factor the size with 1 / factor the stride: as many outputs, no fold.

    Not exact: the kernel sees a piece of the picture `factor` times as large. None where the stride doesn't divide.
    """
    if factor == 1:
        return axis, np.eye(axis.kernel)
    if axis.size is None or axis.before is None or axis.outputs is None or axis.stride % factor:
        return None
    walk = replace(axis, size=axis.size // factor, stride=axis.stride // factor, before=0, after=0)
    missing = max((axis.outputs - 1) * walk.stride + walk.reach - (walk.size or 0), 0)
    # The zeros lie evenly around, as padding "same" lays them.
    return replace(walk, before=missing // 2, after=missing - missing // 2), np.eye(axis.kernel)


def resample_matrix(source: int, device: int) -> np.ndarray:
    """Linear interpolation of `device` values to `source`: (source, device), rows summing to 1.

    Half-pixel centres; a triangle as wide as the spacing of the coarser side, so that shrinking averages. The same
    as tf.image.resize(method="bilinear", antialias=True).
    """
    width = max(1.0, device / source)
    centres = (np.arange(source) + 0.5) * device / source - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(device)[None] - centres[:, None]) / width)
    return weights / weights.sum(axis=1, keepdims=True)


def interpolation_matrix(source: int, device: int) -> np.ndarray:
    """Linear interpolation of `device` values at `source` places: (source, device), rows summing to 1.

    Half-pixel centres, the outermost values beyond the ends; no filter, so that shrinking reads two values each. The
    same as keras.ops.image.resize and TFLite's RESIZE_BILINEAR with half_pixel_centers.
    """
    places = np.clip((np.arange(source) + 0.5) * device / source - 0.5, 0, device - 1)
    return np.maximum(0, 1 - np.abs(np.arange(device)[None] - places[:, None]))


def repeat_matrix(source: int, device: int) -> np.ndarray:
    """Nearest neighbours of `device` values at `source` places, a whole multiple: (source, device)."""
    return np.repeat(np.eye(device), source // device, axis=0)


def average_matrix(source: int, device: int) -> np.ndarray:
    """Averages of `device` values at `source` places, a whole fraction: (source, device)."""
    factor = device // source
    return np.repeat(np.eye(source), factor, axis=1) / factor


def resized_dense(kernel: np.ndarray, shape: tuple[int, int, int], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The Dense kernel that sees a flattened map as `kernel` saw it resampled by rows and columns.

    kernel: (height * width * channels, units), of a map of `shape`. rows: (height, new height); columns: (width, new
    width). Result: (new height * new width * channels, units): the adjoint of the resampling times the kernel.
    """
    height, width, channels = shape
    old = kernel.astype("float64").reshape(height, width, channels, -1)
    return np.einsum("hwcu,hy,wx->yxcu", old, rows, columns).reshape(-1, old.shape[3])


def _with_outputs(walk: Axis, outputs: int) -> Axis:
    """The walk with just the zeros behind that it needs for so many outputs."""
    end = (outputs - 1) * walk.stride + walk.reach - (walk.before or 0)
    return replace(walk, after=max(0, end - (walk.size or 0)))
