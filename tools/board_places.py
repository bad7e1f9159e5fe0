"""Which rows of tools/boards/data belong together: a board with a runtime is a place, whose prices are one fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgecut.calibrate.board import general
from edgecut.calibrate.measured import Measured, Prior, lent
from edgecut.records.recipe import Precision
from tools.boards.graphs import nets
from tools.boards.names import plain

MIB = 2**20
# Architectures that differ by size, width or head alone are one family, and so are near relatives of a family.
FAMILIES = {
    "efficientnet_v2": ("efficientnet_v2b0", "efficientnet_v2b1", "efficientnet_v2b2", "efficientnet_v2b3",
                        "efficientnet_v2s"),
    "mobilenet": ("mobilenet", "vww"), "mobilenetv3": ("mobilenetv3_small", "mobilenetv3_large"),
    "fd_mobilenet": ("fd_mobilenet", "st_fd_mobilenet"), "miniresnet": ("miniresnet", "miniresnet_v2"),
}  # fmt: skip
FAMILY = {name: family for family, names in FAMILIES.items() for name in names}


@dataclass(frozen=True)
class Place:
    """A board with a runtime and a precision. profile: its id, "" for one that no profile is of.

    pool: the places whose prices are each other's prior. kind: of the general prior (calibrate/board.py). threads: of
    the measurements.
    """

    name: str
    pool: str
    profile: str = ""
    kind: str = "cpu"
    precision: Precision = "int8"
    internal_bytes: int | None = None
    flash_bytes: int | None = None
    threads: int | None = None


# Board of measurements.csv -> its place, where its runtime says no more.
BOARDS = {
    "STM32H747I-DISCO": Place(
        "STM32H747I-DISCO", "x-cube-ai", "stm32h747i-disco", internal_bytes=MIB // 2, flash_bytes=2 * MIB
    ),
    "STM32F769I-DISCO": Place("STM32F769I-DISCO", "x-cube-ai", "stm32f769i-disco"),
    "B-U585I-IOT02A": Place("B-U585I-IOT02A", "x-cube-ai", "b-u585i-iot02a"),
    "STM32L4R9": Place("STM32L4R9", "x-cube-ai", "stm32l4r9i-disco"),
    "STM32F401": Place("STM32F401", "x-cube-ai"),
    "STM32N6570-DK": Place("STM32N6570-DK", "neural-art", "stm32n6570-dk", "npu", internal_bytes=6 * MIB // 5),
    "STM32MP135F-DK2": Place("STM32MP135F-DK2", "xnnpack", "stm32mp135f-dk", threads=1),
    "STM32MP157F-DK2": Place("STM32MP157F-DK2", "xnnpack", "stm32mp157f-dk2", threads=2),
    "Raspberry Pi 3B PLUS": Place("Raspberry Pi 3B+", "xnnpack", "raspberry-pi-3b-plus"),
    "Raspberry Pi 4B": Place("Raspberry Pi 4B", "xnnpack", "raspberry-pi-4"),
    "Raspberry Pi 5": Place("Raspberry Pi 5", "xnnpack", "raspberry-pi-5"),
    "Raspberry Pi Zero 2 W": Place("Raspberry Pi Zero 2 W", "xnnpack", "rpi-zero-2w"),
    "NXP iMX93": Place("i.MX93 Ethos-U65", "ethos-u", "imx93-evk-ethos-u65", "npu"),
    "EFR32xG24": Place("EFR32xG24", "mvp", "xg24-dk2601b"),
    "xiao_esp32s3": Place("XIAO ESP32S3", "esp-nn", "xiao-esp32s3-sense"),
    "grove_vision_ai_we2": Place("Grove Vision AI V2", "ethos-u", "grove-vision-ai-v2", "npu"),
    "we2": Place("Grove Vision AI V2", "ethos-u", "grove-vision-ai-v2", "npu"),
}
# Other names of a board.
ALIASES = {"STM32N6": "STM32N6570-DK", "STM32H769I-DISCO": "STM32F769I-DISCO", "Raspberry Pi 4": "Raspberry Pi 4B"}
# Pool -> the runtimes whose rows the boards above are places of; "" is one that isn't printed.
RUN_BY = {
    "x-cube-ai": ("st-edge-ai", ""), "neural-art": ("st-edge-ai", ""), "xnnpack": ("x-linux-ai", "litert"),
    "ethos-u": ("tflm ethos-u", "litert"), "mvp": ("tflm mvp",), "esp-nn": ("tflm esp-nn", "litert"),
}  # fmt: skip
H743 = {
    "tflm cmsis-nn": ("nucleo-h743zi", "cmsis-nn"), "tflm reference": ("nucleo-h743zi-reference", "reference"),
    "st-edge-ai": ("nucleo-h743zi-xcubeai", "x-cube-ai"), "tinyengine": ("nucleo-h743zi-tinyengine", "tinyengine"),
}  # fmt: skip
ESP = {"ESP32": "esp32", "ESP32-S3": "esp32-s3", "ESP32-C3": "esp32c3", "ESP32-P4": "esp32p4"}
NAMES = {plain(name): name for name in (*BOARDS, *ALIASES, *ESP, "STM32H743", "STM32MP257F-DK2")}
# X-LINUX-AI before 5.1 ran LiteRT's own kernels; since then XNNPACK takes most files, and of these families none: their
# times are the same before and after, the others' a half (boards_sources.md, "Version labels are not reliable"). Those
# of st_yolo_lc fell a version earlier.
BEFORE_XNNPACK = ("5.0.0", "2.11.0")
NOT_DELEGATED = ("fd_mobilenet", "st_efficientnet_lc", "st_ssd_mobilenet_v1", "ssd_fpnlite")
DELEGATED_EARLIER = ("st_yolo_lc",)
TINY_RUNTIMES = {"x-cube-ai": "x-cube-ai", "bosch": "hale", "plumerai": "plumerai", "microtvm": "microtvm",
                 "onnc": "onnc", "tflite": "tflm", "tensorflow lite": "tflm"}  # fmt: skip
TINY_CHIPS = ("L4R5", "H7A3", "U575", "U585", "F746", "G0B1", "NRF5340", "4343", "M467", "RA6M4", "RA8D1", "RX65")


def place_of(row: Mapping[str, str]) -> Place | None:
    """The place of a row of measurements.csv, None for one that is compared with nothing here."""
    board = board_of(row["board"])
    found = _special(row, board) or BOARDS.get(board)
    if found is None or (found == BOARDS.get(board) and row["runtime"] not in RUN_BY[found.pool]):
        return None
    if row["dtype"] == found.precision:
        return found
    if row["dtype"] not in ("float32", "float16"):
        return None
    # Files with float16 weights compute in float32.
    name, pool = f"{found.name} float", f"{found.pool} float"
    return Place(name, pool, found.profile, found.kind, "float32", threads=found.threads)


def board_of(text: str) -> str:
    """The board's name here, however its letters and signs are written."""
    name = NAMES.get(_letters(text), text)
    return ALIASES.get(name, name)


