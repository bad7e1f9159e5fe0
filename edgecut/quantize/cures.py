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
from edgecut.quantize.sequential import mended
from edgecut.quantize.ties import channel_groups, scale_groups
from edgecut.quantize.twins import Twins
from edgecut.records.progress import SILENT, Progress

Cure = Literal["percentile ranges", "mse ranges", "bias correction", "equalization", "adaptive rounding"]

# How many images the layer-by-layer cures run on: their means and covariances hardly change beyond.
IMAGES = 64


@dataclass(frozen=True, eq=False)
class Patient:
    """An int8 file with its float twin, and the calibration images, as the model takes them, that cures go by."""

    twins: Twins
    images: np.ndarray
    progress: Progress = SILENT

    @cached_property
    def observed(self) -> Mapping[int, Observed]:
        """What the float model's activations are like on the images, by int8 tensor."""
        seen = observe(self.twins.float32, self.images)
        return by_int8(self.twins.graph, self.twins.tensors, seen)


@dataclass(frozen=True, eq=False)
class Mended:
    """A file's numbers after some cures. factors: what the channels of a tensor were multiplied by, by tensor."""

    cures: frozenset[Cure]
    numbers: Numbers
    factors: Mapping[int, np.ndarray] = field(default_factory=dict)

    def content(self, twins: Twins) -> bytes:
        """The file."""
        return render(twins, self.numbers)


def mend(patient: Patient, cures: frozenset[Cure]) -> Mended:
    """The numbers after a set of cures, always in the same order, whatever was tried before.

    Equalization sets all ranges anew, by the extremes if no other rule is among the cures.
    """
    twins = patient.twins
    numbers, observed = numbers_of(twins), dict(patient.observed)
    found: dict[int, np.ndarray] = {}
    if "equalization" in cures:
        for group in channel_groups(twins):
            channel_factors = factors(group, patient.observed)
            numbers = scaled(twins, numbers, group, channel_factors)
            found.update(dict.fromkeys(group.tensors, channel_factors))
        observed = {i: seen.scaled(found[i]) if i in found else seen for i, seen in observed.items()}
    rule: ranges.Rule | None = _rule(cures)
    if rule is not None:
        numbers = replace(numbers, ranges=ranges.choose(scale_groups(twins), observed, rule))
    if cures & {"bias correction", "adaptive rounding"}:
        numbers = mended(
            twins, numbers, patient.images[:IMAGES], observed, correct_biases="bias correction" in cures,
            adapt_rounding="adaptive rounding" in cures, progress=patient.progress,
        )  # fmt: skip
    return Mended(cures, numbers, found)


def _rule(cures: frozenset[Cure]) -> ranges.Rule | None:
    if "mse ranges" in cures:
        return "mse"
    if "percentile ranges" in cures:
        return "percentile"
    return "min-max" if "equalization" in cures else None


ORDER: tuple[Cure, ...] = (
    "percentile ranges", "mse ranges", "bias correction", "equalization", "adaptive rounding",
)  # fmt: skip
"""By what they cost at build time. None costs anything on the device."""

EXCLUDES: Mapping[Cure, frozenset[Cure]] = {"mse ranges": frozenset({"percentile ranges"})}
"""A cure that takes the place of others."""

Make = Callable[[frozenset[Cure]], Mended]
