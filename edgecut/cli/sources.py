"""A source model, loaded for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecut.cli.output import Output
from edgecut.records.progress import Progress
from edgecut.records.recipe import Source

if TYPE_CHECKING:
    import keras


def load_model(output: Output, source: Source, progress: Progress) -> keras.Model:
    """The Keras model; what was done to it while it was read is told. Raises SourceError."""
    from edgecut.source.load import read_source

    loaded = read_source(source, progress)
    for note in loaded.notes:
        output.note(note)
    return loaded.model
