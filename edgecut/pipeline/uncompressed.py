"""The files of the model before it was compressed, measured next to those of the bundle, and not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.bench.interleaved import RUNS, WARMUP, Ratio, Turns, interleave
from edgecut.bench.measure import size
from edgecut.bench.runners.local import Local
from edgecut.errors import RunError
from edgecut.export.artifacts import write_file
from edgecut.images.dataset import Dataset
from edgecut.images.feed import Feed
from edgecut.pipeline.bench import host_of
from edgecut.pipeline.figures import comparison, figures_of, gzip_bytes
from edgecut.pipeline.images import class_names
from edgecut.pipeline.judged_outputs import answers_of
from edgecut.pipeline.losses import lost
from edgecut.pipeline.operating import Chooser, chooser
from edgecut.pipeline.plan import Plan
from edgecut.pipeline.run_file import predict_file_outputs
from edgecut.pipeline.values import Done, Fitted, WrittenFile, timed
from edgecut.pipeline.write import content_of
from edgecut.records.artifact import TensorSpec
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.profile import Profile
from edgecut.records.progress import Progress
from edgecut.records.recipe import Bench, Recipe
from edgecut.runtime.files import FileRunner
from edgecut.runtime.session import runtime_words
from edgecut.score.answer import Answer
from edgecut.score.metrics import MetricName
from edgecut.score.threshold import judged_output
from edgecut.whole import scratch_folder

WORD = "uncompressed"
ROUNDS = 7  # of both files in turn, each in a process of its own


def compare_uncompressed(
    fitted: Fitted,
    images: Dataset | None,
    files: Sequence[WrittenFile],
    measurements: Sequence[Measurement],
    *,
    plan: Plan,
    progress: Progress,
) -> Done[tuple[Measurement, ...]]:
    """What each TFLite file would be without [compress]: size, gzip, accuracy, latency; and the bundle's gzip sizes.

    measurements: of the bundle's files. The step's notes say in words what compressing changed. Nothing for a model
    that wasn't compressed.
    """
    if fitted.before is None:
        return Done(())
    recipe, host = plan.recipe, host_of(plan.profiles)
    rows: list[Measurement] = []
    notes: list[str] = []
    losses: list[str] = []
    exam = _exam(fitted.before, images, recipe)
    with timed(WORD, progress) as clock, scratch_folder() as folder:
        if exam is not None:
            score = exam.judged(fitted.uncompressed[exam.place], None).scores
            name = f"{recipe.name}.{WORD}.keras"
            rows += [measured(key, name, [value], where="host", method="Keras") for key, value in score.items()]
        for file in (file for file in files if file.artifact.format == "tflite"):
            rows.append(_gzip(file.path, file.artifact.name))
            precision = file.artifact.precision
            path = folder / f"{recipe.name}.{WORD}.{precision}.tflite"
            scratch = folder / precision
            scratch.mkdir()
            content = content_of(fitted.before, images, recipe, precision, scratch, progress)
            write_file(content.value.content, "tflite", path)
            before, outputs = _measure(path, exam, recipe.bench, host, progress)
            rows += before
            if exam is not None and outputs is not None:
                losses += _lost(outputs, file, exam, progress)
            own = [m for m in measurements if m.artifact == file.artifact.name]
            figures = figures_of(path, before), figures_of(file.path, own)
            notes.append(comparison(f"tflite {precision}", *figures, _ratio(path, file.path, recipe.bench)))
        step = clock.step(changed=False, notes=tuple(notes), losses=tuple(losses))
    return Done(tuple(rows), (step,))


@dataclass(frozen=True)
class _Exam:
    """The held-out pictures and labels by which a file's output at `place` is judged."""

    pixels: np.ndarray
    labels: np.ndarray
    feed: Feed
    place: int
    answer: Answer
    chooser: Chooser

    def file(self, path: Path, progress: Progress) -> _Judged:
        """A file's output, and how it is decided."""
        runner = FileRunner(path)
        outputs = predict_file_outputs(runner, self.pixels, self.feed, title=path.name, progress=progress)
        return self.judged(outputs[self.place], runner.outputs[self.place])

    def judged(self, outputs: np.ndarray, spec: TensorSpec | None) -> _Judged:
        """Outputs (n, ...) for all pictures, and how they are decided. spec: of a file's."""
        judging = self.chooser.judging
        return _Judged(self.chooser.at(self.answer, outputs, spec), outputs[judging], self.labels[judging])


@dataclass(frozen=True, eq=False)
class _Judged:
    """Outputs (n, ...) for the pictures that no threshold was chosen on, their labels, and what decides them."""

    answer: Answer
    outputs: np.ndarray
    labels: np.ndarray

    @property
    def scores(self) -> dict[MetricName, float]:
        """{metric: value}."""
        return self.answer.scores(self.outputs, self.labels)


def _exam(fitted: Fitted, images: Dataset | None, recipe: Recipe) -> _Exam | None:
    """None where no output is judged by labels."""
    answers = answers_of(fitted.model, recipe, images)
    place = judged_output(answers)
    if images is None or images.val.labels is None or place is None:
        return None
    labels = np.asarray(images.val.labels)
    chosen = chooser(recipe.data, class_names(recipe, images), answers, place, labels)
    return _Exam(images.val.pixels, labels, fitted.feed, place, answers[place], chosen)


def _measure(
    path: Path, exam: _Exam | None, settings: Bench, host: Profile | None, progress: Progress
) -> tuple[list[Measurement], _Judged | None]:
    """What is measured of a file, and its judged output; None where nothing judges it, or it doesn't run."""
    rows: list[Measurement] = [size(path, path.name), _gzip(path, path.name)]
    own: _Judged | None = None
    try:
        if exam is not None:
            own = exam.file(path, progress)
            by = runtime_words("tflite", Path(path.stem).suffix[1:])
            rows += [measured(key, path.name, [v], where="host", method=by) for key, v in own.scores.items()]
        return [*rows, *Local().measure(path, settings, artifact=path.name, profile=host)], own
    except RunError as exc:
        return [*rows, missing("latency", path.name, str(exc), where="host", method="LiteRT")], own


def _lost(before: _Judged, after: WrittenFile, exam: _Exam, progress: Progress) -> tuple[str, ...]:
    """What the compressed file lost against the other by more than chance; () where that can't be told."""
    try:
        own = exam.file(after.path, progress)
    except RunError:
        return ()
    words = f"tflite {after.artifact.precision}, against the uncompressed file"
    return lost(own.answer, before.outputs, own.outputs, own.labels, words, by=before.answer)


def _ratio(before: Path, after: Path, settings: Bench) -> Ratio | None:
    """The times of the compressed file over those of the other, which two separate measurements wouldn't tell."""
    try:
        turns = Turns(ROUNDS, min(settings.runs, RUNS), min(settings.warmup, WARMUP), settings.threads_here)
        return interleave(before, after, turns).wall
    except RunError:
        return None


def _gzip(path: Path, artifact: str) -> Measurement:
    return measured("gzip", artifact, [gzip_bytes(path.read_bytes())], where="file", method="gzip of the written file")
