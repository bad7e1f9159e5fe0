"""Where a Keras model can be cut, and what a cut keeps."""

from __future__ import annotations

import keras

from edgecut.graph.callgraph import Calls
from edgecut.graph.live import dataflow
from edgecut.graph.points import CutPoint, frontier, legal_starts, points_of

__all__ = ["CutPoint", "cut_points", "frontier", "legal_starts"]


def cut_points(model: keras.Model | Calls) -> tuple[CutPoint, ...]:
    """Every tensor of a model in calling order, model inputs included, with what a cut there means.

    >>> points = edgecut.cut_points(edgecut.load("bell.keras"))
    >>> [(point.name, point.shape, point.macs) for point in points[1:3]]
    [('conv', (None, 4, 4, 4), 1728), ('pool', (None, 4), 1728)]
    """
    return points_of(dataflow(model))
