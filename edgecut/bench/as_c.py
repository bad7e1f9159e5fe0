"""The memory that a file's C needs on a microcontroller: read from the plan that the C is written by."""

from __future__ import annotations

from pathlib import Path

from edgecut.engine import plan
from edgecut.errors import ExportError
from edgecut.records.measurement import AS_C, Measurement, measured, missing
from edgecut.records.profile import Profile

WHERE = "the C's plan"
METHOD = "work buffer of the generated C, exact; equal to TFLM's reference kernels"


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
