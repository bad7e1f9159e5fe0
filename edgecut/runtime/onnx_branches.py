"""The one graph of an .onnx file: local functions, and the branch that an If is sure to take, put in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    import onnx

_UNKNOWN = -1  # an open size; what is computed from it isn't known
# Operators that pass sizes on, and those that a condition is computed by.
_PASSING = frozenset({"Gather", "Identity", "Slice", "Squeeze", "Unsqueeze"})
_DECIDING = frozenset({"And", "Cast", "Equal", "Greater", "Less", "Not", "Or"})


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its local functions' nodes where they are called, and no If whose condition is known.

    It is known where constants and sizes that the file fixes alone decide it, as those do that torch writes for
    squeeze. Raises onnx's ValidationError or RuntimeError for functions that can't be put in place.
    """
    from onnx.inliner import inline_local_functions

    model = inline_local_functions(model) if model.functions else model
    while any(node.op_type == "If" for node in model.graph.node) and _choose(model):
        pass
    return model


def _choose(model: onnx.ModelProto) -> bool:
    """Put the branch of each If of the graph in place whose condition is known; whether there was one."""
    from onnx import NodeProto

    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    sizes = _sizes(model)
    names, nodes, changed = {*makers, *constants}, list[NodeProto](), False
    for node in graph.node:
        condition = _value(node.input[0], makers, constants, sizes) if node.op_type == "If" else None
        if condition is None or condition.size != 1:
            nodes.append(node)
            continue
        side = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        branch = next(attribute.g for attribute in node.attribute if attribute.name == side)
        nodes += _placed(node, branch, names, graph)
        changed = True
    if changed:
        whole = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(whole)
    return changed


def _placed(
    node: onnx.NodeProto, branch: onnx.GraphProto, names: set[str], graph: onnx.GraphProto
) -> Iterator[onnx.NodeProto]:
    """A branch's nodes with the outputs of the If; its constants become the graph's. names: taken ones, added to."""
    from onnx import helper

    made = [*(t.name for t in branch.initializer), *(name for inner in branch.node for name in inner.output if name)]
    renamed: dict[str, str] = {}
    for name in made:
        unique, count = name, 0
        while unique in names:
            count += 1
            unique = f"{name}.{count}"
        renamed[name] = unique
        names.add(unique)
    for tensor in branch.initializer:
        tensor.name = renamed[tensor.name]
        graph.initializer.append(tensor)
    for inner in branch.node:
        _rename(inner, renamed)
        yield inner
    for inside, outside in zip(branch.output, node.output, strict=True):
        end = renamed.get(inside.name, inside.name)
        yield helper.make_node("Identity", [end], [outside], name=f"{node.name}.{outside}")


def _rename(node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
    """Give the tensors of a node, and what its own bodies take from outside, their new names."""
    for side in (node.input, node.output):
        for place, name in enumerate(side):
            side[place] = renamed.get(name, name)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _rename(inner, renamed)
        for value in attribute.g.output:
            value.name = renamed.get(value.name, value.name)


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shapes that follow from the file, _UNKNOWN where a size is open."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]  # what a file says of its own tensors may be wrong
    whole = onnx.shape_inference.infer_shapes(bare).graph
    return {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else _UNKNOWN for dim in value.type.tensor_type.shape.dim
        )
        for value in (*whole.input, *whole.value_info)
        if value.type.tensor_type.HasField("shape")
    }


def _value(
    name: str,
    makers: Mapping[str, onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
    sizes: Mapping[str, tuple[int, ...]],
) -> np.ndarray | None:
    """A tensor's value, _UNKNOWN where it is an open size; None where it isn't known."""
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    if name in constants:
        return numpy_helper.to_array(constants[name])
    node = makers.get(name)
    if node is None:
        return None
    if node.op_type == "Shape" and not node.attribute:
        shape = sizes.get(node.input[0])
        return None if shape is None else np.asarray(shape, np.int64)
    if node.op_type not in _PASSING | _DECIDING | {"Constant"}:
        return None
    values = {each: _value(each, makers, constants, sizes) for each in node.input if each}
    known = {each: value for each, value in values.items() if value is not None}
    is_open = node.op_type in _DECIDING and any((value == _UNKNOWN).any() for value in known.values())
    if len(known) < len(values) or is_open:
        return None
    try:
        result, *_ = cast("list[np.ndarray]", ReferenceEvaluator(node).run(None, known))
    except (IndexError, RuntimeError, TypeError, ValueError):  # not as ONNX has it; whoever runs the file says so
        return None
    return result
