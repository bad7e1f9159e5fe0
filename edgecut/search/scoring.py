"""The inputs of a search scored: passes, probes, then what each cut costs; all in parts that anybody can do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Protocol, TypedDict, TypeVar, cast

import numpy as np

from edgecut.cache.store import Store
from edgecut.images.mapped import Form, mapped
from edgecut.search.inputs import Workbench
from edgecut.search.passes import Columns, Pass, Passed, Probe, Probes, features_of, pass_part, probe, to_refit
from edgecut.search.request import PART
from edgecut.search.sweep import probe_targets
from edgecut.search.tasks import NOTHING_SWEPT, Scored, Scoring, score_cuts

T = TypeVar("T")
A = TypeVar("A")
_KIND, _NAME = "pass", "features.npy"


class Each(Protocol):
    """Somebody who does tasks, in any order."""

    def __call__(self, function: Callable[[Workbench, T], A], tasks: Iterable[T]) -> Iterator[tuple[T, A]]:
        """Each task with its answer."""


class Part(TypedDict):
    """What is kept of a pass beside its features."""

    count: int
    alike: list[float]
    widths: list[int]
    same: list[int]
    macs: list[int | None]


Parts = dict[int, tuple[Part, np.ndarray]]
"""{the first image: what is known of a part, and its features}."""


def score_inputs(
    bench: Workbench, store: Store, each: Each, tasks: Sequence[Scoring]
) -> Iterator[tuple[Scoring, Scored]]:
    """The answer of each input, as it is there; none for one of which not all images were looked at in time.

    store: where parts are kept until an input is done, so that what was lost half-way goes on from there.
    """
    passed = {task: _kept(bench, store, task) for task in tasks}
    left_out: dict[Scoring, str] = {}
    inputs = {(task.size, task.channels): task for task in tasks}

    def passes() -> Iterator[Pass]:
        for task, parts in passed.items():
            for first in range(0, len(bench.training_labels(task.size, task.channels)), PART):
                if first not in parts and task not in left_out:
                    yield Pass(task.size, task.channels, first)

    for one, answer in each(pass_part, passes()):
        task = inputs[one.size, one.channels]
        if answer.left_out:
            left_out[task] = answer.left_out
        else:
            passed[task][one.first] = _put(store, one, answer)
    for task, why in left_out.items():
        yield task, Scored(NOTHING_SWEPT, {"points": []}, why)
    ready = {
        (task.size, task.channels): _Ready(bench, task, [parts[first] for first in sorted(parts)])
        for task, parts in passed.items()
        if task not in left_out and _is_whole(bench, task, parts)
    }
    with bench.progress.task("probes", sum(x.count for x in ready.values())) as advance:
        for cheap, score in each(probe, itertools.chain.from_iterable(x.cheap_probes() for x in ready.values())):
            ready[cheap.size, cheap.channels].cheap[cheap.cut] = score
            advance(1)
    with bench.progress.task("exact probes"):
        for exact, score in each(probe, itertools.chain.from_iterable(x.exact_probes() for x in ready.values())):
            ready[exact.size, exact.channels].exact[exact.cut] = score
    for known, found in each(score_cuts, [replace(x.task, probes=x.probes()) for x in ready.values()]):
        yield replace(known, probes=None), found
        for first in passed.pop(replace(known, probes=None)):
            store.drop(_KIND, **asdict(Pass(known.size, known.channels, first)))


class _Ready:
    """An input whose images all went through the model. cheap, exact: scores of distinct cuts, as they come."""

    def __init__(self, bench: Workbench, task: Scoring, parts: Sequence[tuple[Part, np.ndarray]]) -> None:
        self.task, self.cheap, self.exact = task, dict[int, float](), dict[int, float]()
        first = parts[0][0]
        self._alike = tuple(first["alike"])
        self._columns = Columns(tuple(first["widths"]), tuple(first["same"]), tuple(first["macs"]))
        self._parts = [(part["count"], features) for part, features in parts]
        self._targets = probe_targets(bench.training_labels(task.size, task.channels))
        self._outputs = bench.outputs(task.size, task.channels)

    @property
    def count(self) -> int:
        """How many cheap probes there are."""
        return len(self._columns.distinct)

    def cheap_probes(self) -> Iterator[Probe]:
        return (self._probe(cut, exact=False) for cut in self._columns.distinct)

    def exact_probes(self) -> Iterator[Probe]:
        return (self._probe(cut, exact=True) for cut in to_refit(self._columns, self.cheap))

    def probes(self) -> Probes:
        """What is known of every cut."""
        same = self._columns.same
        exact = {k: self.exact[first] for k, first in enumerate(same) if first in self.exact}
        return Probes(tuple(self.cheap[first] for first in same), exact, self._alike)

    def _probe(self, cut: int, *, exact: bool) -> Probe:
        features = features_of(self._columns, self._parts, cut)
        return Probe(self.task.size, self.task.channels, cut, exact, features, self._targets, self._outputs)


def _is_whole(bench: Workbench, task: Scoring, parts: Parts) -> bool:
    return sum(part["count"] for part, _ in parts.values()) == len(bench.training_labels(task.size, task.channels))


def _kept(bench: Workbench, store: Store, task: Scoring) -> Parts:
    parts: Parts = {}
    for first in range(0, len(bench.training_labels(task.size, task.channels)), PART):
        facts = asdict(Pass(task.size, task.channels, first))
        part = cast("Part | None", store.get(_KIND, **facts))
        features = None if part is None else _features(store, part, facts)
        if part is not None and features is not None:
            parts[first] = part, features
    return parts


def _put(store: Store, task: Pass, passed: Passed) -> tuple[Part, np.ndarray]:
    columns, facts = passed.columns, asdict(task)
    part: Part = {
        "count": passed.count,
        "alike": list(passed.alike),
        "widths": list(columns.widths),
        "same": list(columns.same),
        "macs": list(columns.macs),
    }
    with store.scratch() as folder:
        np.save(folder / _NAME, passed.features)
        store.put(_KIND, part, {_NAME: folder / _NAME}, **facts)
    features = _features(store, part, facts)
    return part, passed.features if features is None else features


def _features(store: Store, part: Part, facts: dict[str, object]) -> np.ndarray | None:
    file = store.open(_KIND, _NAME, **facts)
    if file is None:
        return None
    widths = [part["widths"][k] for k in dict.fromkeys(part["same"])]
    with file:
        return mapped(file, Form((part["count"] * sum(widths),), np.dtype(np.float32)))
