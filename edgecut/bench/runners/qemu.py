"""QEMU: a file as C in a whole image for a Cortex-M, run to the end: bytes and instructions are counted, no time.

What is linked is what a firmware would link; how long it takes nobody can say here, since wait states, caches and dual
issue aren't emulated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from edgecut.bench.image import BOARDS, Board, Emulated, Program, emulate
from edgecut.bench.integer_io import in_integers, recoded
from edgecut.bench.runners import tflm
from edgecut.engine import generate
from edgecut.errors import RequestError, RunError
from edgecut.records.measurement import AS_C, Measurement, measured
from edgecut.records.profile import Profile
from edgecut.records.programs import QEMU_ARM
from edgecut.records.recipe import Bench
from edgecut.runtime.specs import file_format
from edgecut.tflite.flatbuffer import TfliteGraph, read

LINKED = "linked image"
COUNTED = "-icount shift=0 and SysTick, checked against a counted loop; no time"
_SEED = 0


@dataclass(frozen=True)
class Qemu:
    """The emulator, a Runner of protocol.py. core: "" for the profile's, or every core without one."""

    core: str = ""
    place: str = "host"

    @property
    def name(self) -> str:
        """As a user writes it: "qemu", "qemu://cortex-m55"."""
        return f"qemu://{self.core}" if self.core else "qemu"

    def measure(
        self, path: Path, settings: Bench, *, artifact: str, profile: Profile | None
    ) -> tuple[Measurement, ...]:
        """Flash, stack, arena and instructions of the file as C, on the golden vectors beside it or on seeded noise.

        Of the settings, runs says how many inputs where there are no vectors. Every output is held against the TFLM
        interpreter's where that is here. Raises RequestError for another format or a core that isn't emulated,
        ExportError for a file that can't be C, RunError if an output differs or the image fails, MissingRuntimeError
        without the compiler or the emulator.
        """
        boards = self._boards(profile)
        if file_format(path) != "tflite":
            raise RequestError(f"{path}: an int8 .tflite file becomes C, found an .onnx file")
        graph = read(path)
        made = generate(path, "model")
        inside = in_integers(graph)
        vectors = [recoded(graph, row, graph.inputs, inside.inputs) for row in golden_inputs(path, graph)]
        inputs = vectors or noise(inside, min(settings.runs, 8))
        expected = _expected(path, graph, inputs) if tflm.is_here() else None
        rows: list[Measurement] = []
        for board in boards:
            size = sum(graph.tensors[index].size_bytes for index in inside.outputs)
            program = Program("model", "model", made.files, made.arena_bytes, inputs, size)
            result = emulate(program, board, settings.timeout_s)
            conditions = _conditions(path, board, result, len(inputs), bool(vectors), expected)
            rows += _rows(result, made.arena_bytes, board, artifact, profile, conditions)
        return tuple(rows)

    def _boards(self, profile: Profile | None) -> list[Board]:
        core = self.core or ("" if profile is None else profile.cpu.core.lower())
        if not core:
            return list(BOARDS.values())
        if core not in BOARDS:
            raise RequestError(
                f"--runner: qemu emulates {', '.join(BOARDS)}, found {core!r}; --runner qemu://cortex-m4"
            )
        return [BOARDS[core]]


def qemu_of(text: str) -> Qemu:
    """The runner that a text names. Raises RequestError for a core that isn't emulated."""
    core = text.partition("://")[2]
    if core and core not in BOARDS:
        raise RequestError(f"--runner: qemu emulates {', '.join(BOARDS)}, found {text!r}; write qemu://cortex-m4")
    return Qemu(core)