def _letters(text: str) -> str:
    return plain(text.lower().replace("+", "plus").replace("model", ""))


def _special(row: Mapping[str, str], board: str) -> Place | None:
    runtime = row["runtime"]
    if "mlperf_tiny.csv" in row["source"]:
        return _tiny(row)
    if board == "STM32H743" and runtime in H743:
        profile, pool = H743[runtime]
        return Place(f"{board} {pool}", pool, profile, internal_bytes=MIB // 2, flash_bytes=2 * MIB)
    if board in ESP and runtime.startswith("tflm"):
        pool = runtime.removeprefix("tflm ")
        return Place(f"{board} {pool}", pool, ESP[board] + ("-reference" if pool == "reference" else ""))
    if board in ESP:
        return Place(f"{board} {runtime} {row['engine'] or '1 CPU'}", runtime)
    if board == "STM32MP257F-DK2":
        ends = {"per-tensor": ("gpu", "stm32mp257f-dk"), "per-channel": ("gpu", "stm32mp257f-dk-per-channel")}
        kind, profile = ends.get(row["scheme"], ("gpu", ""))
        pool = f"mp257 {row['scheme']}"
        return Place(f"{board} {row['scheme']}", pool, profile, kind) if "NPU" in row["engine"] else None
    if board in ("STM32MP157F-DK2", "STM32MP135F-DK2") and builtin(row):
        profile, threads = ("stm32mp157f-dk2-builtin", 2) if "157" in board else ("stm32mp135f-dk-builtin", 1)
        return Place(f"{board} without XNNPACK", "builtin", profile, threads=threads)
    if board in ("STM32MP157F-DK2", "STM32MP135F-DK2") and row["scheme"] == "per-tensor":
        # A third to two thirds slower than the same net with a scale for each channel.
        return Place(f"{board} per tensor", "xnnpack", threads=BOARDS[board].threads)
    return None


def builtin(row: Mapping[str, str]) -> bool:
    """Whether LiteRT's own kernels ran a row of an STM32MP1."""
    before = BEFORE_XNNPACK[1:] if family_of(row) in DELEGATED_EARLIER else BEFORE_XNNPACK
    return row["version"].startswith(before) or family_of(row) in NOT_DELEGATED


def family_of(row: Mapping[str, str]) -> str:
    """The family of a row's net."""
    return FAMILY.get(row["family"], row["family"])


def _tiny(row: Mapping[str, str]) -> Place | None:
    chip = next((chip for chip in TINY_CHIPS if chip.lower() in row["board"].lower()), "")
    runtime = next((name for text, name in TINY_RUNTIMES.items() if text in row["runtime"]), "")
    # HALE's other settings, and microTVM's own schedules, are other runtimes.
    special = re.search("max_performance|min_ram|native", row["board"], re.IGNORECASE)
    return Place(f"{chip} {runtime}, MLPerf Tiny", runtime) if chip and runtime and not special else None


@dataclass(frozen=True)
class Times:
    """A place's rows, the documents that they were printed in, and whether these say the clock."""

    rows: list[Measured]
    sources: frozenset[str]
    clocked: bool


def measured(rows: Iterable[Mapping[str, str]]) -> dict[Place, Times]:
    """Place -> its rows that have a net and a time that isn't suspect, each time of a net and version once."""
    found: defaultdict[Place, dict[tuple[str, str, str], Measured]] = defaultdict(dict)
    sources: defaultdict[Place, set[str]] = defaultdict(set)
    clocked: set[Place] = set()
    graphs = nets()
    for row in rows:
        place = place_of(row)
        if place is None or not row["latency_ms"] or row["suspect"] or row["graph"] not in graphs:
            continue
        version = version_of(row)
        net = Measured(
            row["graph"], family_of(row), graphs[row["graph"]], float(row["latency_ms"]) / 1e3,
            place.name, version, place.internal_bytes, place.flash_bytes,
        )  # fmt: skip
        found[place].setdefault((net.net, version, row["latency_ms"]), net)
        clocked |= {place} if row["clock_mhz"] else set()
        sources[place].add(re.sub(r" \([\w.]+:\d+\)$", "", row["source"]))
    return {
        place: Times(list(own.values()), frozenset(sources[place]), place in clocked) for place, own in found.items()
    }


def version_of(row: Mapping[str, str]) -> str:
    """The version of a row's runtime."""
    text = row["runtime"] if "x-cube-ai v" in row["runtime"] else row["version"]
    version = text.removeprefix("x-cube-ai v").partition(" ")[0].removeprefix("v")
    return f"X-LINUX-AI {version}" if row["runtime"] == "x-linux-ai" and version else version


def prior_of(place: Place, found: Mapping[Place, Sequence[Measured]], without: str = "") -> Prior:
    """What a place's prices are pulled towards: those of the others of its pool, and what is general.

    without: a family that no other place's rows are taken of, either.
    """
    others = [
        row for other, rows in found.items() if other.pool == place.pool and other != place for row in rows
        if row.family != without
    ]  # fmt: skip
    return lent(others, general(place.kind))
