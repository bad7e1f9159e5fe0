"""The table of devices: whole ids whatever the width, and as many of the facts as there is room for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.text import Text

from edgecut.records.profile import Profile
from edgecut.render.grid import grid, line
from edgecut.render.words import NOTHING, band_words, evidence_words, value_words

CLASSES = ("host", "linux", "android", "npu", "microcontroller")
SHOWN = ("<id", "<chip", "<core", "clock", "RAM", "flash", "<runtime", "<evidence", "<band", "<title")
# What goes first where a line has no room for all.
DROPPED = ("title", "flash", "runtime", "clock", "chip", "core", "RAM", "evidence", "band")
GAP = 2


def profile_table(profiles: Iterable[Profile], width: int = 80) -> Group:
    """One row for each device, grouped by class, in `width` columns; what there is no room for is named underneath."""
    ordered = sorted(profiles, key=lambda p: (CLASSES.index(p.class_), p.id))
    facts = [_facts(p) for p in ordered]
    headings = [name.lstrip("<") for name in SHOWN]
    widths = {name: max(map(len, (name, *(row[name] for row in facts)))) for name in headings}
    widths["id"] = max(widths["id"], *(len(p.class_) for p in ordered))
    shown, left_out = list(headings), []
    for name in DROPPED:
        if sum(widths[heading] + GAP for heading in shown) <= width:
            break
        shown.remove(name)
        left_out.append(name)
    table, before = grid(*(name for name in SHOWN if name.lstrip("<") in shown)), ""
    for profile, row in zip(ordered, facts, strict=True):
        if profile.class_ != before:
            table.add_row(Text(profile.class_, "bold"))
        table.add_row(*(row[name] for name in shown))
        before = profile.class_
    return Group(table, *(line(sentence, "dim") for sentence in _remarks(left_out)))


def _remarks(left_out: Sequence[str]) -> Iterable[str]:
    if left_out:
        columns = ", ".join(name for name in (heading.lstrip("<") for heading in SHOWN) if name in left_out)
        yield f"no room for {columns}: a wider terminal or --json has them"


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
