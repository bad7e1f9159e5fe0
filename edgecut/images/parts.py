"""The parts of an .npz, for training and for judging: which arrays they are, and what is wrong with them by headers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgecut.images.arrays import ArrayInputs, array_faults, array_names, has_part
from edgecut.images.npz import Header

Headers = Mapping[str, Header]


def pair_names(headers: Headers, *, prefer_test: bool) -> tuple[str, str]:
    """The names of the pictures and of the labels to take.

    x_test and y_test where preferred and there, else x_train and y_train.
    """
    return ("x_test", "y_test") if prefer_test and has_part(headers, "test") else ("x_train", "y_train")


def names_part(headers: Headers, part: str) -> bool:
    """Whether there is anything of a part, samples or labels."""
    return has_part(headers, part) or f"y_{part}" in headers


def pair_faults(
    headers: Headers, names: tuple[str, str], path: Path, where: str, inputs: ArrayInputs | None = None
) -> list[str]:
    """What is wrong with a labelled pair of arrays, as far as the headers tell. inputs: None for pictures."""
    faults = sample_faults(headers, names[0], path, where, inputs, beside=names[1])
    if names[1] in headers:
        faults += label_faults(headers[names[1]], names[1], path, where)
    return faults or count_faults(headers, names, path, where, inputs, noun="labels")


def sample_faults(
    headers: Headers, name: str, path: Path, where: str, inputs: ArrayInputs | None, *, beside: str | None = None
) -> list[str]:
    """What is wrong with the pictures or the arrays of "x_train" or "x_test", and whether `beside` is with them."""
    part = name.removeprefix("x_")
    samples = (name,) if inputs is None else array_names(headers, part, inputs)
    expected = [*samples, *([] if beside is None else [beside])]
    faults = []
    if not set(expected) <= set(headers):
        shown = " and ".join(filter(None, (", ".join(expected[:-1]), expected[-1])))
        verb = "is" if len(expected) == 1 else "are"
        unlabelled = inputs is not None and part == "train" and set(samples) <= set(headers)
        remedy = (
            "; where there are no labels, set data.target to 'features' or 'input' (--target)" if unlabelled else ""
        )
        faults.append(f"{where}: {path} holds {', '.join(headers) or 'nothing'}; {shown} {verb} expected{remedy}")
    if inputs is not None:
        return [*faults, *array_faults(headers, part, inputs, path, where)]
    return faults or picture_faults(headers[name], name, path, where)


def count_faults(
    headers: Headers, names: tuple[str, str], path: Path, where: str, inputs: ArrayInputs | None, *, noun: str
) -> list[str]:
    """Whether there are as many samples as labels or targets (noun), whose headers are right."""
    name = names[0] if inputs is None else array_names(headers, names[0].removeprefix("x_"), inputs)[0]
    samples, labels = headers[name].shape[0], headers[names[1]].shape[0]
    if samples == labels:
        return []
    what = "pictures" if inputs is None else "samples"
    return [f"{where}: {path}: {name} holds {samples} {what} and {names[1]} {labels} {noun}; make them equal"]


def picture_faults(header: Header, name: str, path: Path, where: str) -> list[str]:
    """What is wrong with an array that should hold pictures."""
    start = f"{where}: {path}: {name}"
    if header.kind == "O":
        return [f"{start} holds Python objects, which are never loaded; save it as one array of bytes (uint8)"]
    if header.kind not in "uif":
        return [f"{start} is of the type {header.dtype!r}; pictures are bytes (uint8)"]
    if not header.is_pictures:
        is_first = len(header.shape) == 4 and header.shape[1] in {1, 3, 4}
        return [
            f"{start} has the shape {header.shape}; (n, h, w) or (n, h, w, c) with 1, 3 or 4 channels is "
            f"expected, channels last{': np.moveaxis(x, 1, -1)' if is_first else ''}"
        ]
    if 0 in header.shape:
        return [f"{start} has the shape {header.shape}, which holds no picture"]
    return []


def label_faults(header: Header, name: str, path: Path, where: str) -> list[str]:
    """What is wrong with an array that should hold classes."""
    start = f"{where}: {path}: {name}"
    if header.kind == "O":
        return [f"{start} holds Python objects, which are never loaded; save it as whole numbers"]
    if len(header.shape) == 2 and header.shape[1] > 1:
        return [
            f"{start} has the shape {header.shape}; one whole number for each sample is expected "
            "(from one-hot rows: argmax(axis=1); rows of tags or values are for data.target, --target)"
        ]
    if header.kind not in "ui":
        remedy = "; for values to predict set data.target = 'values' (--target values)" if header.kind == "f" else ""
        return [f"{start} is of the type {header.dtype!r}; labels of classes are whole numbers{remedy}"]
    if len(header.shape) not in (1, 2) or 0 in header.shape:
        return [f"{start} has the shape {header.shape}; (n,) or (n, 1) is expected"]
    return []
