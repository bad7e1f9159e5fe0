"""Write the shipped device profiles from the tables of facts: `python -m tools.make_profiles tools/facts profiles`.

The tables are devices.csv, mlperf_tiny.csv and latency_published.csv. A cell that the tables don't source
stays absent from the profile; every number that is written has its own [[sources]] row.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tools.board_fits import with_fits
from tools.profile_bands import band as tiny_band
from tools.profile_boards import boards, npu_256
from tools.profile_memory import memory
from tools.profile_runtimes import measured_boards
from tools.profile_tiny import TINY_MACS
from tools.profile_toml import (
    Numbers,
    Texts,
    cell_source,
    chip_of,
    counted,
    profile_texts,
    profile_toml,
    read_rows,
    three_digits,
)

CLASSES = ("conv", "depthwise", "dense")

# MobileNetV2 0.35 at 96x96x3 with its 1,000 classes, counted in keras.applications.
MOBILENET_V2_035_96_MACS = (9_074_304, 1_579_824, 1_280_000)
# At 224x224x3 with 1,000 classes, counted in keras.applications; names as in latency_published.csv.
MOBILENET_MACS = {
    "MobileNet v1 1.0": 568_740_352,
    "MobileNet v2 1.0": 300_774_272,
    "MobileNet v3 Large": 216_589_760,
    "MobileNet v3 Small": 56_510_400,
    "MobileNetV3 Small 1000 classes": 56_510_400,
    "Person detection (VWW)": 7_157_888,  # MobileNetV1 0.25 at 96x96 with one input channel
}

# (round, organisation, system) in mlperf_tiny.csv.
L4R5_REFERENCE = ("v0.5", "reference", "Nucleo-L4R5ZI")
L4R5_CMSIS = ("v1.1", "Krai", "NUCLEO-L4R5ZI_MICROTVM-CMSIS-NN")
L4R5_XCUBE = ("v1.2", "STMicroelectronics", "NUCLEO_L4R5ZI")
F746_HALE = ("v1.2", "bosch", "DISCO_F746NG_int8")
H7A3_XCUBE = ("v1.2", "STMicroelectronics", "NUCLEO_H7A3ZI_Q")
U575_XCUBE = ("v1.2", "STMicroelectronics", "NUCLEO_U575ZI_Q")
NRF5340_CMSIS = ("v1.1", "Krai", "NRF5340-DK_MICROTVM-CMSIS-NN")
RA8D1_TFLM = ("v1.2", "Renesas", "EK-RA8D1")

# facts/prediction.md, table "MLPerf Tiny, effective cycles per MAC" (conv, depthwise, dense).
CYCLES_PER_MAC = {
    L4R5_REFERENCE: (6.8, 25.7, 4.6),
    L4R5_CMSIS: (3.7, 12.2, 3.9),
    L4R5_XCUBE: (1.6, 1.9, 2.4),
    F746_HALE: (1.1, 5.8, 1.4),
    H7A3_XCUBE: (0.9, 1.7, 1.3),
    U575_XCUBE: (1.4, 1.6, 2.1),
    NRF5340_CMSIS: (3.3, 8.5, 3.1),
    RA8D1_TFLM: (0.33, 3.9, 0.96),
}
# Profile -> the system that its cycles are from.
BENCHMARKED = {
    "nucleo-l4r5zi": L4R5_CMSIS, "nucleo-l4r5zi-reference": L4R5_REFERENCE, "nucleo-l4r5zi-xcubeai": L4R5_XCUBE,
    "nucleo-f746zg": F746_HALE, "nucleo-h7a3zi": H7A3_XCUBE, "nucleo-u575zi": U575_XCUBE, "nrf5340dk": NRF5340_CMSIS,
    "ek-ra8d1": RA8D1_TFLM,
}  # fmt: skip
CHIPS = {
    **dict.fromkeys(("nucleo-l4r5zi", "nucleo-l4r5zi-reference", "nucleo-l4r5zi-xcubeai"), "STM32L4R5ZI"),
    "nucleo-f746zg": "STM32F746ZG",
    "nucleo-h7a3zi": "STM32H7A3ZI",
    "nucleo-u575zi": "STM32U575ZI",
    "nrf5340dk": "nRF5340",
    "ek-ra8d1": "RA8D1",
}
NOT_TFLM = (
    "; measured with microTVM, which calls the same CMSIS-NN kernels: on Cortex-M33 TFLM itself differed "
    "from it by 3 to 21 % in cycles (EK-RA6M4 against nRF5340)"
)
# facts/prediction.md (Vela 5.2, Ethos-U55-128 at 500 MHz) and facts/dependencies.md (MobileNetV2).
ETHOS_CLOCK_HZ = 500_000_000
ETHOS_MS = {"vww": 0.442, "ic": 0.403, "kws": 0.180, "ad": 0.402}
ETHOS_MOBILENET_V2_CYCLES = 817_617
# facts/prediction.md, from the same README as latency_published.csv, which lacks these two rows.
PI3_EXTRA = {"MobileNet v3 Large": 67.0, "MobileNet v3 Small": 23.0}
README = "google/XNNPACK README.md, table 'Raspberry Pi' (end2end-bench, all 4 cores, random weights)"


def main(arguments: Sequence[str]) -> None:
    """Write every profile into the folder that the second argument names."""
    facts, folder = Path(arguments[0]), Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in profiles(facts).items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def profiles(facts: Path) -> dict[str, str]:
    """The TOML text of every profile by id."""
    devices = {row["id"]: row for row in read_rows(facts / "devices.csv")}
    tiny = read_rows(facts / "mlperf_tiny.csv")
    published = read_rows(facts / "latency_published.csv")
    found = [_host(), *_microcontrollers(devices, tiny), _esp32(devices, published)]
    found += [*_raspberries(devices, published), _ethos(devices), npu_256(devices), *boards(devices, published)]
    found += measured_boards(devices)
    clocks = {texts["id"]: int(numbers["cpu.clock_hz"][0]) for texts, numbers in found if "cpu.clock_hz" in numbers}
    found = with_fits(found, clocks)
    return {texts["id"]: profile_toml(texts, numbers) for texts, numbers in found}


def cycles_per_mac(cycles: Mapping[str, float], macs: Mapping[str, Sequence[int]]) -> tuple[float, ...]:
    """Cycles per multiply-accumulate by class, fitted to the models' cycles by least squared relative error.

    cycles: model -> cycles of one inference. macs: model -> (conv, depthwise, dense). No result is negative;
    a class that no model has is 0.
    """
    table = np.array([np.array(macs[name], float) / cycles[name] for name in cycles])
    best, best_error = np.zeros(table.shape[1]), np.inf
    # Non-negative least squares over three unknowns: the best of the subsets' fits that stay positive.
    for size in range(1, table.shape[1] + 1):
        for subset in itertools.combinations(range(table.shape[1]), size):
            part, *_ = np.linalg.lstsq(table[:, subset], np.ones(len(table)), rcond=None)
            error = float(((table[:, subset] @ part - 1) ** 2).sum())
            if (part >= 0).all() and error < best_error - 1e-12:
                best, best_error = np.zeros(table.shape[1]), error
                best[list(subset)] = part
    return tuple(float(c) for c in best)


def class_errors(cycles: Mapping[str, float], macs: Mapping[str, Sequence[int]]) -> list[float]:
    """|actual / estimate - 1| of each model, estimated from the others."""
    errors = []
    for name, actual in cycles.items():
        others = {other: value for other, value in cycles.items() if other != name}
        estimate = float(np.dot(cycles_per_mac(others, macs), macs[name]))
        errors.append(abs(actual / estimate - 1))
    return errors


def rate_errors(seconds: Mapping[str, float], macs: Mapping[str, int]) -> list[float]:
    """|actual / estimate - 1| of each model, estimated by the median rate of the others."""
    errors = []
    for name, actual in seconds.items():
        rate = statistics.median(macs[other] / s for other, s in seconds.items() if other != name)
        errors.append(abs(actual / (macs[name] / rate) - 1))
    return errors


def band(errors: Iterable[float]) -> tuple[float, float]:
    """(p50, p90) of leave-one-out errors; the worst stands for the p90, since there are fewer than ten."""
    ordered = sorted(errors)
    return round(statistics.median(ordered), 2), round(ordered[-1], 2)


def tiny_milliseconds(tiny: Sequence[Mapping[str, str]], system: tuple[str, str, str]) -> dict[str, float]:
    """model -> ms of one MLPerf Tiny system, in performance mode."""
    rows = [r for r in tiny if (r["round"], r["org"], r["system"]) == system and r["mode"] == "performance"]
    return {name: float(next(r["ms"] for r in rows if r["task"] == name)) for name in TINY_MACS}


def _microcontrollers(
    devices: Mapping[str, Mapping[str, str]], tiny: Sequence[Mapping[str, str]]
) -> list[tuple[Texts, Numbers]]:
    l4r5, cmsis = "ST NUCLEO-L4R5ZI, Cortex-M4", ("tflm", "", "cmsis-nn")
    xcube, hale = ("vendor", "9.0", "X-CUBE-AI"), ("vendor", "1.0.175", "HALE")
    boards = [
        ("nucleo-l4r5zi", l4r5, "cortex-m4", cmsis, "nucleo-l4r5zi", L4R5_CMSIS, 120, NOT_TFLM),
        ("nucleo-l4r5zi-reference", f"{l4r5}, TFLM reference kernels", "cortex-m4",
         ("tflm", "2.3.1", "reference"), "nucleo-l4r5zi", L4R5_REFERENCE, 120, ""),
        ("nucleo-l4r5zi-xcubeai", f"{l4r5}, X-CUBE-AI", "cortex-m4", xcube, "nucleo-l4r5zi", L4R5_XCUBE, 120,
         ""),
        ("nucleo-f746zg", "ST NUCLEO-F746ZG, Cortex-M7, HALE", "cortex-m7", hale, "stm32f746g-disco",
         F746_HALE, 216, ", on the DISCO-F746NG board, which has the same chip"),
        ("nucleo-h7a3zi", "ST NUCLEO-H7A3ZI-Q, Cortex-M7, X-CUBE-AI", "cortex-m7", xcube, "", H7A3_XCUBE,
         280, ""),
        ("nucleo-u575zi", "ST NUCLEO-U575ZI-Q, Cortex-M33, X-CUBE-AI", "cortex-m33", xcube, "stm32u575",
         U575_XCUBE, 160, ""),
        ("nrf5340dk", "Nordic nRF5340-DK, Cortex-M33", "cortex-m33", cmsis, "nrf5340", NRF5340_CMSIS,
         128, NOT_TFLM),
        ("ek-ra8d1", "Renesas EK-RA8D1, Cortex-M85", "cortex-m85", ("tflm", "", ""), "", RA8D1_TFLM, 480, ""),
    ]  # fmt: skip
    found = []
    for name, title, core, runtime, device, system, clock_mhz, remark in boards:
        texts = profile_texts(name, title, "microcontroller", core, runtime, ["int8"])
        facts = devices.get(device)
        texts["chip"] = CHIPS[name]
        # The rows of two chips are those of boards with memory around them, which these boards haven't.
        numbers = memory(facts, on_board=False) if facts is not None else {}
        if facts is not None and facts["cores"].startswith("1x"):
            numbers["cpu.cores"] = (1, cell_source(facts, "src_soc_cores"))
        numbers["cpu.clock_hz"] = (clock_mhz * 1_000_000, _clock_source(_label(system), facts))
        _add_cycles(texts, numbers, system, tiny, remark)
        found.append((texts, numbers))
    return found


def _engine(system: tuple[str, str, str]) -> str:
    names = {L4R5_REFERENCE: "TFLM 2.3.1 reference kernels", L4R5_CMSIS: "microTVM + CMSIS-NN",
             NRF5340_CMSIS: "microTVM + CMSIS-NN", F746_HALE: "HALE 1.0.175", RA8D1_TFLM: "TFLM"}  # fmt: skip
    return names.get(system, "X-CUBE-AI 9.0")


def _add_cycles(
    texts: Texts, numbers: Numbers, system: tuple[str, str, str], tiny: Sequence[Mapping[str, str]], remark: str
) -> None:
    ms = tiny_milliseconds(tiny, system)
    shown = ", ".join(f"{name} {value:g} ms" for name, value in ms.items())
    source = f"facts/prediction.md, fitted to {_label(system)} ({shown}){remark}"
    for name, value in zip(CLASSES, CYCLES_PER_MAC[system], strict=True):
        numbers[f"latency.{name}"] = (value, source)
    p50, p90 = tiny_band(tiny, system)
    way = "MLPerf Tiny, each model predicted from the chip's other three and the ratios of the same runtime elsewhere"
    numbers["latency.error_p50"] = (p50, f"{way}: the larger of this chip's median error and that of all other systems")
    numbers["latency.error_p90"] = (
        p90,
        f"{way}: the largest of this chip's worst error, of what nine tenths of all other systems' errors stay within, "
        "and of those with the same runtime",
    )
    numbers |= counted(len(ms), len(ms), f"{_label(system)}: {', '.join(ms)}")
    texts["latency.kind"] = "published"
    texts["latency.basis"] = f"{_engine(system)}, MLPerf Tiny {system[0]}"


def _label(system: tuple[str, str, str]) -> str:
    return f"MLPerf Tiny {system[0]}, {system[1]}, system {system[2]}"


def _esp32(devices: Mapping[str, Mapping[str, str]], published: Sequence[Mapping[str, str]]) -> tuple[Texts, Numbers]:
    facts = devices["esp32s3"]
    rows = {r["model"]: r for r in published if r["device"] == "ESP32-S3 240 MHz"}
    seconds = {model: float(row["latency_ms"].split()[0]) / 1e3 for model, row in rows.items()}
    person = "Person detection (VWW)"
    source = rows[person]["source"]
    texts = profile_texts("esp32-s3", facts["title"], "microcontroller", "xtensa-lx7", ("tflm", "", "esp-nn"), ["int8"])
    texts |= {"latency.kind": "published", "latency.basis": "ESP-NN README, person detection", **chip_of(facts)}
    numbers = memory(facts)
    numbers["cpu.clock_hz"] = (int(facts["clock_hz"]), cell_source(facts, "src_clock"))
    numbers["cpu.cores"] = (2, cell_source(facts, "src_soc_cores"))
    numbers["latency.int8_macs_per_s"] = (
        three_digits(MOBILENET_MACS[person] / seconds[person]),
        f"{source}: person detection, {MOBILENET_MACS[person]} MACs in {seconds[person] * 1e3:g} ms",
    )
    p50, p90 = band(rate_errors(seconds, MOBILENET_MACS))
    for name, value in (("error_p50", p50), ("error_p90", p90)):
        numbers[f"latency.{name}"] = (
            value,
            f"{source}: each of its two int8 models predicted from the other",
        )
    return texts, numbers | counted(len(seconds), len(seconds), f"{source}: {', '.join(seconds)}")


def _raspberries(
    devices: Mapping[str, Mapping[str, str]], published: Sequence[Mapping[str, str]]
) -> list[tuple[Texts, Numbers]]:
    boards = [
        ("raspberry-pi-4", "rpi-4b", "cortex-a72", "Raspberry Pi 4 (BCM2711; ARM64)", {}, "64-bit OS"),
        ("raspberry-pi-3b-plus", "rpi-3b-plus", "cortex-a53", "Raspberry Pi 3B+ (BCM2837B0; 32-bit)",
         PI3_EXTRA, "32-bit OS, while LiteRT needs the 64-bit one"),
    ]  # fmt: skip
    found = []
    for name, device, core, label, extra, remark in boards:
        facts = devices[device]
        precisions = ["float32", "float16", "dynamic", "int8", "int16x8"]
        texts = profile_texts(
            name, f"{facts['title']}, 64-bit OS", "linux", core, ("litert", "", "xnnpack"), precisions
        )
        texts |= {"latency.kind": "published", "latency.basis": "XNNPACK README 2022, all 4 cores", **chip_of(facts)}
        numbers: Numbers = {
            "cpu.clock_hz": (int(facts["clock_hz"]), cell_source(facts, "src_clock")),
            "cpu.cores": (4, cell_source(facts, "src_soc_cores")),
            **memory(facts),
        }
        errors: list[float] = []
        for field, dtype in (("float32", "fp32"), ("int8", "int8 per-channel")):
            seconds = {r["model"]: float(r["latency_ms"]) / 1e3 for r in published
                       if r["device"] == label and r["dtype"] == dtype}  # fmt: skip
            if dtype == "fp32":
                seconds |= {model: ms / 1e3 for model, ms in extra.items()}
            rate = statistics.median(MOBILENET_MACS[model] / s for model, s in seconds.items())
            shown = ", ".join(f"{model} {s * 1e3:g} ms" for model, s in seconds.items())
            source = f"{README}, {remark}: median over {shown}"
            numbers[f"latency.{field}_macs_per_s"] = (three_digits(rate), source)
            errors += rate_errors(seconds, MOBILENET_MACS)
        for field, value in zip(("error_p50", "error_p90"), band(errors), strict=True):
            text = f"{README}: each of the {len(errors)} rows predicted from the others of its dtype"
            numbers[f"latency.{field}"] = (value, text)
        numbers |= counted(4, 3, f"{README}: MobileNet v1, v2, v3 Large and v3 Small")
        found.append((texts, numbers))
    return found


def ethos_cycles() -> tuple[dict[str, float], dict[str, Sequence[int]]]:
    """Vela's cycles of five models on the Ethos-U55-128, and their multiply-accumulates by class."""
    cycles = {name: ms * 1e-3 * ETHOS_CLOCK_HZ for name, ms in ETHOS_MS.items()}
    cycles["mobilenet_v2"] = ETHOS_MOBILENET_V2_CYCLES
    return cycles, {**TINY_MACS, "mobilenet_v2": MOBILENET_V2_035_96_MACS}


