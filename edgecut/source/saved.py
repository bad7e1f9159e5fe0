"""A model file's calls, read from its saved configuration; without Keras and without its weights."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgecut.graph.dataflow import Dataflow
from edgecut.graph.layer_call import UnsaidError
from edgecut.graph.saved import config_of, keras_version, kind_of, lambda_names, overclaim
from edgecut.lowering.saved_dataflow import saved_dataflow
from edgecut.lowering.saved_shifts import Shift, shifts
from edgecut.records.recipe import Source
from edgecut.sandbox.hdf5 import are_zeros

_WEIGHTS = "model.weights.h5"
_ENDINGS = {"keras": (".keras",), "h5": (".h5", ".hdf5")}


def read_dataflow(source: Source) -> Dataflow:
    """The calls of the model in a .keras or .h5 file, equal to those of the model that source/load.py reads.

    Raises UnsaidError where only the model itself tells them, in words that end a sentence, or without any where there
    is nothing to say: another kind of source, or a file that source/load.py refuses. Raises SourceError as
    graph/saved.py does.
    """
    path, kind = Path(source.model), kind_of(source.model)
    if kind not in _ENDINGS or path.suffix not in _ENDINGS[kind]:
        raise UnsaidError
    config = config_of(source.model)
    if config is None or (lambda_names(config) and not source.unsafe) or overclaim(source.model, config):
        raise UnsaidError
    is_old = (keras_version(source.model) or "2").split(".")[0] in {"1", "2"}
    if kind == "keras":
        if not _has_weights(path):
            raise UnsaidError
        if is_old:
            raise UnsaidError("Keras 2 wrote the archive")
    elif "hard_sigmoid" in json.dumps(config):
        raise UnsaidError("its hard_sigmoid means another function in Keras 2 than in Keras 3")
    return _with_zeros(saved_dataflow(config), path, "" if kind == "h5" else _WEIGHTS, shifts(config))


def _with_zeros(flow: Dataflow, path: Path, member: str, told: Sequence[Shift]) -> Dataflow:
    """The calls with the shifts that are all zeros, which only the file's weights tell."""
    if not told:
        return flow
    answers = are_zeros(path, member, [(shift.places, shift.name) for shift in told])
    missing = next((shift.path for shift, answer in zip(told, answers, strict=True) if answer is None), None)
    if missing is not None:
        raise UnsaidError(f"the shift of {missing!r} isn't where Keras keeps it")
    zeros = {shift.path for shift, answer in zip(told, answers, strict=True) if answer}
    calls = (replace(call, zeros=frozenset({"beta"})) if call.path in zeros else call for call in flow)
    return replace(flow, calls=tuple(calls))


def _has_weights(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return _WEIGHTS in archive.namelist()
