"""Every cut of one input looked at in one forward pass: a linear probe on each tensor's pooled features."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.graph.callgraph import Calls, Tensor
from edgecut.graph.cuts import CutPoint, cut_points
from edgecut.graph.features import gradient_x_activation, poolable, pooled_model, predict_each
from edgecut.head.probe import PENALTIES, fit_ridge
from edgecut.images.device import model_input
from edgecut.records.front import CutScore
from edgecut.search.asked import Size, words
from edgecut.search.inputs import Bench

ToInput = Callable[[np.ndarray], np.ndarray]
PROJECTED = 256  # features that the cheap probe sees
_SEED = 0
_CKA_IMAGES = 1000
_GRADIENT_IMAGES = 32
# The projection costs up to 0.04 of accuracy on a wide layer; a cut that far behind a cheaper one may be the better.
_REFIT_MARGIN = 0.05
_REFITS = 12
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


def sweep(bench: Bench, size: Size, channels: int) -> tuple[CutScore, ...]:
    """What each tensor of the source says about the training images at one size and number of channels.

    Raises StemError where the model can't take them.
    """
    dataset = bench.images(size, channels)
    graph = bench.graph(size, channels)
    tensors = poolable(graph)
    labels = np.asarray(dataset.train.labels)
    classes = len(dataset.labels)
    recipe, title = bench.request.recipe, words(size, channels)

    def to_input(pixels: np.ndarray) -> np.ndarray:
        return model_input(pixels, recipe.source.preprocess, recipe.stem.pixels)

    few = dataset.train.pixels[np.linspace(0, len(labels) - 1, min(_GRADIENT_IMAGES, len(labels))).astype(int)]
    gradients = gradient_x_activation(graph, tensors, to_input(few))
    with tempfile.TemporaryDirectory(prefix="edgecut-search-") as scratch:
        features = _features(bench, graph, tensors, dataset.train.pixels, to_input, Path(scratch), title)
        with bench.progress.task(f"probes {title}", len(tensors)) as advance:
            projected, probes = [], list[float]()
            same = equivalents(graph, tensors)
            for index, first in enumerate(same):
                projected.append(project(features.of(index)))
                known = probes[first] if first < index else _probe(projected[index], labels, classes)
                probes.append(known)
                advance(1)
        points = _points(graph, tensors)
        widths = [len(columns[0]) for columns in projected]
        refits = list(dict.fromkeys(same[k] for k in finalists([p.macs for p in points], probes, widths)))[:_REFITS]
        with bench.progress.task(f"exact probes {title}", len(refits)) as advance:
            fitted = {}
            for index in refits:
                fitted[index] = _probe(features.of(index), labels, classes)
                advance(1)
        exact = {k: fitted[first] for k, first in enumerate(same) if first in fitted}
        final = projected[tensors.index(_final(graph, tensors))][:_CKA_IMAGES]
        return tuple(
            CutScore(
                cut=point.name, position=point.position, size=size, channels=channels,
                width=features.offsets[k + 1] - features.offsets[k], probe=probes[k], score=exact.get(k, probes[k]),
                exact=k in exact or features.offsets[k + 1] - features.offsets[k] <= PROJECTED,
                cka=round(linear_cka(projected[k][:_CKA_IMAGES], final), 6),
                gradient_x_activation=float(f"{gradients[k]:.6g}"), macs=point.macs, params=point.params,
            )
            for k, point in enumerate(points)
        )  # fmt: skip


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
        k for k, probe in enumerate(probes)
        if widths[k] >= PROJECTED
        and probe + _REFIT_MARGIN >= max(p for p, count in zip(probes, known, strict=True) if count <= known[k])
    ]  # fmt: skip
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


def _probe(features: np.ndarray, labels: np.ndarray, classes: int) -> float:
    return fit_ridge(features, labels, classes, PENALTIES[::2]).loo_accuracy


def _features(
    bench: Bench, graph: Calls, tensors: Sequence[Tensor], pixels: np.ndarray, to_input: ToInput, scratch: Path,
    title: str,
) -> _Features:  # fmt: skip
    offsets = [0]
    for tensor in tensors:
        offsets.append(offsets[-1] + int(tensor.shape[-1] or 0))
    # On disk: 10,000 images through a model of 150 layers have 2 GB of features.
    rows = np.memmap(scratch / "features", np.float32, "w+", shape=(len(pixels), offsets[-1]))
    pooled = pooled_model(graph, tensors)
    for first, outputs in predict_each(
        pooled, pixels, to_input, title=f"forward pass {title}", progress=bench.progress
    ):
        rows[first : first + len(outputs[0])] = np.concatenate(outputs, axis=1)
    return _Features(rows, tuple(offsets))


def _points(graph: Calls, tensors: Sequence[Tensor]) -> list[CutPoint]:
    by_name = {point.name: point for point in cut_points(graph)}
    return [by_name[graph.tensor_name[tensor]] for tensor in tensors]


def _final(graph: Calls, tensors: Sequence[Tensor]) -> Tensor:
    """What the source's last layer with weights takes: its final feature; the last cut where it takes none of them."""
    known = set(tensors)
    for call in reversed(graph.calls):
        if getattr(call.operation, "weights", ()) and "Normalization" not in call.type:
            taken = [tensor for tensor in call.inputs if tensor in known]
            return taken[0] if taken else tensors[-1]
    return tensors[-1]
