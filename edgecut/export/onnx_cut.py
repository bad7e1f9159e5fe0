"""A part of an .onnx file as an ONNX model: cut at tensors, without TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from edgecut.errors import ExportError, GraphError, SourceError
from edgecut.records.nearest import closest
from edgecut.runtime.onnx_graph import other_kind, parse_onnx, tensors_read, with_shapes
from edgecut.runtime.onnx_kinds import CHANNELS_FIRST, SAME_AXES
from edgecut.runtime.onnx_native import Refused, passed
from edgecut.tflite.reach import Network, Node, Part, matching, short_names

if TYPE_CHECKING:
    import onnx

ACTIVATIONS = frozenset({"Clip", "Elu", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Softmax", "Tanh"})

# The IR version from which a constant needn't be an input of the graph, too (onnx/docs/IR.md).
_CONSTANTS_ALONE = 4

# What tf2onnx appends to the name of a tensor that it puts in by itself: "conv1/Relu;conv1/Conv2D__14:0".
_GENERATED = re.compile(r"__\d+(:\d+)?$")


def cut_onnx(
    content: bytes, to: Sequence[str | int], start: Sequence[str | int] = (), *, where: str = "model"
) -> bytes:
    """The part of an .onnx file that computes the tensors `to` from the tensors `start`.

    to, start: names of tensors or of nodes, or node positions as in `edgecut inspect` (negative from the end); a node
    means what it puts out. tf2onnx gives a convolution's output the name of the activation that was fused into it in
    the .tflite file, and the activation is a node of its own behind it (activation_behind names it).
    Without `start` the result takes those inputs of the file that it needs; without `to` it puts out what the file
    does. Nodes, weights, opsets and functions are kept as they are, tensors keep their names; what nothing uses is
    dropped. Values that the body of an If or a Loop takes from outside count as its inputs, which
    onnx.utils.extract_model overlooks. where: what errors call the file.
    Raises SourceError if `content` is no whole .onnx file, GraphError if a name is unknown or if more than `start` is
    needed, ExportError if the type of an interior tensor isn't known or the part isn't valid.
    """
    import onnx

    model = whole_model(content, where)
    part, outputs = select(model, to, start)
    known = value_types(model)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for field in (
        "node",
        "initializer",
        "sparse_initializer",
        "input",
        "output",
        "value_info",
        "quantization_annotation",
    ):
        result.graph.ClearField(field)
    result.ClearField("training_info")
    result.graph.node.extend(model.graph.node[place] for place in part.kept)
    result.graph.input.extend(_typed(known, name) for name in part.entries)
    result.graph.output.extend(_typed(known, name) for name in outputs)
    _keep_used(model.graph, result.graph, {*part.entries, *outputs})
    if model.ir_version < _CONSTANTS_ALONE:
        result.graph.input.extend(_constant_inputs(model.graph, result.graph))
    _keep_used_functions(result)
    try:
        passed("check", result, "cut")
    except Refused as exc:
        raise ExportError(f"cut: the part is no valid ONNX model: {exc}") from exc
    return bytes(result.SerializeToString())


def select(
    model: onnx.ModelProto, to: Sequence[str | int], start: Sequence[str | int] = ()
) -> tuple[Part[str], tuple[str, ...]]:
    """The nodes and input tensors of the part that cut_onnx keeps, and its output tensors by name.

    model: an onnx.ModelProto. Raises GraphError as cut_onnx does.
    """
    wanted = tuple(dict.fromkeys(name for ref in to for name in find_tensors(model, ref)))
    starts = tuple(dict.fromkeys(name for ref in start for name in find_tensors(model, ref)))
    wanted = wanted or tuple(value.name for value in model.graph.output)
    return network(model).part(wanted, starts), wanted


def whole_model(content: bytes, where: str = "model") -> onnx.ModelProto:
    """The onnx.ModelProto in a file's bytes. Raises SourceError if they are foreign, damaged or not the whole model."""
    import onnx

    model = parse_onnx(content, where)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise SourceError(f"{where}: keeps weights in other files (external data); save it in one file first")
    if model.ir_version < _CONSTANTS_ALONE:
        # Runtimes take a file that lacks them; shape inference doesn't.
        model.graph.input.extend(_constant_inputs(model.graph, model.graph))
    return model


