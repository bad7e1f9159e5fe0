"""An int8 .tflite file as plain C: rows streamed through line buffers, bit-equal to TensorFlow Lite Micro."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edgecut.engine.emit import c_files, rows_arena_bytes
from edgecut.engine.foreseen import foreseen_model
from edgecut.engine.network import network_of, read_network
from edgecut.engine.plan import Plan, by_rows, planned, whole
from edgecut.engine.program import program
from edgecut.engine.replay import check
from edgecut.tflite.flatbuffer import TfliteGraph, read_content

__all__ = ["Generated", "Plan", "arena_bytes", "generate", "plan"]


@dataclass(frozen=True, eq=False)
class Generated:
    """The C text of a model. files: {file name: text}. arena_bytes: of the work buffer; rows_arena_bytes: of the one
    that takes the input by rows, None where there are several inputs. input_at: where the first input lies in the
    buffer.
    """

    files: MappingProxyType[str, str]
    plan: Plan
    arena_bytes: int
    rows_arena_bytes: int | None
    input_at: int


def generate(source: Path | bytes, name: str, where: str = "") -> Generated:
    """NAME_run.c and NAME_run.h of an int8 .tflite file. where: what sentences call the file, by default its path.

    Raises SourceError for a file that is none, ExportError with a line for each operator that isn't supported, and
    where the replay of a schedule isn't exact.
    """
    content, path = _content(source)
    network = read_network(content, where or path)
    segments = whole(network)
    main = program(network, segments)
    check(network, main)
    rows = None
    if len(network.inputs) == 1:
        streamed = by_rows(network)
        rows = program(streamed.network, streamed.segments)
        check(streamed.network, rows)
    files = c_files(network, main, rows, name, hashlib.sha256(content).hexdigest())
    return Generated(
        files=MappingProxyType(files),
        plan=planned(network, segments, main),
        arena_bytes=main.arena_bytes,
        rows_arena_bytes=rows_arena_bytes(network, rows) if rows else None,
        input_at=main.inputs[0][0],
    )


def plan(source: Path | bytes) -> Plan:
    """The memory plan of an int8 .tflite file; raises as generate() does."""
    content, where = _content(source)
    network = read_network(content, where)
    segments = whole(network)
    return planned(network, segments, program(network, segments))


def arena_bytes(graph: TfliteGraph, where: str = "model") -> int:
    """The work buffer of a graph that has no numbers yet, such as one that is foreseen for a cut.

    It is that of the file's plan where shapes tell the rows that are read: paddings that aren't SAME's, and slices that
    don't lie in the middle, may differ by some rows. Raises as plan() does.
    """
    network = network_of(foreseen_model(graph), where)
    return program(network, whole(network)).arena_bytes


def _content(source: Path | bytes) -> tuple[bytes, str]:
    return (source, "model") if isinstance(source, bytes) else (read_content(Path(source)), str(source))