def _ethos(devices: Mapping[str, Mapping[str, str]]) -> tuple[Texts, Numbers]:
    facts = devices["corstone-300-u55-128"]
    title = "Arm Corstone-300, Cortex-M55 + Ethos-U55-128"
    texts = profile_texts("ethos-u55-128", title, "npu", "ethos-u55-128", ("tflm", "", "ethos-u"), ["int8"])
    texts |= {"latency.kind": "simulated", "latency.basis": "Vela 5.2, itself an estimate"}
    texts |= chip_of(facts)
    numbers: Numbers = {"cpu.clock_hz": (ETHOS_CLOCK_HZ, facts["src_clock"]), **memory(facts)}
    cycles, macs = ethos_cycles()
    shown = ", ".join(f"{name} {value:.0f}" for name, value in cycles.items())
    for name, value in zip(CLASSES, cycles_per_mac(cycles, macs), strict=True):
        numbers[f"latency.{name}"] = (
            round(value, 4),
            f"Vela 5.2 at 500 MHz, fitted to the cycles of {shown}",
        )
    for field, value in zip(("error_p50", "error_p90"), band(class_errors(cycles, macs)), strict=True):
        numbers[f"latency.{field}"] = (
            value,
            "Vela 5.2: each of the five models predicted from the other four",
        )
    numbers |= counted(len(cycles), len(cycles), f"Vela 5.2: {', '.join(cycles)}")
    return texts, numbers


def _host() -> tuple[Texts, Numbers]:
    precisions = ["float32", "float16", "dynamic", "int8", "int16x8"]
    texts = profile_texts("host", "This machine, measured", "host", "", ("litert", "", ""), precisions)
    texts["runtime.formats"] = ["tflite", "onnx"]
    return texts, {}


def _clock_source(label: str, facts: Mapping[str, str] | None) -> str:
    return label if facts is None else f"{label}; {cell_source(facts, 'src_clock')}"


if __name__ == "__main__":
    main(sys.argv[1:])
