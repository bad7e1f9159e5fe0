"""The files of the model before it was compressed, measured next to those of the bundle, and not kept."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from edgecut.bench.interleaved import RUNS, WARMUP, Ratio, interleave
from edgecut.bench.measure import size
from edgecut.bench.runners.local import Local
from edgecut.errors import RunError
from edgecut.export.artifacts import write_file
from edgecut.pipeline.answers import answers_of, judged_output
from edgecut.pipeline.files import WrittenFile, content_of
from edgecut.pipeline.fitting import FittedModel, predict_file_outputs
from edgecut.pipeline.losses import lost
from edgecut.pipeline.worth import gzip_bytes, verdict, worth
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.recipe import Precision
from edgecut.runtime.files import FileRunner
from edgecut.score.answers import Answer

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run

WORD = "uncompressed"
# Of both files in turn, each in a process of its own.
ROUNDS = 7


def compare(
    state: Run, fitted: FittedModel, files: Sequence[WrittenFile], found: Sequence[Measurement]
) -> list[Measurement]:
    """What each TFLite file would be without [compress]: size, gzip, accuracy, latency; and the bundle's gzip sizes.

    found: what was measured of the bundle's files. The step's notes say in words what compressing was worth. Nothing
    for a model that wasn't compressed.
    """
    if fitted.before is None:
        return []
    result: list[Measurement] = []
    with state.step(WORD) as facts, tempfile.TemporaryDirectory() as folder:
        notes, losses, answers = [], list[str](), answers_of(state, fitted.before.model)
        if state.baseline is not None:
            name = f"{state.recipe.name}.{WORD}.keras"
            result.append(measured("accuracy", name, [state.baseline], where="host", method="Keras"))
        for file in (file for file in files if file.artifact.format == "tflite"):
            result.append(_gzip(file.path, file.artifact.name))
            precision = cast(Precision, file.artifact.precision)
            path = Path(folder) / f"{state.recipe.name}.{WORD}.{precision}.tflite"
            scratch = Path(folder) / precision
            scratch.mkdir()
            write_file(content_of(state, fitted.before, precision, scratch), "tflite", path)
            twin = _measure(state, path, answers)
            result += twin
            losses += _lost(state, path, file, answers)
            own = [m for m in found if m.artifact == file.artifact.name]
            notes.append(
                verdict(f"tflite {precision}", worth(path, twin), worth(file.path, own), _ratio(state, path, file))
            )
        facts.update(changed=False, notes=tuple(notes), losses=tuple(losses))
    return result


def _measure(state: Run, path: Path, answers: tuple[Answer, ...]) -> list[Measurement]:
    place, found = judged_output(answers), [size(path, path.name), _gzip(path, path.name)]
    try:
        if state.dataset is not None and place is not None and state.dataset.val.labels is not None:
            outputs = predict_file_outputs(state, FileRunner(path), state.dataset.val.pixels, path.name)
            found += [
                measured(metric, path.name, [value], where="host", method="LiteRT")
                for metric, value in answers[place].scores(outputs[place], state.dataset.val.labels).items()
            ]
        host = next((profile for profile in state.plan.profiles if profile.class_ == "host"), None)
        return [*found, *Local().measure(path, state.recipe.bench, artifact=path.name, profile=host)]
    except RunError as exc:
        return [*found, missing("latency", path.name, str(exc), where="host", method="LiteRT")]


def _lost(state: Run, before: Path, after: WrittenFile, answers: tuple[Answer, ...]) -> tuple[str, ...]:
    """What the compressed file lost against the other by more than chance; () where that can't be told."""
    place = judged_output(answers)
    if state.dataset is None or place is None or state.dataset.val.labels is None:
        return ()
    pixels, labels = state.dataset.val.pixels, np.asarray(state.dataset.val.labels)
    try:
        old, new = (
            predict_file_outputs(state, FileRunner(path), pixels, path.name)[place] for path in (before, after.path)
        )
    except RunError:
        return ()
    return lost(answers[place], old, new, labels, f"tflite {after.artifact.precision}, against the uncompressed file")


def _ratio(state: Run, before: Path, after: WrittenFile) -> Ratio | None:
    """The times of the compressed file over those of the other, which two separate measurements wouldn't tell."""
    settings = state.recipe.bench
    try:
        return interleave(
            before, after.path, rounds=ROUNDS, runs=min(settings.runs, RUNS), warmup=min(settings.warmup, WARMUP),
            threads=settings.threads,
        ).wall  # fmt: skip
    except RunError:
        return None


def _gzip(path: Path, artifact: str) -> Measurement:
    return measured("gzip", artifact, [gzip_bytes(path.read_bytes())], where="file", method="gzip of the written file")
