"""A profile's TOML text from fields and sourced numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Numbers = dict[str, tuple[float, str]]  # dotted field -> (number, where it is from)
Texts = dict[str, Any]  # dotted field -> text, or a list of texts
TABLES = ("cpu", "memory", "memory.banks", "runtime", "latency")


def profile_texts(name: str, title: str, kind: str, core: str, runtime: Sequence[str], precisions: list[str]) -> Texts:
    """The text fields that every profile has."""
    simd = {"cortex-m4": "dsp", "cortex-m7": "dsp", "cortex-m33": "dsp", "cortex-m85": "helium", "xtensa-lx7": "pie"}
    simd |= dict.fromkeys(("cortex-a7", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a72", "cortex-a76"), "neon")
    texts: Texts = {"schema": "edgecut.profile/1", "id": name, "title": title, "class": kind}
    if core:
        texts |= {"cpu.core": core} | ({"cpu.simd": simd[core]} if core in simd else {})
    texts["runtime.name"] = runtime[0]
    texts |= {key: text for key, text in (("runtime.version", runtime[1]), ("runtime.kernels", runtime[2])) if text}
    return texts | {"runtime.formats": ["tflite"], "runtime.precisions": precisions}


def chip_of(facts: Mapping[str, str]) -> Texts:
    """The chip of a row of devices.csv, without what stands in parentheses."""
    return {"chip": facts["soc"].partition(" (")[0]}


def cell_source(facts: Mapping[str, str], column: str) -> str:
    """What a [[sources]] row says of a cell of devices.csv."""
    return f"devices.csv, {facts['id']}: {facts[column]}"


def counted(nets: int, families: int, source: str) -> Numbers:
    """How many nets, and of how many families, were measured on the very device and runtime."""
    return {"latency.nets": (nets, source), "latency.families": (families, source)}


def three_digits(rate: float) -> int:
    """The rate rounded to three digits."""
    return int(float(f"{rate:.3g}"))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of facts."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def profile_toml(texts: Texts, numbers: Numbers) -> str:
    """The file: text fields, numbers, and a [[sources]] row for each number, or for a table with one source."""
    lines = ["# Written by tools/make_profiles.py; a change there, or in its tables, is what lasts."]
    values: dict[str, Any] = {**texts, **{field: number for field, (number, _) in numbers.items()}}
    lines += [f"{key} = {_value(value)}" for key, value in values.items() if "." not in key]
    for table in TABLES:
        rows = [
            (key.rpartition(".")[2], value)
            for key, value in values.items()
            if key.rpartition(".")[0] == table and key != "latency.work"
        ]
        if rows:
            lines += ["", f"[{table}]", *(f"{key} = {_value(value)}" for key, value in rows)]
    for row in texts.get("latency.work", ()):
        lines += _work_lines(row)
    for field, source in _sources(numbers).items():
        lines += ["", "[[sources]]", f"field = {_value(field)}", f"what = {_value(source)}"]
    return "\n".join(lines) + "\n"


def _work_lines(row: Mapping[str, Any]) -> list[str]:
    """A table of prices, what it has by kind of work or by version below it."""
    plain = {key: value for key, value in row.items() if not isinstance(value, dict)}
    lines = ["", "[[latency.work]]", *(f"{key} = {_value(value)}" for key, value in plain.items())]
    for key, value in row.items():
        if isinstance(value, dict) and value:
            lines += [
                "",
                f"[latency.work.{key}]",
                *(f"{_value(name)} = {_value(price)}" for name, price in value.items()),
            ]
    return lines


def _sources(numbers: Numbers) -> dict[str, str]:
    """Field or table of a second level -> where its number, or each of its numbers, is from."""
    found: dict[str, str] = {}
    for field, (_, source) in numbers.items():
        table = field.rpartition(".")[0]
        alike = "." in table and len({s for other, (_, s) in numbers.items() if other.startswith(f"{table}.")}) == 1
        found[table if alike else field] = source
    return found


def _value(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:_}"
    return json.dumps(value, ensure_ascii=False)
