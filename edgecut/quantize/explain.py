"""Quantization error layer by layer, in the source model's names, with a suspected cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.errors import RequestError
from edgecut.quantize.causes import cause_of, whole_causes
from edgecut.quantize.interior import Interior, quantized_rows, run_operator, to_grid
from edgecut.quantize.names import LayerOutput, layer_tensors
from edgecut.records.explanation import Explanation, LayerError, Suspicion
from edgecut.records.progress import SILENT, Progress
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, parse

COLLAPSE_DB = 10.0
# A shift counts from a twentieth of the layer's standard deviation, where it makes up half of the error.
SHIFT, SHIFT_SHARE = 0.05, 0.5
NARROW_STEPS = 16
_CAP_DB = 200.0
_SCALED_LIKENESS, _SCALED_FACTOR, _SCALED_SHARE = 0.95, 1.2, 0.1
# A channel whose deviation is below this share of its mean is lost in the steps, and only its mean can be compared.
_FLAT = 0.05


@dataclass(frozen=True, eq=False)
class Reference:
    """What a file is explained against: the source model's layers in calling order, and their values by name.

    values: (n, ...), float32, on the same images as the file gets.
    """

    layers: Sequence[LayerOutput]
    values: Mapping[str, np.ndarray]


def explain(
    content: bytes, name: str, images: np.ndarray, reference: Reference, *, suspicions: Sequence[Suspicion] = (),
    progress: Progress = SILENT,
) -> Explanation:  # fmt: skip
    """A quantized .tflite file explained. images: (n, ...), float32, as the file takes them.

    suspicions: what is known already about the request, such as a wrong preprocess; they come first.
    Raises SourceError for a foreign file, RequestError if no layer of the source is found in it, RunError if LiteRT
    can't run it.
    """
    graph = parse(content, name)
    names = layer_tensors(graph, reference.layers)
    known = {index: layer for index, layer in names.items() if layer in reference.values}
    if not known:
        raise RequestError(f"{name}: no layer of the source model is found in it; give the model that it was made of")
    if not any(tensor.scales for tensor in graph.tensors):
        raise RequestError(f"{name}: nothing in it is quantized, so there is nothing to explain")
    got = _run(content, graph, images, known, progress)
    wanted = {index: _equalized(reference.values[layer], got[index]) for index, layer in known.items()}
    added = _added(content, graph, images, wanted, progress)
    total = sum(added.values())
    layers = []
    for operator in graph.operators:
        for index in operator.outputs:
            if index in known:
                row = _layer(known[index], operator, graph.tensors[index], wanted[index], got[index])
                share = None if index not in added else added[index] / total if total > 0 else 0.0
                cause, reason = cause_of(row, wanted[index])
                layers.append(row.model_copy(update={"added": share, "cause": cause, "reason": reason}))
    in_float = tuple(_label(graph, op, names) for op in graph.operators if _in_float(graph, op))
    found = (*suspicions, *whole_causes(graph, layers, in_float, images))
    return Explanation(
        artifact=name, images=len(images), layers=tuple(layers),
        collapses_at=next((x.name for x in layers if x.sqnr_varying < COLLAPSE_DB), None),
        shift_starts_at=next((x.name for x in layers if _is_shifted(x)), None),
        suspicions=found, in_float=in_float, unmatched=_unmatched(graph, known),
    )  # fmt: skip


def _is_shifted(layer: LayerError) -> bool:
    return layer.mean_shift >= SHIFT and layer.shift_share >= SHIFT_SHARE


def _run(
    content: bytes, graph: TfliteGraph, images: np.ndarray, known: Mapping[int, str], progress: Progress
) -> dict[int, np.ndarray]:
    """The real values of the known tensors over the images."""
    interior = Interior(content, graph)
    rows: dict[int, list[np.ndarray]] = {index: [] for index in known}
    with progress.task("running the file", len(images)) as advance:
        for image in quantized_rows(images, graph.tensors[graph.inputs[0]]):
            interior.run([image])
            for index, row in rows.items():
                row.append(interior.real(index))
            advance(1)
    return {index: np.concatenate(row) for index, row in rows.items()}


def _layer(name: str, operator: Operator, tensor: Tensor, wanted: np.ndarray, got: np.ndarray) -> LayerError:
    rows = wanted.reshape(-1, got.shape[-1]).astype(np.float64)
    errors = got.reshape(rows.shape) - rows
    variance, shift = rows.var(axis=0), errors.mean(axis=0)
    noise, spread = float((errors**2).mean(axis=0).sum()), float(variance.sum())
    varies = variance > 1e-12
    own = np.abs(shift[varies]) / np.sqrt(variance[varies])
    worst = int(np.flatnonzero(varies)[own.argmax()]) if len(own) else None
    limits = _limits(tensor)
    spans = rows.max(axis=0) - rows.min(axis=0)
    used = (float(rows.min()), float(rows.max()))
    return LayerError(
        name=name, operator=operator.name, dtype=tensor.dtype,
        sqnr=_db(float((rows**2).mean(axis=0).sum()), noise), sqnr_varying=_db(spread, noise),
        mean_shift=float(np.sqrt(np.sum(shift**2) / spread)) if spread > 0 else 0.0,
        shift_share=float(np.sum(shift**2)) / noise if noise > 0 else 0.0,
        worst_channel=worst, worst_shift=float(own.max()) if len(own) else 0.0,
        saturation=0.0 if limits is None else _beyond(rows, limits, tensor.scales[0]),
        clipping=0.0 if limits is None else _clipping(rows, limits, tensor.scales[0]), range=limits, used=used,
        use=None if limits is None else min(1.0, (used[1] - used[0]) / max(limits[1] - limits[0], 1e-30)),
        narrow=0.0 if limits is None else float(np.mean(spans < NARROW_STEPS * tensor.scales[0])),
    )  # fmt: skip


def _equalized(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    """The source's values in the file's shape, with its channel factors where cross-layer equalization set some.

    A layer was scaled if a tenth of its channels vary by more than a fifth more than the source's, and alike (a
    correlation of 0.95). Its other channels are then taken to be scaled by what their values say, and those that hardly
    vary by what their means say. Equalization only ever scales up.
    """
    wanted = wanted.reshape(got.shape)
    rows, found = (x.reshape(-1, got.shape[-1]).astype(np.float64) for x in (wanted, got))
    means, found_means = rows.mean(axis=0), found.mean(axis=0)
    rows, found = rows - means, found - found_means
    squares, products = (rows**2).sum(axis=0), (rows * found).sum(axis=0)
    is_like = products > _SCALED_LIKENESS * np.sqrt(np.maximum(squares * (found**2).sum(axis=0), 1e-30))
    slopes = products / np.maximum(squares, 1e-30)
    if np.mean(is_like & (slopes > _SCALED_FACTOR)) < _SCALED_SHARE:
        return wanted
    is_flat = ~is_like & (np.sqrt(squares / len(rows)) < _FLAT * np.abs(means))
    ratios = np.where(is_flat, found_means / np.where(is_flat, means, 1.0), 1.0)
    return np.asarray(wanted * np.maximum(np.where(is_like, slopes, ratios), 1.0), np.float32)


def _limits(tensor: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest value that a quantized activation can hold."""
    if len(tensor.scales) != 1 or np.dtype(tensor.dtype).kind not in "iu":
        return None
    info, scale, zero = np.iinfo(tensor.dtype), tensor.scales[0], tensor.zero_points[0]
    return (int(info.min) - zero) * scale, (int(info.max) - zero) * scale


