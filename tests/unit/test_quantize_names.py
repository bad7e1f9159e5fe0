from __future__ import annotations

from edgecut.quantize.names import LayerOutput, layer_tensors
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph


def graph(*rows: tuple[str, str, tuple[int, ...]]) -> TfliteGraph:
    """A chain of operators: (operator, output's name, output's shape)."""
    tensors = [Tensor(0, "input", (1, 8, 8, 3), "int8", (1.0,), (0,))]
    operators = []
    for k, (operator, name, shape) in enumerate(rows, 1):
        tensors.append(Tensor(k, name, shape, "int8", (1.0,), (0,)))
        operators.append(Operator(k - 1, operator, 1, (k - 1,), (k,)))
    return TfliteGraph(tuple(tensors), tuple(operators), (0,), (len(rows),))


MAP = (None, 8, 8, 4)


def test_the_last_fused_layer_names_the_tensor() -> None:
    layers = [LayerOutput("conv1", MAP), LayerOutput("conv1_bn", MAP), LayerOutput("conv1_relu", MAP)]
    name = "m_1/conv1_relu_1/Relu6;m_1/conv1_bn_1/batchnorm/add_1;m_1/conv1_1/convolution"
    assert layer_tensors(graph(("CONV_2D", name, (1, 8, 8, 4))), layers) == {1: "conv1_relu"}


def test_the_operator_that_ends_a_path_is_no_layer_of_its_name() -> None:
    layers = [LayerOutput("conv", MAP), LayerOutput("bn", MAP), LayerOutput("add", MAP)]
    name = "m_1/conv_1/convolution;m_1/bn_1/batchnorm/add_1"
    assert layer_tensors(graph(("CONV_2D", name, (1, 8, 8, 4))), layers) == {1: "bn"}


def test_a_number_that_belongs_to_the_layers_name_is_kept() -> None:
    layers = [LayerOutput("conv2d", MAP), LayerOutput("conv2d_1", MAP)]
    rows = [("CONV_2D", "m_1/conv2d_1/Relu", (1, 8, 8, 4)), ("CONV_2D", "m_1/conv2d_1_1/Relu", (1, 8, 8, 4))]
    assert layer_tensors(graph(*rows), layers) == {1: "conv2d", 2: "conv2d_1"}


def test_names_that_both_ways_of_reading_explain_are_read_as_they_are() -> None:
    """A quantization-aware model's file has Keras 2's names, without numbers of their own."""
    layers = [LayerOutput("act", MAP), LayerOutput("act_1", MAP)]
    rows = [("CONV_2D", "model/act/Relu", (1, 8, 8, 4)), ("CONV_2D", "model/act_1/Relu", (1, 8, 8, 4))]
    assert layer_tensors(graph(*rows), layers) == {1: "act", 2: "act_1"}


def test_names_without_kerass_own_numbers_are_read_as_they_are() -> None:
    layers = [LayerOutput("conv2d", MAP), LayerOutput("conv2d_1", MAP), LayerOutput("act_1", MAP)]
    rows = [
        ("CONV_2D", "m/conv2d/Relu", (1, 8, 8, 4)), ("CONV_2D", "m/conv2d_1/Relu", (1, 8, 8, 4)),
        ("LOGISTIC", "m/act_1/Sigmoid", (1, 8, 8, 4)),
    ]  # fmt: skip
    assert layer_tensors(graph(*rows), layers) == {1: "conv2d", 2: "conv2d_1", 3: "act_1"}


def test_a_nested_models_layer_has_its_dotted_name() -> None:
    layers = [LayerOutput("body.conv", MAP)]
    assert layer_tensors(graph(("CONV_2D", "m_1/body_1/conv_1/Relu", (1, 8, 8, 4))), layers) == {1: "body.conv"}


def test_a_layer_that_became_two_operators_is_the_second() -> None:
    layers = [LayerOutput("dense", (None, 4))]
    rows = [("FULLY_CONNECTED", "m_1/dense_1/MatMul", (1, 4)), ("LOGISTIC", "m_1/dense_1/Sigmoid", (1, 4))]
    assert layer_tensors(graph(*rows), layers) == {2: "dense"}


