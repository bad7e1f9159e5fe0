"""The model trained smaller, or truer in int8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgecut.compress.qat import write_saved_model
from edgecut.compress.run import Compressed, Stage, compress
from edgecut.errors import DataError
from edgecut.export.tflite import convert
from edgecut.pipeline.answers import answers_of, judged_output
from edgecut.pipeline.fitting import FittedModel, calibration_inputs, to_input
from edgecut.pipeline.losses import lost, validation_outputs
from edgecut.records.recipe import Compress

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run


def compress_model(state: Run, fitted: FittedModel) -> FittedModel:
    """The model after the recipe's [compress], the model itself without one.

    The head is trained with the rest, so it is not fitted again on the int8 body. With precision "auto" alone,
    quantization-aware training waits until the other cures have been tried.
    """
    wanted = state.recipe.compress
    if "int8" not in state.recipe.export.precisions:
        wanted = wanted.model_copy(update={"qat": False})
    if not wanted.is_asked:
        return fitted
    with state.step("compress") as facts:
        result = compressed(state, fitted, wanted)
        state.uncompressed = validation_outputs(state, fitted.model, "uncompressed model")
        state.baseline, losses = _judged(state, result.model, state.uncompressed)
        facts.update(
            before={"params": fitted.model.count_params()},
            after={stage.name: stage_facts(stage) for stage in result.stages},
            proof=dict(result.proof), notes=tuple(_left_out(result)), losses=losses,
        )  # fmt: skip
    return FittedModel(result.model, trained=result, before=fitted)


def compressed(state: Run, fitted: FittedModel, wanted: Compress, chosen: np.ndarray | None = None) -> Compressed:
    """The fitted model trained on the run's training images, as `wanted` says. Raises DataError without images.

    chosen: indices of the training images, default: all.
    """
    if state.dataset is None:
        raise DataError("compress: trains on labelled images; set data.train (--data)")
    pixels, labels = state.dataset.train.pixels, state.labels
    if chosen is not None:
        pixels, labels = pixels[chosen], labels[chosen]
    return compress(
        fitted.model, pixels, labels, wanted,
        to_input=lambda x: to_input(state, x), calibration=calibration_inputs(state), seed=state.recipe.data.seed,
        progress=state.progress,
    )  # fmt: skip


def aware_file(state: Run, trained: Compressed, scratch: Path) -> bytes:
    """The int8 file of a quantization-aware model: integers in and out, with the trained ranges.

    What TFMOT left in float is calibrated. Raises ExportError if an operator would stay in float.
    """
    write_saved_model(trained.aware, scratch / "aware")
    return convert(scratch / "aware", trained.model, "int8", [calibration_inputs(state)])


def stage_facts(stage: Stage) -> dict[str, Any]:
    """What a step's record says of a training."""
    trained = stage.trained
    return {
        **stage.facts, "epochs": trained.epochs, "best_epoch": trained.best,
        "held_out_accuracy": round(trained.accuracy, 4), "left_out": len(stage.left_out),
    }  # fmt: skip


def _judged(
    state: Run, model: keras.Model, before: tuple[np.ndarray, ...]
) -> tuple[float | None, tuple[str, ...]]:  # fmt: skip
    """What the metric that judges the model said before it was trained, None where none does; and what it lost."""
    answers = answers_of(state, model)
    place = judged_output(answers)
    if state.dataset is None or state.dataset.val.labels is None or place is None:
        return None, ()
    labels, after = np.asarray(state.dataset.val.labels), validation_outputs(state, model, "compressed model")
    baseline = next(iter(answers[place].scores(before[place], labels).values()))
    return baseline, lost(answers[place], before[place], after[place], labels, "the float model, against before")


def _left_out(result: Compressed) -> Iterator[str]:
    """A sentence for each training and reason, with the layers that it is of."""
    for stage in result.stages:
        layers: dict[str, list[str]] = {}
        for sentence in stage.left_out:
            layer, _, why = sentence.partition(": ")
            layers.setdefault(why, []).append(layer)
        yield from (f"{stage.name} leaves out {', '.join(names)}: {why}" for why, names in layers.items())
