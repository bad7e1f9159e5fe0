"""The table of files on devices: for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from rich.console import Group

from edgecut.records.bench_rows import BenchRow, unknown
from edgecut.records.measurement import Measurement
from edgecut.render.grid import fitted, remarked_words
from edgecut.render.lines import line
from edgecut.render.page_parts import Column, sentences, table
from edgecut.render.templating import part
from edgecut.render.words import NOTHING, UNKNOWN, band_words, measured_words, of_kind, rests_on, value_words

NAMES = ("file", "device")
MEASURED = ("min", "p10", "median", "p90", "max")
COLUMNS = (*NAMES, *MEASURED, "estimated", "band", "evidence", "arena", "flash")
# What goes first where a line has no room for all.
DROPPED = ("evidence", "flash", "arena", "p10", "p90", "max", "min", "band")
LEGEND = "min to max: latency measured on the row's device; estimated: from its facts; m: measured, e: estimated"


def bench_table(rows: Sequence[BenchRow]) -> Group:
    """A row for each file and device; underneath, what the columns are, and why figures are missing."""
    cells = [_cells(row) for row in rows]
    arenas = remarked_words([words["arena"] for words in cells])
    said = [name for name in COLUMNS if {words[name] for words in cells} - {NOTHING}]
    headings = [f"<{name}" if name in {*NAMES, "band", "evidence"} else name for name in said]
    shown, before = [], ""
    for row, words, arena in zip(rows, cells, arenas, strict=True):
        own = {"file": "" if row.artifact == before else words["file"], "arena": arena}
        before = row.artifact
        shown.append([own.get(name, words[name]) for name in said])
    remarks = (line(sentence, "dim") for sentence in (LEGEND, *reasons(rows)))
    return Group(fitted(headings, shown, DROPPED), *remarks)


def bench_html(rows: Sequence[BenchRow]) -> Markup:
    """The same as a table of a page; nothing without rows."""
    if not rows:
        return Markup()
    columns = [Column(name, name not in {*NAMES, "evidence"}) for name in COLUMNS]
    cells = [_cells(row) for row in rows]
    cells = [words | {name: part("whole", words[name]) for name in NAMES} for words in cells]
    return table(columns, [[words[name] for name in COLUMNS] for words in cells]) + sentences([LEGEND, *reasons(rows)])


def reasons(rows: Sequence[BenchRow]) -> list[str]:
    """Sentences on what isn't known, each reason once; a file is named where the reason isn't every file's."""
    files = {row.artifact for row in rows}
    found = []
    for reason, places in unknown(rows).items():
        by_device: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for device, file in dict.fromkeys((device, file) for device, _, file in places):
            metrics = [metric for other, metric, of in places if (other, of) == (device, file)]
            by_device.setdefault((device, tuple(dict.fromkeys(metrics))), []).append(file)
        words = [
            f"{device} {' and '.join(metrics)}" + ("" if set(of) == files else f" of {', '.join(of)}")
            for (device, metrics), of in by_device.items()
        ]
        found.append(f"{', '.join(words)}: {reason}")
    return found


def _cells(row: BenchRow) -> dict[str, str]:
    told, estimated = row.measured, row.estimated
    least, p10, p90, most = (NOTHING,) * 4
    if told is not None and told.value is not None:
        least, p10, p90, most = (value_words(value, told.unit) for value in told.spread)
    return {
        "file": row.artifact,
        "device": row.device,
        "min": least,
        "p10": p10,
        "median": NOTHING if told is None else measured_words(told),
        "p90": p90,
        "max": most,
        "estimated": _estimate(estimated),
        "band": NOTHING if estimated is None or estimated.value is None else band_words(estimated.error) or NOTHING,
        "evidence": NOTHING if estimated is None else rests_on(estimated) or NOTHING,
        "arena": _memory(row.arena),
        "flash": _memory(row.flash),
    }


def _estimate(found: Measurement | None) -> str:
    if found is None:
        return NOTHING
    return f"{measured_words(found)}{' s' if found.kind == 'simulated' and found.value is not None else ''}"


def _memory(found: Measurement | None) -> str:
    if found is None:
        return NOTHING
    return UNKNOWN if found.value is None else of_kind(measured_words(found), found.kind, found.error, True)
