"""What ONNX Runtime's default optimizations make of a graph, since that is how users run it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgecut.runtime.session import Kernels, Session

_IMAGES = 4
_KERNELS: tuple[Kernels, ...] = ("plain", "default")


def keep_pads(model: onnx.ModelProto) -> None:
    """Keep ONNX Runtime's PadFusion, which is on by default, from folding a Pad into the MaxPool behind it.

    It gives the zeros up for MaxPool's own padding, which is minus infinity: onnxruntime 1.31.1 was 0.58 off on a
    convolution, a ZeroPadding2D and a MaxPooling2D; 1.32.0 isn't, and files are run by older ones too. It leaves a Pad
    with the input `axes` alone, so each such Pad names all its axes, which changes nothing else. Pads keep their form
    below opset 18, which has no such input.
    """
    if _opset(model) < 18:
        return
    graph = model.graph
    pooled = {node.input[0] for node in graph.node if node.op_type == "MaxPool"}
    ranks = _ranks(model)
    for number, node in enumerate(graph.node):
        if node.op_type != "Pad" or node.output[0] not in pooled or len(node.input) > 3:
            continue
        rank = ranks.get(node.output[0])
        if rank is None:
            continue
        name = f"{node.name or number}/axes"
        graph.initializer.append(numpy_helper.from_array(np.arange(rank, dtype=np.int64), name))
        node.input.extend([""] * (3 - len(node.input)) + [name])


def fusion_difference(content: bytes) -> float | None:
    """How far a file's first output is off under ONNX Runtime's default optimizations, over its largest value.

    On four seeded random inputs. None for a file with 8-bit values, whose optimized kernels round otherwise.
    """
    model = onnx.load_model_from_string(content)
    if any(
        node.op_type in {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"} for node in model.graph.node
    ):
        return None
    results = []
    for kernels in _KERNELS:
        session, random = Session(content, "onnx", "export: the file", kernels=kernels), np.random.default_rng(0)
        results.append([session.run(_feeds(model, random), session.outputs[:1])[0] for _ in range(_IMAGES)])
    plain, fused = (np.stack(rows).astype(np.float64) for rows in results)
    return float(np.abs(plain - fused).max() / max(np.abs(plain).max(), 1e-30))


def _feeds(model: onnx.ModelProto, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Normal values for each input; open axes get size 1."""
    feeds = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [axis.dim_value or 1 for axis in kind.shape.dim]
        feeds[value.name] = random.normal(size=shape).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return feeds


def _opset(model: onnx.ModelProto) -> int:
    return max((x.version for x in model.opset_import if x.domain in {"", "ai.onnx"}), default=0)


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    """The number of axes of each tensor, as far as the file or inference tells."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }
