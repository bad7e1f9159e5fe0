"""The rows of a matrix, each built in a process of its own, so that one that fails or dies takes no other along."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgecut.bench.runners.remote import end_with_parent
from edgecut.handoff.output import output_folder
from edgecut.pipeline.workers import HERE, Spread, workers
from edgecut.records.artifact import Artifact
from edgecut.records.device_figures import answer
from edgecut.records.matrix import CellState, Matrix, MatrixCell, MatrixFile, MatrixRow
from edgecut.records.precision import taken_by
from edgecut.records.profile import Profile
from edgecut.records.progress import SILENT, Progress
from edgecut.records.report import Report
from edgecut.version import __version__

_REPORTED = (0, 1)  # exit codes of a build that wrote its bundle
_WORST_FIRST: tuple[CellState, ...] = ("misses", "unknown", "meets")
_LOOK_S = 0.5  # between two looks at whether a row is still wanted


@dataclass(frozen=True)
class RowTask:
    """A row to build. arguments: of `edgecut build`, but for -o. fault: why it can't be started, "" if it can.

    base: the folder that file names among the arguments start from. title: what its files are called. unsupported:
    {device: why} of devices that take none of its files, which the arguments leave out. is_built: whether any is left.
    """

    name: str
    settings: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    folder: Path
    fault: str = ""
    base: Path = Path()
    title: str = ""
    unsupported: Mapping[str, str] = field(default_factory=dict)
    is_built: bool = True


def rows_of(axes: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], ...]:
    """Every combination of the axes' values, the last axis changing quickest."""
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def row_name(settings: Mapping[str, str]) -> str:
    """What a row's folder is called."""
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", value).strip("_") or "_" for value in settings.values())


@dataclass(frozen=True)
class Rows:
    """A matrix to build. tasks: their folders are relative to the matrix's."""

    name: str
    axes: Mapping[str, Sequence[str]]
    tasks: Sequence[RowTask]


def build_rows(
    rows: Rows,
    out: Path,
    *,
    force: bool = False,
    keep: Sequence[Path] = (),
    spread: Spread = HERE,
    progress: Progress = SILENT,
) -> Matrix:
    """All rows built into folders of `out`, which also gets matrix.json, .csv, .html and .md.

    keep: what `out` must not replace. spread: rows that are built at the same time disturb each other's times.
    """
    from edgecut.render.matrix import matrix_csv, matrix_markdown, render_matrix

    tasks = rows.tasks
    done: dict[str, MatrixRow] = {task.name: _failed(task, task.fault, 2) for task in tasks if task.fault}
    done |= {task.name: _unsupported(task) for task in tasks if not task.is_built and not task.fault}
    with output_folder(out, force, keep=keep) as folder:
        placed = [
            replace(task, folder=folder.absolute() / task.folder, base=Path.cwd())
            for task in tasks
            if task.name not in done
        ]
        with progress.task("rows", len(placed)) as advance, workers(spread) as crew:
            for task, row in crew.each(build_row, placed, lambda task, exc: _failed(task, str(exc), exc.exit_code)):
                done[task.name] = row
                if row.bundle is None:  # a build that was killed couldn't clean up
                    for remains in (task.folder, task.folder.with_name(f"{task.folder.name}.partial")):
                        shutil.rmtree(remains, ignore_errors=True)
                advance(1)
        matrix = Matrix(
            edgecut=__version__,
            name=rows.name,
            axes={key: tuple(values) for key, values in rows.axes.items()},
            rows=tuple(done[task.name] for task in tasks),
        )
        text = json.dumps(matrix.to_dict(), indent=2, ensure_ascii=False) + "\n"
        (folder / "matrix.json").write_text(text, encoding="utf-8")
        (folder / "matrix.csv").write_text(matrix_csv(matrix), encoding="utf-8")
        (folder / "matrix.html").write_text(render_matrix(matrix), encoding="utf-8")
        (folder / "matrix.md").write_text(matrix_markdown(matrix), encoding="utf-8")
    return matrix


