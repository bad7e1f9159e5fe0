"""The forward pass of a search in parts of its images, and a probe for each cut: done anywhere, in any order.

A part has PART images whoever computes it, and sums are taken in one order, so that any number of workers answers the
same bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from edgecut.errors import StemError
from edgecut.graph.callgraph import Calls, Tensor
from edgecut.graph.cuts import CutPoint, cut_points
from edgecut.graph.features import final_feature, poolable
from edgecut.head.probe import PENALTIES, leave_one_out
from edgecut.head.ridge import ROWS, slices
from edgecut.images.mapped import Form, batches, gathered
from edgecut.score.metrics import SCORES
from edgecut.search.inputs import Workbench
from edgecut.search.parts import (
    Columns,
    Edit,
    Pass,
    Passed,
    Probe,
    features_of,
    has_targets,
    put_pass,
    put_score,
    put_targets,
)
from edgecut.search.request import PART, words

PROJECTED = 256  # features that the cheap probe sees
_SEED = 0
_CKA_IMAGES = 1000  # of the first part
# The projection costs up to 0.04 of accuracy on a wide layer; a cut that far behind a cheaper one may be the better.
_REFIT_MARGIN = 0.05
_REFITS = 12
_AFFINE = frozenset(
    {"BatchNormalization", "ZeroPadding2D", "Dropout", "GlobalAveragePooling2D", "GlobalAveragePooling1D"}
)


@dataclass(frozen=True)
class Probes:
    """What the probes of one input say: of each cut the score, the exact ones among them, and the likeness."""

    scores: tuple[float, ...]
    exact: Mapping[int, float]
    alike: tuple[float, ...]


def columns_of(graph: Calls) -> Columns:
    """The columns of a model's features."""
    tensors = poolable(graph)
    return Columns(
        tuple(int(tensor.shape[-1] or 0) for tensor in tensors),
        tuple(equivalents(graph, tensors)),
        tuple(point.macs for point in points_of(graph)),
    )


def edit_source(bench: Workbench, task: Edit) -> str:
    """Why the source can't take an input, "" if it can: it is then edited, and left in the store."""
    try:
        bench.body(task.size, task.channels)
    except StemError as exc:
        return f"{words(task.size, task.channels)}: left out: {exc}"
    return ""


def pass_part(bench: Workbench, task: Pass) -> Passed:
    """What is known of some images' pooled features of all cuts, which are left in the store (parts.py)."""
    graph = bench.graph(task.size, task.channels)
    columns, which = columns_of(graph), slice(task.first, task.first + PART)
    rows = bench.training_rows(task.size, task.channels, which)
    batches = list(bench.pooled(task.size, task.channels, rows))
    features = [np.concatenate(part) for part in zip(*batches, strict=True)]
    alike: tuple[float, ...] = ()
    # One thread for BLAS, as in head/probe.py, so that the bits don't depend on how many there are.
    if not task.first:
        with threadpool_limits(1, user_api="blas"):
            few = [project(x[:_CKA_IMAGES]) for x in features]
            final = few[poolable(graph).index(final_feature(graph))]
            alike = tuple(linear_cka(x, final) for x in few)
    passed = Passed(columns, alike)
    put_pass(bench.store, task, passed, {k: features[k] for k in columns.distinct})
    if bench.teaches and not has_targets(bench.store, task.first):
        put_targets(bench.store, task.first, bench.taught(which))
    return passed


def probe(bench: Workbench, task: Probe) -> float:
    """The leave-one-out score of a linear head on the features of a cut, which is also left in the store."""
    with threadpool_limits(1, user_api="blas"):
        features = features_of(bench.store, task, bench.count)
        seen = features if task.exact else project(features)
        score = leave_one_out(
            seen, bench.probe_targets(), bench.outputs, PENALTIES[::2], SCORES[bench.request.scored_by]
        )
    put_score(bench.store, task, score)
    return score


def to_refit(columns: Columns, cheap: Mapping[int, float]) -> tuple[int, ...]:
    """The distinct cuts that are worth an exact probe. cheap: the score of each distinct cut."""
    narrow = [min(width, PROJECTED) for width in columns.widths]
    scores = [cheap[first] for first in columns.same]
    best = dict.fromkeys(columns.same[k] for k in finalists(columns.macs, scores, narrow))
    return tuple(itertools.islice(best, _REFITS))


def project(features: np.ndarray) -> np.ndarray:
    """At most 256 columns of the features: a seeded Gaussian projection of the standardised ones, float64.

    features: (n, d). Narrower ones come back as they are. Johnson and Lindenstrauss, 1984: distances are kept.
    """
    count, width = features.shape
    if width <= PROJECTED:
        return features
    mean = sum(np.asarray(x, np.float64).sum(axis=0) for x in batches(features, ROWS)) / count
    highest = np.max([np.abs(x).max(axis=0) for x in batches(features, ROWS)], axis=0)
    deviation = np.sqrt(sum(((x - mean) ** 2).sum(axis=0) for x in batches(features, ROWS)) / count)
    alive = deviation > 1e-5 * highest
    inverse = np.where(alive, 1 / np.where(alive, deviation, 1), 0)
    mixing = np.random.default_rng(_SEED).standard_normal((width, PROJECTED))
    parts = ((features[part] - mean) * inverse @ mixing / np.sqrt(PROJECTED) for part in slices(count))
    return gathered(Form((count, PROJECTED), np.dtype(np.float64)), parts)


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two sets of features of the same images are, 0 to 1; 0 where one of them doesn't vary.

    (n, d) and (n, e). Kornblith et al., Similarity of Neural Network Representations Revisited, 2019, equation 6.
    """
    wide, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    x, y = wide - wide.mean(axis=0), other - other.mean(axis=0)
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


def points_of(graph: Calls) -> list[CutPoint]:
    """The cut of each tensor that a head can be put on, in calling order."""
    by_name = {point.name: point for point in cut_points(graph)}
    return [by_name[graph.tensor_name[tensor]] for tensor in poolable(graph)]
