"""Proves the generated C: outputs, memory, flash and instructions of many files beside the TFLM interpreter.

    python tools/check_engine.py [FILE|FOLDER ...] [--operators 300] [--nets 200] [--inputs 16] [--boards cortex-m4,...]
                                 [--seed 0] [--share K/N] [--keep DIR] [--compiler gcc]

Each file is generated, compiled for this host with sanitizers and run on noise beside the interpreter, as a whole, with
the input in its place and by rows, then linked for each board and run in the emulator; a file of float inputs and
outputs is compared on their integers. A row of the table: the C's work buffer, the interpreter's head and the smallest
arena it runs in, flash and instructions by board, inputs with distinct outputs, outputs that differ. Files that can't
be C are listed with the reason, and failing ones are kept. A share is every N-th drawn file from number K on, so that N
processes divide the work. Exit code 1: an output differs, or something failed.
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
from edgecut.bench.integer_io import in_integers, recoded
from edgecut.bench.runners import tflm
from edgecut.bench.runners.qemu import noise
from edgecut.engine import Generated, generate
from edgecut.engine.c_text import c_symbol
from edgecut.errors import EdgecutError
from edgecut.tflite.flatbuffer import TfliteGraph, read
from edgecut.tflite.ops import macs_by_class
from tools.host_proof import Verdict, compare, compile_host, run_host
from tools.int8_files import random_nets, single_operators

BATCH = 10
# The emulator takes some 50 million instructions a second: inputs that are run in it, by what the file multiplies.
EMULATED = ((3, 3_000_000), (1, 60_000_000))


@dataclass
class Case:
    """One file and what became of it. inputs, expected: of the integers that the C takes and gives. verdicts: of the
    run of the whole and of the one by rows. head, used: of the interpreter, 0 where it wasn't asked.
    """

    path: Path
    drawn: bool = False
    name: str = ""
    made: Generated | None = None
    output_bytes: int = 0
    inputs: list[bytes] = field(default_factory=list)
    expected: list[bytes] | str = ""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    head: int = 0
    used: int = 0
    boards: dict[str, Emulated | str] = field(default_factory=dict)
    refusal: str = ""
    macs: int = 0

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words."""
        found = []
        for way, verdict in self.verdicts.items():
            found += [f"{way}: {verdict.fault}"] if verdict.fault else []
            if verdict.differing:
                found.append(f"{way}: {verdict.differing} outputs differ on the host, by up to {verdict.largest}")
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
    parser.add_argument("--share", default="0/1")
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
    graphs = [read(case.path) for case in ready]
    rows = [
        [recoded(graph, values, in_integers(graph).inputs, graph.inputs) for values in case.inputs]
        for graph, case in zip(graphs, ready, strict=True)
    ]
    found = tflm.interpreter_outputs([case.path for case in ready], rows, 1800)
    heads = tflm.interpreter_heads([case.path for case in ready], 600)
    for case, graph, outputs, head in zip(ready, graphs, found, heads, strict=True):
        case.expected = outputs if isinstance(outputs, str) else _as_integers(graph, outputs)
        case.head = head if isinstance(head, int) else 0
        if not case.drawn and case.head:
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
    first, step = map(int, options.share.split("/"))
    for file in drawn[first::step]:
        path = scratch / f"{file.name}.tflite"
        path.write_bytes(file.content)
        yield Case(path, drawn=True)


def _generate(case: Case, count: int) -> None:
    name = c_symbol(case.path.stem)
    try:
        graph = read(case.path)
        made = generate(case.path, name)
    except EdgecutError as exc:
        case.refusal = str(exc).removeprefix(f"{case.path}: ").partition("\n")[0]
        return
    inside = in_integers(graph)
    sides = [[graph.tensors[index] for index in side] for side in (inside.inputs, inside.outputs)]
    if any(tensor.dtype not in ("int8", "int16") for side in sides for tensor in side):
        case.refusal = "its inputs and outputs aren't integers that TFLM gives; not compared"
        return
    case.name, case.made, case.output_bytes = name, made, sum(tensor.size_bytes for tensor in sides[1])
    case.inputs = noise(inside, count)
    case.macs = sum(macs_by_class(graph).values())


def _as_integers(graph: TfliteGraph, outputs: Sequence[bytes]) -> list[bytes]:
    inside = in_integers(graph)
    return [recoded(graph, values, graph.outputs, inside.outputs) for values in outputs]


def _on_host(cases: Sequence[Case], compiler: str) -> None:
    with tempfile.TemporaryDirectory(prefix="edgecut-proof-") as folder:
        try:
            models = [(case.name, case.made) for case in cases if case.made is not None]
            program = compile_host(models, Path(folder), compiler)
        except subprocess.CalledProcessError as exc:
            if len(cases) > 1:
                for case in cases:
                    _on_host([case], compiler)
                return
            said = next((line for line in exc.stderr.splitlines() if "error" in line), "no message")
            cases[0].verdicts["C"] = Verdict(0, 0, 0, 0, said)
            return
        for place, case in enumerate(cases):
            assert case.made is not None
            case.verdicts["whole"] = compare(run_host(program, 2 * place, case.inputs), case.expected)
            if case.made.rows_arena_bytes is not None:
                case.verdicts["by rows"] = compare(run_host(program, 2 * place + 1, case.inputs), case.expected)


def _on_board(case: Case, core: str) -> None:
    assert case.made is not None
    made, inputs = case.made, case.inputs[: next((n for n, macs in EMULATED if case.macs <= macs), 0)]
    if not inputs:
        return
    program = Program(case.name, case.name, made.files, made.arena_bytes, inputs, case.output_bytes)
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
    verdict = case.verdicts.get("whole") or Verdict(0, 0, 0, 0)
    cells += f"  {verdict.distinct:>4}/{verdict.runs:<3} {verdict.differing:>6}"
    return cells + "".join(f"\n    {fault}" for fault in case.faults)


def _summary(cases: Sequence[Case], failed: int) -> str:
    made = [case for case in cases if case.made is not None]
    whole = [case.verdicts["whole"] for case in made if "whole" in case.verdicts]
    by_rows = [case.verdicts["by rows"] for case in made if "by rows" in case.verdicts]
    runs, rows = sum(verdict.runs for verdict in whole), sum(verdict.runs for verdict in by_rows)
    distinct = sum(verdict.distinct for verdict in whole)
    differing = sum(verdict.differing for verdict in (*whole, *by_rows))
    emulated = sum(len(r.outputs) for case in made for r in case.boards.values() if isinstance(r, Emulated))
    return (
        f"{len(cases)} files, {len(made)} as C, {len(cases) - len(made)} not; on the host {runs} outputs, {distinct} "
        f"distinct, and {rows} by rows, {differing} differing; {emulated} in the emulator; {failed} files failed"
    )


if __name__ == "__main__":
    raise SystemExit(main())