def test_the_files_renamed_output_is_the_sources_last_layer() -> None:
    layers = [LayerOutput("dense", (None, 4), "Dense"), LayerOutput("softmax", (None, 4), "Softmax")]
    rows = [("FULLY_CONNECTED", "m_1/dense_1/MatMul", (1, 4)), ("SOFTMAX", "output", (1, 4))]
    assert layer_tensors(graph(*rows), layers) == {1: "dense", 2: "softmax"}


def test_an_output_of_another_shape_is_no_layers() -> None:
    layers = [LayerOutput("conv", MAP), LayerOutput("top", (None, 1000))]
    rows = [("CONV_2D", "m_1/conv_1/Relu", (1, 8, 8, 4)), ("FULLY_CONNECTED", "output", (1, 10))]
    assert layer_tensors(graph(*rows), layers) == {1: "conv"}


def test_an_open_size_fits_any_and_axes_of_size_one_may_be_missing() -> None:
    layers = [LayerOutput("conv", (None, None, None, 4)), LayerOutput("pool", (None, 1, 1, 4))]
    rows = [("CONV_2D", "m_1/conv_1/Relu", (1, 8, 8, 4)), ("MEAN", "m_1/pool_1/Mean", (1, 4))]
    assert layer_tensors(graph(*rows), layers) == {1: "conv", 2: "pool"}


def test_without_names_operators_with_weights_are_matched_in_order() -> None:
    layers = [
        LayerOutput("conv", MAP, "Conv2D"), LayerOutput("bn", MAP, "BatchNormalization"),
        LayerOutput("relu", MAP, "ReLU"), LayerOutput("deep", MAP, "DepthwiseConv2D"),
    ]  # fmt: skip
    rows = [("CONV_2D", "t1", (1, 8, 8, 4)), ("DEPTHWISE_CONV_2D", "t2", (1, 8, 8, 4))]
    assert layer_tensors(graph(*rows), layers) == {1: "relu", 2: "deep"}


def test_without_names_and_with_other_counts_nothing_is_matched() -> None:
    layers = [LayerOutput("a", MAP, "Conv2D"), LayerOutput("b", MAP, "Conv2D")]
    assert layer_tensors(graph(("CONV_2D", "t1", (1, 8, 8, 4)), ("RELU", "t2", (1, 8, 8, 2))), layers) == {}


def test_a_renamed_output_takes_the_place_of_the_operator_before_it_in_the_same_layer() -> None:
    layers = [LayerOutput("dense", (None, 4), "Dense")]
    rows = [("FULLY_CONNECTED", "m_1/dense_1/MatMul", (1, 4)), ("SOFTMAX", "output", (1, 4))]
    assert layer_tensors(graph(*rows), layers) == {2: "dense"}


def test_a_head_of_its_own_is_not_taken_for_the_sources() -> None:
    layers = [LayerOutput("conv", MAP, "Conv2D"), LayerOutput("top", (None, 10), "Dense")]
    rows = [("CONV_2D", "m_1/conv_1/Relu", (1, 8, 8, 4)), ("FULLY_CONNECTED", "output", (1, 10))]
    assert layer_tensors(graph(*rows), layers) == {1: "conv"}


def test_a_renamed_output_is_found_by_its_weights_names() -> None:
    layers = [LayerOutput("conv", MAP, "Conv2D"), LayerOutput("relu", MAP, "ReLU"), LayerOutput("top", (None, 10))]
    found = graph(("CONV_2D", "output", (1, 8, 8, 4)))
    bias = Tensor(2, "m_1/relu_1/Relu6;m_1/conv_1/convolution", (4,), "int32", (1.0,), (0,), is_constant=True)
    operator = Operator(0, "CONV_2D", 1, (0, 2), (1,))
    named = TfliteGraph((*found.tensors, bias), (operator,), (0,), (1,))
    assert layer_tensors(named, layers) == {1: "relu"}
