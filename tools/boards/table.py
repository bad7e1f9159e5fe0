"""The table of measurements: boards.csv with its sources' slips mended, and each row's net where it is known."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.boards.families import FLOAT, Net
from tools.boards.names import net_of, plain

FIELDS = (
    "net", "graph", "family", "dtype", "scheme", "board", "engine", "clock_mhz", "runtime", "version", "latency_ms",
    "activation_ram_kib", "runtime_ram_kib", "weights_flash_kib", "code_flash_kib", "ram_kib", "flash_kib",
    "external_ram_kib", "model", "dataset", "suspect", "suspect_memory", "source",
)  # fmt: skip
# As a source prints the runtime -> name, and what stands behind is the version.
RUNTIMES = {
    "STM32Cube.AI": "st-edge-ai", "STEdgeAI Core": "st-edge-ai", "STEdgeAI": "st-edge-ai",
    "X-CUBE-AI": "st-edge-ai", "X-LINUX-AI": "x-linux-ai",
    "TensorFlowLite": "x-linux-ai", "TFLM with ESP-NN": "tflm esp-nn", "TFLM without ESP-NN": "tflm reference",
    "TFLM": "tflm reference", "CMSIS-NN": "tflm cmsis-nn", "TinyEngine": "tinyengine", "ESP-DL": "esp-dl",
    "MLTK TFLM profiler": "tflm mvp", "TFLite(vela)": "tflm ethos-u", "TFLite": "litert", "TensorFlow Lite": "litert",
}  # fmt: skip
SCHEME = r"per[ _-]?(channel|tensor)"
# What a slip says of the net of a row that another model than the published definition was measured for.
UNKNOWN = "unknown"
TYPES = {"int8": "int8", "w8a8": "int8", "i8": "int8", "float": "float32", "float32": "float32", "fp32": "float32",
         "f32": "float32", "fp16": "float16", "float16": "float16", "hybrid": "hybrid", "": ""}  # fmt: skip
TINY_NETS = {"vww": "vww 96x96x3 2", "ic": "resnet_v1 32x32x3 10 depth=8", "kws": "kws 49x10x1 12",
             "ad": "autoencoder 1x1x640 640"}  # fmt: skip


def measurements(facts: Path) -> list[dict[str, str]]:
    """Every row of the table, by FIELDS: boards.csv, then MLPerf Tiny's, then the other published times.

    Values are as printed without "~", in the units of their names; "" is not printed. A row whose net isn't known
    here has neither net nor graph, which is the net's line in nets.jsonl. suspect, suspect_memory: why a time, or a
    memory, isn't to be fitted or judged on.
    """
    slips = _rows(facts / "boards_slips.csv")
    found = [measurement(mended(row, slips), f"boards.csv:{n}") for n, row in enumerate(_rows(facts / "boards.csv"), 2)]
    others = [{field: row.get(field, "") for field in FIELDS} for row in (*_tiny(facts), *_published(facts))]
    return found + [row | {"graph": _graph(row)} for row in others]


def measurement(row: Mapping[str, str], place: str) -> dict[str, str]:
    """A row of boards.csv as one of the table. place: where it stands, as "boards.csv:2"."""
    found = _measurement(row, place)
    return {field: found.get(field, "") for field in FIELDS} | {"graph": _graph(found)}


def write(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """The rows as a table, in their order."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _measurement(row: Mapping[str, str], place: str) -> dict[str, str]:
    net = None if row.get("net") == UNKNOWN else net_of(row)
    name, version = _runtime(row)
    kept = {field: row.get(field, "").lstrip("~").strip() for field in FIELDS}
    kept |= {field: _number(kept[field]) for field in FIELDS if field.endswith("_kib")}
    return kept | {
        "net": net.name if net else "",
        "family": net.family if net else "",
        "dtype": _dtype(row["dtype"]),
        "scheme": _scheme(row["quantization"]) or _scheme(f"{row['dtype']} {row['model']}"),
        "engine": row["core_or_engine"],
        "runtime": name,
        "version": version,
        "latency_ms": _number(row["latency_ms"]),
        "ram_kib": _number(row["total_ram_kib"]),
        "flash_kib": _number(row["total_flash_kib"]),
        "suspect": row.get("suspect", "") or ("" if _number(row["latency_ms"]) else row["latency_ms"]),
        "source": f"{row['source']} ({place})",
    }


