"""Write the tables of operators: `python tools/make_support.py tools/facts edgecut/tflite/support_tables.py`.

support_types.py, which tools/measure_support.py measured, is written beside it.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DTYPES = {"f32": "float32", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u8": "uint8",
          "u32": "uint32", "bool": "bool"}  # fmt: skip
TESTED = {"wheel_test_f32": "float32", "wheel_test_i8": "int8", "wheel_test_i16": "int16"}
WIDTH = 120
ANY = 9  # of the ten types tried all but int4, which is for weights
RUNTIMES = {
    "mvp": "operators with a kernel on the accelerator; the others run on the processor.",
    "tinyengine": "operators that its converter takes; it ends on any other.",
}
FAST = {"cmsis_nn": "cmsis-nn", "esp_nn": "esp-nn"}


def main(arguments: Sequence[str]) -> None:
    """Write the module that the second argument names."""
    facts, out = Path(arguments[0]), Path(arguments[1])
    out.write_text(module(facts), encoding="utf-8")
    out.with_name("support_types.py").write_text(types_module(facts), encoding="utf-8")


def module(facts: Path) -> str:
    """The text of support_tables.py."""
    tflm, xnnpack = rows(facts / "ops_tflm.csv"), rows(facts / "ops_xnnpack.csv")
    commit = tflm[0]["commit"][:7]
    ethos = sorted({r["op"] for r in rows(facts / "ops_ethosu.csv") if r["target"].startswith("ethos-u55")})
    registered = {r["op"]: tflm_dtypes(r) for r in tflm if r["op"] and r["resolver_method"] != "NOT REGISTERED"}
    registered.update(measured_dtypes(facts))
    absent = sorted(r["op"].partition("(")[0] for r in tflm if r["resolver_method"] == "NOT REGISTERED")
    parts = [
        '"""What each runtime has kernels for. Written by tools/make_support.py from the tables of facts."""',
        "from __future__ import annotations",
        f'# tflite-micro@{commit}: operator -> input types; () takes any.\nTFLM_COMMIT = "{commit}"',
        table("TFLM", {name.removeprefix("CUSTOM:"): value for name, value in registered.items()}),
        "# Operators of TensorFlow Lite that were looked for there and aren't registered.\n"
        + names("TFLM_ABSENT", absent),
        "# Operators with a kernel of the optimized library; the others run reference code.",
    ]
    for column, kernels in FAST.items():
        fast = sorted(r["op"] for r in tflm if r[column] == "y")
        parts.append(names(kernels.replace("-", "_").upper(), fast))
    source = xnnpack[0]["source"]
    parts += [
        f"# {source.split(' ')[0]}@{source.split(' ')[1][:7]} xnnpack_delegate.cc: operator -> types it takes over.",
        table("XNNPACK", {n: xnnpack_dtypes(r) for r in xnnpack for n in r["op"].split("/") if " " not in n}),
        "# ethos-u-vela 5.2.0, its supported-operators report for Ethos-U55 and U65; constraints are left to Vela.",
        names("ETHOS_U", [op for op in ethos if "(" not in op]),
    ]
    for runtime, what in RUNTIMES.items():
        own = [r for r in rows(facts / "ops_runtimes.csv") if r["runtime"] == runtime]
        repositories = dict.fromkeys(r["source"].partition("@")[0] for r in own)
        taken = names(runtime.upper(), sorted(r["op"] for r in own))
        parts.append(f"# {', '.join(repositories)}, by tools/facts/ops_runtimes.csv:\n# {what}\n{taken}")
    return "\n\n".join(parts) + "\n"


def types_module(facts: Path) -> str:
    """The text of support_types.py: which types the interpreter took together, by the roles of inputs and outputs."""
    lines = [
        '"""Which types TensorFlow Lite Micro takes together. Written by tools/make_support.py from what ran there."""',
        "",
        "from __future__ import annotations",
        "",
        "# Operator -> the roles of its inputs and of its outputs (the last one's go on; - is any type), and the types",
        "# by role that ran, the roles in the order of their first place; | joins alternatives, * is any type.",
        "TFLM_TYPES: dict[str, tuple[str, str, tuple[str, ...]]] = {",
    ]
    for name, (inputs, outputs, combinations) in sorted(measured_types(facts).items()):
        texts = [f'"{row}"' for row in combinations]
        line = f'    "{name}": ("{inputs}", "{outputs}", ({", ".join(texts)}{"," if len(texts) == 1 else ""})),'
        if len(line) <= WIDTH:
            lines.append(line)
            continue
        lines += [f'    "{name}": (', f'        "{inputs}",', f'        "{outputs}",']
        row = f"        ({', '.join(texts)}{',' if len(texts) == 1 else ''}),"
        lines += (
            [row] if len(row) <= WIDTH else ["        (", *(f"            {text}," for text in texts), "        ),"]
        )
        lines.append("    ),")
    return "\n".join([*lines, "}"]) + "\n"


def measured_types(facts: Path) -> dict[str, tuple[str, str, list[str]]]:
    """Operator -> (roles of inputs, roles of outputs, combinations that ran)."""
    found: dict[str, tuple[str, str, dict[tuple[str, ...], list[str]]]] = {}
    for row in rows(facts / "tflm_types.csv"):
        types = [part.partition("=")[2] for part in row["types"].split()]
        table = found.setdefault(row["op"], (row["inputs"], row["outputs"], {}))[2]
        table.setdefault(tuple(types[:-1]), []).append(types[-1])
    return {
        name: (
            short(inputs),
            short(outputs),
            [" ".join((*before, alternatives(last))) for before, last in table.items()],
        )
        for name, (inputs, outputs, table) in found.items()
    }


def alternatives(types: Sequence[str]) -> str:
    """Types of one role joined, * where it took all of those tried."""
    return "*" if len(types) >= ANY else "|".join(types)


def short(roles: str) -> str:
    """Roles in a row, one that comes again as role*times."""
    runs = [(role, len(list(run))) for role, run in itertools.groupby(roles.split(" "))]
    return " ".join(role if times == 1 else f"{role}*{times}" for role, times in runs)


def measured_dtypes(facts: Path) -> dict[str, tuple[str, ...]]:
    """Operator -> the types of its data, of its weights where it has no data, that ran with any others."""
    found: dict[str, dict[str, None]] = {}
    for row in rows(facts / "tflm_types.csv"):
        types = dict(part.split("=") for part in row["types"].split())
        data = types.get("data", types.get("weights"))
        if data is not None:
            found.setdefault(row["op"], {})[data] = None
    return {name: tuple(dtypes) for name, dtypes in found.items()}


def tflm_dtypes(row: Mapping[str, str]) -> tuple[str, ...]:
    """The input types of a TFLM kernel; () for any, or where none is written."""
    text = row["input_dtypes"]
    if not text or text.startswith(("any", "n/a", "custom", "resource")):
        return ()
    read = text.partition("->")[0] if text.startswith("in") else text.partition(";")[0] if "out:" in text else text
    found = dict.fromkeys(DTYPES[t] for t in re.findall(r"\b(f32|i8|i16|i32|i64|u8|u32|bool)\b", read))
    refused = {dtype for column, dtype in TESTED.items() if row[column] == "FAIL"}
    return tuple(dtype for dtype in found if dtype not in refused)


def xnnpack_dtypes(row: Mapping[str, str]) -> tuple[str, ...]:
    """The activations' types that the delegate takes over; "dynamic" for float activations with int8 weights."""
    taken = {"float32": row["float32"], "float16": row["float16"], "int8": row["int8 signed"], "uint8": row["uint8"]}
    found = [dtype for dtype, text in taken.items() if re.match(r"(y|in|out)", text)]
    if row["tested i8"] == "NOT taken":
        found = [dtype for dtype in found if dtype != "int8"]
    if row["tested ai-edge-litert 2.3.0 f32"] == "NOT taken":
        found = [dtype for dtype in found if dtype != "float32"]
    if row["dynamic range (f32 act + q weights)"].startswith("YES"):
        found.append("dynamic")
    return tuple(found)


def table(name: str, entries: Mapping[str, Iterable[str]]) -> str:
    """A literal dict of tuples, one entry a line."""
    lines = [f"    {key!r}: {tuple(value)!r},".replace("'", '"') for key, value in sorted(entries.items())]
    return "\n".join([f"{name}: dict[str, tuple[str, ...]] = {{", *lines, "}"])


def names(name: str, entries: Sequence[str]) -> str:
    """A literal frozenset of names, one a line."""
    lines = [f'        "{entry}",' for entry in entries]
    return "\n".join([f"{name}: frozenset[str] = frozenset(", "    {", *lines, "    }", ")"])


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of facts; blank ones left out."""
    with open(path, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["op"]]


if __name__ == "__main__":
    main(sys.argv[1:])
