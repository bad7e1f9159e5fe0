"""Encoded pictures of shards with their classes: known at once, read when they are decoded, a few at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.errors import DataError
from edgecut.images.encoded import Classes, Encoded, LabelKind, LabelRequest, Shard, Targets
from edgecut.images.shards import Split, files_of
from edgecut.images.table_shard import open_table
from edgecut.images.tar_shard import open_tar
from edgecut.records.lfs import POINTER, is_pointer_file


@dataclass(frozen=True, eq=False)
class Samples:
    """The pictures of all shards of a split, in order.

    labels: (n,) int64 classes, whose names are as those of Classes, or (n, outputs) float32 targets, whose names are
    the outputs'; None where there are none of the kind that was asked for, and `unlabelled` says why. label_kind: what
    the first shard's labels are, by their types. image_column: the one that was asked for.
    """

    shards: tuple[Shard, ...]
    labels: np.ndarray | None
    names: tuple[str, ...] | None
    unlabelled: str
    label_kind: LabelKind | None
    image_column: str

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


def open_samples(path: Path, split: Split, where: str, request: LabelRequest) -> Samples:
    """The pictures of a split's shards, of which only what says where they lie and what they are is read.

    Raises DataError; MissingRuntimeError without pyarrow.
    """
    files = files_of(path, split)
    for file in files:
        if not file.is_file():
            raise DataError(f"{where}: {file} is no file (a pipe, or a link to nothing); replace or remove it")
    states = tuple((state.st_size, state.st_mtime_ns, state.st_ctime_ns) for state in map(Path.stat, files))
    return _opened(files, states, where, request)


# A plan asks for the classes several times, and a tar tells them only from its first byte to its last.
@functools.lru_cache(maxsize=4)
def _opened(files: tuple[Path, ...], states: tuple[tuple[int, ...], ...], where: str, request: LabelRequest) -> Samples:
    suffixes = sorted({file.suffix.lower() for file in files})
    if len(suffixes) > 1:
        formats = ", ".join(suffixes)
        raise DataError(f"{where}: {files[0].parent} has shards of several formats ({formats}); name a folder of one")
    shards = tuple(_open_shard(file, where, request) for file in files)
    if not sum(map(len, shards)):
        raise DataError(f"{where}: {files[0]} holds no picture; add pictures, or leave it out")
    kind = shards[0].label_kind
    without = next((shard for shard in shards if shard.labels is None), None)
    if without is not None:
        return Samples(shards, None, None, f"{without.path} {without.unlabelled}", kind, request.image_column)
    classes = [(shard.path, shard.labels) for shard in shards if isinstance(shard.labels, Classes)]
    targets = [(shard.path, shard.labels) for shard in shards if isinstance(shard.labels, Targets)]
    labels, names = _joined(classes, where) if classes else _joined_targets(targets, where)
    return Samples(shards, labels, names, "", kind, request.image_column)


def _open_shard(path: Path, where: str, request: LabelRequest) -> Shard:
    if is_pointer_file(path):
        raise DataError(f"{where}: {path} {POINTER}")
    return (open_tar if path.suffix.lower() == ".tar" else open_table)(path, where, request)


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


def _joined_targets(targets: Sequence[tuple[Path, Targets]], where: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The rows of all shards, and the outputs' names: the same everywhere, or all tags that occur, sorted."""
    (first, own), *others = targets
    for path, other in others:
        if (other.names is None) != (own.names is None) or (
            own.names is None and other.rows.shape[1] != own.rows.shape[1]
        ):
            raise DataError(f"{where}: {first} and {path} hold other outputs; write both with the same ones")
    if all(each.names == own.names for _, each in targets):
        return np.concatenate([each.rows for _, each in targets]), own.names
    names = tuple(sorted({name for _, each in targets for name in each.names or ()}))
    rows = np.zeros((sum(len(each.rows) for _, each in targets), len(names)), np.float32)
    start = 0
    for _, each in targets:
        rows[start : start + len(each.rows), [names.index(name) for name in each.names or ()]] = each.rows
        start += len(each.rows)
    return rows, names