def build_row(task: RowTask) -> MatrixRow:
    """The row of one build, carried out by a new process of `edgecut build`, which ends with this one."""
    # A worker that died may have finished the row before it could say so: --force builds it again.
    words = [*task.arguments, "-o", str(task.folder), "--force", "--json", "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "edgecut", *words],
        cwd=task.base,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=None if sys.platform == "win32" else end_with_parent,
    ) as child:
        try:
            said = _said(child, task.folder.parent)
        finally:
            child.kill()
    if child.returncode not in _REPORTED:
        return _failed(task, _why(said, child.returncode), child.returncode)
    report = Report.model_validate(json.loads((task.folder / "report.json").read_text(encoding="utf-8")))
    return MatrixRow(
        name=task.name,
        settings=dict(task.settings),
        status=report.status,
        code=child.returncode,
        bundle=task.folder.name,
        files=tuple(_file(report, artifact.name) for artifact in report.artifacts),
        checks=tuple(check for check in report.checks if check.state != "meets"),
        title=str(report.recipe.get("name", "")),
        unsupported=dict(task.unsupported),
    )


def _said(child: subprocess.Popen[str], place: Path) -> str:
    """What a build writes to stderr until it ends; it is ended where `place`, the folder of all rows, has gone."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=_LOOK_S)[1]
        if not place.is_dir():
            child.kill()


def _why(said: str, code: int) -> str:
    """Why a build failed: the sentences that it wrote, or how it ended."""
    lines = [line.removeprefix("edgecut: ") for line in said.splitlines() if line.startswith("edgecut: ")]
    faults = [line.removeprefix("error: ") for line in lines]
    if code == -signal.SIGKILL:
        return "the build was killed (signal 9), as a system does that has no memory left; build fewer rows at a time"
    if code < 0:
        return f"the build ended by signal {-code}"
    return "; ".join(faults) or said.strip().rpartition("\n")[2] or "the build said nothing"


def _unsupported(task: RowTask) -> MatrixRow:
    """A row of which no device takes a file."""
    return MatrixRow(
        name=task.name,
        settings=dict(task.settings),
        status="unsupported",
        code=0,
        title=task.title,
        unsupported=dict(task.unsupported),
    )


def _failed(task: RowTask, error: str, code: int) -> MatrixRow:
    return MatrixRow(name=task.name, settings=dict(task.settings), status="failed", code=code, error=error)


def _file(report: Report, name: str) -> MatrixFile:
    artifact = next(artifact for artifact in report.artifacts if artifact.name == name)
    rows = [m for m in report.measurements if m.artifact == name and m.value is not None]
    values = {m.metric: m.value for m in reversed(rows)}
    arena = answer(m for m in rows if m.metric == "arena")
    latency = {
        m.profile or m.where: m.value for m in reversed(rows) if m.metric == "latency"
    }  # the first of a profile's rows counts
    devices = [Profile.model_validate(profile) for profile in report.profiles]
    return MatrixFile(
        name=name,
        format=artifact.format,
        precision=artifact.precision,
        size_bytes=artifact.size_bytes,
        accuracy=values.get("accuracy"),
        arena_bytes=None if arena is None or arena.value is None else int(arena.value),
        latency=latency,
        cells=tuple(_cell(report, artifact, device) for device in devices),
    )


def _cell(report: Report, artifact: Artifact, device: Profile) -> MatrixCell:
    """What is known of a file on a device."""
    if not taken_by(device, artifact.format, artifact.precision):
        takes = f"takes {', '.join(device.runtime.formats)} in {', '.join(device.runtime.precisions)}"
        return MatrixCell(profile=device.id, state="unsupported", reason=takes)
    rows = [m for m in report.measurements if (m.artifact, m.profile) == (artifact.name, device.id)]
    latency = answer(m for m in rows if m.metric == "latency")
    arena = answer(m for m in rows if m.metric == "arena" and m.value is not None)
    checks = {c.state for c in report.checks if c.profile == device.id and c.artifact in {artifact.name, ""}}
    state: CellState = next((s for s in _WORST_FIRST if s in checks), "no limit")
    return MatrixCell(
        profile=device.id,
        state=state,
        latency=None if latency is None else latency.value,
        latency_kind="" if latency is None or latency.value is None else latency.kind,
        latency_error=None if latency is None else latency.error,
        arena_bytes=None if arena is None or arena.value is None else int(arena.value),
        arena_kind="" if arena is None else arena.kind,
        arena_error=None if arena is None else arena.error,
        reason="the profile has no latency facts" if latency is None else latency.reason,
    )
