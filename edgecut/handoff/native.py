"""The checks of a bundle beyond its files and vectors: the C test compiled, and the arena tried in TFLM."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgecut.bench.runners import tflm
from edgecut.engine.c_text import c_symbol
from edgecut.errors import RunError
from edgecut.handoff.bundle import arena_rows, documents
from edgecut.handoff.vectors import VectorSheet
from edgecut.records.programs import CC, program_path
from edgecut.records.report import Report
from edgecut.version import __version__
from edgecut.whole import scratch_folder

_STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O0")
_TIMEOUT_S = 120
# gcc 12 takes 489 MiB and 15 s of a busy core for an array of 4 MiB.
_LARGEST_MODEL = 4 * 2**20
# As in vectors.py: TFLM's reference kernels take about 10 ns per multiply-accumulate.
_TFLM_MACS = 50_000_000


class CheckedC(NamedTuple):
    """What differs in the folder c, remarks, and whether the golden vectors ran in its plain C."""

    faults: list[str]
    notes: list[str]
    ran: bool = False


def c_faults(folder: Path, report: Report, sheet: VectorSheet | None) -> CheckedC:
    """The C test compiled and run with the plain C, in a bundle whose files are as the manifest says.

    What is compiled and run is this edgecut's own text for the bundle, never the bundle's: a bundle from a stranger
    must not bring code. The bundle's files must be equal to it.
    """
    texts = documents(folder, report, None, sheet)
    texts = {path.removeprefix("c/"): text for path, text in texts.items() if path.startswith("c/")}
    name = str(report.recipe["name"])
    if f"{name}_run.c" not in texts or sheet is None:
        return CheckedC([], ["c: holds no plain C that could be run"])
    others = [name for name, text in texts.items() if (folder / "c" / name).read_bytes() != text.encode()]
    if others:
        wrote = f"edgecut {report.edgecut} wrote it, and this one, {__version__}, writes another"
        return CheckedC([], [f"c/{others[0]}: isn't verified ({wrote}), so that nothing of the C was compiled"])
    compiler = program_path(CC)
    if compiler is None:
        return CheckedC([], ["c: the test wasn't compiled, since no C compiler (cc) is here"])
    if any(a.size_bytes > _LARGEST_MODEL for a in report.artifacts if a.path == sheet.artifact):
        return CheckedC([], [f"c: the test wasn't compiled, since the model is larger than {_LARGEST_MODEL >> 20} MiB"])
    faults = _compiled(compiler, folder, name, texts)
    return CheckedC(faults, [], True)


def arena_faults(folder: Path, report: Report, sheet: VectorSheet, inputs: np.ndarray) -> tuple[list[str], list[str]]:
    """(faults, notes): whether TFLM runs the vectors in the arena that the report gives as measured.

    inputs: rows (k, ...) in the file's dtypes, as many as 50 million multiply-accumulates allow are run, at least one.
    """
    artifact = next((a for a in report.artifacts if a.path == sheet.artifact), None)
    if artifact is None or sheet.tflm_lsb is None or not len(inputs):
        return [], []
    rows = [m for m in arena_rows(report, artifact) if m.kind == "measured"]
    arena = max((int(m.value) for m in rows if m.value is not None), default=None)
    if arena is None:
        return [], []
    if not tflm.is_here():
        return [], [f"the arena wasn't tried, since {tflm.PACKAGE} isn't here"]
    count = max(1, min(len(inputs), _TFLM_MACS // max(artifact.macs or 0, 1)))
    try:
        found = tflm.run_tflm(folder / artifact.path, inputs[:count], arena)
    except RunError as exc:
        return [
            f"{artifact.path}: doesn't run in TFLM with the arena of {arena} bytes that report.json gives: {exc}"
        ], []
    limit = sheet.outputs[0].tolerance.lsb or 0
    faults = []
    for row, y in zip(sheet.vectors, found, strict=False):
        wanted = np.frombuffer((folder / "vectors" / row.expected).read_bytes(), y.dtype.newbyteorder("<"))
        off = int(np.abs(y.astype(np.int64).ravel() - wanted.astype(np.int64)).max(initial=0))
        if off > limit:
            faults.append(f"vectors/{row.expected}: TFLM gives an output off by {off} LSB, and {limit} LSB is allowed")
    return faults, []


def _compiled(compiler: str, folder: Path, name: str, texts: dict[str, str]) -> list[str]:
    with scratch_folder() as scratch:
        for file, text in texts.items():
            (scratch / file).write_text(text, encoding="utf-8")
        command = [compiler, *_STRICT, "-o", "test.run", f"{name}_test.c", f"{name}_model.c"]
        command += ["-O1", f"-D{c_symbol(name).upper()}_RUNTIME", f"{name}_run.c"]
        try:
            built = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
            if built.returncode != 0:
                said = next((line for line in built.stderr.splitlines() if "error" in line), "no message").strip()
                return [f"c/{name}_test.c: {Path(compiler).name} refuses it: {said}"]
            words = [str(scratch / "test.run"), str((folder / "vectors").absolute())]
            done = subprocess.run(
                words, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return [f"c/{name}_test.c: wasn't compiled and run within {_TIMEOUT_S} s"]
    lines = done.stdout.splitlines() or [f"it ended with {done.returncode}"]
    return [] if done.returncode == 0 else [f"c/{name}_test.c: {line}" for line in lines]
