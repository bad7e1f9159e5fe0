"""Whether the classes of a request's images are those of the labels, of the head, and of the model's own outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.errors import DataError, faults_of
from edgecut.images.arrays import has_part
from edgecut.images.encoded import requested
from edgecut.images.listing import class_count_fault, class_folders, class_names_of
from edgecut.images.npz import load_array, read_headers
from edgecut.images.parts import label_faults, pair_names
from edgecut.images.shards import Split, holds_out, is_sharded
from edgecut.records.recipe import Data

if TYPE_CHECKING:
    import numpy as np

Shape = Sequence[int | None]

_SHOWN = 3  # classes named in a sentence
GIVE_LABELS = "name the outputs in their order, one to a line, in a file (data.labels, --labels)"


def folder_class_faults(
    data: Data, where: str, names: tuple[str, ...] | None, classes: int | None, *, partial: bool
) -> list[str]:
    """Whether class folders are those of data.labels or of the training images, and as many as the head's classes.

    names: of data.labels. partial: whether a name may be without a folder.
    """
    train, path = Path(str(data.train)), Path(str(data.train if where == "data.train" else data.val))
    folders = own_names(path, where, data) or ()
    if names is None and where == "data.val":
        names = own_names(train, "data.train", data) if train.exists() else ()
        if names is None:
            return [unnamed_numbers_fault(path, train)]
        if not names:
            return []
    if names is not None:
        fault = class_names_fault(path, where, folders, names)
        if fault is not None and data.labels is not None:
            fault = f"{fault}; rename it, or name the outputs otherwise (data.labels, --labels)"
        if fault is None and where == "data.train" and not partial:
            fault = absent_class_fault(path, where, folders, names)
        return [] if fault is None else [fault]
    if len(folders) == 1:
        return [one_class_fault(path, where, folders[0])]
    fault = None if classes is None else class_count_fault(where, folders, classes)
    return [] if fault is None else [fault]


def own_names(path: Path, where: str, data: Data) -> tuple[str, ...] | None:
    """The classes that class folders or shards name; None where classes are numbers. Raises DataError."""
    if is_sharded(path):
        from edgecut.images.samples import open_samples  # numpy is only needed where there are numbers

        return open_samples(path, "held out" if where == "data.val" else "train", where, requested(data)).names
    return tuple(folder.name for folder in class_folders(path, where)) if path.is_dir() else None


def number_faults(path: Path, where: str, data: Data, names: Sequence[str] | None, classes: int | None) -> list[str]:
    """Whether the numbers of an .npz, whose headers are right, or of shards are those of the known classes."""
    from edgecut.images.labels import check_labels  # numpy is only needed where there are numbers

    count = len(names) if names is not None else classes
    faults, more = [], "set head.classes = {}" if names is None else "name {} classes in data.labels"
    try:
        for is_train, place, labels in _numbers(path, where, data):
            if is_train and where == "data.train" and (labels == labels[0]).all():
                faults.append(one_class_fault(path, where, int(labels[0])))
            own = int(labels.max()) + 1 if count is None else count
            check_labels(labels, own, place, more)
    except DataError as exc:
        faults += faults_of(exc)
    return faults


def _numbers(path: Path, where: str, data: Data) -> Iterator[tuple[bool, str, np.ndarray]]:
    """(whether it is trained on, its place, the labels) of each part of an .npz or of shards that is used."""
    if is_sharded(path):
        from edgecut.images.samples import open_samples

        splits: list[Split] = ["held out" if where == "data.val" else "train"]
        for split in [*splits, "held out"] if where == "data.train" and holds_out(path) else splits:
            samples = open_samples(path, split, where, requested(data))
            if samples.labels is None:
                raise DataError(f"{where}: {samples.unlabelled}; or set data.target = 'features' (--target features)")
            yield split == "train", f"{where}: {path}", samples.labels
        return
    headers = read_headers(path, where)
    pairs = [pair_names(headers, prefer_test=where == "data.val")]
    if where == "data.train" and has_part(headers, "test"):
        pairs.append(("x_test", "y_test"))
    for pair in dict.fromkeys(pairs):
        labels = load_array(path, pair[1], where).reshape(-1)
        yield pair == ("x_train", "y_train"), f"{where}: {path}: {pair[1]}", labels


def own_output_faults(data: Data, outputs: Sequence[Shape | None]) -> list[str]:
    """Whether the labels are as many as the outputs of a model that keeps its own.

    outputs: the shape of each, the batch first; None where it isn't known, and then nothing is. A single value tells
    two classes apart. Images are labelled for outputs (n, classes) alone; a labels file names the last dimension.
    """
    shapes = [tuple(shape) for shape in outputs if shape is not None and shape[-1] is not None]
    if not shapes or len(shapes) < len(outputs):
        return []
    names = class_names_of(data)
    if names is not None:
        lasts = [shape[-1] for shape in shapes]
        if len(names) in map(_classes_of, lasts):
            return []
        named = f"data.labels: {data.labels_file} names" if data.labels_file else "data.labels: names"
        return [f"{named} {_counted(names)}, and the model has {_outputs(lasts)}; name each output, in their order"]
    counts = [shape[-1] for shape in shapes if len(shape) == 2]
    if data.train is None or data.target != "classes" or not counts:
        return []
    remedy = f"{GIVE_LABELS}, or set data.target = 'features' if they only calibrate"
    path = Path(data.train)
    if (folders := own_names(path, "data.train", data)) is not None:
        if len(folders) in map(_classes_of, counts):
            return []
        return [f"data.train: {path} has {_counted(folders)}, and the model has {_outputs(counts)}; {remedy}"]
    high = max(_highest(data, "data.train"), _highest(data, "data.val"))
    if high < 0 or high + 1 in map(_classes_of, counts):
        return []
    return [f"data.train: {path}: labels go up to {high}, and the model has {_outputs(counts)}; {remedy}"]


def assumed_order(data: Data) -> str:
    """The sentence about class folders whose order is taken for that of a model's own outputs; "" where none is."""
    if data.target != "classes" or data.train is None or data.labels is not None:
        return ""
    folders = own_names(Path(data.train), "data.train", data)
    if folders is None:
        return ""
    if is_sharded(data.train):
        return (
            f"the model's outputs are assumed to be the classes of {data.train} in its order ({first_names(folders)}); "
            f"where they have another order, {GIVE_LABELS}"
        )
    return (
        f"the model's outputs are assumed to be the class folders of {data.train} in alphabetical order "
        f"({first_names(folders)}); where they have another order, {GIVE_LABELS}"
    )


