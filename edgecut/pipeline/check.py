"""The model files, run against the float model, output by output, and judged by the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import keras
import numpy as np

from edgecut.errors import RunError
from edgecut.export.tflite import output_names
from edgecut.graph.calls import calls, flat
from edgecut.graph.predict import predict_outputs
from edgecut.graph.proof import seeded_inputs
from edgecut.images.dataset import Dataset
from edgecut.images.feed import ArrayFeed, Feed
from edgecut.images.rows import packed
from edgecut.pipeline.device_kernels import Judged, lost_on_devices
from edgecut.pipeline.device_kernels import notes as kernel_notes
from edgecut.pipeline.images import class_names
from edgecut.pipeline.judged_outputs import answers_of, validation_outputs
from edgecut.pipeline.losses import is_loss, sentence
from edgecut.pipeline.operating import Chooser, chooser, overshoots
from edgecut.pipeline.run_file import predict_file_outputs
from edgecut.pipeline.values import Done, Fitted, WrittenFile, timed
from edgecut.records.facts import StepFacts
from edgecut.records.measurement import Measurement, Metric, measured, missing, number_in
from edgecut.records.operating import Decision
from edgecut.records.profile import Profile
from edgecut.records.progress import Progress
from edgecut.records.proof import Proof
from edgecut.records.recipe import Recipe
from edgecut.runtime.files import FileRunner
from edgecut.runtime.session import runtime_words
from edgecut.score.answer import AGREEMENTS, Answer, Drop
from edgecut.score.distance import distances
from edgecut.score.intervals import wilson
from edgecut.score.metrics import MetricName, metric_of
from edgecut.score.threshold import judged_output

VECTORS = 4  # golden vectors in a bundle
_SEEDED = 8  # inputs that a file is checked on without images


class Conditions(TypedDict):
    """What a file was run on. output: which one is measured, of several. fed: a form that isn't the model's.

    constant: the file puts out the same for all of them, and the float model doesn't.
    """

    images: int
    inputs: str
    output: NotRequired[str]
    fed: NotRequired[str]
    constant: NotRequired[bool]


@dataclass(frozen=True)
class Found:
    """What is measured of the files, and how each of them decides."""

    measurements: tuple[Measurement, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, eq=False)
class _Reference:
    """What files are held against: the float model's outputs on these inputs, and how each is judged.

    pixels: as the device feeds them by `feed`, or, where there are no images, as the model takes them; all of them. The
    others are of those that chose no threshold: outputs, and labels, None without. answers: at the float model's own
    thresholds. baseline: of the judged metric, before any compression; before, before_answers: what came out then.
    plain: the answers without a chosen threshold. conditions: of each measurement.
    """

    pixels: np.ndarray
    feed: Feed | None
    outputs: Sequence[np.ndarray]
    names: Sequence[str]
    plain: Sequence[Answer]
    answers: Sequence[Answer]
    labels: np.ndarray | None
    baseline: float | None
    before: Sequence[np.ndarray]
    before_answers: Sequence[Answer]
    conditions: Conditions
    chooser: Chooser

    def of_output(self, place: int) -> Conditions:
        """The conditions of what is measured of one of the outputs; of a single one nothing is added."""
        return self.conditions if len(self.outputs) == 1 else {**self.conditions, "output": self.names[place]}


def check_files(
    fitted: Fitted,
    images: Dataset | None,
    files: Sequence[WrittenFile],
    recipe: Recipe,
    progress: Progress,
    profiles: Sequence[Profile] = (),
) -> Done[Found]:
    """Each file run on the held-out images against the float model: errors and, with labels, accuracy.

    Without images: on seeded random inputs. profiles: devices with kernels of their own, by which it is tried, too.
    """
    with timed("check", progress) as clock:
        reference, scores = _reference(fitted, images, recipe, progress)
        name = f"{recipe.name}.keras"
        rows = [
            measured(metric, name, [value], where="host", method="Keras", conditions=reference.conditions)
            for metric, value in scores.items()
        ]
        decisions: list[Decision] = []
        judged: list[Judged] = []
        for file in files:
            rows += _check(file, reference, decisions, judged, progress)
            if judged_output(tuple(reference.answers)) is None and recipe.budget.accuracy_drop is not None:
                why = _unjudged(reference)
                rows.append(missing("accuracy_drop", file.artifact.name, why, where="host", method=_method(file)))
        on_devices = [row for each in judged for row in lost_on_devices(each, profiles)]
        metric = next(iter(scores), metric_of(recipe.data.target))
        step = clock.step(
            changed=False,
            proof=_bytes_proof(files, rows).model_copy(update={"inputs": reference.conditions["images"]}),
            after=StepFacts.model_validate({f"float_{metric}": scores.get(metric)}),
            notes=(*_notes(reference, scores), *_constant(rows), *overshoots(decisions)),
            losses=tuple(_losses(files, rows, metric)),
        )
    return Done(Found((*rows, *on_devices), tuple(decisions)), (step,), tuple(kernel_notes(on_devices)))


def stimuli_of(fitted: Fitted, images: Dataset | None) -> np.ndarray | None:
    """What golden vectors are made of: held-out pictures, or, where no camera feeds the model, its inputs.

    None where there are no images for a camera's model.
    """
    if images is not None:
        pixels = images.val.pixels
        few = np.asarray(pixels[np.linspace(0, len(pixels) - 1, min(VECTORS, len(pixels))).astype(int)])
        return fitted.feed.values(few) if isinstance(fitted.feed, ArrayFeed) else few
    if isinstance(fitted.feed, ArrayFeed):
        return seeded(fitted.model, fitted.feed)[:VECTORS]
    return None


def seeded(model: keras.Model, feed: Feed) -> np.ndarray:
    """What a model is checked on without images: rows (8, ...), as the model takes them."""
    if feed.pixels == "raw":
        shape = (_SEEDED, *model.inputs[0].shape[1:])
        return np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    return packed([np.asarray(x) for x in seeded_inputs(flat(calls(model).inputs))])


def _reference(
    fitted: Fitted, images: Dataset | None, recipe: Recipe, progress: Progress
) -> tuple[_Reference, dict[MetricName, float]]:
    """The reference, and how the float model scores by the labels."""
    model, feed = fitted.model, fitted.feed
    if images is not None:
        pixels, labels = images.val.pixels, images.val.labels
        outputs = validation_outputs(model, feed, images, title="float model", progress=progress)
    else:
        pixels, labels = seeded(model, feed), None
        outputs = predict_outputs(model, pixels, lambda x: x)
    plain = answers_of(model, recipe, images)
    place = judged_output(plain)
    chosen = chooser(recipe.data, class_names(recipe, images), plain, place, labels)
    answers, uncompressed = chosen.decided(plain, outputs), fitted.uncompressed or outputs
    before, before_answers = chosen.judged(uncompressed), chosen.decided(plain, uncompressed)
    outputs, labels = chosen.judged(outputs), None if labels is None else labels[chosen.judging]
    scores, baseline = {}, None
    if place is not None and labels is not None:
        scores = answers[place].scores(outputs[place], labels)
        baseline = next(iter(before_answers[place].scores(before[place], labels).values()))
    inputs = f"{_held_out(feed)}{' that chose no threshold' if chosen.chooses else ''}" if images else "seeded random"
    conditions: Conditions = {"images": len(outputs[0]), "inputs": inputs}
    reference = _Reference(
        pixels,
        None if images is None else feed,
        outputs,
        output_names(model),
        plain,
        answers,
        labels,
        baseline,
        before,
        before_answers,
        conditions,
        chosen,
    )
    return reference, scores


def _held_out(feed: Feed) -> str:
    return "held-out arrays" if isinstance(feed, ArrayFeed) else "held-out images"


def _method(file: WrittenFile) -> str:
    return runtime_words(file.artifact.format, file.artifact.precision)


def _check(
    file: WrittenFile,
    reference: _Reference,
    decisions: list[Decision],
    judged: list[Judged],
    progress: Progress,
) -> Iterator[Measurement]:
    """What is measured of a file; how it decides is added to `decisions`, what labels judge to `judged`."""
    name, method = file.artifact.name, _method(file)
    try:
        runner = FileRunner(file.path)
        pixels, feed = reference.pixels, reference.feed
        if feed is None:
            outputs = runner.predict_each(pixels)
        else:
            outputs = predict_file_outputs(runner, pixels, feed, title=name, progress=progress)
        if [y.shape[1:] for y in outputs] != [y.shape[1:] for y in reference.outputs]:
            shapes, own = ([y.shape[1:] for y in rows] for rows in (outputs, reference.outputs))
            raise RunError(f"{name}: puts out {shapes}, and the float model {own}")
    except RunError as exc:
        # A file that its own runtime refuses is worth reporting, not worth losing the others for.
        yield missing("accuracy", name, str(exc), where="host", method=method)
        return
    takes_bytes = feed is not None and file.artifact.inputs[0].takes_bytes
    chosen = reference.chooser
    decisions += chosen.decisions(file.artifact, reference.plain, outputs)
    answers, outputs = chosen.decided(reference.plain, outputs, file.artifact.outputs), chosen.judged(outputs)
    for place, (answer, floats, ours) in enumerate(zip(answers, reference.outputs, outputs, strict=True)):
        values: dict[Metric, float] = {**distances(floats, ours)}
        conditions = reference.of_output(place)
        if takes_bytes:
            conditions = {**conditions, "fed": "the camera's bytes xor 0x80"}
        if _is_constant(ours) and not _is_constant(floats):
            conditions = {**conditions, "constant": True}
        agreement = answer.agreement(floats, ours, reference.answers[place])
        if agreement is not None and answer.agreement_metric is not None:
            values[answer.agreement_metric] = agreement
        if answer.metric is not None and reference.labels is not None and reference.baseline is not None:
            scores = answer.scores(ours, reference.labels)
            values.update((metric, value) for metric, value in scores.items())
            by = reference.before_answers[place]
            drop = answer.drops(reference.before[place], ours, reference.labels, by=by)[answer.metric]
            lost = reference.baseline - scores[answer.metric]
            if feed is not None:
                shown = pixels[chosen.judging] if chosen.chooses else pixels
                before = reference.before[place]
                judged.append(Judged(file, shown, feed, place, ours, answer, reference.labels, lost, before, by))
            yield _drop(name, method, lost, drop, conditions)
        for metric, value in values.items():
            more = _interval(value, conditions["images"]) if metric == "accuracy" else {}
            yield measured(metric, name, [value], where="host", method=method, conditions={**conditions, **more})


def _interval(share: float, images: int) -> dict[str, float]:
    """Between what the accuracy on all images is, with 95 %, of which these are a sample.

    Of pixels it is wider than it needs to be: an image's share varies less than right or wrong does.
    """
    low, high = wilson(round(share * images), images)
    return {"low": low, "high": high}


def _drop(name: str, method: str, value: float, drop: Drop, conditions: Conditions) -> Measurement:
    """What a file lost, with its standard error and interval, and whether that is more than chance."""
    more = {
        "standard_error": drop.error,
        "low": drop.low,
        "high": drop.high,
        "beyond_chance": is_loss(drop, conditions["images"]),
    }
    return measured("accuracy_drop", name, [value], where="host", method=method, conditions={**conditions, **more})


def _losses(files: Sequence[WrittenFile], found: Sequence[Measurement], metric: str) -> Iterator[str]:
    """A sentence for each file that lost more than chance."""
    for m in (m for m in found if m.value is not None and m.conditions.get("beyond_chance")):
        file = next(file.artifact for file in files if file.artifact.name == m.artifact)
        score = next(x.value for x in found if x.artifact == m.artifact and x.metric == metric and x.value is not None)
        drop = Drop(m.value or 0.0, number_in(m.conditions, "standard_error") or 0.0)
        words = f"{file.format} {file.precision}, against the float model"
        yield sentence(words, metric, (score + drop.value, score), drop, int(number_in(m.conditions, "images") or 0))


def _is_constant(outputs: np.ndarray) -> bool:
    """Whether several rows (n, ...) are all the same."""
    return len(outputs) > 1 and bool((outputs == outputs[0]).all())


def _constant(rows: Sequence[Measurement]) -> Iterator[str]:
    """A note on each output of a file that doesn't depend on what goes in."""
    constant = {(m.artifact, m.conditions.get("output")): m.conditions for m in rows if m.conditions.get("constant")}
    for (name, output), conditions in constant.items():
        yield (
            f"{name}: {'the output' if output is None else f'output {output!r}'} is the same for all "
            f"{conditions['images']} {conditions['inputs']}, and the float model's isn't: what it answers says nothing"
        )


