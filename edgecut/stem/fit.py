"""A new first convolution, fitted by least squares to the source's own responses on images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from edgecut.errors import StemError
from edgecut.graph.calls import Calls, Tensor, flat
from edgecut.graph.rebuild import rebuild, run
from edgecut.images.device import to_device_batch
from edgecut.records.proof import StemProof
from edgecut.stem.apply import BYTE_CENTRE, better_ways, device_input
from edgecut.stem.channels import LinearMap
from edgecut.stem.construct import Device, at_source_size, folds
from edgecut.stem.first import FirstOp, Pointwise, first_operators
from edgecut.stem.flatten import resample, resized_maps
from edgecut.stem.layers import normalized_behind
from edgecut.stem.proof import compared, cost_of, device_pictures, first_outputs, image_error, source_pictures
from edgecut.stem.records import Edit, FitRequest, Pictures, StemResult
from edgecut.stem.resolution import Axis, check_interpolated

HELD_OUT = 0.2  # of the images
_BATCH, _BATCH_VALUES = 8, 1 << 25  # pictures, and values of their windows: 256 MiB
# Of the mean variance of a tap: neighbouring pixels are nearly the same, and what tells them apart is little.
_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Fitted:
    """The new operator, and what it is worth.

    error: the root mean square of what it misses over that of the responses' variation, on held-out images. mean,
    deviation: (filters,) of its responses.
    """

    operator: FirstOp
    error: float
    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True, eq=False)
class Trial:
    """A model with a fitted stem, its proof, and its squared error on each held-out picture, (n,)."""

    model: keras.Model
    proof: StemProof
    squares: np.ndarray


@dataclass(frozen=True)
class Convolution:
    """What the new convolution is to be. kernel: (height, width); stride: (rows, columns); filters: how many."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    filters: int
    batch_norm: bool


def fit_stem(
    graph: Calls, source: Tensor, linear: LinearMap, pictures: Pictures | None, request: FitRequest
) -> StemResult:
    """The result of stem(resolution="fit"); the arguments are as there. linear: what the source takes of the device.

    The new convolution's output is to be what the source's first one (with the BatchNormalization behind it) gives at
    the source's own size. It sees the device's pixels where the source's stride times the ratio of the sizes is whole,
    else the picture interpolated to the source's size.
    Raises StemError where there is nothing to fit to, or nothing to fit on.
    """
    if pictures is None or len(pictures.images) < 2:
        raise StemError("stem: resolution 'fit' needs at least 2 images to fit on; give data (--data)")
    images = pictures.images
    if not np.ptp(images, axis=(1, 2)).any():
        raise StemError(
            "stem: resolution 'fit': each image is of one colour, which tells nothing of a kernel; give others"
        )
    own = (source.shape[1], source.shape[2])
    device_size = own if request.size is None else (int(request.size[0]), int(request.size[1]))
    if None in own or None in device_size:
        raise StemError("stem: resolution 'fit' needs a source of fixed size; use 'reuse' with a size first")
    first = _target(graph, source, own)
    walked = _walked(first, own, device_size)
    new = _convolution(first, own, walked, request)
    mode = "fit" if walked == device_size else "bilinear"
    centre = BYTE_CENTRE if pictures.raw else 0.0
    device = Device(
        device_size, mode, source=own, centre=centre, spread=centre or 1.0, pads_with_values=request.constant_padding
    )
    edit = Edit(graph, source, linear, device, linear.matrix.shape[1], fold=True)
    channels = int(source.shape[3] or 0)
    theirs = source_pictures(images, int(own[0] or 0), int(own[1] or 0), channels, pictures.preprocess)
    seen = device_pictures(edit, pictures)
    windows = resample(seen, mode, (1, 1), own) if device.is_resampled else seen
    held = max(1, round(len(images) * HELD_OUT))
    trials = []
    for target, responses in _targets(pictures, theirs):
        fitted = _fitted(first, new, device, responses, windows, held)
        edited = _applied(edit, fitted, new)
        proof, squares = _proof(edit, edited, theirs[-held:], seen[-held:])
        fit = {"response_error": fitted.error, "fitted_on": len(seen) - held, "fitted_to": target}
        proof = proof.model_copy(update=fit)
        trials.append(Trial(edited, proof, squares))
    trials = _ordered(trials)
    edited, proof = trials[0].model, trials[0].proof
    name = "fit" if mode == "fit" else "bilinear upsampling, fit"
    if new.filters != first.bias.size:
        name += ", 1x1 convolution"
    notes = [*_notes(first, new, [trial.proof for trial in trials])]
    notes += better_ways(edit, edited, "fit", proof, pictures.chosen(images[-held:]))
    return StemResult(edited, name, proof, cost_of(graph, edited), tuple(notes))


