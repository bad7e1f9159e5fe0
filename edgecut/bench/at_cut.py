"""What a cut of a model would cost on a device, estimated before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecut.bench.fits import has_arena
from edgecut.bench.predict import PLANNER, arena_estimate, predict_arena, predict_latency, unknown_scratch
from edgecut.records.measurement import Measurement, Metric, missing
from edgecut.records.profile import Profile
from edgecut.tflite.arena import cortex_m_arena_bytes
from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.kinds import KINDS

if TYPE_CHECKING:
    from edgecut.graph.dataflow import Dataflow
    from edgecut.graph.tensor import Tensor

# The activations were planned to the byte as in the exported file in all cuts tried: 58 files, int8 and float32, of
# MobileNet, MobileNetV2, MobileNetV3Small, EfficientNetB0, ResNet50V2 and DenseNet121, whose int8 file has two pairs of
# QUANTIZE and DEQUANTIZE besides (0.17 % of the arena); since then four of ConvNeXtTiny, and blocks of ViT and
# MLP-Mixer. Operators of size 1 by 1, which a converter simplifies, once put an arena off by 2.4 %, and attention of
# one tensor to another, whose order a converter chooses otherwise, the planned bytes by 3.0 %.
FORESEEN_ERROR = 0.03
METHOD = "operators that a converter is foreseen to write"


@dataclass(frozen=True)
class CutCost:
    """The estimates of a model that ends at the tensor `name`, for one device."""

    name: str
    latency: Measurement
    arena: Measurement


def cut_costs(flow: Dataflow, profile: Profile) -> Iterator[CutCost]:
    """Estimated latency and arena of a cut at each tensor, those that begin alike one after another.

    In int8 where the profile's runtime takes it, else in float32. Neither holds what a new head would add.
    """
    from edgecut.lowering.lower import lowering

    lower = lowering(flow.calls, "int8" if "int8" in profile.runtime.precisions else "float32")
    open_ends = _open_ends(flow)
    last: tuple[TfliteGraph, Measurement, Measurement] | None = None
    # The order of the calls goes to and fro between branches: a third of NASNet's time went into rebuilding them.
    for tensor in lower.parts.in_turn(tensor for call in flow for tensor in call.outputs):
        name = flow.tensor_name[tensor]
        if tensor in open_ends:
            reason = "a size of the model is open"
            yield CutCost(name, _missing("latency", name, profile, reason), _missing("arena", name, profile, reason))
        else:
            graph = lower(tensor)
            # What is fused or does nothing leaves the file as it was, and planning is the slow part.
            if last is None or last[0] != graph:
                last = graph, predict_latency(graph, profile, name), _arena(graph, profile, name)
            yield CutCost(name, *(m.model_copy(update={"artifact": name}) for m in last[1:]))


def unforeseen(graph: TfliteGraph) -> tuple[str, ...]:
    """The layers of a foreseen graph of which no rule tells the operators, sorted, by their classes."""
    return tuple(sorted({operator.name for operator in graph.operators} - KINDS.keys()))


def _open_ends(flow: Dataflow) -> set[Tensor]:
    """The tensors that are computed from one whose size is open, themselves included."""
    found: set[Tensor] = set()
    for call in flow:
        if any(None in tensor.shape[1:] for tensor in call.outputs) or not found.isdisjoint(call.inputs):
            found.update(call.outputs)
    return found


def _arena(graph: TfliteGraph, profile: Profile, name: str) -> Measurement:
    """The memory for activations, and the runtime's own where a rule for it is known."""
    if profile.class_ == "npu":
        return _missing("arena", name, profile, "the NPU's compiler plans the memory itself")
    if not has_arena(profile):
        return _missing("arena", name, profile, f"{profile.runtime.name} asks for memory as it runs, and has no arena")
    unknown_layers = unforeseen(graph)
    if unknown_layers:
        reason = f"what a converter makes of {', '.join(unknown_layers)} isn't foreseen; the written file tells"
        return _missing("arena", name, profile, reason)
    found = predict_arena(graph, profile, name)
    if profile.runtime.name == "c":
        from edgecut.bench.as_c import foreseen_c_arena  # the whole engine, which no other runtime needs

        found = foreseen_c_arena(graph, profile, name)
    if found is not None:
        error = None if found.error is None else (1 + found.error) * (1 + FORESEEN_ERROR) - 1
        return found.model_copy(update={"method": f"{found.method}; {METHOD}", "error": error})
    unknown = unknown_scratch(graph, profile)
    if unknown:
        return _missing("arena", name, profile, unknown)
    method = f"{PLANNER}; {profile.cpu.core or 'the core'} is another; {METHOD}"
    return arena_estimate(cortex_m_arena_bytes(graph, "reference"), profile, name, method)


def _missing(metric: Metric, name: str, profile: Profile, reason: str) -> Measurement:
    return missing(
        metric,
        name,
        reason,
        where=profile.id,
        method=METHOD,
        profile=profile.id,
    )
