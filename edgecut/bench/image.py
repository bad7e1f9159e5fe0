"""Generated C linked to a whole image for a Cortex-M and run in QEMU: its sections, stack, instructions and outputs."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgecut.bench.runners.protocol import TIMEOUT_S
from edgecut.errors import RefusedError, RunError
from edgecut.records.programs import ARM_GCC, QEMU_ARM, lacking, program_path
from edgecut.records.programs import Program as OutsideProgram
from edgecut.sandbox.child import last_line
from edgecut.sandbox.limits import read_limits
from edgecut.whole import scratch_folder

FLAGS = ("-std=c99", "-O2", "-mthumb", "-ffunction-sections", "-fdata-sections")
_LOOP_INSTRUCTIONS = 2_000_000  # of count_down in firmware/image.c
_LARGEST_OUTPUT = 64 << 20


@dataclass(frozen=True)
class Board:
    """A machine of QEMU's. vectors, flash, ram: addresses, hexadecimal. tick_instructions: of SysTick, at 1 ns each."""

    core: str
    machine: str
    flags: tuple[str, ...]
    vectors: str
    flash: str
    ram: str
    tick_instructions: float


# SysTick's clock is the board's: 25, 20 and 32 MHz (QEMU hw/arm/mps2.c, mps2-tz.c).
_SOFT, _HARD = "-mfloat-abi=soft", "-mfloat-abi=hard"
BOARDS = {
    board.core: board
    for board in (
        Board("cortex-m4", "mps2-an386", ("-mcpu=cortex-m4", _SOFT), "0x0", "0x100", "0x20000000", 40),
        Board("cortex-m7", "mps2-an500", ("-mcpu=cortex-m7", _SOFT), "0x0", "0x100", "0x20000000", 40),
        Board("cortex-m33", "mps2-an505", ("-mcpu=cortex-m33", _SOFT), "0x10000000", "0x10000100", "0x38000000", 50),
        Board("cortex-m55", "mps3-an547", ("-mcpu=cortex-m55", _HARD), "0x0", "0x60000000", "0x01000000", 31.25),
    )
}


@dataclass(frozen=True)
class Program:
    """C that NAME_run.h declares, and what it is run on.

    sources: {file name: text}. symbol: what its identifiers begin with. inputs: raw bytes of all input tensors, one
    behind the other. flags: of the compiler, beside FLAGS.
    """

    name: str
    symbol: str
    sources: Mapping[str, str]
    arena_bytes: int
    inputs: Sequence[bytes]
    output_bytes: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Emulated:
    """text_bytes to bss_bytes: of the model and what it links of libraries, without the program around it.

    stack_bytes: the most that a run touched. instructions: of each run. changed_bytes: beside arena and output, which
    must be 0. outputs: of each run, as inputs are.
    """

    text_bytes: int
    rodata_bytes: int
    data_bytes: int
    bss_bytes: int
    stack_bytes: int
    instructions: tuple[int, ...]
    changed_bytes: int
    outputs: tuple[bytes, ...]

    @property
    def flash_bytes(self) -> int:
        """What the model takes of the flash: code, constants, and what data starts from."""
        return self.text_bytes + self.rodata_bytes + self.data_bytes


def absent() -> tuple[OutsideProgram, ...]:
    """The programs that an image needs and that aren't here."""
    return tuple(each for each in (ARM_GCC, QEMU_ARM) if program_path(each) is None)


def emulate(program: Program, board: Board, timeout_s: float = TIMEOUT_S) -> Emulated:
    """What a program gives and takes on a board.

    Raises MissingRuntimeError without the compiler or the emulator, RunError if either fails or takes longer than
    timeout_s, RefusedError if the program ends otherwise than it should.
    """
    if programs := absent():
        raise lacking(programs)
    with scratch_folder(prefix="edgecut-image-") as folder:
        _write(program, board, folder)
        _compile(program, board, folder, timeout_s)
        sections = _sections((folder / "image.elf").read_bytes())
        lines = _run(program, board, folder, timeout_s)
    return _emulated(program, board, sections, lines)