def _targets(pictures: Pictures, theirs: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(what the pictures are, the pictures as the source takes them) on which its responses can be the target.

    A gray device lacks the colour that the source saw. Least squares to its responses on colour pictures allows for
    that, and to those on the same pictures in gray it keeps the source's own kernel. Which is better depends on the
    model, so both are tried (top-1 agreement with it on photos: MobileNetV1 at 224 .767 and .783, visual_wake_words
    .915 and .580). The last is taken where the held-out pictures don't tell.
    """
    yield "the source's responses", theirs
    _, height, width, channels = theirs.shape
    if pictures.order == "gray" and channels > 1:
        gray = to_device_batch(pictures.images, height, width, 1)
        yield "its responses in gray", source_pictures(gray, height, width, channels, pictures.preprocess)


def _ordered(trials: Sequence[Trial]) -> list[Trial]:
    """The trials, the chosen one first: the last, unless another's outputs are nearer by two standard errors."""
    *others, best = trials
    for other in others:
        won = best.squares - other.squares
        if len(won) > 1 and won.mean() > 2 * won.std(ddof=1) / len(won) ** 0.5:
            best = other
    return [best, *(trial for trial in trials if trial is not best)]


def _target(graph: Calls, source: Tensor, own: tuple[int | None, int | None]) -> FirstOp:
    """The operator whose responses at the source's size are the target."""
    channels = int(source.shape[3] or 0)
    identity = LinearMap(np.eye(channels), np.zeros(channels))
    firsts = first_operators(graph, source, identity, own, fold=True)
    if len(firsts) != 1 or firsts[0].is_dense:
        raise StemError(
            f"stem: resolution 'fit' needs one first convolution, and the picture goes into {len(firsts)} that "
            "can be replaced; use 'reuse', 'nearest' or 'average'"
        )
    return firsts[0].composed


def _walked(
    first: FirstOp, own: tuple[int | None, int | None], device: tuple[int | None, int | None]
) -> tuple[int | None, int | None]:
    """The size of the picture that the new convolution walks over: the device's, or the source's own."""
    strides = (first.rows.stride, first.columns.stride)
    if all(_whole(s, d, o) for s, d, o in zip(strides, device, own, strict=True)):
        return device
    for side in zip(own, device, ("height", "width"), strict=True):
        check_interpolated(*side, mode="fit")
    return own


def _whole(stride: int, device: int | None, source: int | None) -> bool:
    return (stride * (device or 0)) % (source or 1) == 0


def _convolution(
    first: FirstOp,
    runs_at: tuple[int | None, int | None],
    device: tuple[int | None, int | None],
    request: FitRequest,
) -> Convolution:
    """The new convolution that a request and the sizes give. Raises StemError for one that can't be."""
    axes = (first.rows, first.columns)
    ratio = tuple(max(1, axis.stride * (d or 0) // (o or 1)) for axis, d, o in zip(axes, device, runs_at, strict=True))
    # As much of the picture as the source's window sees, or the pixels that a longer stride passes over go unseen.
    seen = [-(-axis.reach * max(d or 0, o or 0) // (o or 1)) for axis, d, o in zip(axes, device, runs_at, strict=True)]
    chosen = Convolution(
        _pair(request.kernel) or (seen[0], seen[1]),
        _pair(request.stride) or (ratio[0], ratio[1]),
        first.bias.size if request.filters is None else request.filters,
        request.batch_norm,
    )
    if min(*chosen.kernel, *chosen.stride, chosen.filters) < 1:
        raise StemError("stem: kernel, stride and filters are at least 1")
    if chosen.stride != ratio:
        raise StemError(
            f"stem: stride {chosen.stride} doesn't give the source's {axes[0].outputs}x{axes[1].outputs} responses "
            f"from {device[0]}x{device[1]} pixels; use {ratio}"
        )
    return chosen


def _walk(axis: Axis, size: int | None, kernel: int, stride: int) -> Axis:
    """The walk over the device's picture with as many outputs as the source's, its window centred on the same place."""
    outputs = axis.outputs or 0
    # The middle of the source's first window, in the device's pixels.
    middle = ((axis.reach - 1) / 2 - (axis.before or 0) + 0.5) * (size or 0) / (axis.size or 1) - 0.5
    before = max(0, int(np.ceil((kernel - 1) / 2 - middle - 1e-9)))
    after = max(0, (outputs - 1) * stride + kernel - before - (size or 0))
    return Axis(size, kernel, stride, 1, before, after)


def _fitted(
    first: FirstOp, new: Convolution, device: Device, theirs: np.ndarray, seen: np.ndarray, held: int
) -> Fitted:
    """The new operator, fitted on all but the last `held` pictures and judged on those.

    seen: (n, height, width, channels), what the new operator walks over.
    """
    sides = zip((first.rows, first.columns), seen.shape[1:3], new.kernel, new.stride, strict=True)
    rows, columns = (_walk(axis, size, kernel, stride) for axis, size, kernel, stride in sides)
    if (rows.outputs, columns.outputs) != (first.rows.outputs, first.columns.outputs):
        raise StemError(
            f"stem: a kernel of {new.kernel} leaves {rows.outputs}x{columns.outputs} responses, and the source has "
            f"{first.rows.outputs}x{first.columns.outputs}; use a larger one"
        )
    pixels = (seen - device.centre) / device.spread
    products, targets, sums = _gram(_pairs(first, rows, columns, theirs[:-held], pixels[:-held]))
    count, mean_x, mean_y = products[-1, -1], products[-1, :-1] / products[-1, -1], sums / products[-1, -1]
    spread = products[:-1, :-1] / count - np.outer(mean_x, mean_x)
    ridge = _RIDGE * max(float(np.trace(spread)) / len(spread), 1e-12)
    weights = np.linalg.solve(spread + ridge * np.eye(len(spread)), targets[:-1] / count - np.outer(mean_x, mean_y))
    kernel, behind, bias = _ranked(weights, spread, mean_y - mean_x @ weights, new.filters)
    shape = (*new.kernel, seen.shape[3], kernel.shape[1])
    channels = seen.shape[3]
    scaled = LinearMap(np.eye(channels) / device.spread, np.full(channels, -device.centre / device.spread))
    whole = weights if behind is None else kernel @ behind
    left = varied = 0.0
    for x, y in _pairs(first, rows, columns, theirs[-held:], pixels[-held:]):
        left += float(np.sum((y - x[:, :-1] @ whole - bias) ** 2))
        varied += float(np.sum((y - mean_y) ** 2))
    operator = replace(
        first,
        linear=scaled,
        kernel=kernel.reshape(shape),
        rows=rows,
        columns=columns,
        groups=1,
        is_depthwise=False,
        bias=bias if behind is None else np.zeros(kernel.shape[1]),
        pointwise=None if behind is None else Pointwise(behind, bias),
    )
    deviation = np.sqrt(np.clip(np.einsum("if,ij,jf->f", weights, spread, weights), 0, None))
    return Fitted(operator, (left / max(varied, 1e-30)) ** 0.5, mean_y, deviation)


def _pairs(
    first: FirstOp, rows: Axis, columns: Axis, theirs: np.ndarray, pixels: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(windows of the device's picture with a 1 behind each, the source's responses there), by batches, float64."""
    pads = ((0, 0), (rows.before or 0, rows.after or 0), (columns.before or 0, columns.after or 0), (0, 0))
    values = (rows.outputs or 1) * (columns.outputs or 1) * rows.kernel * columns.kernel * pixels.shape[3]
    batch = max(1, min(_BATCH, _BATCH_VALUES // values))
    for start in range(0, len(pixels), batch):
        part = np.pad(pixels[start : start + batch], pads).astype("float64")
        windows = np.lib.stride_tricks.sliding_window_view(part, (rows.kernel, columns.kernel), axis=(1, 2))
        windows = windows[:, :: rows.stride, :: columns.stride].transpose(0, 1, 2, 4, 5, 3)
        windows = windows[:, : rows.outputs, : columns.outputs]
        x = windows.reshape(-1, rows.kernel * columns.kernel * part.shape[3])
        yield np.append(x, np.ones((len(x), 1)), axis=1), _responses(first, theirs[start : start + batch])


def _responses(first: FirstOp, theirs: np.ndarray) -> np.ndarray:
    """What the source's first operator gives before its activation: (places, filters), float64."""
    seen = first.linear(theirs)
    pads = ((0, 0), *((axis.before or 0, axis.after or 0) for axis in (first.rows, first.columns)), (0, 0))
    padded = keras.ops.convert_to_tensor(np.pad(seen, pads).astype("float32"))
    kernel = keras.ops.convert_to_tensor(first.kernel.astype("float32"))
    strides = (first.rows.stride, first.columns.stride)
    if strides[0] != strides[1]:
        values = keras.ops.conv(padded, kernel, strides=1, padding="valid")[:, :: strides[0], :: strides[1]]
    else:
        dilation = (first.rows.dilation, first.columns.dilation)
        values = keras.ops.conv(padded, kernel, strides=strides, padding="valid", dilation_rate=dilation)
    return keras.ops.convert_to_numpy(values).reshape(-1, first.bias.size).astype("float64") + first.bias


def _gram(pairs: Iterator[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X'X, X'Y, the sums of Y) of windows X with a last column of ones, and responses Y."""
    products = targets = np.zeros(())
    for x, y in pairs:
        products, targets = products + x.T @ x, targets + x.T @ y
    return products, targets, targets[-1]


def _ranked(
    weights: np.ndarray, spread: np.ndarray, bias: np.ndarray, filters: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """(kernel (taps, filters), the 1x1 kernel behind it (filters, responses) or None, bias).

    Reduced-rank regression (Izenman, 1975): of the fitted responses the directions of largest variance. Each is
    brought to unit deviation, so that one int8 scale fits all. Filters beyond the responses repeat, half each.
    """
    responses = weights.shape[1]
    if filters == responses:
        return weights, None, bias
    energies, axes = np.linalg.eigh(weights.T @ spread @ weights)
    rank = min(filters, responses)
    axes, energies = axes[:, ::-1][:, :rank], np.clip(energies[::-1][:rank], 1e-12, None)
    kernel, behind = weights @ axes / np.sqrt(energies), (axes * np.sqrt(energies)).T
    copies = np.bincount(np.arange(filters) % rank, minlength=rank)
    chosen = np.arange(filters) % rank
    return kernel[:, chosen], behind[chosen] / copies[chosen][:, None], bias


def _applied(edit: Edit, fitted: Fitted, new: Convolution) -> keras.Model:
    device = device_input(edit)
    is_resampled = edit.device.is_resampled
    pixels = edit.device.resampled_pixels() if is_resampled else edit.device.pixels()
    way = min(folds(fitted.operator, pixels, edit.device), key=lambda candidate: candidate.cost)
    value = way.build(at_source_size(device, edit.device) if is_resampled else device)
    if new.batch_norm:
        value = normalized_behind(value, fitted.mean, fitted.deviation)
    return rebuild(edit.graph, entries={fitted.operator.output: value}, inputs=device)


def _proof(edit: Edit, edited: keras.Model, theirs: np.ndarray, seen: np.ndarray) -> tuple[StemProof, np.ndarray]:
    """The edited model on held-out device pictures against the source on the same at its own size.

    With it the sum of the squared differences of the outputs on each picture, (n,).
    """
    outputs, expected_outputs = first_outputs(edit, edited, theirs, seen)
    squares = ((outputs.astype("float64") - expected_outputs) ** 2).reshape(len(seen), -1).sum(axis=1)
    errors = image_error(outputs, expected_outputs, edit.graph).to_dict()
    got = keras.tree.flatten(edited(seen[:_BATCH], training=False))
    values = {edit.source: keras.ops.convert_to_tensor(theirs[:_BATCH])}
    expected = run(edit.graph, values, flat(edit.graph.outputs), resized_maps(edit.graph))
    return compared(got, expected, inputs=len(seen), exact=False).model_copy(update=errors), squares


def _notes(first: FirstOp, new: Convolution, trials: Sequence[StemProof]) -> Iterator[str]:
    """trials: the proofs, the chosen one first."""
    chosen = trials[0]
    side = f"{new.kernel[0]}x{new.kernel[1]}"
    yield (
        f"fitted: {new.filters} filters of {side}, stride {new.stride[0]}; off by {chosen.response_error:.3f} "
        f"of the variation of {chosen.fitted_to} on {chosen.inputs} held-out images"
    )
    for other in trials[1:]:
        yield (
            f"fitted to {other.fitted_to} instead, its outputs there are off by {other.image_error:.3f} of the "
            f"source's in colour, and as chosen by {chosen.image_error:.3f}"
        )
    if new.filters > first.bias.size:
        yield f"{new.filters} filters in front of {first.bias.size} responses add nothing until they are trained"


def _pair(value: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if value is None:
        return None
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
