"""Figures that somebody read off a device: checked, held against its estimates, and kept for a fit."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from edgecut.errors import RequestError
from edgecut.records.device_figures import BY_HAND, HOST, DeviceFigures
from edgecut.records.measurement import Measurement, Metric, measured
from edgecut.records.plausible import MOST_BYTES
from edgecut.records.plausible_latency import MOST_S
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.units import format_bytes, format_seconds, parse_bytes, parse_seconds

EXAMPLE = "nucleo-l4r5zi=231ms"


def read_by_hand(
    texts: Sequence[str], profiles: Mapping[str, Profile], artifact: str
) -> tuple[dict[str, Profile], tuple[Measurement, ...]]:
    """(the profiles, each once, those that the texts name besides behind them; what the texts say of a file).

    profiles: by the word that names each, an id or a file. texts: PROFILE=TIME for a latency, PROFILE=SIZE for an
    arena; several of one kind are taken as runs. Raises RequestError for a text of another form, and for an unknown
    profile.
    """
    known: dict[str, tuple[str, Profile]] = {}
    for word, profile in profiles.items():
        known.setdefault(profile.id, (word, profile))
    found: dict[tuple[str, Metric], list[float]] = {}
    for text in texts:
        name, metric, value = _read(text)
        profile = known[name][1] if name in known else find_profile(name)
        if profile.class_ == HOST:
            raise RequestError(f"--measured: {name} is this machine, which measures itself; name the device")
        known.setdefault(profile.id, (name, profile))
        found.setdefault((profile.id, metric), []).append(value)
    rows = (
        measured(metric, artifact, values, profile=name, where=name, method=BY_HAND)
        for (name, metric), values in found.items()
    )
    return dict(known.values()), tuple(rows)


def measured_lines(path: str, figures: Sequence[DeviceFigures]) -> dict[str, str]:
    """By device a line for a file of measurements, as records/figure_file.py reads it, of what was measured there.

    None of a file that isn't .tflite, to which nothing is fitted.
    """
    if not path.lower().endswith(".tflite"):
        return {}
    return {row.profile: _line(path, row) for row in figures if _seconds(row)}


def _line(path: str, row: DeviceFigures) -> str:
    own = row.arena if row.arena is not None and row.arena.method == BY_HAND else None
    arena = "" if own is None or own.value is None else f"{own.value:.0f}"
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow((path, f"{(_seconds(row) or 0) * 1e3:.6g} ms", arena))
    return text.getvalue()


def _seconds(row: DeviceFigures) -> float | None:
    return row.latency.value if row.latency is not None and row.latency.kind == "measured" else None


def _read(text: str) -> tuple[str, Metric, float]:
    name, equals, value = text.rpartition("=")
    if not equals or not name or not value.strip():
        raise RequestError(f"--measured: {text!r} is no PROFILE=TIME or PROFILE=SIZE, such as {EXAMPLE}")
    if value.strip()[-1:].isdigit():
        raise RequestError(f"--measured: {text!r} has no unit; write a time such as 231ms, or an arena such as 39.6KiB")
    for metric, parse, most in (("latency", parse_seconds, MOST_S), ("arena", parse_bytes, MOST_BYTES)):
        try:
            number = float(parse(value))
        except ValueError:
            continue
        if not number:
            raise RequestError(f"--measured: {text!r} says that nothing was taken; expected more than 0")
        if number > most:
            limit = format_seconds(most) if metric == "latency" else format_bytes(most)
            raise RequestError(f"--measured: {text!r} is more than any file takes; expected at most {limit}")
        return name, "latency" if metric == "latency" else "arena", number
    raise RequestError(f"--measured: {text!r} is no PROFILE=TIME or PROFILE=SIZE, such as {EXAMPLE}")
