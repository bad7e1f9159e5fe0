"""A folder or an .npz as one thing: labels known at once, pictures in the device's format when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.errors import DataError, several
from edgecut.images.arrays import ArrayInputs
from edgecut.images.classes import class_names_fault
from edgecut.images.decode import decode_all
from edgecut.images.device import to_device_batch
from edgecut.images.listing import array_file_fault, class_folders, folder_faults, image_files, kind_fault
from edgecut.images.npz import Header, load_array, read_headers
from edgecut.images.parts import pair_faults, picture_faults, sample_faults
from edgecut.images.rows import load_rows
from edgecut.records.progress import Progress


@dataclass(frozen=True, eq=False)
class PictureSource:
    """Pictures that are not yet in the device's format, or rows of a model's own inputs (rows.py), which need no other.

    pictures: files, one array (n, h, w) or (n, h, w, c) of bytes, or rows (n, ...). labels: (n,) int64, targets
    (n, outputs) float32, or None. names: the class names that the folders give, None for an .npz.
    """

    where: str
    pictures: Sequence[Path] | np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...] | None

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.pictures)

    def read(self, chosen: np.ndarray, *, height: int, width: int, channels: int, progress: Progress) -> np.ndarray:
        """The chosen pictures (indices) in the device's format: (n, height, width, channels), uint8."""
        if isinstance(self.pictures, np.ndarray):
            with progress.task("reading images", len(chosen)) as advance:
                pixels = to_device_batch(as_bytes(self.pictures[chosen], self.where), height, width, channels)
                advance(len(chosen))
            return pixels
        files = [self.pictures[index] for index in chosen]
        return decode_all(files, height=height, width=width, channels=channels, where=self.where, progress=progress)

    def rows(self, chosen: np.ndarray, progress: Progress) -> np.ndarray:
        """The chosen rows (indices) of an .npz as they are."""
        with progress.task("reading arrays", len(chosen)) as advance:
            rows = np.asarray(self.pictures)[chosen]
            advance(len(chosen))
        return rows


def open_folder(folder: Path, where: str, names: tuple[str, ...] | None) -> PictureSource:
    """The images of a folder of class folders.

    names: the known classes, whose positions are the labels; None: the folders' names, sorted.
    Raises DataError with all faults of the folder.
    """
    faults = folder_faults(folder, where)
    if faults:
        raise several(DataError, faults)
    folders = class_folders(folder, where)
    found = tuple(path.name for path in folders)
    fault = class_names_fault(folder, where, found, names) if names is not None else None
    if fault is not None:
        raise DataError(fault)
    known = names if names is not None else found
    files: list[Path] = []
    labels: list[int] = []
    for path in folders:
        members = image_files(path)
        files += members
        labels += [known.index(path.name)] * len(members)
    return PictureSource(where, files, np.array(labels, np.int64), found)


def open_npz(path: Path, where: str, pair: tuple[str, str], inputs: ArrayInputs | None = None) -> PictureSource:
    """The pictures, or the rows of `inputs`, and labels of an .npz under the names in `pair`. Raises DataError."""
    headers = read_headers(path, where)
    faults = pair_faults(headers, pair, path, where, inputs)
    if faults:
        raise several(DataError, faults)
    labels = load_array(path, pair[1], where).reshape(-1).astype(np.int64)
    return PictureSource(f"{where}: {path}: {pair[0]}", _samples(path, pair[0], where, inputs), labels, None)


def open_npz_targets(
    path: Path, where: str, pair: tuple[str, str | None], inputs: ArrayInputs | None = None
) -> PictureSource:
    """The same with targets of (n, outputs), float32, as `labels`; without where `pair` names none."""
    pictures = _samples(path, pair[0], where, inputs)
    targets = None
    if pair[1] is not None:
        targets = load_array(path, pair[1], where).astype(np.float32)
        targets = targets.reshape(len(targets), -1)
    return PictureSource(f"{where}: {path}: {pair[0]}", pictures, targets, None)


def open_rows(path: Path, where: str, inputs: ArrayInputs) -> PictureSource:
    """The rows of x_train, with classes of y_train where it has them. Raises DataError."""
    fault = array_file_fault(str(path), where)
    if fault is not None:
        raise DataError(fault)
    headers = read_headers(path, where)
    if "y_train" in headers and not pair_faults(headers, ("x_train", "y_train"), path, where, inputs):
        return open_npz(path, where, ("x_train", "y_train"), inputs)
    faults = sample_faults(headers, "x_train", path, where, inputs)
    if faults:
        raise several(DataError, faults)
    return PictureSource(f"{where}: {path}: x_train", load_rows(path, "train", inputs, where), None, None)


def open_any(path: str, where: str) -> PictureSource:
    """The images at `path`, with labels where it has them: class folders, a flat folder, or an .npz.

    Of an .npz: x_train (with y_train), or the only array that can be pictures. Raises DataError.
    """
    fault = kind_fault(path, where)
    if fault is not None:
        raise DataError(fault)
    if not Path(path).is_dir():
        return _open_any_npz(Path(path), where)
    files = image_files(Path(path))
    if not files:
        raise DataError(f"{where}: {path} holds no image")
    if any(file.parent == Path(path) for file in files):
        return PictureSource(where, files, None, None)
    tops = [file.relative_to(path).parts[0] for file in files]
    return PictureSource(where, files, np.unique(tops, return_inverse=True)[1].astype(np.int64), None)


def as_bytes(pictures: np.ndarray, where: str) -> np.ndarray:
    """The same pictures as uint8. Raises DataError unless all values are whole numbers in 0..255.

    Values that are no bytes, and floats that never exceed 1, are taken for scaled pixels and refused.
    """
    if pictures.dtype == np.uint8:
        return pictures
    low, high = pictures.min(), pictures.max()
    is_float = pictures.dtype.kind == "f"
    if low >= 0 and high <= 255 and not (is_float and (high <= 1 or np.any(pictures != np.rint(pictures)))):
        return pictures.astype(np.uint8)
    scaled = is_float and low >= 0 and high <= 1
    remedy = "multiply by 255, round and save as uint8" if scaled else "save the original pixels as uint8"
    raise DataError(
        f"{where} holds {pictures.dtype} values from {low:g} to {high:g}; bytes 0..255 are expected; {remedy}, or set "
        "data.kind = 'arrays' (--kind arrays) if they are what the model takes"
    )


def _samples(path: Path, name: str, where: str, inputs: ArrayInputs | None) -> np.ndarray:
    if inputs is None:
        return load_array(path, name, where)
    return load_rows(path, name.removeprefix("x_"), inputs, where)


def _open_any_npz(path: Path, where: str) -> PictureSource:
    headers = read_headers(path, where)
    pair = ("x_train", "y_train")
    # Values and tags say nothing of which pictures are alike, so that their pictures count alone.
    if set(pair) <= set(headers) and not pair_faults(headers, pair, path, where):
        return open_npz(path, where, pair)
    name = _only_pictures(headers, path, where)
    faults = picture_faults(headers[name], name, path, where)
    if faults:
        raise DataError(faults[0])
    return PictureSource(f"{where}: {path}: {name}", load_array(path, name, where), None, None)


def _only_pictures(headers: dict[str, Header], path: Path, where: str) -> str:
    if "x_train" in headers:
        return "x_train"
    found = [name for name, header in headers.items() if header.is_pictures]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(found or headers) or "nothing"
    what = "several arrays of pictures" if found else "no array of pictures"
    raise DataError(f"{where}: {path} holds {what} ({shown}); call the one to use x_train")
