"""Where a file's time goes, operator by operator: for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from rich.console import Group

from edgecut.records.units import format_seconds
from edgecut.records.usage import FileTimes, OperatorTime, OperatorTimes
from edgecut.render.grid import fitted
from edgecut.render.lines import line
from edgecut.render.page_parts import Column, folded, joined, sentences, table
from edgecut.render.templating import part
from edgecut.render.words import NOTHING


def times_table(times: FileTimes, *, verbose: bool = False) -> Group:
    """The operators as the runtime tells them, else one by one; underneath, what both ways make together.

    verbose: both ways.
    """
    told, alone = times.in_graph, times.one_by_one
    shown = [told] if told.rows else []
    shown += [alone] if alone.rows and (verbose or not told.rows) else []
    parts = [part for each in shown for part in (_table(each.rows), line(each.method, "dim"), "")]
    return Group(*parts, *(line(sentence) for sentence in sums(times)))


def times_html(times: FileTimes) -> Markup:
    """Both ways as tables of a page, the runtime's own open; nothing without times."""
    told, alone = times.in_graph, times.one_by_one
    parts = [_folded(each, is_open=k == 0) for k, each in enumerate(each for each in (told, alone) if each.rows)]
    return sentences(sums(times)) + joined(parts) if parts else Markup()


def sums(times: FileTimes) -> list[str]:
    """Sentences on what the operators take together in the graph, one by one, and as the whole file."""
    ways = (("in graph", times.in_graph), ("one by one", times.one_by_one))
    words = [f"{name} {format_seconds(way.seconds)}" for name, way in ways if way.seconds is not None]
    words += [] if times.file_s is None else [f"the whole file {format_seconds(times.file_s)}"]
    reasons = [f"{name} none: {way.reason}" for name, way in ways if not way.rows and way.reason]
    told, file = times.in_graph.seconds, times.file_s
    # Without the profiler the file takes less: ONNX Runtime's adds a microsecond or so to each node.
    if told is not None and file is not None and told > file:
        reasons.insert(
            0, "in graph is more than the whole file: the profiler's own cost, or other work, is in its times"
        )
    return [", ".join(words), *reasons] if words else reasons


def _table(rows: Sequence[OperatorTime]) -> Group:
    cells = []
    for row in rows:
        shares = [NOTHING if share is None else f"{share * 100:.1f}" for share in (row.share, row.cumulative)]
        cells.append([row.operator, row.layer or NOTHING, _milliseconds(row.seconds), *shares])
    headings = ("<operator", "<layer", "ms", "%", "cumulative %")
    return Group(fitted(headings, cells, ("cumulative %", "%", "operator")))


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    return f"{seconds * 1e3:.4f}" if seconds else "<0.001"  # of whole microseconds that are rounded down


def _folded(times: OperatorTimes, *, is_open: bool) -> Markup:
    columns = (Column("operator"), Column("layer"), Column("time", True), Column("share", True), Column("of all"))
    rows = []
    for row in times.rows:
        share = row.share or 0.0
        time = NOTHING if row.seconds is None else format_seconds(row.seconds)
        rows.append((row.operator, row.layer or NOTHING, time, f"{100 * share:.1f} %", part("bar", share)))
    return folded(f"{len(times.rows)} operators: {times.method}", table(columns, rows), is_open=is_open)
