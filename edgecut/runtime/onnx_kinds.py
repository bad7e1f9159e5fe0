"""What ONNX operators do to the axes of their first input."""

from __future__ import annotations

CHANNELS_FIRST = frozenset(
    {
        "AveragePool",
        "BatchNormalization",
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "DepthToSpace",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "GroupNormalization",
        "InstanceNormalization",
        "LRN",
        "LpPool",
        "MaxPool",
        "QLinearConv",
        "SpaceToDepth",
    }
)
"""Operators that take (batch, channels, ...)."""

SAME_AXES = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "Elu",
        "Erf",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Max",
        "Min",
        "Mul",
        "PRelu",
        "Pad",
        "QuantizeLinear",
        "Relu",
        "Resize",
        "Sigmoid",
        "Slice",
        "Softplus",
        "Split",
        "Sub",
        "Tanh",
        "Upsample",
    }
)
"""Operators that leave the order of the axes alone."""
