"""Where a model can be cut, and what a cut keeps, from plain calls; without Keras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgecut.graph.costs import macs_of, tensor_bytes
from edgecut.graph.dataflow import C, Dataflow, Flow, ancestors, descendants
from edgecut.graph.tensor import Tensor


@dataclass(frozen=True)
class CutPoint:
    """One tensor at which a model can be cut.

    shape: with the batch axis. legal_start: whether everything behind it can be computed from it alone; `bypass`
    names the other tensors that are needed where not. macs, params: what the model up to here costs in
    multiply-accumulates of one inference (None where an operator isn't modelled or a size is open) and in weights.
    activation_bytes: the size of this tensor for one image in its own dtype, None where a size is open.
    """

    name: str
    position: int
    type: str
    shape: tuple[int | None, ...]
    legal_start: bool
    bypass: tuple[str, ...]
    macs: int | None
    params: int
    activation_bytes: int | None


def points_of(flow: Dataflow) -> tuple[CutPoint, ...]:
    """Every tensor of a model in calling order, model inputs included, with what a cut there means."""
    before = _before(flow)
    frontiers = _frontiers(flow, before)
    macs, own, shared = [macs_of(call) for call in flow], *_own_params(flow)
    points = []
    for position, call in enumerate(flow):
        for tensor in call.outputs:
            upto = _bits(before[tensor])
            counts = [macs[i] for i in upto]
            known = [count for count in counts if count is not None]
            bypass = frontiers[tensor]
            points.append(
                CutPoint(
                    name=flow.tensor_name[tensor],
                    position=position,
                    type=call.type,
                    shape=tensor.shape,
                    legal_start=bypass == (),
                    bypass=() if bypass is None else tuple(flow.tensor_name[t] for t in bypass),
                    macs=sum(known) if len(known) == len(counts) else None,
                    params=sum(own[i] for i in upto) + sum(count for calls, count in shared if calls & before[tensor]),
                    activation_bytes=tensor_bytes(tensor),
                )
            )
    return tuple(points)


def totals(flow: Dataflow) -> dict[str, int | None]:
    """The layers, calls, params and macs of a whole model; macs is None if an operation isn't modelled."""
    macs = [macs_of(call) for call in flow]
    known = [count for count in macs if count is not None]
    return {
        "layers": len({call.path for call in flow}),
        "calls": len(flow),
        "params": sum({call.layer: call.params for call in flow}.values()),
        "macs": sum(known) if len(known) == len(macs) else None,
    }


def frontier(calls: Flow[C], starts: Iterable[Tensor], outputs: Iterable[Tensor] | None = None) -> tuple[Tensor, ...]:
    """The tensors besides `starts` from which `outputs` (default: the model's) are computed: what a start needs more.

    The calls behind the starts are kept; each tensor that they take from elsewhere is named. () means that the starts
    suffice.
    """
    starts = tuple(starts)
    wanted = calls.flat_outputs if outputs is None else tuple(outputs)
    behind = descendants(calls, starts) & ancestors(calls, wanted, stop=starts)
    return _besides(calls, _before(calls), starts, [call for call in calls if call in behind], wanted)


def _besides(
    flow: Flow[C], before: Mapping[Tensor, int], starts: Sequence[Tensor], behind: Iterable[C], wanted: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """What the calls behind the starts, in order, and the wanted tensors need that isn't made by these calls.

    before: as _before() has it. Without what can be computed from the others and the starts.
    """
    calls = list(behind)
    made = {tensor for call in calls for tensor in call.outputs} | set(starts)
    needed_tensors = [*(tensor for call in calls for tensor in call.inputs), *wanted]
    missing = list(dict.fromkeys(tensor for tensor in needed_tensors if tensor not in made))
    for tensor in missing[::-1]:
        rest = {*starts, *(x for x in missing if x is not tensor)}
        if len(missing) > 1 and not _needs_input(flow, before, tensor, rest):
            missing.remove(tensor)
    return tuple(missing)


def _needs_input(flow: Flow[C], before: Mapping[Tensor, int], tensor: Tensor, rest: set[Tensor]) -> bool:
    """Whether a tensor is computed from a model input, by a way on which none of the rest lies."""
    makers, inputs = _union(_own(before[x]) for x in rest), _union(before[x] for x in flow.flat_inputs)
    pending, seen = [tensor], {tensor}
    while pending:
        x = pending.pop()
        if not before[x] & ~_own(before[x]) & makers:
            if before[x] & inputs:
                return True
            continue
        for source in flow.producer[x].inputs:
            if source not in rest and source not in seen:
                seen.add(source)
                pending.append(source)
    return False


def legal_starts(calls: Flow[C]) -> tuple[str, ...]:
    """The names of the tensors from which alone all outputs can be computed, in calling order."""
    return tuple(calls.tensor_name[tensor] for tensor, is_legal in _sweep(calls).items() if is_legal)


def _frontiers(graph: Dataflow, before: Mapping[Tensor, int]) -> dict[Tensor, tuple[Tensor, ...] | None]:
    """For each tensor what a start there needs besides it; None where no output depends on it."""
    behind, used = _behind(graph), _union(before[tensor] for tensor in graph.flat_outputs)
    found: dict[Tensor, tuple[Tensor, ...] | None] = {}
    for tensor, is_legal in _sweep(graph).items():
        if is_legal is None:
            found[tensor] = None
        else:
            calls = () if is_legal else [graph.calls[i] for i in _bits(behind[tensor] & used)]
            found[tensor] = _besides(graph, before, (tensor,), calls, () if is_legal else graph.flat_outputs)
    return found


def _sweep(graph: Flow[C]) -> dict[Tensor, bool | None]:
    """Whether all outputs can be computed from a tensor alone, for each; None where no output depends on it.

    One pass over the live set: a tensor is a legal start if right after it nothing else is live.
    """
    wanted = set(graph.flat_outputs)
    useful = ancestors(graph, wanted)
    last: dict[Tensor, int] = {}
    for position, call in enumerate(graph):
        if call in useful:
            last.update(dict.fromkeys(call.inputs, position))
    last.update(dict.fromkeys(wanted, len(graph)))
    inputs = set(graph.flat_inputs)
    live = inputs & last.keys()
    found: dict[Tensor, bool | None] = {}
    inputs_to_come = len(inputs)
    for position, call in enumerate(graph):
        live.difference_update(tensor for tensor in call.inputs if last.get(tensor) == position)
        live.update(tensor for tensor in call.outputs if last.get(tensor, -1) > position)
        inputs_to_come -= sum(tensor in inputs for tensor in call.outputs)
        for tensor in call.outputs:
            found[tensor] = (not inputs_to_come and live == {tensor}) if tensor in last else None
    return found


def _before(flow: Flow[C]) -> dict[Tensor, int]:
    """For each tensor the calls that it is computed from, its own included, as a bit mask over positions."""
    masks: dict[Tensor, int] = {}
    for position, call in enumerate(flow):
        mask = _union(masks[tensor] for tensor in call.inputs) | 1 << position
        masks.update(dict.fromkeys(call.outputs, mask))
    return masks


def _behind(flow: Dataflow) -> dict[Tensor, int]:
    """For each tensor the calls that depend on it, as such a mask."""
    masks = {tensor: 0 for call in flow for tensor in call.outputs}
    for position in range(len(flow) - 1, -1, -1):
        call = flow.calls[position]
        mask = _union(masks[tensor] for tensor in call.outputs) | 1 << position
        for tensor in call.inputs:
            masks[tensor] |= mask
    return masks


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result


def _own(mask: int) -> int:
    """Of what a tensor is computed from, the call that puts it out: the last."""
    return 1 << (mask.bit_length() - 1)


def _bits(mask: int) -> list[int]:
    return [i for i, bit in enumerate(reversed(bin(mask)[2:])) if bit == "1"]


def _own_params(flow: Dataflow) -> tuple[list[int], list[tuple[int, int]]]:
    """The weights of each call's layer, 0 of shared ones; and of these (its calls as a bit mask, its weights)."""
    calls_of: dict[str, int] = {}
    for position, call in enumerate(flow):
        calls_of[call.layer] = calls_of.get(call.layer, 0) | 1 << position
    params = {call.layer: call.params for call in flow}
    shared = {layer for layer, calls in calls_of.items() if calls.bit_count() > 1}
    own = [0 if call.layer in shared else params[call.layer] for call in flow]
    return own, [(calls_of[layer], params[layer]) for layer in shared]
