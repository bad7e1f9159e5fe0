"""The int8 file of precision "auto": corrections tried until the accuracy holds, on training images alone."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edgecut.errors import RequestError
from edgecut.export.agreeing import check_against_model, converted
from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.predict import predict_outputs
from edgecut.images.dataset import Dataset
from edgecut.images.rows import columns
from edgecut.images.sampling import sampled, split
from edgecut.pipeline.compress import aware_file, train
from edgecut.pipeline.head import int8_model
from edgecut.pipeline.judged_outputs import answers_of
from edgecut.pipeline.values import Done, Fitted, timed, training_labels
from edgecut.quantize.choosing import is_better
from edgecut.quantize.corrections import Subject
from edgecut.quantize.heads import Linear
from edgecut.quantize.interior import Pictures, outputs_of
from edgecut.quantize.judges import FittedHead, HeadJudge, Judge, OutputJudge
from edgecut.quantize.pairs import pair
from edgecut.quantize.until import Outcome, until
from edgecut.records.facts import StepFacts
from edgecut.records.progress import Progress
from edgecut.records.proof import Proof
from edgecut.records.recipe import Compress, Recipe
from edgecut.records.trial import Trial

# Without budget.accuracy_drop the drop may be a point.
DEFAULT_DROP = 0.01
# A model with a head of its own is judged on so many training images that didn't set the ranges.
JUDGED_IMAGES = 1000
QAT = "quantization-aware training"
# Of the training images of each class: they judge the trained file, and don't train it.
JUDGING = 0.3


def auto_file(
    fitted: Fitted, images: Dataset | None, recipe: Recipe, scratch: Path, progress: Progress
) -> Done[Outcome]:
    """The int8 file whose drop is within budget.accuracy_drop, or the best that the corrections come to.

    Its trials are a step of their own.
    """
    if images is None:
        raise RequestError("export.precisions: auto needs data to calibrate on; set data.train (--data)")
    aim = _aim(recipe)
    with timed("quantize", progress) as clock:
        model = int8_model(fitted.model, fitted.feed)
        write_saved_model(model, scratch / "auto", loops=False)
        calibration = fitted.feed.calibration(images.train, recipe.data)
        float_file = converted(scratch / "auto", model, "float32")
        int8_file = convert(scratch / "auto", model, "int8", columns(calibration))
        subject = Subject(pair(int8_file, float_file), calibration, progress)
        outcome = until(subject, _judge(fitted, images, recipe, float_file, progress), aim, progress=progress)
        if not outcome.met and not outcome.unjudged and recipe.compress.qat and not _is_aware(fitted):
            outcome = _trained_last(fitted, images, recipe, outcome, scratch=scratch, progress=progress)
        check_against_model(outcome.content, model, "int8", columns(calibration))
        chosen = next(trial for trial in outcome.trials if trial.chosen)
        step = clock.step(
            before=StepFacts(size_bytes=len(int8_file)),
            after=StepFacts(size_bytes=len(outcome.content), cures=chosen.cures),
            proof=_proof(chosen),
            notes=tuple(_notes(outcome, recipe)),
        )
    return Done(outcome, (step,))


def _is_aware(fitted: Fitted) -> bool:
    return fitted.compressed is not None and fitted.compressed.aware is not None


def _judge(fitted: Fitted, images: Dataset, recipe: Recipe, float_file: bytes, progress: Progress) -> Judge:
    """Judges on training images alone: those of data.val judge the result."""
    train_images, judged_on = images.train, len(images.val.pixels)
    pictures = Pictures(train_images.pixels, fitted.feed.values)
    if fitted.probe is not None and fitted.features is not None and recipe.head is not None:
        factor = fitted.probe.temperature if recipe.head.activation == "softmax" else 1.0
        linear = Linear(fitted.probe.kernel.astype(np.float64), fitted.probe.bias.astype(np.float64))
        head = FittedHead(
            pictures,
            fitted.features,
            training_labels(images),
            recipe.head.classes,
            fitted.probe.penalty,
            linear,
            factor,
        )
        return HeadJudge(head, judged_on, progress=progress)
    total = len(train_images.pixels)
    used = sampled(train_images.labels, total, recipe.data.calibration, recipe.data.seed)
    rest = np.setdiff1d(np.arange(total), used)[:JUDGED_IMAGES]
    rest = rest if len(rest) else np.arange(total)
    chosen = Pictures(train_images.pixels[rest], fitted.feed.values)
    labels = None if train_images.labels is None else train_images.labels[rest]
    references, answers = outputs_of(float_file, chosen), answers_of(fitted.model, recipe, images)
    return OutputJudge(chosen, references, answers, labels, judged_on, progress)


def _trained_last(
    fitted: Fitted,
    images: Dataset,
    recipe: Recipe,
    outcome: Outcome,
    *,
    scratch: Path,
    progress: Progress,
) -> Outcome:
    """The outcome of the other corrections with quantization-aware training tried after them.

    Its file is chosen if it is known to be better than theirs (quantize/choosing.py), both measured on training images
    that it wasn't trained on. The float model's head may have been fitted on those, too, so that the drop is rather
    over- than underrated.
    """
    began, limit = time.perf_counter(), _aim(recipe)
    pixels, labels = images.train.pixels, training_labels(images)
    training, judging = split(labels, JUDGING, recipe.data.seed, "compress.qat")
    settings = recipe.compress.model_dump(include={"epochs", "batch", "learning_rate", "patience", "skip"})
    request = Compress(qat=True, **settings)
    trained = train(fitted, images, request, recipe, rows=training, progress=progress)
    content = aware_file(trained, fitted.feed.calibration(images.train, recipe.data), scratch)
    held_out = Pictures(pixels[judging], fitted.feed.values)
    floats = predict_outputs(fitted.model, pixels[judging], fitted.feed.values, title="float model", progress=progress)
    answers = answers_of(fitted.model, recipe, images)
    judge = OutputJudge(held_out, floats, answers, labels[judging], len(images.val.pixels), progress)
    scored, before = judge.judged(content), judge.judged(outcome.content)
    better = is_better(scored, before, limit)
    trial = Trial(
        cures=(QAT,),
        accuracy=scored.accuracy,
        drop=scored.drop,
        drop_error=scored.drop_error,
        agreement=scored.agreement,
        sqnr=scored.sqnr,
        sqnr_varying=scored.sqnr_varying,
        images=scored.images,
        size_bytes=len(content),
        gained=None if before.drop is None or scored.drop is None else before.drop - scored.drop,
        seconds=round(time.perf_counter() - began, 2),
        kept=better,
        chosen=better,
        note="" if better else f"{QAT} isn't known to be better than the other corrections' file",
    )
    if not better:
        return Outcome(outcome.content, (*outcome.trials, trial), outcome.met)
    others = tuple(x.model_copy(update={"chosen": False}) for x in outcome.trials)
    return Outcome(content, (*others, trial), scored.meets(limit))


def _proof(chosen: Trial) -> Proof:
    return Proof(
        inputs=chosen.images,
        accuracy_drop=chosen.drop,
        standard_error=chosen.drop_error,
        agreement=chosen.agreement,
        sqnr=chosen.sqnr,
        sqnr_varying=chosen.sqnr_varying,
    )


def _aim(recipe: Recipe) -> float:
    limit = recipe.budget.accuracy_drop
    return DEFAULT_DROP if limit is None else limit


def _notes(outcome: Outcome, recipe: Recipe) -> list[str]:
    limit, shown = recipe.budget.accuracy_drop, _aim(recipe)
    if outcome.met:
        words = f"the drop is within {shown:g}, two standard errors included, on training images held out in turn"
    elif outcome.unjudged:
        words = f"the drop is unknown, since {outcome.unjudged}; the float model's own outputs judged the corrections"
    else:
        words = (
            f"no set of cures comes within {shown:g}, two standard errors included; the simplest file is taken that no "
            "other is known to better"
        )
    return [words, *(["budget.accuracy_drop isn't set; 0.01 was aimed at"] if limit is None else [])]
