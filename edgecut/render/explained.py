"""A quantized file's explanation as a table, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.text import Text

from edgecut.records.explanation import Explanation, LayerError
from edgecut.render.grid import Cell, fitted
from edgecut.render.lines import line, notes
from edgecut.render.page_parts import Column, folded, joined, remark, sentences, table
from edgecut.render.templating import part
from edgecut.render.words import NOTHING

LEGEND = (
    "SQNR: signal over error; vary: the same for what varies within channels, dB. "
    "shift: constant error in standard deviations; clip: values beyond the range; "
    "use: how much of the range is used; adds: share of these rows' own errors."
)
FIGURES = ("SQNR", "vary", "shift", "clip", "use", "adds")
# Below 10 dB the error has a third of the signal's size, and what follows sees a third of noise.
LOW_DB, FAIR_DB = 10.0, 20.0
SCALE_DB = 50.0
"""Where the scale of a picture ends."""
_BARS = {"bold red": "bad", "yellow": "open", "green": "good"}


def explanation_tables(found: Explanation, *, verbose: bool = False) -> list[RenderableType]:
    """The verdicts, then one row for each layer; verbose: also what wasn't compared."""
    imported = any(layer.nodes for layer in found.layers)
    nodes = ["~ONNX nodes"] if imported else []
    columns = ("<layer", *nodes, *FIGURES, "~suspected cause")
    rows: list[Sequence[Cell]] = []
    for layer in found.layers:
        named = [", ".join(layer.nodes)] if imported else []
        sqnr, varying, *rest = _figures(layer)
        rows.append((layer.name, *named, sqnr, Text(varying, style_of(layer)), *rest, layer.cause or ""))
    fit = fitted(columns, rows, ("ONNX nodes", "use", "clip", "shift", "adds", "suspected cause", "SQNR"))
    parts: list[RenderableType] = [line(headline(found), "bold"), "", Group(fit, line(LEGEND, "dim"))]
    told = [*verdicts(found), *(f"{x.name}: {x.reason}" for x in found.layers if x.reason)]
    if verbose and found.unmatched:
        told.append(f"equal to no layer of the source, so not compared: {', '.join(found.unmatched)}")
    if told:
        parts += ["", Group(*notes(told))]
    return parts


def explained_html(explanations: Iterable[Explanation]) -> Markup:
    """A table for each quantized file, with what varies as bars, and what is suspected."""
    return joined(folded(headline(found), _layers_html(found), is_open=True) for found in explanations)


def _layers_html(found: Explanation) -> Markup:
    columns = [Column("layer"), Column("ONNX nodes"), Column("what varies"), *(Column(name, True) for name in FIGURES)]
    rows = [
        (layer.name, ", ".join(layer.nodes), _bar(layer), *_figures(layer), layer.cause or "") for layer in found.layers
    ]
    reasons = [f"{layer.name}: {layer.reason}" for layer in found.layers if layer.reason]
    told = sentences([*verdicts(found), *reasons])
    return joined([table([*columns, Column("suspected cause")], rows), told, remark(LEGEND)])


def _bar(layer: LayerError) -> Markup:
    """What varies over the error, from 0 to SCALE_DB."""
    return part("bar", min(max(layer.sqnr_varying, 0.5), SCALE_DB) / SCALE_DB, _BARS[style_of(layer)])


def _figures(layer: LayerError) -> tuple[str, ...]:
    """The cells of FIGURES."""
    shares = (share_words(share) for share in (layer.saturation, layer.use, layer.added))
    return f"{layer.sqnr:.1f}", f"{layer.sqnr_varying:.1f}", f"{layer.mean_shift:.2f}", *shares


def headline(found: Explanation) -> str:
    """The first line: what was compared, and whether a layer collapses."""
    state = f"collapses at {found.collapses_at!r}" if found.collapses_at else "no layer collapses"
    compared = f"{len(found.layers)} of {len(found.layers) + len(found.unmatched)} operators compared"
    return f"{found.artifact}: {state} ({compared}, {found.images} images)"


def verdicts(found: Explanation) -> list[str]:
    """What is suspected of the whole, most general first."""
    return [f"{suspicion.cause}: {suspicion.sentence}" for suspicion in found.suspicions]


def share_words(share: float | None) -> str:
    """0.123 as "12%", a dash for None."""
    if share is None:
        return NOTHING
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"


def style_of(layer: LayerError) -> str:
    """The colour of a layer's figure."""
    return "bold red" if layer.sqnr_varying < LOW_DB else "yellow" if layer.sqnr_varying < FAIR_DB else "green"
