"""What a model's activations are like over images: their ranges and values, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecut.quantize.interior import Interior, quantized_rows
from edgecut.tflite.flatbuffer import TfliteGraph, parse

POSITIONS = 16  # places of a map whose values are kept, per image


@dataclass(frozen=True, eq=False)
class Observed:
    """One activation. low, high: (channels,); means: (images, channels); sample: (m, channels), at random places."""

    low: np.ndarray
    high: np.ndarray
    means: np.ndarray
    sample: np.ndarray

    def scaled(self, factors: np.ndarray) -> Observed:
        """The same after each channel was multiplied by a positive factor."""
        f32 = factors.astype(np.float32)
        return Observed(self.low * factors, self.high * factors, self.means * factors, self.sample * f32)


def observe(float32: bytes, images: np.ndarray, seed: int = 0) -> dict[int, Observed]:
    """Each computed tensor of a float file over images (n, ...), by tensor index; the last axis is the channels'."""
    graph = parse(float32, "float file")
    interior, random = Interior(float32, graph), np.random.default_rng(seed)
    wanted = [*graph.inputs, *(i for op in graph.operators for i in op.outputs)]
    wanted = [i for i in wanted if graph.tensors[i].dtype == "float32"]
    sums: dict[int, list[np.ndarray]] = {i: [] for i in wanted}
    samples: dict[int, list[np.ndarray]] = {i: [] for i in wanted}
    for feeds in quantized_rows(images, graph):
        interior.run(feeds)
        for index in wanted:
            rows = _rows(interior.raw(index))
            sums[index].append(np.stack([rows.min(0), rows.max(0), rows.mean(0, dtype=np.float64)]))
            places = random.integers(0, len(rows), min(POSITIONS, len(rows)))
            samples[index].append(rows[places])
    return {i: _summary(np.stack(sums[i]), samples[i]) for i in wanted}


def by_int8(graph: TfliteGraph, pairs: Mapping[int, int], observed: Mapping[int, Observed]) -> dict[int, Observed]:
    """What was observed of float tensors, by their int8 file_pair."""
    return {i: observed[j] for i, j in pairs.items() if j in observed}


def _rows(array: np.ndarray) -> np.ndarray:
    """A tensor with its batch axis as (positions, channels)."""
    return array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)


def _summary(stacked: np.ndarray, samples: list[np.ndarray]) -> Observed:
    low, high = stacked[:, 0].min(0), stacked[:, 1].max(0)
    return Observed(low, high, stacked[:, 2], np.concatenate(samples))