def _unjudged(reference: _Reference) -> str:
    """Why no output is judged."""
    return "; ".join(dict.fromkeys(answer.unjudged for answer in reference.answers))


def _notes(reference: _Reference, scores: dict[MetricName, float]) -> Iterator[str]:
    """What was assumed of the outputs, why labels judge none of them, and classes that seem to be in another order."""
    several = len(reference.answers) > 1
    for name, answer in zip(reference.names, reference.answers, strict=True):
        where = f"{name}: " if several else ""
        if answer.assumed and reference.feed is not None:
            yield f"{where}{answer.assumed}"
    if reference.labels is None:
        return
    yield from reference.chooser.notes()
    if judged_output(tuple(reference.answers)) is None:
        yield f"accuracy isn't measured: {_unjudged(reference)}"
    judged = next((answer for answer in reference.answers if answer.kind == "binary" and answer.metric), None)
    share, count = scores.get("accuracy"), reference.conditions["images"]
    if judged is not None and share is not None and wilson(round(share * count), count)[1] < 0.5:
        yield (
            f"the float model is right on {share:.3f} of the images, less than by chance: its one output may mean the "
            "other class; name the classes in its own order (data.labels)"
        )


def _bytes_proof(files: Sequence[WrittenFile], found: Sequence[Measurement]) -> Proof:
    """Of the first file that was fed the camera's bytes: how near it is to the float model on the same bytes."""
    names = [file.artifact.name for file in files if file.artifact.inputs[0].takes_bytes]
    metrics = ("sqnr", *AGREEMENTS)
    rows = {m.metric: m.value for m in reversed(found) if names and m.artifact == names[0] and m.metric in metrics}
    return Proof.model_validate({"bytes_in": names[0], **rows} if rows else {})
