"""The source model's layer that an operator of a .tflite file computes, as the converter's names tell it."""

from __future__ import annotations

import re

from edgecut.tflite.flatbuffer import Operator, TfliteGraph

# Names that the converter or a signature gives, which say nothing of a layer.
_SAYS_NOTHING = re.compile(r"^(StatefulPartitionedCall|Identity|PartitionedCall|serving_default|output_\d+|tfl\.)")


def layer_of(graph: TfliteGraph, operator: Operator) -> str:
    """The layer's name, "outer.inner" in a nested model; "" if no tensor of the operator tells.

    The converter names a tensor after what was fused into it, as "model/layer/Relu;model/other/..."; the first path is
    the operator's own end. Keras puts "_1" behind a name in a graph that it traces again, which is taken off where
    every part of the path has it. An output that was renamed is found by the operator's constants.
    """
    made = [graph.tensors[i].name for i in operator.outputs]
    constants = [graph.tensors[i].name for i in operator.inputs if i >= 0 and graph.tensors[i].is_constant]
    return next((layer for name in (*made, *constants) if (layer := layer_in(name))), "")


def layer_in(name: str) -> str:
    """The layer in a tensor's name, "" if there is none."""
    parts = name.partition(";")[0].split("/")
    if len(parts) < 3 or _SAYS_NOTHING.match(parts[0]):
        return ""
    # model / layer (/ inner layer) / operation: what begins with a capital, or reads a variable, is no layer.
    between = parts[1:-1]
    while between and (between[-1] in {"ReadVariableOp", "BiasAdd", "Cast"} or between[-1][:1].isupper()):
        between.pop()
    if between and all(re.search(r"_\d+$", part) for part in (parts[0], *between)):
        between = [re.sub(r"_\d+$", "", part) for part in between]
    return ".".join(between)


def called(graph: TfliteGraph, operator: Operator) -> str:
    """What to call an operator in a sentence: "SUM (layer 'pool')", or "SUM (operator 12)" without a layer."""
    layer = layer_of(graph, operator)
    return f"{operator.name} (layer {layer!r})" if layer else f"{operator.name} (operator {operator.index})"
