"""Mutated .tflite files by the thousand through the generator of plain C, in processes of this computer.

    python tools/fuzz_c.py [--files 10000] [--seed 0] [--jobs 2] [--keep DIR]

The seeds are drawn operators and nets, 16-bit nets and a fixture. Half of the mutants have bytes changed, half have
fields changed: shapes, types, operators, indices, options, scales, numbers of constants. A mutant becomes C or is
refused in a sentence; it fails if generating it raises anything else, ends the process, takes 20 seconds, or makes
a schedule that the replay finds wrong. The table has a line for each outcome; failing mutants are kept, tracebacks are
on stderr; the exit code is 1 if there is one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ai_edge_litert import schema_py_generated as schema

from edgecut.engine import generate
from edgecut.errors import EdgecutError, SourceError
from edgecut.tflite.pack import packed, unpacked
from tests.engine.int16 import int16_net, int16_residual
from tools.int8_files import random_nets, single_operators

ROOT = Path(__file__).resolve().parent.parent
HANG_S = 20
"""Of the processor; of the clock six times as long, since a busy computer lets a process wait."""
MEMORY_BYTES = 6 << 30
BYTES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0", b"\x10\0\0\0")
NUMBERS = (0, 1, -1, 2, 3, 5, 7, 8, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, -(2**31))
GOOD = ("C", "refused", "damaged")


class _Hang(BaseException):
    """Raised by the alarm; not an Exception, so that nobody takes it for a fault of the file."""


def main() -> int:
    """Runs all mutants; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("fuzz_c_failures"))
    options = parser.parse_args()
    start, seeds = time.monotonic(), seed_files()
    shares = [range(k, options.files, options.jobs) for k in range(options.jobs)]
    outcomes = Counter[str]()
    for outcome, number in _together(seeds, shares, options.seed):
        outcomes[outcome] += 1
        if outcome not in GOOD and outcomes[outcome] == 1:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"mutant_{options.seed}_{number}.tflite").write_bytes(mutant(seeds, options.seed, number))
    for outcome, count in outcomes.most_common():
        print(f"{count:7}  {outcome}")
    bad = sum(count for outcome, count in outcomes.items() if outcome not in GOOD)
    print(f"{sum(outcomes.values())} files of {len(seeds)} seeds, {time.monotonic() - start:.0f} s, {bad} failures")
    return int(bad > 0)


def seed_files() -> list[bytes]:
    """Sound files that are written as C."""
    drawn = [file.content for file in (*single_operators(62), *random_nets(36))]
    wide = [int16_net(np.dtype(np.int64)), int16_residual()]
    return [*drawn, *wide, (ROOT / "tests" / "fixtures" / "tiny.int8.tflite").read_bytes()]


