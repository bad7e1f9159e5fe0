"""A search's front: tables for the terminal, and one self-contained page with its pictures."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from markupsafe import Markup
from rich.console import Group, RenderableType

from edgecut.records.front import Front, FrontPoint, LimitCost, Recommendation
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.explained import explained_html
from edgecut.render.front_plot import (
    depth_plot,
    front_plot,
    input_colours,
    input_shape,
    input_words,
)
from edgecut.render.grid import fitted
from edgecut.render.lines import Hanging, Line, line, notes, unbroken
from edgecut.render.page import checks_html, measurements_html
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
from edgecut.render.templating import html, part
from edgecut.render.words import NOTHING, STYLES, UNKNOWN, count_words, fraction_words, value_words

_LOOKED_AT = 8  # lines of the front that weren't built, on the terminal


def front_tables(
    front: Front, folder: str, words: Mapping[str, str] = MappingProxyType({}), *, quiet: bool = False
) -> list[RenderableType]:
    """A front as tables: one recommended choice for each device, what was built, and the front that was looked at.

    folder: where the front is. words: by the id of a profile what names it, a file or a chip. quiet: without notes.
    """
    built = [point for point in front.front if point.basis.accuracy == "measured"]
    probed = [point for point in front.front if point.basis.accuracy == "probe"]
    state = "" if front.finished else " (stopped before the end)"
    called = metric_words(front.metric)
    heading = "mAP" if front.metric == "map" else called
    parts: list[RenderableType] = [line(f"{front.source}: {len(front.cuts)} cuts looked at{state}", "bold")]
    for recommendation in front.recommendations:
        parts += ["", _recommended(recommendation, called, (folder, words.get(recommendation.profile, "")))]
    if built:
        parts += ["", _table("built and measured", built, heading)]
    if probed:
        shown = probed[:_LOOKED_AT]
        more = f", {len(shown)} of {len(probed)}" if len(shown) < len(probed) else ""
        parts += ["", _table(f"looked at, not built ({called} by the probe{more})", shown, heading)]
    if front.notes and not quiet:
        parts += ["", Group(*notes(front.notes))]
    return parts


def render_front(front: Front) -> str:
    """The page of a front: the devices' choices, the front, accuracy along depth, every number as a table."""
    called, name = metric_words(front.metric), front.source.rpartition("/")[2]
    titles = {use.artifact: use.artifact for use in front.uses}
    colours = input_colours([*((c.size, c.channels) for c in front.cuts), *((p.size, p.channels) for p in front.front)])
    sections = (
        ("For each device", _recommendations_html(front)),
        *(
            (f"The front for {device}", Markup(front_plot(front.front, device, colours, called)))
            for device in front.profiles
        ),
        ("Choices", choices_html(front.front, called)),
        (
            f"{called[:1].upper()}{called[1:]} along depth, by the probe",
            Markup(depth_plot(front.cuts, colours, called)),
        ),
        ("Checks", _checks_html(front)),
        ("Memory over the run", memory_html(front.uses, titles)),
        ("Time by operator", operators_html(front.uses, titles)),
        ("Quantization error by layer", explained_html(front.explanations)),
        ("Measurements", folded(f"{len(front.measurements)} rows", measurements_html(front.measurements, {}))),
        ("Every cut", _cuts_html(front)),
        ("Notes", sentences(front.notes)),
    )
    return html(
        "front",
        title=f"search: {name}",
        sections=sections,
        style=Markup(PLOT_STYLE),
        script=Markup(PLOT_SCRIPT),
        front=front,
        name=name,
    )


def metric_words(metric: str) -> str:
    """What a front's metric is called."""
    return {"auc": "AUC", "map": "mean average precision", "r2": "R²"}.get(metric, metric)


def _recommended(r: Recommendation, called: str, place: tuple[str, str]) -> Group:
    head = Line.assemble(
        line(r.profile, "bold"),
        ": ",
        (r.state, STYLES[r.state]),
        line(f"  {r.cut}, {input_words(r.size, r.channels)}, {r.precision}: {called} {fraction_words(r.accuracy)}"),
    )
    *sentences, build = _lines(r, *place)
    # In one piece, to be copied.
    return Group(head, *(Hanging("  ", sentence, "dim") for sentence in sentences), unbroken(line(f"  {build}", "dim")))


def _lines(r: Recommendation, folder: str, word: str = "") -> list[str]:
    """Why a choice was made, what would have to give, what its limits cost, and how to build it.

    folder: that of the front, "" for a page that lies in it. word: what names the profile, "" for its id.
    """
    costs = [_limit_words(limit) for limit in r.limits]
    recipe = shlex.quote(os.path.join(folder, r.recipe))
    unsafe = " --unsafe" if tomllib.loads(r.recipe_text).get("source", {}).get("unsafe") else ""
    return [
        r.why,
        *r.give,
        *costs,
        f"edgecut build {recipe}{unsafe} --profile {shlex.quote(word or r.profile)} -o dist",
    ]


