"""The table of devices: whole ids whatever the width, and as many of the facts as there is room for."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from edgecut.records.profile import Profile
from edgecut.render.grid import Fitted, fitted
from edgecut.render.words import NOTHING, band_words, evidence_words, value_words

CLASSES = ("host", "linux", "android", "npu", "microcontroller")
SHOWN = ("<id", "<chip", "<core", "clock", "RAM", "flash", "<runtime", "<evidence", "<band", "<title")
# What goes first where a line has no room for all.
DROPPED = ("title", "flash", "runtime", "clock", "chip", "core", "RAM", "evidence", "band")


def profile_table(profiles: Iterable[Profile]) -> Fitted:
    """One row for each device, grouped by class; what there is no room for is named underneath."""
    rows: list[list[str | Text]] = []
    before = ""
    for profile in sorted(profiles, key=lambda p: (CLASSES.index(p.class_), p.id)):
        if profile.class_ != before:
            rows.append([Text(profile.class_, "bold")])
        facts = _facts(profile)
        rows.append([facts[heading.lstrip("<")] for heading in SHOWN])
        before = profile.class_
    return fitted(SHOWN, rows, DROPPED)


def _facts(profile: Profile) -> dict[str, str]:
    facts, memory = profile.latency, profile.memory
    return {
        "id": f"  {profile.id}",
        "chip": profile.chip or NOTHING,
        "core": profile.cpu.core or NOTHING,
        "clock": _clock(profile.cpu.clock_hz),
        "RAM": value_words(memory.ram_bytes, "bytes"),
        "flash": value_words(memory.flash_bytes, "bytes"),
        "runtime": " ".join(filter(None, (profile.runtime.name, profile.runtime.kernels))),
        "evidence": evidence_words(facts),
        "band": "" if facts is None else band_words(facts.error_p90),
        "title": profile.title,
    }


def _clock(hertz: int | None) -> str:
    if hertz is None:
        return NOTHING
    return f"{hertz / 1e9:g} GHz" if hertz >= 10**9 else f"{hertz / 1e6:g} MHz"
