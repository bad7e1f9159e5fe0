"""Labelled images in the device's format, in a training and a validation part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgecut.cache.store import Store
from edgecut.errors import DataError, faults_of, several
from edgecut.images.arrays import ArrayInputs, has_part
from edgecut.images.classes import one_class_fault, unnamed_numbers_fault
from edgecut.images.decode_children import decode_faults
from edgecut.images.device import PictureForm
from edgecut.images.encoded import LabelRequest, requested
from edgecut.images.faults import data_faults
from edgecut.images.labels import check_labels
from edgecut.images.listing import class_count_fault, class_names_of
from edgecut.images.npz import read_headers
from edgecut.images.parts import pair_names
from edgecut.images.rows import quick_value_faults
from edgecut.images.sampling import evenly, sampled, split
from edgecut.images.shards import holds_out, is_folder_of_pictures, is_sharded
from edgecut.images.sources import PictureSource, open_any, open_folder, open_npz, open_rows, open_shards
from edgecut.images.targets import Part, chosen_targets, read_targets
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Data

# Each class has a name in memory; hashes, colours and times taken for labels would have more than a machine holds.
_MOST_CLASSES = 1_000_000


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures in the device's format, or rows of a model's own inputs, with their labels if they have any.

    pixels: (n, height, width, channels), uint8, or rows (n, ...) as rows.py has them. labels: (n,), int64, targets
    (n, outputs), float32, or None.
    """

    pixels: np.ndarray
    labels: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a head is fitted on, and what its accuracy is measured on.

    labels: the class names; the numbers as text where nothing names them (`named` is False then).
    """

    train: Images
    val: Images
    labels: tuple[str, ...]
    named: bool


def read_data(
    data: Data,
    form: PictureForm,
    *,
    partial: bool = False,
    store: Store | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """The recipe's images in the device's form; data.target "features" leaves the labels None.

    Training images come from data.train: class folders, shards, or an .npz (x_train, y_train). Validation images come
    from data.val (of an .npz: x_test, else x_train; of shards: those of validation, else of test, else all), else from
    x_test of the training .npz or from shards beside the training ones that are named so, else each class
    of the training images gives data.val_fraction of its own, chosen by data.seed. data.limit bounds each
    part: an .npz gives its first images, folders and shards give evenly of each class in order.
    partial: whether data.labels may name classes that no image has, as where they are a model's own outputs.
    store: where they are kept for later builds. Raises DataError.
    """

    def read(source: PictureSource, chosen: np.ndarray) -> np.ndarray:
        return source.read(chosen, form, store=store, progress=progress)

    return _read(data, read, None, partial)


def read_arrays(
    data: Data,
    inputs: ArrayInputs,
    *,
    partial: bool = False,
    store: Store | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """The recipe's arrays as rows (rows.py), with labels, parts and limits as read_data has them of an .npz.

    Raises DataError.
    """
    return _read(data, lambda source, chosen: source.rows(chosen, store=store, progress=progress), inputs, partial)


def index_data(
    data: Data, inputs: ArrayInputs | None = None, *, partial: bool = False
) -> tuple[PictureSource, Dataset]:
    """What read_data would read, or read_arrays, and nothing is read: the source of the training images, and the
    dataset with the indices of images in the place of their pixels. Raises DataError.
    """
    sources: list[PictureSource] = []

    def read(source: PictureSource, chosen: np.ndarray) -> np.ndarray:
        sources.append(source)
        return chosen

    dataset = _read(data, read, inputs, partial)
    return sources[0], dataset


def _read(
    data: Data, read: Callable[[PictureSource, np.ndarray], np.ndarray], inputs: ArrayInputs | None, partial: bool
) -> Dataset:
    if data.target != "classes":
        train_part, val_part, names = read_targets(data, read, inputs)
        return Dataset(Images(*train_part), Images(*val_part), labels=names, named=False)
    chosen, labels, named = _chosen(data, partial, inputs)
    parts: list[Images] = []
    faults: list[str] = []
    for source, indices in chosen:
        try:
            parts.append(Images(read(source, indices), _labels(source)[indices]))
        except DataError as exc:
            faults += faults_of(exc)
    if faults:
        raise several(DataError, list(dict.fromkeys(faults)))
    return Dataset(parts[0], parts[1], labels, named)


def undecodable(data: Data, inputs: ArrayInputs | None = None, *, partial: bool = False) -> list[str]:
    """The faults of a recipe's folders of images that choosing them and a quick look at each show, or of its arrays.

    inputs: those that arrays feed, None for pictures. Arrays that take long to read are left to the build.
    """
    if inputs is not None:
        return quick_value_faults(data, inputs)
    try:
        files = chosen_files(data, partial=partial)
    except DataError as exc:
        return list(faults_of(exc))
    return [fault for where, paths in files.items() for fault in decode_faults(paths, where)]


def chosen_files(data: Data, *, partial: bool = False) -> dict[str, list[Path]]:
    """{"data.train" or "data.val": the image files that a build would read}, for folders of images.

    Raises DataError where a build would, too.
    """
    if data.train is None or any(
        path is not None and not is_folder_of_pictures(path) for path in (data.train, data.val)
    ):
        return {}
    chosen = _chosen(data, partial)[0] if data.target == "classes" else chosen_targets(data)
    files: dict[str, list[Path]] = {}
    for source, indices in chosen:
        files.setdefault(source.where, []).extend((source.files or ())[index] for index in indices)
    return files


def training_count(data: Data, inputs: ArrayInputs | None = None, *, partial: bool = False) -> int | None:
    """How many training samples a build would take; None where only reading them tells.

    inputs: those that arrays feed, None for pictures. partial: as in read_data.
    """
    if data.train is None or (inputs is None and is_sharded(data.train)):
        return None
    try:
        parts = _chosen(data, partial, inputs)[0] if data.target == "classes" else chosen_targets(data, inputs)
    except DataError:
        return None
    return len(parts[0][1])


def _chosen(
    data: Data, partial: bool, inputs: ArrayInputs | None = None
) -> tuple[tuple[Part, Part], tuple[str, ...], bool]:
    """The training and the validation part with the indices of their images, the class names, whether they were given.

    Raises DataError.
    """
    faults = data_faults(data, None, inputs, partial=partial)
    if data.train is None:
        faults.insert(0, "data.train: is missing; a folder of class folders or an .npz is expected")
    if data.train is None or faults:
        raise several(DataError, faults)
    names = class_names_of(data)
    train = _open(data.train, "data.train", names, inputs, requested(data))
    val = _open_val(data, data.train, names or train.names, inputs)
    labels, named = _class_names(train, val, names)
    sizes = data.limit if isinstance(data.limit, tuple) else (data.limit, data.limit)
    if val is None:
        train_indices, val_indices = split(_labels(train), data.val_fraction, data.seed, "data.train")
    else:
        train_indices, val_indices = np.arange(len(train)), np.arange(len(val))
    chosen = (
        (train, _limited(train, train_indices, sizes[0])),
        (val or train, _limited(val or train, val_indices, sizes[1])),
    )
    _check_two_classes(_labels(train)[chosen[0][1]], data.train)
    return chosen, labels, named


def check_classes(dataset: Dataset, classes: int) -> Dataset:
    """The dataset with a name for each of head.classes classes; targets that are no classes as they are.

    Raises DataError if there are more or fewer named classes, a label is none of 0..classes-1, or the targets have
    another number of outputs.
    """
    targets = dataset.train.labels
    if targets is not None and targets.ndim == 2:
        if targets.shape[1] != classes:
            raise DataError(f"data.train: targets have {targets.shape[1]} outputs, and head.classes is {classes}")
        return dataset
    if dataset.named:
        fault = class_count_fault("data.train", dataset.labels, classes)
        if fault is not None:
            raise DataError(fault)
        return dataset
    for where, part in (("data.train", dataset.train), ("data.val", dataset.val)):
        if part.labels is not None:
            check_labels(part.labels, classes, where)
    return replace(dataset, labels=tuple(str(number) for number in range(classes)))


def read_calibration(
    path: str | Path,
    shape: tuple[int, int, int],
    *,
    count: int | None = None,
    seed: int = 0,
    where: str = "data",
    request: LabelRequest | None = None,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Images to calibrate on, in the device's format: (n, *shape), uint8.

    path: class folders, a folder of images without labels, or an .npz (x_train, or its only array of pictures).
    shape: (height, width, channels). count: how many to choose at random, evenly over the classes where there are any;
    None: all. where: what the path was given as, for the error messages. request: which columns of shards are read.
    Raises DataError.
    """
    source = open_any(str(path), where, request or LabelRequest())
    chosen = sampled(source.labels, len(source), count if count is not None else len(source), seed)
    return source.read(chosen, PictureForm(*shape), progress=progress)


