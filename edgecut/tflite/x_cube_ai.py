"""The activation RAM of ST's runtime for microcontrollers (X-CUBE-AI, STM32Cube.AI, ST Edge AI Core), by its plan.

Published are figures, not the planner. What is here was read from the figures of rebuilt nets: an output is written
over the input that dies with it where the operator is local; leaky ReLU and the pooling behind are part of a
convolution; padding and reshaping are no operators; inputs and outputs are inside. tools/check_boards.py says how well
it holds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.kinds import CONVOLUTIONS
from edgecut.tflite.scratch import Window, window

# What changes no value in memory, or is computed by the operator before it.
_MOVES_NOTHING = frozenset({"PAD", "RESHAPE"})
_FUSED = frozenset({"LEAKY_RELU", "RELU", "RELU6"})
# Operators whose output may take the place of an input, row by row.
_LOCAL = frozenset({"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D",
                    "MINIMUM", "MUL"})  # fmt: skip
# The first convolution of a MobileNet, which isn't written over its input: bytes, and bytes for each column. To the
# last printed digit for MobileNetV1 0.25 at 96, 192, 224 and 256 under version 10.
_STEM_BYTES, _STEM_COLUMN_BYTES = 17_879, 48


@dataclass(frozen=True)
class Planning:
    """What is fitted, of one generation of the runtime.

    widest: a 1x1 convolution of at most so many times its input's channels is written over its input. residual: the
    share of the output of a convolution in front of an ADD that isn't. kernel_bytes, depthwise_bytes: scratch of a
    convolution of more than 1x1, in int8. halo: the share of the kernel's rows that is held besides. margin: a factor
    on all. stem_bytes: whether the first convolution in front of a depthwise one has its own scratch. large_bytes:
    above it nothing is written over its input, and poolings are part of convolutions; version 10 plans so, as if
    external memory, which it then needs, weren't scarce.
    """

    widest: float
    residual: float
    kernel_bytes: int
    depthwise_bytes: int
    halo: float
    margin: float
    stem_bytes: bool
    large_bytes: float = math.inf


@dataclass(frozen=True)
class _Step:
    """An operator with the values it reads and makes, by tensor. last: readers of no later step."""

    operator: Operator
    reads: tuple[int, ...]
    makes: int


# By the first number of the version: X-CUBE-AI 7, STM32Cube.AI 8 and what came after (9, 10; ST Edge AI Core 1 to 4).
PLANNINGS: Mapping[str, Planning] = {
    "7": Planning(3, 1.0, 4_000, 8_000, 0.5, 1.0, False),
    "8": Planning(2, 0.7, 4_000, 8_000, 0.0, 1.02, False),
    "10": Planning(2, 1.0, 8_000, 8_000, 1.0, 1.06, True, large_bytes=640 * 1024),
    "": Planning(2, 1.0, 8_000, 8_000, 1.0, 1.06, True),
}


# Fitted on the printed runtime RAM and code flash of int8 nets, in KiB: a constant, for each convolution, for each
# other operator that isn't only a view. Median error of code flash 4 to 7 %, of runtime RAM 3 to 6 %, but of ST Edge
# AI Core 3 on, where it is 0.3 KiB for most nets.
RUNTIME_RAM = {"7": (0.58, 0.66, 0.18), "8": (0.75, 0.60, 0.16), "10": (1.27, 0.53, 0.18), "": (0.0, 0.02, 0.25)}
CODE_FLASH = {"7": (33.5, 1.46, 0.43), "8": (43.9, 1.23, 0.35), "10": (40.3, 1.02, 0.71), "": (20.1, 0.35, 1.93)}
# What a profile says of this runtime's kernels.
KERNELS = "x-cube-ai"
# Nine tenths of the rows of STM32H7 and U5 are within it (12.6 %), each estimated by constants that never saw its
# family of nets.
ERROR = 0.15
# Weights and code together: nine tenths of the rows are within 4.1 %, and 9 figures of a source that nothing was fitted
# on within 3.8 %.
FLASH_ERROR = 0.05
# Operators that compute with constants: kernels and biases, factors, shifts and limits.
_WEIGHTED = frozenset({"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAXIMUM", "MINIMUM", "MUL", "PRELU",
                       "SUB", "TRANSPOSE_CONV"})  # fmt: skip


def planning(version: str) -> Planning:
    """The constants of a version such as "8.1.0"; those of the newest where it isn't said."""
    return PLANNINGS.get(version.partition(".")[0], PLANNINGS[""])


