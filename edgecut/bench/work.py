"""What the time of a .tflite file is made of on a device that can't be reached: amounts of few kinds of work.

Published measurements of a board are a dozen nets, too few for the terms of bench/terms.py, which are priced with
hundreds of files timed on the machine itself. So the kinds are few, and what tells runtimes apart in the published
figures: multiply-accumulates by the kernel that computes them, results that are rounded and stored, elements that are
only moved, weights that are fetched, activations that don't fit the internal memory, and operators that are called.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, per_operator
from edgecut.tflite.kinds import BY_EXPONENTIAL, REARRANGES, RENAMES
from edgecut.tflite.ops import COUNTED, operator_macs

KINDS = (
    "conv.macs", "narrow.macs", "pointwise.macs", "depthwise.macs", "broad.macs", "dense.macs", "distant.macs",
    "results", "moved", "copied", "curves", "weights", "far", "operators",
)  # fmt: skip
SLOPES = ("LEAKY_RELU", "PRELU", "RELU", "RELU6")
# A convolution that sees fewer channels than a word holds int8 values fills no lane of a multiplier: the first, mostly.
NARROW = 4


def work(graph: TfliteGraph, internal_bytes: int | None = None, flash_bytes: int | None = None) -> dict[str, float]:
    """The amount of each of KINDS in a graph, those that it hasn't left out.

    conv, narrow, pointwise, depthwise, broad, dense: multiply-accumulates. narrow are those of convolutions with fewer
    channels than NARROW, broad depthwise ones of other kernels than 3x3, dense those whose weight is used once.
    distant: those of convolutions, once more, in a graph whose constants are more than flash_bytes; none without it.
    results: elements that such operators write. curves, copied: those that BY_EXPONENTIAL and REARRANGES write.
    moved: elements that all others read and write. weights: bytes of constants.
    far: bytes of activations that operators move beyond internal_bytes, none without it.
    """
    found: Counter[str] = Counter()
    for amounts in per_operator(graph, _amounts):
        for kind, amount in amounts:
            found[kind] += amount
    if flash_bytes is None or flash_bytes >= sum(t.size_bytes for t in graph.tensors if t.is_constant):
        del found["distant.macs"]
    if internal_bytes is not None:
        found["far"] = sum(max(0, size - internal_bytes) for size in _held(graph))
    return {kind: float(amount) for kind in KINDS if (amount := found[kind])}


def _amounts(graph: TfliteGraph, operator: Operator) -> tuple[tuple[str, int], ...]:
    """The amounts of one operator, far bytes left out."""
    if not operator.outputs or operator.name in RENAMES:
        return ()
    tensors = [graph.tensors[index] for index in operator.inputs if index >= 0]
    made = [graph.tensors[index] for index in operator.outputs]
    elements = sum(tensor.elements for tensor in made)
    weights = sum(tensor.size_bytes for tensor in tensors if tensor.is_constant)
    own = ("operators", 1), ("weights", weights)
    if operator.name in COUNTED and not operator.custom:
        macs = operator_macs(graph, operator) or 0
        distant = macs if operator.name == "CONV_2D" else 0
        return (*own, (_kernel(graph, operator, made), macs), ("distant.macs", distant), ("results", elements))
    if operator.name in BY_EXPONENTIAL:
        return (*own, ("curves", elements))
    if operator.name in REARRANGES:
        return (*own, ("copied", elements))
    return (*own, ("moved", elements + sum(tensor.elements for tensor in tensors if not tensor.is_constant)))


def _held(graph: TfliteGraph) -> list[int]:
    """The bytes of activations that each operator reads and writes.

    A convolution whose result a pool alone reads, by way of an activation or none, is one step with it: compilers that
    place tensors never write the larger of the two.
    """
    readers: defaultdict[int, list[Operator]] = defaultdict(list)
    for operator in graph.operators:
        for index in operator.inputs:
            readers[index].append(operator)
    sizes, melted = [], set[int]()
    for operator in graph.operators:
        if operator.index in melted or not operator.outputs or operator.name in RENAMES:
            continue
        chain = _pooled(operator, readers) if operator.name == "CONV_2D" else [operator]
        melted |= {step.index for step in chain[1:]}
        ends = [index for index in (*operator.inputs, *chain[-1].outputs) if index >= 0]
        sizes.append(sum(graph.tensors[index].size_bytes for index in ends if not graph.tensors[index].is_constant))
    return sizes


def _pooled(first: Operator, readers: Mapping[int, Sequence[Operator]]) -> list[Operator]:
    """A convolution and what is one step with it."""
    chain = [first]
    while chain[-1].name != "MAX_POOL_2D":
        following = readers[chain[-1].outputs[0]]
        if len(following) != 1 or following[0].name not in ("MAX_POOL_2D", *SLOPES):
            return [first]
        chain.append(following[0])
    return chain


def _kernel(graph: TfliteGraph, operator: Operator, made: list[Tensor]) -> str:
    """The kind of an operator's multiply-accumulates."""
    name = COUNTED[operator.name][0]
    shape = graph.tensors[operator.inputs[1]].shape
    if name == "dense":
        # Many rows meet the same weights: a matrix product as a convolution of 1x1 is.
        rows = made[0].elements // (made[0].shape or (1,))[-1]
        return "dense.macs" if rows == 1 and operator.name != "BATCH_MATMUL" else "pointwise.macs"
    if name == "depthwise":
        # Kernel libraries have a fast path for 3x3.
        return "depthwise.macs" if shape[1:3] == (3, 3) else "broad.macs"
    if operator.name != "CONV_2D":
        return "conv.macs"
    if math.prod(shape[1:-1]) == 1:
        return "pointwise.macs"
    return "narrow.macs" if shape[-1] < NARROW else "conv.macs"
