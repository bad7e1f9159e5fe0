"""Which TFLite operators a Keras layer, operator or activation becomes, by its class or name; without Keras."""

from __future__ import annotations

from collections.abc import Mapping

# What graph/traced.py makes of a repetition along an axis.
REPEATED = ("RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE")

# Layers and operators that become one operator each, or several in a row of the same shape.
PLAIN: Mapping[str, tuple[str, ...]] = {
    "Absolute": ("ABS",), "Add": ("ADD",), "Average": ("ADD", "MUL"), "AveragePooling2D": ("AVERAGE_POOL_2D",),
    "Clip": ("MINIMUM", "MAXIMUM"), "Concatenate": ("CONCATENATION",), "Conv3D": ("CONV_3D",),
    "Cropping2D": ("STRIDED_SLICE",), "Divide": ("DIV",), "ELU": ("ELU",), "Exp": ("EXP",), "ExpandDims": ("RESHAPE",),
    "Gelu": ("GELU",), "GELU": ("GELU",), "GetItem": ("STRIDED_SLICE",), "GlobalAveragePooling1D": ("MEAN",),
    "GlobalAveragePooling2D": ("MEAN",), "GlobalMaxPooling2D": ("REDUCE_MAX",), "HardSilu": ("HARD_SWISH",),
    "HardSwish": ("HARD_SWISH",), "LayerScale": ("MUL",), "LeakyReLU": ("LEAKY_RELU",), "Max": ("REDUCE_MAX",),
    "Maximum": ("MAXIMUM",), "MaxPooling2D": ("MAX_POOL_2D",), "Mean": ("MEAN",), "Minimum": ("MINIMUM",),
    "Multiply": ("MUL",), "Negative": ("NEG",), "Normalization": ("SUB", "MUL"), "OneHot": ("ONE_HOT",),
    "Permute": ("TRANSPOSE",), "Power": ("POW",), "PReLU": ("PRELU",), "RepeatVector": REPEATED,
    "Sigmoid": ("LOGISTIC",), "Softmax": ("SOFTMAX",), "Sqrt": ("SQRT",), "Square": ("MUL",), "Squeeze": ("RESHAPE",),
    "Subtract": ("SUB",), "Sum": ("SUM",), "Tanh": ("TANH",), "Tile": REPEATED, "TopK": ("TOPK_V2",),
    "Transpose": ("TRANSPOSE",), "TrueDivide": ("DIV",), "UnitNormalization": ("L2_NORMALIZATION",),
    "Where": ("WHERE",),
}  # fmt: skip

# What a layer's activation becomes where it isn't fused into the operator before it.
ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "linear": (), "relu": ("RELU",), "relu6": ("RELU6",), "sigmoid": ("LOGISTIC",), "tanh": ("TANH",),
    "softmax": ("SOFTMAX",), "silu": ("LOGISTIC", "MUL"), "swish": ("LOGISTIC", "MUL"), "elu": ("ELU",),
    "hard_silu": ("HARD_SWISH",), "hard_swish": ("HARD_SWISH",), "gelu": ("GELU",), "leaky_relu": ("LEAKY_RELU",),
    "hard_sigmoid": ("ADD", "MUL"), "exponential": ("EXP",),
}  # fmt: skip

# Layers that do nothing in inference. RandomCrop isn't one: it resizes.
IDLE = frozenset({
    "ActivityRegularization", "AlphaDropout", "AugMix", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "Mask", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "StochasticDepth",
})  # fmt: skip
