"""The inputs of a search scored: passes, probes, then what each cut costs; all in parts that anybody can do."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, cast

from edgecut.search.inputs import Workbench
from edgecut.search.parts import (
    Edit,
    Pass,
    Passed,
    Probe,
    drop_input,
    has_targets,
    known_pass,
    known_score,
)
from edgecut.search.passes import Probes, to_refit
from edgecut.search.request import PART
from edgecut.search.tasks import NOTHING_SWEPT, Answer, Scored, Scoring, Task

Step = Edit | Pass | Probe | Scoring
_STAGES: dict[type, int] = {Edit: 0, Pass: 1, Probe: 2, Scoring: 4}


class Each(Protocol):
    """Somebody who does tasks, in any order."""

    def __call__(self, tasks: Iterable[Task | None]) -> Iterator[tuple[Task, Answer]]:
        """Each task with its answer; None among them says that nothing may begin before one that runs is done."""


def score_inputs(
    bench: Workbench, each: Each, tasks: Sequence[Scoring], in_time: Callable[[Pass], bool] = lambda _: True
) -> Iterator[tuple[Scoring, Scored]]:
    """The answer of each input, as it is there; none for one of which a pass wasn't begun in time.

    Parts and scores are kept in the store until an input is done, so that what was lost half-way goes on from there.
    Of what can begin, that begins which most has to wait for: edits, passes, cheap probes, exact ones, scorings; and of
    probes the wider ones, which take longer.
    """
    agenda = _Agenda([_Input(bench, task) for task in tasks], in_time)
    with bench.progress.task("parts and probes") as advance:
        for task, answer in each(agenda.tasks()):
            scored = agenda.answered(cast("Step", task), answer)
            advance(1)
            if scored is not None:
                yield scored
                agenda.forget(scored[0])


class _Agenda:
    """What can begin, and what runs."""

    def __init__(self, inputs: Sequence[_Input], in_time: Callable[[Pass], bool]) -> None:
        self._inputs = {(x.task.size, x.task.channels): (place, x) for place, x in enumerate(inputs)}
        self._in_time, self._running = in_time, 0
        self._ready: list[tuple[tuple[int, int, int], int, Step]] = []
        self._numbers = itertools.count()  # of those that are alike the first begins
        for x in inputs:
            self._add(x.begin())

    def tasks(self) -> Iterator[Task | None]:
        """The next that may begin; None while all wait for one that runs."""
        while self._ready or self._running:
            task = heapq.heappop(self._ready)[2] if self._ready else None
            if isinstance(task, Pass) and not self._in_time(task):
                continue
            self._running += task is not None
            yield task

    def answered(self, task: Step, answer: Answer) -> tuple[Scoring, Scored] | None:
        """What is known of an input with this answer, if that is all."""
        self._running -= 1
        known = self._of(task)
        if isinstance(task, Scoring):
            return known.task, cast("Scored", answer)
        if isinstance(task, Edit) and isinstance(answer, str) and answer:
            return known.task, Scored(NOTHING_SWEPT, {"points": []}, answer)
        self._add(known.after(task, answer))
        return None

    def forget(self, task: Scoring) -> None:
        """Remove what is kept of an input that is done."""
        self._of(task).forget()

    def _of(self, task: Step) -> _Input:
        return self._inputs[task.size, task.channels][1]

    def _add(self, tasks: Sequence[Step]) -> None:
        for task in tasks:
            width, exact = (task.width, task.exact) if isinstance(task, Probe) else (0, False)
            stage = _STAGES[type(task)] + exact
            place = self._inputs[task.size, task.channels][0]
            heapq.heappush(self._ready, ((stage, place, -width), next(self._numbers), task))


class _Input:
    """What is known of an input. cheap, exact: scores of distinct cuts."""

    def __init__(self, bench: Workbench, task: Scoring) -> None:
        self.task = task
        self._bench, self._store = bench, bench.store
        self._passes = [Pass(task.size, task.channels, first) for first in range(0, bench.count, PART)]
        self._parts: dict[Pass, Passed] = {}
        self._cheap: dict[int, float] = {}
        self._exact: dict[int, float] = {}
        self._probes: list[Probe] = []

    def begin(self) -> Sequence[Step]:
        """What isn't known yet and can begin."""
        # A search in one process, and one that ended between the two, leave a part without its targets.
        taught = [part for part in self._passes if not self._bench.teaches or has_targets(self._store, part.first)]
        known = {part: known_pass(self._store, part) for part in taught}
        self._parts = {part: passed for part, passed in known.items() if passed is not None}
        if self._missing and not self._bench.has_body(self.task.size, self.task.channels):
            return [Edit(self.task.size, self.task.channels)]
        return self._missing or self._next()

    @property
    def _missing(self) -> Sequence[Pass]:
        return [part for part in self._passes if part not in self._parts]

    def after(self, task: Edit | Pass | Probe, answer: Answer) -> Sequence[Step]:
        """What can begin with this answer."""
        if isinstance(task, Edit):
            return self._missing
        if isinstance(task, Pass):
            self._parts[task] = cast("Passed", answer)
            return self._next() if len(self._parts) == len(self._passes) else ()
        (self._exact if task.exact else self._cheap)[task.cut] = cast("float", answer)
        waits = len(self._exact if task.exact else self._cheap) < sum(x.exact == task.exact for x in self._probes)
        return () if waits else self._next()

    def forget(self) -> None:
        """Remove what is kept for going on."""
        drop_input(self._store, self._passes, self._probes)
        self._bench.drop_body(self.task.size, self.task.channels)

    def _next(self) -> Sequence[Step]:
        """The tasks of the next stage, of which at least one isn't known yet."""
        columns = self._parts[self._passes[0]].columns
        if len(self._cheap) < len(columns.distinct):
            return self._begun(columns.distinct, exact=False) or self._next()
        exact = to_refit(columns, self._cheap)
        if len(self._exact) < len(exact):
            return self._begun(exact, exact=True) or self._next()
        return [replace(self.task, probes=self._said())]

    def _begun(self, cuts: Sequence[int], *, exact: bool) -> Sequence[Step]:
        """The probes of a stage whose scores aren't there from an earlier search."""
        widths, scores = self._parts[self._passes[0]].columns.widths, self._exact if exact else self._cheap
        probes = [Probe(self.task.size, self.task.channels, cut, widths[cut], exact) for cut in cuts]
        self._probes += probes
        for task in probes:
            if (score := known_score(self._store, task)) is not None:
                scores[task.cut] = score
        return [task for task in probes if task.cut not in scores]

    def _said(self) -> Probes:
        """What is known of every cut."""
        first = self._parts[self._passes[0]]
        same = first.columns.same
        exact = {k: self._exact[cut] for k, cut in enumerate(same) if cut in self._exact}
        return Probes(tuple(self._cheap[cut] for cut in same), exact, first.alike)
