"""The head, fitted on the features of the body as it will run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.predict import predict
from edgecut.head.attach import attach_head, attach_pool
from edgecut.head.probe import Probe, fit_ridge, fit_values
from edgecut.images.dataset import calibration_sample
from edgecut.images.device import model_input
from edgecut.pipeline.training import finetuned, trained_head
from edgecut.records.recipe import Head
from edgecut.runtime.files import FileRunner, dequantize
from edgecut.score.metrics import metric_of
from edgecut.stem.camera import for_bytes

if TYPE_CHECKING:
    from edgecut.compress.run import Compressed
    from edgecut.pipeline.running import Run


@dataclass(frozen=True)
class FittedModel:
    """The float model, and the pooled body that a quantized head is fitted on (None where no head is fitted).

    probe, features: the fitted head, and the training images' features (n, d) that it was fitted on. trained, before:
    of a compressed model, how it was trained, and what it was before. start: of a model whose head was trained, that
    with the fitted head.
    """

    model: keras.Model
    body: keras.Model | None = None
    probe: Probe | None = None
    features: np.ndarray | None = None
    trained: Compressed | None = None
    before: FittedModel | None = None
    start: keras.Model | None = None


def fit_head(state: Run, model: keras.Model) -> FittedModel:
    """The model with the recipe's head, fitted on the float body's features; the model itself without a head."""
    head = state.recipe.head
    if head is None:
        return FittedModel(model)
    with state.step("head") as facts:
        before = [list(tensor.shape) for tensor in model.outputs]
        if head.train == "none" or state.dataset is None:
            result = FittedModel(attach_head(model, head.classes, head.pool, head.hidden, head.activation))
            facts.update(notes=("the head starts from seeded random weights",))
        else:
            body = attach_pool(model, head.pool)
            train = state.dataset.train
            features = predict(
                body, train.pixels, lambda x: to_input(state, x), title="features", progress=state.progress
            )
            if head.train in {"fit", "distil"}:
                trained, said = trained_head(state, body, features)
                facts.update(before={"outputs": before}, after={"outputs": [[None, head.classes]]}, **said)
                return FittedModel(trained, start=_with_probe(body, head, fit_probe(state, features)))
            probe = fit_probe(state, features)
            facts.update(
                proof={
                    "inputs": len(features),
                    f"leave_one_out_{metric_of(state.recipe.data.target)}": probe.loo_accuracy,
                    "penalty": probe.penalty,
                }
            )
            result = FittedModel(_with_probe(body, head, probe), body, probe, features)
            if head.train == "finetune":
                trained, said = finetuned(
                    state, lambda rows: _with_probe(body, head, fit_probe(state, features[rows], rows))
                )
                facts.update(said)
                result = FittedModel(trained, start=result.model)
        facts.update(before={"outputs": before}, after={"outputs": [list(x.shape) for x in result.model.outputs]})
    return result


def refit_on_int8(state: Run, fitted: FittedModel, scratch: Path) -> keras.Model:
    """The model to quantize: the head refitted on the features of the int8 body, which are not the float body's.

    Without a fitted head the float model itself.
    """
    head, dataset = state.recipe.head, state.dataset
    if head is None or dataset is None or fitted.body is None:
        return int8_model(state, fitted.model)
    body = int8_model(state, fitted.body)
    write_saved_model(body, scratch / "body")
    content = convert(scratch / "body", body, "int8", [calibration_inputs(state)])
    with tempfile.NamedTemporaryFile(suffix=".tflite", dir=scratch) as file:
        file.write(content)
        file.flush()
        runner = FileRunner(Path(file.name))
        features = predict_file(state, runner, dataset.train.pixels, "int8 features")
    # Rounded to the int8 grid with the bias mended, the weights pass the converter as they are.
    probe = fit_probe(state, features).rounded()
    return _with_probe(body, head, probe)


def fit_probe(state: Run, features: np.ndarray, rows: np.ndarray | None = None) -> Probe:
    """The ridge head on features (n, d) of the training images, or of these rows of them, for what the labels say."""
    head, labels = state.recipe.head, state.labels if rows is None else state.labels[rows]
    if head is not None and state.recipe.data.target == "classes":
        return fit_ridge(features, labels, head.classes)
    return fit_values(features, labels)


def int8_model(state: Run, model: keras.Model) -> keras.Model:
    """The model as it is written in int8: one that takes raw pixels takes the camera's bytes."""
    raw = "raw" in {state.recipe.stem.pixels, state.recipe.source.preprocess}
    return for_bytes(model) if raw and state.device_shape else model


def calibration_inputs(state: Run) -> np.ndarray:
    """The images that set the int8 ranges, as the model takes them: (n, height, width, channels), float32.

    Two corner pixels of the first are set to 0 and 255: images that never reach the extremes would change the
    input's scale, and the camera's bytes would no longer pass as they are.
    """
    if state.dataset is None:
        return np.zeros((0,), "float32")
    data = state.recipe.data
    pixels = calibration_sample(state.dataset.train, data.calibration, data.seed).copy()
    pixels[0, 0, 0], pixels[0, -1, -1] = 0, 255
    return to_input(state, pixels)


def to_input(state: Run, pixels: np.ndarray) -> np.ndarray:
    """What the model takes for the device's pictures: float32 of the same shape."""
    return model_input(pixels, state.recipe.source.preprocess, state.recipe.stem.pixels)


def predict_file(state: Run, runner: FileRunner, pixels: np.ndarray, title: str, batch: int = 64) -> np.ndarray:
    """The first of a file's outputs, as `predict_file_outputs` gives all."""
    return predict_file_outputs(state, runner, pixels, title, batch)[0]


def predict_file_outputs(
    state: Run, runner: FileRunner, pixels: np.ndarray, title: str, batch: int = 64
) -> tuple[np.ndarray, ...]:
    """A file's outputs over the device's pictures, float32 (n, ...). One that takes bytes is fed the bytes."""
    takes_bytes = runner.inputs[0].model_copy(update={"expects": state.recipe.stem.pixels}).takes_bytes
    outputs = []
    with state.progress.task(title, len(pixels)) as advance:
        for first in range(0, len(pixels), batch):
            part = pixels[first : first + batch]
            if takes_bytes:
                raw = runner.predict_raw_each((part ^ 0x80).view(np.int8))
                outputs.append(tuple(dequantize(y, spec) for y, spec in zip(raw, runner.outputs, strict=True)))
            else:
                outputs.append(runner.predict_each(to_input(state, part)))
            advance(len(part))
    return tuple(np.concatenate(column) for column in zip(*outputs, strict=True))


def _with_probe(body: keras.Model, head: Head, probe: Probe) -> keras.Model:
    # Softmax of ridge scores would be nearly uniform, and tie in int8: the temperature spreads them.
    factor = probe.temperature if head.activation == "softmax" else 1.0
    return attach_head(
        body, head.classes, head.pool, (), head.activation,
        kernel=(probe.kernel * factor).astype("float32"), bias=(probe.bias * factor).astype("float32"),
    )  # fmt: skip
