"""The ways in which a first operator can be made to take what the device feeds, each with its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from edgecut.graph.first_kernels import STEM_ADAPTER, STEM_ONES
from edgecut.graph.proof import OPEN_SIZE
from edgecut.stem.channels import LinearMap, fold_kernel, offset_kernel, pad_value
from edgecut.stem.first import FirstOp
from edgecut.stem.layers import concatenated, convolution, dense, pointwise, resampled
from edgecut.stem.resolution import (
    Axis,
    average_matrix,
    folded_average,
    folded_nearest,
    interpolation_matrix,
    repeat_matrix,
    resample_matrix,
    resized_dense,
    smaller_stride,
)

Build = Callable[[keras.KerasTensor], keras.KerasTensor]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One exact way.

    cost: multiply-accumulates of the first operator and what is put before it, and one for each value that a further
    operator writes. build: the device's picture -> the first operator's output.
    """

    name: str
    cost: int
    build: Build


@dataclass(frozen=True)
class Device:
    """What feeds the stem.

    size: (height, width), None where open. factor: by axis, for "nearest", "average" and "stride". source: the source's
    own (height, width), which its pictures are brought to by resampling. centre, spread: the middle and half the range
    of its values. slack: how far, in its own unit, a padding of zeros may be from the value that the source sees as
    zero: half a step for bytes, else 0. pads_with_values: whether a runtime's operator may pad with another value than
    zero.
    """

    size: tuple[int | None, int | None]
    mode: str
    factor: tuple[int, int] = (1, 1)
    source: tuple[int | None, int | None] = (None, None)
    centre: float = 0.0
    spread: float = 1.0
    slack: float = 0.0
    pads_with_values: bool = True

    @property
    def is_resampled(self) -> bool:
        """Whether one of its pixels isn't one of the source's."""
        return self.factor != (1, 1) or (self.mode == "bilinear" and self.size != self.source)

    def pixels(self) -> int:
        """How many pixels it has; an open side counts as OPEN_SIZE."""
        return int(np.prod([size or OPEN_SIZE for size in self.size]))

    def resampled_pixels(self) -> int:
        """How many pixels its pictures have at the source's size."""
        return int(np.prod([size or OPEN_SIZE for size in self.source]))


# Interpolation has no exact fold: at zero padding the windows' weights differ from those inside.
_OPERATORS = {"nearest": "upsampling", "bilinear": "bilinear upsampling", "average": "average pooling"}
_BILINEAR_MACS = 4  # for a value
_FOLDS: dict[str, Callable[[Axis, int], tuple[Axis, np.ndarray] | None]] = {
    "nearest": folded_nearest,
    "average": folded_average,
    "stride": smaller_stride,
}


def cheapest(first: FirstOp, device: Device) -> Candidate | None:
    """The candidate of least cost; of equal ones the simplest. None if there is none."""
    return min(candidates(first, device), key=lambda candidate: candidate.cost, default=None)


def candidates(first: FirstOp, device: Device) -> Iterator[Candidate]:
    """Every exact way for this operator, the simplest first."""
    if first.is_dense:
        yield _dense(first, device)
        return
    if not device.is_resampled or device.mode == "reuse":
        yield from _ways(first, device.pixels(), device)
        return
    axes = zip((first.rows, first.columns), device.factor, strict=True)
    fold = _FOLDS.get(device.mode)
    rows, columns = (None, None) if fold is None else (fold(axis, by) for axis, by in axes)
    if rows is not None and columns is not None:
        kernel = np.einsum("ah,bw,hwsf->absf", rows[1], columns[1], first.kernel)
        folded = replace(first, kernel=kernel, rows=rows[0], columns=columns[0])
        suffix = "stride" if device.mode == "stride" else f"{device.mode} fold"
        for way in _ways(folded, device.pixels(), device):
            yield replace(way, name=suffix if way.name == "none" else f"{way.name}, {suffix}")
    if device.mode != "stride":
        yield from _resampled_first(first, device)


