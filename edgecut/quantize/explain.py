"""Quantization error layer by layer, in the source model's names, with a suspected cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.errors import RequestError
from edgecut.quantize.alignment import Alignment, Side, align, computed
from edgecut.quantize.causes import cause_of, whole_causes
from edgecut.quantize.grids import real_values
from edgecut.quantize.interior import Interior, quantized_rows, run_operator, to_grid
from edgecut.quantize.names import LayerOutput, equal_layers
from edgecut.quantize.scaled_channels import channel_factors
from edgecut.records.explanation import Explanation, LayerError, Suspicion
from edgecut.records.progress import SILENT, Advance, Progress
from edgecut.score.distance import decibels
from edgecut.tflite.cut import Parts
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, parse
from edgecut.tflite.kinds import BOUNDARIES
from edgecut.tflite.patch import constants

COLLAPSE_DB = 10.0
# A shift counts from a twentieth of the layer's standard deviation, where it makes up half of the error.
SHIFT, SHIFT_SHARE = 0.05, 0.5
NARROW_STEPS = 16


@dataclass(frozen=True, eq=False)
class Reference:
    """What a file is explained against: the source model's float file, and what proves its tensors' names.

    images: (n, ...), float32, as the source takes what the quantized file gets. layers: the source's, in calling order.
    values: (m, ...), of the layers on the first m of the images, computed by the source itself.
    """

    float32: bytes
    images: np.ndarray
    layers: Sequence[LayerOutput]
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Pair:
    """A quantized file and the source's float file, and the values of the tensors that both have, over the images.

    held: of the quantized file, as it holds them; wanted: of the float file, times factors (channels,) where
    equalization set some; all by the quantized file's tensor. names: the layer that a tensor is the output of.
    """

    quantized: Parts
    floats: Parts
    aligned: Alignment
    held: dict[int, np.ndarray]
    wanted: dict[int, np.ndarray]
    factors: Mapping[int, np.ndarray]
    names: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class _Compared:
    """What is left of a pair's values. exact: the float file's, on the grids of the quantized file, image by image.

    rows, spreads: of each tensor that is a layer's output; a spread is the sum of its channels' variances.
    """

    exact: dict[int, list[np.ndarray]]
    rows: dict[int, LayerError]
    spreads: dict[int, float]


def explain(
    content: bytes,
    name: str,
    images: np.ndarray,
    reference: Reference,
    *,
    suspicions: Sequence[Suspicion] = (),
    progress: Progress = SILENT,
) -> Explanation:
    """A quantized .tflite file explained. images: (n, ...), float32, as the file takes them.

    A tensor of the file is compared with the one of the float file that the same operators compute (align), if that
    holds what a layer of the source puts out (equal_layers); nothing else is compared.
    suspicions: what is known already about the request, such as a wrong preprocess; they come first.
    Raises SourceError for a foreign file, RequestError if no layer of the source is found in it, RunError if LiteRT
    can't run it.
    """
    graph = parse(content, name)
    if not any(tensor.scales for tensor in graph.tensors):
        raise RequestError(f"{name}: nothing in it is quantized, so there is nothing to explain")
    pair = _paired(content, graph, images, reference, progress)
    if not pair.names:
        raise RequestError(f"{name}: no layer of the source model is found in it; give the model that it was made of")
    compared = _compared(pair)
    added = _added(pair, compared, images, reference, progress)
    total = sum(added.values())
    layers = []
    for _, index in _named_outputs(pair):
        share = None if index not in added else added[index] / total if total > 0 else 0.0
        layers.append(compared.rows[index].model_copy(update={"added": share}))
    in_float = tuple(_label(graph, op, pair.names) for op in graph.operators if _in_float(graph, op))
    return Explanation(
        artifact=name,
        images=len(images),
        layers=tuple(layers),
        collapses_at=next((x.name for x in layers if x.sqnr_varying < COLLAPSE_DB), None),
        shift_starts_at=next((x.name for x in layers if _is_shifted(x)), None),
        suspicions=(*suspicions, *whole_causes(graph, layers, in_float, images)),
        in_float=in_float,
        unmatched=_unmatched(graph, pair.names),
    )


def _paired(content: bytes, graph: TfliteGraph, images: np.ndarray, reference: Reference, progress: Progress) -> _Pair:
    """The tensors of the file that the float file has, too, and which of them are layers."""
    float_graph = parse(reference.float32, "float file")
    quantized = Side(graph, constants(content, graph))
    source = Side(float_graph, constants(reference.float32, float_graph))
    aligned = align(quantized, source, same_inputs=_is_fed_alike(images, reference))
    with progress.task("running the file", len(images)) as advance:
        held = _run(content, graph, images, aligned.tensors, advance)
    with progress.task("running the source's float file", len(images)) as advance:
        floats = _run(reference.float32, float_graph, reference.images, set(aligned.tensors.values()), advance)
    proving = min((len(x) for x in reference.values.values()), default=0)
    made = {i: floats[i][:proving] for op in float_graph.operators for i in op.outputs if i in floats}
    by_float = equal_layers(made, reference.layers, reference.values)
    names = {i: by_float[j] for i, j in aligned.tensors.items() if j in by_float}
    factors = channel_factors(quantized, source, aligned)
    return _Pair(
        Parts(content, graph),
        Parts(reference.float32, float_graph),
        aligned,
        held,
        _scaled(floats, aligned.tensors, factors),
        factors,
        names,
    )


def _scaled(
    floats: dict[int, np.ndarray], tensors: Mapping[int, int], factors: Mapping[int, np.ndarray]
) -> dict[int, np.ndarray]:
    """For each tensor of the file the float file's values times its factors; each is let go when it was last read."""
    last = {j: i for i, j in tensors.items()}
    return {
        i: np.asarray((floats.pop(j) if last[j] == i else floats[j]) * factors[i], np.float32)
        for i, j in tensors.items()
    }


