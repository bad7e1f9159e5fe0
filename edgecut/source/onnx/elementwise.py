"""Arithmetic and logic, element by element, with ONNX's broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.layers import AddWeight, MultiplyWeight
from edgecut.source.onnx.layout import View


def add(site: Site) -> None:
    """Add and Sum of two: of a constant as a weight."""
    _linear(site, lambda c: (np.ones_like(c[:1]), c))


def subtract(site: Site) -> None:
    """Sub."""
    if site.is_constant(0):
        tensors, view = _tensors(site)
        constant = tensors[0]
        y = (
            site.op(ops.subtract, _plain(constant), tensors[1])
            if constant.size == 1
            else _plus(site, site.op(ops.negative, tensors[1], suffix="negative"), constant)
        )
        site.out(view.same(y))
        return
    _linear(site, lambda c: (np.ones_like(c[:1]), -c))


def multiply(site: Site) -> None:
    """Mul: by a constant as a weight."""
    tensors, view = _tensors(site)
    if any(isinstance(t, np.ndarray) for t in tensors):
        x, constant = _sorted(tensors)
        positive = _positive(site, 0) and _positive(site, 1)
        site.out(view.same(_times(site, x, constant), positive))
        return
    site.out(
        view.same(site.call(site.layer(keras.layers.Multiply), tensors), _positive(site, 0) and _positive(site, 1))
    )


def divide(site: Site) -> None:
    """Div: by a constant as a factor; integers as ONNX does it, towards zero."""
    tensors, view = _tensors(site)
    integer = site.trace.dtypes.get(site.node.outputs[0], "").startswith(("int", "uint"))
    if integer:
        quotient = ops.trunc(ops.divide(*map(_plain, tensors)))
        site.out(view.same(site.op(ops.cast, quotient, site.trace.dtypes[site.node.outputs[0]])))
    elif isinstance(tensors[1], np.ndarray):
        positive = _positive(site, 0) and _positive(site, 1)
        site.out(view.same(_times(site, tensors[0], 1 / tensors[1].astype(np.float64)), positive))
    else:
        site.out(view.same(site.op(ops.divide, _plain(tensors[0]), tensors[1])))


def power(site: Site) -> None:
    """Pow, with the common exponents by their own operations."""
    tensors, view = _tensors(site)
    exponent = float(tensors[1].reshape(-1)[0]) if isinstance(tensors[1], np.ndarray) and tensors[1].size == 1 else None
    if exponent == 2:
        site.out(view.same(site.op(ops.square, tensors[0]), True))
    elif exponent == 0.5:
        site.out(view.same(site.op(ops.sqrt, tensors[0]), True))
    else:
        site.out(view.same(site.op(ops.power, _plain(tensors[0]), _plain(tensors[1]))))


def modulo(site: Site) -> None:
    """Mod: with the divisor's sign, or with fmod the dividend's."""
    tensors, view = _tensors(site)
    a, b = map(_plain, tensors)
    if not site.attribute("fmod", 0):
        site.out(view.same(site.op(ops.mod, a, b)))
        return
    whole = ops.multiply(b, ops.trunc(ops.divide(a, b)))
    site.out(view.same(site.op(ops.subtract, a, whole)))


def variadic(site: Site) -> None:
    """Sum, Mean, Max and Min of any number."""
    if len(site.node.inputs) == 1:
        site.out(site.view())
        return
    tensors, view = _tensors(site)
    positive = all(_positive(site, k) for k in range(len(tensors)))
    layer = _VARIADIC[site.node.operator]
    if site.node.operator == "Max":
        positive = any(_positive(site, k) for k in range(len(tensors)))
    if not any(isinstance(t, np.ndarray) for t in tensors):
        site.out(view.same(site.call(site.layer(layer), tensors), positive))
        return
    function = {"Sum": ops.add, "Mean": ops.add, "Max": ops.maximum, "Min": ops.minimum}[site.node.operator]
    result = _plain(tensors[0])
    for tensor in tensors[1:]:
        result = site.op(function, result, _plain(tensor), suffix="" if tensor is tensors[-1] else "part")
    if site.node.operator == "Mean":
        result = site.op(ops.multiply, result, 1.0 / len(tensors), suffix="mean")
    site.out(view.same(result, positive))


def unary(site: Site) -> None:
    """An operation of keras.ops on each element."""
    function, positive = UNARY[site.node.operator]
    view = site.tensor_view()
    site.out(view.same(site.op(function, view.tensor), positive))


def binary(site: Site) -> None:
    """A comparison or a logical operation."""
    tensors, view = _tensors(site)
    site.out(view.same(site.op(BINARY[site.node.operator], *map(_plain, tensors)), True))


def where(site: Site) -> None:
    """Where."""
    tensors, view = _tensors(site)
    condition, a, b = map(_plain, tensors)
    if isinstance(condition, np.ndarray):
        condition = condition.astype(bool)
    site.out(view.same(site.op(ops.where, condition, a, b), _positive(site, 1) and _positive(site, 2)))


def is_inf(site: Site) -> None:
    """IsInf, of one sign or both."""
    view = site.tensor_view()
    x, infinite = view.tensor, ops.isinf(view.tensor)
    if not site.attribute("detect_negative", 1):
        infinite = ops.logical_and(infinite, ops.greater(x, 0))
    if not site.attribute("detect_positive", 1):
        infinite = ops.logical_and(infinite, ops.less(x, 0))
    site.out(view.same(infinite, True))


def _linear(site: Site, terms: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    """A sum or a difference of two tensors, or of one and a constant."""
    tensors, view = _tensors(site)
    adds = site.node.operator != "Sub"
    positive = adds and _positive(site, 0) and _positive(site, 1)
    if any(isinstance(t, np.ndarray) for t in tensors):
        x, constant = _sorted(tensors)
        site.out(view.same(_plus(site, x, terms(constant)[1]), positive))
        return
    layer = keras.layers.Add if adds else keras.layers.Subtract
    site.out(view.same(site.call(site.layer(layer), tensors), positive))


def _tensors(site: Site) -> tuple[list[Any], View]:
    """The inputs over common dimensions, Keras tensors or arrays (1, ...), and a view that has the result's axes."""
    views = [site.view(k) for k in range(len(site.node.inputs))]
    tensors, axes = site.mover.aligned(views)
    return tensors, View(None, axes)


