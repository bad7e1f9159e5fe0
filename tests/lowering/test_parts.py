"""A part of a model is the same graph whatever part was made before it."""

from __future__ import annotations

import random
from itertools import pairwise
from operator import is_

from edgecut.lowering.lower import lowering
from edgecut.lowering.saved_dataflow import saved_dataflow
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, per_operator
from tests.saved_models import functional, layer

CONV = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
POOL = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}


def test_a_part_does_not_depend_on_the_parts_before_it() -> None:
    """Fusing, merging and paddings that are taken over all depend on who else reads a tensor."""
    flow = saved_dataflow(
        functional([
            layer("InputLayer", "image", batch_shape=[None, 17, 17, 3]),
            layer("ZeroPadding2D", "pad", "image", padding=[[1, 1], [1, 1]]),
            layer("Conv2D", "stem", "pad", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="valid"),
            layer("BatchNormalization", "norm", "stem"), layer("ReLU", "relu", "norm"),
            layer("MaxPooling2D", "left_pool", "relu", **POOL), layer("MaxPooling2D", "right_pool", "relu", **POOL),
            layer("Conv2D", "left", "left_pool", **CONV), layer("ReLU", "left_relu", "left"),
            layer("SeparableConv2D", "right", "right_pool", **CONV), layer("BatchNormalization", "right_norm", "right"),
            layer("Add", "sum", "left_relu", "right_norm", "left"), layer("ReLU", "last", "sum"),
            layer("Concatenate", "joined", "last", "left_pool", "right_pool"),
            layer("GlobalAveragePooling2D", "pool", "joined", keepdims=True),
            layer("Reshape", "flat", "pool", target_shape=[12]), layer("Dense", "scores", "flat", units=3),
        ])
    )  # fmt: skip
    tensors = [tensor for call in flow for tensor in call.outputs]
    alone = [lowering(flow.calls, "int8")(tensor) for tensor in tensors]
    together, order = lowering(flow.calls, "int8"), random.Random(0)
    for _ in range(200):
        place = order.randrange(len(tensors))
        graph = together(tensors[place])
        assert graph == alone[place]
        assert per_operator(graph, _with_tensors) == [_with_tensors(graph, operator) for operator in graph.operators]
    ends = tensors[3], tensors[-1]
    assert together(*ends) == lowering(flow.calls, "int8")(*ends)
    assert together(tensors[-1]) == alone[-1]


def test_a_rule_is_not_asked_again_of_what_parts_in_a_row_begin_with() -> None:
    names = ["image", *(f"conv{k}" for k in range(5))]
    convs = [layer("Conv2D", name, before, **CONV) for before, name in pairwise(names)]
    flow = saved_dataflow(functional([layer("InputLayer", "image", batch_shape=[None, 8, 8, 3]), *convs]))
    lower, asked = lowering(flow.calls, "int8"), list[int]()

    def rule(_graph: TfliteGraph, operator: Operator) -> int:
        asked.append(operator.index)
        return operator.index

    for call in list(flow)[1:]:
        assert per_operator(lower(*call.outputs), rule) == list(range(list(flow).index(call)))
    assert asked == [0, 1, 2, 3, 4]


def test_tensors_in_turn_go_along_one_branch_after_the_other() -> None:
    """The calls of a model alternate between its branches, and each change of the branch is made anew."""
    flow = saved_dataflow(
        functional([
            layer("InputLayer", "image", batch_shape=[None, 8, 8, 3]),
            layer("Conv2D", "left1", "image", **CONV), layer("Conv2D", "right1", "image", **CONV),
            layer("Conv2D", "left2", "left1", **CONV), layer("Conv2D", "right2", "right1", **CONV),
            layer("Conv2D", "left3", "left2", **CONV), layer("Conv2D", "right3", "right2", **CONV),
            layer("Add", "sum", "left3", "right3"),
        ])
    )  # fmt: skip
    lower, asked = lowering(flow.calls, "int8"), list[Operator]()

    def rule(_graph: TfliteGraph, operator: Operator) -> None:
        asked.append(operator)

    tensors = lower.parts.in_turn(tensor for call in flow for tensor in call.outputs)
    for tensor in tensors:
        per_operator(lower(tensor), rule)
    names = [flow.tensor_name[tensor] for tensor in tensors]
    assert names == ["image", "right1", "right2", "right3", "left1", "left2", "left3", "sum"]
    assert len(asked) == 13  # three a branch, and all seven for the sum; 19 in the order of the calls


def test_what_a_padding_leaves_unread_is_renumbered_once_for_parts_in_a_row() -> None:
    """A padding that two convolutions take over is read by none, so that all behind it have other numbers."""
    strided = {**CONV, "strides": [2, 2], "padding": "valid"}
    flow = saved_dataflow(
        functional([
            layer("InputLayer", "image", batch_shape=[None, 17, 17, 3]), layer("Conv2D", "stem", "image", **CONV),
            layer("ZeroPadding2D", "pad", "stem", padding=[[1, 1], [1, 1]]),
            layer("Conv2D", "left", "pad", **strided), layer("Conv2D", "right", "pad", **strided),
            layer("Add", "sum", "left", "right"), layer("ReLU", "last", "sum"), layer("Conv2D", "end", "last", **CONV),
        ])
    )  # fmt: skip
    tensors = {call.name: call.outputs[0] for call in flow}
    lower = lowering(flow.calls, "int8")
    shorter, longer = lower(tensors["last"]), lower(tensors["end"])
    assert [operator.name for operator in longer.operators] == ["CONV_2D"] * 3 + ["ADD", "CONV_2D"]
    assert [tensor.index for tensor in longer.tensors] == list(range(len(longer.tensors)))
    assert all(map(is_, shorter.tensors, longer.tensors))
    assert all(map(is_, shorter.operators, longer.operators))
    assert longer == lowering(flow.calls, "int8")(tensors["end"])


def _with_tensors(graph: TfliteGraph, operator: Operator) -> tuple[Operator, list[Tensor]]:
    return operator, [graph.tensors[place] for place in (*operator.inputs, *operator.outputs)]
