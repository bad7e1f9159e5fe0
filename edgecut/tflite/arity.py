"""How many inputs and outputs an operator has at the least, by its kind, as the runtimes' kernels check it.

tensorflow/lite/kernels/*.cc: NumInputs and NumOutputs in each kernel's Prepare. Kinds that aren't here may have any.
"""

from __future__ import annotations

from collections.abc import Sequence

_INPUTS: dict[int, frozenset[str]] = {
    1: frozenset(
        {
            "ABS",
            "ADD_N",
            "AVERAGE_POOL_2D",
            "CAST",
            "CEIL",
            "CONCATENATION",
            "COS",
            "DEPTH_TO_SPACE",
            "DEQUANTIZE",
            "ELU",
            "EXP",
            "FLOOR",
            "GELU",
            "HARD_SWISH",
            "L2_NORMALIZATION",
            "L2_POOL_2D",
            "LEAKY_RELU",
            "LOCAL_RESPONSE_NORMALIZATION",
            "LOG",
            "LOGICAL_NOT",
            "LOGISTIC",
            "LOG_SOFTMAX",
            "MAX_POOL_2D",
            "NEG",
            "PACK",
            "QUANTIZE",
            "RANK",
            "READ_VARIABLE",
            "RELU",
            "RELU6",
            "RELU_0_TO_1",
            "RELU_N1_TO_1",
            "RESHAPE",
            "ROUND",
            "RSQRT",
            "SHAPE",
            "SIGN",
            "SIN",
            "SOFTMAX",
            "SPACE_TO_DEPTH",
            "SQRT",
            "SQUARE",
            "SQUEEZE",
            "TANH",
            "UNPACK",
            "ZEROS_LIKE",
        }
    ),
    2: frozenset(
        {
            "ADD",
            "ARG_MAX",
            "ARG_MIN",
            "ASSIGN_VARIABLE",
            "BATCH_MATMUL",
            "BROADCAST_ARGS",
            "BROADCAST_TO",
            "CONV_2D",
            "CONV_3D",
            "CUMSUM",
            "DEPTHWISE_CONV_2D",
            "DIV",
            "EMBEDDING_LOOKUP",
            "EQUAL",
            "EXPAND_DIMS",
            "FILL",
            "FLOOR_DIV",
            "FLOOR_MOD",
            "FULLY_CONNECTED",
            "GATHER",
            "GATHER_ND",
            "GREATER",
            "GREATER_EQUAL",
            "LESS",
            "LESS_EQUAL",
            "LOGICAL_AND",
            "LOGICAL_OR",
            "MAXIMUM",
            "MEAN",
            "MINIMUM",
            "MIRROR_PAD",
            "MUL",
            "NOT_EQUAL",
            "PAD",
            "POW",
            "PRELU",
            "REDUCE_ALL",
            "REDUCE_ANY",
            "REDUCE_MAX",
            "REDUCE_MIN",
            "REDUCE_PROD",
            "RESIZE_BILINEAR",
            "RESIZE_NEAREST_NEIGHBOR",
            "REVERSE_V2",
            "SPLIT",
            "SQUARED_DIFFERENCE",
            "SUB",
            "SUM",
            "TILE",
            "TOPK_V2",
            "TRANSPOSE",
        }
    ),
    3: frozenset(
        {
            "BATCH_TO_SPACE_ND",
            "PADV2",
            "RANGE",
            "SCATTER_ND",
            "SELECT",
            "SELECT_V2",
            "SLICE",
            "SPACE_TO_BATCH_ND",
            "SPLIT_V",
            "SVDF",
            "TRANSPOSE_CONV",
        }
    ),
    4: frozenset(
        {
            "ONE_HOT",
            "STRIDED_SLICE",
        }
    ),
}
LEAST_INPUTS = {name: count for count, names in _INPUTS.items() for name in names}
WITHOUT_OUTPUTS = frozenset({"ASSIGN_VARIABLE"})


def arity_fault(name: str, inputs: Sequence[int], outputs: Sequence[int]) -> str:
    """Which inputs or outputs a call lacks, as "CONV_2D has 1 input, and 2 are needed"; "" for a whole one.

    inputs, outputs: tensors by index, -1 for an absent one.
    """
    least = LEAST_INPUTS.get(name)
    if least is None:
        return ""
    absent = next((k for k, index in enumerate(inputs[:least]) if index < 0), None)
    if len(inputs) < least:
        return f"{name} has {_count(inputs, 'input')}, and {least} {'is' if least == 1 else 'are'} needed"
    if absent is not None:
        return f"{name} has no input {absent}, which is needed"
    return f"{name} has no output" if name not in WITHOUT_OUTPUTS and not any(i >= 0 for i in outputs[:1]) else ""


def _count(indices: Sequence[int], word: str) -> str:
    return f"{len(indices)} {word}{'s' if len(indices) != 1 else ''}"
