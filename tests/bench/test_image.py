"""C linked to an image for a Cortex-M and run in the emulator: what it gives, takes, and how it may fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.bench import image
from edgecut.bench.image import BOARDS, Program, emulate
from edgecut.errors import MissingRuntimeError, RefusedError, RunError

needs_qemu = pytest.mark.skipif(bool(image.absent()), reason="no compiler and emulator for Cortex-M are here")

HEADER = "#include <stdint.h>\nint toy_run_in(int8_t *work, const int8_t *in, int8_t *out);\n"
COPY = """#include <string.h>
#include "toy_run.h"
static const int8_t table[500] = {1, 2, 3};
int toy_run_in(int8_t *work, const int8_t *in, int8_t *out) {
    int k;
    memmove(work, in, 300);
    for (k = 0; k < 300; k++) out[k] = (int8_t)(work[k] ^ table[k]);
    return 0;
}
"""


def toy(body: str = COPY, *, arena_bytes: int = 300, output_bytes: int = 300) -> Program:
    inputs = [bytes((7 * k + j) % 256 for k in range(300)) for j in range(3)]
    return Program("toy", "toy", {"toy_run.h": HEADER, "toy_run.c": body}, arena_bytes, inputs, output_bytes)


def function(line: str) -> str:
    return f'#include "toy_run.h"\nint toy_run_in(int8_t *work, const int8_t *in, int8_t *out) {{ {line} }}\n'


@needs_qemu
@pytest.mark.parametrize("core", BOARDS)
def test_an_image_gives_its_outputs_and_what_it_takes(core: str) -> None:
    program = toy()
    emulated = emulate(program, BOARDS[core])
    mask = bytes([1, 2, 3]).ljust(300, b"\0")
    assert emulated.outputs == tuple(bytes(a ^ b for a, b in zip(row, mask, strict=True)) for row in program.inputs)
    assert emulated.rodata_bytes == 500 + 4
    assert 0 < emulated.text_bytes < 1000
    assert emulated.flash_bytes == emulated.text_bytes + emulated.rodata_bytes + emulated.data_bytes
    assert (emulated.changed_bytes, 0 < emulated.stack_bytes < 300) == (0, True)
    assert all(300 < count < 5000 for count in emulated.instructions)


@needs_qemu
def test_instructions_are_those_of_a_counted_loop() -> None:
    loop = 'uint32_t n = 5000000u; __asm__ volatile("1: subs %0, %0, #1\\n bne 1b" : "+r"(n) : : "cc"); return 0;'
    emulated = emulate(toy(function(f"(void)work; (void)in; (void)out; {loop}")), BOARDS["cortex-m4"])
    assert [round(count / 10_000_000, 4) for count in emulated.instructions] == [1.0, 1.0, 1.0]


@needs_qemu
@pytest.mark.parametrize("line", ["work[-1] = 1", "work[300] = 1", "out[300] = 1", "out[-1] = 1"])
def test_a_byte_beside_the_rooms_is_counted(line: str) -> None:
    emulated = emulate(toy(function(f"(void)work; (void)in; (void)out; {line}; return 0;")), BOARDS["cortex-m4"])
    assert emulated.changed_bytes == 3


@needs_qemu
def test_a_fault_of_the_processor_is_the_files_fault() -> None:
    body = function("(void)work; (void)in; (void)out; return *(volatile int *)0xE0000000u + 1;").replace(
        "*(volatile int *)0xE0000000u", "((int (*)(void))0xE0000000u)()"
    )
    with pytest.raises(RefusedError) as caught:
        emulate(toy(body), BOARDS["cortex-m4"])
    assert str(caught.value) == "toy: the program ends in a fault of the processor on an emulated cortex-m4"


@needs_qemu
def test_a_failing_run_is_told() -> None:
    with pytest.raises(RefusedError) as caught:
        emulate(toy(function("(void)work; (void)in; (void)out; return 1;")), BOARDS["cortex-m4"])
    assert str(caught.value) == "toy: toy_run_in fails on an emulated cortex-m4"


@needs_qemu
def test_an_endless_program_is_stopped() -> None:
    with pytest.raises(RunError) as caught:
        emulate(toy(function("(void)work; (void)in; (void)out; for (;;) {}")), BOARDS["cortex-m4"], 1.5)
    assert str(caught.value) == "toy: qemu-system-arm was stopped after 1.5 s"


@needs_qemu
def test_wrong_c_is_told_in_the_compilers_words() -> None:
    with pytest.raises(RunError) as caught:
        emulate(toy(function("return nowhere;")), BOARDS["cortex-m4"])
    assert str(caught.value) == (
        "toy: arm-none-eabi-gcc refuses the C for cortex-m4: toy_run.c:2:70: error: 'nowhere' undeclared (first use in "
        "this function)"
    )


def test_without_the_programs_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRuntimeError) as caught:
        emulate(toy(), BOARDS["cortex-m4"])
    assert str(caught.value) == (
        "arm-none-eabi-gcc and qemu-system-arm aren't here, and this needs them; install the packages "
        "gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm"
    )
    assert caught.value.exit_code == 4
