"""What a file answers, as a table, as rows, and as a page of pictures."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from edgecut.records.prediction import PredictedOutput, Predictions, Score
from edgecut.render.grid import Fitted, fitted
from edgecut.render.templating import html, part
from edgecut.render.words import NOTHING

CSV_COLUMNS = ("input", "output", "kind", "index", "label", "value")
_SIDE = 144  # pixels of a picture on the page


def prediction_table(found: Predictions) -> Fitted:
    """One row for each input and output: what it answers, and how sure that is."""
    several = any(len(row.outputs) > 1 for row in found.predictions)
    shared = shared_folder(found)
    columns = ("<input", *(["<output"] if several else []), "<answer", "score", "~then")
    rows = []
    for row in found.predictions:
        for k, output in enumerate(row.outputs):
            first, score, others = _answer(output)
            name = [output.output] if several else []
            rows.append((row.input.removeprefix(shared) if k == 0 else "", *name, first, score, others))
    return fitted(columns, rows, ("then", "score", "answer"))


def shared_folder(found: Predictions) -> str:
    """What the inputs' names begin with, up to a slash: the folder that all are in; "" for none."""
    folders = [row.input.rpartition("/")[0] for row in found.predictions]
    if not all(folders):
        return ""
    return f"{os.path.commonpath(folders)}/" if len({os.path.isabs(name) for name in folders}) == 1 else ""


def prediction_rows(found: Predictions) -> Iterator[tuple[str, ...]]:
    """The rows of --csv, as CSV_COLUMNS names their values."""
    for row in found.predictions:
        for output in row.outputs:
            for score in output.scores:
                yield row.input, output.output, output.kind, str(score.index), score.label, repr(score.value)


def render_predictions(found: Predictions, pictures: Sequence[np.ndarray]) -> str:
    """The page: each picture as the device sees it, with its answers. pictures: (h, w, 1 or 3) uint8, () for arrays."""
    shared = shared_folder(found)
    uris: list[str] = [_data_uri(picture) for picture in pictures] or [""] * len(found.predictions)
    cards = [
        part(
            "card",
            uri,
            row.input.removeprefix(shared),
            [_card_lines(output, len(row.outputs) > 1) for output in row.outputs],
        )
        for uri, row in zip(uris, found.predictions, strict=True)
    ]
    sections = (("Answers", part("cards", cards)), ("Notes", part("sentences", found.notes) if found.notes else ""))
    return html(
        "predictions",
        title=f"run: {found.file}",
        sections=sections,
        style="",
        script="",
        found=found,
        count=len(found.predictions),
    )


def _answer(output: PredictedOutput) -> tuple[str, str, str]:
    """(the answer, its score, what comes next)."""
    if output.kind == "values":
        values = ", ".join(_named(score, f"{score.value:.4g}") for score in output.scores)
        more = int(np.prod(output.shape, dtype=np.int64)) - len(output.scores)
        return values + (f", ... ({more} more)" if more > 0 else ""), "", ""
    if not output.scores:
        return "no tag", "", ""
    if output.kind == "tags":
        return ", ".join(f"{_label(score)} {score.value:.3f}" for score in output.scores), "", ""
    first, *others = output.scores
    then = ", ".join(f"{_label(score)} {_value(output, score)}" for score in others)
    return _label(first), _value(output, first), then


def _card_lines(output: PredictedOutput, several: bool) -> tuple[str, list[tuple[str, str, float]]]:
    """(the output's name, "" of a single one; (label, value, share of a bar) of its scores)."""
    lines = []
    for score in output.scores:
        share = min(max(score.value, 0.0), 1.0) if output.kind != "values" else 0.0
        lines.append((_label(score), _value(output, score), share))
    return output.output if several else "", lines or [("no tag", NOTHING, 0.0)]


def _value(output: PredictedOutput, score: Score) -> str:
    return f"{100 * score.value:.1f} %" if output.kind == "pixels" else f"{score.value:.3f}"


def _label(score: Score) -> str:
    return score.label or f"class {score.index}"


def _named(score: Score, text: str) -> str:
    return f"{score.label} {text}" if score.label else text


def _data_uri(picture: np.ndarray) -> str:
    """The picture as a PNG in a link, enlarged by whole pixels."""
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    factor = max(1, _SIDE // max(image.size))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if max(image.size) > 2 * _SIDE:
        image.thumbnail((2 * _SIDE, 2 * _SIDE))
    content = io.BytesIO()
    image.save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
