"""The source model: loaded, and counted for the report."""

from __future__ import annotations

from pathlib import Path

import keras

from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points
from edgecut.graph.saved import PREFIX
from edgecut.pipeline.values import Done, Lazy, Source, timed
from edgecut.records import recipe
from edgecut.records.artifact import sha256_of
from edgecut.records.facts import StepFacts
from edgecut.records.progress import Progress
from edgecut.records.report import SourceFacts
from edgecut.source.load import load, read_source


def load_source(source: recipe.Source, progress: Progress) -> Done[Source]:
    """The model that a recipe names."""
    with timed("load", progress) as clock:
        read = read_source(source.model, unsafe=source.unsafe)
        model = read.model
        graph = calls(model)
        facts = SourceFacts(
            path=source.model,
            sha256="" if source.model.startswith(PREFIX) else sha256_of(Path(source.model)),
            layers=len(model.layers),
            calls=len(graph),
            params=model.count_params(),
            macs=cut_points(graph)[-1].macs,
        )
        step = clock.step(changed=False, after=shapes(model), notes=tuple(read.notes))
    return Done(Source(Lazy(lambda: model), facts), (step,))


def reloaded(source: recipe.Source, facts: SourceFacts) -> Source:
    """The source of an earlier build, whose model is loaded when somebody reads it."""
    return Source(Lazy(lambda: load(source.model, unsafe=source.unsafe)), facts)


def shapes(model: keras.Model) -> StepFacts:
    """The shapes of a model's inputs and outputs, and its number of weights."""
    return StepFacts(
        inputs=tuple(tuple(tensor.shape) for tensor in model.inputs),
        outputs=tuple(tuple(tensor.shape) for tensor in model.outputs),
        params=model.count_params(),
    )