def golden_inputs(path: Path, graph: TfliteGraph) -> list[bytes]:
    """The inputs of the golden vectors of the bundle that a file lies in, in their order; [] without any that fit."""
    size = sum(graph.tensors[index].size_bytes for index in graph.inputs)
    for folder in (path.absolute().parent / "vectors", path.absolute().parent.parent / "vectors"):
        files = {re.fullmatch(r"input_(\d+)\.bin", file.name): file for file in folder.glob("input_*.bin")}
        numbered = sorted((int(match[1]), file) for match, file in files.items() if match)
        rows = [file.read_bytes() for _, file in numbered if file.stat().st_size == size]
        if rows:
            return rows
    return []


def noise(graph: TfliteGraph, count: int) -> list[bytes]:
    """Seeded inputs: noise over the whole range and a walk in turn, the two ends of the range last."""
    rng, size = np.random.default_rng([_SEED, 3]), sum(graph.tensors[index].size_bytes for index in graph.inputs)
    rows = []
    for k in range(max(1, count - 2)):
        walk = np.cumsum(rng.normal(0, 12, size)) + rng.uniform(-90, 90)
        values = rng.integers(-128, 128, size) if k % 2 == 0 else 127 - abs((walk + 128) % 510 - 255)
        rows.append(np.clip(values, -128, 127).astype(np.int8).tobytes())
    return [*rows, *(bytes([end]) * size for end in (0x80, 0x7F))][:count]


def _expected(path: Path, graph: TfliteGraph, inputs: Sequence[bytes]) -> list[bytes] | str:
    """What the interpreter gives for the integers that the C takes, or in its words why it doesn't run the file."""
    inside = in_integers(graph)
    fed = [recoded(graph, row, inside.inputs, graph.inputs) for row in inputs]
    outputs = tflm.interpreter_outputs([path], [fed])[0]
    if isinstance(outputs, str):
        return outputs
    return [recoded(graph, row, graph.outputs, inside.outputs) for row in outputs]


def _conditions(
    path: Path, board: Board, result: Emulated, count: int, golden: bool, expected: Sequence[bytes] | str | None
) -> dict[str, object]:
    if result.changed_bytes:
        raise RunError(f"{path}: the C writes {result.changed_bytes} bytes beside its rooms on {board.core}")
    compared: dict[str, object] = {"equal_to": "nothing: the TFLM interpreter isn't here"}
    if isinstance(expected, str):
        compared = {"equal_to": f"nothing: TFLM can't run the file: {expected}"}
    elif expected is not None:
        differing = sum(ours != theirs for ours, theirs in zip(result.outputs, expected, strict=True))
        if differing:
            raise RunError(f"{path}: {differing} of {count} outputs on {board.core} differ from TFLM's")
        compared = {"equal_to": "TFLM", "distinct_outputs": len(set(expected))}
    return {
        "runtime": AS_C,
        "runs": count,
        "inputs": "golden vectors" if golden else "seeded noise",
        **compared,
        "machine": board.machine,
        "emulator": QEMU_ARM.name,
        "text_bytes": result.text_bytes,
        "rodata_bytes": result.rodata_bytes,
        "data_bytes": result.data_bytes,
    }


class Named(TypedDict):
    """What the measurements of one run share."""

    profile: str | None
    conditions: dict[str, object]


def _rows(
    result: Emulated,
    arena_bytes: int,
    board: Board,
    artifact: str,
    profile: Profile | None,
    conditions: dict[str, object],
) -> list[Measurement]:
    where = f"{LINKED}, {board.core}"
    named: Named = {"profile": None if profile is None else profile.id, "conditions": conditions}
    return [
        measured("flash", artifact, [result.flash_bytes], where=where, method="text, rodata, data of the C", **named),
        measured("arena", artifact, [arena_bytes], where=where, method="the work buffer of the C, exact", **named),
        measured("stack", artifact, [result.stack_bytes], where=where, method="high-water of a painted stack", **named),
        measured(
            "instructions",
            artifact,
            [float(count) for count in result.instructions],
            where=f"emulated {board.core}",
            method=COUNTED,
            kind="emulated",
            **named,
        ),
    ]