def activation_bytes(graph: TfliteGraph, constants: Planning) -> int:
    """The bytes of the activations, scratch, inputs and outputs of a graph, estimated."""
    most = _peak(graph, constants, large=False)
    if most > constants.large_bytes:
        most = _peak(graph, constants, large=True)
    # An output that is a constant, as the anchors of a detector are, is a copy in floats.
    fixed = sum(4 * graph.tensors[output].elements for output in graph.outputs if graph.tensors[output].is_constant)
    return math.ceil((most + fixed) * constants.margin)


def runtime_bytes(graph: TfliteGraph, version: str) -> int:
    """The RAM that the runtime itself holds for a graph, estimated."""
    return _fitted(graph, RUNTIME_RAM, version)


def code_bytes(graph: TfliteGraph, version: str) -> int:
    """The flash of the runtime's code and tables for a graph, weights left out, estimated."""
    return _fitted(graph, CODE_FLASH, version)


def weights_bytes(graph: TfliteGraph) -> int:
    """The flash of the weights: the constants that operators compute with, each rounded up to 4 bytes.

    To the last printed digit for 130 rows of rebuilt nets. Shapes, paddings and axes, which an operator has as
    constants too, aren't weights: they are rows of a few int32.
    """
    used = {index for operator in graph.operators for index in weights(graph, operator)}
    return sum(-(-graph.tensors[index].size_bytes // 4) * 4 for index in used)


def weights(graph: TfliteGraph, operator: Operator) -> list[int]:
    """The constants that an operator computes with; the others are its settings."""
    if operator.name not in _WEIGHTED:
        return []
    settings = operator.inputs[:1] if operator.name == "TRANSPOSE_CONV" else ()
    return [k for k in operator.inputs if k >= 0 and graph.tensors[k].is_constant and k not in settings]


def _fitted(graph: TfliteGraph, table: Mapping[str, tuple[float, float, float]], version: str) -> int:
    constant, each, other = table.get(version.partition(".")[0], table[""])
    names = [operator.name for operator in graph.operators if operator.name not in _MOVES_NOTHING]
    convolutions = sum(name in CONVOLUTIONS for name in names)
    return round(1024 * (constant + each * convolutions + other * (len(names) - convolutions)))


def _peak(graph: TfliteGraph, constants: Planning, *, large: bool) -> float:
    steps, standing = _steps(graph, pooled=large or any(op.name == "LEAKY_RELU" for op in graph.operators))
    last = {value: k for k, step in enumerate(steps) for value in (*step.reads, step.makes)}
    last |= {standing.get(output, output): len(steps) for output in graph.outputs}
    alive, most = set(graph.inputs), 0.0
    for k, step in enumerate(steps):
        others = sum(_size(graph, value) for value in alive if value not in step.reads)
        dying = [] if large else [value for value in step.reads if last[value] == k]
        most = max(most, others + _held(graph, steps, k, dying, constants))
        alive = {value for value in {*alive, step.makes} if last[value] > k}
    return most


def _held(graph: TfliteGraph, steps: Sequence[_Step], k: int, dying: Sequence[int], constants: Planning) -> float:
    """The bytes of a step's inputs, output and scratch at once. dying: the inputs that it may be written over."""
    step = steps[k]
    made, sizes = _size(graph, step.makes), [_size(graph, value) for value in dying]
    held = made + sum(_size(graph, value) for value in step.reads)
    if not sizes or step.operator.name not in _LOCAL:
        return held + _scratch(graph, step.operator, constants)
    reader = next((later.operator for later in steps[k + 1 :] if step.makes in later.reads), None)
    apart = _apart(graph, step.operator, reader, made / max(sizes), constants)
    own = constants.stem_bytes and _is_stem(graph, step.operator, reader)
    scratch = _stem_scratch(graph, step.operator) if own else _scratch(graph, step.operator, constants)
    return held - (1 - apart) * min(made, max(sizes)) + scratch


def _apart(
    graph: TfliteGraph, operator: Operator, reader: Operator | None, growth: float, constants: Planning
) -> float:
    """The share of the smaller of input and output that has a place of its own."""
    if operator.name != "CONV_2D":
        return 0.0
    w = window(graph, operator)
    if (w.kernel_height, w.kernel_width) == (1, 1):
        return 0.0 if growth <= constants.widest else 1.0
    if _is_stem(graph, operator, reader):
        return 1.0
    return constants.residual if reader is not None and reader.name == "ADD" else 0.0


def _is_stem(graph: TfliteGraph, operator: Operator, reader: Operator | None) -> bool:
    """Whether a convolution of more than 1x1 feeds a depthwise one of stride 1, as MobileNets begin."""
    if operator.name != "CONV_2D" or reader is None or reader.name != "DEPTHWISE_CONV_2D":
        return False
    first = window(graph, operator)
    return first.kernel_height > 1 and first.channels <= 4 and window(graph, reader).strides == (1, 1)


def _stem_scratch(graph: TfliteGraph, operator: Operator) -> float:
    w = window(graph, operator)
    return (_STEM_BYTES + _STEM_COLUMN_BYTES * w.width) * w.channels / 3


def _scratch(graph: TfliteGraph, operator: Operator, constants: Planning) -> float:
    if operator.name not in CONVOLUTIONS or graph.tensors[operator.outputs[0]].dtype != "int8":
        return 0.0
    w = window(graph, operator)
    if w.kernel_height * w.kernel_width == 1:
        # Exact on the expansions of MobileNetV2 under versions 7 and 8.
        return 4 * w.depth + 10 * w.filters
    own = constants.kernel_bytes if operator.name == "CONV_2D" else constants.depthwise_bytes
    return own + constants.halo * _rows(w)


def _rows(w: Window) -> int:
    return w.kernel_height * w.width * w.channels + w.output_width * w.filters


def _steps(graph: TfliteGraph, *, pooled: bool) -> tuple[list[_Step], dict[int, int]]:
    """The operators that have a buffer of their own, and for a value without one the value that it lies in.

    pooled: whether a pooling behind a convolution is part of it.
    """
    standing: dict[int, int] = {}
    steps: list[_Step] = []
    readers = Counter(k for operator in graph.operators for k in {*operator.inputs})
    for operator in graph.operators:
        fed = [standing.get(k, k) for k in operator.inputs if k >= 0 and not graph.tensors[k].is_constant]
        if not fed or not operator.outputs:
            continue
        sole = bool(steps) and steps[-1].makes == fed[0] and readers[operator.inputs[0]] == 1
        melts = pooled and operator.name == "MAX_POOL_2D" and sole and steps[-1].operator.name == "CONV_2D"
        if operator.name in _MOVES_NOTHING:
            standing[operator.outputs[0]] = fed[0]
        elif sole and (operator.name in _FUSED or melts):
            steps[-1] = _Step(steps[-1].operator, steps[-1].reads, operator.outputs[0])
        else:
            steps.append(_Step(operator, tuple(dict.fromkeys(fed)), operator.outputs[0]))
    return steps, standing


def _size(graph: TfliteGraph, value: int) -> int:
    return graph.tensors[value].size_bytes