def _is_fed_alike(images: np.ndarray, reference: Reference) -> bool:
    """Whether both files get the same values, rather than raw pixels and normalized ones."""
    return images is reference.images or np.array_equal(images, reference.images)


def _named_outputs(pair: _Pair) -> Iterator[tuple[Operator, int]]:
    """The operators and outputs that are layers; one that only changes how a value is held is none."""
    for operator in pair.quantized.graph.operators:
        if operator.name not in BOUNDARIES:
            yield from ((operator, index) for index in operator.outputs if index in pair.names)


def _is_shifted(layer: LayerError) -> bool:
    return layer.mean_shift >= SHIFT and layer.shift_share >= SHIFT_SHARE


def _run(
    content: bytes, graph: TfliteGraph, images: np.ndarray, tensors: Iterable[int], advance: Advance
) -> dict[int, np.ndarray]:
    """What some tensors hold over the images, (n, ...)."""
    interior = Interior(content, graph)
    rows: dict[int, list[np.ndarray]] = {index: [] for index in tensors}
    for feeds in quantized_rows(images, graph):
        interior.run(feeds)
        for index, row in rows.items():
            row.append(interior.raw(index))
        advance(1)
    # A tensor inside a layer may have no batch axis of its own. Rows are let go tensor by tensor: two sets of all
    # values at once would be the peak of a build.
    values = {}
    for index in tuple(rows):
        row = rows.pop(index)
        values[index] = np.stack(row) if row[0].shape[:1] != (1,) else np.concatenate(row)
    return values


