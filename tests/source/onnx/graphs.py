"""Small .onnx files: of one operator, or of a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)


def weight(*shape: int) -> np.ndarray:
    """Seeded weights, about as large as a trained net's."""
    return (random.standard_normal(shape) / 2).astype(np.float32)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str | None]],
    constants: Mapping[str, np.ndarray],
    outputs: Sequence[str] = ("y",),
    *,
    opset: int = 17,
    types: Mapping[str, int] | None = None,
    producer: str = "",
) -> Path:
    """A file of nodes. inputs: shapes by name, with text or None for a size that is open."""
    made = [
        helper.make_tensor_value_info(name, (types or {}).get(name, TensorProto.FLOAT), shape)
        for name, shape in inputs.items()
    ]
    graph = helper.make_graph(
        list(nodes),
        "graph",
        made,
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    graph = onnx.GraphProto.FromString(graph.SerializeToString())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name=producer)
    model.ir_version = min(model.ir_version, 10)
    path.write_bytes(model.SerializeToString())
    return path


def one(operator: str, *arguments: Any, outputs: Sequence[str] = ("y",), **attributes: Any) -> onnx.NodeProto:
    """One node."""
    return helper.make_node(operator, list(arguments), list(outputs), **attributes)
