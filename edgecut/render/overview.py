"""Pages over the builds and searches of a folder: a list, builds side by side, and a front to walk along."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from markupsafe import Markup

from edgecut.records.device_figures import answer
from edgecut.records.front import Front, FrontPoint
from edgecut.records.report import Report
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.front import choices_html, metric_words
from edgecut.render.front_plot import front_plot, input_colours, input_shape
from edgecut.render.page_parts import Column, joined, state_html, table
from edgecut.render.results import COLUMNS, file_labels, judged_by, result_rows
from edgecut.render.scatter import PLOT_SCRIPT, PLOT_STYLE
from edgecut.render.templating import html, part
from edgecut.render.walk_script import WALK_SCRIPT
from edgecut.render.words import NOTHING, measured_words, value_words

BUDGETS = ("latency", "arena", "size")


T = TypeVar("T", Report, Front)


@dataclass(frozen=True)
class Place(Generic[T]):
    """A document. path: of its folder, relative to the one that is shown, with forward slashes. page: its report."""

    path: str
    document: T
    page: str | None


def render_overview(
    folder: str, builds: Sequence[Place[Report]], searches: Sequence[Place[Front]], faults: Sequence[str]
) -> str:
    """The list of a folder. faults: documents that can't be read, a sentence each."""
    sections = (
        ("Builds", _builds(builds)),
        ("Searches", _searches(searches)),
        ("Not read", part("sentences", faults) if faults else Markup()),
    )
    return html(
        "overview",
        title=f"edgecut: {folder}",
        sections=sections,
        style="",
        script="",
        folder=folder,
        builds=len(builds),
        searches=len(searches),
    )


def render_side_by_side(builds: Sequence[Place[Report]]) -> str:
    """Builds beside each other, a column each: status, files, accuracy, and what devices say."""
    columns = [Column("figure"), *(Column(build.path, True) for build in builds)]
    facts = [_figures(build.document) for build in builds]
    names = list(dict.fromkeys(name for row in facts for name in row))
    rows = [[name, *(row.get(name, NOTHING) for row in facts)] for name in names]
    states = ["status", *(state_html(build.document.status) for build in builds)]
    sections = (("Side by side", table(columns, [states, *rows])),)
    return html("side_by_side", title="builds side by side", sections=sections, style="", script="", builds=builds)


def render_walk(place: Place[Front], device: str) -> str:
    """A front on one device, with a budget to drag for each of its costs."""
    front = place.document
    called = metric_words(front.metric)
    colours = input_colours((p.size, p.channels) for p in front.front)
    points = [_point(p, device) for p in front.front]
    sliders = [(name, _steps(name, points)) for name in BUDGETS]
    data = {"called": called, "device": device, "points": points}
    sections = (
        ("Budgets", part("sliders", [(name, steps) for name, steps in sliders if steps])),
        ("What wins", Markup('<p id="wins" aria-live="polite"></p><ul id="why"></ul>')),
        (f"The front for {device}", Markup(front_plot(front.front, device, colours, called))),
        ("Choices", choices_html(front.front, called)),
    )
    return html(
        "walk",
        title=f"walk: {front.source.rpartition('/')[2]}",
        sections=sections,
        style=Markup(PLOT_STYLE + _WALK_STYLE),
        script=Markup(PLOT_SCRIPT + f"var front = {_script_json(data)};\n" + WALK_SCRIPT),
        place=place,
        device=device,
        devices=[(name, quote(name)) for name in front.profiles],
        path=quote(place.path),
    )


_WALK_STYLE = """
.sliders { display: grid; grid-template-columns: max-content minmax(8rem, 24rem) 7rem; gap: .4rem 1rem;
  align-items: center; }
.sliders output { font-variant-numeric: tabular-nums; }
.mark.out { opacity: .18; } .mark.wins { stroke: var(--ink); stroke-width: 4; }
@media (max-width: 40rem) { .sliders { grid-template-columns: 4rem 1fr 5.5rem; gap: .4rem .5rem; } }
"""


