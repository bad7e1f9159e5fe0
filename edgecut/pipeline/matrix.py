"""The rows of a matrix, each built in a process of its own, so that one that fails or dies takes no other along."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edgecut
from edgecut.handoff.output import output_folder
from edgecut.pipeline.workers import workers
from edgecut.records.matrix import Matrix, MatrixFile, MatrixRow
from edgecut.records.progress import SILENT, Progress
from edgecut.records.report import Report

_REPORTED = (0, 1)  # exit codes of a build that wrote its bundle


@dataclass(frozen=True)
class RowTask:
    """A row to build. arguments: of `edgecut build`, but for -o. fault: why it can't be started, "" if it can."""

    name: str
    settings: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    folder: Path
    fault: str = ""


def rows_of(axes: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], ...]:
    """Every combination of the axes' values, the last axis changing quickest."""
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def row_name(settings: Mapping[str, str]) -> str:
    """What a row's folder is called."""
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", value).strip("_") or "_" for value in settings.values())


def build_rows(
    name: str,
    axes: Mapping[str, Sequence[str]],
    tasks: Sequence[RowTask],
    out: Path,
    *,
    force: bool = False,
    keep: Sequence[Path] = (),
    dask: str | None = None,
    count: int = 0,
    progress: Progress = SILENT,
) -> Matrix:
    """All rows built into folders of `out`, which also gets matrix.json and matrix.md.

    tasks: their folders are relative to `out`. keep: what `out` must not replace. dask, count: the address of a
    scheduler, or a number of processes, that build rows at the same time; their times then disturb each other.
    """
    from edgecut.render.matrix import matrix_markdown

    done: dict[str, MatrixRow] = {task.name: _failed(task, task.fault, 2) for task in tasks if task.fault}
    with output_folder(out, force, keep=keep) as folder:
        placed = [RowTask(t.name, t.settings, t.arguments, folder.absolute() / t.folder) for t in tasks if not t.fault]
        with progress.task("rows", len(placed)) as advance, workers(address=dask, count=count) as crew:
            for task, row in crew.each(build_row, placed):
                done[task.name] = row
                advance(1)
        rows = tuple(done[task.name] for task in tasks)
        matrix = Matrix(edgecut=edgecut.__version__, name=name, axes={k: tuple(v) for k, v in axes.items()}, rows=rows)
        text = json.dumps(matrix.to_dict(), indent=2, ensure_ascii=False) + "\n"
        (folder / "matrix.json").write_text(text, encoding="utf-8")
        (folder / "matrix.md").write_text(matrix_markdown(matrix), encoding="utf-8")
    return matrix


def build_row(task: RowTask) -> MatrixRow:
    """The row of one build, carried out by a new process of `edgecut build`."""
    command = [sys.executable, "-m", "edgecut", *task.arguments, "-o", str(task.folder), "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode not in _REPORTED:
        said = [line.removeprefix("edgecut: ").removeprefix("error: ") for line in done.stderr.splitlines() if line]
        how = f"the build ended by signal {-done.returncode}" if done.returncode < 0 else "the build said nothing"
        return _failed(task, said[-1] if said else how, done.returncode)
    report = Report.model_validate(json.loads((task.folder / "report.json").read_text(encoding="utf-8")))
    return MatrixRow(
        name=task.name, settings=dict(task.settings), status=report.status, code=done.returncode,
        bundle=task.folder.name, files=tuple(_file(report, artifact.name) for artifact in report.artifacts),
    )  # fmt: skip


def _failed(task: RowTask, error: str, code: int) -> MatrixRow:
    return MatrixRow(name=task.name, settings=dict(task.settings), status="failed", code=code, error=error)


def _file(report: Report, name: str) -> MatrixFile:
    artifact = next(artifact for artifact in report.artifacts if artifact.name == name)
    rows = [m for m in report.measurements if m.artifact == name and m.value is not None]
    values = {m.metric: m.value for m in reversed(rows)}
    arenas = [m.value for m in sorted(rows, key=lambda m: m.kind != "measured") if m.metric == "arena"]
    latency = {
        m.profile or m.where: m.value for m in reversed(rows) if m.metric == "latency"
    }  # the first of a profile's rows counts
    return MatrixFile(
        name=name, size_bytes=artifact.size_bytes, accuracy=values.get("accuracy"),
        arena_bytes=None if not arenas or arenas[0] is None else int(arenas[0]), latency=latency,
    )  # fmt: skip
