"""How the values of a build's stages lie in the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.graph.archive import write_archive
from edgecut.images.arrays import ArrayInput
from edgecut.images.feed import ArrayFeed, Feed, PictureFeed
from edgecut.pipeline.cached import WORK, Document
from edgecut.pipeline.load import reloaded
from edgecut.pipeline.values import Body, Checked, Lazy
from edgecut.records.artifact import Artifact
from edgecut.records.document import Record
from edgecut.records.explanation import Explanation
from edgecut.records.measurement import Measurement
from edgecut.records.operating import Decision
from edgecut.records.recipe import Recipe
from edgecut.records.report import SourceFacts
from edgecut.records.trial import Trial
from edgecut.source.load import load

_EDITED, _STIMULI = f"{WORK}/edited.keras", f"{WORK}/stimuli.npy"


@dataclass(frozen=True)
class BodyCodec:
    """The model behind cut and stem as a .keras file, which is loaded when somebody reads it."""

    recipe: Recipe

    def encode(self, value: Body, folder: Path) -> tuple[Document, Mapping[str, Path]]:
        """The model's file. Raises StepError for a model that can't be saved."""
        path = folder / _EDITED
        path.parent.mkdir(exist_ok=True)
        write_archive(value.model.value, path)
        return {"source": value.source.facts.to_dict(), "feed": _fed(value.feed).to_dict()}, {_EDITED: path}

    def decode(self, document: Document, folder: Path) -> Body:
        """The body of an earlier build."""
        source = reloaded(self.recipe.source, SourceFacts.model_validate(document["source"]))
        model = Lazy(lambda: load(folder / _EDITED, unsafe=self.recipe.source.unsafe))
        return Body(source, model, _feed(_Fed.model_validate(document["feed"]), self.recipe))


class _Fed(Record):
    """What feeds a body. shape: of pictures, None for arrays; inputs: (name, shape, dtype) of what arrays feed."""

    shape: tuple[int, int, int] | None
    inputs: tuple[tuple[str, tuple[int | None, ...], str], ...] = ()


def _fed(feed: Feed) -> _Fed:
    if isinstance(feed, PictureFeed):
        return _Fed(shape=feed.shape)
    return _Fed(shape=None, inputs=tuple((each.name, each.shape, each.dtype) for each in feed.inputs))


def _feed(fed: _Fed, recipe: Recipe) -> Feed:
    if fed.shape is not None:
        return PictureFeed(fed.shape, recipe.source.preprocess, recipe.stem.pixels)
    return ArrayFeed(tuple(ArrayInput(*each) for each in fed.inputs), recipe.source.preprocess)


class CheckedCodec:
    """Files by their places in the bundle, and what was measured of them."""

    def encode(self, value: Checked, folder: Path) -> tuple[Document, Mapping[str, Path]]:
        """The files of models/, and the stimuli of the golden vectors."""
        files = {path.relative_to(folder).as_posix(): path for path in (folder / "models").iterdir()}
        if value.stimuli is not None:
            files[_STIMULI] = folder / _STIMULI
            files[_STIMULI].parent.mkdir(exist_ok=True)
            np.save(files[_STIMULI], value.stimuli, allow_pickle=False)
        rows = {
            "artifacts": value.artifacts,
            "measurements": value.measurements,
            "trials": value.trials,
            "explanations": value.explanations,
            "decisions": value.decisions,
        }
        document: Document = {name: [row.to_dict() for row in records] for name, records in rows.items()}
        return {**document, "labels": list(value.labels)}, files

    def decode(self, document: Document, folder: Path) -> Checked:
        """What an earlier build checked."""
        stimuli = folder / _STIMULI
        return Checked(
            artifacts=tuple(Artifact.model_validate(row) for row in rows_in(document, "artifacts")),
            measurements=tuple(Measurement.model_validate(row) for row in rows_in(document, "measurements")),
            trials=tuple(Trial.model_validate(row) for row in rows_in(document, "trials")),
            explanations=tuple(Explanation.model_validate(row) for row in rows_in(document, "explanations")),
            decisions=tuple(Decision.model_validate(row) for row in rows_in(document, "decisions")),
            stimuli=np.load(stimuli, allow_pickle=False) if stimuli.is_file() else None,
            labels=tuple(str(label) for label in rows_in(document, "labels")),
        )


class MeasurementsCodec:
    """Measurements, without any file."""

    def encode(self, value: tuple[Measurement, ...], folder: Path) -> tuple[Document, Mapping[str, Path]]:
        """The rows."""
        return {"measurements": [row.to_dict() for row in value]}, {}

    def decode(self, document: Document, folder: Path) -> tuple[Measurement, ...]:
        """The rows of an earlier build."""
        return tuple(Measurement.model_validate(row) for row in rows_in(document, "measurements"))


def rows_in(document: Document, key: str) -> Sequence[object]:
    """The list at a key. Raises KeyError or TypeError for a document that no codec wrote."""
    rows = document[key]
    if not isinstance(rows, Sequence):
        raise TypeError(f"{key}: a list is expected, found {rows!r}")
    return rows
