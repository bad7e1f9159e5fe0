"""Cutting .tflite files, held against the interior tensors of the original in LiteRT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgecut.errors import GraphError, SourceError
from edgecut.tflite.cut import Parts, cut_tensors, cut_tflite, network
from edgecut.tflite.flatbuffer import IDENTIFIER, name_io, parse

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = [f"tiny.{precision}" for precision in ("float32", "float16", "dynamic", "int8", "int16x8")]
REAL = ["cifar10_resnet", "rock_paper_scissors", "visual_wake_words"]


class Reference:
    """A file run once on seeded input, with every interior tensor kept."""

    def __init__(self, content: bytes) -> None:
        self.content, self.graph = content, parse(content, "m.tflite")
        interpreter = loaded(content, keep=True)
        random = np.random.default_rng(0)
        self.fed = {d["index"]: sample(d, random) for d in interpreter.get_input_details()}
        feed(interpreter, self.fed)
        self._interpreter = interpreter

    def __getitem__(self, tensor: int) -> np.ndarray:
        return self.fed[tensor] if tensor in self.fed else self._interpreter.get_tensor(tensor)


def loaded(content: bytes, keep: bool = False) -> Interpreter:
    interpreter = Interpreter(
        model_content=content, experimental_preserve_all_tensors=keep,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    interpreter.allocate_tensors()
    return interpreter


def sample(details: dict, random: np.random.Generator) -> np.ndarray:
    dtype = np.dtype(details["dtype"])
    if dtype.kind == "f":
        return random.uniform(-1, 1, details["shape"]).astype(dtype)
    return random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, details["shape"], dtype, endpoint=True)


def feed(interpreter: Interpreter, values: Mapping[int, np.ndarray]) -> None:
    for index, value in values.items():
        interpreter.set_tensor(index, value)
    interpreter.invoke()


def result(content: bytes, *values: np.ndarray) -> list[np.ndarray]:
    interpreter = loaded(content)
    feed(interpreter, dict(zip((d["index"] for d in interpreter.get_input_details()), values, strict=True)))
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def every_cut_is_bit_equal(content: bytes) -> int:
    """Asserts that each part up to an operator, and each legal part from one, computes what the whole does."""
    source = Reference(content)
    graph, legal = source.graph, 0
    fed = set(network(graph).fed)
    for operator in graph.operators:
        (tensor,) = operator.outputs
        if tensor not in fed:
            continue
        head = result(cut_tflite(content, [operator.index]), *source.fed.values())
        np.testing.assert_array_equal(head[0], source[tensor], err_msg=f"to {operator.index}")
        if tensor in graph.outputs or network(graph).bypass(graph.outputs, (tensor,)):
            continue
        tail = result(cut_tflite(content, [], [operator.index]), source[tensor])
        np.testing.assert_array_equal(tail[0], source[graph.outputs[0]], err_msg=f"from {operator.index}")
        legal += 1
    return legal


def refusal(content: bytes, to: list, start: list | None = None) -> str:
    with pytest.raises(GraphError) as caught:
        cut_tflite(content, to, start or [])
    return str(caught.value)


@pytest.mark.parametrize("name", TINY)
def test_every_cut_of_every_precision_is_bit_equal_to_the_original(name: str) -> None:
    assert every_cut_is_bit_equal((FIXTURES / f"{name}.tflite").read_bytes()) == 5


@pytest.mark.real
@pytest.mark.parametrize(("name", "legal"), [("cifar10_resnet", 7), ("rock_paper_scissors", 11)])
def test_every_cut_of_a_real_file_is_bit_equal_to_the_original(real: Path, name: str, legal: int) -> None:
    assert every_cut_is_bit_equal((real / f"{name}.tflite").read_bytes()) == legal


@pytest.mark.parametrize("name", TINY)
def test_constants_of_a_part_are_aligned_as_kernels_need_them(name: str) -> None:
    content = (FIXTURES / f"{name}.tflite").read_bytes()
    part = cut_tflite(content, [-2])
    found = 0
    root = schema.Model.GetRootAs(part, 0)
    for k in range(root.BuffersLength()):
        buffer = root.Buffers(k)
        if not buffer.DataIsNone():
            assert (buffer._tab.Vector(buffer._tab.Offset(4))) % 16 == 0
            found += 1
    assert found >= 3


def test_a_part_keeps_quantization_and_drops_what_it_does_not_use() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    whole, part = parse(content, "m"), parse(cut_tflite(content, [1]), "m")
    assert [op.name for op in part.operators] == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    assert len(part.tensors) == 7
    by_name = {tensor.name: tensor for tensor in whole.tensors}
    for tensor in part.tensors:
        same = by_name[tensor.name]
        assert (tensor.shape, tensor.dtype, tensor.scales, tensor.zero_points, tensor.axis, tensor.is_constant) == (
            same.shape, same.dtype, same.scales, same.zero_points, same.axis, same.is_constant,
        )  # fmt: skip
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(cut_tflite(content, [1]), 0))
    assert (len(model.operatorCodes), len([b for b in model.buffers if b.data is not None])) == (2, 5)
    assert len(cut_tflite(content, [1])) < len(content) / 2


def test_a_part_has_a_signature_of_its_own() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    head = Interpreter(model_content=cut_tflite(content, [2]))
    tail = Interpreter(model_content=cut_tflite(content, [], [2]))
    assert head.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["output"]}}
    assert tail.get_signature_list() == {"serving_default": {"inputs": ["input"], "outputs": ["scores"]}}
    both = Interpreter(model_content=cut_tflite(content, [2, -1], [0]))
    assert both.get_signature_list() == {"serving_default": {"inputs": ["input"], "outputs": ["output_0", "output_1"]}}


def test_several_outputs_come_in_the_order_asked_for() -> None:
    content = (FIXTURES / "tiny.float32.tflite").read_bytes()
    source = Reference(content)
    later, earlier = result(cut_tflite(content, [3, 0]), *source.fed.values())
    np.testing.assert_array_equal(later, source[source.graph.operators[3].outputs[0]])
    np.testing.assert_array_equal(earlier, source[source.graph.operators[0].outputs[0]])


def test_a_tensor_is_named_in_full_or_by_any_of_its_fused_names() -> None:
    content = (FIXTURES / "tiny.float32.tflite").read_bytes()
    graph = parse(content, "m")
    place = graph.operators[1].outputs[0]
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    model.subgraphs[0].tensors[place].name = b"net/relu;net/bn/add;net/conv"
    fused = packed(model)
    expected = cut_tflite(fused, [1])
    for name in ("net/relu;net/bn/add;net/conv", "net/relu", "net/conv"):
        assert cut_tflite(fused, [name]) == expected


def test_a_part_of_a_renamed_file_is_found_by_its_new_names() -> None:
    content = name_io((FIXTURES / "tiny.int8.tflite").read_bytes(), ["camera"], ["classes"])
    assert parse(cut_tflite(content, ["classes"], ["camera"]), "m").size_bytes > 0


def test_an_unknown_name_offers_the_closest() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    graph = parse(content, "m")
    name = graph.tensors[graph.operators[0].outputs[0]].name.partition(";")[0]
    assert refusal(content, [name + "x"]).startswith(f"no tensor {name + 'x'!r} (closest: {name!r}")


def test_a_position_outside_says_how_many_there_are() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    assert refusal(content, [6]) == "no operator at position 6: the file has 6 operators, 0 to 5"


def test_a_constant_is_no_place_to_cut() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].inputs[1]].name = b"kernel"
    assert refusal(packed(model), ["kernel"]) == (
        "'kernel' is a constant of the file; name a tensor that is computed from the input"
    )


def test_a_name_that_several_tensors_have_offers_their_positions() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = parse(content, "m")
    for place in (0, 2):
        model.subgraphs[0].tensors[graph.operators[place].outputs[0]].name = b"twin"
    assert refusal(packed(model), ["twin"]) == "2 tensors are called 'twin'; give the operator's position: 0, 2"


def test_a_start_before_which_nothing_ends_is_refused() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    names = [parse(content, "m").tensors[op.outputs[0]].name.partition(";")[0] for op in parse(content, "m").operators]
    assert refusal(content, [1], [1]) == f"from {names[1]!r} to itself there is nothing; end behind it"
    assert refusal(content, [1], [3]) == (
        f"from {names[3]!r}: {names[1]!r} isn't computed from it; name a start that leads there"
    )


def residual() -> bytes:
    """relu(x) + relu(relu(x)), as LiteRT operators: a skip around the middle one."""
    content = (FIXTURES / "tiny.float32.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    source = graph.tensors[graph.inputs[0]]
    graph.tensors, graph.operators, model.operatorCodes = [], [], []
    for name in ("x", "a", "b", "sum", "last"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, source.shape, source.type, 0
        graph.tensors.append(tensor)
    relu, add = schema.BuiltinOperator.RELU, schema.BuiltinOperator.ADD
    for number, inputs, output in ((relu, [0], 1), (relu, [1], 2), (add, [1, 2], 3), (relu, [3], 4)):
        operator, code = schema.OperatorT(), schema.OperatorCodeT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), inputs, [output]
        if number == add:
            operator.builtinOptionsType, operator.builtinOptions = (
                schema.BuiltinOptions.AddOptions,
                schema.AddOptionsT(),
            )
        code.builtinCode = code.deprecatedBuiltinCode = number
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    graph.inputs, graph.outputs, model.signatureDefs = [0], [4], []
    return packed(model)


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def test_a_start_that_is_bypassed_names_what_bypasses_it_and_the_nearest_that_is_not() -> None:
    assert refusal(residual(), [], ["b"]) == (
        "from 'b': the rest also needs 'a'; name all of them, or start at 'a' or 'sum'"
    )


def test_all_tensors_of_a_frontier_named_are_a_legal_start() -> None:
    content = residual()
    source = Reference(content)
    tail = cut_tflite(content, [], ["b", "a"])
    got = result(tail, source[2], source[1])
    np.testing.assert_array_equal(got[0], source[4])
    assert [t.name for t in parse(tail, "m").tensors] == ["a", "b", "sum", "last"]


def test_a_part_that_keeps_state_is_refused() -> None:
    content = (FIXTURES / "tiny.float32.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.READ_VARIABLE, 127
    assert refusal(packed(model), [-1]) == (
        "the part keeps state between runs (READ_VARIABLE); cut where no variable is used"
    )


def test_a_foreign_file_is_refused() -> None:
    with pytest.raises(SourceError) as caught:
        cut_tflite(b"no flatbuffer at all", [0])
    assert str(caught.value) == "model: is no .tflite file: bytes 4 to 8 are b'latb', and b'TFL3' is expected"


def test_parts_of_a_file_that_is_unpacked_once_are_those_of_the_file_alone() -> None:
    content = (FIXTURES / "tiny.int8.tflite").read_bytes()
    graph = parse(content, "m.tflite")
    parts = Parts(content, graph)
    for operator in (*graph.operators, *reversed(graph.operators)):
        fed = [i for i in operator.inputs if i >= 0 and not graph.tensors[i].is_constant]
        assert parts.cut(operator.outputs, fed) == cut_tensors(content, operator.outputs, fed)
