"""What differs between layers of Keras 2 and Keras 3: configuration keys, activations, operators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TypeAlias

import keras
import tensorflow as tf

from edgecut.errors import GraphError
from edgecut.graph.keras_types import TensorFunction
from edgecut.records.json_value import JsonObject

# Activations that both generations call the same and compute the same.
SAME_ACTIVATIONS = frozenset(
    {
        "elu",
        "exponential",
        "gelu",
        "leaky_relu",
        "linear",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "swish",
        "tanh",
    }
)

# Layers whose activation comes last, so that it can be put behind them as layers of its own.
ENDS_IN_ACTIVATION = frozenset(
    {
        "Activation",
        "Conv1D",
        "Conv1DTranspose",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "Dense",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "EinsumDense",
        "SeparableConv1D",
        "SeparableConv2D",
    }
)

# (class, key in Keras 2, key in Keras 3)
_RENAMED = (("LeakyReLU", "alpha", "negative_slope"),)

# Keys that say how something is computed or stored, never what.
_HARMLESS = frozenset(
    {
        "batch_input_shape",
        "build_config",
        "implementation",
        "key_shape",
        "query_shape",
        "use_cudnn",
        "value_shape",
    }
)

# What a key of a configuration says that no argument of the class has, where it says nothing special.
_NEUTRAL = {"rms_scaling": False}

Body: TypeAlias = "Callable[[keras.KerasTensor], keras.KerasTensor]"


def translated(
    config: JsonObject, source: type, target: type, layers: tuple[ModuleType, ModuleType], where: str
) -> dict[str, object]:
    """A layer's configuration in the words of the other generation's class of the same name.

    layers: the `layers` modules of the source and of the target, for layers that are wrapped in this one.

    Initializers are left out, since the weights come with the layer. A key that the target doesn't know is left out
    where it says what its own generation does anyway. Raises GraphError, beginning with `where`, if it says another.
    """
    known, defaults = _parameters(target), {**_NEUTRAL, **_parameters(source)}
    result: dict[str, object] = {}
    for old_key, value in config.items():
        key = _renamed(target.__name__, old_key, known)
        if old_key in _HARMLESS or old_key.endswith("_initializer"):
            continue
        if old_key == "dtype":
            result["dtype"] = policy_name(value)
        elif key in known or key in {"name", "trainable"}:
            single = target.__name__ == "BatchNormalization" and key == "axis"
            result[key] = _inner(plain(value, single=single), layers, where)
        elif old_key not in defaults or plain(value) != plain(defaults[old_key]):
            raise GraphError(f"{where}: {old_key}={value!r} has no counterpart in the other generation of Keras")
    return result


def policy_name(dtype: object) -> str:
    """ "float32" from what a configuration says of a dtype: a name, or a policy as {"config": {"name": ...}}."""
    if isinstance(dtype, Mapping):
        return str(dtype["config"]["name"])
    return str(getattr(dtype, "name", dtype))


def plain(value: object, *, single: bool = False) -> object:
    """A configuration's value with plain lists for tracked ones; with `single` the only element of a list."""
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return items[0] if single and len(items) == 1 else type(value)(items) if type(value) is tuple else items
    return {key: plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def activation_name(activation: object) -> str:
    """The name of an activation in a configuration: text, or an object's class name."""
    if isinstance(activation, Mapping):
        name = activation.get("config") if isinstance(activation.get("config"), str) else activation["class_name"]
        return str(name)
    return "linear" if activation is None else str(activation)


def activation_body(layers: ModuleType, name: str, keras_2: bool, layer: str) -> Body | None:
    """An activation as layers of either generation, for one that only the source has, or that differs; else None.

    layers: the target's `layers` module. keras_2: whether `name` is Keras 2's. Keras 2's hard_sigmoid is
    clip(0.2 x + 0.5, 0, 1), Keras 3's is clip(x / 6 + 0.5, 0, 1). layer: the name for the last of them.
    """
    if name == "hard_sigmoid":
        slope = 0.2 if keras_2 else 1 / 6
        scale = layers.Rescaling(slope, offset=0.5, name=f"{layer}_slope")
        clip = layers.ReLU(max_value=1.0, name=layer)
        return lambda x: clip(scale(x))
    if name in {"hard_silu", "hard_swish"} and not keras_2:
        gate = activation_body(layers, "hard_sigmoid", False, f"{layer}_gate")
        product = layers.Multiply(name=layer)
        return lambda x: product([x, gate(x)]) if gate else x
    return None


def _inner(value: object, layers: tuple[ModuleType, ModuleType], where: str) -> object:
    """A configuration's value with the layers in it translated, too."""
    if isinstance(value, list):
        return [_inner(item, layers, where) for item in value]
    if not isinstance(value, Mapping):
        return value
    name, config = str(value.get("class_name")), value.get("config")
    source, target = (getattr(module, name, None) for module in layers)
    if isinstance(config, Mapping) and source is not None and target is not None:
        return {**value, "config": translated(config, source, target, layers, where)}
    return {key: _inner(item, layers, where) for key, item in value.items()}


def _parameters(class_: type) -> dict[str, object]:
    """The arguments that a layer class takes, those of its bases included, with their defaults."""
    found: dict[str, object] = {}
    for base in reversed(class_.__mro__):
        if base is object or "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        found |= {p.name: p.default for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}}
    return found


def _renamed(class_name: str, key: str, known: Mapping[str, object]) -> str:
    for name, old, new in _RENAMED:
        if name == class_name and key in {old, new}:
            return old if old in known else new
    return key


def to_keras_operators() -> dict[str, TensorFunction]:
    """TensorFlow functions by the name under which Keras 2 keeps them, on Keras 3 tensors, with tf's arguments."""
    from keras import ops

    def binary(function: TensorFunction) -> TensorFunction:
        return lambda x, y, name=None: function(x, y)

    def unary(function: TensorFunction) -> TensorFunction:
        def call(*args: object, name: object = None, **kwargs: object) -> keras.KerasTensor:
            (value,) = (*args, *kwargs.values())
            return function(value)

        return call

    def reduction(function: TensorFunction) -> TensorFunction:
        return lambda input_tensor, axis=None, keepdims=False, name=None: function(
            input_tensor, axis=axis, keepdims=keepdims
        )

    table: dict[str, TensorFunction] = {
        "reshape": lambda tensor, shape, name=None: ops.reshape(tensor, _tail(shape)),
        "concat": lambda values, axis, name="": ops.concatenate(values, axis=axis),
        "transpose": lambda a, perm=None, conjugate=False, name="": ops.transpose(a, perm),
        "expand_dims": lambda input, axis, name=None: ops.expand_dims(input, axis),
        "squeeze": lambda input, axis=None, name=None: ops.squeeze(input, axis),
        "cast": lambda x, dtype, name=None: ops.cast(x, policy_name(dtype)),
        "clip_by_value": lambda t, clip_value_min, clip_value_max, name=None: ops.clip(
            t, clip_value_min, clip_value_max
        ),
        "nn.softmax": lambda logits, axis=-1, name=None: ops.softmax(logits, axis=axis),
        "pad": lambda tensor, paddings, mode="CONSTANT", constant_values=0, name=None: ops.pad(
            tensor, paddings, mode.lower(), constant_values if mode == "CONSTANT" else None
        ),
        "stack": lambda values, axis=0, name="": ops.stack(values, axis=axis),
    }
    for name in ("add", "subtract", "multiply", "maximum", "minimum"):
        table[f"math.{name}"] = binary(getattr(ops, name))
    for name, function in {"add": ops.add, "sub": ops.subtract, "mul": ops.multiply}.items():
        table[f"__operators__.{name}"] = binary(function)
    for name in ("__operators__.truediv", "math.truediv", "math.divide"):
        table[name] = binary(ops.true_divide)
    for name in ("__operators__.pow", "math.pow"):
        table[name] = binary(ops.power)
    table["linalg.matmul"] = lambda a, b, name=None: ops.matmul(a, b)
    for name in ("relu", "relu6", "sigmoid", "silu", "tanh", "elu", "selu", "softplus"):
        table[f"nn.{name}"] = table[f"math.{name}"] = unary(getattr(ops, name))
    for name in ("square", "sqrt", "rsqrt", "abs", "exp", "negative"):
        table[f"math.{name}"] = unary(getattr(ops, name))
    for name in ("mean", "max", "min", "sum"):
        table[f"math.reduce_{name}"] = reduction(getattr(ops, name))
    return table


def to_tf_operators() -> dict[str, TensorFunction]:
    """Keras 3 operators by class name, as functions of the operator, its arguments and TensorFlow's module."""

    def binary(function: str) -> TensorFunction:
        return lambda tf, op, x1, x2: getattr(tf.math, function)(x1, x2)

    def unary(home: str, function: str) -> TensorFunction:
        return lambda tf, op, x: getattr(getattr(tf, home), function)(x)

    def reduction(function: str) -> TensorFunction:
        return lambda tf, op, x: getattr(tf.math, function)(x, axis=op.axis, keepdims=op.keepdims)

    table: dict[str, TensorFunction] = {
        "Reshape": lambda tf, op, x: tf.reshape(x, [-1 if size is None else size for size in op.newshape]),
        "Concatenate": lambda tf, op, xs: tf.concat(xs, axis=op.axis),
        "Transpose": lambda tf, op, x: tf.transpose(x, op.axes),
        "ExpandDims": lambda tf, op, x: tf.expand_dims(x, op.axis),
        "Squeeze": lambda tf, op, x: tf.squeeze(x, op.axis),
        "Clip": lambda tf, op, x: tf.clip_by_value(x, op.x_min, op.x_max),
        "Softmax": lambda tf, op, x: tf.nn.softmax(x, axis=op.axis),
        "GetItem": lambda tf, op, x, key: x[key],
        "Resize": lambda tf, op, x: tf.image.resize(x, op.size, method=op.interpolation, antialias=op.antialias),
        "Matmul": lambda tf, op, x1, x2: tf.linalg.matmul(x1, x2),
        "Pad": lambda tf, op, x, constant_values=None: tf.pad(
            x,
            op.pad_width if len(op.pad_width) > 1 else op.pad_width * len(x.shape),
            mode=op.mode.upper(),
            constant_values=0 if constant_values is None else constant_values,
        ),
    }
    names = {
        "Add": "add",
        "Subtract": "subtract",
        "Multiply": "multiply",
        "Divide": "truediv",
        "TrueDivide": "truediv",
        "Maximum": "maximum",
        "Minimum": "minimum",
        "Power": "pow",
    }
    table |= {name: binary(function) for name, function in names.items()}
    table |= {name: unary("nn", name.lower()) for name in ("Relu", "Relu6", "Silu", "Tanh", "Elu", "Selu", "Softplus")}
    table |= {name: unary("math", name.lower()) for name in ("Sigmoid", "Square", "Sqrt", "Rsqrt", "Exp", "Negative")}
    table["Absolute"] = unary("math", "abs")
    return table | {name.title(): reduction(f"reduce_{name}") for name in ("mean", "max", "min", "sum")}


def _tail(shape: Sequence[int] | tf.Tensor) -> Sequence[int] | tf.Tensor:
    """A shape with the open batch axis as Keras 3 writes it."""
    return tuple(-1 if size is None else size for size in shape)
