"""Every cut of one input looked at in one forward pass: a linear probe on each tensor's pooled features."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from edgecut.graph.callgraph import Calls, Tensor
from edgecut.graph.cuts import CutPoint, cut_points
from edgecut.graph.features import final_feature, gradient_x_activation, poolable, pooled_model, predict_each
from edgecut.head.probe import PENALTIES, fit_ridge, fit_values
from edgecut.quantize.interior import Pictures
from edgecut.records.front import CutScore
from edgecut.score.metrics import SCORES, Score
from edgecut.search.inputs import Workbench, outputs_of
from edgecut.search.request import Size, words
from edgecut.whole import naming, scratch_folder

ToInput = Callable[[np.ndarray], np.ndarray]
PROJECTED = 256  # features that the cheap probe sees
_SEED = 0
_CKA_IMAGES = 1000
_GRADIENT_IMAGES = 32
# The projection costs up to 0.04 of accuracy on a wide layer; a cut that far behind a cheaper one may be the better.
_REFIT_MARGIN = 0.05
_REFITS = 12
_TARGETS = 64  # values that a probe is fitted to
_AFFINE = frozenset(
    {"BatchNormalization", "ZeroPadding2D", "Dropout", "GlobalAveragePooling2D", "GlobalAveragePooling1D"}
)


@dataclass(frozen=True, eq=False)
class _Features:
    """The pooled features of all cuts. rows: (n, sum of widths), float32, on disk. offsets: where each cut's begin."""

    rows: np.ndarray
    offsets: tuple[int, ...]

    def of(self, index: int) -> np.ndarray:
        return np.asarray(self.rows[:, self.offsets[index] : self.offsets[index + 1]])


def sweep(bench: Workbench, size: Size | None, channels: int | None) -> tuple[CutScore, ...]:
    """What each tensor of the source says about the training images at one size and number of channels.

    Raises StemError where the model can't take them.
    """
    graph, dataset = bench.graph(size, channels), bench.images(size, channels)
    tensors = poolable(graph)
    targets = _targets(np.asarray(dataset.train.labels))
    pictures = Pictures(dataset.train.pixels, bench.body(size, channels).feed.values)
    cuttable, title = bench.source_names(), words(size, channels)

    def probe(features: np.ndarray) -> float:
        return probed(features, targets, outputs_of(dataset), SCORES[bench.request.scored_by])

    few = dataset.train.pixels[np.linspace(0, len(targets) - 1, min(_GRADIENT_IMAGES, len(targets))).astype(int)]
    gradients = gradient_x_activation(graph, tensors, pictures.to_input(few))
    # One thread for BLAS, as in head/probe.py, for the projections and the CKA between the probes.
    with scratch_folder(prefix="edgecut-search-") as scratch, threadpool_limits(1, user_api="blas"):
        features = _features(bench, graph, tensors, pictures, scratch, title)
        final = project(features.of(tensors.index(final_feature(graph))))[:_CKA_IMAGES]
        same, widths = equivalents(graph, tensors), [int(tensor.shape[-1] or 0) for tensor in tensors]
        probes, alike = list[float](), list[float]()
        with bench.progress.task(f"probes {title}", len(tensors)) as advance:
            for index, first in enumerate(same):
                projected = project(features.of(index))
                probes.append(probes[first] if first < index else probe(projected))
                alike.append(linear_cka(projected[:_CKA_IMAGES], final))
                advance(1)
        points = _points(graph, tensors)
        narrow = [min(width, PROJECTED) for width in widths]
        refits = list(dict.fromkeys(same[k] for k in finalists([p.macs for p in points], probes, narrow)))[:_REFITS]
        fitted = {}
        with bench.progress.task(f"exact probes {title}", len(refits)) as advance:
            for index in refits:
                fitted[index] = probe(features.of(index))
                advance(1)
    exact = {k: fitted[first] for k, first in enumerate(same) if first in fitted}
    return tuple(
        CutScore(
            cut=point.name,
            position=point.position,
            size=size,
            channels=channels,
            width=widths[k],
            probe=_rounded(probes[k]),
            score=_rounded(exact.get(k, probes[k])),
            exact=k in exact or widths[k] <= PROJECTED,
            cka=round(alike[k], 6),
            gradient_x_activation=float(f"{gradients[k]:.6g}"),
            macs=point.macs,
            params=point.params,
        )
        for k, point in enumerate(points)
        if point.name in cuttable
    )


