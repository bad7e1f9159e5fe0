"""The table of a file's figures by device: a row for each, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup
from rich.console import Group

from edgecut.records.device_figures import DeviceFigures, Miss
from edgecut.records.measurement import Measurement
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.grid import fitted, remarked
from edgecut.render.lines import line
from edgecut.render.page_parts import Column, sentences, table
from edgecut.render.words import NOTHING, band_words, measured_words, rests_on

COLUMNS = ("device", "file", "arena", "flash", "latency", "band", "evidence")
# What goes first where a line has no room for all.
DROPPED = ("flash", "evidence", "file", "arena", "band", "latency")


def device_table(rows: Sequence[DeviceFigures], labels: Mapping[str, str]) -> Group:
    """A row for each device and file: arena, flash, latency with its band, and on what the latency rests.

    labels: what a file is called in a run of several. Underneath, why figures are missing, and how far estimates were
    from what was measured.
    """
    named = labels or len({row.artifact for row in rows}) > 1
    shown = [name for name in COLUMNS if named or name != "file"]
    headings = [f"<{name}" if name in {"device", "file", "band", "evidence"} else name for name in shown]
    arenas = remarked([_arena(row) for row in rows])
    cells = [{**_cells(row, labels), "arena": arena} for row, arena in zip(rows, arenas, strict=True)]
    found = fitted(headings, [[words[name] for name in shown] for words in cells], DROPPED)
    return Group(found, *(line(sentence, "dim") for sentence in remarks(rows)))


def devices_html(rows: Sequence[DeviceFigures], labels: Mapping[str, str]) -> Markup:
    """The same as a table of a page; nothing without rows."""
    columns = [Column(name, name in {"arena", "flash", "latency"}) for name in COLUMNS]
    cells = [tuple(_cells(row, labels)[name] for name in COLUMNS) for row in rows]
    return table(columns, cells) + sentences(remarks(rows))


def remarks(rows: Iterable[DeviceFigures]) -> list[str]:
    """Sentences below the table: what was measured elsewhere, why figures are missing, how far estimates were."""
    why: dict[str, list[str]] = {}
    for row in rows:
        for m in row.figures:
            if m.value is None:
                why.setdefault(m.reason, []).append(f"{row.profile} {m.metric}")
            elif m.kind in {"measured", "emulated"} and m.where not in {row.profile, "file"}:
                why.setdefault(f"by the {m.where}", []).append(f"{m.metric}, {m.kind}")
    found = [f"{', '.join(dict.fromkeys(what))}: {reason}" for reason, what in why.items()]
    return [*found, *(miss_words(row.profile, miss) for row in rows for miss in row.misses)]


def miss_words(profile: str, miss: Miss) -> str:
    """How far an estimate was from what was measured, and whether its band holds."""
    written = format_seconds if miss.metric == "latency" else format_bytes
    estimate, measured = written(miss.estimate.value or 0.0), written(miss.measured)
    side = "more" if miss.error > 0 else "less"
    off = (
        f"{abs(miss.error) * 100:.0f} % {side} than the estimate of {estimate}"
        if miss.error
        else f"the estimate {estimate}"
    )
    words = {True: "within its band", False: "outside its band", None: "which has no band"}[miss.within_band]
    band = f" of {band_words(miss.estimate.error)}" if miss.estimate.error is not None else ""
    return f"{profile} {miss.metric}: measured {measured}, {off}, {words}{band}"


def _cells(row: DeviceFigures, labels: Mapping[str, str]) -> dict[str, str]:
    latency = row.latency
    return {
        "device": row.profile,
        "file": labels.get(row.artifact, row.artifact),
        "arena": " ".join(filter(None, _arena(row))),
        "flash": _words(row.flash),
        "latency": _words(latency),
        "band": "" if latency is None or latency.value is None else band_words(latency.error),
        "evidence": "" if latency is None else rests_on(latency),
    }


def _arena(row: DeviceFigures) -> tuple[str, str]:
    """What is said of an arena, and its band."""
    return _words(row.arena), "" if row.arena is None else band_words(row.arena.error)


def _words(measurement: Measurement | None) -> str:
    return NOTHING if measurement is None else measured_words(measurement)
