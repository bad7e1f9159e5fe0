"""The part of the source that a recipe keeps, with its edits."""

from __future__ import annotations

import keras

from edgecut.graph.edits import edit
from edgecut.pipeline.load import shapes
from edgecut.pipeline.values import Done, timed
from edgecut.records.progress import Progress
from edgecut.records.recipe import Cut
from edgecut.source.load import load


def cut_model(model: keras.Model, cut: Cut, *, unsafe: bool, progress: Progress) -> Done[keras.Model]:
    """The model cut as `cut` says, with its proof; the model itself where nothing is cut.

    unsafe: whether the files of replacements may run code.
    """
    if cut.to is None and cut.start is None and not cut.drop and not cut.replace:
        return Done(model)
    with timed("cut", progress) as clock:
        ranges = [row.range.partition("..") for row in cut.replace]
        replacements = [
            (first, last or first, load(row.with_, unsafe=unsafe))
            for (first, _, last), row in zip(ranges, cut.replace, strict=True)
        ]
        result = edit(model, to=cut.to, start=cut.start, drop=cut.drop, replace=replacements)
        step = clock.step(
            before=shapes(model),
            after=shapes(result.model),
            proof=result.proof,
            notes=tuple(result.notes),
        )
    return Done(result.model, (step,))
