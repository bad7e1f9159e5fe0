"""Where a .tflite file's memory and time go, as far as its bytes and the devices' facts tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgecut.bench.predict import predict_latency
from edgecut.engine import plan
from edgecut.errors import ExportError
from edgecut.records.artifact import Artifact
from edgecut.records.profile import Profile
from edgecut.records.usage import FileUse, OperatorCost, PlainCUse, TensorLife
from edgecut.tflite.flatbuffer import TfliteGraph, read
from edgecut.tflite.layers import layer_of
from edgecut.tflite.ops import operator_macs
from edgecut.tflite.peak import live_tensors, peak


def file_use(graph: TfliteGraph, artifact: str, profiles: Sequence[Profile] = ()) -> FileUse | None:
    """A file's tensors over its run, and its operators' costs on each device that has latency facts for it.

    None for a graph without operators.
    """
    moment = peak(graph)
    if moment is None:
        return None
    timed = [p for p in profiles if predict_latency(graph, p, artifact).value is not None]
    costs = []
    for operator in graph.operators:
        alone = replace(graph, operators=(operator,))
        found = {p.id: predict_latency(alone, p, artifact).value for p in timed}
        costs.append(
            OperatorCost(
                operator=operator.name,
                layer=layer_of(graph, operator),
                macs=operator_macs(graph, operator),
                seconds={name: value for name, value in found.items() if value is not None},
            )
        )
    tensors = tuple(
        TensorLife(
            name=t.layer or t.name.partition(";")[0],
            first=t.first,
            last=t.last,
            offset=t.offset,
            size_bytes=t.size_bytes,
        )
        for t in live_tensors(graph)
    )
    return FileUse(
        artifact=artifact,
        peak_operator=moment.operator,
        planned_bytes=moment.planned_bytes,
        tensors=tensors,
        operators=tuple(costs),
    )


def file_uses(folder: Path, artifacts: Sequence[Artifact], profiles: Sequence[Profile]) -> tuple[FileUse, ...]:
    """The same of each .tflite artifact in a folder, with the work buffer of its plain C."""
    rows = [(a, file_use(read(folder / a.path), a.name, profiles)) for a in artifacts if a.format == "tflite"]
    return tuple(
        use.model_copy(update={"plain_c": plain_c_use(folder / a.path)}) if a.precision == "int8" else use
        for a, use in rows
        if use is not None
    )


def plain_c_use(path: Path) -> PlainCUse | None:
    """The work buffer of a file's plain C, stretch by stretch; None for a file that can't be C."""
    try:
        made = plan(path)
    except ExportError:
        return None
    stretches = tuple(", ".join(stretch.operators) for stretch in made.segments)
    rooms = tuple(
        TensorLife(
            name=f"{t.tensor.partition(';')[0]}, {t.rows} rows",
            first=t.segment,
            last=t.segment,
            offset=t.at,
            size_bytes=t.rows * t.row_bytes,
        )
        for t in made.lifetimes
    )
    counts = tuple(len(stretch.operators) for stretch in made.segments)
    return PlainCUse(arena_bytes=made.arena_bytes, stretches=stretches, operators=counts, rooms=rooms)
