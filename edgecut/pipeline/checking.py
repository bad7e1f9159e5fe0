"""The model files of a run, run against the float model, output by output, and judged by the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgecut.errors import RunError
from edgecut.export.tflite import output_names
from edgecut.graph.calls import calls, flat
from edgecut.graph.predict import predict_outputs
from edgecut.graph.proof import seeded_inputs
from edgecut.pipeline.answers import answers_of, judged_output
from edgecut.pipeline.files import WrittenFile
from edgecut.pipeline.fitting import predict_file_outputs, to_input
from edgecut.pipeline.losses import is_loss, sentence
from edgecut.records.measurement import Measurement, Metric, measured, missing
from edgecut.runtime.files import FileRunner
from edgecut.score.answers import AGREEMENTS, Answer, Drop
from edgecut.score.distance import distances
from edgecut.score.intervals import wilson
from edgecut.score.metrics import MetricName, metric_of

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run


@dataclass(frozen=True, eq=False)
class _Reference:
    """What files are held against: the float model's outputs on these inputs, and how each is judged.

    pixels: as the device feeds them, or as the model takes them where there are no images. labels: of them, None
    without. baseline: of the judged metric, before any compression; before: the outputs then. conditions: of each
    measurement.
    """

    pixels: np.ndarray
    outputs: Sequence[np.ndarray]
    names: Sequence[str]
    answers: Sequence[Answer]
    labels: np.ndarray | None
    baseline: float | None
    before: Sequence[np.ndarray]
    conditions: dict[str, Any]

    def of_output(self, place: int) -> dict[str, Any]:
        """The conditions of what is measured of one of the outputs; of a single one nothing is added."""
        return {**self.conditions, **({"output": self.names[place]} if len(self.outputs) > 1 else {})}


def check_files(state: Run, model: keras.Model, files: Sequence[WrittenFile]) -> list[Measurement]:
    """Each file run on the held-out images against the float model: errors and, with labels, accuracy.

    Without images: on seeded random inputs, and only where the model has a single input.
    """
    if len(model.inputs) != 1:
        reason = f"the model has {len(model.inputs)} inputs; files are checked on a single input"
        return [missing("max_abs_error", f.artifact.name, reason, where="host", method="comparison") for f in files]
    with state.step("check") as facts:
        reference, scores = _reference(state, model)
        name = f"{state.recipe.name}.keras"
        found = [
            measured(metric, name, [value], where="host", method="Keras", conditions=reference.conditions)
            for metric, value in scores.items()
        ]
        for file in files:
            found += _check(state, file, reference)
        metric = next(iter(scores), metric_of(state.recipe.data.target))
        proof = {"inputs": len(reference.pixels), **_bytes_proof(files, found)}
        facts.update(
            changed=False, proof=proof, after={f"float_{metric}": scores.get(metric)},
            notes=tuple(_notes(state, reference, scores)), losses=tuple(_losses(files, found, metric)),
        )  # fmt: skip
    return found


def seeded(state: Run, model: keras.Model) -> np.ndarray:
    """What a model of one input is checked on without images: (8, ...), as the model takes it."""
    if state.recipe.stem.pixels == "raw":
        shape = (8, *model.inputs[0].shape[1:])
        return np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    return seeded_inputs(flat(calls(model).inputs))[0]


def _reference(state: Run, model: keras.Model) -> tuple[_Reference, dict[MetricName, float]]:
    """The reference, and how the float model scores by the labels."""
    if state.dataset is not None:
        pixels, labels = state.dataset.val.pixels, state.dataset.val.labels
        outputs = predict_outputs(
            model, pixels, lambda x: to_input(state, x), title="float model", progress=state.progress
        )
    else:
        pixels, labels = seeded(state, model), None
        outputs = predict_outputs(model, pixels, lambda x: x)
    answers = answers_of(state, model)
    place = judged_output(answers)
    scores = {} if place is None or labels is None else answers[place].scores(outputs[place], labels)
    baseline = next(iter(scores.values()), None) if state.baseline is None else state.baseline
    conditions = {"images": len(pixels), "inputs": "held-out images" if state.dataset else "seeded random"}
    reference = _Reference(pixels, outputs, output_names(model), answers, labels, baseline,
                           state.uncompressed or outputs, conditions)  # fmt: skip
    return reference, scores


def _check(state: Run, file: WrittenFile, reference: _Reference) -> Iterator[Measurement]:
    name, method = file.artifact.name, "LiteRT" if file.artifact.format == "tflite" else "ONNX Runtime"
    try:
        runner = FileRunner(file.path)
        pixels = reference.pixels
        outputs = (
            predict_file_outputs(state, runner, pixels, name) if state.dataset else runner.predict_each(pixels)
        )  # fmt: skip
        if [y.shape for y in outputs] != [y.shape for y in reference.outputs]:
            shapes, own = ([y.shape[1:] for y in rows] for rows in (outputs, reference.outputs))
            raise RunError(f"{name}: puts out {shapes}, and the float model {own}")
    except RunError as exc:
        # A file that its own runtime refuses is worth reporting, not worth losing the others for.
        yield missing("accuracy", name, str(exc), where="host", method=method)
        return
    fed = {"fed": "the camera's bytes xor 0x80"} if state.dataset and file.artifact.inputs[0].takes_bytes else {}
    for place, (answer, floats, ours) in enumerate(zip(reference.answers, reference.outputs, outputs, strict=True)):
        values: dict[Metric, float] = {**distances(floats, ours)}
        conditions = {**reference.of_output(place), **fed}
        agreement = answer.agreement(floats, ours)
        if agreement is not None and answer.agreement_metric is not None:
            values[answer.agreement_metric] = agreement
        if answer.metric is not None and reference.labels is not None and reference.baseline is not None:
            scores = answer.scores(ours, reference.labels)
            values.update((metric, value) for metric, value in scores.items())
            drop = answer.drops(reference.before[place], ours, reference.labels)[answer.metric]
            yield _drop(name, method, reference.baseline - scores[answer.metric], drop, conditions)
        for metric, value in values.items():
            yield measured(metric, name, [value], where="host", method=method, conditions=conditions)
    if judged_output(tuple(reference.answers)) is None and state.recipe.budget.accuracy_drop is not None:
        yield missing("accuracy_drop", name, _unjudged(reference), where="host", method=method)


def _drop(name: str, method: str, value: float, drop: Drop, conditions: dict[str, Any]) -> Measurement:
    """What a file lost, with its standard error, and whether that is more than chance."""
    more = {"standard_error": drop.error, "beyond_chance": is_loss(drop, conditions["images"])}
    return measured("accuracy_drop", name, [value], where="host", method=method, conditions={**conditions, **more})


def _losses(files: Sequence[WrittenFile], found: Sequence[Measurement], metric: str) -> Iterator[str]:
    """A sentence for each file that lost more than chance."""
    for m in (m for m in found if m.value is not None and m.conditions.get("beyond_chance")):
        file = next(file.artifact for file in files if file.artifact.name == m.artifact)
        score = next(x.value for x in found if x.artifact == m.artifact and x.metric == metric and x.value is not None)
        drop = Drop(m.value or 0.0, float(m.conditions["standard_error"]))
        words = f"{file.format} {file.precision}, against the float model"
        yield sentence(words, metric, (score + drop.value, score), drop, int(m.conditions["images"]))


def _unjudged(reference: _Reference) -> str:
    """Why no output is judged."""
    return "; ".join(dict.fromkeys(answer.unjudged for answer in reference.answers))


def _notes(state: Run, reference: _Reference, scores: dict[MetricName, float]) -> Iterator[str]:
    """What was assumed of the outputs, why labels judge none of them, and classes that seem to be in another order."""
    several = len(reference.answers) > 1
    for name, answer in zip(reference.names, reference.answers, strict=True):
        where = f"{name}: " if several else ""
        if answer.assumed and state.dataset is not None:
            yield f"{where}{answer.assumed}"
    if reference.labels is None:
        return
    if judged_output(tuple(reference.answers)) is None:
        yield f"accuracy isn't measured: {_unjudged(reference)}"
    judged = next((answer for answer in reference.answers if answer.kind == "binary" and answer.metric), None)
    share, count = scores.get("accuracy"), len(reference.pixels)
    if judged is not None and share is not None and wilson(round(share * count), count)[1] < 0.5:
        yield (
            f"the float model is right on {share:.3f} of the images, less than by chance: its one output may mean the "
            "other class; name the classes in its own order (data.labels)"
        )


def _bytes_proof(files: Sequence[WrittenFile], found: Sequence[Measurement]) -> dict[str, Any]:
    """Of the first file that was fed the camera's bytes: how near it is to the float model on the same bytes."""
    names = [file.artifact.name for file in files if file.artifact.inputs[0].takes_bytes]
    metrics = ("sqnr", *AGREEMENTS)
    rows = {m.metric: m.value for m in reversed(found) if names and m.artifact == names[0] and m.metric in metrics}
    return {"bytes_in": names[0], **{metric: rows[metric] for metric in metrics if metric in rows}} if rows else {}
