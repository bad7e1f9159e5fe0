"""Names of layers: the torch module's path, or what the file calls the node."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgecut.source.onnx.nodes import Node

# The parameters of torch's modules; what stands before them is the module's path.
_PARAMETER = re.compile(r"^(?P<module>[\w.]+?)\.(weight|bias|kernel|gamma|beta|running_mean|running_var)(_bias)?$")
_SCOPES = ("StatefulPartitionedCall/", "model/", "functional_1/")
# What TensorFlow calls the operations inside of a layer, and what tf2onnx appends.
_TF_OPERATION = re.compile(
    r"/(Conv2D|Conv1D|depthwise|BiasAdd|MatMul|Relu6?|FusedBatchNormV3|AvgPool|MaxPool|Mean|Softmax|add|Sigmoid)(_\d+)?(__\d+)?$"
)


def layer_names(nodes: Sequence[Node]) -> Mapping[int, str]:
    """A name for the layer of each node, by the node's place: unlike one another, without '/'."""
    modules = {node.module for node in nodes if node.module}
    containers = {".".join(m.split(".")[:k]) for m in modules for k in range(1, m.count(".") + 1)}
    used: set[str] = set()
    names: dict[int, str] = {}
    for node in nodes:
        name = _name(node, containers) or node.operator
        unique, count = name, 0
        while unique.lower() in used:
            count += 1
            unique = f"{name}_{count}"
        used.add(unique.lower())
        names[node.place] = unique
    return names


def _name(node: Node, containers: set[str]) -> str:
    if node.operator not in {"Add", "Mul", "Sub", "Div", "MatMul"}:
        for parameter in node.inputs[1:2]:
            if match := _PARAMETER.match(parameter):
                return clean(match["module"])
    if node.module:
        return clean(f"{node.module}.{node.operator.lower()}" if node.module in containers else node.module)
    name = node.name
    for scope in _SCOPES:
        name = name.removeprefix(scope)
    shorter = _TF_OPERATION.sub("", name)
    return clean(shorter if shorter.strip("/") else name)


def clean(name: str) -> str:
    """A name that Keras takes for a layer and TensorFlow for a scope."""
    text = re.sub(r"[^\w.\-]+", ".", name.strip("/")).strip(".")
    return text if re.match(r"[A-Za-z0-9]", text) else f"n{text}"
