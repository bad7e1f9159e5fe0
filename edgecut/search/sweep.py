"""Every cut of one input scored: what the probes on its pooled features say, and what it costs."""

from __future__ import annotations

import numpy as np

from edgecut.graph.features import gradient_x_activation, poolable
from edgecut.records.front import CutScore
from edgecut.search.inputs import Workbench
from edgecut.search.passes import PROJECTED, Probes, points_of
from edgecut.search.request import Size

_GRADIENT_IMAGES = 32


def sweep(bench: Workbench, size: Size | None, channels: int | None, probes: Probes) -> tuple[CutScore, ...]:
    """What each tensor of the source says about the training images at one size and number of channels."""
    graph = bench.graph(size, channels)
    tensors, points, count = poolable(graph), points_of(graph), bench.count
    few = np.linspace(0, count - 1, min(_GRADIENT_IMAGES, count)).astype(int)
    pixels = bench.training_rows(size, channels, few)
    gradients = gradient_x_activation(graph, tensors, bench.body(size, channels).feed.values(pixels))
    cuttable = bench.source_names()
    return tuple(
        CutScore(
            cut=point.name,
            position=point.position,
            size=size,
            channels=channels,
            width=width,
            probe=_rounded(probes.scores[k]),
            score=_rounded(probes.exact.get(k, probes.scores[k])),
            exact=k in probes.exact or width <= PROJECTED,
            cka=round(probes.alike[k], 6),
            gradient_x_activation=float(f"{gradients[k]:.6g}"),
            macs=point.macs,
            params=point.params,
        )
        for k, (point, width) in enumerate(zip(points, (int(x.shape[-1] or 0) for x in tensors), strict=True))
        if point.name in cuttable
    )


def _rounded(score: float) -> float:
    """Another number of threads may change the last bits of a mean of products; of hits it changes nothing."""
    return round(score, 9)
