"""What `edgecut bench` and `edgecut compare` found, as pages like a build's."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from edgecut.records.comparison import Change, Comparison, OutputChange
from edgecut.records.device_figures import DeviceFigures
from edgecut.records.measurement import Measurement
from edgecut.records.usage import NO_TIMES, FileTimes, FileUse
from edgecut.render.comparison import change_rows, headline
from edgecut.render.devices import devices_html
from edgecut.render.operator_times import times_html
from edgecut.render.page import measurements_html
from edgecut.render.page_parts import (
    Column,
    memory_html,
    operators_html,
    sentences,
    state_html,
    table,
)
from edgecut.render.templating import html
from edgecut.render.words import NOTHING


def render_bench(
    file: str,
    measurements: Sequence[Measurement],
    use: FileUse | None = None,
    times: FileTimes = NO_TIMES,
    figures: Sequence[DeviceFigures] = (),
) -> str:
    """The page of a measured file.

    use: None for a file that isn't .tflite. figures: by device, which come first.
    """
    uses = () if use is None else (use,)
    sections = (
        ("On the devices", devices_html(figures, {})),
        ("Measurements", measurements_html(measurements, {})),
        ("Time by operator, measured", times_html(times)),
        ("Memory over the run", memory_html(uses, {})),
        ("Cost by operator", operators_html(uses, {})),
    )
    return html("bench", title=f"bench: {file}", sections=sections, style="", script="", file=file)


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