def _builds(builds: Sequence[Place[Report]]) -> Markup:
    columns = [Column("compare"), Column("build"), Column("status"), Column("devices"), Column("files")]
    columns += [Column("accuracy", True), Column("report")]
    rows = []
    for build in builds:
        report = build.document
        metric = judged_by(report)
        said = "" if metric == "accuracy" else f"{COLUMNS[metric]} "
        shown = [f"{said}{row.accuracy}" for row in result_rows(report) if row.accuracy != NOTHING]
        rows.append(
            (
                part("tick", build.path),
                build.path,
                state_html(report.status),
                ", ".join(str(profile.get("id", "")) for profile in report.profiles),
                ", ".join(file_labels(report).get(a.name, a.name) for a in report.artifacts),
                shown[-1] if shown else NOTHING,
                _link(build.page, "open"),
            )
        )
    return part("compare_form", table(columns, rows)) if rows else Markup("<p>None.</p>")


def _searches(searches: Sequence[Place[Front]]) -> Markup:
    columns = [Column("search"), Column("source"), Column("devices"), Column("cuts", True), Column("front", True)]
    columns += [Column("walk"), Column("report")]
    rows = [
        (
            search.path,
            search.document.source.rpartition("/")[2],
            ", ".join(search.document.profiles),
            str(len(search.document.cuts)),
            str(len(search.document.front)),
            joined(
                part("page_link", f"walk?path={quote(search.path)}&device={quote(device)}", device)
                for device in search.document.profiles
            ),
            _link(search.page, "open"),
        )
        for search in searches
    ]
    return table(columns, rows) if rows else Markup("<p>None.</p>")


def _link(page: str | None, words: str) -> Markup | str:
    return NOTHING if page is None else part("page_link", f"file/{quote(page)}", words)


def _figures(report: Report) -> dict[str, str]:
    """{what: value} of one build, in words."""
    labels, metric = file_labels(report), judged_by(report)
    found = {"source": report.source.path.rpartition("/")[2], "edgecut": report.edgecut}
    for row in result_rows(report):
        values = {"size": row.size, COLUMNS[metric]: row.accuracy, "drop": row.drop, "latency here": row.latency}
        found |= {f"{row.label}: {name}": value for name, value in values.items() if value != NOTHING}
    own = [m for m in report.measurements if m.profile not in {None, "host"}]
    for artifact, metric, profile in dict.fromkeys((m.artifact, m.metric, m.profile) for m in own):
        m = answer(m for m in own if (m.artifact, m.metric, m.profile) == (artifact, metric, profile))
        if m is not None:
            words = measured_words(m) if m.value is None else f"{measured_words(m)} ({m.kind})"
            found[f"{labels.get(artifact, artifact)}: {metric} on {profile}"] = words
    for check in report.checks:
        name = f"{labels.get(check.artifact, check.artifact)}: {check.metric}, limit {_limit(check.limit, check.unit)}"
        found[f"{name}{f' on {check.profile}' if check.profile else ''}"] = check.state
    return found


def _limit(limit: float | str, unit: str) -> str:
    return limit if isinstance(limit, str) else value_words(limit, unit)


def _point(p: FrontPoint, device: str) -> dict[str, object]:
    cost = next((cost for cost in p.devices if cost.profile == device), None)
    return {
        "name": f"{p.cut}, {input_shape(p.size, p.channels)}, {p.precision}",
        "accuracy": p.accuracy,
        "by": p.basis.accuracy,
        "latency": None if cost is None else cost.latency,
        "arena": p.arena if cost is None or cost.arena is None else cost.arena,
        "size": p.size_bytes,
        "chosen": device in p.recommended_for,
        "why": p.why if device in p.recommended_for else "",
    }


def _steps(name: str, points: Sequence[dict[str, object]]) -> list[tuple[float, str]]:
    """Where a budget can stand: at each value of the points, [(value, in words)]."""
    values = sorted({float(value) for p in points if isinstance(value := p[name], int | float)})
    words = format_seconds if name == "latency" else format_bytes
    return [(value, words(value)) for value in values]


def _script_json(data: object) -> str:
    """JSON that a script holds: nothing in it ends the script, or begins a comment."""
    text = json.dumps(data)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
