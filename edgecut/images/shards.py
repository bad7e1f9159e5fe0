"""Which files of a path are shards of encoded pictures with their labels: Parquet, Arrow, WebDataset tars.

The standard library alone, so that `plan` is quick.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from edgecut.images.listing import SHARDS, is_image_name

# The words of Hugging Face's own rule (huggingface.co/docs/hub/datasets-file-names-and-splits).
_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "val",
    "valid": "val",
    "val": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}

Split = Literal["train", "held out"]


def shard_files(path: Path) -> tuple[Path, ...]:
    """The shards that a path is, or that are in a folder without pictures of its own, sorted; () for anything else."""
    if not path.is_dir():
        return (path,) if path.suffix.lower() in SHARDS and path.exists() else ()
    shards: list[Path] = []
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        if any(map(is_image_name, names)):
            return ()
        shards += [Path(parent) / name for name in names if _is_shard(name)]
    return tuple(sorted(shard for shard in shards if not _is_cached(shard))) or tuple(sorted(shards))


def shard_notes(folder: Path, where: str) -> Iterator[str]:
    """What of a folder with shards isn't read, in sentences."""
    shards = sorted(Path(parent) / name for parent, _, names in os.walk(folder) for name in names if _is_shard(name))
    used = shard_files(folder)
    cached = [shard for shard in shards if _is_cached(shard) and shard not in used]
    if used and cached:
        number = "1 file" if len(cached) == 1 else f"{len(cached)} files"
        such = str(cached[0].relative_to(folder))
        yield f"{where}: {folder} has {number} of the datasets package's own cache, such as {such!r}, left out"
    if not used and shards:
        number = "1 shard" if len(shards) == 1 else f"{len(shards)} shards"
        such = str(shards[0].relative_to(folder))
        yield (
            f"{where}: {folder} has {number}, such as {such!r}, left out, since pictures lie beside as files of "
            f"their own; name {str(shards[0].parent)!r} to read shards"
        )


def _is_shard(name: str) -> bool:
    return name.lower().endswith(SHARDS) and name[0] != "."


def _is_cached(file: Path) -> bool:
    """Whether a file is what Hugging Face's datasets has kept of a computation, beside the data set itself."""
    return re.fullmatch(r"cache-[0-9a-f]{16}(_\d+_of_\d+)?\.arrow", file.name) is not None


def is_sharded(path: str | Path) -> bool:
    """Whether pictures are read from shards there."""
    return bool(str(path)) and bool(shard_files(Path(path)))


def is_folder_of_pictures(path: str | Path) -> bool:
    """Whether it is a folder whose pictures are files of their own."""
    return Path(path).is_dir() and not is_sharded(path)


def files_of(path: Path, split: Split) -> tuple[Path, ...]:
    """The shards of a split, as their names and folders say it.

    held out: those of validation, else of test, else all. train: all but those, or all where there are no others.
    """
    files = shard_files(path)
    held_out = _held_out(path, files)
    if split == "held out":
        return held_out or files
    others = [file for file in files if _split_of(file, path) not in ("val", "test")]
    return tuple(others) or files


def holds_out(path: Path) -> bool:
    """Whether there are shards to train on and, named so, others to judge by."""
    files = shard_files(path)
    return bool(_held_out(path, files)) and any(_split_of(file, path) not in ("val", "test") for file in files)


def _held_out(path: Path, files: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(f for f in files if _split_of(f, path) == "val") or tuple(
        f for f in files if _split_of(f, path) == "test"
    )


def _split_of(file: Path, folder: Path) -> str:
    """The split that a shard's place in the folder names; "" where nothing does."""
    if file == folder:
        return ""
    words = re.split(r"[^a-z]+", str(file.relative_to(folder)).lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")
