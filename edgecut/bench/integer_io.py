"""The bytes that a file takes and gives, as those that its plain C takes and gives: integers in the place of floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgecut.runtime.files import dequantize, quantize
from edgecut.runtime.specs import tflite_specs
from edgecut.tflite.ends import integer_ends
from edgecut.tflite.flatbuffer import TfliteGraph


def in_integers(graph: TfliteGraph) -> TfliteGraph:
    """The graph with the inputs and outputs of its plain C, which leaves a first QUANTIZE and a last DEQUANTIZE out."""
    inputs, outputs = integer_ends(graph)
    return replace(graph, inputs=inputs, outputs=outputs)


def recoded(graph: TfliteGraph, values: bytes, source: Sequence[int], target: Sequence[int]) -> bytes:
    """The bytes of some tensors, one behind the other, as other tensors carry the same values.

    source, target: indices, of as many elements each. Floats become integers as a QUANTIZE makes them, integers floats
    as a DEQUANTIZE does. Raises RunError for floats that aren't finite.
    """
    rows, start = b"", 0
    for index, old, new in zip(source, tflite_specs(graph, source), tflite_specs(graph, target), strict=True):
        part = values[start : start + graph.tensors[index].size_bytes]
        start += len(part)
        if old.dtype != new.dtype:
            array = np.frombuffer(part, old.dtype)
            part = (quantize(array, new) if old.dtype == "float32" else dequantize(array, old)).tobytes()
        rows += part
    return rows