def _limit_words(limit: LimitCost) -> str:
    lost = limit.accuracy_without - (limit.accuracy or 0.0)
    if lost <= 0:
        return f"the limit of {limit.metric} costs no accuracy"
    return f"the limit of {limit.metric} costs {lost:.3f} of accuracy: without it {limit.cut_without} is in reach"


def _table(title: str, points: Sequence[FrontPoint], heading: str) -> Group:
    rows = [
        (
            f"{'* ' if p.recommended_for else ''}{p.cut}",
            _short(p),
            p.precision,
            fraction_words(p.accuracy),
            *_cost_words(p),
        )
        for p in points
    ]
    columns = ("<cut", "<input", "<as", heading, "latency", "arena", "size", "MACs")
    dropped = ("MACs", "size", "arena", "as", "input", "latency", heading)
    return Group(line(title, "bold"), fitted(columns, rows, dropped), *(line(each, "dim") for each in _costs(points)))


def _costs(points: Sequence[FrontPoint]) -> list[str]:
    """Sentences on which device the costs of the rows are of, and why a latency isn't known."""
    shown = dict.fromkeys(p.devices[0].profile for p in points if p.devices)
    others = len({cost.profile for p in points for cost in p.devices}) > 1
    reasons = dict.fromkeys(
        f"{cost.profile} latency: {cost.reason}"
        for p in points
        for cost in p.devices
        if cost.latency is None and cost.reason
    )
    return [*([f"latency and arena: on {' or '.join(shown)}"] if others else []), *reasons]


def _cost_words(p: FrontPoint) -> tuple[str, str, str, str]:
    none = UNKNOWN if p.devices else NOTHING
    latency = none if p.latency is None else format_seconds(p.latency)
    return latency, value_words(p.arena, "bytes"), format_bytes(p.size_bytes), count_words(p.macs)


def _short(p: FrontPoint) -> str:
    return input_shape(p.size, p.channels)


def _recommendations_html(front: Front) -> Markup:
    called = metric_words(front.metric)
    return joined(
        part(
            "recommendation",
            r,
            state_html(r.state),
            input_words(r.size, r.channels),
            called,
            fraction_words(r.accuracy),
            sentences(_lines(r, "")),
            _recipe_html(r),
        )
        for r in front.recommendations
    )


def _recipe_html(r: Recommendation) -> Markup:
    """The recipe with a button that copies it, where the browser allows that."""
    return folded(f"the recipe, {r.recipe}", part("copied", r.recipe_text)) if r.recipe_text else Markup()


def _checks_html(front: Front) -> Markup:
    """The limits of every device on its recommended point."""
    devices = {r.profile for r in front.recommendations}
    return joined(
        part("checks_of", device.profile, checks_html(device.checks, {}))
        for point in front.front
        for device in point.devices
        if device.profile in devices and device.profile in point.recommended_for and device.checks
    )


def choices_html(points: Sequence[FrontPoint], called: str) -> Markup:
    """A row for each choice of a front, with the number that it has in the pictures."""
    titles = ("#", "cut", "input", "precision", called, "by", "latency", "kind", "arena", "size", "MACs", "for")
    rows = [
        (
            str(number),
            p.cut,
            _short(p),
            p.precision,
            fraction_words(p.accuracy),
            p.basis.accuracy,
            _cost_words(p)[0],
            p.basis.latency,
            *_cost_words(p)[1:],
            ", ".join(p.recommended_for),
        )
        for number, p in enumerate(points, 1)
    ]
    words = ("#", "cut", "input", "precision", "by", "kind", "for")
    return _numbers(titles, rows, words=words) + sentences(_costs(points))


def _cuts_html(front: Front) -> Markup:
    titles = ("cut", "input", "width", "probe", "all features", "CKA to the final", "gradient × activation", "MACs")
    rows = [
        (
            c.cut,
            input_shape(c.size, c.channels),
            str(c.width),
            fraction_words(c.probe),
            fraction_words(c.score) if c.exact else NOTHING,
            NOTHING if c.cka is None else f"{c.cka:.3f}",
            NOTHING if c.gradient_x_activation is None else f"{c.gradient_x_activation:.3g}",
            count_words(c.macs),
        )
        for c in front.cuts
    ]
    return folded(f"{len(rows)} rows", _numbers(titles, rows, words=("cut", "input")))


def _numbers(titles: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str]) -> Markup:
    return table([Column(title, title not in words) for title in titles], rows)
