"""Generated C of several models as one program for this computer, with sanitizers, run in all its ways."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.engine import Generated

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_TIMEOUT_S = 600

# Rooms of the exact size, so that the sanitizer sees a byte beside them, the work buffer on an odd boundary; painted,
# so that no run relies on zeros.
_MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
@INCLUDES@
@WAYS@
typedef struct { int (*run)(int8_t *, const int8_t *, int8_t *); size_t arena, input, output; } row_t;
static const row_t rows[] = {
@ROWS@};

int main(int count, char **words) {
    const row_t *row = &rows[atoi(words[1])];
    int8_t *arena = malloc(row->arena + 1), *in = malloc(row->input), *out = malloc(row->output);
    int paint = count, code = 0;
    while (code == 0 && fread(in, 1, row->input, stdin) == row->input) {
        memset(arena, paint += 73, row->arena + 1);
        memset(out, paint += 73, row->output);
        code = row->run(arena + 1, in, out);
        fwrite(out, 1, row->output, stdout);
    }
    free(arena);
    free(in);
    free(out);
    return code;
}
"""
_WHOLE = """
static int @NAME@_whole(int8_t *work, const int8_t *in, int8_t *out) {
    int8_t *again = malloc(@OUTPUT@);
    int differs;
    if (@NAME@_run_in(work, in, out)) return 7;
@COPIES@    if (@NAME@_run_in(work, work + @PLACE@, again)) return 7;
    differs = memcmp(out, again, @OUTPUT@) != 0;
    free(again);
    return differs ? 5 : 0;
}
"""
_BY_ROWS = """
static int @NAME@_by_rows(int8_t *work, const int8_t *in, int8_t *out) {
    int k;
    @NAME@_begin(work);
    for (k = 0; k < @PREFIX@_ROWS; k++) {
        if (@NAME@_finish(work, out) == 0) return 5;
        if (@NAME@_push_row(work, in + k * @PREFIX@_ROW_BYTES)) return 7;
    }
    if (@NAME@_push_row(work, in) == 0) return 6;
    return @NAME@_finish(work, out);
}
"""


@dataclass(frozen=True)
class Verdict:
    """distinct: how many outputs the reference gives that no other input has. differing: of ours that aren't equal."""

    runs: int
    distinct: int
    differing: int
    largest: int
    fault: str = ""


def compile_host(
    models: Sequence[tuple[str, Generated]],
    folder: Path,
    compiler: str = "gcc",
    flags: Sequence[str] = ("-O1", *SANITIZERS),
    strict: Sequence[str] = STRICT,
) -> Path:
    """The program of several models by name. At the place 2k it runs model k, then again on inputs that were written to
    their places in the work buffer, which must give the same; at 2k + 1 it runs it by rows.

    Raises CalledProcessError, with the compiler's words, if one isn't right C.
    """
    ways = [_ways(name, model) for name, model in models]
    words = {
        "@INCLUDES@": "".join(f'#include "{name}_run.h"\n' for name, _ in models),
        "@WAYS@": "".join(text for text, _ in ways),
        "@ROWS@": "".join(rows for _, rows in ways),
    }
    (folder / "main.c").write_text(_replaced(_MAIN, words))
    sources = ["main.c", *(f"{name}_run.c" for name, _ in models)]
    for _, model in models:
        for name, text in model.files.items():
            (folder / name).write_text(text)
    command = [compiler, *strict, *flags, "-o", "proof", *sources]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    return folder / "proof"


def _ways(name: str, model: Generated) -> tuple[str, str]:
    """The functions that run a model, and their rows of the table; by rows it isn't run where it has several inputs."""
    prefix, header = name.upper(), model.files[f"{name}_run.h"]
    inputs, outputs = (re.findall(rf"#define ({prefix}_{side}\w*)_BYTES", header) for side in ("INPUT", "OUTPUT"))
    placed = [macro for macro in inputs if f"#define {macro}_AT" in header]
    copies = "".join(
        f"    memcpy(work + {macro}_AT, in + {_sum(inputs[:k])}, {macro}_BYTES);\n"
        for k, macro in enumerate(inputs)
        if macro in placed
    )
    words = {"@NAME@": name, "@PREFIX@": prefix, "@OUTPUT@": _sum(outputs), "@COPIES@": copies}
    text, sides = _replaced(_WHOLE, words | {"@PLACE@": f"{placed[0]}_AT"}), f"{_sum(inputs)}, {_sum(outputs)}"
    rows = f"    {{{name}_whole, {prefix}_ARENA_BYTES, {sides}}},\n"
    if model.rows_arena_bytes is None:
        return text, f"{rows}    {{NULL, 0, 0, 0}},\n"
    return text + _replaced(_BY_ROWS, words), f"{rows}    {{{name}_by_rows, {prefix}_ROWS_ARENA_BYTES, {sides}}},\n"


def _sum(macros: Sequence[str]) -> str:
    return " + ".join(["0", *(f"{macro}_BYTES" for macro in macros)])


def _replaced(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def run_host(program: Path, place: int, inputs: Sequence[bytes]) -> list[bytes] | str:
    """The outputs at a place of the program for each input, or what ended it."""
    done = subprocess.run([program, str(place)], input=b"".join(inputs), capture_output=True, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").splitlines()
        lines = [line for line in words if "runtime error" in line or "ERROR" in line]
        return (lines or words or [f"it ended with {done.returncode}"])[0]
    size = len(done.stdout) // len(inputs)
    return [done.stdout[k : k + size] for k in range(0, len(done.stdout), size)]


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
