"""What tf2onnx 1.17 doesn't know of TFLite, or gets wrong, taught to it by its own registry of handlers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from tf2onnx.graph import Graph, Node

Handler: TypeAlias = "Callable[[Graph, Node], None]"


def teach_operators() -> None:
    """Let tf2onnx convert GELU, RELU_N1_TO_1 (also fused), and FULLY_CONNECTED of more than two axes with its bias."""
    from tf2onnx.handler import tfl_op
    from tf2onnx.tflite_handlers import tfl_math, tfl_nn

    for module in (tfl_math, tfl_nn):
        original = module.separate_fused_activation_function
        if getattr(original, "__module__", "") != __name__:
            module.separate_fused_activation_function = _fused_activation(original)
    tfl_op(["TFL_FULLY_CONNECTED"])(_fully_connected(tfl_math.TflFullyConnectedOp))
    for name, convert in {"TFL_GELU": _gelu, "TFL_RELU_N1_TO_1": _clipped}.items():
        tfl_op([name])(
            type(name, (), {"to_tf": classmethod(lambda cls, ctx, node, to=convert, **kwargs: to(ctx, node))})
        )


def _fused_activation(original: Handler) -> Handler:
    def separate(ctx: Graph, node: Node) -> None:
        if node.attr["fused_activation_function"].s != b"RELU_N1_TO_1":
            original(ctx, node)
            return
        del node.attr["fused_activation_function"]
        bounds = [_constant(ctx, value) for value in (-1.0, 1.0)]
        clip = ctx.insert_new_node_on_output("Clip", node.output[0], inputs=[node.output[0], *bounds])
        clip.skip_conversion = True

    separate.__module__ = __name__
    return separate


def _fully_connected(original: Any) -> type:
    """tf2onnx drops the bias, without a word, if the input has more than 2 axes: it is flattened first, so that the
    library's own handler never takes that path.
    """
    from tf2onnx.utils import make_name

    class FullyConnected(original):
        @classmethod
        def to_tf(cls, ctx: Graph, node: Node, **kwargs: object) -> None:
            if node.attr["keep_num_dims"].i == 0 and ctx.get_rank(node.input[0]) != 2:
                features = ctx.get_shape(node.input[1])[1]
                shape = ctx.make_const(make_name("flat_shape"), np.array([-1, features], np.int64))
                flat = ctx.make_node(
                    "Reshape",
                    [node.input[0], shape.output[0]],
                    shapes=[[1, features]],
                    dtypes=[ctx.get_dtype(node.input[0])],
                )
                flat.skip_conversion = True
                ctx.replace_input(node, node.input[0], flat.output[0], 0)
            original.to_tf(ctx, node, **kwargs)

    return FullyConnected


def _gelu(ctx: Graph, node: Node) -> None:
    """x / 2 (1 + erf(x / sqrt 2)), or with tanh(sqrt(2 / pi) (x + 0.044715 x^3)): onnx.ai/onnx/operators, Gelu."""
    x = node.input[0]
    if node.get_attr_value("approximate"):
        cube = _operator(ctx, node, "Mul", _operator(ctx, node, "Mul", x, x), x)
        inner = _operator(ctx, node, "Add", x, _operator(ctx, node, "Mul", cube, _constant(ctx, 0.044715)))
        curve = _operator(ctx, node, "Tanh", _operator(ctx, node, "Mul", inner, _constant(ctx, math.sqrt(2 / math.pi))))
    else:
        curve = _operator(ctx, node, "Erf", _operator(ctx, node, "Div", x, _constant(ctx, math.sqrt(2))))
    factor = _operator(ctx, node, "Add", curve, _constant(ctx, 1.0))
    half = _operator(ctx, node, "Mul", _operator(ctx, node, "Mul", x, factor), _constant(ctx, 0.5))
    _put_in_place(ctx, node, half)


def _clipped(ctx: Graph, node: Node) -> None:
    _put_in_place(ctx, node, _operator(ctx, node, "Clip", node.input[0], _constant(ctx, -1.0), _constant(ctx, 1.0)))


def _operator(ctx: Graph, like: Node, name: str, *inputs: str) -> str:
    """The output of a new node, of the shape and dtype of another one's."""
    output = like.output[0]
    node = ctx.make_node(name, list(inputs), shapes=[ctx.get_shape(output)], dtypes=[ctx.get_dtype(output)])
    return str(node.output[0])


def _constant(ctx: Graph, value: float) -> str:
    from tf2onnx.utils import make_name

    return str(ctx.make_const(make_name("const"), np.array(value, np.float32)).output[0])


def _put_in_place(ctx: Graph, node: Node, result: str) -> None:
    ctx.replace_all_inputs(node.output[0], result)
    ctx.remove_node(node.name)
