"""The samples of an .npz as rows: one array for a model of one input, a field for each input of several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.errors import DataError, faults_of, several
from edgecut.images.arrays import ArrayInput, ArrayInputs, array_names, has_part
from edgecut.images.mapped import Form, gathered
from edgecut.images.npz import Header, Member, read_headers
from edgecut.records.recipe import Data

_PART_BYTES = 8 << 20
_QUICK_VALUES = 1 << 24  # 64 MiB of float32, a fifth of a second


def columns(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """What rows hold for each input: the fields of a structured array, or the array itself.

    >>> [x.shape for x in columns(packed([np.zeros((3, 2)), np.ones((3, 4, 5))]))]
    [(3, 2), (3, 4, 5)]
    """
    names = rows.dtype.names
    return (rows,) if names is None else tuple(np.ascontiguousarray(rows[name]) for name in names)


def packed(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Rows (n,) with a field for each of several arrays (n, ...), so that they are chosen together; one as it is."""
    if len(arrays) == 1:
        return arrays[0]
    fields = [(f"input_{k}", x.dtype, x.shape[1:]) for k, x in enumerate(arrays)]
    rows: np.ndarray = np.empty(len(arrays[0]), fields)
    for (name, _, _), x in zip(fields, arrays, strict=True):
        rows[name] = x
    return rows


@dataclass(frozen=True)
class RowMembers:
    """The samples of a part as rows whose values aren't read yet, each input in its own dtype."""

    members: tuple[Member, ...]
    inputs: ArrayInputs

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.members[0])

    @property
    def form(self) -> Form:
        """Of all rows."""
        empty = [np.empty((0, *m.header.shape[1:]), e.dtype) for m, e in zip(self.members, self.inputs, strict=True)]
        rows = packed(empty)
        return Form((len(self), *rows.shape[1:]), rows.dtype)

    def parts(self) -> Iterator[np.ndarray]:
        """The rows, some at a time. Raises DataError with all faults of the values at the end."""
        faults = [_ValueFault() for _ in self.inputs]
        count = max(1, _PART_BYTES // max(1, self.form.size_bytes // max(1, len(self))))
        for arrays in zip(*(regrouped(member.parts(), count) for member in self.members), strict=True):
            for fault, values, each in zip(faults, arrays, self.inputs, strict=True):
                fault.look(values, each)
            if not any(fault.count for fault in faults):
                yield packed([x.astype(each.dtype) for x, each in zip(arrays, self.inputs, strict=True)])
        sentences = [
            f"{member.where}: {member.path}: {member.name} {fault.sentence(each)}"
            for member, fault, each in zip(self.members, faults, self.inputs, strict=True)
            if fault.count
        ]
        if sentences:
            raise several(DataError, sentences)


def open_rows_of(path: Path, part: str, inputs: ArrayInputs, where: str) -> RowMembers:
    """The samples of a part, "train" or "test", whose headers are right already (arrays.py)."""
    headers = read_headers(path, where)
    names = array_names(headers, part, inputs)
    return RowMembers(tuple(Member(path, name, headers[name], where) for name in names), inputs)


def load_rows(path: Path, part: str, inputs: ArrayInputs, where: str) -> np.ndarray:
    """The same, read. Raises DataError with all faults of the values."""
    rows = open_rows_of(path, part, inputs, where)
    return gathered(rows.form, rows.parts())


def regrouped(parts: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The same rows, `count` at a time; the last ones may be fewer."""
    rest: list[np.ndarray] = []
    for part in parts:
        rest.append(part)
        if sum(map(len, rest)) >= count:
            joined = np.concatenate(rest)
            whole = len(joined) // count * count
            yield from (joined[first : first + count] for first in range(0, whole, count))
            rest = [joined[whole:]]
    if sum(map(len, rest)):
        yield np.concatenate(rest)


def quick_value_faults(data: Data, inputs: ArrayInputs) -> list[str]:
    """The faults of a recipe's arrays, whose headers are right, by their values, where looking at all is quick."""
    faults: list[str] = []
    for where, path in (("data.train", data.train), ("data.val", data.val)):
        if path is None or not inputs:
            continue
        headers = read_headers(Path(path), where)
        for part in (part for part in ("train", "test") if has_part(headers, part)):
            names = array_names(headers, part, inputs)
            if are_quick(headers, names):
                try:
                    load_rows(Path(path), part, inputs, where)
                except DataError as exc:
                    faults += faults_of(exc)
    return faults


def are_quick(headers: Mapping[str, Header], names: Iterable[str]) -> bool:
    """Whether arrays are read before a build begins."""
    return sum(math.prod(headers[name].shape) for name in names if name in headers) <= _QUICK_VALUES


class _ValueFault:
    """What is wrong with the values of an array, looked at some rows at a time. count: of wrong ones."""

    def __init__(self) -> None:
        """Nothing was looked at."""
        self.count = 0
        self._rows = 0
        self._place: tuple[int, ...] = ()
        self._value: object = None
        self._finite = True

    def look(self, values: np.ndarray, taken: ArrayInput) -> None:
        """See the next rows of what should feed an input."""
        with np.errstate(over="ignore"):
            cast = values.astype(taken.dtype)
        wrong = ~np.isfinite(cast) if cast.dtype.kind == "f" else cast != values
        if wrong.any() and not self.count:
            place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            self._value, self._finite = values[place], cast.dtype.kind != "f" or bool(np.isfinite(values[place]))
            self._place = (self._rows + int(place[0]), *(int(axis) for axis in place[1:]))
        self.count += int(wrong.sum())
        self._rows += len(values)

    def sentence(self, taken: ArrayInput) -> str:
        """The end of a sentence about the array."""
        more = "" if self.count == 1 else f", and so {self.count - 1} more"
        shown = f"[{', '.join(map(str, self._place))}]"
        if not self._finite:
            return f"holds {self._value} at {shown}{more}; leave those samples out, or mend them"
        return f"holds {self._value} at {shown}{more}, which {taken.dtype} can't hold"
