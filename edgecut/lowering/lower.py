"""What a converter makes of a part of a model: its TFLite operators and tensors, foreseen without converting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from edgecut.graph.tensor import Tensor, needed
from edgecut.lowering.builder import Activations, GraphBuilder
from edgecut.lowering.layer_call import LayerCall, UnsaidError
from edgecut.lowering.layer_operators import IDLE, PLAIN
from edgecut.lowering.rules import RULES
from edgecut.tflite.flatbuffer import TfliteGraph

# Layers without weights: a converter computes equal ones on the same tensor once.
MERGED = frozenset({"Activation", "AveragePooling2D", "Cropping2D", "MaxPooling2D", "ReLU", "ZeroPadding2D"})


def lowering(calls: Sequence[LayerCall], activations: Activations) -> Callable[..., TfliteGraph]:
    """For any tensors, the graph that a file of the model up to them would hold, for one image; an open size is 1.

    activations: "int8" for a fully quantized file. What no rule covers is an operator
    called by its layer's class, which the tables of tflite/ops.py don't model. As TensorFlow 2.21's converter does it,
    BatchNormalization and ReLU are fused into what is before them, padding into a convolution where it is what SAME
    would pad, and equal activations, poolings and paddings of one tensor are one.
    """
    # The order of a part is that of the whole: what isn't needed for it leads to nothing that is.
    whole, producer = _converter_order(calls), _producers(calls)
    settings = {call: _settings(call) for call in whole if call.type in MERGED}

    def lower(*ends: Tensor) -> TfliteGraph:
        part = needed(producer, ends)
        return _lowered([call for call in whole if call in part], settings, activations, ends).graph()

    return lower


def operators_by_layer(calls: Sequence[LayerCall], ends: Sequence[Tensor]) -> dict[str, tuple[str, ...]]:
    """The operators that each layer needed for the ends becomes, in float, layers that leave none left out.

    The layers are in the order of the calls; what is fused into another layer's operator is that layer's.
    """
    part = needed(_producers(calls), ends)
    order = [call for call in calls if call in part]
    work = _lowered(order, {call: _settings(call) for call in order if call.type in MERGED}, "float32", tuple(ends))
    rows: dict[str, tuple[str, ...]] = {}
    for operator in work.operators:
        layer = work.layers[operator.outputs[0]]
        rows[layer] = (*rows.get(layer, ()), operator.name)
    return rows


def _producers(calls: Iterable[LayerCall]) -> dict[Tensor, LayerCall]:
    return {tensor: call for call in calls for tensor in call.outputs}


def _lowered(
    part: Sequence[LayerCall], settings: Mapping[LayerCall, str], activations: Activations, ends: Sequence[Tensor]
) -> GraphBuilder:
    order, same = _merged(part, settings)
    work = GraphBuilder(activations, same, _readers(order, same), [same.get(end, end) for end in ends])
    for call in order:
        _add(work, call)
    return work


def _converter_order(calls: Iterable[LayerCall]) -> list[LayerCall]:
    """The calls in the order in which a converted file runs them, which decides what is alive together.

    TensorFlow imports a function in reverse post-order of a depth-first search from what needs nothing, names
    descending (GetReversePostOrder with NodeComparatorName): first weights, then constants, then the input.
    """
    order = tuple(calls)
    takers: dict[Tensor, list[LayerCall]] = {}
    for call in order:
        for tensor in call.inputs:
            takers.setdefault(tensor, []).append(call)
    roots = [
        sorted((call for call in order if is_root(call)), key=_name, reverse=True)
        for is_root in (_has_weights, _has_constants)
    ]
    done: list[LayerCall] = []
    seen: set[LayerCall] = set()
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


def _name(call: LayerCall) -> str:
    return call.name


def _has_weights(call: LayerCall) -> bool:
    return call.has_weights


def _has_constants(call: LayerCall) -> bool:
    return call.type in {"Concatenate", "Flatten", "GlobalAveragePooling2D", "Rescaling", "Reshape", "ZeroPadding2D"}


def _settings(call: LayerCall) -> str:
    """What makes a layer equal to another; a layer without settings is equal to itself alone."""
    return repr({key: value for key, value in call.config.items() if key != "name"}) if call.config else call.name


def _merged(
    order: Sequence[LayerCall], settings: Mapping[LayerCall, str]
) -> tuple[list[LayerCall], dict[Tensor, Tensor]]:
    """The calls without those that repeat another, and what stands for the outputs of those.

    settings: of the calls that may be merged.
    """
    first: dict[tuple[object, ...], LayerCall] = {}
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


def _readers(order: Sequence[LayerCall], same: Mapping[Tensor, Tensor]) -> dict[Tensor, int]:
    counts: dict[Tensor, int] = {}
    for call in order:
        for tensor in call.inputs:
            counts[same.get(tensor, tensor)] = counts.get(same.get(tensor, tensor), 0) + 1
    return counts


def _add(work: GraphBuilder, call: LayerCall) -> None:
    """Add what becomes of a call."""
    if call.is_input:
        work.add_input(call)
        return
    inputs, before = work.places(call), len(work.operators)
    work.layer = call.name
    try:
        result = _result(work, call, inputs)
    except UnsaidError:
        del work.operators[before:]
        result = work.activation(call, work.chain((call.type,), inputs, call.shape), call.shape)
    work.put(call, result)


def _result(work: GraphBuilder, call: LayerCall, inputs: Sequence[int]) -> int:
    rule = RULES.get(call.type)
    if call.type in IDLE:
        return inputs[0]
    if rule is not None:
        return rule(work, call, inputs)
    return work.chain(PLAIN.get(call.type, (call.type,)), inputs, call.shape)
