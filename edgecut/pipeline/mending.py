"""The int8 file of precision "auto": cures tried until the accuracy holds, on training images alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import RequestError
from edgecut.export.tflite import convert, write_saved_model
from edgecut.images.device import model_input
from edgecut.images.sampling import sampled
from edgecut.pipeline.answers import answers_of
from edgecut.pipeline.fitting import FittedModel, calibration_inputs, int8_model
from edgecut.pipeline.training_last import train_last
from edgecut.quantize.cures import Patient
from edgecut.quantize.heads import Linear
from edgecut.quantize.interior import Pictures, outputs_of
from edgecut.quantize.judges import FittedHead, HeadJudge, Judge, OutputJudge
from edgecut.quantize.twins import pair
from edgecut.quantize.until import Outcome, until
from edgecut.records.trial import Trial

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run

# Without budget.accuracy_drop the drop may be a point.
DEFAULT_DROP = 0.01
# A model with a head of its own is judged on so many training images that didn't set the ranges.
JUDGED_IMAGES = 1000


def auto_file(state: Run, fitted: FittedModel, scratch: Path) -> bytes:
    """The int8 file whose drop is within budget.accuracy_drop, or the best that the cures come to.

    Its trials are a step of their own, and go into the report.
    """
    limit = state.recipe.budget.accuracy_drop
    with state.step("quantize") as facts:
        model = int8_model(state, fitted.model)
        write_saved_model(model, scratch / "auto")
        calibration = calibration_inputs(state)
        float_file = convert(scratch / "auto", model, "float32")
        int8_file = convert(scratch / "auto", model, "int8", [calibration])
        patient = Patient(pair(int8_file, float_file), calibration, state.progress)
        found = until(
            patient,
            _judge(state, fitted, float_file),
            DEFAULT_DROP if limit is None else limit,
            progress=state.progress,
        )
        if not found.met and _may_train(state, fitted, found):
            found = train_last(state, fitted, found, DEFAULT_DROP if limit is None else limit, scratch)
        state.trials.extend(found.trials)
        chosen = next(trial for trial in found.trials if trial.chosen)
        facts.update(
            before={"size_bytes": len(int8_file)},
            after={"size_bytes": len(found.content), "cures": list(chosen.cures)},
            proof=_proof(chosen), notes=tuple(_notes(found, limit)),
        )  # fmt: skip
    return found.content


def _may_train(state: Run, fitted: FittedModel, found: Outcome) -> bool:
    return state.recipe.compress.qat and not found.unjudged and (fitted.trained is None or fitted.trained.aware is None)


def _judge(state: Run, fitted: FittedModel, float_file: bytes) -> Judge:
    """Judges on training images alone: those of data.val judge the result."""
    if state.dataset is None:
        raise RequestError("export.precisions: auto needs images to calibrate on; set data.train (--data)")
    recipe, train, judged_on = state.recipe, state.dataset.train, len(state.dataset.val.pixels)
    images = Pictures(train.pixels, lambda x: model_input(x, recipe.source.preprocess, recipe.stem.pixels))
    if fitted.probe is not None and fitted.features is not None and recipe.head is not None:
        factor = fitted.probe.temperature if recipe.head.activation == "softmax" else 1.0
        linear = Linear(fitted.probe.kernel.astype(np.float64), fitted.probe.bias.astype(np.float64))
        head = FittedHead(
            images, fitted.features, state.labels, recipe.head.classes, fitted.probe.penalty, linear, factor
        )  # fmt: skip
        return HeadJudge(head, judged_on, progress=state.progress)
    used = sampled(train.labels, len(train.pixels), recipe.data.calibration, recipe.data.seed)
    rest = np.setdiff1d(np.arange(len(train.pixels)), used)[:JUDGED_IMAGES]
    rest = rest if len(rest) else np.arange(len(train.pixels))
    chosen = Pictures(train.pixels[rest], images.to_input)
    labels = None if train.labels is None else train.labels[rest]
    references, answers = outputs_of(float_file, chosen), answers_of(state, fitted.model)
    return OutputJudge(chosen, references, answers, labels, judged_on, state.progress)


def _proof(chosen: Trial) -> dict[str, object]:
    return {
        "inputs": chosen.images, "accuracy_drop": chosen.drop, "standard_error": chosen.drop_error,
        "agreement": chosen.agreement, "sqnr": chosen.sqnr,
        "sqnr_varying": chosen.sqnr_varying,
    }  # fmt: skip


def _notes(found: Outcome, limit: float | None) -> list[str]:
    shown = DEFAULT_DROP if limit is None else limit
    if found.met:
        words = f"the drop is within {shown:g}, two standard errors included, on training images held out in turn"
    elif found.unjudged:
        words = f"the drop is unknown, since {found.unjudged}; the float model's own outputs judged the corrections"
    else:
        words = (
            f"no set of cures comes within {shown:g}, two standard errors included; the simplest file is taken that no "
            "other is known to better"
        )
    return [words, *(["budget.accuracy_drop isn't set; 0.01 was aimed at"] if limit is None else [])]
