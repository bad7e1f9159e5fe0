"""Several nodes that are one operator: an activation spelled out, a bias that is added, a normalization in parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgecut.source.onnx.attention_fusion import attention
from edgecut.source.onnx.fusion_graph import Graph
from edgecut.source.onnx.nodes import Network, Node
from edgecut.source.onnx.tracing import Trace, Weights


def fused(network: Network, trace: Trace) -> tuple[tuple[Node, ...], Weights]:
    """The nodes with each pattern as one node, and the constants, with those that fusing made."""
    graph = Graph({n.place: n for n in network.nodes}, trace.constants, trace.shapes, frozenset(network.outputs))
    graph.index()
    for patterns in (_FIRST, _SECOND, _THIRD):
        for place in sorted(graph.nodes):
            node = graph.nodes.get(place)
            if node is not None:
                for pattern in patterns.get(node.operator, ()):
                    if pattern(graph, node):
                        break
    return tuple(node for _, node in sorted(graph.nodes.items())), graph.constants


def _silu(graph: Graph, node: Node) -> bool:
    """x * Sigmoid(x), x * HardSigmoid(x) with a slope of 1/6."""
    for x, gate in (node.inputs, node.inputs[::-1]):
        source = graph.only(gate, "Sigmoid", "HardSigmoid")
        if source is None or source.inputs[0] != x:
            continue
        if source.operator == "Sigmoid":
            graph.replace(node, "Swish", [x], [source])
            return True
        slope, offset = source.attributes.get("alpha", 0.2), source.attributes.get("beta", 0.5)
        if abs(slope - 1 / 6) < 1e-6 and offset == 0.5:
            graph.replace(node, "HardSwish", [x], [source])
            return True
    return False


def _hard_swish(graph: Graph, node: Node) -> bool:
    """x * Clip(x + 3, 0, 6) / 6, the division at the end or before the product."""
    scaled = _sixth(graph, node)
    if scaled is not None:  # (x * clip) / 6
        product = graph.only(scaled, "Mul")
        if product is not None:
            for x, gate in (product.inputs, product.inputs[::-1]):
                parts = _relu6_of_shifted(graph, gate, x)
                if parts:
                    graph.replace(node, "HardSwish", [x], [product, *parts])
                    return True
    if node.operator == "Mul" and len(node.inputs) == 2:
        for x, gate in (node.inputs, node.inputs[::-1]):
            divided = graph.only(gate, "Div", "Mul")
            inner = _sixth(graph, divided) if divided is not None else None
            parts = _relu6_of_shifted(graph, inner, x) if inner else None
            if parts and divided is not None:
                graph.replace(node, "HardSwish", [x], [divided, *parts])
                return True
    return False


def _hard_sigmoid(graph: Graph, node: Node) -> bool:
    """Clip(x + 3, 0, 6) / 6."""
    inner = _sixth(graph, node)
    clip = graph.only(inner, "Clip") if inner else None
    shifted = graph.only(clip.inputs[0], "Add") if clip is not None else None
    pair = graph.by_number(shifted) if shifted is not None else None
    if clip is None or shifted is None or pair is None or pair[1] != 3 or _limits(graph, clip) != (0, 6):
        return False
    graph.replace(node, "HardSigmoid", [pair[0]], [clip, shifted], alpha=1 / 6, beta=0.5)
    return True


def _mish(graph: Graph, node: Node) -> bool:
    """x * Tanh(Softplus(x))."""
    for x, gate in (node.inputs, node.inputs[::-1]):
        tanh = graph.only(gate, "Tanh")
        softplus = graph.only(tanh.inputs[0], "Softplus") if tanh is not None else None
        if tanh is not None and softplus is not None and softplus.inputs[0] == x:
            graph.replace(node, "Mish", [x], [tanh, softplus])
            return True
    return False


def _clipped(graph: Graph, node: Node) -> bool:
    """Min(Max(x, 0), 6), Max(Min(x, 6), 0) and with a Relu, as tf2onnx writes a ReLU6."""
    outer = _limit(graph, node)
    inner = graph.only(outer[0], "Max", "Min", "Relu") if outer is not None else None
    limit = _limit(graph, inner) if inner is not None else None
    if outer is None or inner is None or limit is None or (node.operator == "Min") == (inner.operator == "Min"):
        return False
    low, high = (limit[1], outer[1]) if node.operator == "Min" else (outer[1], limit[1])
    if low >= high:
        return False
    graph.replace(node, "Clip", [limit[0]], [inner], min=low, max=high)
    return True


def _limit(graph: Graph, node: Node) -> tuple[str, float] | None:
    return (node.inputs[0], 0.0) if node.operator == "Relu" else graph.by_number(node)


def _gelu(graph: Graph, node: Node) -> bool:
    """x * (Erf(x / sqrt 2) + 1) * 0.5, in the orders that exporters write it."""
    factors = _product(graph, node)
    numbers = [graph.number(name) for name in factors]
    constant = math.prod(n for n in numbers if n is not None)
    tensors = [name for name, number in zip(factors, numbers, strict=True) if number is None]
    if len(tensors) != 2 or abs(constant - 0.5) > 1e-6:
        return False
    for x, gate in (tensors, tensors[::-1]):
        added = graph.only(gate, "Add")
        pair = graph.by_number(added) if added is not None else None
        erf = graph.only(pair[0], "Erf") if pair is not None and pair[1] == 1 else None
        scaled = graph.only(erf.inputs[0], "Div", "Mul") if erf is not None else None
        inner = graph.by_number(scaled) if scaled is not None else None
        if added is None or erf is None or scaled is None or inner is None or inner[0] != x:
            continue
        factor = 1 / inner[1] if scaled.operator == "Div" else inner[1]
        if abs(factor - 2**-0.5) < 1e-5:
            graph.replace(node, "Gelu", [x], [*_products(graph, node), added, erf, scaled])
            return True
    return False


def _layer_norm(graph: Graph, node: Node) -> bool:
    """(x - mean) / sqrt(mean((x - mean)²) + epsilon), then a scale and a shift."""
    centred, root = node.inputs
    difference = graph.source(centred, "Sub")
    sqrt = graph.only(root, "Sqrt", "Pow")
    added = graph.only(sqrt.inputs[0], "Add") if sqrt is not None else None
    pair = graph.by_number(added) if added is not None else None
    variance = graph.only(pair[0], "ReduceMean") if pair is not None else None
    square = graph.only(variance.inputs[0], "Pow", "Mul") if variance is not None else None
    if difference is None or sqrt is None or added is None or pair is None or variance is None or square is None:
        return False
    again = graph.source(square.inputs[0], "Sub", "Cast")
    again = graph.source(again.inputs[0], "Sub") if again is not None and again.operator == "Cast" else again
    squares = square.inputs[0] == square.inputs[1] or (square.operator == "Pow" and graph.number(square.inputs[1]) == 2)
    roots = sqrt.operator == "Sqrt" or graph.number(sqrt.inputs[1]) == 0.5
    mean = graph.source(difference.inputs[1], "ReduceMean")
    x = difference.inputs[0]
    if again is None or not squares or not roots or mean is None or mean.inputs[0] != x or again.inputs[0] != x:
        return False
    axes = _axes(graph, mean), _axes(graph, variance)
    rank = len(graph.shapes.get(x, ()))
    if axes[0] is None or axes[0] != axes[1] or sorted(a % rank for a in axes[0]) != [rank - 1]:
        return False
    parts = [difference, again, sqrt, added, variance, square, mean]
    graph.add(f"{node.name}.scale", np.ones(graph.shapes[x][-1], np.float32))
    last, inputs = node, [x, f"{node.name}.scale"]
    scale = _reader(graph, node.outputs[0], "Mul", graph.shapes[x][-1:])
    if scale is not None:
        last, inputs, parts = scale[0], [x, scale[1]], [*parts, node]
        shift = _reader(graph, last.outputs[0], "Add", graph.shapes[x][-1:])
        if shift is not None:
            last, inputs, parts = shift[0], [*inputs, shift[1]], [*parts, last]
    graph.replace(last, "LayerNormalization", inputs, parts, axis=-1, epsilon=pair[1])
    return True


def _dense_bias(graph: Graph, node: Node) -> bool:
    """MatMul(x, constant) + a constant by its last axis."""
    for product, bias in (node.inputs, node.inputs[::-1]):
        source = graph.only(product, "MatMul")
        if source is None or len(source.inputs) != 2 or bias not in graph.constants:
            continue
        value = graph.constants[bias]
        shape = graph.constants.shape(source.inputs[1]) if source.inputs[1] in graph.constants else ()
        if len(shape) == 2 and value.ndim and value.size == value.shape[-1] == shape[1]:
            graph.add(f"{node.name}.bias", value.reshape(-1))
            graph.replace(node, "MatMul", [*source.inputs, f"{node.name}.bias"], [source])
            return True
    return False


def _conv_bias(graph: Graph, node: Node) -> bool:
    """Conv without a bias + a constant by channel, as Paddle and tf2onnx write it."""
    for product, bias in (node.inputs, node.inputs[::-1]):
        source = graph.only(product, "Conv", "ConvTranspose")
        if source is None or bias not in graph.constants or len(source.inputs) != 2:
            continue
        shape, value = graph.shapes.get(product, ()), graph.constants[bias]
        padded = (1,) * (len(shape) - value.ndim) + value.shape
        if len(shape) > 2 and len(padded) == len(shape) and padded[1] == shape[1] == value.size:
            graph.add(f"{node.name}.bias", value.reshape(-1))
            graph.replace(node, source.operator, [*source.inputs, f"{node.name}.bias"], [source], **source.attributes)
            return True
    return False


def _sixth(graph: Graph, node: Node) -> str | None:
    """The tensor that a node divides by 6."""
    pair = graph.by_number(node)
    if pair is None or (node.operator == "Div" and node.inputs[0] != pair[0]):
        return None
    divisor = pair[1] if node.operator == "Div" else 1 / pair[1] if pair[1] else 0.0
    return pair[0] if node.operator in {"Div", "Mul"} and abs(divisor - 6) < 1e-4 else None


def _relu6_of_shifted(graph: Graph, gate: str, x: str) -> list[Node] | None:
    clip = graph.only(gate, "Clip")
    shifted = graph.only(clip.inputs[0], "Add") if clip is not None else None
    pair = graph.by_number(shifted) if shifted is not None else None
    fits = clip is not None and pair is not None and pair == (x, 3.0) and _limits(graph, clip) == (0, 6)
    return [clip, shifted] if fits and clip is not None and shifted is not None else None


def _limits(graph: Graph, clip: Node) -> tuple[float | None, float | None]:
    sides = (clip.attributes.get(k, graph.number(clip.input(i))) for i, k in ((1, "min"), (2, "max")))
    low, high = sides
    return low, high


def _products(graph: Graph, node: Node) -> list[Node]:
    """The products that alone go into a product."""
    inner = [graph.only(name, "Mul", "Div") for name in node.inputs]
    return [
        part
        for part in inner
        if part is not None and not (part.operator == "Div" and graph.number(part.inputs[1]) is None)
    ]


def _product(graph: Graph, node: Node) -> list[str]:
    """The factors of a product of up to three; a number that is divided by counts as its inverse."""
    factors: list[str] = []
    for name in node.inputs:
        part = graph.only(name, "Mul")
        factors += list(part.inputs) if part is not None and len(node.inputs) == 2 else [name]
    return factors if len(factors) == 3 else []


def _axes(graph: Graph, node: Node) -> list[int] | None:
    value = node.attributes.get("axes", graph.constants.get(node.input(1)))
    return None if value is None else [int(x) for x in np.atleast_1d(value)]


def _reader(graph: Graph, name: str, operator: str, shape: tuple[int, ...]) -> tuple[Node, str] | None:
    """The only reader of a tensor, if it combines it with a constant of a shape."""
    readers = graph.readers.get(name, [])
    node = graph.nodes[readers[0]] if len(readers) == 1 and name not in graph.keep else None
    if node is None or node.operator != operator:
        return None
    other = node.inputs[1] if node.inputs[0] == name else node.inputs[0]
    value = graph.constants.get(other)
    return (node, other) if value is not None and value.shape == shape else None


Pattern = Callable[[Graph, Node], bool]
_FIRST: Mapping[str, Sequence[Pattern]] = {
    "Mul": (_gelu, _silu, _hard_swish, _mish),
    "Max": (_clipped,),
    "Min": (_clipped,),
    "Relu": (_clipped,),
    "Div": (_layer_norm, _hard_swish),
}
_SECOND: Mapping[str, Sequence[Pattern]] = {
    "Mul": (_hard_sigmoid,),
    "Div": (_hard_sigmoid,),
    "Add": (_dense_bias, _conv_bias),
}
_THIRD: Mapping[str, Sequence[Pattern]] = {"Softmax": (attention,)}
