"""Where a graph whose inputs or outputs are floats begins and ends in integers."""

from __future__ import annotations

from edgecut.tflite.flatbuffer import Operator, TfliteGraph


def integer_ends(graph: TfliteGraph) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tensors behind a float input's QUANTIZE, and before a float output's DEQUANTIZE; others as they are."""
    readers: dict[int, list[Operator]] = {}
    for op in graph.operators:
        for index in op.inputs:
            readers.setdefault(index, []).append(op)
    makers = {index: op for op in graph.operators for index in op.outputs}

    def entered(index: int) -> int:
        using = readers.get(index, [])
        quantizes = len(using) == 1 and using[0].name == "QUANTIZE" and graph.tensors[index].dtype == "float32"
        return using[0].outputs[0] if quantizes else index

    def left(index: int) -> int:
        op = makers.get(index)
        return op.inputs[0] if op and op.name == "DEQUANTIZE" and graph.tensors[index].dtype == "float32" else index

    return tuple(map(entered, graph.inputs)), tuple(map(left, graph.outputs))
