"""Which nets a memory holds as plain C alone: the arena of TFLM, measured, beside the C's work buffers, as Markdown.

    python tools/check_fits.py FILE|FOLDER ... [--memory 262144] [--inputs 4]

tools/study_nets.py writes the files. A line of the table: the file's bytes, the smallest arena in which the interpreter
constructs and runs it, the C's work buffers for a picture that lies in it and for one that comes by rows, how many of
the outputs of seeded pictures are equal to the bit, and how many of them are distinct. Exit code 1: an output of the
C isn't the interpreter's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgecut.bench.runners.tflm import interpreter_outputs, smallest_arena_bytes
from edgecut.engine import generate
from edgecut.tflite.flatbuffer import TfliteGraph, read
from tools.host_proof import compile_host, run_host

TIMEOUT_S = 3600


def main() -> int:
    """Prints the table; 1 if an output differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--memory", type=int, default=256 * 1024)
    parser.add_argument("--inputs", type=int, default=4)
    options = parser.parse_args()
    paths = [
        path for entry in options.files for path in (sorted(entry.rglob("*.tflite")) if entry.is_dir() else [entry])
    ]
    print("| net | file | TFLM arena | C | C, by rows | equal outputs, distinct |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    differing = 0
    for path in paths:
        text, unequal, fits = _line(path, options.inputs, options.memory)
        differing += unequal
        if fits:
            print(text, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
    return int(differing > 0)


def _line(path: Path, count: int, memory: int) -> tuple[str, int, bool]:
    """(a file's line, outputs that aren't equal, whether it is the C alone that the memory holds)."""
    graph, made = read(path), generate(path, "net")
    arena = smallest_arena_bytes(path, TIMEOUT_S).smallest_bytes
    pictures = _pictures(graph, count)
    expected = interpreter_outputs([path], [pictures], TIMEOUT_S)[0]
    with tempfile.TemporaryDirectory(prefix="edgecut-fits-") as folder:
        program = compile_host([("net", made)], Path(folder), flags=("-O2",))
        ways = [run_host(program, 0, pictures), run_host(program, 1, pictures)]
    if isinstance(expected, str) or isinstance(ways[0], str) or isinstance(ways[1], str):
        return f"{path.stem}: {expected if isinstance(expected, str) else ways}", 1, False
    equal = sum(a == b == c for a, b, c in zip(expected, *ways, strict=True))
    rows = made.rows_arena_bytes or 0
    text = (
        f"| {path.stem} | {path.stat().st_size:,} | {arena:,} | {made.arena_bytes:,} | {rows:,} | "
        f"{equal} of {count}, {len(set(expected))} |"
    )
    return text, count - equal, made.arena_bytes <= memory < arena


def _pictures(graph: TfliteGraph, count: int) -> list[bytes]:
    """Fields of four by four colours under noise, int8: features of seeded weights hardly differ between noises."""
    _, height, width, depth = graph.tensors[graph.inputs[0]].shape
    rng = np.random.default_rng(1)
    fields = rng.uniform(-100, 100, (count, 4, 4, depth))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    pictures = fields[:, rows][:, :, columns] + rng.uniform(-27, 27, (count, height, width, depth))
    return [picture.astype(np.int8).tobytes() for picture in pictures]


if __name__ == "__main__":
    raise SystemExit(main())
