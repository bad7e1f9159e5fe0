"""What the source model says about images without labels: the targets of a feature extractor's head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from edgecut.errors import DataError
from edgecut.graph.calls import calls
from edgecut.graph.features import final_feature, pooled_model
from edgecut.graph.predict import predict
from edgecut.images.dataset import Dataset, read_data
from edgecut.images.device import model_input
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe


def with_features(
    dataset: Dataset, recipe: Recipe, source: keras.Model, size: tuple[int, int], progress: Progress = SILENT
) -> Dataset:
    """The dataset with the source's own final features as targets: (n, features), float32.

    The source sees the same images at its own size and channels; where its size is open, at `size` (height, width).
    """
    seen = seen_by_source(recipe, source, size, progress)
    graph = calls(source)
    model = pooled_model(graph, [final_feature(graph)])

    def to_input(pixels: np.ndarray) -> np.ndarray:
        return model_input(pixels, recipe.source.preprocess, "normalized")

    parts = [
        predict(model, part.pixels, to_input, title="the source's features", progress=progress)
        for part in (seen.train, seen.val)
    ]
    return replace(
        dataset, train=replace(dataset.train, labels=parts[0]), val=replace(dataset.val, labels=parts[1]), labels=()
    )


def seen_by_source(recipe: Recipe, source: keras.Model, size: tuple[int, int], progress: Progress = SILENT) -> Dataset:
    """The recipe's images at the source's own size and channels; where its size is open, at `size`."""
    shape: tuple[Any, ...] = tuple(source.inputs[0].shape) if len(source.inputs) == 1 else ()
    if len(shape) != 4 or shape[3] not in {1, 3}:
        raise DataError(
            f"data: a source that takes gray or colour images can be asked about them, and this takes {shape}"
        )
    height, width = (size[k] if shape[k + 1] is None else shape[k + 1] for k in (0, 1))
    return read_data(recipe.data, height=height, width=width, channels=shape[3], progress=progress)