def mutant(seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """A seed file that says something else; the same for the same numbers."""
    rng = random.Random(f"{seed} {number}")
    content = rng.choice(seeds)
    return _bytes_changed(rng, content) if number % 2 else _fields_changed(rng, content)


def _bytes_changed(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place, way = rng.randrange(len(changed)), rng.randrange(6)
        if way == 0:
            changed[place : place + 4] = rng.choice(BYTES)
        elif way == 1 and rng.random() < 0.2:
            del changed[place + 1 :]
        else:
            changed[place] = rng.choice(
                (rng.randrange(256), 0, 1, 127, 128, 255, changed[place] ^ 1 << rng.randrange(8))
            )
    return bytes(changed)


def _fields_changed(rng: random.Random, content: bytes) -> bytes:
    model = unpacked(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        graph = model.subgraphs[0]
        rng.choice((_tensor, _tensor, _operator, _operator, _options, _constant))(rng, model, graph)
    return packed(model)


def _tensor(rng: random.Random, model: schema.ModelT, graph: schema.SubGraphT) -> None:
    tensor = rng.choice(graph.tensors)
    way = rng.randrange(5)
    if way < 3:
        shape = [int(n) for n in (tensor.shape if tensor.shape is not None else ())]
        if shape and rng.random() < 0.7:
            shape[rng.randrange(len(shape))] = rng.choice((1, 2, 3, 4, 7, 8, 16, 0, 200, 70_000))
        else:
            shape = shape[1:] if rng.random() < 0.5 else [1, *shape]
        tensor.shape = np.array(shape, np.int32)
    elif way == 3:
        tensor.type = rng.randrange(18)
    elif tensor.quantization is not None and tensor.quantization.scale is not None:
        scales = (1e-30, 1e-3, 0.0039, 1.0, 1e9, 0.0, -1.0, float("nan"), float("inf"))
        tensor.quantization.scale = np.array([rng.choice(scales)] * rng.choice((1, 1, 2)), np.float32)
        tensor.quantization.zeroPoint = np.array(
            [rng.choice((0, 0, -128, 127, 128, 300))] * len(tensor.quantization.scale)
        )


def _operator(rng: random.Random, model: schema.ModelT, graph: schema.SubGraphT) -> None:
    operator = rng.choice(graph.operators)
    way = rng.randrange(4)
    if way == 0:
        code = rng.choice(model.operatorCodes)
        code.builtinCode = rng.randrange(140)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    elif way == 1:
        operator.inputs = _index_changed(rng, operator.inputs, len(graph.tensors))
    elif way == 2:
        operator.outputs = _index_changed(rng, operator.outputs, len(graph.tensors))
    else:
        side = rng.choice(("inputs", "outputs"))
        setattr(graph, side, _index_changed(rng, getattr(graph, side), len(graph.tensors)))


def _index_changed(rng: random.Random, indices: Sequence[int], count: int) -> np.ndarray:
    changed = [int(index) for index in indices]
    way = rng.randrange(4)
    if way == 0 and changed:
        del changed[rng.randrange(len(changed))]
    elif way == 1:
        changed.append(rng.randrange(count))
    elif changed:
        changed[rng.randrange(len(changed))] = rng.choice((-1, *range(count)))
    return np.array(changed, np.int32)


def _options(rng: random.Random, model: schema.ModelT, graph: schema.SubGraphT) -> None:
    owners = [operator for operator in graph.operators if operator.builtinOptions is not None]
    if not owners:
        return
    options = rng.choice(owners).builtinOptions
    fields = [name for name, value in vars(options).items() if isinstance(value, int | float)]
    if fields:
        name = rng.choice(fields)
        value = getattr(options, name)
        setattr(options, name, not value if isinstance(value, bool) else rng.choice((0, 1, 2, 3, 4, 5, 64, 100)))


def _constant(rng: random.Random, model: schema.ModelT, graph: schema.SubGraphT) -> None:
    buffers = [buffer for buffer in model.buffers if buffer.data is not None and len(buffer.data)]
    if not buffers:
        return
    buffer = rng.choice(buffers)
    data = bytearray(bytes(buffer.data))
    number = rng.choice(NUMBERS).to_bytes(4, "little", signed=True)
    place = rng.randrange(len(data)) // 4 * 4
    data[place : place + 4] = number[: len(data) - place]
    buffer.data = np.frombuffer(bytes(data), np.uint8)


def _together(seeds: list[bytes], shares: Sequence[range], seed: int) -> list[tuple[str, int]]:
    """(outcome, number) of all mutants, each share in a process that is begun anew behind a mutant that ends it."""
    outcomes: list[tuple[str, int]] = []
    running = dict(_begun(seeds, share, seed) for share in shares)
    while running:
        for ours in wait(list(running)):
            share, process = running.pop(ours)
            try:
                outcomes.append((ours.recv(), share[0]))
                running[ours] = share[1:], process
            except EOFError:
                process.join()
                if share:
                    outcomes.append((f"the process ended with {process.exitcode}", share[0]))
                    running.update([_begun(seeds, share[1:], seed)])
    return outcomes


def _begun(
    seeds: list[bytes], share: range, seed: int
) -> tuple[Connection, tuple[range, multiprocessing.process.BaseProcess]]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(seeds, share, seed, theirs))
    process.start()
    theirs.close()
    return ours, (share, process)


def _run(seeds: list[bytes], share: range, seed: int, to: Connection) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _alarm)
    for number in share:
        to.send(outcome_of(mutant(seeds, seed, number)))


def outcome_of(content: bytes) -> str:
    """What becomes of a file: one of GOOD, or how it fails."""
    signal.alarm(6 * HANG_S)
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        generate(content, "net")
    except SourceError:
        return "damaged"
    except EdgecutError as exc:
        return "refused" if "isn't exact" not in str(exc) else f"the replay disagrees: {exc}"
    except _Hang:
        return f"a hang of {HANG_S} s"
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "C"


def _alarm(number: int, frame: object) -> None:
    raise _Hang


if __name__ == "__main__":
    sys.exit(main())
