"""A search's front: tables for the terminal, and one self-contained page with its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rich.console import Group, RenderableType
from rich.text import Text

from edgecut.records.front import Front, FrontPoint, LimitCost, Recommendation
from edgecut.records.units import format_bytes, format_seconds
from edgecut.render.front_plot import FRONT_SCRIPT, FRONT_STYLE, depth_plot, front_plot
from edgecut.render.page_style import STYLE
from edgecut.render.tables import STYLES, grid, notes
from edgecut.render.words import NOTHING, count_words, fraction_words, value_words

_LOOKED_AT = 8  # lines of the front that weren't built, on the terminal


def front_tables(front: Front) -> list[RenderableType]:
    """A front as tables: one recommended choice for each device, what was built, and the front that was looked at."""
    built = [point for point in front.front if point.basis.accuracy == "measured"]
    probed = [point for point in front.front if point.basis.accuracy == "probe"]
    state = "" if front.finished else " (stopped before the end)"
    parts: list[RenderableType] = [Text(f"{front.source}: {len(front.cuts)} cuts looked at{state}", "bold")]
    for recommendation in front.recommendations:
        parts += ["", _recommended(recommendation)]
    if built:
        parts += ["", _table("built and measured", built)]
    if probed:
        shown = probed[:_LOOKED_AT]
        more = f", {len(shown)} of {len(probed)}" if len(shown) < len(probed) else ""
        parts += ["", _table(f"looked at, not built (accuracy by the probe{more})", shown)]
    if front.notes:
        parts += ["", Group(*notes(front.notes))]
    return parts


def render_front(front: Front) -> str:
    """The page of a front: the devices' choices, the front, accuracy along depth, every number as a table."""
    sections = (
        ("For each device", _recommendations_html(front.recommendations)),
        ("The front", front_plot(front.front)),
        ("Accuracy along depth, by the probe", depth_plot(front.cuts)),
        ("Choices", _points_html(front.front)),
        ("Every cut", _cuts_html(front)),
        ("Notes", "".join(f"<p>{escape(note)}</p>" for note in front.notes)),
    )
    body = "".join(f"<section><h2>{title}</h2>{content}</section>\n" for title, content in sections if content)
    images = front.images
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>search: {escape(front.source)}</title>\n<style>{STYLE}{FRONT_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>Where to cut <code>{escape(front.source)}</code></h1>\n"
        f"<p>{len(front.cuts)} cuts looked at on {images.get('train', 0)} training images; of the held-out images "
        f"{images.get('choosing', 0)} choose and {images.get('judging', 0)} others judge"
        f"{'' if front.finished else '; stopped before the end'}. edgecut {escape(front.edgecut)}.</p></header>\n"
        f"{body}</main>\n<script>{FRONT_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _recommended(r: Recommendation) -> Group:
    head = Text.assemble(
        (r.profile, "bold"), ": ", (r.state, STYLES[r.state]),
        f"  {r.cut}, {_input(r.size, r.channels)}, {r.precision}: accuracy {fraction_words(r.accuracy)}",
    )  # fmt: skip
    return Group(head, *(Text(f"  {line}", "dim") for line in _lines(r)))


def _lines(r: Recommendation) -> list[str]:
    """Why a choice was made, what would have to give, what its limits cost, and how to build it."""
    costs = [_limit_words(limit) for limit in r.limits]
    return [r.why, *r.give, *costs, f"edgecut build OUT/{r.recipe} --profile {r.profile} -o dist"]


def _limit_words(limit: LimitCost) -> str:
    lost = limit.accuracy_without - (limit.accuracy or 0.0)
    if lost <= 0:
        return f"the limit of {limit.metric} costs no accuracy"
    return f"the limit of {limit.metric} costs {lost:.3f} of accuracy: without it {limit.cut_without} is in reach"


def _table(title: str, points: Sequence[FrontPoint]) -> Group:
    table = grid("~cut", "<input", "<as", "accuracy", "latency", "arena", "size", "MACs")
    for p in points:
        mark = "* " if p.recommended_for else ""
        table.add_row(f"{mark}{p.cut}", _short(p), p.precision, fraction_words(p.accuracy), *_cost_words(p))
    return Group(Text(title, "bold"), table)


def _cost_words(p: FrontPoint) -> tuple[str, str, str, str]:
    latency = NOTHING if p.latency is None else format_seconds(p.latency)
    return latency, value_words(p.arena, "bytes"), format_bytes(p.size_bytes), count_words(p.macs)


def _short(p: FrontPoint) -> str:
    return f"{p.size[0]}x{p.size[1]}x{p.channels}"


def _input(size: tuple[int, int], channels: int) -> str:
    return f"{size[0]}x{size[1]} {'gray' if channels == 1 else 'colour'}"


def _recommendations_html(recommendations: Sequence[Recommendation]) -> str:
    return "".join(
        f'<h3>{escape(r.profile)} <span class="state {r.state}">{r.state}</span></h3>'
        f"<p><code>{escape(r.cut)}</code>, {_input(r.size, r.channels)}, {r.precision}: "
        f"accuracy <b>{fraction_words(r.accuracy)}</b></p>"
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in _lines(r))}</ul>"
        for r in recommendations
    )


def _points_html(points: Sequence[FrontPoint]) -> str:
    titles = ("cut", "input", "precision", "accuracy", "by", "latency", "kind", "arena", "size", "MACs", "for")
    rows = [
        (p.cut, _short(p), p.precision, fraction_words(p.accuracy), p.basis.accuracy, _cost_words(p)[0],
         p.basis.latency, *_cost_words(p)[1:], ", ".join(p.recommended_for))
        for p in points
    ]  # fmt: skip
    return _html_table(titles, rows)


def _cuts_html(front: Front) -> str:
    titles = ("cut", "input", "width", "probe", "all features", "CKA to the final", "gradient × activation", "MACs")
    rows = [
        (c.cut, f"{c.size[0]}x{c.size[1]}x{c.channels}", str(c.width), fraction_words(c.probe),
         fraction_words(c.score) if c.exact else NOTHING, NOTHING if c.cka is None else f"{c.cka:.3f}",
         NOTHING if c.gradient_x_activation is None else f"{c.gradient_x_activation:.3g}", count_words(c.macs))
        for c in front.cuts
    ]  # fmt: skip
    return f"<details><summary>{len(rows)} rows</summary>{_html_table(titles, rows)}</details>"


def _html_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table></div>'
