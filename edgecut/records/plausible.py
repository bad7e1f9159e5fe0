"""Numbers that no device of a class has: a unit mistaken, a digit too many."""

from __future__ import annotations

from collections.abc import Iterator

from edgecut.records.plausible_latency import MOST_ERROR, counted, latency_faults
from edgecut.records.profile import Profile
from edgecut.records.units import format_bytes

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Class -> (smallest, largest) clock in Hz. Wider than any device known, narrower than a mistaken unit.
CLOCKS = {
    "microcontroller": (1_000_000, 2_000_000_000),
    "linux": (100_000_000, 8_000_000_000),
    "android": (100_000_000, 8_000_000_000),
    "npu": (1_000_000, 4_000_000_000),
    "host": (100_000_000, 8_000_000_000),
}
# Class -> (smallest, largest) RAM in bytes.
RAM = {
    "microcontroller": (2 * KIB, 128 * MIB),
    "linux": (32 * MIB, 4096 * GIB),
    "android": (32 * MIB, 4096 * GIB),
    "npu": (16 * KIB, 4096 * GIB),
    "host": (32 * MIB, 4096 * GIB),
}
MOST_BYTES = 4096 * GIB
MOST_CORES, MOST_PIXELS = 1024, 65_536
ARENA_RATIO = (0.2, 5.0)
"""A measured arena beside the planner's: less than the activations need, or more than any kernel's scratch explains."""


def implausible(profile: Profile) -> tuple[str, ...]:
    """One sentence for each number that can't be meant, beginning with its dotted path; () if there is none."""
    return (
        *_processor(profile),
        *_memory(profile),
        *_runtime(profile),
        *_sensor(profile),
        *latency_faults(profile),
        *_arena(profile),
    )


def _processor(profile: Profile) -> Iterator[str]:
    clock, (low, high) = profile.cpu.clock_hz, CLOCKS[profile.class_]
    if clock is not None and not low <= clock <= high:
        yield (
            f"cpu.clock_hz: {clock:_} Hz is outside {low:_} to {high:_} of any {profile.class_}; "
            "the unit is hertz (120 MHz is 120_000_000)"
        )
    if profile.cpu.cores is not None and profile.cpu.cores > MOST_CORES:
        yield f"cpu.cores: {counted(profile.cpu.cores)} cores; at most {MOST_CORES} are expected"


def _memory(profile: Profile) -> Iterator[str]:
    memory, (low, high) = profile.memory, RAM[profile.class_]
    ram = memory.ram_bytes
    if ram is not None and not low <= ram <= high:
        yield (
            f"memory.ram_bytes: {format_bytes(ram)} is outside {format_bytes(low)} to {format_bytes(high)} of any "
            f"{profile.class_}; the unit is bytes, or write it as '640 KiB'"
        )
    pieces = {
        "contiguous_bytes": memory.contiguous_bytes,
        "flash_bytes": memory.flash_bytes,
        "reserved_ram_bytes": memory.reserved_ram_bytes,
        "external_ram_bytes": memory.external_ram_bytes,
        "external_flash_bytes": memory.external_flash_bytes,
        **{f"banks.{name}": size for name, size in memory.banks.items()},
    }
    for name, piece in pieces.items():
        if piece is not None and piece > MOST_BYTES:
            yield f"memory.{name}: {piece:.3g} bytes is more than the {format_bytes(MOST_BYTES)} of any device"
    if ram is not None and memory.contiguous_bytes is not None and memory.contiguous_bytes > ram:
        largest = format_bytes(memory.contiguous_bytes)
        yield f"memory.contiguous_bytes: {largest} is more than the {format_bytes(ram)} of memory.ram_bytes"
    for name, size in memory.banks.items():
        if ram is not None and size > ram:
            whole = format_bytes(ram)
            yield f"memory.banks.{name}: {format_bytes(size)} is more than the {whole} of memory.ram_bytes"
    if ram is not None and memory.reserved_ram_bytes >= ram:
        kept = format_bytes(memory.reserved_ram_bytes)
        yield f"memory.reserved_ram_bytes: {kept} leaves nothing of the {format_bytes(ram)} of memory.ram_bytes"
    if profile.class_ == "microcontroller" and memory.flash_bytes is not None and memory.flash_bytes < 4 * KIB:
        yield f"memory.flash_bytes: {memory.flash_bytes} bytes holds no model; the unit is bytes"


def _runtime(profile: Profile) -> Iterator[str]:
    takes = {"tflm": ("tflite",), "c": ("tflite",), "litert": ("tflite",), "onnxruntime": ("onnx",)}.get(
        profile.runtime.name
    )
    if takes is None or profile.class_ == "host":
        return
    foreign = [form for form in profile.runtime.formats if form not in takes]
    if foreign:
        yield f"runtime.formats: {profile.runtime.name} runs {takes[0]} files, found {', '.join(foreign)}"


def _sensor(profile: Profile) -> Iterator[str]:
    sensor = profile.sensor
    for name in ("height", "width") if sensor is not None else ():
        if getattr(sensor, name) > MOST_PIXELS:
            yield f"sensor.{name}: {counted(getattr(sensor, name))} pixels; at most {MOST_PIXELS} are expected"


def _arena(profile: Profile) -> Iterator[str]:
    facts, (low, high) = profile.arena, ARENA_RATIO
    if facts is not None and not facts.error <= MOST_ERROR:
        yield f"arena.error: {facts.error:g} is no relative error of an estimate (0.2 is 20 %); at most {MOST_ERROR:g}"
    if facts is not None and not low <= facts.ratio <= high:
        yield (
            f"arena.ratio: {facts.ratio:g} times what the planner gives is outside {low:g} to {high:g}; were the "
            "measured arenas in bytes?"
        )
