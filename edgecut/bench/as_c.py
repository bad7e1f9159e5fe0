"""The memory that a file's C needs on a microcontroller: read from the plan that the C is written by."""

from __future__ import annotations

from pathlib import Path

from edgecut.engine import arena_bytes, plan
from edgecut.errors import ExportError
from edgecut.records.measurement import AS_C, Measurement, measured, missing
from edgecut.records.profile import Profile
from edgecut.tflite.flatbuffer import TfliteGraph

WHERE = "plan of the C"
FORESEEN = "work buffer of the generated C, planned to the byte from shapes"
METHOD = "work buffer of the generated C, exact; equal to TFLM's reference kernels"


def foreseen_c_arena(graph: TfliteGraph, device: Profile, artifact: str) -> Measurement:
    """The work buffer of the C of a graph that isn't written yet: of the plan that its shapes give; or missing."""
    said = {"runtime": AS_C}
    try:
        value = arena_bytes(graph)
    except ExportError as exc:
        reason = str(exc).removeprefix("model: ").partition("\n")[0]
        return missing(
            "arena",
            artifact,
            reason,
            where=device.id,
            method=FORESEEN,
            profile=device.id,
            conditions=said,
        )
    found = measured(
        "arena",
        artifact,
        [value],
        where=device.id,
        method=FORESEEN,
        profile=device.id,
        kind="estimated",
        conditions=said,
    )
    return found.model_copy(update={"error": 0.0})


def c_arena(path: Path, device: Profile, artifact: str) -> Measurement:
    """The work buffer of the C of a .tflite file, exact; missing, and refused, where the file can't be C."""
    try:
        value = plan(path).arena_bytes
    except ExportError as exc:
        reason = str(exc).removeprefix(f"{path}: ").partition("\n")[0]
        conditions = {"runtime": AS_C, "refused": True}
        return missing("arena", artifact, reason, where=WHERE, method=METHOD, profile=device.id, conditions=conditions)
    return measured(
        "arena", artifact, [value], where=WHERE, method=METHOD, profile=device.id, conditions={"runtime": AS_C}
    )
