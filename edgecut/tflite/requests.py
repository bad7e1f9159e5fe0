"""The scratch memory that TensorFlow Lite Micro's own kernels ask for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph

Inputs = tuple[Tensor | None, ...]
Rule = Callable[[Operator, Inputs, Tensor], tuple[int, ...]]

_STATE_OF_CELLS = 19  # the input of UNIDIRECTIONAL_SEQUENCE_LSTM that keeps the cells
_DETECTIONS = "TFLite_Detection_PostProcess"


def reference_requests(graph: TfliteGraph, operator: Operator, pointer_bytes: int = 4) -> tuple[int, ...]:
    """The bytes of each scratch buffer that TFLM's reference kernel asks for, in its order.

    pointer_bytes: 4 on a microcontroller, 8 in the interpreter on this host. () for an operator that asks for none,
    or that hasn't the inputs and outputs of its kind, which no kernel takes.
    """
    rule = REQUESTS.get(operator.name)
    if rule is None or not operator.outputs:
        return ()
    inputs = tuple(graph.tensors[index] if index >= 0 else None for index in operator.inputs)
    if operator.name == "ADD_N":
        return (pointer_bytes * len(inputs),)
    try:
        return rule(operator, inputs, graph.tensors[operator.outputs[0]])
    except (IndexError, AttributeError):
        return ()


def host_requests(graph: TfliteGraph, operator: Operator) -> tuple[int, ...]:
    """What the interpreter on this host, of 64 bits and with reference kernels, is asked for."""
    return reference_requests(graph, operator, 8)


def _unpacked(_operator: Operator, inputs: Inputs, _output: Tensor) -> tuple[int, ...]:
    """Weights of 4 bits are unpacked into bytes."""
    weights = inputs[1]
    return (weights.elements,) if weights is not None and weights.dtype == "int4" else ()


def _mean(operator: Operator, inputs: Inputs, output: Tensor) -> tuple[int, ...]:
    """Besides the axes, sums of 32 bits where the data are integers."""
    sums = () if _of(inputs[0]) == "float32" else (4 * output.elements,)
    return (*_reduced(operator, inputs, output), *sums)


def _reduced(_operator: Operator, inputs: Inputs, _output: Tensor) -> tuple[int, ...]:
    """A place along each axis, and the resolved axes."""
    data, axes = inputs[0], inputs[1]
    return (4 * len(data.shape), 4 * axes.elements) if data is not None and axes is not None else ()


def _mirror_pad(_operator: Operator, inputs: Inputs, _output: Tensor) -> tuple[int, ...]:
    rank = len(inputs[0].shape) if inputs[0] is not None else 0
    return (4 * rank, 4 * rank)


def _transpose_conv(_operator: Operator, inputs: Inputs, output: Tensor) -> tuple[int, ...]:
    """Sums of 32 bits, or 64 with 16-bit data; a bias of 16 bits is widened to 64."""
    sums = {"int8": 4, "int16": 8}.get(_of(inputs[2]), 0) * output.elements
    bias = inputs[3] if len(inputs) > 3 else None
    widened = (8 * bias.elements,) if bias is not None and bias.dtype == "int16" else ()
    return (sums, *widened) if sums else ()


def _svdf(operator: Operator, inputs: Inputs, output: Tensor) -> tuple[int, ...]:
    data, features = inputs[0], inputs[1]
    if data is None or features is None:
        return ()
    filters = 4 * data.shape[0] * features.shape[0]
    return (filters,) if data.dtype == "float32" else (filters, 4 * output.elements)


def _lstm(_operator: Operator, inputs: Inputs, _output: Tensor) -> tuple[int, ...]:
    """Four gates of the cells' size and type."""
    cells = inputs[_STATE_OF_CELLS]
    return (cells.size_bytes,) * 4 if cells is not None else ()


def _detections(operator: Operator, inputs: Inputs, _output: Tensor) -> tuple[int, ...]:
    from flatbuffers import flexbuffers

    boxes = inputs[0].shape[1] if inputs[0] is not None else 0
    scores = math.prod(inputs[1].shape[1:3]) if inputs[1] is not None else 0
    options: Mapping[str, int] = flexbuffers.Loads(operator.custom_options) if operator.custom_options else {}
    most, classes = int(options.get("max_detections", 0)), int(options.get("num_classes", 0))
    sorts = 4 * most * boxes
    return (
        boxes,
        16 * boxes,
        4 * scores,
        4 * boxes,
        4 * boxes,
        sorts,
        sorts,
        4 * boxes,
        sorts,
        4 * max(classes, most) * boxes,
        4 * min(boxes, most) * boxes,
    )


def _of(tensor: Tensor | None) -> str:
    return "" if tensor is None else tensor.dtype


# Operator -> the scratch it asks for, from the RequestScratchBufferInArena of tensorflow/lite/micro/kernels/ in
# tflite-micro. The other operators were run and ask for none (tools/operator_files.py makes a file of each).
REQUESTS: dict[str, Rule] = {
    "ADD_N": lambda _operator, _inputs, _output: (),  # add_n.cc: a pointer to each input, see above
    "CONV_2D": _unpacked,  # conv.cc
    "DEPTHWISE_CONV_2D": _unpacked,  # depthwise_conv.cc
    "FULLY_CONNECTED": _unpacked,  # fully_connected.cc
    "MEAN": _mean,  # reduce_common.cc: PrepareMeanOrSumHelper
    "MIRROR_PAD": _mirror_pad,  # mirror_pad.cc
    "REDUCE_ALL": _reduced,  # reduce_common.cc
    "REDUCE_MAX": _reduced,  # reduce_common.cc: PrepareMinMaxHelper
    "REDUCE_MIN": _reduced,  # reduce_common.cc: PrepareMinMaxHelper
    "SUM": _mean,  # reduce_common.cc: PrepareMeanOrSumHelper
    "SVDF": _svdf,  # svdf_common.cc
    _DETECTIONS: _detections,  # detection_postprocess.cc
    "TRANSPOSE_CONV": _transpose_conv,  # transpose_conv.cc
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,  # unidirectional_sequence_lstm.cc: four buffers
}
