"""A stem edit carried out in the cheapest way, and proven."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import keras

from edgecut.errors import GraphError, StemError
from edgecut.graph.calls import Call, Calls, Tensor, ancestors, flat
from edgecut.graph.rebuild import rebuild
from edgecut.records.proof import StemProof
from edgecut.score.answer import agreement_in
from edgecut.stem.channels import LinearMap
from edgecut.stem.construct import Candidate, Device, cheapest, own_cost, whole_picture
from edgecut.stem.first import FirstOp, first_operators
from edgecut.stem.flatten import resized_flattens
from edgecut.stem.layers import name_apart
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
from edgecut.stem.records import Edit, Pictures, StemResult
from edgecut.stem.resolution import MODES, check_interpolated, factor_of

BYTE_CENTRE = 127.5  # the middle of 0..255, and half its range


def proven(edit: Edit, pictures: Pictures | None) -> StemResult:
    """The edit made, proven, and looked at on images where there are some."""
    construction, edited = apply(edit)
    if is_reused(edit):
        construction = "reuse" if construction == "none" else f"{construction}, reuse"
    proof = prove(edit, edited)
    notes = [*exactness_notes(edit, construction, proof, has_images=pictures is not None)]
    if pictures is not None:
        seen = prove_on_images(edit, edited, pictures)
        proof = proof.model_copy(update=seen.to_dict())
        notes += lost_notes(edit, proof, pictures.order)
        notes += better_ways(edit, edited, edit.device.mode, proof, pictures)
        notes += dead_notes(edit, edited, pictures)
    return StemResult(edited, construction, proof, cost_of(edit.graph, edited), tuple(notes))


def better_ways(
    edit: Edit, edited: keras.Model, resolution: str, proof: StemProof, pictures: Pictures
) -> Iterator[str]:
    """A sentence where another resolution than the edit's keeps clearly more of the source's answers.

    proof: what the edit itself keeps.
    """
    if not are_compared(edit, proof, pictures.images):
        return
    ways = {resolution: (edit, edited)}
    height, width = (int(side or 0) for side in edit.device.size)
    for mode in ("reuse", "average", "nearest", "bilinear"):
        if mode == resolution:
            continue
        try:
            other = edit_of(edit.graph, edit.source, edit.linear, (height, width), mode, raw=pictures.raw)
            other = replace(other, device=replace(other.device, pads_with_values=edit.device.pads_with_values))
            ways[mode] = (other, apply(other)[1])
        except StemError:
            continue  # sizes without a whole ratio, or too small a picture
    kept = {}
    for mode, (way, model) in ways.items():
        found = prove_on_images(way, model, pictures)
        agreement = agreement_in(found)
        if agreement is not None:
            kept[mode] = Kept(agreement, cost_of(edit.graph, model).macs.after)
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


def edit_of(
    graph: Calls, source: Tensor, linear: LinearMap, size: tuple[int, int] | None, resolution: str, *, raw: bool
) -> Edit:
    """The edit that gives a size (height, width) by a resolution. Raises StemError where that can't be."""
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
