"""Which operator of a float file computes what an operator of a quantized file of the same model computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecut.quantize.grids import real_values
from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.kinds import BOUNDARIES, WEIGHTED

# Cures scale channels by positive factors and round steps up or down: the signs of what is two steps from zero stay.
_SIGN_STEPS, _SAME_SIGNS = 2, 0.95
# So many signs don't agree by chance: 95 % of 32 coins show the same side in one of 10^7 throws.
_TELLING_WEIGHTS = 32
# Options that only say how a kernel calculates.
_FREE_OPTIONS = frozenset(
    {
        "asymmetricQuantizeInputs",
        "kernelType",
        "potScaleInt16",
        "quantizedBiasType",
        "weightsFormat",
    }
)


@dataclass(frozen=True, eq=False)
class Side:
    """A file and its constants by tensor."""

    graph: TfliteGraph
    constants: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Alignment:
    """operators, tensors: of the quantized file -> of the float file, by index."""

    operators: Mapping[int, int]
    tensors: Mapping[int, int]


def align(quantized: Side, floats: Side, *, same_inputs: bool = True) -> Alignment:
    """The operators of two files that are the same computation, followed from the inputs on.

    An operator is another's if both are of one type with the same options, read the same computed tensors at the same
    places, and hold the same constants, up to what quantization and its cures do to them. Where that is lost, as
    behind a preprocessing that only one of the two has, the next operator with weights that one other alone has takes
    it up again. What is neither has no counterpart. same_inputs: whether both are given the same values.
    """
    operators: dict[int, int] = {}
    tensors: dict[int, int] = {}
    if same_inputs:
        pairs = zip(quantized.graph.inputs, floats.graph.inputs, strict=False)
        shapes = quantized.graph.tensors, floats.graph.tensors
        tensors = {i: j for i, j in pairs if shapes[0][i].shape == shapes[1][j].shape}
    free = {op.index: op for op in floats.graph.operators if op.name not in BOUNDARIES}
    for operator in quantized.graph.operators:
        if operator.name in BOUNDARIES:
            if operator.inputs[0] in tensors:
                tensors[operator.outputs[0]] = tensors[operator.inputs[0]]
            continue
        alike = [op for op in free.values() if _is_alike(quantized, operator, floats, op)]
        fed = [op for op in alike if _is_fed_alike(quantized.graph, operator, op, tensors)]
        if fed:
            chosen = min(fed, key=lambda op: _distance(quantized, operator, floats, op))
        elif len(alike) == 1 and _is_lost(quantized.graph, operator, tensors) and _tells(quantized, operator):
            chosen = alike[0]
        else:
            continue
        del free[chosen.index]
        operators[operator.index] = chosen.index
        tensors.update(zip(operator.outputs, chosen.outputs, strict=True))
    return Alignment(operators, tensors)


def computed(graph: TfliteGraph, operator: Operator) -> dict[int, int]:
    """The operator's inputs that others compute, by their place."""
    places = {place: index for place, index in enumerate(operator.inputs) if index >= 0}
    return {
        place: index
        for place, index in places.items()
        if not graph.tensors[index].is_constant and not graph.tensors[index].is_variable
    }


def _is_alike(quantized: Side, operator: Operator, floats: Side, other: Operator) -> bool:
    """Whether type, options, output shapes and constants are the same."""
    if operator.name != other.name or _options(operator) != _options(other):
        return False
    if [quantized.graph.tensors[i].shape for i in operator.outputs] != [
        floats.graph.tensors[i].shape for i in other.outputs
    ]:
        return False
    return all(_holds(quantized, operator, floats, other, place) for place in range(len(operator.inputs)))


def _options(operator: Operator) -> dict[str, object]:
    return {key: value for key, value in operator.options.items() if key not in _FREE_OPTIONS}


def _is_fed_alike(graph: TfliteGraph, operator: Operator, other: Operator, tensors: Mapping[int, int]) -> bool:
    places = computed(graph, operator)
    return bool(places) and all(
        index in tensors and place < len(other.inputs) and tensors[index] == other.inputs[place]
        for place, index in places.items()
    )


def _is_lost(graph: TfliteGraph, operator: Operator, tensors: Mapping[int, int]) -> bool:
    """Whether nothing is known of any tensor that the operator reads, so that nothing contradicts its weights."""
    return not any(index in tensors for index in computed(graph, operator).values())


def _tells(quantized: Side, operator: Operator) -> bool:
    """Whether an operator has weights enough to be known by them."""
    if operator.name not in WEIGHTED or len(operator.inputs) < 2:
        return False
    weights = quantized.constants.get(operator.inputs[1])
    return weights is not None and int(_certain(quantized, operator.inputs[1], weights).sum()) >= _TELLING_WEIGHTS


def _holds(quantized: Side, operator: Operator, floats: Side, other: Operator, place: int) -> bool:
    """Whether the constant at a place of an operator's inputs is the other's; so is what is no constant of either."""
    index, twin = operator.inputs[place], other.inputs[place] if place < len(other.inputs) else -1
    is_constant = index >= 0 and quantized.graph.tensors[index].is_constant
    if is_constant != (twin >= 0 and floats.graph.tensors[twin].is_constant):
        return place > 1  # the converter adds a bias of zeros
    constant, real = quantized.constants.get(index), floats.constants.get(twin)
    if constant is None or real is None:
        return True  # computed, absent, or of a type that numpy hasn't
    if operator.name in WEIGHTED and constant.ndim == 1 and place > 1:
        return constant.shape == real.shape  # cures correct biases
    if constant.shape != real.shape:
        return False
    tensor = quantized.graph.tensors[index]
    if operator.name in WEIGHTED and np.issubdtype(real.dtype, np.floating):
        certain = _certain(quantized, index, constant)
        agree = np.sign(real_values(constant, tensor)) == np.sign(real)
        return not certain.any() or float(agree[certain].mean()) >= _SAME_SIGNS
    step = max(tensor.scales) if tensor.scales else 0.0
    return bool(np.allclose(real_values(constant, tensor), real.astype(np.float32), rtol=1e-5, atol=step + 1e-6))


def _certain(quantized: Side, index: int, constant: np.ndarray) -> np.ndarray:
    """Which of the weights are so far from zero that rounding can't have given them their sign."""
    scales = quantized.graph.tensors[index].scales
    return np.asarray(np.abs(constant) >= (_SIGN_STEPS if scales else np.finfo(np.float32).tiny))


def _distance(quantized: Side, operator: Operator, floats: Side, other: Operator) -> float:
    """How far the constants of two operators are apart, over their size."""
    total = 0.0
    for index, twin in zip(operator.inputs, other.inputs, strict=False):
        constant, real = quantized.constants.get(index), floats.constants.get(twin)
        if constant is not None and real is not None and constant.shape == real.shape:
            error = real_values(constant, quantized.graph.tensors[index]) - real
            total += float(np.abs(error).sum() / max(float(np.abs(real).sum()), 1e-30))
    return total