def read_calibration_arrays(
    path: str | Path,
    inputs: ArrayInputs,
    *,
    count: int | None = None,
    seed: int = 0,
    where: str = "data",
    progress: Progress = SILENT,
) -> np.ndarray:
    """The same of an .npz of arrays: rows of x_train. Raises DataError."""
    source = open_rows(Path(path), where, inputs)
    return source.rows(sampled(source.labels, len(source), count or len(source), seed), progress=progress)


def calibration_sample(images: Images, count: int, seed: int) -> np.ndarray:
    """`count` of the images (all, if there are fewer), chosen at random, as `images` has them.

    Evenly over the classes where there are labels. The same seed chooses the same images.
    """
    classes = images.labels if images.labels is not None and images.labels.ndim == 1 else None
    return images.pixels[sampled(classes, len(images.pixels), count, seed)]


def _open(
    path: str, where: str, names: tuple[str, ...] | None, inputs: ArrayInputs | None, request: LabelRequest
) -> PictureSource:
    if inputs is None and is_sharded(path):
        return open_shards(Path(path), where, "held out" if where == "data.val" else "train", names, request)
    if Path(path).is_dir():
        return open_folder(Path(path), where, names)
    pair = pair_names(read_headers(Path(path), where), prefer_test=where == "data.val")
    return open_npz(Path(path), where, pair, inputs)


