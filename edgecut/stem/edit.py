"""The stem: a model made to take what the device feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from edgecut.errors import GraphError, StemError
from edgecut.graph.calls import Call, Calls, Tensor, ancestors, calls, flat
from edgecut.graph.rebuild import rebuild
from edgecut.images.device import CHANNELS, DEFAULT_ORDER
from edgecut.records.recipe import Preprocess
from edgecut.score.answers import agreement_in
from edgecut.stem.channels import LinearMap
from edgecut.stem.construct import Candidate, Device, cheapest, own_cost, whole_picture
from edgecut.stem.first import FirstOp, first_operators
from edgecut.stem.flatten import resized_flattens
from edgecut.stem.layers import name_apart
from edgecut.stem.pixels import device_map
from edgecut.stem.proof import (
    Kept,
    are_compared,
    better_notes,
    cost_of,
    dead_notes,
    exactness_notes,
    is_reused,
    lost_notes,
    prove,
    prove_on_images,
)
from edgecut.stem.resolution import MODES, check_interpolated, factor_of

BYTE_CENTRE = 127.5  # the middle of 0..255, and half its range


@dataclass(frozen=True)
class StemResult:
    """A model with another input, and the proof that it sees what its source saw.

    construction: how the edit was made: "none", "kernel sum", "kernel fold", "bias fold", "constant padding", "ones
    channel", "1x1 convolution" or "concatenate"; with another size also "reuse", "adjoint", "stride", "nearest fold",
    "average fold", "upsampling", "bilinear upsampling", "average pooling" or "fit".
    proof: {"inputs", "max_abs_error", "relative_error", "exact", "tolerance", "tolerance_reason"}: the result on
    device pixels against the source on the equivalent input. What isn't exact by construction ("stride", "fit") has
    "exact": False, and its error as measured. With images also {"images", "image_error", "top1_agreement"}, of tags
    "tag_agreement": the result on the device's pictures against the source on the same in colour at its own size, as
    in proof.prove_on_images.
    cost: {"macs", "operators"}, each {"before", "after"}: multiply-accumulates of one inference (None where an
    operator isn't modelled) and calls of layers and operators, those left out that do nothing in inference.
    """

    model: keras.Model
    construction: str
    proof: dict[str, Any]
    notes: tuple[str, ...] = ()
    cost: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Edit:
    """What a stem edit is made from.

    linear: what the source takes, of what the device feeds, at the source's resolution. device: its picture. fold:
    whether everything affine before and behind the first operator goes into it.
    """

    graph: Calls
    source: Tensor
    linear: LinearMap
    device: Device
    channels: int
    fold: bool

    @property
    def runs_at(self) -> tuple[int | None, int | None]:
        """(height, width) at which the source's own layers run."""
        if self.device.mode == "reuse":
            return self.device.size
        height, width = self.source.shape[1:3]
        return height, width


def stem(
    model: keras.Model,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    preprocess: Preprocess = "none",
    resolution: str = "reuse",
    pixels: str = "normalized",
    data: np.ndarray | None = None,
    *,
    order: str | None = None,
    channel_map: tuple[Any, Any] | None = None,
    kernel: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    filters: int | None = None,
    batch_norm: bool = False,
    constant_padding: bool = True,
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
    """
    graph = calls(model)
    source = _image_input(graph)
    if data is not None and channel_map is not None:
        raise StemError(
            "stem: a channel_map says what the source sees of the device's channels, not what the device sees of a "
            "picture, so data can't be used with it; leave data out, or name the order"
        )
    if data is not None and not len(data):
        raise StemError("stem: data holds no image; give some, or leave data out")
    linear = _map_of(source, channels, order, channel_map, preprocess, raw=_is_raw(pixels))
    if resolution == "fit":
        from edgecut.stem.fit import fit_stem  # the least used way is also the largest

        return fit_stem(
            graph, source, linear, size=size, preprocess=preprocess, raw=pixels == "raw",
            order=_order(source, channels, order, channel_map), images=data, kernel=kernel, stride=stride,
            filters=filters, batch_norm=batch_norm, constant_padding=constant_padding,
        )  # fmt: skip
    _refuse_fit_options(kernel=kernel, stride=stride, filters=filters, batch_norm=batch_norm or None)
    edit = _edit_of(graph, source, linear, size, resolution, raw=pixels == "raw")
    if not constant_padding:
        edit = replace(edit, device=replace(edit.device, pads_with_values=False))
    seen = _order(source, channels, order, channel_map)
    return _proven(edit, data, preprocess, seen, raw=pixels == "raw")


def _proven(edit: Edit, data: np.ndarray | None, preprocess: Preprocess, order: str | None, *, raw: bool) -> StemResult:
    """The edit made, proven, and looked at on images where there are some."""
    construction, edited = apply(edit)
    if is_reused(edit):
        construction = "reuse" if construction == "none" else f"{construction}, reuse"
    proof = prove(edit, edited)
    notes = [*exactness_notes(edit, construction, proof, has_images=data is not None)]
    if data is not None:
        proof |= prove_on_images(edit, edited, data, preprocess, order, raw=raw)
        notes += lost_notes(edit, proof, order)
        notes += better_ways(edit, edited, edit.device.mode, proof, data, preprocess, order, raw=raw)
        notes += dead_notes(edit, edited, data, preprocess, order, raw=raw)
    return StemResult(edited, construction, proof, tuple(notes), cost_of(edit.graph, edited))


def better_ways(
    edit: Edit, edited: keras.Model, resolution: str, proof: dict[str, Any], data: np.ndarray, preprocess: Preprocess,
    order: str | None, *, raw: bool,
) -> Iterator[str]:  # fmt: skip
    """A sentence where another resolution than the edit's keeps clearly more of the source's answers.

    proof: what the edit itself keeps. data, preprocess, order, raw: as in prove_on_images.
    """
    if not are_compared(edit, proof, data):
        return
    ways = {resolution: (edit, edited)}
    height, width = (int(side or 0) for side in edit.device.size)
    for mode in ("reuse", "average", "nearest", "bilinear"):
        if mode == resolution:
            continue
        try:
            other = _edit_of(edit.graph, edit.source, edit.linear, (height, width), mode, raw=raw)
            other = replace(other, device=replace(other.device, pads_with_values=edit.device.pads_with_values))
            ways[mode] = (other, apply(other)[1])
        except StemError:
            continue  # sizes without a whole ratio, or too small a picture
    kept = {}
    for mode, (way, model) in ways.items():
        found = prove_on_images(way, model, data, preprocess, order, raw=raw)
        agreement = agreement_in(found)
        if agreement is not None:
            kept[mode] = Kept(agreement, cost_of(edit.graph, model)["macs"]["after"])
    yield from better_notes(resolution, kept)


def apply(edit: Edit) -> tuple[str, keras.Model]:
    """(construction, model): the cheapest way, built. Raises StemError where a layer can't take the size."""
    device = device_input(edit)
    construction, entries = _cheapest(edit, device)
    resized = edit.device.mode == "reuse" and edit.device.size != tuple(edit.source.shape[1:3])
    splices = {t: s for t, s in resized_flattens(edit.graph).items() if t not in entries} if resized else {}
    try:
        edited = rebuild(edit.graph, entries=entries, inputs=device, splices=splices)
    except GraphError as exc:
        raise StemError(f"stem: size {device.shape[1]}x{device.shape[2]}: {exc}{_larger(edit)}") from exc
    return construction, edited


def _larger(edit: Edit) -> str:
    """What helps where a layer can't take the device's size."""
    if edit.device.mode != "reuse":
        return ""
    return "; feed a larger size, or let the layers run at their own (resolution 'nearest', 'bilinear' or 'fit')"


def device_input(edit: Edit) -> keras.KerasTensor:
    """The new model's input, with the source's name: floats, also where the source takes whole numbers."""
    shape, source = (*edit.device.size, edit.channels), edit.source
    dtype = source.dtype if "float" in source.dtype else "float32"
    return keras.Input(shape, dtype=dtype, batch_size=source.shape[0], name=edit.graph.producer[source].name)


def _cheapest(edit: Edit, device: keras.KerasTensor) -> tuple[str, dict[Tensor, keras.KerasTensor]]:
    """(construction, {the source's tensor that is replaced: its new value}) of the cheapest exact way."""
    untouched = edit.linear.is_identity and not edit.device.is_resampled
    if untouched and not edit.fold:
        return "none", {edit.source: device}
    firsts = first_operators(edit.graph, edit.source, edit.linear, edit.runs_at, fold=edit.fold)
    if untouched and all(first.linear.is_identity for first in firsts):
        return "none", {edit.source: device}
    ways = [cheapest(first, edit.device) for first in firsts]
    chosen = [way for way in ways if way is not None]
    whole = _whole(edit, firsts)
    folded = bool(chosen) and len(chosen) == len(firsts)
    # Only where every consumer is folded is nothing left of the preprocessing's own operators.
    if whole is not None and (not folded or (not edit.fold and whole.cost < sum(way.cost for way in chosen))):
        return whole.name, {edit.source: _built(edit, whole, device)}
    if not folded:
        raise StemError(
            f"stem: resolution {edit.device.mode!r} needs a first convolution whose stride is a multiple of "
            f"{edit.device.factor}; use 'nearest', 'fit' or 'reuse'"
        )
    names = list(dict.fromkeys(way.name for way in chosen))
    built = {first.output: _built(edit, way, device, first.call) for first, way in zip(firsts, chosen, strict=True)}
    kept = ancestors(edit.graph, flat(edit.graph.outputs), stop=built)
    name_apart(built.values(), {call.layer for call in kept})
    return "; ".join(names), built


def _built(edit: Edit, way: Candidate, device: keras.KerasTensor, call: Call | None = None) -> keras.KerasTensor:
    try:
        return way.build(device)
    except ValueError as exc:
        reason = str(exc).splitlines()[0].split(" Received")[0].rstrip(".")
        who = f"layer {call.name!r} ({call.type})" if call is not None else "the new first operator"
        shape = tuple(device.shape)
        raise StemError(f"stem: size {shape[1]}x{shape[2]}: {who} can't take {shape}: {reason}{_larger(edit)}") from exc


def _whole(edit: Edit, firsts: Sequence[FirstOp]) -> Candidate | None:
    """The way that leaves the source as it is, with the source's own cost; None for what only a fold can do."""
    if edit.device.mode == "stride" and edit.device.is_resampled:
        return None
    way = whole_picture(edit.linear, edit.device)
    return Candidate(way.name, way.cost + sum(own_cost(first) for first in firsts), way.build)


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


def _is_raw(pixels: str) -> bool:
    if pixels not in {"normalized", "raw"}:
        raise StemError(f"stem: pixels is {pixels!r}; 'normalized' or 'raw' is expected")
    return pixels == "raw"


def _map_of(
    source: Tensor, channels: int | None, order: str | None, custom: tuple[Any, Any] | None, preprocess: Preprocess,
    *, raw: bool,
) -> LinearMap:  # fmt: skip
    """What the source takes, as a linear map of what the device feeds."""
    width = int(source.shape[3] or 0)
    if custom is not None:
        return _custom_map(width, channels, order, custom, preprocess, raw=raw)
    if width not in {1, 3}:
        raise StemError(
            f"stem: the model's input is {source.shape[1:]}, with {width} channels in the last place; 1 or 3 are "
            "expected, or a channel_map (M, t) that says what they are of the device's"
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
    width: int, channels: int | None, order: str | None, custom: tuple[Any, Any], preprocess: Preprocess, *, raw: bool
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


def _edit_of(
    graph: Calls, source: Tensor, linear: LinearMap, size: tuple[int, int] | None, resolution: str, *, raw: bool
) -> Edit:
    if resolution not in MODES:
        raise StemError(f"stem: resolution is {resolution!r}; one of {', '.join(map(repr, MODES))} is expected")
    own = (source.shape[1], source.shape[2])
    wanted = own if size is None else (int(size[0]), int(size[1]))
    if size is not None and min(size) < 1:
        raise StemError(f"stem: size is {tuple(size)}; height and width are at least 1")
    factor = (1, 1)
    sides = list(zip(own, wanted, ("height", "width"), strict=True))
    if resolution == "bilinear":
        for side in sides:
            check_interpolated(*side)
    elif resolution != "reuse" and wanted != own:
        height, width = (factor_of(a, b, resolution, where) for a, b, where in sides)
        factor = (height, width)
    centre, spread = (BYTE_CENTRE, BYTE_CENTRE) if raw else (0.0, 1.0)
    device = Device(wanted, resolution, factor, own, centre, spread)
    return Edit(graph, source, linear, device, linear.matrix.shape[1], fold=raw)


def _refuse_fit_options(**options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise StemError(f"stem: {given[0]} is for a fitted stem; set resolution = 'fit'")
