"""What a converter makes of a part of a model: its TFLite operators and tensors, foreseen without converting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from edgecut.graph.callgraph import Call, Calls, Tensor, ancestors
from edgecut.lowering.builder import Activations, GraphBuilder
from edgecut.lowering.layer_operators import IDLE, PLAIN
from edgecut.lowering.rules import RULES
from edgecut.tflite.flatbuffer import TfliteGraph

# Layers without weights: a converter computes equal ones on the same tensor once.
_MERGED = frozenset({"Activation", "AveragePooling2D", "Cropping2D", "MaxPooling2D", "ReLU", "ZeroPadding2D"})


def lowering(calls: Calls, activations: Activations) -> Callable[[Tensor], TfliteGraph]:
    """For any tensor, the graph that a file of the model up to it would hold, for one image; an open size counts as 1.

    activations: "int8" for a fully quantized file. What no rule covers is an operator
    called by its layer's class, which the tables of tflite/ops.py don't model. As TensorFlow 2.21's converter does it,
    BatchNormalization and ReLU are fused into what is before them, padding into a convolution where it is what SAME
    would pad, and equal activations, poolings and paddings of one tensor are one.
    """
    # The order of a part is that of the whole: what isn't needed for it leads to nothing that is.
    whole = _converter_order(calls)
    settings = {call: _settings(call) for call in whole if call.type in _MERGED}

    def lower(end: Tensor) -> TfliteGraph:
        kept = ancestors(calls, (end,))
        order, same = _merged([call for call in whole if call in kept], settings)
        work = GraphBuilder(activations, same, _readers(order, same), same.get(end, end))
        for call in order:
            _add(work, call)
        return work.graph(same.get(end, end))

    return lower


def _converter_order(calls: Iterable[Call]) -> list[Call]:
    """The calls in the order in which a converted file runs them, which decides what is alive together.

    TensorFlow imports a function in reverse post-order of a depth-first search from what needs nothing, names
    descending (GetReversePostOrder with NodeComparatorName): first weights, then constants, then the input.
    """
    order = tuple(calls)
    takers: dict[Tensor, list[Call]] = {}
    for call in order:
        for tensor in call.inputs:
            takers.setdefault(tensor, []).append(call)
    roots = [
        sorted((call for call in order if is_root(call)), key=_name, reverse=True)
        for is_root in (_has_weights, _has_constants)
    ]
    done: list[Call] = []
    seen: set[Call] = set()
    pending = [(call, False) for group in (*roots, order) for call in group][::-1]
    while pending:
        call, finished = pending.pop()
        if finished:
            done.append(call)
        elif call not in seen:
            seen.add(call)
            pending.append((call, True))
            behind = {taker: None for tensor in call.outputs for taker in takers.get(tensor, ())}
            pending.extend((taker, False) for taker in sorted(behind, key=_name))
    return done[::-1]


def _name(call: Call) -> str:
    return call.name


def _has_weights(call: Call) -> bool:
    return bool(getattr(call.operation, "weights", ()))


def _has_constants(call: Call) -> bool:
    return call.type in {"Concatenate", "Flatten", "GlobalAveragePooling2D", "Rescaling", "Reshape", "ZeroPadding2D"}


def _settings(call: Call) -> str:
    return repr({key: value for key, value in call.operation.get_config().items() if key != "name"})


def _merged(order: Sequence[Call], settings: Mapping[Call, str]) -> tuple[list[Call], dict[Tensor, Tensor]]:
    """The calls without those that repeat another, and what stands for the outputs of those.

    settings: of the calls that may be merged.
    """
    first: dict[tuple[Any, ...], Call] = {}
    same: dict[Tensor, Tensor] = {}
    kept = []
    for call in order:
        if call in settings:
            key = (call.type, settings[call], *(same.get(x, x) for x in call.inputs))
            known = first.setdefault(key, call)
            if known is not call:
                same.update(zip(call.outputs, known.outputs, strict=True))
                continue
        kept.append(call)
    return kept, same


def _readers(order: Sequence[Call], same: Mapping[Tensor, Tensor]) -> dict[Tensor, int]:
    counts: dict[Tensor, int] = {}
    for call in order:
        for tensor in call.inputs:
            counts[same.get(tensor, tensor)] = counts.get(same.get(tensor, tensor), 0) + 1
    return counts


def _add(work: GraphBuilder, call: Call) -> None:
    """Add what becomes of a call."""
    if call.is_input:
        work.add_input(call)
        return
    inputs, rule = work.places(call), RULES.get(call.type)
    if call.type in IDLE:
        result = inputs[0]
    elif rule is not None:
        result = rule(work, call, inputs)
    else:
        result = work.chain(PLAIN.get(call.type, (call.type,)), inputs, call.outputs[0].shape)
    work.put(call, result)