def _sorted(tensors: Sequence[Any]) -> tuple[Any, np.ndarray]:
    first, second = tensors
    return (second, first) if isinstance(first, np.ndarray) else (first, second)


def _positive(site: Site, index: int) -> bool:
    return site.view(index).positive


def _plus(site: Site, x: Any, constant: np.ndarray) -> Any:
    """The sum of a tensor and a constant over the same dimensions."""
    if (
        constant.dtype.kind != "f"
        or constant.size == 1
        or (np.all(constant == constant.reshape(-1)[0]) and _within(constant, x))
    ):
        return site.op(ops.add, x, _plain(constant if constant.dtype.kind != "f" else constant.reshape(-1)[:1]))
    weight = _trimmed(constant)
    return site.call(site.layer(AddWeight, shape=weight.shape), x, [weight])


def _times(site: Site, x: Any, constant: np.ndarray) -> Any:
    """The product of a tensor and a constant over the same dimensions."""
    if constant.dtype.kind != "f" or constant.size == 1:
        return site.op(ops.multiply, x, _plain(constant))
    weight = _trimmed(constant)
    return site.call(site.layer(MultiplyWeight, shape=weight.shape), x, [weight])


def _within(constant: np.ndarray, x: Any) -> bool:
    """Whether a constant doesn't make the tensor larger."""
    return all(c in {1, s} for c, s in zip(constant.shape[1:], x.shape[1:], strict=True))


def _trimmed(constant: np.ndarray) -> np.ndarray:
    """A constant (1, ...) as float32 without the axes of size 1 before it, at least one."""
    array = constant.astype(np.float32)[0]
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    return array


def _plain(value: Any) -> Any:
    """A constant as an operation takes it: one element as a number; a tensor as it is."""
    if not isinstance(value, np.ndarray):
        return value
    if value.size == 1:
        number = value.reshape(-1)[0].item()
        if isinstance(number, float) and not math.isfinite(number):
            return np.float32(number)
        return number
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def _reject(site: Site) -> None:
    raise Unsupported(f"{site.node.operator} can't be computed")


_VARIADIC: Mapping[str, Any] = {
    "Sum": keras.layers.Add,
    "Mean": keras.layers.Average,
    "Max": keras.layers.Maximum,
    "Min": keras.layers.Minimum,
}

UNARY: Mapping[str, tuple[Callable[[Any], Any], bool]] = {
    "Abs": (ops.absolute, True),
    "Acos": (ops.arccos, True),
    "Acosh": (ops.arccosh, True),
    "Asin": (ops.arcsin, False),
    "Asinh": (ops.arcsinh, False),
    "Atan": (ops.arctan, False),
    "Atanh": (ops.arctanh, False),
    "Ceil": (ops.ceil, False),
    "Cos": (ops.cos, False),
    "Cosh": (ops.cosh, True),
    "Erf": (ops.erf, False),
    "Floor": (ops.floor, False),
    "IsNaN": (ops.isnan, True),
    "Log": (ops.log, False),
    "Neg": (ops.negative, False),
    "Not": (ops.logical_not, True),
    "Reciprocal": (ops.reciprocal, False),
    "Round": (ops.round, False),
    "Sign": (ops.sign, False),
    "Sin": (ops.sin, False),
    "Sinh": (ops.sinh, False),
    "Sqrt": (ops.sqrt, True),
    "Tan": (ops.tan, False),
}

BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "And": ops.logical_and,
    "Equal": ops.equal,
    "Greater": ops.greater,
    "GreaterOrEqual": ops.greater_equal,
    "Less": ops.less,
    "LessOrEqual": ops.less_equal,
    "Or": ops.logical_or,
    "Xor": ops.logical_xor,
}