def network(model: onnx.ModelProto) -> Network[str]:
    """The nodes of a model's main graph as a Network over tensor names."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    nodes = (Node(tuple(tensors_read(node)), tuple(name for name in node.output if name)) for node in graph.node)
    inputs = tuple(value.name for value in graph.input if value.name not in constants)
    short = short_names(name for node in graph.node for name in node.output if not _GENERATED.search(name))
    return Network(tuple(nodes), inputs, lambda name: short.get(name, name))


def find_tensors(model: onnx.ModelProto, ref: str | int) -> tuple[str, ...]:
    """The tensors that a reference means: one for a tensor's name, all outputs for a node's name or position.

    Raises GraphError if there is none (closest names offered), several, or only a constant.
    """
    nodes = model.graph.node
    if isinstance(ref, int):
        if not -len(nodes) <= ref < len(nodes):
            raise GraphError(f"no node at position {ref}: the file has {len(nodes)} nodes, 0 to {len(nodes) - 1}")
        return tuple(name for name in nodes[ref].output if name)
    net = network(model)
    found = matching(ref, (name for name in net.fed if not _GENERATED.search(name))) or matching(ref, net.fed)
    called = [k for k, node in enumerate(nodes) if node.name == ref] if not found else []
    if len(found) == 1:
        return found
    if len(called) == 1:
        return tuple(name for name in nodes[called[0]].output if name)
    if found or called:
        places = [str(net.producer.get(name, "an input")) for name in found] or list(map(str, called))
        raise GraphError(f"{len(places)} tensors are called {ref!r}; give the node's position: {', '.join(places)}")
    if any(tensor.name == ref for tensor in model.graph.initializer):
        raise GraphError(f"{ref!r} is a constant of the file; name a tensor that is computed from the input")
    raise GraphError(f"no tensor {ref!r}{closest(ref, map(net.label, net.fed), 5)}")


def value_types(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """The type and shape of each tensor as an onnx.ValueInfoProto, as far as the file says or inference can tell."""
    graph = with_shapes(model, "cut", data_prop=True).graph
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}


def image_tensors(model: onnx.ModelProto, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the tensors that are (batch, channels, height, width), told by the image operators around them."""
    fed = set(network(model).fed)
    neighbours: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in {*node.input, *node.output} & fed:
            neighbours.setdefault(name, []).append(node)
    return tuple(name for name in names if _meets_image_operator(name, neighbours))


def activation_behind(model: onnx.ModelProto, name: str) -> str | None:
    """The output of the activation that alone takes a tensor which is named after fused operators; None without."""
    readers = [node for node in model.graph.node if name in node.input]
    fits = ";" in name and len(readers) == 1 and readers[0].op_type in ACTIVATIONS
    return str(readers[0].output[0]) if fits else None


def _meets_image_operator(name: str, neighbours: Mapping[str, Sequence[onnx.NodeProto]]) -> bool:
    """Whether an image operator is next to a tensor, with nothing but element-wise operators between.

    neighbours: the nodes that take or put out a tensor, for those that aren't constant.
    """
    pending, seen = [name], {name}
    while pending:
        for node in neighbours.get(pending.pop(), ()):
            if node.op_type in CHANNELS_FIRST and {*node.input[:1], *node.output} & seen:
                return True
            if node.op_type in SAME_AXES:
                more = {x for x in (*node.input, *node.output) if x in neighbours} - seen
                seen |= more
                pending.extend(more)
    return False


def _typed(known: Mapping[str, onnx.ValueInfoProto], name: str) -> onnx.ValueInfoProto:
    value = known.get(name)
    if value is None or not value.type.WhichOneof("value"):
        raise ExportError(f"cut: the type of {name!r} can't be told from the file; cut at a tensor next to it")
    if kind := other_kind(value):
        raise GraphError(f"{name!r} is {kind}, and a part begins and ends at tensors; cut at one next to it")
    return value


def _keep_used(source: onnx.ModelProto, result: onnx.ModelProto, edges: set[str]) -> None:
    """Copy the constants, types and annotations of the tensors that the result's nodes use."""
    used = {name for node in result.node for name in (*tensors_read(node), *node.output)}
    result.initializer.extend(x for x in source.initializer if x.name in used | edges)
    result.sparse_initializer.extend(x for x in source.sparse_initializer if x.values.name in used)
    result.value_info.extend(x for x in source.value_info if x.name in used - edges)
    result.quantization_annotation.extend(x for x in source.quantization_annotation if x.tensor_name in used)


def _constant_inputs(source: onnx.GraphProto, result: onnx.GraphProto) -> Iterator[onnx.TensorProto | onnx.NodeProto]:
    """A graph input for each constant of the result, as the source has it or ought to have it."""
    from onnx import helper

    own = {value.name: value for value in source.input}
    for tensor in result.initializer:
        if tensor.name not in {value.name for value in result.input}:
            made = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            yield own.get(tensor.name, made)


def _keep_used_functions(model: onnx.ModelProto) -> None:
    """Drop the functions that neither the graph nor a kept function calls."""
    functions = {(function.domain, function.name): function for function in model.functions}
    pending = [(node.domain, node.op_type) for node in _all_nodes(model.graph.node)]
    kept = set()
    while pending:
        key = pending.pop()
        if key in functions and key not in kept:
            kept.add(key)
            pending += [(node.domain, node.op_type) for node in _all_nodes(functions[key].node)]
    del model.functions[:]
    model.functions.extend(function for key, function in functions.items() if key in kept)


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from _all_nodes(body.node)
