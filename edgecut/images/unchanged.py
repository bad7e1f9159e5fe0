"""Pictures that were decoded for an earlier array, and whose files haven't changed: taken from there."""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgecut.cache.store import Store
from edgecut.images.mapped import earlier, forget

_STATE_BYTES = 16
# As cache/hashes.py has it: a file that changed so shortly ago may change again and keep its time.
_RACY_NS = 2_000_000_000
_AT_ONCE = 256

Decode = Callable[[Sequence[Path]], Iterable[np.ndarray]]


def states_of(files: Sequence[Path]) -> np.ndarray:
    """A hash of each file's place, size and times: (n, 16), uint8; zeros where it changed a moment ago, or is none."""
    states, now = np.zeros((len(files), _STATE_BYTES), np.uint8), time.time_ns()
    for row, path in zip(states, files, strict=True):
        try:
            s = os.stat(path)
        except OSError:  # decoding says it
            continue
        if max(s.st_mtime_ns, s.st_ctime_ns) < now - _RACY_NS:
            text = f"{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino} {s.st_dev} ".encode()
            digest = hashlib.blake2b(text + os.fsencode(os.path.abspath(path)), digest_size=_STATE_BYTES)
            row[:] = np.frombuffer(digest.digest(), np.uint8)
    return states


def with_unchanged(
    files: Sequence[Path], states: np.ndarray, store: Store, facts: Mapping[str, object], decode: Decode
) -> Iterator[np.ndarray]:
    """The pictures of files in order, some at a time, of which only those are decoded that no earlier array has.

    states: of the files (states_of). decode: some files in order -> their pictures in parts; what it raises comes last.
    """
    arrays = [*earlier(store, facts)]
    places = {
        state.tobytes(): (array, row) for known, array in arrays for row, state in enumerate(known) if state.any()
    }
    of_file = [places.get(state.tobytes()) for state in states]
    new = [path for path, place in zip(files, of_file, strict=True) if place is None]
    if len(new) == len(files):
        yield from decode(files)
        return
    rows = itertools.chain.from_iterable(decode(new))
    for first in range(0, len(files), _AT_ONCE):
        some = of_file[first : first + _AT_ONCE]
        yield np.stack([next(rows) if place is None else place[0][place[1]] for place in some])
        for _, array in arrays:
            forget(array)
    for _ in rows:  # to its end, where it says what can't be decoded
        pass