def _beyond(rows: np.ndarray, limits: tuple[float, float], scale: float) -> float:
    """The fraction of values that are cut off, not merely rounded."""
    return float(np.mean((rows < limits[0] - scale) | (rows > limits[1] + scale)))


def _clipping(rows: np.ndarray, limits: tuple[float, float], scale: float) -> float:
    """The squared error of what is cut off, over that of rounding, which is a twelfth of a step's square."""
    return float(np.mean((rows - np.clip(rows, *limits)) ** 2)) / (scale**2 / 12)


def _db(signal: float, noise: float) -> float:
    if noise <= 0:
        return _CAP_DB
    return -_CAP_DB if signal <= 0 else float(np.clip(10 * np.log10(signal / noise), -_CAP_DB, _CAP_DB))


def _added(
    content: bytes, graph: TfliteGraph, images: np.ndarray, wanted: Mapping[int, np.ndarray], progress: Progress
) -> dict[int, float]:
    """The error of each layer that is run on the source's own values, over the variance of what it puts out.

    A layer whose inputs aren't all outputs of layers can't be told from those before it, and is left out.
    """
    tensors = graph.tensors
    exact = {i: list(quantized_rows(images, tensors[i])) for i in graph.inputs}
    for index, values in wanted.items():
        exact[index] = [to_grid(row[None], tensors[index]) for row in values]
    found: dict[int, float] = {}
    with progress.task("running each layer alone", len(graph.operators)) as advance:
        for operator in graph.operators:
            advance(1)
            index = operator.outputs[0]
            needed = [i for i in operator.inputs if i >= 0 and not tensors[i].is_constant]
            if operator.name in {"QUANTIZE", "DEQUANTIZE"} and needed and needed[0] in exact and index not in exact:
                exact.update(run_operator(content, graph, operator, exact))
            elif index in wanted and needed and all(i in exact for i in needed):
                alone = run_operator(content, graph, operator, {i: exact[i] for i in needed})[index]
                found[index] = _own_error(alone, tensors[index], wanted[index])
    return found


def _own_error(alone: Sequence[np.ndarray], tensor: Tensor, wanted: np.ndarray) -> float:
    scale, zero = (tensor.scales[0], tensor.zero_points[0]) if tensor.scales else (1.0, 0)
    got = (np.concatenate(alone).astype(np.float64) - zero) * scale
    errors = got.reshape(-1, got.shape[-1]) - wanted.reshape(-1, got.shape[-1])
    spread = float(wanted.reshape(-1, got.shape[-1]).var(axis=0, dtype=np.float64).sum())
    return float((errors**2).mean(axis=0).sum()) / spread if spread > 0 else 0.0


def _in_float(graph: TfliteGraph, operator: Operator) -> bool:
    if operator.name in {"QUANTIZE", "DEQUANTIZE"}:
        return False
    return any(graph.tensors[i].dtype in {"float32", "float16"} for i in operator.outputs)


def _label(graph: TfliteGraph, operator: Operator, names: Mapping[int, str]) -> str:
    """What an operator is called in messages: its layer, else its tensor, and its type."""
    index = operator.outputs[0]
    return f"{names.get(index, graph.tensors[index].name.partition(';')[0])} ({operator.name})"


def _unmatched(graph: TfliteGraph, known: Mapping[int, str]) -> tuple[str, ...]:
    """Operators whose output is no layer's: those inside a layer, or of layers that the source hasn't."""
    return tuple(
        _label(graph, op, known) for op in graph.operators
        if op.outputs[0] not in known and op.name not in {"QUANTIZE", "DEQUANTIZE"}
    )  # fmt: skip
