"""The samples of an .npz as rows: one array for a model of one input, a field for each input of several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgecut.errors import DataError, faults_of, several
from edgecut.images.arrays import ArrayInput, ArrayInputs, array_names, has_part
from edgecut.images.npz import Header, load_array, read_headers
from edgecut.records.recipe import Data

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


def load_rows(path: Path, part: str, inputs: ArrayInputs, where: str) -> np.ndarray:
    """The samples of a part, "train" or "test", each in its input's dtype. Raises DataError with all faults.

    Headers are right already (arrays.py); the values are looked at here.
    """
    arrays, faults = [], []
    for name, each in zip(array_names(read_headers(path, where), part, inputs), inputs, strict=True):
        values = load_array(path, name, where)
        fault = value_fault(values, each)
        if fault:
            faults.append(f"{where}: {path}: {name} {fault}")
        else:
            arrays.append(values.astype(each.dtype))
    if faults:
        raise several(DataError, faults)
    return packed(arrays)


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


def value_fault(values: np.ndarray, taken: ArrayInput) -> str:
    """What is wrong with samples that should feed an input, and where; "" if nothing is."""
    with np.errstate(over="ignore"):
        cast = values.astype(taken.dtype)
    wrong = ~np.isfinite(cast) if cast.dtype.kind == "f" else cast != values
    if not wrong.any():
        return ""
    place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    shown = f"[{', '.join(str(int(axis)) for axis in place)}]"
    more = "" if wrong.sum() == 1 else f", and so {int(wrong.sum()) - 1} more"
    if cast.dtype.kind == "f" and not np.isfinite(values[place]):
        return f"holds {values[place]} at {shown}{more}; leave those samples out, or mend them"
    return f"holds {values[place]} at {shown}{more}, which {taken.dtype} can't hold"
