"""What `edgecut bench` and `edgecut compare` found, as pages like a build's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from markupsafe import Markup

from edgecut.records.bench_rows import bench_rows
from edgecut.records.comparison import Change, Comparison, OutputChange
from edgecut.records.device_figures import DeviceFigures
from edgecut.records.measurement import Measurement
from edgecut.records.usage import FileTimes, FileUse
from edgecut.render.bench_rows import bench_html
from edgecut.render.comparison import change_rows, headline
from edgecut.render.devices import devices_html
from edgecut.render.latency_plot import latency_plot
from edgecut.render.operator_times import times_html
from edgecut.render.page import measurements_html
from edgecut.render.page_parts import (
    Column,
    folded,
    joined,
    memory_html,
    operators_html,
    sentences,
    state_html,
    table,
)
from edgecut.render.scatter import PLOT_SCRIPT, PLOT_STYLE
from edgecut.render.templating import html
from edgecut.render.words import NOTHING


def render_bench(
    precisions: Mapping[str, str],
    measurements: Sequence[Measurement],
    uses: Sequence[FileUse] = (),
    times: Mapping[str, FileTimes] = MappingProxyType({}),
    figures: Sequence[DeviceFigures] = (),
) -> str:
    """The page of measured files.

    precisions: of the files, by name. uses: of those that are .tflite. times: by file. figures: by device, which come
    first.
    """
    files, rows = list(precisions), bench_rows(measurements, figures)
    drawn = latency_plot(rows, precisions)
    sections = (
        ("On the devices", bench_html(rows) if len(files) > 1 else devices_html(figures, {})),
        ("Latency", Markup(drawn)),
        ("Measurements", measurements_html(measurements, {})),
        ("Time by operator, measured", joined(_named(files, name, times_html(each)) for name, each in times.items())),
        ("Memory over the run", joined(_named(files, use.artifact, memory_html([use], {})) for use in uses)),
        ("Cost by operator", operators_html(uses, {})),
    )
    title = files[0] if len(files) == 1 else f"{len(files)} files"
    return html(
        "bench",
        title=f"bench: {title}",
        sections=sections,
        style=Markup(PLOT_STYLE if drawn else ""),
        script=Markup(PLOT_SCRIPT if drawn else ""),
        file=title,
    )


def _named(files: Sequence[str], name: str, content: Markup) -> Markup:
    """What belongs to one of several files, folded below its name."""
    return folded(name, content) if len(files) > 1 and content else content


def render_comparison(found: Comparison) -> str:
    """The page of a comparison: what changed, what is more than chance, and the limits."""
    sections = (
        ("Limits", _verdicts(found)),
        ("Changes", _changes(found.changes)),
        ("Outputs", _outputs(found.outputs)),
        ("Differences", _differences(found)),
        ("Notes", sentences(found.notes)),
    )
    return html(
        "comparison",
        title=f"compare: {found.a} and {found.b}",
        sections=sections,
        style="",
        script="",
        found=found,
        headline=headline(found),
    )


def _verdicts(found: Comparison) -> Markup:
    columns = (Column("limit"), Column("file"), Column("state"), Column("found"))
    return table(columns, [(v.limit, v.file, state_html(v.state), v.found) for v in found.verdicts])


def _changes(changes: Sequence[Change]) -> Markup:
    columns = (
        Column("metric"),
        Column("file"),
        Column("A", True),
        Column("B", True),
        Column("change", True),
        Column("how sure"),
    )
    return table(columns, change_rows(changes))


def _outputs(outputs: Sequence[OutputChange]) -> Markup:
    columns = (
        Column("file"),
        Column("inputs", True),
        Column("of"),
        Column("max. error", True),
        Column("other top-1", True),
    )
    rows = []
    for o in outputs:
        changed = NOTHING if o.top1_changes is None else str(o.top1_changes)
        rows.append((o.file, str(o.inputs), o.of, f"{o.max_abs_error:.3g}", changed))
    return table(columns, rows)


def _differences(found: Comparison) -> Markup:
    columns = (Column("what"), Column("name"), Column("A"), Column("B"))
    rows = [(d.what, d.name, _or_nothing(d.a), _or_nothing(d.b)) for d in found.differences]
    return table(columns, rows)


def _or_nothing(text: str | None) -> str:
    return NOTHING if text is None else text
