"""The cures of an int8 file that change only its numbers, in the order of what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from edgecut.quantize import ranges
from edgecut.quantize.equalize import factors, scaled
from edgecut.quantize.numbers import Numbers, numbers_of, render
from edgecut.quantize.observed import Observed, by_int8, observe
from edgecut.quantize.pairs import FilePair
from edgecut.quantize.scale_groups import channel_groups, scale_groups
from edgecut.quantize.sequential import mended
from edgecut.records.progress import SILENT, Progress

Correction = Literal["percentile ranges", "mse ranges", "bias correction", "equalization", "adaptive rounding"]

# How many images the layer-by-layer cures run on: their means and covariances hardly change beyond.
IMAGES = 64


@dataclass(frozen=True, eq=False)
class Subject:
    """An int8 file with its float twin, and the calibration images, as the model takes them, that cures go by."""

    file_pair: FilePair
    images: np.ndarray
    progress: Progress = SILENT

    @cached_property
    def observed(self) -> Mapping[int, Observed]:
        """What the float model's activations are like on the images, by int8 tensor."""
        seen = observe(self.file_pair.float32, self.images)
        return by_int8(self.file_pair.graph, self.file_pair.tensors, seen)


@dataclass(frozen=True, eq=False)
class Corrected:
    """A file's numbers after some cures. factors: what the channels of a tensor were multiplied by, by tensor."""

    cures: frozenset[Correction]
    numbers: Numbers
    factors: Mapping[int, np.ndarray] = field(default_factory=dict)

    def content(self, file_pair: FilePair) -> bytes:
        """The file."""
        return render(file_pair, self.numbers)


def correct(subject: Subject, cures: frozenset[Correction]) -> Corrected:
    """The numbers after a set of cures, always in the same order, whatever was tried before.

    Equalization sets all ranges anew, by the extremes if no other rule is among the cures.
    """
    file_pair = subject.file_pair
    numbers, observed = numbers_of(file_pair), dict(subject.observed)
    found: dict[int, np.ndarray] = {}
    if "equalization" in cures:
        for group in channel_groups(file_pair):
            channel_factors = factors(group, subject.observed)
            numbers = scaled(file_pair, numbers, group, channel_factors)
            found.update(dict.fromkeys(group.tensors, channel_factors))
        observed = {i: seen.scaled(found[i]) if i in found else seen for i, seen in observed.items()}
    rule: ranges.Rule | None = _rule(cures)
    if rule is not None:
        numbers = replace(numbers, ranges=ranges.choose(scale_groups(file_pair), observed, rule))
    if cures & {"bias correction", "adaptive rounding"}:
        numbers = mended(
            file_pair,
            numbers,
            subject.images[:IMAGES],
            observed,
            steps=cures,
            progress=subject.progress,
        )
    return Corrected(cures, numbers, found)


def _rule(cures: frozenset[Correction]) -> ranges.Rule | None:
    if "mse ranges" in cures:
        return "mse"
    if "percentile ranges" in cures:
        return "percentile"
    return "min-max" if "equalization" in cures else None


ORDER: tuple[Correction, ...] = (
    "percentile ranges",
    "mse ranges",
    "bias correction",
    "equalization",
    "adaptive rounding",
)
"""By what they cost at build time. None costs anything on the device."""

EXCLUDES: Mapping[Correction, frozenset[Correction]] = {"mse ranges": frozenset({"percentile ranges"})}
"""A cure that takes the place of others."""

Make = Callable[[frozenset[Correction]], Corrected]
