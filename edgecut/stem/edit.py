"""The stem: a model made to take what the device feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias, TypedDict, Unpack

import keras
import numpy as np

from edgecut.errors import StemError
from edgecut.graph.calls import Calls, Tensor, calls, flat
from edgecut.images.device import CHANNELS, DEFAULT_ORDER
from edgecut.records.keywords import check_keywords
from edgecut.records.recipe import Preprocess
from edgecut.stem.apply import edit_of, proven
from edgecut.stem.channels import LinearMap
from edgecut.stem.pixels import device_map
from edgecut.stem.records import FitRequest, Pictures, StemResult

ChannelMap: TypeAlias = tuple[np.ndarray | Sequence[Sequence[float]], np.ndarray | Sequence[float]]
"""(M, t) of M @ pixel + t."""


class StemOptions(TypedDict, total=False):
    """The keywords of edgecut.stem beside its arguments, with the meaning that stem() gives them."""

    order: str | None
    channel_map: ChannelMap | None
    kernel: int | tuple[int, int] | None
    stride: int | tuple[int, int] | None
    filters: int | None
    batch_norm: bool
    constant_padding: bool


def stem(
    model: keras.Model,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    preprocess: Preprocess = "none",
    resolution: str = "reuse",
    pixels: str = "normalized",
    data: np.ndarray | None = None,
    **options: Unpack[StemOptions],
) -> StemResult:
    """A copy of `model` that takes (batch, height, width, channels) as the device feeds it, float32.

    channels: 1, 3 or 4. order: "gray", "rgb", "bgr", "yuv" (BT.601, full range) or "rgba", by default the first with
    so many channels; a gray pixel counts as the same value in each of the source's channels, a colour pixel for a gray
    source as its luma, and alpha has no effect. channel_map: instead of both, (M, t): the source sees M @ pixel + t,
    M: (source channels, device channels), of values as the device feeds them, before the source's preprocessing if
    these are raw. size: (height, width). preprocess: what the source was trained on. pixels: "normalized" takes what
    the source took, "raw" takes 0..255 with all that is affine before and behind the first operator folded into it,
    exact at zero-padded borders too.
    resolution: "reuse": the weights at another size. "nearest": the source at its own size on the device's pixels
    repeated. "average": the same on averages of them. "bilinear": the same on values interpolated between them, at any
    ratio of the sizes. "stride": the first stride divided instead. "fit": a new first convolution, fitted to the
    source's own responses on `data`, of `kernel`, `stride` and `filters` as given (by default the source's, but a
    kernel that sees as much of the picture, and the stride that the sizes ask; where they ask none that is whole, on
    interpolated pixels) with a 1x1 convolution for other filters and BatchNormalization if `batch_norm`.
    data: pictures (n, height, width, 3 or 1), bytes; for "fit", and elsewhere to look for channels that no longer
    vary, and for what gray or another size loses. constant_padding: whether an operator may pad with a value other
    than zero (TFLite's PADV2, which TFLM can't run in int16x8 files, nor XNNPACK at all).
    Raises StemError for what can't be exact or can't be made: the message says which part, and what can.

    >>> gray = edgecut.stem(edgecut.load("bell.keras"), channels=1)
    >>> gray.model.input_shape, gray.construction
    ((None, 8, 8, 1), 'kernel sum')
    """
    check_keywords("stem", options, StemOptions)
    order, channel_map = options.get("order"), options.get("channel_map")
    graph = calls(model)
    source = _image_input(graph)
    _refuse_pictures(data, channel_map)
    linear = _map_of(source, channels, order, channel_map, preprocess, raw=_is_raw(pixels))
    seen = _order(source, channels, order, channel_map)
    pictures = None if data is None else Pictures(data, preprocess, seen, pixels == "raw")
    if resolution == "fit":
        from edgecut.stem.fit import fit_stem  # the least used way is also the largest

        return fit_stem(graph, source, linear, pictures, _fit_request(size, options))
    _refuse_fit_options(options)
    edit = edit_of(graph, source, linear, size, resolution, raw=pixels == "raw")
    if not options.get("constant_padding", True):
        edit = replace(edit, device=replace(edit.device, pads_with_values=False))
    return proven(edit, pictures)


def _image_input(graph: Calls) -> Tensor:
    inputs = flat(graph.inputs)
    if len(inputs) != 1:
        raise StemError(f"stem: the model has {len(inputs)} inputs; a stem edit needs exactly one image input")
    (tensor,) = inputs
    if len(tensor.shape) != 4:
        raise StemError(
            f"stem: the model's input has shape {tensor.shape}; (batch, height, width, channels) is expected"
        )
    return tensor


def _refuse_pictures(data: np.ndarray | None, channel_map: ChannelMap | None) -> None:
    if data is not None and channel_map is not None:
        raise StemError(
            "stem: a channel_map says what the source sees of the device's channels, not what the device sees of a "
            "picture, so data can't be used with it; leave data out, or name the order"
        )
    if data is not None and not len(data):
        raise StemError("stem: data holds no image; give some, or leave data out")


def _is_raw(pixels: str) -> bool:
    if pixels not in {"normalized", "raw"}:
        raise StemError(f"stem: pixels is {pixels!r}; 'normalized' or 'raw' is expected")
    return pixels == "raw"


def _map_of(
    source: Tensor,
    channels: int | None,
    order: str | None,
    custom: ChannelMap | None,
    preprocess: Preprocess,
    *,
    raw: bool,
) -> LinearMap:
    """What the source takes, as a linear map of what the device feeds."""
    width = int(source.shape[3] or 0)
    if custom is not None:
        return _custom_map(width, channels, order, custom, preprocess, raw=raw)
    if width not in {1, 3}:
        raise StemError(
            f"stem: the model's input is {source.shape[1:]}, with {width} channels in the last place; 1 or 3 are "
            "expected; in Python, edgecut.stem takes a channel_map (M, t) that says what they are of the device's"
        )
    return device_map(width, _order(source, channels, order, None), preprocess, raw=raw)


def _order(source: Tensor, channels: int | None, order: str | None, custom: object) -> str | None:
    """What the device's channels are; None where they are the source's own, or a map's."""
    if custom is not None:
        return None
    if order is not None and order not in CHANNELS:
        raise StemError(f"stem: order is {order!r}; one of {', '.join(map(repr, CHANNELS))} is expected")
    if channels is not None and channels not in DEFAULT_ORDER:
        raise StemError(f"stem: channels is {channels}; 1 (gray), 3 (colour) or 4 (RGBA) is expected")
    if order is not None:
        if channels not in {None, CHANNELS[order]}:
            raise StemError(f"stem: order {order!r} has {CHANNELS[order]} channels, and channels is {channels}")
        return order
    return None if channels in {None, source.shape[3]} else DEFAULT_ORDER[channels or 0]


