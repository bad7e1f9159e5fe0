"""Quantize until the metric holds: cures one after the other, in the order of their cost, each measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgecut.quantize.choosing import best_of
from edgecut.quantize.corrections import EXCLUDES, ORDER, Corrected, Correction, Subject, correct
from edgecut.quantize.heads import head_place
from edgecut.quantize.judges import HeadJudge, Judge, Score
from edgecut.quantize.numbers import numbers_of
from edgecut.quantize.pairs import pair
from edgecut.quantize.swap import head_first, pooled_head
from edgecut.records.progress import SILENT, Progress
from edgecut.records.trial import Trial

HEAD = "head on the quantized body"
SWAP = "head before the pooling"


@dataclass(frozen=True, eq=False)
class Outcome:
    """The file that was chosen, and the way there.

    met: whether its drop was measured, and is within the limit on the choosing images. unjudged: why there is no drop.
    """

    content: bytes
    trials: tuple[Trial, ...]
    met: bool
    unjudged: str = ""


@dataclass(frozen=True, eq=False)
class _Attempt:
    """What is tried on top of what was kept. name: what it adds, "" for nothing. cure: of the body, if it is one."""

    name: str
    subject: Subject
    judge: Judge
    cure: Correction | None = None


@dataclass(frozen=True, eq=False)
class _Tried:
    attempt: _Attempt
    corrected: Corrected
    score: Score
    trial: Trial


def until(subject: Subject, judge: Judge, limit: float, *, progress: Progress = SILENT) -> Outcome:
    """The first set of cures whose drop, and two standard errors, are within the limit; the best known if none is.

    Where no labels judge it, the first whose decisions differ from the float model's no more often than that.

    First the converter's own file, then, for a fitted head, the head on the quantized body, then the cures of
    cures.ORDER, each on top of those that were kept, and last the head moved before the pooling, which costs up to 4 %
    more multiply-accumulates. A cure is kept if it brings the outputs nearer to the float model's (in the SQNR of
    what varies, which sees more than a count of hits); the others are reported, too. Which file of all is chosen,
    choosing.py says: none that loses more than a simpler one. Size and types of all operators stay.
    """
    best: _Tried | None = None
    tried: list[_Tried] = []
    with progress.task("cures", len(ORDER) + 3) as advance:
        for attempt in _attempts(subject, judge):
            found = _try(attempt, best)
            tried.append(found)
            best = found if found.trial.kept else best
            advance(1)
            if found.trial.kept and found.score.is_near(limit):
                break
    chosen = tried[best_of([x.score for x in tried], limit)]
    content = chosen.attempt.judge.finish(chosen.attempt.subject.file_pair, chosen.corrected)
    trials = tuple(x.trial.model_copy(update={"chosen": x is chosen}) for x in tried)
    return Outcome(content, trials, chosen.score.meets(limit), chosen.score.unjudged)


def swapped(subject: Subject) -> Subject | None:
    """The same model with its pooled head in front of the pooling; None where it has none, or that would cost much."""
    file_pair = subject.file_pair
    if pooled_head(file_pair.graph) is None or pooled_head(file_pair.float_graph) is None:
        return None
    return replace(subject, file_pair=pair(head_first(file_pair.int8), head_first(file_pair.float32)))


def _attempts(subject: Subject, judge: Judge) -> Iterator[_Attempt]:
    if isinstance(judge, HeadJudge):
        yield _Attempt("", subject, replace(judge, fitted=False))
        yield _Attempt(HEAD, subject, judge)
    else:
        yield _Attempt("", subject, judge)
    yield from (_Attempt(cure, subject, judge, cure) for cure in ORDER)
    other = swapped(subject)
    if other is not None:
        yield _Attempt(SWAP, other, judge)


def _try(attempt: _Attempt, best: _Tried | None) -> _Tried:
    begin = time.perf_counter()
    cures = _joined(best, attempt.cure)
    file_pair = attempt.subject.file_pair
    corrected = correct(attempt.subject, cures) if cures else Corrected(cures, numbers_of(file_pair))
    score = attempt.judge.measure(file_pair, corrected)
    kept = best is None or score.sqnr_varying > best.score.sqnr_varying
    trial = Trial(
        cures=_names(attempt, cures),
        accuracy=score.accuracy,
        drop=score.drop,
        drop_error=score.drop_error,
        drop_by_scores=None if score.by_scores is None else score.by_scores.value,
        agreement=score.agreement,
        sqnr=score.sqnr,
        sqnr_varying=score.sqnr_varying,
        gained=_gained(score, best),
        images=score.images,
        size_bytes=len(file_pair.int8),
        seconds=round(time.perf_counter() - begin, 2),
        kept=kept,
        note="" if kept else f"{attempt.name} brings the scores no nearer to the float model's",
    )
    return _Tried(attempt, corrected, score, trial)


def _joined(best: _Tried | None, wanted: Correction | None) -> frozenset[Correction]:
    kept: frozenset[Correction] = best.corrected.cures if best is not None else frozenset()
    return kept if wanted is None else (kept - EXCLUDES.get(wanted, frozenset())) | {wanted}


def _names(attempt: _Attempt, cures: frozenset[Correction]) -> tuple[str, ...]:
    judge, head = attempt.judge, []
    if isinstance(judge, HeadJudge) and judge.fitted:
        place = head_place(attempt.subject.file_pair.graph, judge.float_head.features.shape[1])
        head = [HEAD, *([SWAP] if place is not None and place.before else [])]
    elif attempt.name == SWAP:
        head = [SWAP]
    return (*head, *(cure for cure in ORDER if cure in cures))


def _gained(score: Score, best: _Tried | None) -> float | None:
    """How much less is lost than before: of the accuracy, of the agreement where no labels judge it."""
    if best is None:
        return None
    if score.drop is not None and best.score.drop is not None:
        return best.score.drop - score.drop
    if score.agreement is None or best.score.agreement is None:
        return None
    return score.agreement - best.score.agreement
