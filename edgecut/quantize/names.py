"""Which layer of the source model a .tflite tensor is the output of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecut.tflite.flatbuffer import TfliteGraph


@dataclass(frozen=True)
class LayerOutput:
    """The output of one call of the source model. name: as `edgecut inspect` has it; shape: with the batch axis."""

    name: str
    shape: tuple[int | None, ...]
    type: str = ""


def layer_tensors(graph: TfliteGraph, layers: Sequence[LayerOutput]) -> dict[int, str]:
    """Tensor index -> the layer whose output it is, in execution order; a layer names at most one tensor.

    layers: the source's calls in order. The converter keeps the paths of what it fused in a tensor's name
    ("model_1/conv1_relu_1/Relu6;model_1/conv1_bn_1/..."), with "_1" behind names that Keras used before; the last
    layer in them, in calling order, with the tensor's shape is the one. A layer that became several operators means
    the last of them. An output that was renamed is found by its weights' names, or is the source's last layer if no
    weights lie between. Where no name says anything, operators with weights are matched by their order.
    """
    position = {layer.name: k for k, layer in enumerate(layers)}
    shapes = {layer.name: layer.shape for layer in layers}
    texts = _texts(graph)
    found: dict[int, str] = {}
    for suffixed in _likelier_first(texts.values(), position):
        for index, text in texts.items():
            named = [n for n in _named(text, position, suffixed) if _fits(graph.tensors[index].shape, shapes[n])]
            if named and index not in found:
                found[index] = max(named, key=lambda name: position[name])
    found = found or _by_order(graph, layers)
    if layers:
        found.update({i: layers[-1].name for i in graph.outputs if _is_last(graph, i, found, position, layers)})
    last = {found[index]: index for index in texts if index in found}
    return {index: found[index] for index in texts if last.get(found.get(index, "")) == index}


def _texts(graph: TfliteGraph) -> dict[int, str]:
    """What names the activations, in execution order; QUANTIZE and DEQUANTIZE only repeat one.

    An output that was renamed keeps the names of its operator's constants.
    """
    found = {}
    for operator in graph.operators:
        if operator.name not in {"QUANTIZE", "DEQUANTIZE"}:
            constants = [graph.tensors[i].name for i in operator.inputs if i >= 0 and graph.tensors[i].is_constant]
            for index in operator.outputs:
                name = graph.tensors[index].name
                found[index] = name if "/" in name else ";".join([name, *constants])
    return found


def _is_last(
    graph: TfliteGraph, index: int, found: Mapping[int, str], position: Mapping[str, int],
    layers: Sequence[LayerOutput],
) -> bool:  # fmt: skip
    """Whether an output without a name can only be the source's last layer: no weights lie between."""
    if index in found or not _fits(graph.tensors[index].shape, layers[-1].shape):
        return False
    makers = {i: op for op in graph.operators for i in op.outputs}
    place = index
    while place in makers and place not in found:
        fed = [i for i in makers[place].inputs if i >= 0 and not graph.tensors[i].is_constant]
        if not fed or makers[place].name in _WEIGHTED_OPERATORS:
            return False
        place = fed[0]
    return place in found and not any(x.type in _WEIGHTED_LAYERS for x in layers[position[found[place]] + 1 :])


def _likelier_first(texts: Iterable[str], position: Mapping[str, int]) -> tuple[bool, bool]:
    """Whether names have a "_1" of Keras's behind them is the same for the whole file: if it explains more."""
    texts = list(texts)
    counts = {k: sum(any(True for _ in _named(text, position, k)) for text in texts) for k in (True, False)}
    return (True, False) if counts[True] > counts[False] else (False, True)


def _named(text: str, position: Mapping[str, int], suffixed: bool) -> Iterator[str]:
    """The layers that a tensor's name mentions."""
    for path in text.split(";"):
        parts = [re.sub(r"_\d+$", "", part) if suffixed else part for part in path.split("/")]
        # A path ends in an operator: the add of "bn/batchnorm/add_1" is no layer called "add".
        scopes = len(parts) - 1 or 1
        for first in range(scopes):
            for last in range(scopes, first, -1):
                name = ".".join(parts[first:last])
                if name in position:
                    yield name


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a tensor of batch 1 can be the layer's output; axes of size 1 may have been left out."""
    known = [size for size in wanted[1:] if size != 1]
    found = [size for size in shape[1:] if size != 1]
    return len(known) == len(found) and all(a in {None, b} for a, b in zip(known, found, strict=True))


def _by_order(graph: TfliteGraph, layers: Sequence[LayerOutput]) -> dict[int, str]:
    """Operators with weights to the source's layers with weights, one by one, if there are as many of both.

    What the converter fuses behind such a layer belongs to its operator.
    """
    weighted = [k for k, layer in enumerate(layers) if layer.type in _WEIGHTED_LAYERS]
    tensors = [graph.tensors[op.outputs[0]] for op in graph.operators if op.name in _WEIGHTED_OPERATORS]
    if len(weighted) != len(tensors):
        return {}
    found: dict[int, str] = {}
    for tensor, place in zip(tensors, weighted, strict=True):
        while place + 1 < len(layers) and layers[place + 1].type in _FUSED_LAYERS:
            place += 1
        if _fits(tensor.shape, layers[place].shape):
            found[tensor.index] = layers[place].name
    return found


_WEIGHTED_LAYERS = frozenset({"Conv1D", "Conv2D", "DepthwiseConv2D", "Dense"})
_WEIGHTED_OPERATORS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_FUSED_LAYERS = frozenset({"BatchNormalization", "ReLU", "Activation", "Dropout"})
