"""The nodes of an ONNX graph that depend on its inputs, and the values that don't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING, Any

from edgecut.errors import SourceError
from edgecut.runtime.onnx_graph import tensors_read
from edgecut.source.onnx.reading import OWN_DOMAINS, OnnxFile

if TYPE_CHECKING:
    import onnx

# What they put out follows from the shape of their input alone.
SHAPE_OPERATORS = frozenset({"Shape", "Size"})
# Operators whose results nothing says in advance.
RANDOM_OPERATORS = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


@dataclass(frozen=True)
class Node:
    """One node. operator: with its domain before it where that isn't ONNX's own. place: its position in the file.

    module: the path of the torch module that it was exported from, such as "features.0.1", or "".
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 0
    place: int = 0
    module: str = ""
    captured: tuple[str, ...] = ()
    """The tensors that its bodies (If, Loop) take from outside."""
    covers: tuple[str, ...] = ()
    """The names of the file's nodes that it stands for, where it is a fusion of several."""

    def input(self, index: int) -> str:
        """The name of an input, "" where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""


@dataclass(frozen=True)
class Network:
    """The nodes between inputs and outputs. constants: names of all tensors that no input's values change."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]


def read_network(file: OnnxFile, outputs: Sequence[str] | None = None) -> Network:
    """The part of a file that computes tensors, by default the file's outputs, from its inputs.

    outputs: names of tensors, or of nodes, which mean all that they put out. Raises SourceError for unknown ones.
    """
    graph = file.model.graph
    weights = {tensor.name for tensor in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    inputs = [value.name for value in graph.input if value.name not in weights]
    nodes = [_node(place, node, file.opset) for place, node in enumerate(graph.node)]
    ends = tuple(value.name for value in graph.output)
    if outputs is not None:
        ends = tuple(dict.fromkeys(name for ref in outputs for name in _tensors_of(ref, nodes, inputs, file)))
    changing = _changing(graph, nodes, inputs)
    if fixed := [name for name in ends if name not in changing]:
        names = ", ".join(map(repr, fixed[:3]))
        others = ",".join(name for name in ends if name in changing)
        remedy = f"; leave it out: edgecut cut {quote(str(file.path))} --to {quote(others)} -o part.onnx"
        said = f"puts out {names}, which no value of its inputs changes"
        raise SourceError(f"{file.path}: {said}{remedy if others else ''}")
    needed = _needed(nodes, graph.node, ends)
    data = [node for node in needed if changing.intersection(node.outputs)]
    made = {name for node in nodes for name in node.outputs}
    return Network(tuple(data), tuple(inputs), ends, frozenset((weights | made) - changing))


def weight_origins(graph: onnx.GraphProto) -> dict[str, str]:
    """For what Identity and Transpose make of a tensor, that tensor and how it lies: equal texts are equal values."""
    origins: dict[str, str] = {}
    for node in graph.node:
        if node.op_type in {"Identity", "Transpose"} and len(node.input) == 1:
            order = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"]
            turned = f" {order}" if node.op_type == "Transpose" else ""
            origins[node.output[0]] = f"{origins.get(node.input[0], node.input[0])}{turned}"
    return origins


def _changing(graph: onnx.GraphProto, nodes: Sequence[Node], inputs: Sequence[str]) -> set[str]:
    """The tensors that depend on the values of the inputs, or on chance."""
    changing = set(inputs)
    for node, proto in zip(nodes, graph.node, strict=True):
        depends = node.operator in RANDOM_OPERATORS or not changing.isdisjoint(tensors_read(proto))
        if depends and node.operator not in SHAPE_OPERATORS:
            changing.update(filter(None, node.outputs))
    return changing


def _needed(nodes: Sequence[Node], protos: Sequence[onnx.NodeProto], ends: Sequence[str]) -> list[Node]:
    names, needed = set(ends), []
    for node, proto in zip(reversed(nodes), reversed(list(protos)), strict=True):
        if names.intersection(node.outputs):
            names.update(tensors_read(proto))
            needed.append(node)
    return needed[::-1]


def _tensors_of(ref: str, nodes: Sequence[Node], inputs: Sequence[str], file: OnnxFile) -> tuple[str, ...]:
    from edgecut.records.nearest import closest

    tensors = {name for node in nodes for name in node.outputs if name}.union(inputs)
    if ref in tensors:
        return (ref,)
    named = [node for node in nodes if node.name == ref]
    if len(named) == 1:
        return tuple(filter(None, named[0].outputs))
    raise SourceError(f"{file.path}: has no tensor {ref!r}{closest(ref, sorted(tensors), 5)}")


def _node(place: int, node: onnx.NodeProto, opset: int) -> Node:
    from onnx import helper

    operator = node.op_type if node.domain in OWN_DOMAINS else f"{node.domain}.{node.op_type}"
    operator = " ".join(operator.split())  # as it is told; no operator that is known has blanks
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    texts = {k: v.decode(errors="replace") if isinstance(v, bytes) else v for k, v in attributes.items()}
    name = node.name or f"{node.op_type}_{place}"
    captured = tuple(dict.fromkeys(tensors_read(node)))[len({*filter(None, node.input)}) :]
    return Node(operator, name, tuple(node.input), tuple(node.output), texts, opset, place, _module(node), captured)


def _module(node: onnx.NodeProto) -> str:
    """The torch module's path: from the dynamo exporter's metadata, or from the legacy one's scoped name."""
    import ast

    scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "")
    if scopes:
        try:
            names = ast.literal_eval(scopes)
        except (SyntaxError, ValueError):
            return ""
        return str(names[-2]) if isinstance(names, list) and len(names) > 1 else ""
    if not node.name.startswith("/"):
        return ""
    # "/features/features.1/conv/conv.0/Conv": a part that goes on from the one before it replaces it.
    path: list[str] = []
    for part in node.name.split("/")[1:-1]:
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)
