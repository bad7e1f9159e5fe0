"""What isn't written as C is refused before anything is written, all of it at once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgecut.engine import generate
from edgecut.errors import ExportError, SourceError
from edgecut.tflite.write import Draft

FIXTURES = Path(__file__).parents[1] / "fixtures"


def refusal(content: bytes) -> list[str]:
    with pytest.raises(ExportError) as caught:
        generate(content, "net")
    return str(caught.value).split("\n")


def test_every_operator_without_a_kernel_is_named_at_once() -> None:
    draft = Draft()
    x = draft.tensor((1, 4, 4, 2), "int8", 0.1)
    y = draft.tensor((1, 4, 4, 2), "int8", 0.1)
    z = draft.tensor((1, 4, 4, 2), "int8", 0.1)
    draft.operator("ELU", [x], [y])
    draft.operator("ABS", [y], [z])
    assert refusal(draft.file([x], [z])) == [
        "model: ELU (operator 0) has no kernel in C; make the file without it",
        "model: ABS (operator 1) has no kernel in C; cut the model before it",
    ]


def test_a_float_file_is_told_to_quantize() -> None:
    assert refusal((FIXTURES / "tiny.float32.tflite").read_bytes()) == [
        "model: CONV_2D (layer 'stem'), DEPTHWISE_CONV_2D (layer 'depthwise'), CONV_2D (layer 'pointwise') and 3 more "
        "have float32 data, and int8 is expected; quantize the whole model"
    ]


def test_shapes_that_no_operator_makes_are_refused() -> None:
    draft = Draft()
    x, y = draft.tensor((1, 4, 4, 2), "int8", 0.1), draft.tensor((1, 9, 9, 2), "int8", 0.1)
    draft.operator("MAX_POOL_2D", [x], [y], table="Pool2DOptions", options={"filterHeight": 2, "filterWidth": 2,
                   "strideH": 2, "strideW": 2})  # fmt: skip
    assert refusal(draft.file([x], [y])) == [
        "model: MAX_POOL_2D (operator 0) has an output of 9 where 2 comes of its window; make the file without it"
    ]


def test_a_constant_of_another_size_than_its_shape_is_a_damaged_file() -> None:
    draft = Draft()
    x, y = draft.tensor((1, 4), "int8", 0.1), draft.tensor((1, 4), "int8", 0.1)
    weights = draft.constant(np.ones((4, 4), np.int8), [0.1])
    draft._tensors[weights].shape = np.array([4, 5], np.int32)
    draft.operator("FULLY_CONNECTED", [x, weights, -1], [y], table="FullyConnectedOptions")
    with pytest.raises(SourceError, match="has a constant of another size than its shape says; get the file again"):
        generate(draft.file([x], [y]), "net")


def test_an_image_that_no_microcontroller_holds_is_refused() -> None:
    draft = Draft()
    x, y = draft.tensor((1, 60_000, 60_000, 1), "int8", 0.1), draft.tensor((1, 60_000, 60_000, 1), "int8", 0.1)
    draft.operator("RELU", [x], [y])
    assert refusal(draft.file([x], [y])) == [
        "model: RELU (operator 0) has a tensor of shape [1, 60000, 60000, 1], and at most 33,554,432 bytes are "
        "planned; make the file without it"
    ]


def test_more_rows_than_are_planned_are_refused() -> None:
    draft = Draft()
    tensors = [draft.tensor((1, 60_000, 1, 1), "int8", 0.1) for _ in range(8)]
    for before, behind in pairwise(tensors):
        draft.operator("RELU", [before], [behind])
    assert refusal(draft.file(tensors[:1], tensors[-1:])) == [
        "model: makes 420,000 rows in tensors of 480,000 bytes together, and at most 400,000 and 2,147,483,647 are "
        "planned; export it for a smaller input"
    ]


def test_an_operator_that_reads_what_is_made_behind_it_is_a_damaged_file() -> None:
    draft = Draft()
    x, y, z = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(3))
    draft.operator("ADD", [x, z], [y], table="AddOptions")
    draft.operator("RELU", [y], [z])
    with pytest.raises(
        SourceError, match=r"model: ADD \(operator 0\) reads 't2' before it is made; get the file again"
    ):
        generate(draft.file([x], [z]), "net")


def test_a_tensor_that_is_made_twice_is_a_damaged_file() -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(2))
    draft.operator("RELU", [x], [y])
    draft.operator("RELU6", [x], [y])
    with pytest.raises(SourceError, match=r"model: RELU6 \(operator 1\) makes 't1' a second time; get the file again"):
        generate(draft.file([x], [y]), "net")


def test_shapes_that_rename_each_other_are_a_damaged_file() -> None:
    draft = Draft()
    x, y, z = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(3))
    draft.operator("RESHAPE", [z], [y], table="ReshapeOptions")
    draft.operator("RESHAPE", [y], [z], table="ReshapeOptions")
    with pytest.raises(SourceError, match="get the file again"):
        generate(draft.file([x], [z]), "net")


def test_a_tensor_without_elements_is_refused() -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 0, 4, 2), "int8", 0.1) for _ in range(2))
    draft.operator("RELU", [x], [y])
    assert refusal(draft.file([x], [y])) == [
        "model: RELU (operator 0) has a tensor of shape [1, 0, 4, 2], which holds nothing; make the file without it"
    ]


def test_weights_of_four_bits_are_called_so() -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1) for _ in range(2))
    weights = draft.constant(np.ones((4, 4), np.int8), [0.1])
    draft._tensors[weights].type = 17  # schema.fbs: TensorType, INT4
    draft.operator("FULLY_CONNECTED", [x, weights, -1], [y], table="FullyConnectedOptions")
    assert refusal(draft.file([x], [y])) == [
        "model: FULLY_CONNECTED (operator 0) has int4 constants, and int8 is expected; make the file without it"
    ]


def test_an_output_that_no_operator_makes_is_refused_as_what_it_is() -> None:
    draft = Draft()
    x, y, z = draft.tensor((1, 4), "float32"), *(draft.tensor((1, 4), "int8", 0.1) for _ in range(2))
    numbers = draft.constant(np.ones((1, 4), np.int8), [0.1])
    draft.operator("QUANTIZE", [x], [y])
    draft.operator("RELU", [y], [z])
    assert refusal(draft.file([x], [z, numbers])) == [
        "model: the output 't3' is a constant; leave it out of the model's outputs"
    ]
    assert refusal(draft.file([x], [z, x])) == [
        "model: the output 't0' is the float32 input itself; leave it out of the model's outputs"
    ]


def test_an_order_of_axes_that_none_is_is_refused() -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(2))
    draft.operator("TRANSPOSE", [x, draft.constant(np.array([0, 2, 2, -1], np.int32))], [y], table="TransposeOptions")
    assert refusal(draft.file([x], [y])) == [
        "model: TRANSPOSE (operator 0) has the order [0, 2, 2, 3] of 4 axes; make the file without it"
    ]


def test_a_slice_that_loses_an_axis_by_itself_is_refused() -> None:
    draft = Draft()
    x, y = draft.tensor((1, 4, 4, 2), "int8", 0.1), draft.tensor((1, 4, 4), "int8", 0.1)
    begin, size = (draft.constant(np.array(values, np.int32)) for values in ([0, 0, 0, 0], [1, 4, 4, 1]))
    draft.operator("SLICE", [x, begin, size], [y], table="SliceOptions")
    assert refusal(draft.file([x], [y])) == [
        "model: SLICE (operator 0) makes shape [1, 4, 4] of shape [1, 4, 4, 2]; make the file without it"
    ]


def strided_slice(end: list[int], made: tuple[int, ...], stride: int = 1, **masks: int) -> bytes:
    """Rows 1 up to end[1] of an image of 4 x 4 x 2."""
    draft = Draft()
    x, y = draft.tensor((1, 4, 4, 2), "int8", 0.1), draft.tensor(made, "int8", 0.1)
    places = [draft.constant(np.array(v, np.int32)) for v in ([0, 1, 0, 0], end, [1, stride, 1, 1])]
    draft.operator("STRIDED_SLICE", [x, *places], [y], table="StridedSliceOptions", options=masks)
    return draft.file([x], [y])


def test_a_slice_whose_end_gives_another_shape_than_its_output_has_is_refused() -> None:
    assert refusal(strided_slice([1, 3, 4, 2], (1, 3, 4, 2))) == [
        "model: STRIDED_SLICE (operator 0) takes a part of shape [1, 2, 4, 2] into shape [1, 3, 4, 2]; make the file "
        "without it"
    ]


def test_a_slice_that_the_interpreter_s_kernel_has_no_way_of_is_refused() -> None:
    assert refusal(strided_slice([1, 4, 4, 2], (1, 3, 4, 2), newAxisMask=1)) == [
        "model: STRIDED_SLICE (operator 0) has an ellipsis, a new axis or an offset; make the file without it"
    ]
    assert refusal(strided_slice([1, 4, 4, 2], (1, 3, 4, 2), stride=0)) == [
        "model: STRIDED_SLICE (operator 0) has a stride of 0; make the file without it"
    ]
    assert refusal(strided_slice([1, 4, 4, 2], (1, 4, 2), stride=-1, shrinkAxisMask=2)) == [
        "model: STRIDED_SLICE (operator 0) takes an axis away by a negative stride, and the interpreter's kernel "
        "writes nothing then; make the file without it"
    ]


def test_options_of_another_operator_are_refused() -> None:
    draft = Draft()
    x, y, z = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(3))
    draft.operator("ADD", [x, x], [y], table="SubOptions", options={"fusedActivationFunction": 1})
    draft.operator("MAX_POOL_2D", [y], [z])
    assert refusal(draft.file([x], [z])) == [
        "model: ADD (operator 0) has SubOptions, and AddOptions is expected; export the model again",
        "model: MAX_POOL_2D (operator 1) has no options, and Pool2DOptions is expected, which says its strides; export "
        "the model again",
    ]


def test_an_input_that_an_operator_makes_is_a_damaged_file() -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(2))
    draft.operator("RELU", [x], [y])
    with pytest.raises(
        SourceError, match=r"model: RELU \(operator 0\) makes an input of the model; get the file again"
    ):
        generate(draft.file([y], [y]), "net")


def test_parts_of_different_sizes_are_no_split() -> None:
    draft = Draft()
    x = draft.tensor((1, 4, 4, 4), "int8", 0.1)
    parts = [draft.tensor((1, 4, 4, depth), "int8", 0.1) for depth in (1, 3)]
    axis = draft.constant(np.array(3, np.int32))
    draft.operator("SPLIT", [axis, x], parts, table="SplitOptions", options={"numSplits": 2})
    assert refusal(draft.file([x], parts)) == [
        "model: SPLIT (operator 0) makes shapes [[1, 4, 4, 1], [1, 4, 4, 3]], and equal parts are expected; make the "
        "file without it"
    ]


def test_a_scale_without_a_zero_point_is_refused_since_tflm_takes_neither() -> None:
    draft = Draft()
    x, y = (draft.tensor((1, 4, 4, 2), "int8", 0.1) for _ in range(2))
    draft._tensors[x].quantization.zeroPoint = None
    draft.operator("RELU", [x], [y])
    assert refusal(draft.file([x], [y])) == [
        "model: RELU (operator 0) has a scale without a zero point, which TensorFlow Lite Micro takes as not "
        "quantized; write the zero points into the file, too"
    ]


def test_a_float_input_of_two_quantizations_is_told_to_be_int8() -> None:
    """No remedy says to quantize what is quantized."""
    draft = Draft()
    x = draft.tensor((1, 4, 4, 2), "float32")
    a, b = (draft.tensor((1, 4, 4, 2), "int8", scale) for scale in (0.1, 0.2))
    y = draft.tensor((1, 4, 4, 2), "int8", 0.1)
    draft.operator("QUANTIZE", [x], [a])
    draft.operator("QUANTIZE", [x], [b])
    draft.operator("ADD", [a, b], [y], table="AddOptions")
    assert refusal(draft.file([x], [y])) == [
        "model: the float32 input 't0' is read by 2 QUANTIZE, and one is expected; export it with an int8 input"
    ]