def _open_val(
    data: Data, train: str, names: tuple[str, ...] | None, inputs: ArrayInputs | None
) -> PictureSource | None:
    """The validation images that have a place of their own; None if they must be split off."""
    if data.val is not None:
        val = _open(data.val, "data.val", names, inputs, requested(data))
        if names is None and val.names is not None:
            raise DataError(unnamed_numbers_fault(Path(data.val), Path(train)))
        return val
    if inputs is None and is_sharded(train):
        if not holds_out(Path(train)):
            return None
        return open_shards(Path(train), "data.train", "held out", names, requested(data))
    if not Path(train).is_dir() and has_part(read_headers(Path(train), "data.train"), "test"):
        return open_npz(Path(train), "data.train", ("x_test", "y_test"), inputs)
    return None


def _class_names(
    train: PictureSource, val: PictureSource | None, names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], bool]:
    """The class names, and whether somebody gave them; numbers up to the highest label otherwise."""
    given = names or train.names
    labels = [_labels(train)] + ([] if val is None else [_labels(val)])
    count = len(given) if given is not None else 1 + max(0, *(int(part.max()) for part in labels))
    if count > _MOST_CLASSES:
        raise DataError(
            f"{train.where}: labels go up to {count - 1:,}, and at most {_MOST_CLASSES:,} classes are numbered; "
            "number the classes from 0"
        )
    for source, part in zip((train, val), labels, strict=False):
        if source is not None:
            check_labels(part, count, source.where)
    return (given, True) if given is not None else (tuple(str(number) for number in range(count)), False)


def _limited(source: PictureSource, indices: np.ndarray, limit: int | None) -> np.ndarray:
    if limit is None or limit >= len(indices):
        return indices
    if source.is_array:
        return indices[:limit]
    return indices[evenly(_labels(source)[indices], limit)]


def _check_two_classes(labels: np.ndarray, path: str) -> None:
    if len(np.unique(labels)) < 2:
        raise DataError(one_class_fault(Path(path), "data.train", int(labels[0])))


def _labels(source: PictureSource) -> np.ndarray:
    if source.labels is None:
        raise DataError(f"{source.where}: has no labels")
    return source.labels
