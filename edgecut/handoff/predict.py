"""A model file, or the file of a bundle, run on pictures, arrays or a camera's bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.errors import DataError, RequestError
from edgecut.handoff.builds import Side, fault_notes, label, label_names, read_side
from edgecut.handoff.bundle import device_artifact
from edgecut.handoff.stimuli import array_inputs, camera_order, check_range, outputs_of, takes_pictures
from edgecut.handoff.thresholds import answers_of, chosen_words, decisions_of
from edgecut.images.arrays import ArrayInputs, array_faults, has_part
from edgecut.images.decode_children import decode_all
from edgecut.images.device import CHANNELS, COLOURS, PictureForm, in_order, shown_pixels
from edgecut.images.feed import ArrayFeed
from edgecut.images.listing import class_names_of, image_files, left_out_notes
from edgecut.images.npz import read_headers
from edgecut.images.rows import load_rows
from edgecut.records.artifact import Artifact
from edgecut.records.operating import DEFAULT
from edgecut.records.prediction import PredictedOutput, Prediction, Predictions, Score
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import CustomPreprocess, Data, Preprocess
from edgecut.sandbox.limits import check_array
from edgecut.score.answer import Answer

STDIN = "-"
_AT_ONCE, _AT_ONCE_BYTES = 256, 64 << 20  # pictures in memory
_VALUES = 8  # of an output that is neither classes nor tags


@dataclass(frozen=True)
class Reading:
    """How outputs become words: the names of the classes, as data.labels has them (None: the bundle's own), how many
    are listed, and which file of a bundle is run (None: the one for the device)."""

    labels: Data | None = None
    top: int = 3
    artifact: str | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the inputs: their names, what the file is fed (n, ...), and pictures to show, None for arrays."""

    names: tuple[str, ...]
    values: np.ndarray
    shown: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Ran:
    """The answers, and what the device sees of each input, (height, width, 1 or 3) uint8; () for arrays."""

    predictions: Predictions
    pictures: tuple[np.ndarray, ...]


def predict(
    path: Path,
    inputs: Sequence[str],
    preprocess: Preprocess | None = None,
    reading: Reading | None = None,
    progress: Progress = SILENT,
) -> Ran:
    """What the model at `path`, a bundle or a .tflite or .onnx file, answers for each of the inputs.

    inputs: picture files, folders of them, one .npz of arrays, or "-": the camera's bytes on standard input, one frame
    behind the other. preprocess: what a single file was trained on; a bundle says it itself. Raises RequestError,
    SourceError, DataError or RunError.
    """
    reading = reading or Reading()
    side = read_side(path, preprocess or "none")
    if side.recipe is not None and preprocess is not None:
        raise RequestError(f"--preprocess: {path} is a bundle, whose recipe says it; leave it out")
    artifact = _chosen(side, reading.artifact)
    check_range(side, artifact)
    names, names_from = _names(side, reading.labels)
    own = side.folder / artifact.path
    answers: tuple[Answer, ...] = ()
    rows: list[Prediction] = []
    pictures: list[np.ndarray] = []
    for part in _parts(side, artifact, inputs, progress):
        outputs = outputs_of(side, artifact, part.values)
        answers = answers or answers_of(side, artifact, outputs)
        _check_names(names, names_from, artifact, answers)
        for place, name in enumerate(part.names):
            found = [y[place] for y in outputs]
            rows.append(Prediction(input=name, outputs=tuple(_read(artifact, found, answers, names, reading.top))))
        pictures += [] if part.shown is None else list(part.shown)
    return Ran(
        Predictions(
            file=str(own),
            sha256=artifact.sha256,
            takes=_takes(side, artifact),
            labels_from=names_from,
            predictions=tuple(rows),
            notes=(*_notes(side, artifact, reading, preprocess, answers), *_left_out(artifact, inputs)),
        ),
        tuple(pictures),
    )


def _chosen(side: Side, name: str | None) -> Artifact:
    """The file to run. Raises RequestError for a name that is none of them."""
    there = {artifact.name: artifact for artifact in side.artifacts}
    if not there:
        raise RequestError(f"{side.path}: the bundle has no model file")
    if name is None:
        return device_artifact(side.artifacts) or side.artifacts[0]
    chosen = next((a for a in side.artifacts if name in {a.name, a.path, a.precision}), None)
    if chosen is None:
        raise RequestError(f"--artifact: {name!r} is no file of {side.path}; it has {', '.join(there)}")
    return chosen


def _names(side: Side, labels: Data | None) -> tuple[tuple[str, ...], str]:
    """(the names of the outputs' places, where they are from)."""
    if labels is not None and labels.labels is not None:
        return class_names_of(labels, "--labels") or (), labels.labels_file or "--labels"
    names = label_names(side)
    place = side.path if side.report is None else side.folder / "labels.txt"
    return names, str(place) if names else ""


def _check_names(names: tuple[str, ...], names_from: str, artifact: Artifact, answers: Sequence[Answer]) -> None:
    """Raises RequestError for names of another count than every output has."""
    if not names or artifact.labelled(names) is not None or any(a.kind == "binary" for a in answers if len(names) == 2):
        return
    widths = ", ".join(str(spec.shape[-1]) if spec.shape else "1" for spec in artifact.outputs)
    raise RequestError(
        f"{names_from}: holds {len(names)} names, and {artifact.path} puts out {widths}; make them equal"
    )


def _takes(side: Side, artifact: Artifact) -> str:
    """What a file is fed, in words."""
    if not takes_pictures(artifact):
        return "arrays: " + ", ".join(f"{spec.name} {_size(spec.shape[1:])}" for spec in artifact.inputs)
    spec, order = artifact.inputs[0], camera_order(side, artifact)
    mode = "custom" if isinstance(side.preprocess, CustomPreprocess) else side.preprocess
    raw = spec.expects == "raw" or mode in {"none", "raw"}
    scaled = "bytes 0 to 255 as they are" if raw else f"scaled by the preprocessing {mode!r}"
    return f"pictures of {_size(spec.shape[1:3])}, {COLOURS[order]}, {scaled}"


def _notes(
    side: Side, artifact: Artifact, reading: Reading, preprocess: Preprocess | None, answers: Sequence[Answer]
) -> Iterator[str]:
    yield from fault_notes(side, "run")
    others = [a.name for a in side.artifacts if a is not artifact]
    if others and reading.artifact is None:
        yield f"{label(artifact)} was run; --artifact NAME runs another: {', '.join(others)}"
    if takes_pictures(artifact) and side.recipe is None and preprocess is None and artifact.inputs[0].scale is None:
        yield (
            f"{artifact.path} doesn't say how pictures are scaled, and got bytes 0 to 255 as they are; --preprocess "
            "says another"
        )
    decisions = decisions_of(side, artifact)
    yield from (chosen_words(decision) for decision in decisions if decision.rule != DEFAULT)
    told = {decision.place for decision in decisions}
    yield from dict.fromkeys(answer.assumed for k, answer in enumerate(answers) if answer.assumed and k not in told)


def _left_out(artifact: Artifact, inputs: Sequence[str]) -> Iterator[str]:
    for folder in (Path(name) for name in inputs if takes_pictures(artifact) and Path(name).is_dir()):
        yield from left_out_notes(folder, "INPUT", has_classes=False)


def _parts(side: Side, artifact: Artifact, inputs: Sequence[str], progress: Progress) -> Iterator[Part]:
    """The inputs in parts that fit in memory. Raises RequestError or DataError."""
    if not takes_pictures(artifact):
        yield from _array_parts(side, artifact, inputs)
        return
    check_array(f"{artifact.path}: the input {artifact.inputs[0].name!r}", artifact.inputs[0].shape)
    height, width = artifact.inputs[0].shape[1:3]
    order = camera_order(side, artifact)
    if STDIN in inputs:
        if len(inputs) > 1:
            raise RequestError("-: stands alone, for the camera's bytes on standard input")
        yield from _frames(height, width, order)
        return
    files = list(_picture_files(inputs))
    at_once = max(1, min(_AT_ONCE, _AT_ONCE_BYTES // (height * width * 3)))
    for first in range(0, len(files), at_once):
        some = files[first : first + at_once]
        form = PictureForm(height, width, 1 if order == "gray" else 3)
        pixels = np.concatenate([*decode_all(some, len(some), form, where="run", progress=progress)])
        yield Part(tuple(map(str, some)), in_order(pixels, order), pixels)


def _picture_files(inputs: Iterable[str]) -> Iterator[Path]:
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            files = image_files(path)
            if not files:
                raise DataError(f"{text}: the folder holds no picture")
            yield from files
        elif not path.exists():
            raise DataError(f"{text}: no such file or folder; pictures, a folder of them or - are expected")
        elif path.suffix.lower() in {".npz", ".npy"}:
            raise DataError(f"{text}: holds arrays, and the model takes pictures: name picture files, a folder or -")
        else:
            yield path


def _frames(height: int, width: int, order: str) -> Iterator[Part]:
    """The frames on standard input. Raises DataError where the bytes end within one."""
    shape = (height, width, CHANNELS[order])
    size, number = int(np.prod(shape)), 0
    while content := sys.stdin.buffer.read(size * _AT_ONCE):
        if len(content) % size:
            raise DataError(
                f"-: {number * size + len(content)} bytes aren't whole frames of {size} ({_size(shape)}, {order})"
            )
        pixels = np.frombuffer(content, np.uint8).reshape(-1, *shape)
        names = tuple(f"frame {number + k}" for k in range(len(pixels)))
        yield Part(names, pixels, shown_pixels(pixels, order))
        number += len(pixels)
    if number == 0:
        raise DataError(f"-: standard input is empty; frames of {size} bytes ({_size(shape)}, {order}) are expected")


def _array_parts(side: Side, artifact: Artifact, inputs: Sequence[str]) -> Iterator[Part]:
    taken = array_inputs(artifact)
    if len(inputs) != 1 or not inputs[0].lower().endswith(".npz"):
        expected = " and ".join(f"x_test.{each.name}" if len(taken) > 1 else "x_test" for each in taken)
        raise RequestError(f"{inputs[0]}: {artifact.path} takes arrays; one .npz that holds {expected} is expected")
    path = Path(inputs[0])
    rows = ArrayFeed(taken, side.preprocess).values(_rows(path, taken))
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        yield Part(tuple(f"{path} {first + k}" for k in range(len(some))), some, None)


def _rows(path: Path, taken: ArrayInputs) -> np.ndarray:
    where = "run"
    headers = read_headers(path, where)
    part = "test" if has_part(headers, "test") else "train"
    faults = list(array_faults(headers, part, taken, path, where))
    if not has_part(headers, part):
        faults = [f"{where}: {path} holds {', '.join(headers) or 'nothing'}; x_test is expected"]
    if faults:
        raise DataError("\n".join(faults))
    return load_rows(path, part, taken, where)


def _read(
    artifact: Artifact, outputs: Sequence[np.ndarray], answers: Sequence[Answer], names: Sequence[str], top: int
) -> Iterator[PredictedOutput]:
    """Each output of one input, in words."""
    named = artifact.labelled(names)
    for spec, y, answer in zip(artifact.outputs, outputs, answers, strict=True):
        # Another output of as many values may be as many other things; one of the same shape has the same classes.
        is_named = named is None or spec.shape == named.shape
        fits = is_named and len(names) == (2 if answer.kind == "binary" else y.shape[-1] if y.ndim else 1)
        yield PredictedOutput(
            output=spec.name,
            kind=answer.kind,
            shape=y.shape,
            scores=tuple(_scores(answer, y, names if fits else (), top)),
            threshold=answer.threshold,
        )


def _scores(answer: Answer, y: np.ndarray, names: Sequence[str], top: int) -> Iterator[Score]:
    flat = y.reshape(-1).astype(np.float64)
    decisions = answer.decisions(y[None])
    if answer.kind == "binary":
        decided = 0 if decisions is None else int(decisions[0, 0])
        values = {decided: flat[0] if answer.column is None else flat[decided]}
    elif answer.kind == "pixels":
        classes, counts = np.unique(np.zeros(1) if decisions is None else decisions, return_counts=True)
        values = {int(k): count / counts.sum() for k, count in zip(classes, counts, strict=True)}
    elif answer.kind == "values":
        values = dict(enumerate(flat[:_VALUES]))
    else:
        values = dict(enumerate(flat))
    order = list(values) if answer.kind == "values" else sorted(values, key=lambda k: (-values[k], k))
    if answer.kind == "tags":
        order = [k for k in order if decisions is None or decisions[0, k]]
    for k in order if answer.kind in {"tags", "values"} else order[:top]:
        yield Score(index=k, label=names[k] if k < len(names) else "", value=float(values[k]))


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
