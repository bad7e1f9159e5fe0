"""The README.md of a package: what its C takes of a device, each figure with its kind."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgecut.engine import Generated
from edgecut.engine.c_text import c_symbol
from edgecut.export.camera_c import Frame
from edgecut.records.artifact import TensorSpec
from edgecut.records.measurement import Measurement
from edgecut.records.units import format_exact_bytes
from edgecut.render.templating import markdown

_COUNTED = "exact: the plan of its memory"
_LINKED = {"flash": "flash: code and constants", "stack": "RAM: stack"}


@dataclass(frozen=True)
class Packaged:
    """What a package's README is about. figures: flash and stack of the C, measured, or why they weren't."""

    name: str
    content: bytes
    made: Generated
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    camera: Frame | None
    figures: Sequence[Measurement]


class Row(NamedTuple):
    """A line of the table. macro: of the header that has the amount, "" for none."""

    what: str
    amount: str
    kind: str
    macro: str = ""


def package_readme(packaged: Packaged, version: str, example: str) -> str:
    """Markdown. version: of edgecut. example: its file in the package."""
    return markdown(
        "package",
        name=packaged.name,
        version=version,
        example=example,
        sha256=hashlib.sha256(packaged.content).hexdigest(),
        rows=list(_rows(packaged)),
        camera=packaged.camera is not None,
        linked=any(figure.metric == "flash" and figure.value is not None for figure in packaged.figures),
    )


def _rows(packaged: Packaged) -> Iterator[Row]:
    made, prefix = packaged.made, c_symbol(packaged.name).upper()
    yield Row("RAM: work buffer", format_exact_bytes(made.arena_bytes), _COUNTED, f"{prefix}_ARENA_BYTES")
    if made.rows_arena_bytes is not None:
        rows = format_exact_bytes(made.rows_arena_bytes)
        yield Row("RAM: work buffer where rows are pushed", rows, _COUNTED, f"{prefix}_ROWS_ARENA_BYTES")
    for what, specs in (
        ("input, unless it is written into the work buffer", packaged.inputs),
        ("output", packaged.outputs),
    ):
        yield Row(f"RAM: {what}", format_exact_bytes(sum(map(_integers, specs))), _COUNTED)
    if packaged.camera is not None:
        height, width = packaged.camera.size
        size = height * width * packaged.camera.channels
        yield Row("RAM: the camera's frame", format_exact_bytes(size), "exact: height x width x channels")
    for figure in packaged.figures:
        known = figure.value is not None
        amount = format_exact_bytes(round(figure.value)) if figure.value is not None else "unknown"
        yield Row(_LINKED[figure.metric], amount, f"{figure.kind}: {figure.where}" if known else figure.reason)


def _integers(spec: TensorSpec) -> int:
    """Bytes of what the C takes or gives: one for each value, two of int16."""
    return math.prod(spec.shape) * (2 if spec.dtype == "int16" else 1)
