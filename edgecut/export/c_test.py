"""A C99 program that checks the C source and the golden vectors, and the board's runtime where there is one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from edgecut.engine.c_text import c_symbol
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.escapes import c_comment

_TEMPLATE = "c_test_template.c"
_KINDS = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}


@dataclass(frozen=True)
class VectorFiles:
    """The contents of one golden vector's files; camera is None where no camera feeds the model."""

    camera: bytes | None
    input: bytes
    expected: bytes


def c_test_files(
    name: str,
    artifact: Artifact,
    vectors: Sequence[VectorFiles],
    tolerances: Sequence[float],
    *,
    has_table: bool,
    has_run: bool = False,
) -> dict[str, str]:
    """{file name: text} of NAME_test.c and the Makefile that builds and runs it.

    vectors: as they are in the bundle's vectors folder. tolerances: one for each output, in steps for integers and
    in the output's unit for floats. has_table: whether NAME_io.h has the table from camera bytes. has_run: whether the
    model's own C is there, which then runs the vectors.
    """
    return {
        f"{name}_test.c": _test(name, artifact, vectors, tolerances, has_table),
        "Makefile": _makefile(name, has_run),
    }


def _test(
    name: str, artifact: Artifact, vectors: Sequence[VectorFiles], tolerances: Sequence[float], has_table: bool
) -> str:
    symbol, prefix = c_symbol(name), c_symbol(name).upper()
    outputs = artifact.outputs if all(spec.dtype in _KINDS for spec in artifact.outputs) else ()
    runs = bool(vectors and outputs)
    rows = "".join(f"    {_row(k, vector)},\n" for k, vector in enumerate(vectors))
    checks = "".join(
        _output_check(k, spec, tolerance) for k, (spec, tolerance) in enumerate(zip(outputs, tolerances, strict=False))
    )
    text = resources.files("edgecut.export").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    for key, value in {
        "@ROWS@": rows,
        "@OUTPUT_CHECKS@": checks,
        "@INPUT_BYTES@": _sum_of(prefix, "INPUT", len(artifact.inputs)),
        "@OUTPUT_BYTES@": _sum_of(prefix, "OUTPUT", len(artifact.outputs)),
        "@TITLE@": c_comment(name),
        "@NAME@": name,
        "@SYMBOL@": symbol,
        "@PREFIX@": prefix,
        "@VECTORS@": str(len(vectors)),
        "@HAS_TABLE@": str(int(has_table and any(v.camera is not None for v in vectors))),
        "@RUNS@": str(int(runs)),
    }.items():
        text = text.replace(key, value)
    return text


def _sum_of(prefix: str, side: str, count: int) -> str:
    """The bytes of all tensors of a side, as C."""
    return " + ".join(f"{prefix}_{side}{f'_{k}' if k else ''}_BYTES" for k in range(count))


def _row(k: int, vector: VectorFiles) -> str:
    cells = []
    for kind, content in (("camera", vector.camera), ("input", vector.input), ("expected", vector.expected)):
        known = content is not None
        cells += [f'"{kind}_{k}.bin"' if known else '""', f'"{hashlib.sha256(content or b"").hexdigest()}"']
    return "{" + ", ".join(cells) + f", {len(vector.camera or b'')}}}"


def _output_check(k: int, spec: TensorSpec, tolerance: float) -> str:
    kind, count = _KINDS[spec.dtype], f"@PREFIX@_OUTPUT{f'_{k}' if k else ''}_COUNT"
    limit = f"{tolerance:.9g}" if np.dtype(spec.dtype).kind == "f" else f"{int(tolerance)}"
    return f"""    for (i = 0; i < (size_t){count}; i++) {{
        {kind} there, wanted;
        double off;
        memcpy(&there, found + at, sizeof there);
        memcpy(&wanted, expected + at, sizeof wanted);
        at += sizeof there;
        off = (double)there - (double)wanted;
        if (!(off <= {limit} && off >= -({limit}))) {{
            printf("vector %u: output {k}, value %u: off by %g, and {limit} is allowed\\n", k, (unsigned)i, off);
            return 1;
        }}
    }}
"""


def _makefile(name: str, has_run: bool) -> str:
    prefix = c_symbol(name).upper()
    what = f"checks the model, its hash and the golden vectors on this computer{', by running them in C' * has_run}."
    return f"""# make test: {what}
# make test RUNTIME="runtime.o ...": runs the vectors by the function that {name}_test.c declares.
RUNTIME ?={f" {name}_run.c" * has_run}
CC ?= cc
CFLAGS ?= -O1
STRICT = -std=c99 -Wall -Wextra -Werror -pedantic
HOOK = $(if $(RUNTIME),-D{prefix}_RUNTIME)
BINARY = {name}_test.run

test:
\t$(CC) $(STRICT) $(CFLAGS) $(HOOK) -o $(BINARY) {name}_test.c {name}_model.c $(RUNTIME) $(LDLIBS)
\t./$(BINARY) ../vectors; code=$$?; rm -f $(BINARY); exit $$code

.PHONY: test
"""
