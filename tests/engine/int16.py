"""A small net of 16-bit values and 8-bit weights."""

from __future__ import annotations

import numpy as np

from edgecut.tflite.write import Draft

VALUES, WEIGHTS = 2e-5, 5e-3
WINDOW = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def int16_net(bias: np.dtype | None) -> bytes:
    """CONV_2D with biases of a dtype or none, DEPTHWISE_CONV_2D, both poolings, FULLY_CONNECTED."""
    rng, draft = np.random.default_rng(7), Draft()

    def weights(shape: tuple[int, ...], axis: int) -> int:
        count = shape[axis]
        scales = rng.uniform(WEIGHTS / 2, WEIGHTS, count).tolist() if len(shape) == 4 else [WEIGHTS]
        return draft.constant(rng.integers(-127, 128, shape).astype(np.int8), scales, axis)

    def biases(count: int, dtype: np.dtype | None) -> int:
        return -1 if dtype is None else draft.constant(rng.integers(-9000, 9000, count).astype(dtype), [1e-7])

    x = draft.tensor((1, 9, 7, 3), "int16", VALUES)
    a, b = draft.tensor((1, 5, 4, 6), "int16", 4e-4), draft.tensor((1, 5, 4, 12), "int16", 9e-4)
    c, d = draft.tensor((1, 4, 3, 12), "int16", 9e-4), draft.tensor((1, 2, 1, 12), "int16", 9e-4)
    y = draft.tensor((1, 5), "int16", 2e-3)
    draft.operator("CONV_2D", [x, weights((6, 3, 3, 3), 0), biases(6, bias)], [a], 1, "Conv2DOptions",
                   {**WINDOW, "strideH": 2, "strideW": 2, "fusedActivationFunction": 1})  # fmt: skip
    draft.operator("DEPTHWISE_CONV_2D", [a, weights((1, 3, 3, 12), 3), biases(12, np.dtype(np.int64))], [b], 1,
                   "DepthwiseConv2DOptions", {**WINDOW, "depthMultiplier": 2})  # fmt: skip
    for kind, before, behind, stride in (("MAX", b, c, 1), ("AVERAGE", c, d, 2)):
        options = {"padding": 1, "strideH": stride, "strideW": stride, "filterHeight": 2, "filterWidth": 2}
        draft.operator(f"{kind}_POOL_2D", [before], [behind], 1, "Pool2DOptions", options)
    dense = [d, weights((5, 24), 0), biases(5, np.dtype(np.int64))]
    draft.operator("FULLY_CONNECTED", dense, [y], 1, "FullyConnectedOptions")
    return draft.file([x], [y])


def int16_residual() -> bytes:
    """A residual, a gate over columns, and what moves, averages, sums and ends 16-bit values."""
    rng, draft = np.random.default_rng(9), Draft()

    def made(name: str, inputs: list[int], shape: tuple[int, ...], scale: float, **options: object) -> int:
        index = draft.tensor(shape, "int16", scale)
        table = {"CONCATENATION": "Concatenation", "SOFTMAX": "Softmax", "MEAN": "Reducer", "SUM": "Reducer"}.get(name)
        table = table or {"PAD": "Pad", "RESHAPE": "Reshape", "STRIDED_SLICE": "StridedSlice"}.get(name, name.title())
        draft.operator(name, inputs, [index], 1, f"{table}Options", options)
        return index

    def numbers(*values: int | tuple[int, ...]) -> int:
        return draft.constant(np.array(values, np.int32))

    x = draft.tensor((1, 9, 7, 3), "int16", VALUES)
    padded = made("PAD", [x, numbers((0, 0), (1, 2), (0, 1), (1, 0))], (1, 12, 8, 4), VALUES)
    gate = draft.constant(rng.integers(-(2**15), 2**15, (1, 1, 8, 1)).astype(np.int16), [3e-5])
    y = made("MUL", [padded, gate], (1, 12, 8, 4), VALUES * 0.7, fusedActivationFunction=1)
    y = made("ADD", [y, padded], (1, 12, 8, 4), VALUES * 1.9, potScaleInt16=False)
    part = made(
        "STRIDED_SLICE", [y, numbers(0, 0, 1, 1), numbers(1, 12, 8, 4), numbers(1, 2, 3, 1)], (1, 6, 3, 3), VALUES * 1.9
    )
    z = made("SUB", [part, made("MEAN", [part, numbers(1, 2)], (1, 1, 1, 3), 1e-5, keepDims=True)], (1, 6, 3, 3), 7e-5)
    z = made("CONCATENATION", [z, z], (1, 6, 3, 6), 7e-5, axis=3)
    ends = [
        made("SOFTMAX", [z], (1, 6, 3, 6), 2**-15, beta=1.0),
        made("SUM", [z, numbers(3)], (1, 6, 3), 3e-4),
        made("SOFTMAX", [made("RESHAPE", [z, numbers(1, 108)], (1, 108), 7e-5)], (1, 108), 2**-15, beta=3.0),
    ]
    return draft.file([x], ends)
