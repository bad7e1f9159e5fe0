"""Write the table of operators: `python tools/make_support.py tools/facts edgecut/tflite/support_tables.py`."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DTYPES = {"f32": "float32", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u8": "uint8",
          "u32": "uint32", "bool": "bool"}  # fmt: skip
TESTED = {"wheel_test_f32": "float32", "wheel_test_i8": "int8", "wheel_test_i16": "int16"}
FAST = {"cmsis_nn": "cmsis-nn", "esp_nn": "esp-nn"}


def main(arguments: Sequence[str]) -> None:
    """Write the module that the second argument names."""
    facts, out = Path(arguments[0]), Path(arguments[1])
    out.write_text(module(facts), encoding="utf-8")


def module(facts: Path) -> str:
    """The text of support_tables.py."""
    tflm, xnnpack = rows(facts / "ops_tflm.csv"), rows(facts / "ops_xnnpack.csv")
    commit = tflm[0]["commit"][:7]
    ethos = sorted({r["op"] for r in rows(facts / "ops_ethosu.csv") if r["target"].startswith("ethos-u55")})
    registered = {r["op"]: tflm_dtypes(r) for r in tflm if r["op"] and r["resolver_method"] != "NOT REGISTERED"}
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
    return "\n\n".join(parts) + "\n"


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
