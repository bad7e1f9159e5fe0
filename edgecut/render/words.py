"""Numbers and names as the tables and the page show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgecut.records.artifact import Artifact
from edgecut.records.device_figures import BY_HAND
from edgecut.records.measurement import Measurement, number_in
from edgecut.records.profile import LatencyFacts
from edgecut.records.report import Check
from edgecut.records.units import format_bytes, format_count, format_seconds

NOTHING = "–"
UNKNOWN = "none"
"""Of what was asked for and isn't known; the reason stands beside it or below."""
STYLES = {"meets": "green", "misses": "bold red", "failed": "bold red", "unknown": "yellow"}
"""How a state looks on a terminal."""


def fraction_words(value: float) -> str:
    """0.8125 as "0.813"."""
    return f"{value:.3f}"


_BY_UNIT: dict[str, Callable[[float], str]] = {
    "s": format_seconds,
    "bytes": format_bytes,
    "fraction": fraction_words,
    "dB": lambda value: f"{value:.1f} dB",
    "1": lambda value: format_count(round(value)) if value >= 10_000 else f"{value:.3g}",
}


def value_words(value: float | str | None, unit: str) -> str:
    """A value with its unit: 0.0123 s as "12.3 ms"; a dash for None."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    return _BY_UNIT.get(unit, lambda number: f"{number:g} {unit}".rstrip())(value)


def measured_words(measurement: Measurement) -> str:
    """A measurement's value with its unit; "at least" where not all operators are modelled; "none" without a value."""
    if measurement.value is None:
        return UNKNOWN
    words = value_words(measurement.value, measurement.unit)
    return f"≥ {words}" if measurement.conditions.get("at_least") else words


def band_words(error: float | None) -> str:
    """0.28 as "±28 %", 1.0 and more as "×/÷ 2"; "" for None."""
    if error is None:
        return ""
    return f"±{error * 100:.0f} %" if error < 1 else f"×/÷ {1 + error:.2g}"


def how_words(measurement: Measurement) -> str:
    """How it was found, and where, if that is another place than the device that it is about."""
    elsewhere = measurement.where not in {measurement.profile or measurement.where, "file"}
    return f"{measurement.where}: {measurement.method}" if elsewhere else measurement.method


def of_kind(words: str | None, kind: str, error: float | None, brief: bool) -> str:
    """A value with how it came about: "12 ms e ±28 %" if brief, else "12 ms (estimated ±28 %)"; a dash for None."""
    if words is None:
        return NOTHING
    band = f" {band_words(error)}" if error is not None else ""
    return f"{words} {kind[:1]}{band}".strip() if brief else f"{words} ({kind}{band})" if kind else words


def evidence_words(facts: LatencyFacts | None) -> str:
    """On how much a latency estimate rests: "16 nets of 6 families", "lent" by another device, "600 timed files"."""
    if facts is None:
        return NOTHING
    if facts.calibrated:
        return f"{max(table.files for table in facts.calibrated)} timed files"
    if facts.nets is None:
        return facts.kind
    words = _nets_words(facts.nets, facts.families)
    return f"{words}, simulated" if facts.kind == "simulated" else words


def rests_on(measurement: Measurement) -> str:
    """The same of a measurement; for what was measured, or rests on nothing that was counted, its kind."""
    if measurement.value is None:
        return ""
    nets, families, files = (number_in(measurement.conditions, key) for key in ("nets", "families", "timed_files"))
    if measurement.kind in {"measured", "emulated"}:
        return f"{measurement.kind} {measurement.method}" if measurement.method == BY_HAND else measurement.kind
    if files is not None:
        return f"{files:.0f} timed files"
    if nets is None:
        return measurement.kind
    words = _nets_words(round(nets), None if families is None else round(families))
    return f"{words}, simulated" if measurement.kind == "simulated" else words


def _nets_words(nets: int, families: int | None) -> str:
    if nets == 0:
        return "lent"
    known = f"{nets} net{'s' * (nets > 1)}"
    return known if families in {None, nets} else f"{known} of {families} famil{'y' if families == 1 else 'ies'}"


def artifact_words(artifact: Artifact) -> str:
    """What tells a run's artifacts apart: "tflite int8"."""
    return f"{artifact.format} {artifact.precision}"


def limit_words(check: Check) -> str:
    """A check's limit with its unit."""
    return value_words(check.limit, check.unit)


def check_words(check: Check) -> str:
    """What was found against a limit, and why that says no more: "277 ms, limit 500 ms (the band reaches over it)"."""
    value = f"{value_words(check.value, check.unit)}, " if check.value is not None else ""
    return f"{value}limit {limit_words(check)}{f' ({check.reason})' if check.reason else ''}"


def count_words(count: float | None) -> str:
    """7489536 as "7.49 M"; "not modelled" for None."""
    return "not modelled" if count is None else format_count(count)


def shape_words(shape: tuple[int | None, ...]) -> str:
    """(None, 96, 96, 3) as "?×96×96×3"."""
    return "×".join("?" if size is None else str(size) for size in shape) or "scalar"


def fact_words(facts: Mapping[str, object]) -> str:
    """{"inputs": 8, "max_abs_error": 1.2e-07} as "inputs 8, max_abs_error 1.2e-07"."""
    return ", ".join(f"{key} {_plain(value)}" for key, value in facts.items() if value is not None)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return f"({fact_words(value)})"
    if isinstance(value, list | tuple):
        return shape_words(tuple(value)) if _is_shape(value) else ", ".join(map(_plain, value))
    return str(value)


def _is_shape(value: Sequence[object]) -> bool:
    return len(value) > 1 and all(size is None or type(size) is int for size in value)
