"""Which tensors of a graph must keep one scale together, and which can be scaled channel by channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgecut.quantize.pairs import FilePair, activation
from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.kinds import CHANNELWISE, FIXED_SCALE, OWN_SCALE, SAME_SCALE, WEIGHTED


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Tensors whose channels can be scaled together without a change of what the model computes.

    tensors: of the int8 file. makers, takers: the weighted operators that write and read them. bounded: those of the
    tensors that a ReLU6 writes, whose channels mustn't grow beyond 6.
    """

    tensors: tuple[int, ...]
    makers: tuple[int, ...]
    takers: tuple[int, ...]
    channels: int
    bounded: tuple[int, ...]


class _Sets:
    """Disjoint sets of tensors."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, item: int) -> int:
        """The set's representative."""
        parent = self._parent.setdefault(item, item)
        while parent != self._parent[parent]:
            parent = self._parent[parent]
        return parent

    def join(self, items: Iterable[int]) -> None:
        """Make one set of those of all items."""
        first, *others = [self.root(item) for item in items]
        for other in others:
            self._parent[other] = first

    def all(self) -> list[tuple[int, ...]]:
        """The sets, in the order of their first items."""
        found: dict[int, list[int]] = {}
        for item in self._parent:
            found.setdefault(self.root(item), []).append(item)
        return [tuple(sorted(items)) for items in found.values()]


def scale_groups(file_pair: FilePair) -> tuple[tuple[int, ...], ...]:
    """The int8 activations whose range may be chosen anew; those that must share one are a group."""
    graph = file_pair.graph
    sets, fixed = _Sets(), {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        outs, ins = _activations(graph, operator.outputs), _activations(graph, operator.inputs)
        for index in (*outs, *ins):
            sets.root(index)
        weighted = operator.index in file_pair.weighted
        if operator.name in SAME_SCALE:
            sets.join((*outs, *ins))
        elif operator.name in FIXED_SCALE:
            fixed.update(outs)
        elif operator.name not in OWN_SCALE or (operator.name in WEIGHTED and not weighted):
            # An operator of unknown habits keeps the grids that the converter gave it.
            fixed.update((*outs, *ins))
    return tuple(group for group in sets.all() if not fixed.intersection(group))


def channel_groups(file_pair: FilePair) -> tuple[ChannelGroup, ...]:
    """The groups of tensors that cross-layer equalization may scale channel by channel."""
    graph = file_pair.graph
    sets, closed = _Sets(), {*graph.inputs, *graph.outputs}
    makers: dict[int, list[int]] = {}
    takers: dict[int, list[int]] = {}
    bounded: set[int] = set()
    for op in graph.operators:
        outs, ins = _activations(graph, op.outputs), _activations(graph, op.inputs)
        for index in (*outs, *ins):
            sets.root(index)
        if op.index in file_pair.weighted:
            makers.setdefault(outs[0], []).append(op.index)
            takers.setdefault(ins[0], []).append(op.index)
            if activation(op) == "relu6":
                bounded.add(outs[0])
            if activation(op) not in _POSITIVE or not _maps_channels(file_pair, op):
                closed.update(outs)
            if op.name != "DEPTHWISE_CONV_2D" and not _takes_channels(graph, op):
                closed.update(ins)
        elif op.name in CHANNELWISE and _keeps_channels(graph, op) and activation(op) in _POSITIVE:
            sets.join((*outs, *ins))
            if activation(op) == "relu6":
                bounded.update(outs)
            if len(ins) < 2 and op.name == "ADD":
                closed.update(outs)
        else:
            closed.update((*outs, *ins))
    groups = []
    for tensors in sets.all():
        made = tuple(op for index in tensors for op in makers.get(index, ()))
        taken = tuple(op for index in tensors for op in takers.get(index, ()))
        if made and taken and not closed.intersection(tensors):
            channels = graph.tensors[graph.operators[made[0]].outputs[0]].shape[-1]
            limited = tuple(index for index in tensors if index in bounded)
            groups.append(ChannelGroup(tensors, made, taken, channels, limited))
    return tuple(groups)


def _activations(graph: TfliteGraph, indices: Iterable[int]) -> tuple[int, ...]:
    """Those of the tensors that are computed, and quantized to 8 bits."""
    return tuple(i for i in indices if i >= 0 and not graph.tensors[i].is_constant and graph.tensors[i].dtype == "int8")


def _maps_channels(file_pair: FilePair, op: Operator) -> bool:
    """Whether each output channel has weights of its own."""
    tensor = file_pair.graph.tensors[op.outputs[0]]
    return tensor.shape[-1] == file_pair.weighted[op.index].weights.shape[file_pair.weighted[op.index].axis]


def _takes_channels(graph: TfliteGraph, op: Operator) -> bool:
    """Whether the weights' last axis is the input's channels: no flattened map, no grouped convolution."""
    return graph.tensors[op.inputs[0]].shape[-1] == graph.tensors[op.inputs[1]].shape[-1]


def _keeps_channels(graph: TfliteGraph, op: Operator) -> bool:
    """Whether the last axis stays what it is; a padding of channels or a mean over them would not."""
    shapes = [graph.tensors[i].shape for i in (*_activations(graph, op.inputs), *op.outputs)]
    return len({shape[-1] for shape in shapes}) == 1 and all(len(shape) > 1 for shape in shapes)


# Activations that a positive factor passes, the last within its bound.
_POSITIVE = frozenset({"none", "relu", "relu6"})