def _graph(row: Mapping[str, str]) -> str:
    """The name of the row's graph in the data file: what isn't int8 is another graph, in float."""
    if not row["net"]:
        return ""
    return row["net"] if row["dtype"] == "int8" else FLOAT + row["net"]


def mended(row: Mapping[str, str], slips: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The row after every correction whose conditions it meets as it was printed."""
    mended = dict(row)
    for slip in slips:
        conditions = (condition.split("=", 1) for condition in slip["match"].split(";"))
        if all(row[field] == value for field, value in conditions):
            mended[slip["field"]] = slip["value"]
    return mended


def _dtype(text: str) -> str:
    """The type of a cell that may say the scheme as well, as "Int8 per tensor"."""
    return TYPES.get(plain(re.sub(SCHEME, "", text.lower())), text.lower())


def _scheme(text: str) -> str:
    match = re.search(SCHEME, text.lower())
    return f"per-{match[1]}" if match else ""


def _runtime(row: Mapping[str, str]) -> tuple[str, str]:
    """The runtime's name and version, however its letters and signs are written."""
    printed = row["runtime"].split(" / ")[0]
    exact = ((re.escape(text), name) for text, name in RUNTIMES.items())
    alike = ((r"[ ._-]*".join(map(re.escape, re.sub(r"[ ._-]", "", text))), name) for text, name in RUNTIMES.items())
    for pattern, name in (*exact, *alike):
        match = re.match(pattern, printed, re.IGNORECASE)
        if match:
            return name, printed[match.end() :].strip(" @vV")
    return printed.lower(), ""


def _tiny(facts: Path) -> Iterator[dict[str, str]]:
    """MLPerf Tiny's rows of time, for int8 systems with a clock."""
    for number, row in enumerate(_rows(facts / "mlperf_tiny.csv"), 2):
        if row["mode"] != "performance" or row["task"] not in TINY_NETS or "float" in row["system"].lower():
            continue
        net = TINY_NETS[row["task"]]
        yield {
            "net": net, "family": net.split()[0], "dtype": "int8", "board": row["system"],
            "engine": row["cpu"], "clock_mhz": _mhz(row["freq"]), "runtime": row["fw"].lower(), "version": row["round"],
            "latency_ms": _number(row["ms"]),
            "model": row["task"], "dataset": row["org"], "source": f"{row['file']} (mlperf_tiny.csv:{number})",
        }  # fmt: skip


def _published(facts: Path) -> Iterator[dict[str, str]]:
    for number, row in enumerate(_rows(facts / "latency_published.csv"), 2):
        net = published_net(row["model"], row["input"])
        dtype = (
            "int8"
            if "int8" in row["dtype"]
            else {"fp32": "float32", "float": "float32"}.get(row["dtype"], row["dtype"])
        )
        yield {
            "net": net.name if net else "", "family": net.family if net else "", "dtype": dtype,
            "scheme": "per-channel" if "per-channel" in row["dtype"] else "", "board": row["device"],
            "engine": row["cpu"], "runtime": row["framework"].lower(), "version": f"threads {row['threads']}",
            "latency_ms": _number(row["latency_ms"]),
            "model": row["model"], "source": f"{row['source']} (latency_published.csv:{number})",
        }  # fmt: skip


def published_net(model: str, size: str) -> Net | None:
    """The net of a row of latency_published.csv: MobileNets of a square input with 1000 classes."""
    match = re.fullmatch(r"MobileNet v([12]) ([\d.]+)|MobileNet v3 (Large|Small)", model)
    if match is None or not size.isdigit():
        return None
    shape = (int(size), int(size), 3)
    if match[3]:
        return Net(f"mobilenetv3_{match[3].lower()}", shape, 1000)
    return Net("mobilenet" if match[1] == "1" else "mobilenetv2", shape, 1000, (("alpha", str(float(match[2]))),))


def _number(text: str) -> str:
    """The first number of a cell, "" without one."""
    match = re.match(r"~?\s*(\d+(?:\.\d+)?)", text)
    return match[1] if match else ""


def _mhz(text: str) -> str:
    match = re.fullmatch(r"\s*([\d.]+)\s*([mg])(?:hz)?\s*", text.lower())
    return "" if match is None else f"{float(match[1]) * (1000 if match[2] == 'g' else 1):g}"


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
