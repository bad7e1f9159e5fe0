"""Reading and renaming .tflite files as data."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecut.errors import SourceError
from edgecut.graph.saved import kind_of
from edgecut.tflite.flatbuffer import name_io, parse, read
from edgecut.tflite.ops import macs, macs_by_class, not_modelled, operator_counts, operator_macs
from edgecut.tflite.pack import packed, unpacked
from edgecut.tflite.write import Draft

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
INPUT, OUTPUT = "serving_default_image:0", "StatefulPartitionedCall_1:0"


def test_tensors_and_operators_are_what_the_runtime_sees() -> None:
    graph = read(INT8)
    runtime = Interpreter(str(INT8))
    for details in runtime.get_input_details() + runtime.get_output_details():
        tensor = graph.tensors[details["index"]]
        assert tensor.name == details["name"]
        assert tensor.shape == tuple(details["shape"])
        assert tensor.dtype == np.dtype(details["dtype"]).name
        assert (tensor.scales[0], tensor.zero_points[0]) == details["quantization"]
    assert [op.name for op in graph.operators] == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip
    assert graph.operators[0].options["strideH"] == 2


def test_per_channel_weights_carry_a_scale_for_each_channel_and_their_axis() -> None:
    graph = read(INT8)
    depthwise = graph.tensors[graph.operators[1].inputs[1]]
    assert (depthwise.axis, len(depthwise.scales), depthwise.is_constant) == (3, 8, True)
    assert (depthwise.size_bytes, graph.tensors[graph.operators[1].inputs[2]].size_bytes) == (72, 32)


def test_macs_are_counted_by_class() -> None:
    graph = read(INT8)
    stem, depthwise, pointwise, dense = 6 * 6 * 8 * 9, 6 * 6 * 8 * 9, 6 * 6 * 144 * 8, 144 * 4
    assert macs_by_class(graph) == {"conv": stem + pointwise, "depthwise": depthwise, "dense": dense}
    assert macs(graph) == stem + depthwise + pointwise + dense
    assert operator_counts(graph)["CONV_2D"] == 2


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int16x8"])
def test_every_precision_counts_the_same_macs(precision: str) -> None:
    assert macs(read(FIXTURES / f"tiny.{precision}.tflite")) == macs(read(INT8))


def test_operator_outside_the_table_makes_the_count_unknown_not_zero() -> None:
    graph = read(INT8)
    strange = graph.operators[5].__class__(5, "WHILE", 1, (0,), (13,))
    changed = graph.__class__(graph.tensors, (*graph.operators[:5], strange), graph.inputs, graph.outputs)
    assert operator_macs(changed, strange) is None
    assert macs(changed) is None
    assert not_modelled(changed) == ("WHILE",)
    assert macs_by_class(changed)["dense"] == 576


def test_renamed_model_runs_bit_equal_under_its_new_names() -> None:
    content = INT8.read_bytes()
    renamed = Interpreter(model_content=name_io(content, ["camera"], ["classes_with_a_longer_name"]))
    image = np.random.default_rng(0).integers(-128, 128, (1, 12, 12, 1)).astype(np.int8)
    before = Interpreter(model_content=content).get_signature_runner()(image=image)["scores"]
    after = renamed.get_signature_runner()(camera=image)["classes_with_a_longer_name"]
    np.testing.assert_array_equal(before, after)
    assert renamed.get_input_details()[0]["name"] == "camera"
    assert renamed.get_output_details()[0]["name"] == "classes_with_a_longer_name"


def test_renaming_leaves_weights_where_they_are_aligned() -> None:
    content = INT8.read_bytes()
    renamed = name_io(content, ["camera"], ["scores"])
    changed = [k for k in range(len(content)) if content[k] != renamed[k]]
    # Two tensors and two signature entries, 4 bytes each at most.
    assert len(changed) <= 16
    assert len(renamed) - len(content) <= 4 * 16


def test_wrong_number_of_names_is_refused() -> None:
    with pytest.raises(ValueError, match="1 input and 1 output names are expected"):
        name_io(INT8.read_bytes(), ["a", "b"], ["c"])


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path / "no.tflite")
    assert str(caught.value) == f"{tmp_path / 'no.tflite'}: no such file"


def test_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; a .tflite or .onnx file is expected"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "m.tflite: is empty; a .tflite file is expected"),
        (b"hello world\n", "m.tflite: is no .tflite file: bytes 4 to 8 are b'o wo', and b'TFL3' is expected"),
        (
            INT8.read_bytes()[:5000],
            "m.tflite: is a damaged .tflite file (cut short or overwritten; 5,000 bytes are here); get it again",
        ),
    ],
    ids=["empty", "foreign", "truncated"],
)
def test_unusable_content_is_one_sentence(content: bytes, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(content, "m.tflite")
    assert str(caught.value) == message


def test_metadata_that_points_behind_the_buffers_is_damage() -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(INT8.read_bytes(), 0))
    model.metadata[0].buffer = len(model.buffers)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    content = bytes(builder.Output())
    with pytest.raises(SourceError) as caught:
        parse(content, "m.tflite")
    assert str(caught.value) == (
        f"m.tflite: is a damaged .tflite file (cut short or overwritten; {len(content):,} bytes are here); get it again"
    )


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 9311), st.integers(0, 255)), min_size=1, max_size=10))
def test_overwritten_bytes_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    """Whatever bytes are overwritten, the reader returns a graph or raises SourceError."""
    content = bytearray(INT8.read_bytes())
    for position, value in changes:
        content[position % len(content)] = value
    with suppress(SourceError):
        assert parse(bytes(content), "m.tflite").size_bytes == len(content)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "fault"),
    [
        ("CONV_2D", 1, 1, "CONV_2D has 1 input, and 2 are needed"),
        ("FULLY_CONNECTED", 0, 1, "FULLY_CONNECTED has 0 inputs, and 2 are needed"),
        ("TRANSPOSE_CONV", 2, 1, "TRANSPOSE_CONV has 2 inputs, and 3 are needed"),
        ("DEQUANTIZE", 0, 1, "DEQUANTIZE has 0 inputs, and 1 is needed"),
        ("SOFTMAX", 1, 0, "SOFTMAX has no output"),
        ("BATCH_MATMUL", -1, 1, "BATCH_MATMUL has no input 1, which is needed"),
    ],
)
def test_an_operator_without_what_its_kind_takes_is_refused(name: str, inputs: int, outputs: int, fault: str) -> None:
    draft = Draft()
    x, y = draft.tensor((1, 4), "float32"), draft.tensor((1, 4), "float32")
    draft.operator(name, [x, -1] if inputs < 0 else [x] * inputs, [y] * outputs)
    with pytest.raises(SourceError) as caught:
        parse(draft.file([x], [y]), "m.tflite")
    assert str(caught.value) == f"m.tflite: is no .tflite file that runs (operator 0: {fault}); get it again"


@pytest.mark.parametrize(("name", "count"), [("TRANSPOSE_CONV", 3), ("FULLY_CONNECTED", 2), ("BATCH_MATMUL", 2)])
def test_tensors_of_another_rank_than_the_kind_takes_make_the_count_unknown(name: str, count: int) -> None:
    draft = Draft()
    x, y = draft.tensor((), "float32"), draft.tensor((1, 4), "float32")
    draft.operator(name, [x] * count, [y])
    graph = parse(draft.file([x], [y]), "m.tflite")
    assert (macs(graph), macs_by_class(graph), not_modelled(graph)) == (
        None, {"conv": 0, "depthwise": 0, "dense": 0}, (name,),
    )  # fmt: skip


@pytest.mark.parametrize("zero_points", [None, [0, 3]])
def test_scales_without_zero_points_have_zeros_and_others_than_scales_are_damage(zero_points: list[int] | None) -> None:
    model = unpacked(INT8.read_bytes())
    first = model.subgraphs[0].inputs[0]
    model.subgraphs[0].tensors[first].quantization.zeroPoint = zero_points
    content = packed(model)
    if zero_points is None:
        assert parse(content, "m.tflite").tensors[first].zero_points == (0,)
        return
    with pytest.raises(SourceError) as caught:
        parse(content, "m.tflite")
    assert str(caught.value).startswith("m.tflite: is a damaged .tflite file (")


def test_a_bundle_in_a_file_s_place_is_told_which_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    for name in ("bell.int8.tflite", "bell.keras"):
        (tmp_path / "models" / name).write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        read(tmp_path)
    file = tmp_path / "models" / "bell.int8.tflite"
    assert str(caught.value) == f"{tmp_path}: is a folder; a .tflite or .onnx file is expected, such as {file}"
    with pytest.raises(SourceError) as caught:
        kind_of(str(tmp_path))
    file = tmp_path / "models" / "bell.keras"
    assert str(caught.value).endswith(f"; give a .keras, .h5 or .onnx file, such as {file}")
