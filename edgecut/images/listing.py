"""What lies in a folder of images, and in a file of class names.

The standard library alone, so that `plan` is quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.errors import DataError, faults_of
from edgecut.records.lfs import POINTER, is_pointer

if TYPE_CHECKING:
    from edgecut.records.recipe import Data

IMAGE_SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".ppm",
    ".pgm",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".avif",
    ".jp2",
    ".jfif",
)
# Files that hold many encoded pictures (shards.py).
SHARDS = (".parquet", ".arrow", ".tar")
# Of phones and cameras: HEIF, raw files of sensors, JPEG XL. Pillow has no reader of them.
UNREAD_SUFFIXES = (".heic", ".heif", ".hif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")


def class_folders(folder: Path, where: str) -> list[Path]:
    """The subfolders, sorted by name, without those whose name begins with "." or "__".

    Raises DataError if the folder can't be listed.
    """
    try:
        found = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    except OSError as exc:
        raise DataError(f"{where}: {folder} can't be listed ({exc.strerror})") from exc
    for name in found:
        if not name.isprintable():  # what isn't UTF-8 isn't, either
            raise DataError(
                f"{where}: the class folder {name!a} has signs that can't be printed in its name; rename it"
            )
    return [folder / name for name in sorted(found) if not name.startswith((".", "__"))]


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and the folders in it, sorted; known by their suffix, hidden files left out."""
    return sorted(Path(parent) / name for parent, _, names in os.walk(folder) for name in names if is_image_name(name))


def has_image(folder: Path) -> bool:
    """Whether image_files(folder) would find any, without listing them all."""
    return any(is_image_name(name) for _, _, names in os.walk(folder) for name in names)


def left_out_notes(folder: Path, where: str, *, has_classes: bool) -> Iterator[str]:
    """What of a folder of pictures isn't read, in sentences: other formats, and pictures beside the class folders."""
    unread = sorted(
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(UNREAD_SUFFIXES) and not name.startswith(".")
    )
    if unread:
        formats = ", ".join(dict.fromkeys(path.suffix.lower() for path in unread))
        noun = "picture" if len(unread) == 1 else "pictures"
        such = str(unread[0].relative_to(folder))
        yield f"{where}: {folder} has {len(unread)} {noun} as {formats}, such as {such!r}, left out; convert to JPEG"
    loose = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and is_image_name(entry.name))
    if has_classes and loose:
        number = "1 picture" if len(loose) == 1 else f"{len(loose)} pictures"
        yield f"{where}: {folder} has {number} beside the class folders, such as {loose[0]!r}, left out"


def is_image_name(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def class_names_of(data: Data, where: str = "data.labels") -> tuple[str, ...] | None:
    """The names that data.labels lists, or that are in its file; None without. Raises DataError."""
    if data.labels is None or isinstance(data.labels, tuple):
        return data.labels
    return read_class_names(Path(data.labels), where)


def read_class_names(path: Path, where: str) -> tuple[str, ...]:
    """The class names in a text file, one to a line; empty lines at the end are left out.

    Raises DataError if the file is missing, is no UTF-8 text, is empty, or names a class twice or not at all.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{where}: {path} is no file; one class name to a line is expected")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise DataError(f"{where}: no such file {str(path)!r}") from exc
    except OSError as exc:
        raise DataError(f"{where}: {path} can't be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise DataError(f"{where}: {path} is no UTF-8 text; one class name to a line is expected") from exc
    if is_pointer(text.encode()):
        raise DataError(f"{where}: {path} {POINTER}")
    names = tuple(line.strip() for line in text.rstrip().splitlines())
    if not names:
        raise DataError(f"{where}: {path} is empty; one class name to a line is expected")
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{where}: {path}: line {number} is empty; one class name to a line is expected")
        if name in names[: number - 1]:
            raise DataError(f"{where}: {path}: line {number}: the class {name!r} is named twice")
    return names


def folder_faults(folder: Path, where: str) -> list[str]:
    """What is wrong with a folder that should hold a folder of images for each class."""
    try:
        classes = class_folders(folder, where)
    except DataError as exc:
        return list(faults_of(exc))
    if not classes:
        loose = has_image(folder)
        found = "images" if loose else "neither folders nor images"
        unlabelled = ", or data.target = 'features' for images without labels" if loose else ""
        return [f"{where}: {folder} holds {found}; one folder of images for each class is expected{unlabelled}"]
    return [
        f"{where}: the class folder {str(path)!r} holds no image ({', '.join(IMAGE_SUFFIXES)}); "
        "add images or remove the folder"
        for path in classes
        if not has_image(path)
    ]


def class_count_fault(where: str, names: tuple[str, ...], classes: int) -> str | None:
    """The sentence that says that `names` are not as many as head.classes, or None if they are."""
    if len(names) == classes:
        return None
    shown = ", ".join(repr(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
    noun = "class" if len(names) == 1 else "classes"
    return f"{where}: has {len(names)} {noun} ({shown}), and head.classes is {classes}; make them equal"


def array_file_fault(path: str, where: str) -> str | None:
    """The sentence that says that there is no .npz at `path`; else None."""
    if not path or not Path(path).exists():
        return f"{where}: no such file {path!r}; arrays are read from an .npz"
    if Path(path).is_dir() or Path(path).suffix.lower() != ".npz":
        return f"{where}: {path} is no .npz; the model takes other than one picture, and arrays are read from an .npz"
    return None


def kind_fault(path: str, where: str) -> str | None:
    """The sentence that says that there is nothing at `path`, or neither a folder nor an .npz; else None."""
    if not path:
        return f"{where}: is empty; a folder of class folders or an .npz is expected"
    if Path(path).is_dir():
        return None
    if not Path(path).exists():
        return f"{where}: no such file or folder {path!r}"
    name = path.lower()
    if name.endswith((".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz")):
        return f"{where}: {path} is a packed tar, which gives no picture before it is unpacked; unpack it to a .tar"
    if not name.endswith((".npz", *SHARDS)):
        return f"{where}: {path} is neither a folder of class folders nor an .npz, .parquet, .arrow or .tar"
    return None