def _compared(pair: _Pair) -> _Compared:
    """The tensors of both files compared, one after the other; its values are let go, since all at once are many."""
    tensors, makers = pair.quantized.graph.tensors, {index: operator for operator, index in _named_outputs(pair)}
    compared = _Compared({}, {}, {})
    for index in tuple(pair.wanted):
        wanted, real = pair.wanted.pop(index), real_values(pair.held.pop(index), tensors[index])
        compared.exact[index] = [to_grid(x.reshape(tensors[index].shape), tensors[index]) for x in wanted]
        if index in makers:
            row = _layer(pair.names[index], makers[index], tensors[index], wanted, real)
            cause, reason = cause_of(row, wanted)
            compared.rows[index] = row.model_copy(update={"cause": cause, "reason": reason})
            variances = wanted.reshape(-1, real.shape[-1]).var(axis=0, dtype=np.float64)
            compared.spreads[index] = float(variances.sum())
    return compared


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
        name=name,
        operator=operator.name,
        dtype=tensor.dtype,
        sqnr=decibels(float((rows**2).mean(axis=0).sum()), noise),
        sqnr_varying=decibels(spread, noise),
        mean_shift=float(np.sqrt(np.sum(shift**2) / spread)) if spread > 0 else 0.0,
        shift_share=float(np.sum(shift**2)) / noise if noise > 0 else 0.0,
        worst_channel=worst,
        worst_shift=float(own.max()) if len(own) else 0.0,
        saturation=0.0 if limits is None else _beyond(rows, limits, tensor.scales[0]),
        clipping=0.0 if limits is None else _clipping(rows, limits, tensor.scales[0]),
        range=limits,
        used=used,
        use=None if limits is None else min(1.0, (used[1] - used[0]) / max(limits[1] - limits[0], 1e-30)),
        narrow=0.0 if limits is None else float(np.mean(spans < NARROW_STEPS * tensor.scales[0])),
    )


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


def _added(
    pair: _Pair, compared: _Compared, images: np.ndarray, reference: Reference, progress: Progress
) -> dict[int, float]:
    """The error of each layer that is run alone, over the variance of what it puts out.

    It gets the source's own values, rounded to its inputs' grids, and is compared with the float file's operator on
    just these rounded values, so that what only moves data adds nothing.
    """
    exact = compared.exact
    if _is_fed_alike(images, reference):
        fed_rows = zip(*quantized_rows(images, pair.quantized.graph), strict=True)
        exact.update({i: list(rows) for i, rows in zip(pair.quantized.graph.inputs, fed_rows, strict=True)})
    found: dict[int, float] = {}
    with progress.task("running each layer alone", len(pair.quantized.graph.operators)) as advance:
        for operator in pair.quantized.graph.operators:
            advance(1)
            index = operator.outputs[0]
            fed = set(computed(pair.quantized.graph, operator).values())
            is_layer = index in pair.names and operator.index in pair.aligned.operators
            if is_layer and fed and fed <= set(exact):
                found[index] = _own_error(pair, operator, {i: exact[i] for i in fed}, compared.spreads[index])
    return found


def _own_error(pair: _Pair, operator: Operator, fed: Mapping[int, Sequence[np.ndarray]], spread: float) -> float:
    index, tensors = operator.outputs[0], pair.quantized.graph.tensors
    twin = pair.floats.graph.operators[pair.aligned.operators[operator.index]]
    real = {
        pair.aligned.tensors[i]: [np.asarray(real_values(x, tensors[i]) / pair.factors[i], np.float32) for x in rows]
        for i, rows in fed.items()
    }
    alone = run_operator(pair.quantized, operator, fed)[index]
    unrounded = run_operator(pair.floats, twin, real)[twin.outputs[0]]
    got = real_values(np.stack(alone), tensors[index]).astype(np.float64)
    channels = got.shape[-1]
    errors = (got - np.stack(unrounded).reshape(got.shape) * pair.factors[index]).reshape(-1, channels)
    return float((errors**2).mean(axis=0).sum()) / spread if spread > 0 else 0.0


def _in_float(graph: TfliteGraph, operator: Operator) -> bool:
    if operator.name in BOUNDARIES:
        return False
    return any(graph.tensors[i].dtype in {"float32", "float16"} for i in operator.outputs)


def _label(graph: TfliteGraph, operator: Operator, names: Mapping[int, str]) -> str:
    """What an operator is called in messages: its layer, else its tensor, and its type."""
    index = operator.outputs[0]
    return f"{names.get(index, graph.tensors[index].name.partition(';')[0])} ({operator.name})"


def _unmatched(graph: TfliteGraph, known: Mapping[int, str]) -> tuple[str, ...]:
    """Operators whose output is no layer's: those inside a layer, or of layers that the source hasn't."""
    return tuple(
        _label(graph, op, known)
        for op in graph.operators
        if op.name not in BOUNDARIES and not any(i in known for i in op.outputs)
    )
