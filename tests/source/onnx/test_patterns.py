"""What exporters make of whole modules: activations and normalizations in parts, attention, merged batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecut.errors import SourceError, StepError
from edgecut.source.onnx import convert, prove
from edgecut.source.onnx.building import Unsupported
from tests.source.onnx.graphs import one, save, weight
from tests.source.onnx.test_operators import Cases, ints

pytestmark = pytest.mark.tensorflow


def kinds_of(model: Any) -> list[str]:
    return [type(operation).__name__ for operation in model.operations]


def number(value: float) -> np.ndarray:
    return np.asarray(value, np.float32)


def test_activations_and_normalizations_in_parts_are_one_layer_each(tmp_path: Path) -> None:
    c = Cases()
    (gate,) = c.node("gate", "Sigmoid", "x")
    c.case("silu", "Mul", "x", gate)
    (gate,) = c.node("hard", "HardSigmoid", "x", alpha=1 / 6)
    c.case("hard_silu", "Mul", gate, "x")
    (shifted,) = c.node("s", "Add", "x", number(3))
    (clipped,) = c.node("s", "Clip", shifted, number(0), number(6))
    (product,) = c.node("s", "Mul", "x", clipped)
    c.case("hard_silu_after", "Div", product, number(6))
    (shifted,) = c.node("t", "Add", "x", number(3))
    (clipped,) = c.node("t", "Clip", shifted, number(0), number(6))
    (sixth,) = c.node("t", "Div", clipped, number(6))
    c.case("hard_silu_before", "Mul", "x", sixth)
    (scaled,) = c.node("g", "Div", "x", number(2**0.5))
    (erf,) = c.node("g", "Erf", scaled)
    (added,) = c.node("g", "Add", erf, number(1))
    (product,) = c.node("g", "Mul", "x", added)
    c.case("gelu", "Mul", product, number(0.5))
    (soft,) = c.node("m", "Softplus", "x")
    (gate,) = c.node("m", "Tanh", soft)
    c.case("mish", "Mul", "x", gate)
    (low,) = c.node("c", "Max", "x", number(0))
    c.case("relu6", "Min", low, number(6))
    (high,) = c.node("c", "Min", "x", number(6))
    c.case("relu6_too", "Relu", high)
    (mean,) = c.node("n", "ReduceMean", "x", axes=[-1])
    (centred,) = c.node("n", "Sub", "x", mean)
    (square,) = c.node("n", "Pow", centred, number(2))
    (variance,) = c.node("n", "ReduceMean", square, axes=[-1])
    (added,) = c.node("n", "Add", variance, number(1e-5))
    (root,) = c.node("n", "Sqrt", added)
    (normal,) = c.node("n", "Div", centred, root)
    (product,) = c.node("n", "Mul", normal, weight(8))
    c.case("layer_norm", "Add", product, weight(8))
    path = save(tmp_path / "p.onnx", c.nodes, {"x": ["N", 5, 8]}, c.constants, c.outputs)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    activations = [op.activation.__name__ for op in imported.model.operations if hasattr(op, "activation")]
    assert sorted(activations) == ["gelu", "hard_silu", "hard_silu", "hard_silu", "mish", "silu"]
    assert sorted(kinds_of(imported.model)) == ["Activation"] * 6 + ["InputLayer", "LayerNormalization", "ReLU", "ReLU"]


def attention(c: Cases, x: str, sequence_first: bool) -> str:
    """Self-attention of 6 tokens of 8 features with 2 heads, as timm or as torch.nn.MultiheadAttention has it."""
    (qkv,) = c.node("qkv", "MatMul", x, weight(8, 24))
    (qkv,) = c.node("qkv", "Add", weight(24), qkv)
    if sequence_first:  # (6, batch, 24) -> (batch * heads, 6, 4)
        parts = c.node("split", "Split", qkv, ints(8, 8, 8), count=3, axis=-1)
        heads = [c.node("r", "Reshape", part, ints(6, -1, 4))[0] for part in parts]
        q, k, v = (c.node("t", "Transpose", head, perm=[1, 0, 2])[0] for head in heads)
        (k,) = c.node("t", "Transpose", k, perm=[0, 2, 1])
        (q,) = c.node("s", "Mul", q, number(0.5))
    else:
        (split,) = c.node("r", "Reshape", qkv, ints(-1, 6, 3, 2, 4))
        (turned,) = c.node("t", "Transpose", split, perm=[2, 0, 3, 1, 4])
        q, k, v = (c.node("g", "Gather", turned, np.asarray(i, np.int64), axis=0)[0] for i in range(3))
        (k,) = c.node("t", "Transpose", k, perm=[0, 1, 3, 2])
    (scores,) = c.node("m", "MatMul", q, k)
    if not sequence_first:
        (scores,) = c.node("s", "Div", scores, number(2.0))
    (shares,) = c.node("softmax", "Softmax", scores, axis=-1)
    (mixed,) = c.node("m", "MatMul", shares, v)
    if sequence_first:
        (turned,) = c.node("t", "Transpose", mixed, perm=[1, 0, 2])
        (flat,) = c.node("r", "Reshape", turned, ints(-1, 8))
        (out,) = c.node("proj", "Gemm", flat, weight(8, 8), weight(8), transB=1)
        (out,) = c.node("r", "Reshape", out, ints(6, -1, 8))
        return out
    (turned,) = c.node("t", "Transpose", mixed, perm=[0, 2, 1, 3])
    (flat,) = c.node("r", "Reshape", turned, ints(-1, 6, 8))
    (out,) = c.node("proj", "MatMul", flat, weight(8, 8))
    return out


@pytest.mark.parametrize("sequence_first", [False, True])
def test_attention_in_parts_is_one_layer_without_a_permute(tmp_path: Path, sequence_first: bool) -> None:
    c = Cases()
    c.case("y", "Relu", attention(c, "x", sequence_first))
    shape = [6, "N", 8] if sequence_first else ["N", 6, 8]
    path = save(tmp_path / "a.onnx", c.nodes, {"x": shape}, c.constants, c.outputs)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert kinds_of(imported.model) == ["InputLayer", "MultiHeadAttention", "ReLU"]


@pytest.mark.parametrize("shape", [["N", 8, 2, 3], ["N", 2, 3, 8], ["N", 1, 6, 8]])
def test_attention_over_the_places_of_a_picture_is_one_layer(tmp_path: Path, shape: list[Any]) -> None:
    """Tokens that a convolution's places become, in one axis of the file or in two."""
    c = Cases()
    tokens = "x"
    if shape[1] == 8:
        (patches,) = c.node("patch", "Conv", "x", weight(8, 8, 1, 1))
        (flat,) = c.node("r", "Reshape", patches, ints(0, 8, -1))
        (tokens,) = c.node("t", "Transpose", flat, perm=[0, 2, 1])
    (mixed,) = c.node("block", "Add", attention(c, tokens, False), weight(1, 6, 8))
    c.case("y", "ReduceMean", mixed, axes=[1])
    path = save(tmp_path / "a.onnx", c.nodes, {"x": shape}, c.constants, c.outputs)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert "MultiHeadAttention" in kinds_of(imported.model)
    assert "Permute" not in kinds_of(imported.model)


