"""Boards whose vendors, or others, published measurements by runtime: one profile for each board and runtime.

What the measurements say of latency is fitted elsewhere; here is what the boards are, from devices.csv.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tools.profile_memory import memory
from tools.profile_toml import Numbers, Texts, cell_source, chip_of, profile_texts


class Software(NamedTuple):
    """A runtime on a board. runtime: name, version, kernels. weights: how it wants them quantized, "" for any."""

    runtime: tuple[str, str, str]
    precisions: list[str]
    suffix: str = ""
    weights: str = ""


X_CUBE_AI = Software(("vendor", "", "X-CUBE-AI"), ["float32", "int8"], ", X-CUBE-AI")
X_CUBE_AI_7_3 = Software(("vendor", "7.3.0", "X-CUBE-AI"), ["float32", "int8"], ", X-CUBE-AI")
TINY_ENGINE = Software(("vendor", "", "TinyEngine"), ["int8"], ", TinyEngine")
REFERENCE = Software(("tflm", "", "reference"), ["int8"], ", TFLM reference kernels")
MVP = Software(("tflm", "", "mvp"), ["int8"])
NEURAL_ART = Software(("vendor", "", "Neural-ART"), ["int8"])
ETHOS_U = Software(("tflm", "", "ethos-u"), ["int8"])
X_LINUX_AI = Software(
    ("litert", "", "xnnpack"), ["float32", "float16", "dynamic", "int8", "int16x8"], ", 32-bit OS, X-LINUX-AI"
)
# As X-LINUX-AI 5.0 ran all files, and later versions those that XNNPACK doesn't take: no kernel of XNNPACK.
BUILTIN = X_LINUX_AI._replace(runtime=("litert", "", "builtin"), suffix=f"{X_LINUX_AI.suffix}, without XNNPACK")
PER_TENSOR = Software(("vendor", "", "OpenVX"), ["int8"], ", NPU, weights per tensor", "per-tensor")
PER_CHANNEL = Software(("vendor", "", "OpenVX"), ["int8"], ", GPU, weights per channel", "per-channel")

# (id, its row in devices.csv, core, software)
MICROCONTROLLERS = (
    ("b-u585i-iot02a", "b-u585i-iot02a", "cortex-m33", X_CUBE_AI),
    ("esp32-reference", "esp32", "xtensa-lx6", REFERENCE),
    ("esp32-s3-reference", "esp32s3", "xtensa-lx7", REFERENCE),
    ("esp32c3-reference", "esp32c3", "riscv32", REFERENCE),
    ("esp32p4-reference", "esp32p4", "riscv32", REFERENCE),
    ("nucleo-h743zi-reference", "nucleo-h743zi", "cortex-m7", REFERENCE),
    ("nucleo-h743zi-tinyengine", "nucleo-h743zi", "cortex-m7", TINY_ENGINE),
    ("nucleo-h743zi-xcubeai", "nucleo-h743zi", "cortex-m7", X_CUBE_AI_7_3),
    ("stm32f769i-disco", "stm32f769i-disco", "cortex-m7", X_CUBE_AI),
    ("stm32h747i-disco", "stm32h747i-disco", "cortex-m7", X_CUBE_AI),
    ("stm32l4r9i-disco", "stm32l4r9i-disco", "cortex-m4", X_CUBE_AI),
    ("xg24-dk2601b", "xg24-dk2601b", "cortex-m33", MVP),
)
NPUS = (
    ("grove-vision-ai-v2", "grove-vision-ai-v2", "ethos-u55-64", ETHOS_U),
    ("imx93-evk-ethos-u65", "imx93-evk", "ethos-u65-256", ETHOS_U._replace(suffix=", Ethos-U65")),
    ("stm32n6570-dk", "stm32n6570-dk", "neural-art", NEURAL_ART),
)
LINUX = (
    ("stm32mp135f-dk", "stm32mp135f-dk", "cortex-a7", X_LINUX_AI),
    ("stm32mp157f-dk2", "stm32mp157f-dk2", "cortex-a7", X_LINUX_AI),
    ("stm32mp135f-dk-builtin", "stm32mp135f-dk", "cortex-a7", BUILTIN),
    ("stm32mp157f-dk2-builtin", "stm32mp157f-dk2", "cortex-a7", BUILTIN),
    ("stm32mp257f-dk", "stm32mp257f-dk", "gcnanoultra31", PER_TENSOR),
    ("stm32mp257f-dk-per-channel", "stm32mp257f-dk", "gcnanoultra31", PER_CHANNEL),
)
CLASSES = (("microcontroller", MICROCONTROLLERS), ("npu", NPUS), ("linux", LINUX))
# Clock and cores of these rows are the CPU's, and what runs the file is the NPU beside it.
NPU_BESIDE = ("grove-vision-ai-v2", "imx93-evk-ethos-u65")


def measured_boards(devices: Mapping[str, Mapping[str, str]]) -> list[tuple[Texts, Numbers]]:
    """The text fields and sourced numbers of each board of the tables."""
    found = []
    for kind, boards in CLASSES:
        for name, device, core, software in boards:
            facts = devices[device]
            title = facts["title"] + software.suffix
            texts = profile_texts(name, title, kind, core, software.runtime, software.precisions) | chip_of(facts)
            if software.weights:
                texts["runtime.weights"] = software.weights
            found.append((texts, _processor(name, core, facts) | memory(facts)))
    return found


def _processor(name: str, core: str, facts: Mapping[str, str]) -> Numbers:
    numbers: Numbers = {}
    if facts["clock_hz"].isdigit() and name not in NPU_BESIDE:
        numbers["cpu.clock_hz"] = (int(facts["clock_hz"]), cell_source(facts, "src_clock"))
    if core.startswith("cortex-a"):
        numbers["cpu.cores"] = (int(facts["cores"].partition("x")[0]), cell_source(facts, "src_soc_cores"))
    return numbers
