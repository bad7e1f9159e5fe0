"""The table of a profile that was fitted to one's own measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Group

from edgecut.records.profile import Profile
from edgecut.render.grid import fitted
from edgecut.render.lines import line
from edgecut.render.words import band_words, evidence_words, value_words


class Fit(Protocol):
    """What was measured and estimated of a file, as calibrate/own_nets.py makes it."""

    @property
    def file(self) -> str:
        """Its path."""

    @property
    def family(self) -> str:
        """The nets of its architecture."""

    @property
    def measured_s(self) -> float:
        """What was measured."""

    @property
    def before_s(self) -> float | None:
        """What the base estimates."""

    @property
    def after_s(self) -> float | None:
        """What the fitted profile estimates."""


def fit_table(rows: Sequence[Fit], profile: Profile) -> Group:
    """One row for each measured file: what it took, and what the estimates were before the fit and are behind it."""
    cells = []
    for row in rows:
        estimates = (cell for value in (row.before_s, row.after_s) for cell in _estimate(value, row.measured_s))
        cells.append((Path(row.file).name, row.family, value_words(row.measured_s, "s"), *estimates))
    columns = ("<file", "<family", "measured", "before", "off before", "fitted", "off")
    table = fitted(columns, cells, ("before", "fitted", "off before", "family", "measured"))
    facts = profile.latency
    band = "" if facts is None else f"{evidence_words(facts)}, {band_words(facts.error_p90)}"
    remark = f"off: measured / estimate - 1; nine of ten nets of a family that the fit hasn't seen are within: {band}"
    return Group(table, line(remark, "dim"))


def _estimate(value: float | None, measured: float) -> tuple[str, str]:
    return value_words(value, "s"), "" if not value else f"{(measured / value - 1) * 100:+.0f} %"
