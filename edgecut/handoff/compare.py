"""Two builds compared: bytes, outputs, accuracy with a paired test, latency with an interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgecut.bench.interleaved import ROUNDS, Turns, interleave
from edgecut.bench.runners import tflm
from edgecut.errors import EdgecutError, RunError
from edgecut.handoff.builds import Side, fault_notes, label, pair_label, paired, read_side
from edgecut.handoff.differences import differences
from edgecut.handoff.limits import Limit, judge_changes
from edgecut.handoff.stimuli import Fed, fed, outputs_of
from edgecut.handoff.thresholds import answers_of, chosen_words, decisions_of
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Change, ComparedMetric, Comparison, OutputChange
from edgecut.records.measurement import Metric
from edgecut.records.operating import DEFAULT
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Data, Preprocess
from edgecut.score.answer import Answer, one_judged
from edgecut.score.distance import max_abs_error
from edgecut.score.intervals import mcnemar

_BINS = 16
_CHANGED: dict[Metric, ComparedMetric] = {
    "top1_agreement": "top1_changes",
    "tag_agreement": "tag_changes",
    "pixel_agreement": "pixel_changes",
}
# What is known without running files of equal bytes.
NOT_RUN: tuple[ComparedMetric, ...] = ("latency", "accuracy", "top1_changes")
METRICS: tuple[ComparedMetric, ...] = ("size", "flash", "arena", *NOT_RUN)
_ALIGNMENT = 16  # of the array in C


def compare(
    a: Path,
    b: Path,
    *,
    data: str | Data | None = None,
    limits: Sequence[Limit] = (),
    preprocess: Preprocess = "none",
    progress: Progress = SILENT,
) -> Comparison:
    """What differs between two bundles or model files, and which limits that misses.

    data: labelled images (class folders, an .npz, or a recipe's data) whose validation part decides accuracy and
    outputs; without them outputs are compared on seeded noise. preprocess: for single files. Files of equal bytes are
    not run: all is equal. A bundle whose files aren't as its documents say is equal to none, and compared as it is.
    Raises RequestError, SourceError or DataError for what can't be read.
    """
    sides = read_side(a, preprocess), read_side(b, preprocess)
    pairs = paired(*sides)
    changes: list[Change] = []
    outputs: list[OutputChange] = []
    notes = [note for side in sides for note in fault_notes(side, "compared")]
    notes += [] if pairs else ["no file of the one side has the format and precision of one on the other"]
    with progress.task("comparing", len(pairs)) as advance:
        for one, other in pairs:
            found, output, said = _pair(sides, one, other, data, progress)
            changes += found
            outputs += output
            notes += said
            advance(1)
    answered = {one.path for one, _ in pairs}
    for artifact in (x for x in sides[0].artifacts if x.path not in answered):
        changes += _missing(label(artifact), METRICS, "B has no such file")
    different = differences(*sides)
    equal = bool(pairs) and not different and not any(change.real for change in changes)
    equal = equal and not any(row.max_abs_error for row in outputs) and not any(side.faults for side in sides)
    return Comparison(
        a=str(a),
        b=str(b),
        equal=equal,
        changes=tuple(changes),
        outputs=tuple(outputs),
        differences=different,
        verdicts=judge_changes(limits, changes),
        notes=tuple(notes),
    )


def _pair(
    sides: tuple[Side, Side], one: Artifact, other: Artifact, data: str | Data | None, progress: Progress
) -> tuple[list[Change], list[OutputChange], list[str]]:
    """(changes, outputs, notes) of two files."""
    name, same = pair_label(one, other), one.sha256 == other.sha256
    files = [side.folder / artifact.path for side, artifact in zip(sides, (one, other), strict=True)]
    arenas = [_arena(side, artifact) for side, artifact in zip(sides, (one, other), strict=True)]
    reason = next((why for value, why in arenas if value is None), "")
    changes = [
        _counted("size", name, float(one.size_bytes), float(other.size_bytes), ""),
        _counted("flash", name, _flash(one), _flash(other), "only a .tflite file is an array in C"),
        _counted("arena", name, arenas[0][0], arenas[1][0], reason),
    ]
    if same:
        # What can't be had of a file is the same of an equal one, too.
        unknown = [*(change.metric for change in changes if change.change is None), *NOT_RUN]
        changes = [change for change in changes if change.change is not None]
        changes += [
            Change(metric=metric, file=name, a=1.0, b=1.0, unit="of A", change=0.0, reason="the same bytes")
            for metric in unknown
        ]
        return changes, [], [f"{name}: the files are the same bytes"]
    changes.append(_latency(name, files, progress))
    if [x.shape for x in one.outputs] != [x.shape for x in other.outputs]:
        return [*changes, *_missing(name, NOT_RUN[1:], "the files give other shapes")], [], []
    given = fed(sides, (one, other), data, progress)
    if given is None:
        return [*changes, *_missing(name, NOT_RUN[1:], "the files take other shapes; pass --data")], [], []
    try:
        found, rows = _outputs(sides, (one, other), *given)
    except RunError as exc:
        return [*changes, *_missing(name, NOT_RUN[1:], str(exc))], [], []
    notes = sorted({f"{name}: {row.assumed}" for row in given[0] if row.assumed})
    return [*changes, *found], rows, [*notes, *_threshold_notes(sides, (one, other), judged=data is not None)]


def _missing(file: str, metrics: Sequence[ComparedMetric], reason: str) -> list[Change]:
    return [Change(metric=metric, file=file, a=None, b=None, unit="", reason=reason) for metric in metrics]


def _counted(metric: ComparedMetric, file: str, a: float | None, b: float | None, reason: str) -> Change:
    if a is None or b is None:
        return Change(metric=metric, file=file, a=a, b=b, unit="bytes", reason=reason)
    return Change(metric=metric, file=file, a=a, b=b, unit="bytes", change=(b - a) / a if a else None, real=a != b)


def _flash(artifact: Artifact) -> float | None:
    return float(-(-artifact.size_bytes // _ALIGNMENT) * _ALIGNMENT) if artifact.format == "tflite" else None


def _arena(side: Side, artifact: Artifact) -> tuple[float | None, str]:
    """(bytes, why there are none): as the report of a sound bundle has them measured, else by the interpreter here."""
    rows = side.report.measurements if side.report is not None and not side.faults else ()
    for row in rows:
        is_arena = (row.metric, row.artifact, row.kind) == ("arena", artifact.name, "measured")
        if is_arena and not row.of_c and row.value is not None:
            return row.value, ""
    if artifact.format != "tflite":
        return None, "only a .tflite file has an arena"
    try:
        return float(tflm.smallest_arena_bytes(side.folder / artifact.path).smallest_bytes), ""
    except EdgecutError as exc:
        return None, str(exc)


def _latency(name: str, files: Sequence[Path], progress: Progress) -> Change:
    """The change of the median time by rounds of A and B in turn, each a fresh child process."""
    try:
        with progress.task(f"timing {name}", ROUNDS) as advance:
            wall = interleave(files[0], files[1], Turns(rounds=ROUNDS), advance=advance).wall
    except RunError as exc:
        return Change(metric="latency", file=name, a=None, b=None, unit="s", reason=str(exc))
    a, b = (float(np.median(column)) for column in (wall.first, wall.second))
    return Change(
        metric="latency",
        file=name,
        a=a,
        b=b,
        unit="s",
        change=wall.value - 1,
        low=wall.low - 1,
        high=wall.high - 1,
        real=wall.differs,
    )


def _outputs(
    sides: tuple[Side, Side], pair: tuple[Artifact, Artifact], given: tuple[Fed, ...], of: str
) -> tuple[list[Change], list[OutputChange]]:
    """What differs between the outputs of two files, each judged as what it answers."""
    ours, theirs = (outputs_of(side, file, row.values) for side, file, row in zip(sides, pair, given, strict=True))
    if [y.shape for y in ours] != [z.shape for z in theirs]:
        shapes = [", ".join(str(y.shape[1:]) for y in outputs) for outputs in (ours, theirs)]
        raise RunError(f"the files give other shapes, {shapes[0]} and {shapes[1]}")
    changes: list[Change] = []
    rows: list[OutputChange] = []
    answers = one_judged(answers_of(sides[0], pair[0], ours, given[0].labels))
    others = one_judged(answers_of(sides[1], pair[1], theirs, given[1].labels))
    for k, (answer, y, z) in enumerate(zip(answers, ours, theirs, strict=True)):
        name = pair_label(*pair) + (f", output {k}" if len(ours) > 1 else "")
        other = others[k] if _decides_as(answer, others[k]) else answer
        decided = answer.decisions(y), other.decisions(z)
        different = None if decided[0] is None or decided[1] is None else decided[0] != decided[1]
        changes.append(_accuracy(name, (answer, other), (y, z), given))
        if different is not None and answer.agreement_metric is not None:
            share = float(different.mean())
            metric = _CHANGED[answer.agreement_metric]
            changes.append(
                Change(metric=metric, file=name, a=0.0, b=share, unit="fraction", change=share, real=share > 0)
            )
        scale = pair[0].outputs[k].scale
        rows.append(_output_change(name, of, y, z, None if different is None else int(different.any(1).sum()), scale))
    return changes, rows


def _decides_as(one: Answer, other: Answer) -> bool:
    """Whether the decisions of two files can be held against each other, each at its own threshold."""
    return one.threshold is not None and other.threshold is not None


def _threshold_notes(sides: tuple[Side, Side], pair: tuple[Artifact, Artifact], *, judged: bool) -> Iterator[str]:
    """The thresholds that bundles say, and that what chose them may be among what judges here."""
    for name, side, artifact in zip("AB", sides, pair, strict=True):
        for decision in decisions_of(side, artifact):
            if decision.rule != DEFAULT:
                mixed = "; some of these may be among the samples here" if judged and decision.chosen_on else ""
                yield f"{label(artifact)}: {name}: {chosen_words(decision)}{mixed}"


def _output_change(
    name: str, of: str, y: np.ndarray, z: np.ndarray, changed: int | None, scale: float | None
) -> OutputChange:
    off = np.abs(y.astype(np.float64) - z.astype(np.float64))
    steps = np.rint(off / scale).astype(int).ravel() if scale else np.empty(0, int)
    bins = {str(k): int((steps == k).sum()) for k in range(_BINS + 1)} | {"more": int((steps > _BINS).sum())}
    return OutputChange(
        file=name,
        inputs=len(y),
        of=of,
        max_abs_error=max_abs_error(y, z),
        top1_changes=changed,
        histogram={key: count for key, count in bins.items() if count},
    )


def _accuracy(
    name: str, answers: tuple[Answer, Answer], outputs: tuple[np.ndarray, np.ndarray], given: Sequence[Fed]
) -> Change:
    """The change of accuracy of one output with its paired test, or why there is none."""
    first, second = (row.labels for row in given)
    if first is None or second is None:
        reason = next((row.why for row in given if row.why), "no labelled data; pass --data")
        return _missing(name, ("accuracy",), reason)[0]
    answer, its = answers
    if answer.metric is None:
        return _missing(name, ("accuracy",), answer.unjudged)[0]
    a, b = answer.hits(outputs[0], first), its.hits(outputs[1], second)
    if a is None or b is None:
        return _missing(name, ("accuracy",), f"{answer.kind} are neither right nor wrong")[0]
    p = mcnemar(int((a & ~b).sum()), int((b & ~a).sum()))
    one, other = float(a.mean()), float(b.mean())
    return Change(metric="accuracy", file=name, a=one, b=other, unit="fraction", change=other - one, p=p, real=p < 0.05)
