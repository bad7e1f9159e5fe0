"""What the values of a file's outputs are called, and what they decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecut.records.artifact import Artifact
from edgecut.records.operating import Decision


@dataclass(frozen=True)
class Legend:
    """labels: names in the order of the values of one output, or of the two sides of a single one. units: of values,
    one for all or one for each. decisions: how each output is decided that a threshold decides."""

    labels: Sequence[str] = ()
    units: Sequence[str] = ()
    decisions: tuple[Decision, ...] = ()

    def place(self, artifact: Artifact) -> int:
        """Which output the labels, or the units, are of: the first where none has as many values."""
        several = self.labels or (self.units if len(self.units) > 1 else ())
        spec = artifact.labelled(several)
        return 0 if spec is None else artifact.outputs.index(spec)

    def units_of(self, artifact: Artifact) -> tuple[str, ...]:
        """A unit for each value of that output; () without units, or of another number of them."""
        shape = artifact.outputs[self.place(artifact)].shape
        width = shape[-1] if shape else 1
        units = tuple(self.units) * width if len(self.units) == 1 else tuple(self.units)
        return units if len(units) == width else ()


NO_LEGEND = Legend()
