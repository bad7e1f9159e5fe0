"""Whether a request's images are there, asked before anything is imported, decoded or loaded."""

from __future__ import annotations

from pathlib import Path

from edgecut.errors import DataError, faults_of
from edgecut.images.arrays import ArrayInputs
from edgecut.images.classes import folder_class_faults, number_faults, own_names
from edgecut.images.listing import array_file_fault, class_count_fault, class_names_of, folder_faults, kind_fault
from edgecut.images.npz import Header, read_headers
from edgecut.images.parts import names_part, pair_faults, pair_names
from edgecut.images.shards import is_sharded, shard_files
from edgecut.records.recipe import Data


def data_faults(
    data: Data, classes: int | None, inputs: ArrayInputs | None = None, *, partial: bool = False
) -> list[str]:
    """Every fault of the recipe's [data] table that can be seen without decoding an image, one sentence each.

    classes: head.classes, None if there is no head. inputs: those that arrays feed, None for pictures. partial: whether
    data.labels may name classes that data.train has no images of. Each sentence begins with the key, such as
    "data.train: ". An empty list says that nothing is known to be wrong, also if data.train isn't set.
    """
    faults: list[str] = []
    names: tuple[str, ...] | None = None
    try:
        names = class_names_of(data)
    except DataError as exc:
        faults += faults_of(exc)
    fault = None if names is None or classes is None else class_count_fault("data.labels", names, classes)
    faults += [] if fault is None else [fault]
    faults += column_faults(data)
    if data.target != "classes":
        from edgecut.images.targets import target_faults

        return [*faults, *target_faults(data, inputs)]
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is None:
            continue
        own = path_faults(path, where, inputs)
        if own:
            faults += own
        elif is_sharded(path) and inputs is None:
            faults += shard_faults(data, where, names, classes, partial=partial)
        elif Path(path).is_dir():
            faults += folder_class_faults(data, where, names, classes, partial=partial)
        else:
            faults += number_faults(Path(path), where, data, names, classes)
    return faults


def column_faults(data: Data) -> list[str]:
    """That columns are named of what has none: a folder of pictures, an .npz, tars."""
    keys = [key for key in ("image_column", "label_column") if getattr(data, key) is not None]
    path = Path(data.train or "")
    if (
        not keys
        or data.train is None
        or not path.exists()
        or any(x.suffix.lower() != ".tar" for x in shard_files(path))
    ):
        return []
    return [
        f"data.{key}: {getattr(data, key)!r} is of a Parquet or Arrow file, and {path} has no columns; leave it out"
        for key in keys
    ]


def shard_faults(
    data: Data, where: str, names: tuple[str, ...] | None, classes: int | None, *, partial: bool
) -> list[str]:
    """What is wrong with shards, by their schemas or members and by their labels."""
    path = Path(str(data.train if where == "data.train" else data.val))
    try:
        own = own_names(path, where, data)
        if own is None:
            return number_faults(path, where, data, names, classes)
        faults = number_faults(path, where, data, own, None)
        return faults or folder_class_faults(data, where, names, classes, partial=partial)
    except DataError as exc:
        return list(faults_of(exc))


def path_faults(path: str, where: str, inputs: ArrayInputs | None = None) -> list[str]:
    """What is wrong with a folder of class folders or an .npz, as far as names, folders and headers tell."""
    kind = kind_fault(path, where) if inputs is None else array_file_fault(path, where)
    if kind is not None:
        return [kind]
    if is_sharded(path):
        return []  # what shards say of themselves is said with their classes
    if Path(path).is_dir():
        return folder_faults(Path(path), where)
    try:
        headers = read_headers(Path(path), where)
    except DataError as exc:
        return list(faults_of(exc))
    if inputs == ():
        return []  # only the loaded model tells what its inputs are
    return _npz_faults(headers, Path(path), where, inputs)


def _npz_faults(headers: dict[str, Header], path: Path, where: str, inputs: ArrayInputs | None) -> list[str]:
    chosen = pair_names(headers, prefer_test=where == "data.val")
    faults = pair_faults(headers, chosen, path, where, inputs)
    if where == "data.train" and names_part(headers, "test"):
        faults += pair_faults(headers, ("x_test", "y_test"), path, where, inputs)
    return faults
