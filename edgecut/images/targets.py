"""Images whose targets are no classes: values, tags, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgecut.errors import DataError, faults_of, several
from edgecut.images.arrays import ArrayInputs, has_part
from edgecut.images.encoded import requested
from edgecut.images.listing import array_file_fault
from edgecut.images.npz import Header, read_headers
from edgecut.images.parts import count_faults, names_part, sample_faults
from edgecut.images.samples import open_samples
from edgecut.images.sampling import sampled
from edgecut.images.shards import Split, holds_out, is_sharded
from edgecut.images.sources import PictureSource, open_any, open_npz_targets, open_shards
from edgecut.records.recipe import Data, Target

Part = tuple[PictureSource, np.ndarray]
ReadPart = tuple[np.ndarray, np.ndarray | None]
# Targets that the model gives, or that are what it is fed.
UNLABELLED: frozenset[Target] = frozenset({"features", "input"})


def target_of(data: Data) -> Target:
    """What the training images' labels are, as far as names and headers tell.

    Class folders: classes. An .npz by y_train: floats are values, rows of whole numbers tags, none at all features;
    a folder of images without class folders, and shards without labels: features; a table's column by its type: floats
    and lists of numbers are values, lists of names tags. Raises DataError where the file can't be read.
    """
    path = Path(data.train or "")
    if data.train and is_sharded(path):
        request = replace(requested(data), kind="classes")  # the others' labels are told by their type alone
        return open_samples(path, "train", "data.train", request).label_kind or "features"
    if path.is_dir():
        return "classes" if any(child.is_dir() for child in path.iterdir()) else "features"
    if path.suffix.lower() != ".npz" or not path.exists():
        return "classes"
    header = read_headers(path, "data.train").get("y_train")
    if header is None:
        return "features"
    if header.kind == "f":
        return "values"
    return "tags" if len(header.shape) == 2 and header.shape[1] > 1 else "classes"


def target_faults(data: Data, inputs: ArrayInputs | None = None) -> Iterator[str]:
    """What is wrong with the images, or arrays, and their targets, as far as headers tell; for each target but classes.

    inputs: those that arrays feed, None for pictures.
    """
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is None:
            continue
        if inputs is not None and (fault := array_file_fault(path, where)) is not None:
            yield fault
        elif not Path(path).exists():
            yield f"{where}: no such file or folder {path!r}"
        elif inputs is None and is_sharded(path):
            yield from _shard_faults(data, path, where)
        elif data.target in UNLABELLED and inputs is None:
            continue
        elif Path(path).suffix.lower() != ".npz":
            yield (
                f"{where}: {path} is no .npz, .parquet or .arrow; {data.target} are read from one, an .npz with "
                "x_train and y_train"
            )
        else:
            yield from _npz_faults(data, Path(path), where, inputs)


def read_targets(
    data: Data, read: Callable[[PictureSource, np.ndarray], np.ndarray], inputs: ArrayInputs | None = None
) -> tuple[ReadPart, ReadPart, tuple[str, ...]]:
    """(pixels, targets) of the training part and of the held-out part, and what a table calls the outputs, or ().

    read: makes the chosen pictures or rows of a source what they are read as. targets: (n, outputs), float32; None
    where the model gives them (UNLABELLED). data.limit takes the first of each part. Raises DataError.
    """
    parts = chosen_targets(data, inputs)
    names = () if data.target in UNLABELLED else parts[0][0].names or ()
    targets = [None if source.labels is None else source.labels[chosen] for source, chosen in parts]
    widths = {0 if rows is None else rows.shape[1] for rows in targets}
    if len(widths) > 1:
        raise DataError(f"data: targets have {sorted(widths)} outputs in the two parts; make them equal")
    train, val = ((read(source, chosen), rows) for (source, chosen), rows in zip(parts, targets, strict=True))
    return train, val, names


def chosen_targets(data: Data, inputs: ArrayInputs | None = None) -> tuple[Part, Part]:
    """The training images and the held-out ones, with the indices of those to read. Raises DataError."""
    faults = list(target_faults(data, inputs))
    if data.train is None or faults:
        raise several(DataError, faults or ["data.train: is missing; images are expected"])
    sizes = data.limit if isinstance(data.limit, tuple) else (data.limit, data.limit)
    (train, of_train), (val, of_val) = _parts(data, inputs)
    return (train, of_train[: sizes[0]]), (val, of_val[: sizes[1]])


def _parts(data: Data, inputs: ArrayInputs | None) -> tuple[Part, Part]:
    """The training images and the held-out ones: data.val, else x_test, else a part chosen by data.seed."""
    train = _open(data, str(data.train), "data.train", "train", inputs)
    val = None
    if data.val is not None:
        own = Path(data.val)
        prefers_test = own.suffix.lower() == ".npz" and has_part(read_headers(own, "data.val"), "test")
        val = _open(data, data.val, "data.val", "test" if prefers_test else "train", inputs)
    elif inputs is None and is_sharded(str(data.train)):
        shards = Path(str(data.train))
        val = _open_shards(data, shards, "data.train", "held out") if holds_out(shards) else None
    elif Path(str(data.train)).is_file() and has_part(read_headers(Path(str(data.train)), "data.train"), "test"):
        val = _open(data, str(data.train), "data.train", "test", inputs)
    everything = np.arange(len(train))
    if val is not None:
        train, val = (train, val) if data.target in UNLABELLED else _with_common_outputs(train, val)
        return (train, everything), (val, np.arange(len(val)))
    if len(train) < 2:
        raise DataError(f"data.train: {data.train} holds {len(train)} image; at least 2 are needed")
    held_out = sampled(None, len(train), max(1, round(data.val_fraction * len(train))), data.seed)
    return (train, np.setdiff1d(everything, held_out)), (train, held_out)


def _with_common_outputs(train: PictureSource, val: PictureSource) -> tuple[PictureSource, PictureSource]:
    """The same, where tables name their outputs, with all outputs that occur in either, sorted."""
    if train.names == val.names:
        return train, val
    if train.names is None or val.names is None:
        raise DataError(f"{val.where}: {val.path} and {train.path} don't both name their outputs; write both alike")
    names = tuple(sorted({*train.names, *val.names}))
    return _with_outputs(train, names), _with_outputs(val, names)


def _with_outputs(source: PictureSource, names: tuple[str, ...]) -> PictureSource:
    rows = np.zeros((len(source), len(names)), np.float32)
    rows[:, [names.index(name) for name in source.names or ()]] = source.labels
    return replace(source, labels=rows, names=names)


def _open(data: Data, path: str, where: str, part: str, inputs: ArrayInputs | None) -> PictureSource:
    if inputs is None and is_sharded(path):
        return _open_shards(data, Path(path), where, "held out" if where == "data.val" else "train")
    if data.target in UNLABELLED:
        if part == "test" or inputs is not None:
            return open_npz_targets(Path(path), where, (f"x_{part}", None), inputs)
        return replace(open_any(path, where, requested(data)), labels=None)
    source = open_npz_targets(Path(path), where, (f"x_{part}", f"y_{part}"), inputs)
    _check_targets(data, source, f"{where}: {path}: y_{part} holds")
    return source


def _check_targets(data: Data, source: PictureSource, start: str) -> None:
    targets = np.asarray(source.labels)
    if not np.all(np.isfinite(targets)):
        raise DataError(f"{start} NaN or infinity; leave those images out")
    if data.target == "tags" and not np.all((targets == 0) | (targets == 1)):
        raise DataError(f"{start} {targets.min():g} to {targets.max():g}; tags are 0 or 1 for each image")


def _open_shards(data: Data, path: Path, where: str, split: Split) -> PictureSource:
    source = open_shards(path, where, split, None, requested(data))
    if source.labels is not None:
        _check_targets(data, source, f"{where}: {path}: its labels hold")
    return source


def _shard_faults(data: Data, path: str, where: str) -> Iterator[str]:
    try:
        _open_shards(data, Path(path), where, "held out" if where == "data.val" else "train")
    except DataError as exc:
        yield from faults_of(exc)


def _npz_faults(data: Data, path: Path, where: str, inputs: ArrayInputs | None) -> Iterator[str]:
    try:
        headers = read_headers(path, where)
    except DataError as exc:
        yield from faults_of(exc)
        return
    if inputs == ():
        return  # only the loaded model tells what its inputs are
    holds = has_part if data.target in UNLABELLED else names_part
    parts = ["test" if where == "data.val" and has_part(headers, "test") else "train"]
    if inputs is not None and where == "data.train" and holds(headers, "test"):
        parts.append("test")
    for part in parts:
        pair = (f"x_{part}", f"y_{part}")
        if data.target in UNLABELLED:
            yield from sample_faults(headers, pair[0], path, where, inputs)
            continue
        faults = sample_faults(headers, pair[0], path, where, inputs, beside=pair[1])
        yield from faults
        if pair[1] in headers and (fault := _target_fault(headers[pair[1]], pair[1], data.target)):
            yield f"{where}: {path}: {fault}"
        elif not faults:
            yield from count_faults(headers, pair, path, where, inputs, noun="targets")


def _target_fault(targets: Header, name: str, target: Target) -> str:
    if targets.kind in "uifb" and len(targets.shape) in (1, 2) and 0 not in targets.shape:
        return ""
    return f"{name} is {targets.dtype} of shape {targets.shape}; numbers (n,) or (n, outputs) are expected for {target}"
