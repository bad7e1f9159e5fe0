"""Ranges of a small float file over samples. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import ExportError
from edgecut.export.onnx_static import quantize_static
from edgecut.export.ranges import keeps_state, with_ranges
from edgecut.tflite.flatbuffer import IDENTIFIER

FIXTURES = Path(__file__).parents[1] / "fixtures"
SHAPE = (1, 2, 2, 1)
PRODUCT, SUM, RATIO = 1, 2, 3


def floats(*, variable: bool = False) -> bytes:
    """x * x, x * x + x, and x / (x * x + x), each with a range of 0, as TensorFlow's calibrator lays them out."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs((FIXTURES / "tiny.float32.tflite").read_bytes(), 0))
    graph = model.subgraphs[0]
    graph.tensors, graph.operators, model.operatorCodes = [], [], []
    for name in ("x", "product", "sum", "ratio"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, SHAPE, schema.TensorType.FLOAT32, 0
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.min, tensor.quantization.max = [0.0], [0.0]
        tensor.isVariable = variable and name == "x"
        graph.tensors.append(tensor)
    for kind, inputs, output in (("Mul", [0, 0], PRODUCT), ("Add", [PRODUCT, 0], SUM), ("Div", [0, SUM], RATIO)):
        operator, code = schema.OperatorT(), schema.OperatorCodeT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), inputs, [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
        operator.builtinOptions = getattr(schema, f"{kind}OptionsT")()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind.upper())
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [RATIO]
    signature = model.signatureDefs[0]
    signature.inputs[0].tensorIndex, signature.outputs[0].tensorIndex = 0, RATIO
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def samples(*values: float) -> dict[str, np.ndarray]:
    """One sample for each value, which it is filled with."""
    return {"image": np.stack([np.full(SHAPE, value, np.float32) for value in values])}


def ranges(content: bytes) -> list[tuple[float, float]]:
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    tables = [subgraph.Tensors(index).Quantization() for index in range(subgraph.TensorsLength())]
    return [(float(table.Min(0)), float(table.Max(0))) for table in tables]


def test_a_product_has_its_own_range_though_the_sum_behind_it_is_computed_in_its_memory() -> None:
    given, product, total, ratio = ranges(with_ranges(floats(), samples(2, -3, 1)))
    assert given == (-3, 2)
    assert product == (1, 9)
    assert total == (2, 6)
    assert ratio == (-0.5, 0.5)


def test_a_sample_that_is_no_number_is_refused_by_its_place() -> None:
    with pytest.raises(ExportError) as caught:
        with_ranges(floats(), samples(2, float("nan"), 1))
    assert str(caught.value) == (
        "export: calibration sample 2 of 3 holds nan, which has no place in a range; leave it out, or mend it"
    )


def test_an_operator_that_makes_no_number_of_a_sample_is_named_with_it() -> None:
    with pytest.raises(ExportError) as caught:
        with_ranges(floats(), samples(2, 1, 0))
    assert str(caught.value) == (
        "export: DIV (operator 2) puts out nan for calibration sample 3 of 3, which has no place in a range; cut "
        "before it, or leave the sample out"
    )


def test_an_operator_that_overflows_is_named() -> None:
    with pytest.raises(ExportError, match=r"^export: MUL \(operator 0\) puts out inf for calibration sample 1 of 1, "):
        with_ranges(floats(), samples(1e30))


def test_onnx_runtimes_quantization_refuses_such_a_sample_in_the_same_words(tmp_path: Path) -> None:
    pixels = np.zeros((4, 12, 12, 1), np.float32)
    pixels[2, 5, 5] = np.inf
    with pytest.raises(ExportError) as caught:
        quantize_static(FIXTURES / "tiny.float32.onnx", pixels, tmp_path / "int8.onnx")
    assert str(caught.value) == (
        "export: calibration sample 3 of 4 holds inf, which has no place in a range; leave it out, or mend it"
    )
    assert not (tmp_path / "int8.onnx").exists()


def test_a_file_with_variables_keeps_state() -> None:
    assert not keeps_state(floats())
    assert keeps_state(floats(variable=True))
