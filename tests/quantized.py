"""A small int8 file with known defects, and the values of the float file that it was made of. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecut.quantize.explain import Reference
from edgecut.quantize.interior import Interior
from edgecut.quantize.names import LayerOutput
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.patch import constant, patched

FIXTURES = Path(__file__).parent / "fixtures"
INT8 = (FIXTURES / "tiny.int8.tflite").read_bytes()
FLOAT = (FIXTURES / "tiny.float32.tflite").read_bytes()

LAYERS = (
    LayerOutput("stem", (None, 6, 6, 8), "Conv2D"), LayerOutput("depthwise", (None, 6, 6, 8), "DepthwiseConv2D"),
    LayerOutput("pointwise", (None, 6, 6, 144), "Conv2D"), LayerOutput("pool", (None, 1, 1, 144), "AveragePooling2D"),
)  # fmt: skip
"""The network of tools/make_fixtures.py up to its pooling, as a Keras model's calls would list it: its seeded scores
hardly vary, so that 8 bits keep nothing of them."""


def images(count: int = 16, seed: int = 3) -> np.ndarray:
    """(count, 12, 12, 1), float32 in -1..1, of the kind that the fixture was calibrated on."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, 12, 12, 1)).astype(np.float32)


def scaled_float(operator: int, factors: np.ndarray) -> bytes:
    """The float file with the channels of one of its convolutions multiplied by factors (channels,)."""
    op = parse(FLOAT, "float file").operators[operator]
    weights, bias = (constant(FLOAT, index) for index in op.inputs[1:3])
    shape = (1, 1, 1, -1) if op.name == "DEPTHWISE_CONV_2D" else (-1, 1, 1, 1)
    scaled = {op.inputs[1]: weights * factors.reshape(shape), op.inputs[2]: bias * factors}
    return patched(FLOAT, {index: array.astype(np.float32) for index, array in scaled.items()}, {})


def reference(pixels: np.ndarray, float32: bytes = FLOAT) -> Reference:
    """A float file's own values, under the layers' names."""
    interior = Interior(float32)
    graph = interior.graph
    by_name = {op.outputs[0]: graph.tensors[op.outputs[0]].name.split("/") for op in graph.operators}
    places = {parts[1].removesuffix("_1"): index for index, parts in by_name.items() if len(parts) > 1}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("stem", "depthwise", "pointwise", "pool")}
    for image in pixels:
        interior.run([image[None]])
        for name, row in rows.items():
            row.append(interior.real(places[name]))
    return Reference(float32, pixels, LAYERS, {name: np.concatenate(row) for name, row in rows.items()})
