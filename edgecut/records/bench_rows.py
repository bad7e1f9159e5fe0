"""Files on devices: what was measured of each latency apart from what was estimated, and the memory beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgecut.records.device_figures import DeviceFigures, answer
from edgecut.records.measurement import Measurement

COSTS = ("latency", "arena", "flash")


@dataclass(frozen=True)
class BenchRow:
    """A file on a device. device: a profile's id, or the machine that measured without standing for a profile.

    measured, estimated: the latency; None where nobody tried. Either may have no value and a reason.
    """

    artifact: str
    device: str
    measured: Measurement | None
    estimated: Measurement | None
    arena: Measurement | None
    flash: Measurement | None

    @property
    def latency(self) -> Measurement | None:
        """What is known best of it."""
        return answer(m for m in (self.measured, self.estimated) if m is not None)


def bench_rows(measurements: Sequence[Measurement], figures: Iterable[DeviceFigures]) -> tuple[BenchRow, ...]:
    """A row for each file and device, the files and each one's devices in the order of the measurements."""
    own = [m for m in measurements if m.metric in COSTS]
    pairs = dict.fromkeys((m.artifact, m.profile or m.where) for m in own)
    memory = {(row.artifact, row.profile): row for row in figures}
    order = list(dict.fromkeys(artifact for artifact, _ in pairs))
    rows = []
    for artifact, device in sorted(pairs, key=lambda pair: order.index(pair[0])):
        there = [m for m in own if (m.artifact, m.profile or m.where) == (artifact, device)]
        latency = [m for m in there if m.metric == "latency"]
        known = memory.get((artifact, device))
        rows.append(
            BenchRow(
                artifact,
                device,
                answer(m for m in latency if _is_run(m)),
                answer(m for m in latency if not _is_run(m)),
                answer(m for m in there if m.metric == "arena") if known is None else known.arena,
                None if known is None else known.flash,
            )
        )
    return tuple(rows)


def _is_run(latency: Measurement) -> bool:
    """Whether a machine was to measure it, and it isn't said of a device that nobody could ask."""
    return latency.kind == "measured" if latency.value is not None else latency.where != latency.profile


def unknown(rows: Iterable[BenchRow]) -> dict[str, list[tuple[str, str, str]]]:
    """By reason the (device, metric, file) of which nothing is known."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        for m in (row.measured, row.estimated, row.arena, row.flash):
            if m is not None and m.value is None:
                found.setdefault(m.reason, []).append((row.device, m.metric, row.artifact))
    return found
