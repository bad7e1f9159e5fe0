"""Profiles of boards that no benchmark row of their own describes, from devices.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.profile_memory import memory
from tools.profile_toml import Numbers, Texts, cell_source, chip_of, counted, profile_texts, three_digits

Rows = Mapping[str, Mapping[str, str]]

LINUX = ["float32", "float16", "dynamic", "int8", "int16x8"]
# (id, id in devices.csv, core). Both runtimes have 64-bit ARM wheels for them.
LINUX_BOARDS = (
    ("rpi-zero-2w", "rpi-zero-2w", "cortex-a53"),
    ("raspberry-pi-3b-plus", "rpi-3b-plus", "cortex-a53"),
    ("raspberry-pi-4", "rpi-4b", "cortex-a72"),
    ("raspberry-pi-5", "rpi-5", "cortex-a76"),
    ("imx93-evk", "imx93-evk", "cortex-a55"),
    ("jetson-nano", "jetson-nano", "cortex-a57"),
    ("imx8mp-evk", "imx8mp-evk", "cortex-a53"),
)
NO_ONNXRUNTIME = ("jetson-nano",)  # its system has glibc 2.27, and the wheel needs 2.28
WITH_LITERT = ("raspberry-pi-3b-plus", "raspberry-pi-4")  # make_profiles.py writes these with their published rates

# (id in devices.csv, core, kernels, whose cycles per MAC).
MICROCONTROLLERS = (
    ("nucleo-h743zi", "cortex-m7", "cmsis-nn", ""),
    ("nano33ble", "cortex-m4", "cmsis-nn", "nucleo-l4r5zi"),
    ("esp32", "xtensa-lx6", "esp-nn", ""),
    ("esp32s3-eye", "xtensa-lx7", "esp-nn", ""),
    ("xiao-esp32s3-sense", "xtensa-lx7", "esp-nn", ""),
    ("esp32c3", "riscv32", "esp-nn", ""),
    ("esp32p4", "riscv32", "esp-nn", ""),
    ("rp2040-pico", "cortex-m0plus", "", ""),
    ("rp2350-pico2", "cortex-m33", "cmsis-nn", "nrf5340dk"),
    ("openmv-h7", "cortex-m7", "cmsis-nn", ""),
    ("openmv-h7-plus", "cortex-m7", "cmsis-nn", ""),
    ("portenta-h7", "cortex-m7", "cmsis-nn", ""),
    ("nicla-vision", "cortex-m7", "cmsis-nn", ""),
    ("max78000", "cortex-m4", "cmsis-nn", "nucleo-l4r5zi"),
    ("coral-dev-board-micro", "cortex-m7", "", ""),
)
# Boards whose row leaves the pieces of the RAM to another row with the same chip.
SAME_CHIP = {"esp32s3-eye": "esp32s3", "xiao-esp32s3-sense": "esp32s3", "openmv-h7-plus": "openmv-h7",
             "nicla-vision": "portenta-h7"}  # fmt: skip
# Cycles per MAC (conv, depthwise, dense) of facts/prediction.md, on another chip with the same core and kernels.
LENT = {"nucleo-l4r5zi": (3.7, 12.2, 3.9), "nrf5340dk": (3.3, 8.5, 3.1)}
LENT_ERROR = (0.32, 1.0)
LENT_SOURCE = (
    "facts/prediction.md: same runtime elsewhere, median error 32 % over 45 systems, nine tenths within a factor of 2"
)
# Device in latency_published.csv, and the MHz it was measured at.
ESPRESSIF = {"esp32": "ESP32 240 MHz", "esp32s3-eye": "ESP32-S3 240 MHz", "xiao-esp32s3-sense": "ESP32-S3 240 MHz",
             "esp32c3": "ESP32-C3 160 MHz", "esp32p4": "ESP32-P4 360 MHz"}  # fmt: skip
PERSON, PERSON_MACS = "Person detection (VWW)", 7_157_888
ESPRESSIF_ERROR = (1.53, 2.36)
ESPRESSIF_SOURCE = (
    "espressif/esp-nn@d45b843 README.md: the ESP32-S3's two int8 models, each predicted from the other; "
    "3 to 4 times worse per MAC on the larger one"
)


def boards(devices: Rows, published: Sequence[Mapping[str, str]]) -> list[tuple[Texts, Numbers]]:
    """Every board of the tables above, one profile for each runtime."""
    return [*_linux_boards(devices), *(_microcontroller(devices, published, row) for row in MICROCONTROLLERS)]


def npu_256(devices: Rows) -> tuple[Texts, Numbers]:
    """Corstone-300 with the 256-MAC Ethos-U55; no latency facts, since four nets alone don't separate its classes."""
    facts = devices["corstone-300-u55-256"]
    title = "Arm Corstone-300, Cortex-M55 + Ethos-U55-256"
    texts = profile_texts("ethos-u55-256", title, "npu", "ethos-u55-256", ("tflm", "", "ethos-u"), ["int8"])
    return texts | chip_of(facts), {"cpu.clock_hz": (500_000_000, facts["src_clock"]), **memory(facts)}


