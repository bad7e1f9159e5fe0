"""An ONNX model in one order and under one set of names, whatever the converter's sets and counters made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.patch import constants

_COUNT = re.compile(r"__\d+")
# What moves or restates values. The converter merges equal ones, under the name that its set has first.
_MOVES = {"QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"}


def settle(model: onnx.ModelProto, source: TfliteGraph, content: bytes) -> None:
    """Put nodes and constants in the order in which the outputs need them, and count the made-up names anew.

    tf2onnx counts names over the whole process and walks over sets, so that two conversions of one file differ.
    source, content: of the file that was converted, the names of whose tensors stay; of a longer name only the rest is
    counted anew. Constants of equal values are one to tf2onnx, under any of their names, and its sets go by addresses
    in memory, too: they get the first name that the source has for such values.
    """
    graph = model.graph
    held = constants(content, source)
    by_values: dict[bytes, str] = {}
    for index, name in sorted((index, source.tensors[index].name) for index in held):
        by_values.setdefault(_values(held[index]), name)
    known = {t.name: by_values[_values(held[t.index])] if t.index in held else t.name for t in source.tensors}
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # a loop or a branch, whose inner graphs use names of the outer one
    nodes = _in_need(graph)
    made = {x.name: x for x in graph.initializer}
    used = list(dict.fromkeys(name for node in nodes for name in node.input if name in made))
    fixed = {x.name for x in (*graph.input, *graph.output)}
    names: dict[str, str] = {name: name for name in fixed}
    taken = set(fixed)
    for node in nodes:
        for name in (x for x in node.input if x in made and x not in names):
            same = by_values.get(_values(numpy_helper.to_array(made[name])))
            names[name] = _free(same or _made_up(name, node, known), taken)
        for name in (x for x in node.output if x and x not in names):
            moves = node.op_type in _MOVES and node.input[0] in names
            wanted = f"{names[node.input[0]]}/{node.op_type}" if moves else _plain(name, known)
            names[name] = _free(wanted, taken)
    ordered = [made[name] for name in used]
    labels: set[str] = set()
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        moves = node.op_type in _MOVES and bool(node.output)
        node.name = _free(node.output[0] if moves else _plain(node.name or node.op_type, known), labels)
        if not node.domain:
            node.ClearField("domain")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    for constant in ordered:
        constant.name = names[constant.name]
    _count_open_sizes(graph)
    settled = onnx.GraphProto(node=nodes, initializer=ordered)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(settled.node)
    graph.initializer.extend(settled.initializer)


def _count_open_sizes(graph: onnx.GraphProto) -> None:
    """Name the sizes that a file leaves open unk__1, unk__2, ... in the order of inputs and outputs."""
    sizes = [d for x in (*graph.input, *graph.output) for d in x.type.tensor_type.shape.dim if d.dim_param]
    names = {name: f"unk__{k}" for k, name in enumerate(dict.fromkeys(d.dim_param for d in sizes), 1)}
    for size in sizes:
        size.dim_param = names[size.dim_param]


def _in_need(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each behind those that it needs, in the order of its inputs."""
    maker = {name: node for node in graph.node for name in node.output}
    found: dict[int, onnx.NodeProto] = {}
    waiting = [maker[x.name] for x in reversed(graph.output) if x.name in maker]
    while waiting:
        node = waiting[-1]
        missing = [maker[x] for x in node.input if x in maker and id(maker[x]) not in found]
        if missing:
            waiting.append(missing[0])
        else:
            found.setdefault(id(node), node)
            waiting.pop()
    return list(found.values())


def _values(array: np.ndarray) -> bytes:
    """What two constants have in common that differ in their layout at most, as the converter turns it."""
    return f"{array.dtype} ".encode() + np.sort(array, axis=None).tobytes()


def _made_up(name: str, node: onnx.NodeProto, known: Mapping[str, str]) -> str:
    """A constant's plain name if it is from the source file, else what it is to the first node that reads it."""
    if any(k and name.startswith(k) for k in known):
        return _plain(name, known)
    place = list(node.input).index(name)
    if node.op_type in {"QuantizeLinear", "DequantizeLinear"} and place:
        return ("scale", "zero_point")[place - 1]
    return f"{node.op_type}:{place}"


def _plain(name: str, known: Mapping[str, str]) -> str:
    """The name without the converter's counts, which follow the part that the source file has."""
    own = max((k for k in known if name.startswith(k)), key=len, default="")
    return known.get(own, "") + _COUNT.sub("", name[len(own) :])


def _free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}__{count}"
    taken.add(name)
    return name
