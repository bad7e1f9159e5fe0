"""An ONNX model in one order and under one set of names, whatever the converter's sets and counters made of it."""

from __future__ import annotations

import re
from collections.abc import Collection

import onnx

_COUNT = re.compile(r"__\d+")
# What moves or restates values. The converter merges equal ones, under the name that its set has first.
_MOVES = {"QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"}


def settle(model: onnx.ModelProto, known: Collection[str]) -> None:
    """Put nodes and constants in the order in which the outputs need them, and count the made-up names anew.

    tf2onnx counts names over the whole process and walks over sets, so that two conversions of one file differ.
    known: the names of the source file's tensors, which stay; of a longer name only the rest is counted anew.
    """
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return  # a loop or a branch, whose inner graphs use names of the outer one
    nodes = _in_need(graph)
    constants = {x.name: x for x in graph.initializer}
    used = list(dict.fromkeys(name for node in nodes for name in node.input if name in constants))
    fixed = {x.name for x in (*graph.input, *graph.output)}
    names: dict[str, str] = {name: name for name in fixed}
    taken = set(fixed)
    for node in nodes:
        for name in (x for x in node.input if x in constants and x not in names):
            names[name] = _free(_plain(name, known), taken)
        for name in (x for x in node.output if x and x not in names):
            moves = node.op_type in _MOVES and node.input[0] in names
            wanted = f"{names[node.input[0]]}/{node.op_type}" if moves else _plain(name, known)
            names[name] = _free(wanted, taken)
    ordered = [constants[name] for name in used]
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
    settled = onnx.GraphProto(node=nodes, initializer=ordered)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(settled.node)
    graph.initializer.extend(settled.initializer)


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


def _plain(name: str, known: Collection[str]) -> str:
    """The name without the converter's counts, which follow the part that the source file has."""
    own = max((k for k in known if name.startswith(k)), key=len, default="")
    return own + _COUNT.sub("", name[len(own) :])


def _free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}__{count}"
    taken.add(name)
    return name
