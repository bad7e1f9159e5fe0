"""The table of operators: which rule makes layers of one, and what it becomes. Read without Keras.

A rule is "file:function" in this folder; it takes a building.Site. constants: inputs that must not depend on the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """How an operator is had. layer: what it usually becomes; "" where it moves nothing."""

    home: str
    layer: str
    constants: tuple[int, ...] = ()


_UNARY = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Ceil",
    "Cos",
    "Cosh",
    "Erf",
    "Floor",
    "IsNaN",
    "Log",
    "Neg",
    "Not",
    "Reciprocal",
    "Round",
    "Sign",
    "Sin",
    "Sinh",
    "Sqrt",
    "Tan",
]
_BINARY = ("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Or", "Xor")
_REDUCTIONS = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
]

RULES: Mapping[str, Rule] = {
    # convolution
    "Conv": Rule("convolution:conv", "Conv", (1, 2)),
    "ConvTranspose": Rule("convolution:conv_transpose", "ConvTranspose", (1, 2)),
    # pooling
    "AveragePool": Rule("pooling:average_pool", "AveragePooling"),
    "GlobalAveragePool": Rule("pooling:global_average_pool", "GlobalAveragePooling"),
    "GlobalMaxPool": Rule("pooling:global_max_pool", "GlobalMaxPooling"),
    "LpPool": Rule("pooling:lp_pool", "AveragePooling"),
    "MaxPool": Rule("pooling:max_pool", "MaxPooling"),
    # elementwise
    "Add": Rule("elementwise:add", "Add"),
    "Div": Rule("elementwise:divide", "Divide"),
    "IsInf": Rule("elementwise:is_inf", "IsInf"),
    "Max": Rule("elementwise:variadic", "Maximum"),
    "Mean": Rule("elementwise:variadic", "Average"),
    "Min": Rule("elementwise:variadic", "Minimum"),
    "Mod": Rule("elementwise:modulo", "Mod"),
    "Mul": Rule("elementwise:multiply", "Multiply"),
    "Pow": Rule("elementwise:power", "Power"),
    "Sub": Rule("elementwise:subtract", "Subtract"),
    "Sum": Rule("elementwise:variadic", "Add"),
    "Where": Rule("elementwise:where", "Where"),
    **{name: Rule("elementwise:unary", name) for name in _UNARY},
    **{name: Rule("elementwise:binary", name) for name in _BINARY},
    # activation
    "Celu": Rule("activation:celu", "Activation"),
    "Clip": Rule("activation:clip", "ReLU", (1, 2)),
    "Elu": Rule("activation:elu", "ELU"),
    "Exp": Rule("activation:named", "Activation"),
    "Gelu": Rule("activation:gelu", "Activation"),
    "HardSigmoid": Rule("activation:hard_sigmoid", "Activation"),
    "HardSwish": Rule("activation:named", "Activation"),
    "Hardmax": Rule("activation:hardmax", "OneHot"),
    "LeakyRelu": Rule("activation:leaky_relu", "LeakyReLU"),
    "LogSoftmax": Rule("activation:log_softmax", "LogSoftmax"),
    "Mish": Rule("activation:mish", "Activation"),
    "PRelu": Rule("activation:prelu", "PReLU", (1,)),
    "Relu": Rule("activation:relu", "ReLU"),
    "Selu": Rule("activation:selu", "Activation"),
    "Shrink": Rule("activation:shrink", "Add"),
    "Sigmoid": Rule("activation:named", "Activation"),
    "Softmax": Rule("activation:softmax", "Softmax"),
    "Softplus": Rule("activation:named", "Activation"),
    "Softsign": Rule("activation:softsign", "Activation"),
    "Swish": Rule("activation:named", "Activation"),
    "Tanh": Rule("activation:named", "Activation"),
    "ThresholdedRelu": Rule("activation:thresholded_relu", "ReLU"),
    # normalization
    "BatchNormalization": Rule("normalization:batch_normalization", "BatchNormalization", (1, 2, 3, 4)),
    "GroupNormalization": Rule("normalization:group_normalization", "GroupNormalization", (1, 2)),
    "InstanceNormalization": Rule("normalization:instance_normalization", "GroupNormalization", (1, 2)),
    "LRN": Rule("normalization:local_response_normalization", "AveragePooling2D"),
    "LayerNormalization": Rule("normalization:layer_normalization", "LayerNormalization", (1, 2)),
    "LpNormalization": Rule("normalization:lp_normalization", "Divide"),
    "RMSNormalization": Rule("normalization:rms_normalization", "RMSNormalization", (1,)),
    # products
    "Einsum": Rule("products:einsum", "Einsum"),
    "Gemm": Rule("products:gemm", "Dense", (1,)),
    "MatMul": Rule("products:matmul", "Dense"),
    "MultiHeadAttention": Rule("attention:multi_head", "MultiHeadAttention"),
    # shaping
    "Cast": Rule("shaping:cast", ""),
    "CastLike": Rule("shaping:cast_like", ""),
    "Concat": Rule("shaping:concat", "Concatenate"),
    "DepthToSpace": Rule("shaping:depth_to_space", "Permute"),
    "Dropout": Rule("shaping:identity", ""),
    "Expand": Rule("shaping:expand", "Repeat", (1,)),
    "Flatten": Rule("shaping:reshape", "Reshape"),
    "Gather": Rule("shaping:gather", "GetItem"),
    "Identity": Rule("shaping:identity", ""),
    "OneHot": Rule("shaping:one_hot", "OneHot", (1, 2)),
    "Pad": Rule("shaping:pad", "ZeroPadding", (1, 2, 3)),
    "Reshape": Rule("shaping:reshape", "Reshape", (1,)),
    "Slice": Rule("shaping:slice_", "GetItem", (1, 2, 3, 4)),
    "SpaceToDepth": Rule("shaping:space_to_depth", "Permute"),
    "Split": Rule("shaping:split", "Split", (1,)),
    "Squeeze": Rule("shaping:squeeze", "", (1,)),
    "Tile": Rule("shaping:tile", "Repeat", (1,)),
    "Transpose": Rule("shaping:transpose", ""),
    "Trilu": Rule("shaping:trilu", "Multiply", (1,)),
    "Unsqueeze": Rule("shaping:unsqueeze", "", (1,)),
    # reduction
    "ArgMax": Rule("reduction:arg_extreme", "Argmax"),
    "ArgMin": Rule("reduction:arg_extreme", "Argmin"),
    "CumSum": Rule("reduction:cumulative_sum", "Cumsum", (1,)),
    "TopK": Rule("reduction:top_k", "TopK", (1,)),
    **{name: Rule("reduction:reduce", name.removeprefix("Reduce"), (1,)) for name in _REDUCTIONS},
    # resizing
    "Resize": Rule("resizing:resize", "UpSampling2D", (1, 2, 3)),
    "Upsample": Rule("resizing:upsample", "UpSampling2D", (1,)),
    # quantized, where a file is taken in floats
    "DequantizeLinear": Rule("quantized:dequantize", "", (1, 2)),
    "QuantizeLinear": Rule("quantized:quantize", "", (1, 2)),
    # recurrent
    "GRU": Rule("recurrent:gru", "GRU", (1, 2, 3, 4)),
    "LSTM": Rule("recurrent:lstm", "LSTM", (1, 2, 3, 4, 7)),
    "RNN": Rule("recurrent:rnn", "SimpleRNN", (1, 2, 3, 4)),
}

# Why there is no layer for an operator, for those that files have.
REASONS: Mapping[str, str] = {
    "If": "chooses what to compute by the data",
    "Loop": "repeats as often as the data says",
    "Scan": "repeats over a sequence",
    "ConvInteger": "computes in integers",
    "MatMulInteger": "computes in integers",
    "QLinearConv": "computes in integers",
    "QLinearMatMul": "computes in integers",
    "DynamicQuantizeLinear": "quantizes by the data",
    "NonMaxSuppression": "puts out as many boxes as the data says",
    "NonZero": "puts out as many places as the data says",
    "Unique": "puts out as many values as the data says",
    "Compress": "puts out as many values as the data says",
    "RandomNormal": "is random",
    "RandomNormalLike": "is random",
    "RandomUniform": "is random",
    "RandomUniformLike": "is random",
}
