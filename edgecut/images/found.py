"""Whether a request's images are there, asked before anything is imported, decoded or loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecut.errors import DataError
from edgecut.images.listing import class_count_fault, class_folders, folder_faults, read_class_names
from edgecut.images.npz import Header, pair_faults, pair_names, read_headers
from edgecut.records.recipe import Data


def data_faults(data: Data, classes: int | None) -> list[str]:
    """Every fault of the recipe's [data] table that can be seen without decoding an image, one sentence each.

    classes: head.classes, None if there is no head. Each sentence begins with the key, such as "data.train:
    ". An empty list says that nothing is known to be wrong, also if data.train isn't set.
    """
    if data.target != "classes":
        from edgecut.images.targets import target_faults

        return list(target_faults(data))
    faults: list[str] = []
    names: tuple[str, ...] | None = None
    if data.labels is not None:
        try:
            names = read_class_names(Path(data.labels), "data.labels")
        except DataError as exc:
            faults.append(str(exc))
    if names is not None and classes is not None:
        faults += _each(class_count_fault("data.labels", names, classes))
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is not None:
            faults += path_faults(path, where) or _class_faults(Path(path), where, names, classes)
    return faults


def path_faults(path: str, where: str) -> list[str]:
    """What is wrong with a folder of class folders or an .npz, as far as names, folders and headers tell."""
    kind = kind_fault(path, where)
    if kind is not None:
        return [kind]
    if Path(path).is_dir():
        return folder_faults(Path(path), where)
    try:
        headers = read_headers(Path(path), where)
    except DataError as exc:
        return [str(exc)]
    return _npz_faults(headers, Path(path), where)


def kind_fault(path: str, where: str) -> str | None:
    """The sentence that says that there is nothing at `path`, or neither a folder nor an .npz; else None."""
    if not path:
        return f"{where}: is empty; a folder of class folders or an .npz is expected"
    if Path(path).is_dir():
        return None
    if not Path(path).exists():
        return f"{where}: no such file or folder {path!r}"
    if Path(path).suffix.lower() != ".npz":
        return f"{where}: {path} is neither a folder of class folders nor an .npz"
    return None


def _npz_faults(headers: dict[str, Header], path: Path, where: str) -> list[str]:
    chosen = pair_names(headers, prefer_test=where == "data.val")
    faults = pair_faults(headers, chosen, path, where)
    if where == "data.train" and "x_test" in headers:
        faults += pair_faults(headers, ("x_test", "y_test"), path, where)
    return faults


def _class_faults(path: Path, where: str, names: Sequence[str] | None, classes: int | None) -> list[str]:
    """Whether the class folders are those of data.labels, and as many as the head has classes."""
    if not path.is_dir():
        return []
    folders = tuple(folder.name for folder in class_folders(path, where))
    if names is not None:
        return _each(class_names_fault(path, where, folders, names))
    if where != "data.train":
        return []
    if len(folders) == 1:
        return [one_class_fault(path, where, folders[0])]
    return _each(class_count_fault(where, folders, classes)) if classes is not None else []


def one_class_fault(path: Path, where: str, name: object) -> str:
    """The sentence for training images of a single class."""
    return f"{where}: {path} holds the one class {name!r}; at least two are needed to learn from"


def class_names_fault(path: Path, where: str, folders: Sequence[str], names: Sequence[str]) -> str | None:
    """The sentence for class folders that the known class names don't have; None if all are known.

    For data.train, each name needs its folder too.
    """
    unknown = [folder for folder in folders if folder not in names]
    if unknown:
        shown = ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
        return f"{where}: {path} has the class folder {unknown[0]!r}, which is none of the classes ({shown})"
    absent = [name for name in names if name not in folders]
    if absent and where == "data.train":
        return f"{where}: {path} has no folder for the class {absent[0]!r} of data.labels"
    return None


def _each(fault: str | None) -> list[str]:
    return [] if fault is None else [fault]