def _linux_boards(devices: Rows) -> list[tuple[Texts, Numbers]]:
    found = []
    for name, device, core in LINUX_BOARDS:
        facts = devices[device]
        title = f"{facts['title']}, 64-bit OS"
        if name not in WITH_LITERT:
            texts = profile_texts(name, title, "linux", core, ("litert", "", "xnnpack"), LINUX) | chip_of(facts)
            found.append((texts, _linux_numbers(facts)))
        if name in NO_ONNXRUNTIME:
            continue
        runtime = ("onnxruntime", "", "")
        texts = profile_texts(
            f"{name}-onnxruntime", f"{title}, ONNX Runtime", "linux", core, runtime, ["float32", "int8"]
        )
        texts |= {"runtime.formats": ["onnx"], **chip_of(facts)}
        found.append((texts, _linux_numbers(facts)))
    return found


def _linux_numbers(facts: Mapping[str, str]) -> Numbers:
    numbers: Numbers = {"cpu.clock_hz": (int(facts["clock_hz"]), cell_source(facts, "src_clock"))}
    numbers["cpu.cores"] = (int(facts["cores"].partition("x")[0]), cell_source(facts, "src_soc_cores"))
    return numbers | memory(facts)


def _microcontroller(
    devices: Rows, published: Sequence[Mapping[str, str]], row: tuple[str, str, str, str]
) -> tuple[Texts, Numbers]:
    device, core, kernels, lender = row
    facts = devices[device]
    texts = profile_texts(device, facts["title"], "microcontroller", core, ("tflm", "", kernels), ["int8"])
    texts |= chip_of(facts)
    numbers: Numbers = {"cpu.clock_hz": (int(facts["clock_hz"]), cell_source(facts, "src_clock"))}
    numbers |= memory(facts, devices[SAME_CHIP.get(device, device)])
    if lender:
        _lend(texts, numbers, lender)
    if device in ESPRESSIF:
        _person_rate(texts, numbers, published, ESPRESSIF[device])
    return texts, numbers


def _lend(texts: Texts, numbers: Numbers, lender: str) -> None:
    source = f"facts/prediction.md: the cycles of {lender}, which has the same core and kernels; not this chip's own"
    for field, cycles in zip(("conv", "depthwise", "dense"), LENT[lender], strict=True):
        numbers[f"latency.{field}"] = (cycles, source)
    for field, value in zip(("error_p50", "error_p90"), LENT_ERROR, strict=True):
        numbers[f"latency.{field}"] = (value, LENT_SOURCE)
    numbers |= counted(0, 0, f"{source}; no measured net")
    texts |= {"latency.kind": "published", "latency.basis": f"lent by {lender}: same core and kernels, within 2x"}


def _person_rate(texts: Texts, numbers: Numbers, published: Sequence[Mapping[str, str]], label: str) -> None:
    row = next(r for r in published if r["device"] == label and r["model"] == PERSON)
    seconds = float(row["latency_ms"].split()[0]) / 1e3
    numbers["latency.int8_macs_per_s"] = (
        three_digits(PERSON_MACS / seconds),
        f"espressif/esp-nn@d45b843 README.md, {label}: person detection, {PERSON_MACS} MACs in {seconds * 1e3:g} ms",
    )
    for field, value in zip(("error_p50", "error_p90"), ESPRESSIF_ERROR, strict=True):
        numbers[f"latency.{field}"] = (value, ESPRESSIF_SOURCE)
    numbers |= counted(1, 1, f"espressif/esp-nn@d45b843 README.md, {label}: person detection")
    texts |= {"latency.kind": "published", "latency.basis": f"ESP-NN README, person detection on {label}"}
