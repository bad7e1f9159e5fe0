"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR in int8, by tables of rows and columns."""

from __future__ import annotations

import math

import numpy as np

from edgecut.engine.lowered import Call, Lowered, Model, Read, Value, row_view
from edgecut.engine.quantization import rounded
from edgecut.engine.refusal import Refused
from edgecut.tflite.flatbuffer import Operator, Tensor


def resize_nearest_neighbor(model: Model, op: Operator) -> Lowered:
    """Each pixel copied from the nearest."""
    data, output = _images(model, op)
    flags = _flags(op)
    rows, columns = (_nearest(data.shape[k], output.shape[k], *flags) for k in (1, 2))
    fields: dict[str, Value] = {"rows": rows, "columns": columns}
    return _resized(op, "nearest_row", fields, data, output, (rows, rows + 1))


def resize_bilinear(model: Model, op: Operator) -> Lowered:
    """Each pixel from the four around it, in steps of 1/1024."""
    data, output = _images(model, op)
    flags = _flags(op)
    rows, columns = (_between(data.shape[k], output.shape[k], *flags) for k in (1, 2))
    fields: dict[str, Value] = {"rows": rows, "columns": columns}
    return _resized(op, "bilinear_row", fields, data, output, (rows[:, :2].min(1), rows[:, :2].max(1) + 1))


def _images(model: Model, op: Operator) -> tuple[Tensor, Tensor]:
    data, output = model.activation(op.inputs[0]), model.output(op)
    if len(data.shape) != 4 or len(output.shape) != 4 or data.shape[::3] != output.shape[::3]:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(data.shape)}")
    if min(*data.shape, *output.shape) < 1 or max(data.shape[1:3]) > 16_384:
        raise Refused(f"has an image of shape {list(data.shape)}")
    return data, output


def _flags(op: Operator) -> tuple[bool, bool]:
    return bool(op.options.get("alignCorners")), bool(op.options.get("halfPixelCenters"))


def _resized(
    op: Operator,
    kernel: str,
    tables: dict[str, Value],
    data: Tensor,
    output: Tensor,
    rows: tuple[np.ndarray, np.ndarray],
) -> Lowered:
    fields: dict[str, Value] = {
        "in_height": data.shape[1], "in_width": data.shape[2], "height": output.shape[1], "width": output.shape[2],
        "depth": data.shape[3],
    }  # fmt: skip
    base = np.arange(data.shape[0])[:, None] * data.shape[1]
    first, stop = ((base + edge.astype(np.int64)).ravel() for edge in rows)
    read = Read(op.inputs[0], row_view(data), first, stop)
    return Lowered(Call(kernel, fields | tables), (read,), op.outputs[0], row_view(output))


def _nearest(size: int, made: int, align: bool, half: bool) -> np.ndarray:
    """The place that each is copied from, int16, in float as GetNearestNeighbor computes it."""
    scale = np.float32(size - 1) / np.float32(made - 1) if align and made > 1 else np.float32(size) / np.float32(made)
    places = (np.arange(made, dtype=np.float32) + np.float32(0.5 if half else 0.0)) * scale
    whole = [rounded(float(p)) if align else math.floor(p) for p in places]
    return np.clip(whole, 0 if half else None, size - 1).astype(np.int16)


def _between(size: int, made: int, align: bool, half: bool) -> np.ndarray:
    """(made, 3), int16: the two places on either side and the distance from the first (ResizeBilinearInteger)."""
    step = (1024 * size + made // 2) // made
    if align and made > 1:
        step = (1024 * (size - 1) + (made - 1) // 2) // (made - 1)
    at = np.arange(made) * step + (step // 2 - 512 if half else 0)
    lower = np.maximum(np.sign(at) * (np.abs(at) // 1024), 0)
    ahead = at + 1023
    upper = np.minimum(np.sign(ahead) * (np.abs(ahead) // 1024), size - 1)
    return np.stack([lower, upper, at - 1024 * lower], 1).astype(np.int16)
