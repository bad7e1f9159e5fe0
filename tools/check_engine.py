"""Proves the generated C: outputs, memory, flash and instructions of many files beside the TFLM interpreter.

    python tools/check_engine.py [FILE|FOLDER ...] [--operators 300] [--nets 200] [--inputs 16] [--boards cortex-m4,...]
                                 [--seed 0] [--keep DIR] [--compiler gcc]

Each file is generated, compiled for this host with sanitizers and run on noise beside the interpreter, then linked for
each board and run in the emulator. A row of the table: the C's work buffer, the interpreter's head and the smallest
arena it runs in, flash and instructions by board, inputs with distinct outputs, outputs that differ. Files that can't
be C are listed with the reason, and failing ones are kept. Exit code 1: an output differs, or something failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgecut.bench.image import BOARDS, Emulated, Program, absent, emulate
from edgecut.bench.runners import tflm
from edgecut.bench.runners.qemu import noise
from edgecut.engine import generate
from edgecut.errors import EdgecutError
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.ops import macs_by_class
from tools.host_proof import Generated, Verdict, compare, compile_host, run_host, side_bytes
from tools.int8_files import random_nets, single_operators

BATCH = 10
# The emulator takes some 50 million instructions a second: inputs that are run in it, by what the file multiplies.
EMULATED = ((3, 3_000_000), (1, 60_000_000))


@dataclass
class Case:
    """One file and what became of it. head, used: of the interpreter, 0 where it wasn't asked."""

    path: Path
    generated: bool = False
    made: Generated | None = None
    inputs: list[bytes] = field(default_factory=list)
    expected: list[bytes] | str = ""
    verdict: Verdict | None = None
    head: int = 0
    used: int = 0
    boards: dict[str, Emulated | str] = field(default_factory=dict)
    refusal: str = ""
    macs: int = 0

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words."""
        found = []
        if self.verdict is not None:
            found += [self.verdict.fault] if self.verdict.fault else []
            if self.verdict.differing:
                found.append(f"{self.verdict.differing} outputs differ on the host, by up to {self.verdict.largest}")
        for core, result in self.boards.items():
            if isinstance(result, str):
                found.append(f"{core}: {result}")
            elif isinstance(self.expected, list):
                off = sum(a != b for a, b in zip(result.outputs, self.expected, strict=False))
                found += [f"{core}: {off} outputs differ"] if off else []
                found += [f"{core}: {result.changed_bytes} bytes beside the rooms"] if result.changed_bytes else []
        return found


def main() -> int:
    """Runs all files; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--operators", type=int, default=300)
    parser.add_argument("--nets", type=int, default=200)
    parser.add_argument("--inputs", type=int, default=16)
    parser.add_argument("--boards", default="cortex-m4,cortex-m55")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("engine_failures"))
    parser.add_argument("--compiler", default="gcc")
    options = parser.parse_args()
    boards = [] if absent() else [core for core in options.boards.split(",") if core]
    with tempfile.TemporaryDirectory(prefix="edgecut-engine-") as scratch:
        cases = [*_named(options.files), *_drawn(options, Path(scratch))]
        failed = 0
        print(_heading(boards), flush=True)
        for start in range(0, len(cases), BATCH):
            batch = cases[start : start + BATCH]
            check(batch, options.inputs, boards, options.compiler)
            for case in batch:
                print(_row(case, boards), flush=True)
                failed += bool(case.faults)
                if case.faults:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / case.path.name).write_bytes(case.path.read_bytes())
    print(_summary(cases, failed))
    return int(failed > 0)


def check(batch: Sequence[Case], count: int, boards: Sequence[str], compiler: str) -> None:
    """Fill in what becomes of some files."""
    for case in batch:
        _generate(case, count)
    ready = [case for case in batch if case.made is not None]
    if not ready:
        return
    found = tflm.interpreter_outputs([case.path for case in ready], [case.inputs for case in ready], 1800)
    heads = tflm.interpreter_heads([case.path for case in ready], 600)
    for case, outputs, head in zip(ready, found, heads, strict=True):
        case.expected, case.head = outputs, head if isinstance(head, int) else 0
        if not case.generated and case.head:
            case.used = tflm.smallest_arena_bytes(case.path, 600).smallest_bytes
    _on_host(ready, compiler)
    for core in boards:
        for case in ready:
            _on_board(case, core)


