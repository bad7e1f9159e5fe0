"""The labels of a Parquet or Arrow file, read by pyarrow in a child process (table_worker.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import DataError
from edgecut.images.arrow_table import TableColumns, batches, holds_names, is_list, is_number, sentences
from edgecut.images.encoded import LabelKind

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Labels:
    """The labels of all rows. rows: (n,) int64 for classes, (n, outputs) float32 for values and tags.

    names: of classes or outputs; None where nothing names them.
    """

    rows: np.ndarray
    names: tuple[str, ...] | None


def read_labels(path: Path, columns: TableColumns, kind: LabelKind, where: str) -> Labels:
    """The labels as classes, values or tags. Raises DataError for a row without, or of another form."""
    with sentences(path, where):
        if kind == "classes":
            numbers, names = _classes(path, columns.labels[0], where)
            return Labels(numbers, columns.declared or names)
        if len(columns.labels) > 1:
            each = [_numbers(path, name, where) for name in columns.labels]
            return Labels(np.concatenate(each, axis=1), columns.labels)
        return _target_rows(path, columns, kind, where)


def _classes(path: Path, label: str, where: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """(numbers, the sorted names that they are places in), or (numbers, None). Raises DataError for a row without."""
    import pyarrow as pa

    numbers, place, named = [np.empty(0, np.int64)], dict[str, int](), False
    for column in _label_parts(path, label, where):
        named = pa.types.is_dictionary(column.type) or holds_names(column.type)
        if named:
            coded = column.cast(pa.string()).dictionary_encode()
            own = [place.setdefault(name, len(place)) for name in coded.dictionary.to_pylist()]
            numbers.append(np.array(own, np.int64)[coded.indices.to_numpy()])
        else:
            numbers.append(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
    joined = np.concatenate(numbers)
    if not named:
        return joined, None
    names = _sorted_names(place, f"{where}: {path}: {label}")
    number = {name: k for k, name in enumerate(names)}
    order = np.array([number[name] for name in place], np.int64)
    return order[joined], names


def _label_parts(path: Path, label: str, where: str) -> Iterator[pa.Array]:
    """A column of labels, some rows at a time. Raises DataError for a row without."""
    first = 0
    for batch in batches(path, label):
        column = batch.column(0)
        if column.null_count:
            row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{where}: {path}: row {row} has no {label}; give it one, or leave the row out")
        yield column
        first += len(batch)


def _sorted_names(names: Iterable[str], start: str) -> tuple[str, ...]:
    ordered = tuple(sorted(names))
    unnamed = next((name for name in ordered if not name.strip() or not name.isprintable()), None)
    if unnamed is not None:
        raise DataError(f"{start} holds {unnamed!r}; a name of one line is expected")
    return ordered


def _numbers(path: Path, label: str, where: str) -> np.ndarray:
    """A column of numbers: (n, 1), float32. Raises DataError for one of another type."""
    import pyarrow as pa

    parts = []
    for column in _label_parts(path, label, where):
        if not is_number(column.type):
            raise DataError(f"{where}: {path}: {label} holds {column.type}; numbers are expected")
        parts.append(column.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False))
    return np.concatenate([np.empty(0, np.float32), *parts]).reshape(-1, 1)


def _target_rows(path: Path, columns: TableColumns, kind: LabelKind, where: str) -> Labels:
    """The rows of the one column of values or tags. Raises DataError where a row is of another length."""
    import pyarrow as pa

    (label,) = columns.labels
    lengths, flat = [np.empty(0, np.int64)], list[pa.Array]()
    for column in _label_parts(path, label, where):
        if not is_list(column.type):
            return Labels(_numbers(path, label, where), None)
        lengths.append(column.value_lengths().cast(pa.int64()).to_numpy(zero_copy_only=False))
        flat.append(column.flatten())
        if flat[-1].null_count:
            raise DataError(f"{where}: {path}: a list in {label} holds null; leave those rows out")
    counts, start = np.concatenate(lengths), f"{where}: {path}: {label}"
    named = bool(flat) and holds_names(flat[0].type)
    if kind == "tags" and (named or columns.declared):
        values = [value for part in flat for value in part.to_pylist()]
        return _tags(values, counts, columns.declared if not named else None, start)
    if named:
        raise DataError(f"{start} holds lists of names; set data.target = 'tags' (--target tags)")
    if len(counts) and (counts != counts[0]).any():
        row = int(np.argmax(counts != counts[0]))
        raise DataError(f"{start} has {counts[row]} numbers in row {row} and {counts[0]} in row 0; make them equal")
    numbers = [part.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False) for part in flat]
    return Labels(np.concatenate([np.empty(0, np.float32), *numbers]).reshape(len(counts), -1), None)


def _tags(values: Sequence[str | int], counts: np.ndarray, declared: tuple[str, ...] | None, start: str) -> Labels:
    """Rows of 0 and 1. values: the tags of all rows, one behind the other: names, or places in the declared ones."""
    names = declared or _sorted_names(set(map(str, values)), start)
    place = {name: k for k, name in enumerate(names)}
    numbers = np.array([value if isinstance(value, int) else place[value] for value in values], np.int64)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(names)):
        raise DataError(f"{start} holds {numbers.min()} to {numbers.max()}, and {len(names)} tags are listed")
    rows = np.zeros((len(counts), len(names)), np.float32)
    rows[np.repeat(np.arange(len(counts)), counts), numbers] = 1
    return Labels(rows, names)