def probed(features: np.ndarray, targets: np.ndarray, outputs: int, score: Score) -> float:
    """The leave-one-out score of a linear head on features (n, d); targets: classes (n,), or values (n, outputs)."""
    if targets.ndim == 1:
        return fit_ridge(features, targets, outputs, PENALTIES[::2], score).loo_accuracy
    return fit_values(features, targets, PENALTIES[::2], score).loo_accuracy


def _targets(labels: np.ndarray) -> np.ndarray:
    """The targets that a probe is fitted to: of very many values their leading principal components.

    (n, outputs) float -> (n, at most 64). They hold most of the variance, and R2 weighs by variance.
    """
    if labels.ndim == 1 or labels.shape[1] <= _TARGETS:
        return labels
    centred = labels.astype(np.float64) - labels.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, -_TARGETS:])


def _rounded(score: float) -> float:
    """Another number of threads may change the last bits of a mean of products; of hits it changes nothing."""
    return round(score, 9)


def project(features: np.ndarray) -> np.ndarray:
    """At most 256 columns of the features: a seeded Gaussian projection of the standardised ones, float64.

    features: (n, d). Narrower ones come back as they are. Johnson and Lindenstrauss, 1984: distances are kept.
    """
    wide = np.asarray(features, np.float64)
    if wide.shape[1] <= PROJECTED:
        return wide
    deviation = wide.std(axis=0)
    alive = deviation > 1e-5 * np.abs(wide).max(axis=0)
    standard = (wide - wide.mean(axis=0)) * np.where(alive, 1 / np.where(alive, deviation, 1), 0)
    mixing = np.random.default_rng(_SEED).standard_normal((wide.shape[1], PROJECTED))
    return standard @ mixing / np.sqrt(PROJECTED)


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two sets of features of the same images are, 0 to 1; 0 where one of them doesn't vary.

    (n, d) and (n, e). Kornblith et al., Similarity of Neural Network Representations Revisited, 2019, equation 6.
    """
    x, y = first - first.mean(axis=0), second - second.mean(axis=0)
    norm = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / norm) if norm > 0 else 0.0


def finalists(macs: Sequence[int | None], probes: Sequence[float], widths: Sequence[int]) -> Iterator[int]:
    """The cuts worth an exact fit: projected, and hardly beaten by one that costs no more; the best first."""
    known = [float("inf") if count is None else count for count in macs]
    close = [
        k
        for k, probe in enumerate(probes)
        if widths[k] >= PROJECTED
        and probe + _REFIT_MARGIN >= max(p for p, count in zip(probes, known, strict=True) if count <= known[k])
    ]
    yield from sorted(close, key=lambda k: (-probes[k], k))


def equivalents(graph: Calls, tensors: Sequence[Tensor]) -> list[int]:
    """For each tensor the first one whose pooled features are the same but for a factor and a shift per channel.

    A probe standardises them away, so that one answers for both: a convolution and the BatchNormalization behind it.
    """
    place = {tensor: k for k, tensor in enumerate(tensors)}
    found: list[int] = []
    for k, tensor in enumerate(tensors):
        call = graph.producer[tensor]
        source = call.inputs[0] if len(call.inputs) == 1 else None
        same = call.type in _AFFINE and source in place and source.shape[-1] == tensor.shape[-1]
        found.append(found[place[source]] if same and source is not None else k)
    return found


def _features(
    bench: Workbench, graph: Calls, tensors: Sequence[Tensor], pictures: Pictures, scratch: Path, title: str
) -> _Features:
    offsets = [0]
    for tensor in tensors:
        offsets.append(offsets[-1] + int(tensor.shape[-1] or 0))
    # On disk: 10,000 images through a model of 150 layers have 2 GB of features.
    path, shape = scratch / "features", (len(pictures), offsets[-1])
    _reserve(path, 4 * shape[0] * shape[1])
    rows = np.memmap(path, np.float32, "r+", shape=shape)
    pooled = pooled_model(graph, tensors)
    for first, outputs in predict_each(
        pooled, pictures.pixels, pictures.to_input, title=f"forward pass {title}", progress=bench.progress
    ):
        rows[first : first + len(outputs[0])] = np.concatenate(outputs, axis=1)
    return _Features(rows, tuple(offsets))


def _reserve(path: Path, size_bytes: int) -> None:
    """Make a file of that size. Raises OSError if the disk hasn't the room: writing to a map of it would end us."""
    with naming(path), open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        else:
            file.truncate(size_bytes)


def _points(graph: Calls, tensors: Sequence[Tensor]) -> list[CutPoint]:
    by_name = {point.name: point for point in cut_points(graph)}
    return [by_name[graph.tensor_name[tensor]] for tensor in tensors]