def _named(paths: Sequence[Path]) -> Iterator[Case]:
    for path in paths:
        files = sorted(path.rglob("*.tflite")) if path.is_dir() else [path]
        yield from (Case(file) for file in files)


def _drawn(options: argparse.Namespace, scratch: Path) -> Iterator[Case]:
    drawn = (*single_operators(options.operators, options.seed), *random_nets(options.nets, options.seed))
    for file in drawn:
        path = scratch / f"{file.name}.tflite"
        path.write_bytes(file.content)
        yield Case(path, generated=True)


def _generate(case: Case, count: int) -> None:
    name = "".join(c if c.isalnum() else "_" for c in case.path.stem)
    name = name if name[0].isalpha() else f"m{name}"
    try:
        graph = read(case.path)
        made = generate(case.path, name)
    except EdgecutError as exc:
        case.refusal = str(exc).removeprefix(f"{case.path}: ").partition("\n")[0]
        return
    if any(graph.tensors[index].dtype != "int8" for index in (*graph.inputs, *graph.outputs)):
        case.refusal = "its ends aren't int8; not compared"
        return
    sizes = side_bytes(graph, graph.inputs), side_bytes(graph, graph.outputs)
    case.made = Generated(name, dict(made.files), made.arena_bytes, *sizes)
    case.inputs = noise(graph, count)
    case.macs = sum(macs_by_class(graph).values())


def _on_host(cases: Sequence[Case], compiler: str) -> None:
    with tempfile.TemporaryDirectory(prefix="edgecut-proof-") as folder:
        try:
            program = compile_host([case.made for case in cases if case.made is not None], Path(folder), compiler)
        except subprocess.CalledProcessError as exc:
            if len(cases) > 1:
                for case in cases:
                    _on_host([case], compiler)
                return
            said = next((line for line in exc.stderr.splitlines() if "error" in line), "no message")
            cases[0].verdict = Verdict(0, 0, 0, 0, f"C: {said}")
            return
        for place, case in enumerate(cases):
            assert case.made is not None
            case.verdict = compare(run_host(program, place, case.inputs, case.made.output_bytes), case.expected)


def _on_board(case: Case, core: str) -> None:
    assert case.made is not None
    made, inputs = case.made, case.inputs[: next((n for n, macs in EMULATED if case.macs <= macs), 0)]
    if not inputs:
        return
    program = Program(made.name, made.name, made.files, made.arena_bytes, inputs, made.output_bytes)
    try:
        case.boards[core] = emulate(program, BOARDS[core], 900)
    except EdgecutError as exc:
        case.boards[core] = str(exc)


def _heading(boards: Sequence[str]) -> str:
    cores = "".join(f"  {core.removeprefix('cortex-'):>4} flash {'M instr':>8} stack" for core in boards)
    return f"{'file':<34} {'arena C':>8} {'head':>8} {'used':>8}{cores}  distinct differ"


def _row(case: Case, boards: Sequence[str]) -> str:
    name = case.path.stem[:34]
    if case.made is None:
        return f"{name:<34} {case.refusal}"
    cells = f"{name:<34} {case.made.arena_bytes:>8} {case.head:>8} {case.used or '':>8}"
    for core in boards:
        result = case.boards.get(core)
        if isinstance(result, Emulated):
            count = max(result.instructions) / 1e6
            cells += f"  {result.flash_bytes:>10} {count:>8.3f} {result.stack_bytes:>5}"
        else:
            cells += f"  {'not run' if result is None else 'failed':>10} {'':>8} {'':>5}"
    verdict = case.verdict or Verdict(0, 0, 0, 0)
    cells += f"  {verdict.distinct:>4}/{verdict.runs:<3} {verdict.differing:>6}"
    return cells + "".join(f"\n    {fault}" for fault in case.faults)


def _summary(cases: Sequence[Case], failed: int) -> str:
    made = [case for case in cases if case.made is not None]
    runs = sum(case.verdict.runs for case in made if case.verdict is not None)
    differing = sum(case.verdict.differing for case in made if case.verdict is not None)
    distinct = sum(case.verdict.distinct for case in made if case.verdict is not None)
    emulated = sum(len(r.outputs) for case in made for r in case.boards.values() if isinstance(r, Emulated))
    return (
        f"{len(cases)} files, {len(made)} as C, {len(cases) - len(made)} not; on the host {runs} outputs, {distinct} "
        f"distinct, {differing} differing; {emulated} outputs in the emulator; {failed} files failed"
    )


if __name__ == "__main__":
    raise SystemExit(main())