def resampling_cost(device: Device, channels: int) -> int:
    """What an operator that repeats, interpolates or averages pixels costs: the values that it reads or writes."""
    if device.mode == "bilinear":
        return device.resampled_pixels() * channels * _BILINEAR_MACS
    return max(device.pixels(), device.resampled_pixels()) * channels


def _resampled_first(first: FirstOp, device: Device) -> Iterator[Candidate]:
    """An operator that brings the device's pixels to the source's size, and the source's own walk behind it."""
    name = _OPERATORS[device.mode]
    channels = first.linear.matrix.shape[1]
    for way in _ways(first, device.resampled_pixels(), device):
        yield Candidate(
            name if way.name == "none" else f"{name}, {way.name}",
            way.cost + resampling_cost(device, channels),
            lambda x, way=way: way.build(at_source_size(x, device)),  # type: ignore[misc]
        )


def _ways(first: FirstOp, pixels: int, device: Device) -> Iterator[Candidate]:
    """The ways to take the device's channels and values. pixels: of the picture that the convolution walks over."""
    whole = first.composed
    for variant in (whole, first) if first.pointwise is not None else (first,):
        yield from folds(variant, pixels, device)
    linear = first.linear
    if not linear.is_identity:
        rows, channels = linear.matrix.shape
        own = replace(first, linear=LinearMap(np.eye(rows), np.zeros(rows)))
        behind = min(folds(own, pixels, device), key=lambda way: way.cost)
        mix = pointwise(linear.matrix, linear.offset, STEM_ADAPTER)
        cost = behind.cost + pixels * rows * (channels + 1)
        yield Candidate("1x1 convolution", cost, lambda x: behind.build(mix(x)))


