"""What a forward pass leaves for the probes, in the store that all workers share: a file for each cut of each part."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np

from edgecut.cache.store import Store
from edgecut.errors import RunError
from edgecut.images.mapped import Form, gathered, mapped
from edgecut.search.request import PART, Size

_PASS, _PROBE, _TARGETS = "pass", "probe", "targets"
_ROWS = "rows"


@dataclass(frozen=True)
class Edit:
    """The source edited to take the images of one input."""

    size: Size | None
    channels: int | None


@dataclass(frozen=True)
class Pass:
    """The images from `first` on, PART of them, through the whole model of one input."""

    size: Size | None
    channels: int | None
    first: int


@dataclass(frozen=True)
class Probe:
    """A linear head on the features of a cut, (n, width): on all of them, or on a projection."""

    size: Size | None
    channels: int | None
    cut: int
    width: int
    exact: bool


@dataclass(frozen=True)
class Columns:
    """What the features of a model are of: for each cut the width, the first cut that says the same, and the MACs."""

    widths: tuple[int, ...]
    same: tuple[int, ...]
    macs: tuple[int | None, ...]

    @property
    def distinct(self) -> tuple[int, ...]:
        """The cuts whose features are kept; the others say the same as one of them."""
        return tuple(dict.fromkeys(self.same))


@dataclass(frozen=True)
class Passed:
    """What is known of a part beside its features.

    alike: of each cut, how alike its features and the final ones are; of the first part alone.
    """

    columns: Columns
    alike: tuple[float, ...] = ()


def put_pass(store: Store, task: Pass, passed: Passed, features: Mapping[int, np.ndarray]) -> None:
    """Keep a part. features: of each distinct cut, (count, width), float32."""
    _put(store, _PASS, asdict(task), asdict(passed), {str(cut): rows for cut, rows in features.items()})


def known_pass(store: Store, task: Pass) -> Passed | None:
    """A part that is there with all its files, which are read for it; None for one that is to be made."""
    document = store.get(_PASS, **asdict(task))
    if document is None:
        return None
    columns = cast("Mapping[str, Sequence[int]]", document["columns"])
    passed = Passed(
        Columns(*(tuple(columns[name]) for name in ("widths", "same", "macs"))),
        tuple(cast("Sequence[float]", document["alike"])),
    )
    for cut in passed.columns.distinct:
        file = store.open(_PASS, str(cut), **asdict(task))
        if file is None:
            return None
        file.close()
    return passed


def features_of(store: Store, task: Probe, count: int) -> np.ndarray:
    """The features that a probe is put on, of all `count` images, (count, width) float32; many lie in a file.

    Raises RunError where a part isn't there any more.
    """

    def parts() -> Iterator[np.ndarray]:
        for first in range(0, count, PART):
            facts = asdict(Pass(task.size, task.channels, first))
            yield _rows(store, _PASS, str(task.cut), facts, Form((min(PART, count - first), task.width), _FLOAT32))

    return gathered(Form((count, task.width), _FLOAT32), parts())


def put_targets(store: Store, first: int, targets: np.ndarray) -> None:
    """Keep what the images from `first` on are to say, (count, outputs) float32."""
    _put(store, _TARGETS, {"first": first}, {}, {_ROWS: targets})


def has_targets(store: Store, first: int) -> bool:
    """Whether they are there, with their file, which is read for it."""
    file = store.open(_TARGETS, _ROWS, first=first)
    if file is None:
        return False
    file.close()
    return True


def targets_of(store: Store, count: int, outputs: int) -> np.ndarray:
    """What all `count` images are to say, (count, outputs) float32; many lie in a file. Raises RunError."""
    parts = (
        _rows(store, _TARGETS, _ROWS, {"first": first}, Form((min(PART, count - first), outputs), _FLOAT32))
        for first in range(0, count, PART)
    )
    return gathered(Form((count, outputs), _FLOAT32), parts)


def put_score(store: Store, task: Probe, score: float) -> None:
    """Keep what a probe said."""
    store.put(_PROBE, {"score": score}, None, **asdict(task))


def known_score(store: Store, task: Probe) -> float | None:
    """What a probe said, None for one that is to be made."""
    document = store.get(_PROBE, **asdict(task))
    return None if document is None else cast("float", document["score"])


def drop_input(store: Store, passes: Sequence[Pass], probes: Sequence[Probe]) -> None:
    """Remove what an input that is done has left."""
    for part in passes:
        store.drop(_PASS, **asdict(part))
    for probe in probes:
        store.drop(_PROBE, **asdict(probe))


def drop_targets(store: Store, count: int) -> None:
    """Remove the targets, when all inputs are done."""
    for first in range(0, count, PART):
        store.drop(_TARGETS, first=first)


def has_mark(store: Store, mark: str) -> bool:
    """Whether the process that put a mark has the same store."""
    return store.get("mark", mark=mark) is not None


@contextlib.contextmanager
def marked(store: Store, mark: str) -> Iterator[None]:
    """A store with a mark, by which workers see whether theirs is the same."""
    store.put("mark", {}, None, mark=mark)
    try:
        yield
    finally:
        store.forget("mark", mark=mark)


_FLOAT32 = np.dtype(np.float32)


def _put(
    store: Store,
    kind: str,
    facts: dict[str, object],
    document: Mapping[str, object],
    arrays: Mapping[str, np.ndarray],
) -> None:
    with store.scratch() as folder:
        files = {name: folder / name for name in arrays}
        for name, rows in arrays.items():
            _write(files[name], [kind, facts, name], rows)
        store.put(kind, document, files, **facts)


def _write(path: Path, what: object, rows: np.ndarray) -> None:
    """The rows behind a line that says what they are: the store holds equal files once, and drops them with either."""
    with path.open("wb") as file:
        file.write(f"{json.dumps(what)}\n".encode())
        file.write(np.ascontiguousarray(rows, _FLOAT32).reshape(-1).view(np.uint8).data)


def _rows(store: Store, kind: str, name: str, facts: dict[str, object], form: Form) -> np.ndarray:
    file = store.open(kind, name, **facts)
    if file is None:
        raise RunError(
            f"search: {store.folder} has lost the {kind} of images {facts['first']} to "
            f"{int(str(facts['first'])) + form.shape[0] - 1}; run the same command again, which makes it anew"
        )
    with file:
        return mapped(file, form)
