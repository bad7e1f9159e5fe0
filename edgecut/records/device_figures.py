"""What is known of a file on a device: arena, flash, latency, one figure for each, and how far estimates were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgecut.records.measurement import Kind, Measurement, Metric, measured, number_in
from edgecut.records.profile import Profile

BY_HAND = "by hand"
"""The method of a figure that somebody read off the device and passed on."""
HOST = "host"
_ANSWERS: tuple[Kind, ...] = ("measured", "emulated", "simulated", "estimated", "unknown")


def in_order(rows: Iterable[Measurement]) -> list[Measurement]:
    """Measurements of one thing, what answers first: read off the device, measured, emulated, simulated, estimated.

    Those without a value are last.
    """
    return sorted(rows, key=lambda m: (m.value is None, m.method != BY_HAND, _ANSWERS.index(m.kind)))


def answer(rows: Iterable[Measurement]) -> Measurement | None:
    """What is known best of one thing: the first in order, but a figure before a lower bound of it."""
    ordered = in_order(rows)
    whole = (m for m in ordered if m.value is not None and not m.conditions.get("at_least"))
    return next(whole, next(iter(ordered), None))


@dataclass(frozen=True)
class Miss:
    """An estimate beside what was measured of the same thing. error: measured / estimate - 1, as bands are."""

    metric: Metric
    estimate: Measurement
    measured: float

    @property
    def error(self) -> float:
        """Relative to the estimate."""
        return self.measured / (self.estimate.value or 1.0) - 1

    @property
    def within_band(self) -> bool | None:
        """Whether the estimate's band holds it; None where it has none."""
        return None if self.estimate.error is None else abs(self.error) <= self.estimate.error


@dataclass(frozen=True)
class DeviceFigures:
    """The figures of a file on a device. flash: None for a device whose files lie in no flash of its own."""

    profile: str
    artifact: str
    arena: Measurement | None
    flash: Measurement | None
    latency: Measurement | None
    misses: tuple[Miss, ...] = ()

    @property
    def figures(self) -> tuple[Measurement, ...]:
        """Those that there are, in the table's order."""
        return tuple(m for m in (self.arena, self.flash, self.latency) if m is not None)

    def document(self) -> dict[str, object]:
        """The figures for --json, in base units; null where one isn't known."""
        found: dict[str, object] = {"profile": self.profile, "artifact": self.artifact}
        for m, key in ((self.arena, "arena_bytes"), (self.flash, "flash_bytes"), (self.latency, "latency_s")):
            name = key.partition("_")[0]
            found |= {key: None if m is None else m.value, f"{name}_kind": None if m is None else m.kind}
            found |= {f"{name}_band": None if m is None else m.error}
        rests = {} if self.latency is None else self.latency.conditions
        found |= {key: number_in(rests, key) for key in ("nets", "families")}
        found["estimates_off"] = [
            {
                "metric": miss.metric,
                "estimate": miss.estimate.value,
                "measured": miss.measured,
                "error": miss.error,
                "band": miss.estimate.error,
                "within_band": miss.within_band,
            }
            for miss in self.misses
        ]
        return found


def in_flash(profile: Profile) -> bool:
    """Whether a device keeps the file in flash, as far as its profile tells."""
    flash = profile.memory.flash_bytes or profile.memory.external_flash_bytes
    return profile.class_ == "microcontroller" or bool(flash)


def device_figures(
    measurements: Sequence[Measurement], sizes: Mapping[str, int], *, flashed: Iterable[str] = ()
) -> tuple[DeviceFigures, ...]:
    """The figures of each file on each device that isn't this host, in the order of the measurements.

    sizes: of the files, by name. flashed: ids of the devices that keep the file in flash, where its size is a lower
    bound of what it takes.
    """
    kept, own = set(flashed), [m for m in measurements if m.profile not in {None, HOST}]
    pairs = dict.fromkeys((m.profile or "", m.artifact) for m in own)
    return tuple(
        _figures(profile, artifact, own, sizes.get(artifact) if profile in kept else None)
        for profile, artifact in pairs
    )


def _figures(profile: str, artifact: str, measurements: Sequence[Measurement], size: int | None) -> DeviceFigures:
    def rows(metric: Metric) -> list[Measurement]:
        return in_order(m for m in measurements if (m.metric, m.artifact, m.profile) == (metric, artifact, profile))

    found = {metric: rows(metric) for metric in ("arena", "flash", "latency")}
    arena, flash, latency = (answer(found[metric]) for metric in ("arena", "flash", "latency"))
    if flash is None and size is not None:
        more = {"at_least": True}
        flash = measured("flash", artifact, [size], where="file", method="bytes of the file", conditions=more)
    misses = (miss for metric in ("latency", "arena") for miss in _misses(metric, found[metric]))
    return DeviceFigures(profile, artifact, arena, flash, latency, tuple(misses))


def _misses(metric: Metric, rows: Sequence[Measurement]) -> Iterable[Miss]:
    """The estimate beside the figure that was measured on the device itself; a lower bound isn't held against it."""
    real = next((m for m in rows if m.kind == "measured" and m.value and _on_device(m)), None)
    estimate = next((m for m in rows if m.kind in {"estimated", "simulated"} and m.value), None)
    if real is not None and estimate is not None and not estimate.conditions.get("at_least"):
        yield Miss(metric, estimate, real.value or 0.0)


def _on_device(measurement: Measurement) -> bool:
    return measurement.metric != "arena" or measurement.method == BY_HAND