def _custom_map(
    width: int, channels: int | None, order: str | None, custom: ChannelMap, preprocess: Preprocess, *, raw: bool
) -> LinearMap:
    if channels is not None or order is not None:
        raise StemError("stem: a channel_map says what the channels are; leave channels and order out")
    matrix, offset = (np.asarray(part, "float64") for part in custom)
    if matrix.ndim != 2 or matrix.shape[0] != width or offset.shape != (width,):
        raise StemError(
            f"stem: channel_map has shapes {matrix.shape} and {offset.shape}; ({width}, device channels) and "
            f"({width},) are expected"
        )
    linear = LinearMap(matrix, offset)
    if not raw or preprocess in {"raw", "none"}:
        return linear
    return device_map(width, None, preprocess, raw=True).after(linear)


def _fit_request(size: tuple[int, int] | None, options: StemOptions) -> FitRequest:
    return FitRequest(
        size,
        options.get("kernel"),
        options.get("stride"),
        options.get("filters"),
        options.get("batch_norm", False),
        options.get("constant_padding", True),
    )


def _refuse_fit_options(options: StemOptions) -> None:
    request = _fit_request(None, options)
    asked = {"kernel": request.kernel, "stride": request.stride, "filters": request.filters}
    given = [name for name, value in asked.items() if value is not None] + ["batch_norm"] * request.batch_norm
    if given:
        raise StemError(f"stem: {given[0]} is for a fitted stem; set resolution = 'fit'")
