"""What each operator of a .tflite file is: one row an operator, and the sets that follow from the rows.

Operators that have no row are unknown: nothing is assumed of what they compute, cost or keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Trait = Literal[
    "weighted",  # constant filters are its input 1; a bias may follow the data and the filters
    "multiplies",  # its multiply-accumulates are counted (ops.py)
    "unmodelled",  # multiplies, and its multiply-accumulates aren't counted, or runs another subgraph
    "convolution",  # CONV_2D or one by channels, whose kernels keep numbers for each filter and melt a padding
    "windowed",  # reads windows of an image, whose strides and padding its output's size tells
    "renames",  # the values as they lie, under another shape
    "settable",  # data, int8 weights and an int32 bias are its inputs 0, 1 and 2, whose numbers corrections set
    "same scale",  # its outputs have its inputs' scale and zero point (quantization_spec: "same scale" restriction)
    "own scale",  # takes its operands and puts out its result on grids of their own
    "fixed scale",  # takes any scale; what it puts out has one that the specification fixes
    "channelwise",  # a positive factor for each channel passes it unchanged, the channels being the last axis
    "boundary",  # changes how a value is held, not what it is
    "cheap",  # moves or renames, or next to no work: no kernel of its own is worth a warning
    "stateful",  # its effect isn't in its outputs: a part of a graph would lose it
    "passes scores",  # brings scores to another shape or type, and lets their meaning be
    "folds scale",  # a converter folds a scale and shift behind it into its weights
    "folds normalization",  # the same of a normalization only
    "adds bias",  # what a converter leaves of a bias that it folded into nothing
    "fuses relu",  # a converter fuses a ReLU or ReLU6 behind it
    "fused",  # such a ReLU
    "of many",  # of two values, and of more two by two
    "binary",  # of two values, of which one may be a constant
    "by exponential",  # each element goes through an exponential or a table of one
    "rearranges",  # copies elements to other places, which a compiler that places tensors need not do at all
    "bounds",  # the larger or the smaller of two values: a limit, where one is a constant
    "pixelwise",  # does one thing to each value, or to each group of channels, wherever it lies
    "float only",  # has no kernel for integers: stays in float in an int8 file
    "no outputs",
]


@dataclass(frozen=True)
class Kind:
    """An operator's row.

    least_inputs: as the runtimes' kernels check it (tensorflow/lite/kernels/*.cc: NumInputs in each Prepare), 0 where
    any count will do. constants: how many it takes beside one value, such as axes, a shape, sizes. ends: the
    activation that it computes, as Keras calls it, "" for another operator.
    """

    least_inputs: int
    traits: frozenset[Trait]
    constants: int = 0
    ends: str = ""


def _kind(least_inputs: int, *traits: Trait, constants: int = 0, ends: str = "") -> Kind:
    return Kind(least_inputs, frozenset(traits), constants, ends)


_LAYER: tuple[Trait, Trait] = ("weighted", "multiplies")
_FOLDS: tuple[Trait, Trait] = ("folds scale", "folds normalization")

# What neither multiplies nor is unmodelled is element-wise work, pooling, movement or look-up. Control flow (IF, WHILE,
# CALL) and recurrent operators have no row, on purpose: what they compute isn't in the first subgraph's shapes alone.
KINDS: dict[str, Kind] = {
    "ABS": _kind(1),
    "ADD": _kind(2, "own scale", "adds bias", "channelwise", "fuses relu", "binary", "of many"),
    "ADD_N": _kind(1),
    "ARG_MAX": _kind(2, "cheap"),
    "ARG_MIN": _kind(2, "cheap"),
    "ASSIGN_VARIABLE": _kind(2, "cheap", "stateful", "no outputs"),
    "ATAN2": _kind(0),
    "AVERAGE_POOL_2D": _kind(1, "windowed", "same scale", "channelwise", "passes scores", "fuses relu"),
    "BATCH_MATMUL": _kind(2, "multiplies"),
    "BATCH_TO_SPACE_ND": _kind(3, "same scale"),
    "BITCAST": _kind(0),
    "BITWISE_XOR": _kind(0),
    "BROADCAST_ARGS": _kind(2, "cheap"),
    "BROADCAST_TO": _kind(2, "cheap"),
    "CALL_ONCE": _kind(0, "unmodelled", "cheap", "stateful"),
    "CAST": _kind(1, "cheap", "passes scores"),
    "CEIL": _kind(1),
    "COMPLEX_ABS": _kind(0),
    "CONCATENATION": _kind(1, "same scale", "cheap", "rearranges"),
    "CONV_2D": _kind(2, *_LAYER, "convolution", "windowed", "settable", "own scale", *_FOLDS, "fuses relu"),
    "CONV_3D": _kind(2, *_LAYER),
    "CONV_3D_TRANSPOSE": _kind(0, "weighted", "unmodelled"),
    "COS": _kind(1),
    "CUMSUM": _kind(2),
    "DEPTHWISE_CONV_2D": _kind(2, *_LAYER, "convolution", "windowed", "settable", "own scale", *_FOLDS, "fuses relu"),
    "DEPTH_TO_SPACE": _kind(1, "same scale"),
    "DEQUANTIZE": _kind(1, "own scale", "boundary", "cheap", "passes scores", "pixelwise"),
    "DIV": _kind(2, "fuses relu", "binary"),
    "DYNAMIC_UPDATE_SLICE": _kind(0),
    "ELU": _kind(1, "by exponential"),
    "EMBEDDING_LOOKUP": _kind(2),
    "EQUAL": _kind(2),
    "EXP": _kind(1, "by exponential"),
    "EXPAND_DIMS": _kind(2, "renames", "same scale", "cheap", "passes scores"),
    "FAKE_QUANT": _kind(0),
    "FILL": _kind(2, "cheap"),
    "FLOOR": _kind(1),
    "FLOOR_DIV": _kind(2),
    "FLOOR_MOD": _kind(2),
    "FULLY_CONNECTED": _kind(2, *_LAYER, "settable", "own scale", *_FOLDS, "fuses relu", "pixelwise"),
    "GATHER": _kind(2, "same scale", "cheap"),
    "GATHER_ND": _kind(2),
    "GELU": _kind(1, "by exponential"),
    "GREATER": _kind(2),
    "GREATER_EQUAL": _kind(2),
    "HARD_SWISH": _kind(1, "own scale", "by exponential", "pixelwise"),
    "HASHTABLE": _kind(0, "stateful"),
    "HASHTABLE_FIND": _kind(0, "stateful"),
    "HASHTABLE_IMPORT": _kind(0, "stateful"),
    "HASHTABLE_SIZE": _kind(0, "stateful"),
    "IMAG": _kind(0),
    "L2_NORMALIZATION": _kind(1, "fixed scale"),
    "L2_POOL_2D": _kind(1),
    "LEAKY_RELU": _kind(1, "own scale", "pixelwise"),
    "LESS": _kind(2),
    "LESS_EQUAL": _kind(2),
    "LOCAL_RESPONSE_NORMALIZATION": _kind(1),
    "LOG": _kind(1),
    "LOGICAL_AND": _kind(2),
    "LOGICAL_NOT": _kind(1),
    "LOGICAL_OR": _kind(2),
    "LOGISTIC": _kind(1, "fixed scale", "by exponential", "pixelwise", ends="sigmoid"),
    "LOG_SOFTMAX": _kind(1, "fixed scale", "by exponential", ends="log_softmax"),
    "MATRIX_DIAG": _kind(0),
    "MATRIX_SET_DIAG": _kind(0),
    "MAXIMUM": _kind(2, "same scale", "binary", "bounds"),
    "MAX_POOL_2D": _kind(1, "windowed", "same scale", "channelwise", "fuses relu"),
    "MEAN": _kind(2, "own scale", "channelwise", "passes scores", constants=1),
    "MINIMUM": _kind(2, "same scale", "binary", "bounds"),
    "MIRROR_PAD": _kind(2, "same scale"),
    "MUL": _kind(2, "own scale", "fuses relu", "binary", "of many"),
    "NEG": _kind(1, "float only"),
    "NOT_EQUAL": _kind(2),
    "ONE_HOT": _kind(4),
    "PACK": _kind(1, "same scale", "cheap", "rearranges"),
    "PAD": _kind(2, "same scale", "channelwise", "cheap", "rearranges", constants=1),
    "PADV2": _kind(3, "same scale", "cheap", "rearranges"),
    "POW": _kind(2),
    "PRELU": _kind(2),
    "QUANTIZE": _kind(1, "own scale", "channelwise", "boundary", "cheap", "passes scores", "pixelwise"),
    "RANGE": _kind(3),
    "RANK": _kind(1),
    "READ_VARIABLE": _kind(1, "cheap", "stateful"),
    "REAL": _kind(0),
    "REDUCE_ALL": _kind(2),
    "REDUCE_ANY": _kind(2),
    "REDUCE_MAX": _kind(2, constants=1),
    "REDUCE_MIN": _kind(2),
    "REDUCE_PROD": _kind(2),
    "RELU": _kind(1, "fused", "pixelwise"),
    "RELU6": _kind(1, "fused", "pixelwise"),
    "RELU_0_TO_1": _kind(1),
    "RELU_N1_TO_1": _kind(1),
    "RESHAPE": _kind(1, "renames", "same scale", "channelwise", "cheap", "passes scores", constants=1),
    "RESIZE_BILINEAR": _kind(2, "same scale", constants=1),
    "RESIZE_NEAREST_NEIGHBOR": _kind(2, "same scale", constants=1),
    "REVERSE_SEQUENCE": _kind(0),
    "REVERSE_V2": _kind(2, "same scale"),
    "RIGHT_SHIFT": _kind(0),
    "ROUND": _kind(1),
    "RSQRT": _kind(1, "by exponential"),
    "SCATTER_ND": _kind(3),
    "SELECT": _kind(3),
    "SELECT_V2": _kind(3),
    "SHAPE": _kind(1),
    "SIGN": _kind(1),
    "SIN": _kind(1),
    "SLICE": _kind(3, "same scale", "cheap", "rearranges"),
    "SOFTMAX": _kind(1, "fixed scale", "by exponential", "pixelwise", ends="softmax"),
    "SPACE_TO_BATCH_ND": _kind(3, "same scale"),
    "SPACE_TO_DEPTH": _kind(1, "same scale"),
    "SPARSE_TO_DENSE": _kind(0),
    "SPLIT": _kind(2, "same scale", "cheap", "rearranges"),
    "SPLIT_V": _kind(3, "same scale", "cheap", "rearranges"),
    "SQRT": _kind(1),
    "SQUARE": _kind(1),
    "SQUARED_DIFFERENCE": _kind(2),
    "SQUEEZE": _kind(1, "renames", "same scale", "cheap", "passes scores"),
    "STRIDED_SLICE": _kind(4, "same scale", "cheap", "rearranges", constants=3),
    "SUB": _kind(2, "own scale", "adds bias", "fuses relu", "binary"),
    "SUM": _kind(2, constants=1),
    "SVDF": _kind(3, "multiplies"),
    "TANH": _kind(1, "fixed scale", "by exponential", "pixelwise", ends="tanh"),
    "TILE": _kind(2, "same scale"),
    "TOPK_V2": _kind(2),
    "TRANSPOSE": _kind(2, "same scale", "passes scores", constants=1),
    "TRANSPOSE_CONV": _kind(3, *_LAYER, "own scale", "folds normalization"),
    "UNPACK": _kind(1, "same scale", "cheap", "rearranges"),
    "VAR_HANDLE": _kind(0, "cheap", "stateful"),
    "WHERE": _kind(0),
    "ZEROS_LIKE": _kind(1),
}


def having(trait: Trait) -> frozenset[str]:
    """The operators that have a trait."""
    return frozenset(name for name, kind in KINDS.items() if trait in kind.traits)


WEIGHTED = having("weighted")
MULTIPLIES = having("multiplies")
NO_MACS = frozenset(KINDS) - MULTIPLIES - having("unmodelled")
CONVOLUTIONS = having("convolution")
WINDOWED = having("windowed")
RENAMES = having("renames")
SETTABLE = having("settable")
SAME_SCALE = having("same scale")
OWN_SCALE = having("own scale")
FIXED_SCALE = having("fixed scale")
CHANNELWISE = having("channelwise")
BOUNDARIES = having("boundary")
CHEAP = having("cheap")
STATEFUL = having("stateful")
PASSES_SCORES = having("passes scores")
FOLDS_SCALE = having("folds scale")
FOLDS_NORMALIZATION = having("folds normalization")
ADDS_BIAS = having("adds bias")
FUSES_RELU = having("fuses relu")
FUSED = having("fused")
BY_EXPONENTIAL = having("by exponential")
PIXELWISE = having("pixelwise")
REARRANGES = having("rearranges")
BOUNDS = having("bounds")
OF_MANY = having("of many")
BINARY = having("binary")
FLOAT_ONLY = having("float only")
WITHOUT_OUTPUTS = having("no outputs")
LEAST_INPUTS = {name: kind.least_inputs for name, kind in KINDS.items() if kind.least_inputs}
CONSTANTS = {name: kind.constants for name, kind in KINDS.items() if kind.constants}
ACTIVATIONS = {name: kind.ends for name, kind in KINDS.items() if kind.ends}
