"""Arrays that lie in a file and not in memory: made from parts, read a few rows at a time, kept in the cache."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import mmap
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgecut.cache.facts import code_hash
from edgecut.cache.hashes import remembered_hash
from edgecut.cache.store import Store
from edgecut.whole import naming

IN_MEMORY_BYTES = 64 << 20
"""Arrays up to this size are held in memory: it is less than a batch's activations."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_KIND = "pictures"
_NAME, _STATES = "rows.npy", "states.npy"
_LIST = "picture_arrays"
_LISTED = 4  # a training and a held-out part, before and after


@dataclass(frozen=True)
class Form:
    """The shape of an array, rows first, and its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size_bytes(self) -> int:
        """What its values take."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Rows:
    """What the rows of an array are read from, each by itself. facts: what all of them depend on beside that.

    states: (n, 16), uint8: a hash of each row's file's size and times, zeros where it changed a moment ago.
    """

    states: np.ndarray
    facts: Mapping[str, object]


def stored(
    store: Store | None,
    form: Form,
    parts: Iterable[np.ndarray],
    *,
    source: Path,
    facts: Mapping[str, object],
    rows: Rows | None = None,
) -> np.ndarray:
    """The array of these parts (rows, in order), or the one that was made of the same source and facts before.

    store: None keeps nothing. source: the file or folder that the parts are read from, which counts by its content. A
    large array is mapped from its file and read-only. It is kept whole or not at all; where the cache has no room or
    can't be written, it lies in a file without a name, which ends with the array. rows: what lets an array that is made
    later, of more or other files, take single rows of this one (earlier()).
    """
    if store is None or not store.has_room(form.size_bytes):
        return gathered(form, parts)
    own = {**facts, "source": remembered_hash(source, store), "form": [form.shape, form.dtype.descr], **_reader()}
    array = _opened(store, own, form)
    if array is not None:
        return array
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(store.scratch()) / _NAME
            file = stack.enter_context(open(path, "w+b"))
            _reserve(file, form.size_bytes)
        except OSError:  # a build that can't keep anything is one without a cache
            return gathered(form, parts)
        files = {_NAME: path}
        with naming(path):
            if rows is not None:
                files[_STATES] = path.with_name(_STATES)
                np.save(files[_STATES], rows.states)
            _write(file, form, parts)
        array = mapped(file, form)
        with contextlib.suppress(OSError):
            if remembered_hash(source, store) == own["source"]:  # not changed while it was read
                store.put(_KIND, {}, files, **own)
                if rows is not None:
                    _list(store, own, rows.facts)
    return array


def earlier(store: Store, facts: Mapping[str, object]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(states, array) of the arrays that were stored last with these facts of their rows, the newest first."""
    for own in _listed(store, facts):
        states = store.open(_KIND, _STATES, **own)
        if states is None:
            continue
        with states:
            known = np.load(states)
        shape, ((_, dtype),) = own["form"]
        array = _opened(store, own, Form(tuple(shape), np.dtype(dtype)))
        if array is not None and len(array) == len(known):
            yield known, array


def gathered(form: Form, parts: Iterable[np.ndarray]) -> np.ndarray:
    """The array of these parts (rows, in order): in memory, or, if it is large, mapped from a file without a name."""
    with contextlib.ExitStack() as stack:
        file: IO[bytes] = io.BytesIO()
        if form.size_bytes > IN_MEMORY_BYTES:
            file = stack.enter_context(tempfile.TemporaryFile())
        with naming(tempfile.gettempdir()):
            if form.size_bytes > IN_MEMORY_BYTES:
                _reserve(file, form.size_bytes)
            _write(file, form, parts)
        return mapped(file, form)


def gathered_each(parts: Iterator[Sequence[np.ndarray]], count: int) -> tuple[np.ndarray, ...]:
    """The same for several arrays of `count` rows, each of whose parts come together; their forms are the first's.

    Raises ValueError where the rows of later parts have another shape.
    """
    first = next(parts, None)
    if first is None:
        return ()
    forms = [Form((count, *part.shape[1:]), part.dtype) for part in first]
    if sum(form.size_bytes for form in forms) <= IN_MEMORY_BYTES:
        return tuple(np.concatenate(column) for column in zip(first, *parts, strict=True))
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in forms]
        with naming(tempfile.gettempdir()):
            for some in itertools.chain([first], parts):
                for file, form, part in zip(files, forms, some, strict=True):
                    _append(file, form, part)
        return tuple(mapped(file, form) for file, form in zip(files, forms, strict=True))


def batches(rows: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """So many rows at a time; what was read of a mapped array leaves memory before the next."""
    for first in range(0, len(rows), count):
        yield rows[first : first + count]
        forget(rows)


def forget(rows: np.ndarray) -> None:
    """Let what was read of a mapped array leave this process's memory; it is read anew from its file if need be."""
    owner: object = rows
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)


def _list(store: Store, own: Mapping[str, object], facts: Mapping[str, object]) -> None:
    """Let an array be found by what its rows depend on. Raises OSError."""
    listed = json.loads(json.dumps(own))  # as the store gives it back, in which tuples are lists
    others = [entry for entry in _listed(store, facts) if entry != listed]
    store.put(_LIST, {"arrays": [listed, *others][:_LISTED]}, None, **facts, **_reader())


def _listed(store: Store, facts: Mapping[str, object]) -> list[dict[str, Any]]:
    entries = (store.get(_LIST, None, **facts, **_reader()) or {}).get("arrays")
    return entries if isinstance(entries, list) else []


def _reader() -> dict[str, object]:
    """What an array depends on beside what it is read from."""
    return {"code": code_hash(Path(__file__).parent, ()), "machine": platform.machine()}


def _opened(store: Store, facts: Mapping[str, object], form: Form) -> np.ndarray | None:
    file = store.open(_KIND, _NAME, **facts)
    if file is None:
        return None
    with file:
        return mapped(file, form)


def _reserve(file: IO[bytes], size_bytes: int) -> None:
    """Let a file have room for so much. Raises OSError for a full disk, before hours of reading are lost to it."""
    if size_bytes and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        except OSError as exc:
            if exc.errno in _NO_ROOM:
                raise


def _write(file: IO[bytes], form: Form, parts: Iterable[np.ndarray]) -> None:
    """A .npy file of an array. Raises ValueError for rows of another shape."""
    np.lib.format.write_array_header_2_0(
        file, {"shape": form.shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(form.dtype)}
    )
    for part in parts:
        _append(file, form, part)


def _append(file: IO[bytes], form: Form, part: np.ndarray) -> None:
    if part.shape[1:] != form.shape[1:]:
        raise ValueError(f"rows of shape {part.shape[1:]} are put behind rows of shape {form.shape[1:]}")
    file.write(np.ascontiguousarray(part, form.dtype).reshape(-1).view(np.uint8).data)


def mapped(file: IO[bytes], form: Form) -> np.ndarray:
    """The rows at the end of a file that holds nothing behind them."""
    file.flush()
    start = file.seek(0, os.SEEK_END) - form.size_bytes
    if start < 0:
        raise ValueError(f"{form.shape[0]} rows are expected, and the file holds less")
    if form.size_bytes > IN_MEMORY_BYTES:
        return np.memmap(file, form.dtype, "r", start, form.shape)
    file.seek(start)
    return np.frombuffer(bytearray(file.read()), form.dtype).reshape(form.shape)
