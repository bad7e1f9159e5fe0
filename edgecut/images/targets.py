"""Images whose targets are no classes: values, tags, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgecut.errors import DataError
from edgecut.images.npz import picture_faults, read_headers
from edgecut.images.sampling import sampled
from edgecut.images.sources import PictureSource, open_any, open_npz_targets
from edgecut.records.progress import Progress
from edgecut.records.recipe import Data, Target

Part = tuple[PictureSource, np.ndarray]


def target_of(data: Data) -> Target:
    """What the training images' labels are, as far as names and headers tell.

    Class folders: classes. An .npz by y_train: floats are values, rows of whole numbers tags, none at all features;
    a folder of images without class folders: features. Raises DataError where the file can't be read.
    """
    path = Path(data.train or "")
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


def target_faults(data: Data) -> Iterator[str]:
    """What is wrong with the images and their targets, as far as headers tell; for each target but classes."""
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is None:
            continue
        if not Path(path).exists():
            yield f"{where}: no such file or folder {path!r}"
        elif data.target == "features":
            continue
        elif Path(path).suffix.lower() != ".npz":
            yield f"{where}: {path} is no .npz; {data.target} are read from one, with x_train and y_train"
        else:
            yield from _npz_faults(Path(path), where, data.target)


def read_targets(
    data: Data, *, height: int, width: int, channels: int, progress: Progress
) -> tuple[list[tuple[np.ndarray, np.ndarray | None]], int]:
    """[(pixels, targets) of the training part, of the held-out part], and how many outputs the targets have.

    pixels: uint8, in the device's format. targets: (n, outputs), float32; None for data.target "features", which
    a model gives. data.limit takes the first images of each part. Raises DataError.
    """
    found = []
    for source, chosen in chosen_targets(data):
        pixels = source.read(chosen, height=height, width=width, channels=channels, progress=progress)
        found.append((pixels, None if source.labels is None else source.labels[chosen]))
    widths = {0 if targets is None else targets.shape[1] for _, targets in found}
    if len(widths) > 1:
        raise DataError(f"data: targets have {sorted(widths)} outputs in the two parts; make them equal")
    return found, widths.pop()


def chosen_targets(data: Data) -> tuple[Part, Part]:
    """The training images and the held-out ones, with the indices of those to read. Raises DataError."""
    faults = list(target_faults(data))
    if data.train is None or faults:
        raise DataError("\n".join(faults or ["data.train: is missing; images are expected"]))
    sizes = data.limit if isinstance(data.limit, tuple) else (data.limit, data.limit)
    (train, of_train), (val, of_val) = _parts(data)
    return (train, of_train[: sizes[0]]), (val, of_val[: sizes[1]])


def _parts(data: Data) -> tuple[Part, Part]:
    """The training images and the held-out ones: data.val, else x_test, else a part chosen by data.seed."""
    train = _open(data, str(data.train), "data.train", "train")
    val = None
    if data.val is not None:
        own = Path(data.val)
        prefers_test = own.suffix.lower() == ".npz" and "x_test" in read_headers(own, "data.val")
        val = _open(data, data.val, "data.val", "test" if prefers_test else "train")
    elif Path(str(data.train)).is_file() and "x_test" in read_headers(Path(str(data.train)), "data.train"):
        val = _open(data, str(data.train), "data.train", "test")
    everything = np.arange(len(train))
    if val is not None:
        return (train, everything), (val, np.arange(len(val)))
    if len(train) < 2:
        raise DataError(f"data.train: {data.train} holds {len(train)} image; at least 2 are needed")
    held_out = sampled(None, len(train), max(1, round(data.val_fraction * len(train))), data.seed)
    return (train, np.setdiff1d(everything, held_out)), (train, held_out)


def _open(data: Data, path: str, where: str, part: str) -> PictureSource:
    if data.target == "features":
        if part == "test":
            return open_npz_targets(Path(path), where, ("x_test", None))
        return replace(open_any(path, where), labels=None)
    source = open_npz_targets(Path(path), where, (f"x_{part}", f"y_{part}"))
    targets = np.asarray(source.labels)
    if not np.all(np.isfinite(targets)):
        raise DataError(f"{where}: {path}: y_{part} holds NaN or infinity; leave those images out")
    if data.target == "tags" and not np.all((targets == 0) | (targets == 1)):
        raise DataError(
            f"{where}: {path}: y_{part} holds {targets.min():g} to {targets.max():g}; tags are 0 or 1 for each image"
        )
    return source


def _npz_faults(path: Path, where: str, target: Target) -> Iterator[str]:
    try:
        headers = read_headers(path, where)
    except DataError as exc:
        yield str(exc)
        return
    part = "test" if where == "data.val" and "x_test" in headers else "train"
    absent = [name for name in (f"x_{part}", f"y_{part}") if name not in headers]
    if absent:
        yield f"{where}: {path} holds {', '.join(headers) or 'nothing'}; x_{part} and y_{part} are expected"
        return
    pictures, targets = headers[f"x_{part}"], headers[f"y_{part}"]
    yield from picture_faults(pictures, f"x_{part}", path, where)
    if targets.kind not in "uifb" or len(targets.shape) not in (1, 2) or 0 in targets.shape:
        yield (
            f"{where}: {path}: y_{part} is {targets.dtype} of shape {targets.shape}; numbers (n,) or (n, outputs) are "
            f"expected for {target}"
        )
    elif targets.shape[0] != pictures.shape[0]:
        yield (
            f"{where}: {path}: x_{part} holds {pictures.shape[0]} pictures and y_{part} {targets.shape[0]} targets; "
            "make them equal"
        )