def _write(program: Program, board: Board, folder: Path) -> None:
    for name, text in program.sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    step = -(-len(program.inputs[0]) // 16) * 16
    (folder / "inputs.bin").write_bytes(b"".join(row.ljust(step, b"\0") for row in program.inputs))
    (folder / "inputs.S").write_text(
        '.section .rodata\n.balign 16\n.global image_inputs\nimage_inputs:\n.incbin "inputs.bin"\n', encoding="ascii"
    )
    sizes = {
        "ARENA_BYTES": program.arena_bytes,
        "OUTPUT_BYTES": program.output_bytes,
        "INPUTS": len(program.inputs),
        "INPUT_STEP": step,
    }
    rows = "".join(f"#define {key} {value}u\n" for key, value in sizes.items())
    (folder / "image.h").write_text(f"{rows}#define RUN {program.symbol}_run_in\n", encoding="ascii")
    texts = resources.files("edgecut.bench") / "firmware"
    code = texts.joinpath("image.c").read_text(encoding="utf-8")
    (folder / "image.c").write_text(code.replace("@NAME@", program.name), encoding="utf-8")
    script = texts.joinpath("image.ld").read_text(encoding="utf-8")
    for key, value in {"@VECTORS@": board.vectors, "@FLASH@": board.flash, "@RAM@": board.ram}.items():
        script = script.replace(key, value)
    (folder / "image.ld").write_text(script, encoding="utf-8")


def _compile(program: Program, board: Board, folder: Path, timeout_s: float) -> None:
    own = sorted(name for name in program.sources if name.endswith(".c"))
    around = ("-std=gnu11", "-fno-tree-loop-distribute-patterns", "-fno-builtin")
    common = (*FLAGS, *board.flags)
    steps = [
        (*common, *around, "-c", "image.c", "inputs.S"),
        (*common, *program.flags, "-c", *own),
        (
            *common,
            "-nostartfiles",
            "-Wl,--gc-sections",
            "-T",
            "image.ld",
            "image.o",
            "inputs.o",
            *(f"{name[:-2]}.o" for name in own),
            "-o",
            "image.elf",
        ),
    ]
    for step in steps:
        code, _, noise = _child(program.name, (ARM_GCC.name, *step), folder, timeout_s)
        if code != 0:
            said = next((line for line in noise.splitlines() if "error" in line), last_line(noise)).strip()
            raise RunError(f"{program.name}: {ARM_GCC.name} refuses the C for {board.core}: {said}")


def _run(program: Program, board: Board, folder: Path, timeout_s: float) -> list[str]:
    command = (
        QEMU_ARM.name, "-M", board.machine, "-nographic", "-monitor", "none", "-serial", "none", "-nodefaults",
        "-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel", "image.elf",
    )  # fmt: skip
    code, out, noise = _child(program.name, command, folder, timeout_s)
    lines = (out + noise).splitlines()
    if code == 3 or "fault" in lines:
        raise RefusedError(f"{program.name}: the program ends in a fault of the processor on an emulated {board.core}")
    if code == 4:
        raise RefusedError(f"{program.name}: {program.symbol}_run_in fails on an emulated {board.core}")
    if code != 0:
        raise RunError(f"{program.name}: {QEMU_ARM.name} ended with {code}: {last_line(noise or out)}")
    return lines


def _child(name: str, command: Sequence[str], folder: Path, timeout_s: float) -> tuple[int, str, str]:
    """(exit code, output, errors) of a child process, whose own children end with it."""
    import resource  # not on Windows

    limits = read_limits()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.address_bytes, limits.address_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_OUTPUT, _LARGEST_OUTPUT))

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as noise:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=noise,
            start_new_session=True,
            preexec_fn=limit,
        )
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise RunError(f"{name}: {command[0]} was stopped after {timeout_s:g} s") from exc
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        out.seek(0)
        noise.seek(0)
        return code, out.read().decode(errors="replace"), noise.read().decode(errors="replace")


def _sections(elf: bytes) -> dict[str, int]:
    """{name: bytes} of an ELF file's sections (System V ABI, chapter 4; 32 bits, little-endian)."""
    table, size, count, names_at = struct.unpack_from("<I", elf, 32)[0], *struct.unpack_from("<3H", elf, 46)
    rows = [struct.unpack_from("<6I", elf, table + k * size) for k in range(count)]
    texts = elf[rows[names_at][4] :]
    return {texts[row[0] : texts.index(b"\0", row[0])].decode(): row[5] for row in rows}


def _emulated(program: Program, board: Board, sections: Mapping[str, int], lines: Sequence[str]) -> Emulated:
    numbers: dict[str, list[int]] = {}
    for name, value in _words(lines):
        numbers.setdefault(name, []).append(int(value, 16))
    counted = numbers["loop"][0] * board.tick_instructions
    if abs(counted - _LOOP_INSTRUCTIONS) > 0.001 * _LOOP_INSTRUCTIONS:
        raise RunError(
            f"{program.name}: {QEMU_ARM.name} counts {counted:g} instructions in a loop of {_LOOP_INSTRUCTIONS}"
        )
    outputs = tuple(_outputs(lines))
    if len(outputs) != len(program.inputs) or any(len(row) != program.output_bytes for row in outputs):
        raise RunError(f"{program.name}: {QEMU_ARM.name} ended before all outputs were told")
    return Emulated(
        text_bytes=sections[".text"],
        rodata_bytes=sections.get(".rodata", 0),
        data_bytes=sections.get(".data", 0),
        bss_bytes=sections.get(".bss", 0),
        stack_bytes=max(numbers["stack"]),
        instructions=tuple(round(ticks * board.tick_instructions) for ticks in numbers["ticks"]),
        changed_bytes=sum(numbers["canary"]),
        outputs=outputs,
    )


def _words(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        found = re.fullmatch(r"(loop|ticks|stack|canary) ([0-9a-f]+)", line)
        if found:
            yield found[1], found[2]


def _outputs(lines: Sequence[str]) -> Iterator[bytes]:
    row = b""
    for line in lines:
        if line.startswith("out "):
            row += bytes.fromhex(line[4:])
        elif line == "end":
            yield row
            row = b""
