"""What an operator is, is said once: tflite/kinds.py. What a compiler does with it, in that one's table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import edgecut
from edgecut.quantize.alignment import Alignment, Side, align
from edgecut.tflite import kinds
from edgecut.tflite.activation import last_activation
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.kinds import KINDS
from edgecut.tflite.ops import COUNTED, operator_macs
from edgecut.tflite.support import data_type
from edgecut.tflite.support_tables import CMSIS_NN, ESP_NN, ETHOS_U, XNNPACK

TABLES = {"kinds.py", "support_tables.py", "support_types.py", "x_cube_ai.py"}
ROOM = Path(edgecut.__file__).parent
OPERATORS = {name for name in vars(schema.BuiltinOperator) if name.isupper()}


def is_of_operators(display: ast.expr) -> bool:
    """Whether more than one of its texts, and most of them, are operators (Keras has a class LSTM, too)."""
    texts = {node.value for node in ast.walk(display) if isinstance(node, ast.Constant)}
    return len(texts & OPERATORS) > max(1, len(texts) // 2)


def sets_in(tree: ast.AST) -> Iterator[ast.expr]:
    """Displays that are a set, or that something is looked up in with `in`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Set):
            yield node
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            yield from (x for x in node.comparators if isinstance(x, ast.Tuple | ast.List))


def test_nothing_else_spells_a_set_of_operators() -> None:
    elsewhere = [
        f"{path.relative_to(ROOM)}:{node.lineno}"
        for path in sorted(ROOM.rglob("*.py"))
        if path.name not in TABLES
        for node in sets_in(ast.parse(path.read_text()))
        if is_of_operators(node)
    ]
    assert elsewhere == []


def test_every_row_is_an_operator_of_the_schema_in_order() -> None:
    assert list(KINDS) == sorted(KINDS)
    assert set(KINDS) - OPERATORS == set()


def test_an_operator_has_one_scale_rule_at_most() -> None:
    rules = (kinds.SAME_SCALE, kinds.OWN_SCALE, kinds.FIXED_SCALE)
    assert sum(map(len, rules)) == len(frozenset().union(*rules))


def test_what_multiplies_is_counted_and_nothing_else() -> None:
    assert set(COUNTED) == kinds.MULTIPLIES


def test_settable_weights_are_weights_and_take_a_scale() -> None:
    assert kinds.SETTABLE <= kinds.WEIGHTED & kinds.OWN_SCALE
    assert kinds.FOLDS_SCALE <= kinds.FOLDS_NORMALIZATION <= kinds.WEIGHTED


def test_every_operator_with_a_fast_kernel_has_a_row_but_recurrent_ones() -> None:
    fast = CMSIS_NN | ESP_NN | ETHOS_U | set(XNNPACK)
    assert fast - set(KINDS) == {"UNIDIRECTIONAL_SEQUENCE_LSTM"}


def graph(name: str, inputs: tuple[Tensor, ...]) -> TfliteGraph:
    output = Tensor(len(inputs), "out", (1, 4, 4, 4), "float32")
    read = tuple(tensor.index for tensor in inputs)
    return TfliteGraph((*inputs, output), (Operator(0, name, 1, read, (output.index,)),), (0,), (output.index,))


@pytest.mark.parametrize("name", ["CONV_3D", "SVDF", "BATCH_MATMUL", "CONV_2D"])
def test_float_data_with_int8_weights_is_dynamic_whatever_multiplies_them(name: str) -> None:
    weights = Tensor(1, "w", (4, 1, 1, 4), "int8", is_constant=True)
    made = graph(name, (Tensor(0, "x", (1, 4, 4, 4), "float32"), weights))
    assert data_type(made, made.operators[0]) == "dynamic"


@pytest.mark.parametrize("name", ["BATCH_MATMUL", "CONV_3D", "FULLY_CONNECTED", "ADD"])
def test_a_product_without_an_activation_puts_out_linear_scores(name: str) -> None:
    assert last_activation(graph(name, (Tensor(0, "x", (1, 4, 4, 4), "float32"),))) == "linear"


def test_transposed_scores_are_scores() -> None:
    x, y, z = (Tensor(i, "", (1, 4), "float32") for i in range(3))
    calls = (Operator(0, "SOFTMAX", 1, (0,), (1,)), Operator(1, "TRANSPOSE", 1, (1,), (2,)))
    assert last_activation(TfliteGraph((x, y, z), calls, (0,), (2,))) == "softmax"


@pytest.mark.parametrize("name", ["DYNAMIC_UPDATE_SLICE", "SPARSE_TO_DENSE", "ATAN2", "HASHTABLE_FIND"])
def test_what_only_moves_or_looks_up_multiplies_nothing(name: str) -> None:
    made = graph(name, (Tensor(0, "x", (1, 4, 4, 4), "float32"),))
    assert operator_macs(made, made.operators[0]) == 0


@pytest.mark.parametrize("name", ["CALL_ONCE", "CONV_3D_TRANSPOSE", "WHILE", "LSTM"])
def test_what_multiplies_by_a_rule_that_is_not_there_is_not_modelled(name: str) -> None:
    made = graph(name, (Tensor(0, "x", (1, 4, 4, 4), "float32"),))
    assert operator_macs(made, made.operators[0]) is None


def test_a_transposed_convolution_is_known_by_its_weights_behind_a_lost_beginning() -> None:
    """Its weights are input 1 as a convolution's are, and tell as much."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 4)).astype(np.float32)
    step = float(np.abs(weights).max() / 127)
    codes = np.rint(weights / step).astype(np.int8)
    sides = []
    for dtype, kernel, scales in (("int8", codes, (step,)), ("float32", weights, ())):
        tensors = (
            Tensor(0, "sizes", (4,), "int32", is_constant=True),
            Tensor(1, "kernel", (4, 3, 3, 4), dtype, scales, (0,) * len(scales), is_constant=True),
            Tensor(2, "x", (1, 4, 4, 4), dtype),
            Tensor(3, "y", (1, 8, 8, 4), dtype),
        )
        made = TfliteGraph(tensors, (Operator(0, "TRANSPOSE_CONV", 1, (0, 1, 2), (3,)),), (2,), (3,))
        sides.append(Side(made, {0: np.array([1, 8, 8, 4], np.int32), 1: kernel}))
    assert align(*sides, same_inputs=False) == Alignment({0: 0}, {3: 3})