def absent_classes(data: Data) -> str:
    """The sentence about names of a model's own outputs that no class folder has; "" where each has one."""
    names = class_names_of(data)
    if names is None or data.target != "classes" or data.train is None or not Path(data.train).exists():
        return ""
    folders = own_names(Path(data.train), "data.train", data)
    if folders is None:
        return ""
    absent = [name for name in names if name not in folders]
    if not absent:
        return ""
    count = f"{len(absent)} of the {len(names)} classes ({first_names(absent)})"
    noun = "picture" if is_sharded(data.train) else "folder"
    return f"{data.train} has no {noun} for {count}, so that nothing is measured of them"


def one_class_fault(path: Path, where: str, name: object) -> str:
    """The sentence for training images of a single class."""
    return f"{where}: {path} holds the one class {name!r}; at least two are needed to learn from"


def unnamed_numbers_fault(path: Path, train: Path) -> str:
    """The sentence for class folders to judge on beside training images whose classes are numbers."""
    noun = "named classes" if is_sharded(path) else "class folders"
    return (
        f"data.val: {path} has {noun}, and the numbers in {train} have no names; "
        "set data.labels to a file that names them"
    )


def class_names_fault(path: Path, where: str, folders: Sequence[str], names: Sequence[str]) -> str | None:
    """The sentence for class folders that the known class names don't have; None if all are known."""
    unknown = [folder for folder in folders if folder not in names]
    if not unknown:
        return None
    shown = ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
    noun = "class" if is_sharded(path) else "class folder"
    return f"{where}: {path} has the {noun} {unknown[0]!r}, which is none of the classes ({shown})"


def absent_class_fault(path: Path, where: str, folders: Sequence[str], names: Sequence[str]) -> str | None:
    """The sentence for a class of data.labels that no folder has; None if each has one."""
    absent = next((name for name in names if name not in folders), None)
    noun = "picture" if is_sharded(path) else "folder"
    return None if absent is None else f"{where}: {path} has no {noun} for the class {absent!r} of data.labels"


def first_names(names: Sequence[str]) -> str:
    """The first of them, quoted, and dots for the others."""
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def _highest(data: Data, where: str) -> int:
    """The highest class of an .npz or of shards, -1 without a path, for folders, and without readable labels."""
    path = data.train if where == "data.train" else data.val
    if path is None or (Path(path).is_dir() and not is_sharded(path)):
        return -1
    try:
        if is_sharded(path):
            return max(int(labels.max()) for _, _, labels in _numbers(Path(path), where, data))
        headers = read_headers(Path(path), where)
        usable = [
            name
            for name in ("y_train", "y_test")
            if name in headers and not label_faults(headers[name], name, Path(path), where)
        ]
        return max((int(load_array(Path(path), name, where).max()) for name in usable), default=-1)
    except DataError:
        return -1  # data_faults and the reading say why


def _classes_of(width: int | None) -> int | None:
    return 2 if width == 1 else width


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} class{'es' if len(names) != 1 else ''} ({first_names(names)})"


def _outputs(counts: Sequence[int | None]) -> str:
    words = [f"{count} outputs" if count != 1 else "1 output, for two classes" for count in dict.fromkeys(counts)]
    return " and ".join(words)
