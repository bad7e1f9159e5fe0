"""Generated C compiled for this computer with sanitizers, and run beside the TFLM interpreter on the same inputs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.tflite.flatbuffer import TfliteGraph

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_TIMEOUT_S = 600

_MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
@INCLUDES@
typedef struct { int (*run)(int8_t *, const int8_t *, int8_t *); size_t arena, input, output; } row_t;
static const row_t rows[] = {
@ROWS@};

/* Rooms of the exact size, so that the sanitizer sees a byte beside them, on an odd boundary; painted, so that no run
   relies on zeros. */
int main(int count, char **words) {
    const row_t *row = &rows[atoi(words[1])];
    FILE *from = fopen(words[2], "rb"), *to = fopen(words[3], "wb");
    int8_t *arena = malloc(row->arena + 1), *in = malloc(row->input), *out = malloc(row->output);
    int paint = 1;
    (void)count;
    while (fread(in, 1, row->input, from) == row->input) {
        memset(arena, paint += 73, row->arena + 1);
        memset(out, paint += 73, row->output);
        if (row->run(arena + 1, in, out)) return 3;
        fwrite(out, 1, row->output, to);
    }
    free(arena);
    free(in);
    free(out);
    fclose(from);
    return fclose(to) != 0;
}
"""


@dataclass(frozen=True)
class Generated:
    """C of one model: {file name: text} of NAME_run.c and NAME_run.h, and the bytes of its rooms."""

    name: str
    files: dict[str, str]
    arena_bytes: int
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class Verdict:
    """distinct: how many outputs the reference gives that no other input has. differing: of ours that aren't equal."""

    runs: int
    distinct: int
    differing: int
    largest: int
    fault: str = ""


def side_bytes(graph: TfliteGraph, side: Sequence[int]) -> int:
    """The bytes of all tensors of a side."""
    return sum(graph.tensors[index].size_bytes for index in side)


def compile_host(
    models: Sequence[Generated],
    folder: Path,
    compiler: str = "gcc",
    flags: Sequence[str] = ("-O1", *SANITIZERS),
    strict: Sequence[str] = STRICT,
) -> Path:
    """The program of several models. Raises CalledProcessError, with the compiler's words, if one isn't right C."""
    includes = "".join(f'#include "{model.name}_run.h"\n' for model in models)
    rows = "".join(f"    {{{m.name}_run_in, {m.arena_bytes}u, {m.input_bytes}u, {m.output_bytes}u}},\n" for m in models)
    (folder / "main.c").write_text(_MAIN.replace("@INCLUDES@", includes).replace("@ROWS@", rows))
    sources = ["main.c"]
    for model in models:
        for name, text in model.files.items():
            (folder / name).write_text(text)
            sources += [name] if name.endswith(".c") else []
    subprocess.run(
        [compiler, *strict, *flags, "-o", "proof", *sources],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    return folder / "proof"


def run_host(program: Path, place: int, inputs: Sequence[bytes], output_bytes: int) -> list[bytes] | str:
    """The outputs of the model at a place of the program, or what ended it."""
    source, target = program.with_name("inputs.bin"), program.with_name("outputs.bin")
    source.write_bytes(b"".join(inputs))
    target.unlink(missing_ok=True)
    done = subprocess.run(
        [program, str(place), source, target], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "runtime error" in line or "ERROR" in line]
        return (lines or done.stderr.splitlines() or [f"it ended with {done.returncode}"])[0]
    content = target.read_bytes()
    return [content[k : k + output_bytes] for k in range(0, len(content), output_bytes)]


def compare(ours: list[bytes] | str, reference: list[bytes] | str) -> Verdict:
    """Ours against the interpreter's, to the bit."""
    if isinstance(reference, str) or isinstance(ours, str):
        words = f"reference: {reference}" if isinstance(reference, str) else f"C: {ours}"
        return Verdict(0, 0, 0, 0, words)
    pairs = list(zip(ours, reference, strict=True))
    off = [
        int(np.abs(np.frombuffer(a, np.int8).astype(int) - np.frombuffer(b, np.int8).astype(int)).max(initial=0))
        for a, b in pairs
    ]
    return Verdict(len(pairs), len(set(reference)), sum(a != b for a, b in pairs), max(off, default=0))
