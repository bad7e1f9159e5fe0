"""What a converter makes of a part of a model: its TFLite operators and tensors, foreseen without converting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecut.graph.layer_call import LayerCall, UnsaidError
from edgecut.graph.tensor import Tensor, needed
from edgecut.lowering.builder import Activations, GraphBuilder
from edgecut.lowering.layer_operators import IDLE, PLAIN
from edgecut.lowering.parts import Part, Parts
from edgecut.lowering.rules import RULES
from edgecut.tflite.flatbuffer import TfliteGraph

_KEPT_EVERY = 8  # calls after which a state of the work is kept to go back to


def lowering(calls: Sequence[LayerCall], activations: Activations) -> Lowering:
    """For any tensors, the graph that a file of the model up to them would hold, for one image; an open size is 1.

    activations: "int8" for a fully quantized file. What no rule covers is an operator
    called by its layer's class, which the tables of tflite/ops.py don't model. As TensorFlow 2.21's converter does it,
    BatchNormalization and ReLU are fused into what is before them, padding into a convolution where it is what SAME
    would pad, and equal activations, poolings and paddings of one tensor are one.
    """
    return Lowering(Parts(_converter_order(calls)), activations)


def operators_by_layer(calls: Sequence[LayerCall], ends: Sequence[Tensor]) -> dict[str, tuple[str, ...]]:
    """The operators that each layer needed for the ends becomes, in float, layers that leave none left out.

    The layers are in the order of the calls; what is fused into another layer's operator is that layer's.
    """
    part = needed({tensor: call for call in calls for tensor in call.outputs}, ends)
    work = Lowering(Parts([call for call in calls if call in part]), "float32").build(ends)
    rows: dict[str, tuple[str, ...]] = {}
    for operator in work.operators:
        layer = work.layers[operator.outputs[0]]
        rows[layer] = (*rows.get(layer, ()), operator.name)
    return rows


class Lowering:
    """The graphs of a model up to any tensors; what two of them, one after the other, have in common is made once."""

    def __init__(self, parts: Parts, activations: Activations) -> None:
        """parts: of the model."""
        self.parts = parts
        self._work = GraphBuilder(activations, Part(parts, 0, ()))
        self._next = 0  # the first position that the work so far leaves open
        self._kept: list[tuple[int, GraphBuilder]] = [(0, self._work.copy())]

    def __call__(self, *ends: Tensor) -> TfliteGraph:
        """The graph of the model up to the tensors."""
        return self.build(ends).graph()

    def build(self, ends: Sequence[Tensor]) -> GraphBuilder:
        """All that the graph is made of, what nothing reads included; good until the next one."""
        part = self.parts.part(ends)
        self._back_to(min(self._next, self.parts.first_change(self._work.part, part)))
        self._work.part = part
        for position in part.positions(self._next):
            if position >= self._kept[-1][0] + _KEPT_EVERY:
                self._kept.append((position, self._work.copy()))
            _add(self._work, self.parts.order[position])
            self._next = position + 1
        return self._work

    def _back_to(self, position: int) -> None:
        """Take back what was made of a position and behind it."""
        if position < self._next:
            while self._kept[-1][0] > position:
                self._kept.pop()
            self._next, kept = self._kept[-1]
            self._work = kept.copy()


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
    return bool(call.weights)


def _has_constants(call: LayerCall) -> bool:
    return call.type in {"Concatenate", "Flatten", "GlobalAveragePooling2D", "Rescaling", "Reshape", "ZeroPadding2D"}


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
