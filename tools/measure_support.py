"""Ask TensorFlow Lite Micro's interpreter which types each operator takes: `python tools/measure_support.py OUT.csv`.

Each combination of types is a file of its own (operator_files.py), constructed and run once in a fork: minutes.
"""

from __future__ import annotations

import csv
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.bench.runners.tflm import interpreter_heads
from tools.operator_files import KINDS, TYPES, operator_file, roles

# Roles that few types are thinkable for; the others are tried with all.
TRIED = {
    "weights": ("float32", "float16", "int4", "int8", "uint8", "int16"),
    "bias": ("float32", "int8", "int16", "int32", "int64"),
    "state": ("float32", "int8", "int16"),
    "index": ("int8", "int16", "int32", "int64"),
}
CHUNK = 500


def main(arguments: Sequence[str]) -> None:
    """Write the table that the first argument names: a row for each combination that ran."""
    with Path(arguments[0]).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("op", "inputs", "outputs", "types"))
        for name, kind in KINDS.items():
            inputs, outputs = ([_role(s.role) for s in slots] for slots in (kind.inputs, kind.outputs))
            for types in _running(name):
                own = " ".join(f"{role}={types[role]}" for role in roles(name))
                writer.writerow((name, " ".join(inputs), " ".join(outputs), own))
            sys.stderr.write(f"{name}\n")


def _role(role: str) -> str:
    """The role by which a tensor's type is judged; "-" for one of a type of its own, such as a shape."""
    return "-" if role in TYPES else role


def _running(name: str) -> Iterator[dict[str, str]]:
    own = roles(name)
    cases = [dict(zip(own, row, strict=True)) for row in itertools.product(*(TRIED.get(r, TYPES) for r in own))]
    for start in range(0, len(cases), CHUNK):
        part = cases[start : start + CHUNK]
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{k}.tflite" for k in range(len(part))]
            for path, types in zip(paths, part, strict=True):
                path.write_bytes(operator_file(name, types))
            heads = interpreter_heads(paths, 1800.0)
        yield from (types for types, head in zip(part, heads, strict=True) if isinstance(head, int))


if __name__ == "__main__":
    main(sys.argv[1:])
