"""Generated C of several models as one program for this computer, run on raw inputs as a whole and by rows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgecut.engine import Generated

STRICT = (
    "-std=c99",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wpedantic",
    "-Werror",
    "-fsanitize=address,undefined",
)

_MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
@INCLUDES@
static int run(int place, int8_t *work, const int8_t *in, int8_t *out, size_t output) {
    switch (place) {
@CALLS@
    }
    return 9;
}
int main(int count, char **words) {
    const size_t arena = (size_t)atoi(words[2]), input = (size_t)atoi(words[3]), output = (size_t)atoi(words[4]);
    int8_t *work = malloc(arena), *in = malloc(input), *out = malloc(output);
    int paint = count, code = 0;
    while (code == 0 && fread(in, 1, input, stdin) == input) {
        memset(work, paint += 73, arena);
        memset(out, paint += 73, output);
        code = run(atoi(words[1]), work, in, out, output);
        fwrite(out, 1, output, stdout);
    }
    free(work);
    free(in);
    free(out);
    return code;
}
"""
_WHOLE = """    case {place}: {{
        int8_t *again = malloc(output);
        int differs;
        if ({name}_run_in(work, in, out)) return 7;
{copies}        differs = memcmp(out, again, output) != 0;
        free(again);
        return differs ? 5 : 0;
    }}
"""
_BY_ROWS = """    case {place}: {{
        int k;
        {name}_begin(work);
        for (k = 0; k < {prefix}_ROWS; k++) {{
            if ({name}_finish(work, out) == 0) return 5;
            if ({name}_push_row(work, in + k * {prefix}_ROW_BYTES)) return 7;
        }}
        if ({name}_push_row(work, in) == 0) return 6;
        return {name}_finish(work, out);
    }}
"""


def compiled(models: Sequence[tuple[str, Generated]], folder: Path) -> Path:
    """The program that runs the model number k at the place 2k, by rows at 2k + 1; at 2k the inputs are then written to
    their places in the work buffer, which must give the same.

    Raises CalledProcessError with the compiler's words.
    """
    calls: list[str] = []
    for k, (name, model) in enumerate(models):
        calls.append(_WHOLE.format(place=2 * k, name=name, copies=_copies(name, model)))
        if model.rows_arena_bytes is not None:
            calls.append(_BY_ROWS.format(place=2 * k + 1, name=name, prefix=name.upper()))
    includes = "".join(f'#include "{name}_run.h"\n' for name, _ in models)
    (folder / "main.c").write_text(_MAIN.replace("@INCLUDES@", includes).replace("@CALLS@", "".join(calls)))
    for _, model in models:
        for name, text in model.files.items():
            (folder / name).write_text(text)
    sources = ["main.c", *(f"{name}_run.c" for name, _ in models)]
    subprocess.run(["gcc", *STRICT, "-o", "run", *sources], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "run"


def _copies(name: str, model: Generated) -> str:
    """Each input written to its own place in the work buffer, and a run on them there."""
    macros = re.findall(rf"#define ({name.upper()}_INPUT\w*)_BYTES", model.files[f"{name}_run.h"])
    placed = [macro for macro in macros if f"#define {macro}_AT" in model.files[f"{name}_run.h"]]
    starts = [" + ".join(["0", *(f"{before}_BYTES" for before in macros[:k])]) for k in range(len(macros))]
    copies = "".join(
        f"        memcpy(work + {macro}_AT, in + {start}, {macro}_BYTES);\n"
        for macro, start in zip(macros, starts, strict=True)
        if macro in placed
    )
    return f"{copies}        if ({name}_run_in(work, work + {placed[0]}_AT, again)) return 7;\n"


def outputs(program: Path, place: int, arena_bytes: int, inputs: Sequence[bytes], output_bytes: int) -> list[bytes]:
    """What the model at a place gives for each input."""
    words = [str(n) for n in (place, arena_bytes, len(inputs[0]), output_bytes)]
    done = subprocess.run([program, *words], input=b"".join(inputs), capture_output=True, check=True, timeout=300)
    return [done.stdout[k : k + output_bytes] for k in range(0, len(done.stdout), output_bytes)]
