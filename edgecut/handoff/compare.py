"""Two builds compared: bytes, outputs, accuracy with a paired test, latency with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecut.bench.interleaved import interleave
from edgecut.bench.runners import tflm
from edgecut.errors import EdgecutError, RunError
from edgecut.handoff.differences import differences
from edgecut.handoff.fed import Fed, answers, fed
from edgecut.handoff.limits import Limit, judge_changes
from edgecut.handoff.sides import Side, fault_notes, label, pair_label, paired, read_side
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Change, ComparedMetric, Comparison, OutputChange
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Data, Preprocess
from edgecut.score.intervals import mcnemar

ROUNDS, RUNS, WARMUP = 9, 20, 5  # of the latency
_BINS = 16
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
    notes = [note for side in sides for note in fault_notes(side)]
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
        a=str(a), b=str(b), equal=equal, changes=tuple(changes), outputs=tuple(outputs), differences=different,
        verdicts=judge_changes(limits, changes), notes=tuple(notes),
    )  # fmt: skip


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
        changes += [Change(metric=metric, file=name, a=1.0, b=1.0, unit="of A", change=0.0, reason="the same bytes")
                    for metric in unknown]  # fmt: skip
        return changes, [], [f"{name}: the files are the same bytes"]
    changes.append(_latency(name, files))
    if one.outputs[0].shape != other.outputs[0].shape:
        return [*changes, *_missing(name, NOT_RUN[1:], "the files give other shapes")], [], []
    given = fed(sides, (one, other), data, progress)
    if given is None:
        return [*changes, *_missing(name, NOT_RUN[1:], "the files take other shapes; pass --data")], [], []
    try:
        found, output = _outputs(sides, (one, other), *given)
    except RunError as exc:
        return [*changes, *_missing(name, NOT_RUN[1:], str(exc))], [], []
    return [*changes, *found], [output], sorted({f"{name}: {row.assumed}" for row in given[0] if row.assumed})


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
        if (row.metric, row.artifact, row.kind) == ("arena", artifact.name, "measured") and row.value is not None:
            return row.value, ""
    if artifact.format != "tflite":
        return None, "only a .tflite file has an arena"
    try:
        return float(tflm.smallest_arena_bytes(side.folder / artifact.path).smallest_bytes), ""
    except EdgecutError as exc:
        return None, str(exc)


def _latency(name: str, files: Sequence[Path]) -> Change:
    """The change of the median time by rounds of A and B in turn, each a fresh child process."""
    try:
        wall = interleave(files[0], files[1], rounds=ROUNDS, runs=RUNS, warmup=WARMUP).wall
    except RunError as exc:
        return Change(metric="latency", file=name, a=None, b=None, unit="s", reason=str(exc))
    a, b = (float(np.median(column)) for column in (wall.first, wall.second))
    return Change(
        metric="latency", file=name, a=a, b=b, unit="s", change=wall.value - 1, low=wall.low - 1, high=wall.high - 1,
        real=wall.differs,
    )  # fmt: skip


def _outputs(
    sides: tuple[Side, Side], pair: tuple[Artifact, Artifact], given: tuple[Fed, ...], of: str
) -> tuple[list[Change], OutputChange]:
    y, z = (answers(side, file, row.values) for side, file, row in zip(sides, pair, given, strict=True))
    if y.shape != z.shape:
        raise RunError(f"the files give other shapes, {y.shape[1:]} and {z.shape[1:]}")
    name = pair_label(*pair)
    off = np.abs(y.astype(np.float64) - z.astype(np.float64))
    changed = None
    reason = next((row.why for row in given if row.why), "no labelled images; pass --data")
    changes = _missing(name, ("accuracy",), reason)
    if y.ndim == 2 and y.shape[1] > 1:
        changed = int((y.argmax(1) != z.argmax(1)).sum())
        changes.append(Change(metric="top1_changes", file=name, a=0.0, b=changed / len(y), unit="fraction",
                              change=changed / len(y), real=changed > 0))  # fmt: skip
        labels = [row.labels for row in given if row.labels is not None and int(row.labels.max()) < y.shape[1]]
        if len(labels) == 2:
            changes[0] = _accuracy(name, y.argmax(1) == labels[0], z.argmax(1) == labels[1])
    scale = pair[0].outputs[0].scale
    steps = np.rint(off / scale).astype(int).ravel() if scale else np.empty(0, int)
    bins = {str(k): int((steps == k).sum()) for k in range(_BINS + 1)} | {"more": int((steps > _BINS).sum())}
    output = OutputChange(
        file=name, inputs=len(y), of=of, max_abs_error=float(off.max(initial=0.0)), top1_changes=changed,
        histogram={key: count for key, count in bins.items() if count},
    )  # fmt: skip
    return changes, output


def _accuracy(name: str, a: np.ndarray, b: np.ndarray) -> Change:
    p = mcnemar(int((a & ~b).sum()), int((b & ~a).sum()))
    first, second = float(a.mean()), float(b.mean())
    return Change(
        metric="accuracy", file=name, a=first, b=second, unit="fraction", change=second - first, p=p, real=p < 0.05
    )
