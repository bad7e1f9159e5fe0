"""Encoded pictures of shards with their classes: known at once, read when they are decoded, a few at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.errors import DataError
from edgecut.images.encoded import Classes, Encoded, Shard
from edgecut.images.shards import Split, files_of
from edgecut.images.table_shard import open_table
from edgecut.images.tar_shard import open_tar
from edgecut.records.lfs import POINTER, is_pointer_file


@dataclass(frozen=True, eq=False)
class Samples:
    """The pictures of all shards of a split, in order. numbers, names: as those of Classes."""

    shards: tuple[Shard, ...]
    numbers: np.ndarray | None
    names: tuple[str, ...] | None
    unlabelled: str

    def __len__(self) -> int:
        """The number of pictures."""
        return sum(map(len, self.shards))

    def read(self, chosen: np.ndarray, where: str) -> Iterator[Encoded]:
        """The pictures at sorted places, one at a time. Raises DataError for a damaged shard."""
        first = 0
        for shard in self.shards:
            here = chosen[slice(*np.searchsorted(chosen, (first, first + len(shard))))]
            if len(here):
                yield from shard.read(here - first, where)
            first += len(shard)


def open_samples(path: Path, split: Split, where: str, *, labelled: bool = True) -> Samples:
    """The pictures of a split's shards, of which only what says where they lie and what they are is read.

    labelled: whether their classes are read, too. Raises DataError; MissingRuntimeError without pyarrow.
    """
    files = files_of(path, split)
    states = tuple((state.st_size, state.st_mtime_ns, state.st_ctime_ns) for state in map(Path.stat, files))
    return _opened(files, states, where, labelled)


# A plan asks for the classes several times, and a tar tells them only from its first byte to its last.
@functools.lru_cache(maxsize=4)
def _opened(files: tuple[Path, ...], states: tuple[tuple[int, ...], ...], where: str, labelled: bool) -> Samples:
    suffixes = sorted({file.suffix.lower() for file in files})
    if len(suffixes) > 1:
        formats = ", ".join(suffixes)
        raise DataError(f"{where}: {files[0].parent} has shards of several formats ({formats}); name a folder of one")
    shards = [_open_shard(file, where, labelled) for file in files]
    if not sum(map(len, shards)):
        raise DataError(f"{where}: {files[0]} holds no picture; add pictures, or leave it out")
    without = next((shard for shard in shards if shard.classes is None), None)
    if without is not None:
        return Samples(tuple(shards), None, None, f"{without.path} {without.unlabelled}")
    numbers, names = _joined([(shard.path, shard.classes) for shard in shards if shard.classes is not None], where)
    return Samples(tuple(shards), numbers, names, "")


def _open_shard(path: Path, where: str, labelled: bool) -> Shard:
    if is_pointer_file(path):
        raise DataError(f"{where}: {path} {POINTER}")
    return (open_tar if path.suffix.lower() == ".tar" else open_table)(path, where, labelled=labelled)


def _joined(classes: Sequence[tuple[Path, Classes]], where: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The numbers of all shards, and their common names: the same everywhere, or all that occur, sorted."""
    (first, own), *others = classes
    for path, other in others:
        if (other.names is None) != (own.names is None):
            raise DataError(f"{where}: labels are names in one of {first} and {path}, and numbers in the other")
        if other.names != own.names and (other.is_declared or own.is_declared):
            raise DataError(f"{where}: {first} and {path} list other classes; write both with the same ones")
    if all(each.names == own.names for _, each in classes):
        return np.concatenate([each.numbers for _, each in classes]), own.names
    names = tuple(sorted({name for _, each in classes for name in each.names or ()}))
    place = {name: number for number, name in enumerate(names)}
    numbers = [np.array([place[n] for n in each.names or ()], np.int64)[each.numbers] for _, each in classes]
    return np.concatenate(numbers), names