def folds(first: FirstOp, pixels: int, device: Device) -> Iterator[Candidate]:
    """The convolution itself made to take the device's values."""
    linear = first.linear
    diagonal = linear.matrix.shape[0] == linear.matrix.shape[1] and not _off_diagonal(linear.matrix).any()
    grouped = first.groups > 1 and diagonal
    kernel = fold_kernel(first.kernel, linear.matrix)
    cost = _cost(first, kernel.shape[2] // (first.groups if grouped else 1))
    if not linear.offset.any():
        name = "kernel sum" if kernel.shape[2] == 1 < first.kernel.shape[2] else "kernel fold"
        name = "none" if linear.is_identity else name
        yield Candidate(name, cost, convolution(first, kernel, first.bias, grouped=grouped))
        return
    bias = first.bias + offset_kernel(first.kernel, linear.offset).sum(axis=(0, 1, 2))
    pads = (first.rows.before, first.rows.after, first.columns.before, first.columns.after)
    value = pad_value(linear)
    if not any(pad is None or pad > 0 for pad in pads) or (value is not None and abs(value) <= device.slack):
        yield Candidate("bias fold", cost, convolution(first, kernel, bias, grouped=grouped))
    elif value is not None and None not in pads and device.pads_with_values:
        padded = _padded_pixels(first) * kernel.shape[2]
        yield Candidate(
            "constant padding", cost + padded, convolution(first, kernel, bias, grouped=grouped, pad_value=value)
        )
    yield _with_ones(first, pixels, device)


def _with_ones(first: FirstOp, pixels: int, device: Device) -> Candidate:
    """The convolution over the device's channels and one that is 1 in the picture and 0 in the padding.

    The device's own channels are brought to the same range, about zero, by the operator that makes the ones: one int8
    scale then fits all, and the rounding of the weights doesn't shift the outputs.
    """
    linear, channels = first.linear, first.linear.matrix.shape[1]
    centred = linear.after(LinearMap(np.eye(channels) * device.spread, np.full(channels, device.centre)))
    folded = fold_kernel(first.kernel, centred.matrix)
    kernel = np.concatenate([folded, offset_kernel(first.kernel, centred.offset)], axis=2)
    matrix = np.eye(channels + 1, channels) / device.spread
    offset = np.append(np.full(channels, -device.centre / device.spread), 1.0)
    ones = pointwise(matrix, offset, STEM_ONES)
    walk = convolution(first, kernel, first.bias)
    cost = _cost(first, channels + 1) + pixels * (channels + 1) ** 2
    return Candidate("ones channel", cost, lambda x: walk(ones(x)))


def whole_picture(linear: LinearMap, device: Device) -> Candidate:
    """The way that needs nothing of the source: the picture made what it was, by operators of its own."""
    rows, channels = linear.matrix.shape
    name, cost = "none", 0
    mix: Build | None = None
    # Repeating costs nothing but the values that it writes; what averages or interpolates sees as few as it can.
    mixes_first = device.mode == "nearest"
    if not linear.is_identity:
        repeats = channels == 1 and bool(np.all(linear.matrix == 1)) and not linear.offset.any()
        name = "concatenate" if repeats else "1x1 convolution"
        mix = concatenated(rows) if repeats else pointwise(linear.matrix, linear.offset, STEM_ADAPTER)
        pixels = device.resampled_pixels() if device.is_resampled and not mixes_first else device.pixels()
        cost = pixels * rows * (1 if repeats else channels + 1)
    if device.is_resampled:
        step = _OPERATORS[device.mode]
        name = step if name == "none" else f"{name}, {step}"
        cost += resampling_cost(device, rows if mixes_first else channels)

    def build(x: keras.KerasTensor) -> keras.KerasTensor:
        if device.is_resampled and not mixes_first:
            x = at_source_size(x, device)
        x = x if mix is None else mix(x)
        if device.is_resampled and mixes_first:
            x = at_source_size(x, device)
        return x

    return Candidate(name, cost, build)


def at_source_size(x: keras.KerasTensor, device: Device) -> keras.KerasTensor:
    """The device's picture with its pixels repeated, interpolated or averaged to the source's size."""
    return resampled(x, device.mode, device.factor, device.source)


def own_cost(first: FirstOp) -> int:
    """The multiply-accumulates of the operator as the source has it."""
    return _cost(first, first.kernel.shape[2] // first.groups)


def _dense(first: FirstOp, device: Device) -> Candidate:
    """A Dense layer behind Flatten, its kernel resized to the device's picture."""
    rows, columns = (
        _resampling(device.mode, axis.kernel, size)
        for axis, size in zip((first.rows, first.columns), device.size, strict=True)
    )
    height, width, _, units = first.kernel.shape
    kernel = fold_kernel(first.kernel, first.linear.matrix)
    bias = first.bias + offset_kernel(first.kernel, first.linear.offset).sum(axis=(0, 1, 2))
    flat = kernel.reshape(-1, units)
    changed = (rows.shape[0], columns.shape[0]) != (rows.shape[1], columns.shape[1])
    if changed:
        flat = resized_dense(flat, (height, width, kernel.shape[2]), rows, columns)
    gray = kernel.shape[2] == 1 < first.kernel.shape[2]
    name = "kernel sum" if gray else "bias fold" if first.linear.offset.any() else "kernel fold"
    if first.linear.is_identity:
        name = "adjoint"
    elif changed:
        name = f"{name}, adjoint"
    return Candidate(name, flat.size, dense(first, flat, bias))


def _resampling(mode: str, source: int, device: int | None) -> np.ndarray:
    device = source if device is None else device
    if mode == "nearest":
        return repeat_matrix(source, device)
    if mode == "average":
        return average_matrix(source, device)
    if mode == "bilinear":
        return interpolation_matrix(source, device)
    return resample_matrix(source, device)


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix - np.diag(np.diag(matrix))


def _cost(first: FirstOp, seen: int) -> int:
    """The multiply-accumulates of the walk by filters that see so many channels.

    With a pointwise half behind it that one's, and the values in between.
    """
    positions = int(np.prod([axis.outputs or OPEN_SIZE // axis.stride for axis in (first.rows, first.columns)]))
    height, width, _, filters = first.kernel.shape
    macs = height * width * seen * filters
    if first.pointwise is not None:
        macs += filters * (first.pointwise.kernel.shape[1] + 1)
    return positions * macs


def _padded_pixels(first: FirstOp) -> int:
    return int(np.prod([(a.size or OPEN_SIZE) + (a.before or 0) + (a.after or 0) for a in (first.rows, first.columns)]))