def test_what_a_fused_layer_refuses_is_cut_off_at_the_file_s_own_tensors(tmp_path: Path) -> None:
    c = Cases()
    (before,) = c.node("before", "Relu", "x")
    c.case("y", "Relu", attention(c, before, True))
    path = save(tmp_path / "a.onnx", c.nodes, {"x": [6, "N", 8]}, c.constants, c.outputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgecut.source.onnx.attention._tokens", _refused)
        with pytest.raises(SourceError) as caught:
            convert(path)
    (tensor,) = (name for node in c.nodes for name in node.output if node.op_type == "Relu" and node.input[0] == "x")
    assert str(caught.value).endswith(f"import the part: edgecut cut {path} --to {tensor} -o part.onnx")


def _refused(*_: object) -> None:
    raise Unsupported("is refused")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_file_that_puts_out_no_number_proves_nothing(tmp_path: Path, value: float) -> None:
    nodes = [one("Add", "x", "w")]
    path = save(tmp_path / "no.onnx", nodes, {"x": ["N", 4]}, {"w": np.full(4, value, np.float32)})
    with pytest.raises(StepError) as caught:
        prove(convert(path), path)
    assert str(caught.value) == (
        f"{path}: ONNX Runtime puts out no finite number as 'y' on any of 4 inputs, so nothing is proven; give inputs "
        "that it was made for with --data, or, where its weights are damaged, another file"
    )


def test_a_class_token_and_states_of_a_fixed_batch_are_weights(tmp_path: Path) -> None:
    c = Cases()
    (joined,) = c.node("cat", "Concat", weight(1, 1, 4), "x", axis=1)
    (placed,) = c.node("pos", "Add", joined, weight(1, 6, 4))
    (turned,) = c.node("turn", "Transpose", placed, perm=[1, 0, 2])
    steps, _ = c.node(
        "gru", "GRU", turned, weight(1, 9, 4), weight(1, 9, 3), "", "", weight(1, 1, 3), count=2, hidden_size=3
    )
    (flat,) = c.node("squeeze", "Squeeze", steps, ints(1))
    c.case("last", "Gather", flat, np.asarray(-1, np.int64), axis=0)
    path = save(tmp_path / "t.onnx", c.nodes, {"x": [1, 5, 4]}, c.constants, c.outputs)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert imported.model.input_shape == (None, 5, 4)
    assert kinds_of(imported.model).count("Weight") == 2


def test_the_first_of_a_batch_is_the_input_itself_where_there_is_one_alone(tmp_path: Path) -> None:
    nodes = [one("Softplus", "x", outputs=["a"]), one("Gather", "a", "zero", axis=0)]
    constants = {"zero": np.asarray(0, np.int64)}
    path = save(tmp_path / "one.onnx", nodes, {"x": [1, 5]}, constants)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert imported.model.output_shape == (None, 5)
    path = save(tmp_path / "any.onnx", nodes, {"x": ["N", 5]}, constants)
    with pytest.raises(SourceError, match="Gather 'Gather_1' takes elements of the batch"):
        convert(path)


def test_a_batch_that_is_merged_with_places_is_followed(tmp_path: Path) -> None:
    """MobileViT: the places of patches go into the batch, and come back."""
    c = Cases()
    (parts,) = c.node("r", "Reshape", "x", ints(16, 2, 2, 2))  # (1 * 8 * 2, 2, 2, 2) of (1, 8, 4, 4)
    (turned,) = c.node("t", "Transpose", parts, perm=[0, 2, 1, 3])
    (tokens,) = c.node("r", "Reshape", turned, ints(1, 8, 4, 4))
    (last,) = c.node("t", "Transpose", tokens, perm=[0, 3, 2, 1])
    (rows,) = c.node("r", "Reshape", last, ints(4, 4, 8))
    (dense,) = c.node("d", "MatMul", rows, weight(8, 6))
    c.case("back", "Reshape", dense, ints(1, 4, 4, 6))
    path = save(tmp_path / "m.onnx", c.nodes, {"x": [1, 8, 4, 4]}, c.constants, c.outputs)
    assert prove(convert(path), path).relative_error < 1e-5


def test_channels_last_with_transposes_needs_no_permute(tmp_path: Path) -> None:
    """tf2onnx's graphs: the input is a picture with channels last, turned before and behind the convolutions."""
    c = Cases()
    (first,) = c.node("t", "Transpose", "x", perm=[0, 3, 1, 2])
    (conv,) = c.node("c", "Conv", first, weight(4, 3, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2])
    (biased,) = c.node("b", "Add", conv, weight(1, 4, 1, 1))
    (relu,) = c.node("a", "Relu", biased)
    (last,) = c.node("t", "Transpose", relu, perm=[0, 2, 3, 1])
    (flat,) = c.node("r", "Reshape", last, ints(-1, 64))
    c.case("y", "MatMul", flat, weight(64, 3))
    path = save(tmp_path / "t.onnx", c.nodes, {"x": ["N", 8, 8, 3]}, c.constants, c.outputs, opset=9)
    imported = convert(path)
    assert prove(imported, path).relative_error < 1e-5
    assert imported.model.input_shape == (None, 8, 8, 3)
    assert kinds_of(imported.model) == ["InputLayer", "Conv2D", "ReLU", "Reshape", "Dense"]


def test_two_inputs_of_other_kinds_and_a_part_of_the_outputs(tmp_path: Path) -> None:
    c = Cases()
    (row,) = c.node("e", "Gather", weight(7, 4), "ids", axis=0)
    (word,) = c.node("m", "ReduceMean", row, axes=[1], keepdims=0)
    (conv,) = c.node("c", "Conv", "x", weight(4, 3, 3, 3))
    (pool,) = c.node("p", "GlobalAveragePool", conv)
    (flat,) = c.node("f", "Flatten", pool)
    (both,) = c.node("cat", "Concat", flat, word, axis=1)
    c.case("scores", "Softmax", both, axis=1)
    types = {"ids": onnx.TensorProto.INT64}
    path = save(
        tmp_path / "two.onnx", c.nodes, {"x": ["N", 3, 8, 8], "ids": ["N", 5]}, c.constants, c.outputs, types=types
    )
    imported = convert(path)
    proof = prove(imported, path, {"x": np.ones((2, 8, 8, 3), np.float32), "ids": np.full((2, 5), 6)})
    assert proof.relative_error < 1e-5
    assert (proof.inputs, proof.own) == (6, 2)
    assert [tensor.name for tensor in imported.model.inputs] == ["x", "ids"]
    part = convert(path, outputs=[pool])
    assert [tensor.name for tensor in part.model.inputs] == ["x"]
    assert part.model.output_shape == (None, 1, 1, 4)


def test_every_node_that_can_t_be_built_is_told_at_once(tmp_path: Path) -> None:
    nodes = [
        one("MaxPool", "x", outputs=["a", "places"], kernel_shape=[2, 2]),
        one("TopK", "x", "k", outputs=["b", "c"], largest=0),
        one("Identity", "places", outputs=["p"]),
    ]
    path = save(tmp_path / "n.onnx", nodes, {"x": ["N", 3, 8, 8]}, {"k": np.asarray([2], np.int64)}, ["a", "b", "p"])
    with pytest.raises(SourceError) as caught:
        convert(path)
    assert str(caught.value) == (
        f"{path}: can't be imported: MaxPool 'MaxPool_0' puts out the places of its maxima, which no Keras layer does; "
        "TopK 'TopK_1' takes the smallest, which Keras has no operation for"
    )


def test_what_mixes_the_elements_of_a_batch_is_refused(tmp_path: Path) -> None:
    c = Cases()
    (flat,) = c.node("flat", "Flatten", "x")
    c.case("a", "Softmax", flat, axis=0)
    c.case("b", "Hardmax", flat, axis=0)
    c.case("c", "Trilu", flat)
    c.case("d", "ReduceMean", flat, ints(0))
    c.case("e", "Einsum", flat, equation="ij->ji")
    c.case("f", "Concat", flat, flat, axis=0)
    c.case("g", "Resize", "x", "", "", ints(4, 4), axes=[2, 3], antialias=1, mode="linear")
    path = save(tmp_path / "b.onnx", c.nodes, {"x": ["N", 3, 8, 8]}, c.constants, c.outputs, opset=18)
    with pytest.raises(SourceError) as caught:
        convert(path)
    assert [part.strip() for part in str(caught.value).split(";")][:7] == [
        f"{path}: can't be imported: Softmax 'Softmax_1' normalizes over the batch",
        "Hardmax 'Hardmax_2' takes the largest of the batch",
        "Trilu 'Trilu_3' takes a triangle over the batch",
        "ReduceMean 'ReduceMean_4' reduces over the batch",
        "Einsum 'Einsum_5' has the equation 'ij->ji', in which the batch isn't the first letter of all",
        "Concat 'Concat_6' joins along the batch",
        "Resize 'Resize_7' resizes with antialiasing, which no Keras layer does as ONNX does",
    ]


def test_sixteen_bit_files_become_float32_within_their_rounding(tmp_path: Path) -> None:
    constants = {"w": weight(4, 3, 3, 3).astype(np.float16), "b": weight(4).astype(np.float16)}
    types = {"x": onnx.TensorProto.FLOAT16}
    path = save(tmp_path / "h.onnx", [one("Conv", "x", "w", "b")], {"x": ["N", 3, 8, 8]}, constants, types=types)
    imported = convert(path)
    proof = prove(imported, path)
    assert 1e-5 < proof.relative_error < proof.tolerance == 64 * 2.0**-10
    assert "computes in float16, and the model made of it in float32" in imported.notes


def test_a_quantized_file_is_taken_in_floats_with_its_relus(tmp_path: Path) -> None:
    from onnxruntime import quantization

    from tests.source.onnx.test_import import small_cnn

    class Rows(quantization.CalibrationDataReader):
        rows = iter(np.random.default_rng(0).uniform(-1, 1, (16, 1, 3, 16, 16)).astype(np.float32))

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {"x": row}

    path = tmp_path / "int8.onnx"
    quantization.quantize_static(small_cnn(tmp_path / "cnn.onnx"), path, Rows(), per_channel=True)
    imported = convert(path, dequantize=True)
    assert kinds_of(imported.model).count("ReLU") == 2
    assert (prove(imported, path).sqnr_db or 0) > 20
