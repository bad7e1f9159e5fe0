"""A quantized file's explanation as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgecut.records.explanation import Explanation, LayerError
from edgecut.render.grid import Cell, fitted
from edgecut.render.lines import line, notes
from edgecut.render.words import NOTHING

LEGEND = (
    "SQNR: signal over error; vary: the same for what varies within channels, dB. "
    "shift: constant error in standard deviations; clip: values beyond the range; "
    "use: how much of the range is used; adds: share of these rows' own errors."
)
# Below 10 dB the error has a third of the signal's size, and what follows sees a third of noise.
LOW_DB, FAIR_DB = 10.0, 20.0


def explanation_tables(found: Explanation, *, verbose: bool = False) -> list[RenderableType]:
    """The verdicts, then one row for each layer; verbose: also what wasn't compared."""
    imported = any(layer.nodes for layer in found.layers)
    nodes = ["~ONNX nodes"] if imported else []
    columns = ("<layer", *nodes, "SQNR", "vary", "shift", "clip", "use", "adds", "~suspected cause")
    rows: list[Sequence[Cell]] = [
        (
            layer.name,
            *([", ".join(layer.nodes)] if imported else []),
            f"{layer.sqnr:.1f}",
            Text(f"{layer.sqnr_varying:.1f}", style_of(layer)),
            f"{layer.mean_shift:.2f}",
            share_words(layer.saturation),
            share_words(layer.use),
            share_words(layer.added),
            layer.cause or "",
        )
        for layer in found.layers
    ]
    table = fitted(columns, rows, ("ONNX nodes", "use", "clip", "shift", "adds", "suspected cause", "SQNR"))
    parts: list[RenderableType] = [line(headline(found), "bold"), "", Group(table, line(LEGEND, "dim"))]
    sentences = [*verdicts(found), *(f"{x.name}: {x.reason}" for x in found.layers if x.reason)]
    if verbose and found.unmatched:
        sentences.append(f"equal to no layer of the source, so not compared: {', '.join(found.unmatched)}")
    if sentences:
        parts += ["", Group(*notes(sentences))]
    return parts


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
