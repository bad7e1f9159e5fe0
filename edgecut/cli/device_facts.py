"""What `edgecut inspect` says of a .tflite file on devices: its memory's peak, and what runtimes make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from edgecut.cli.files import check_svg
from edgecut.engine import plan
from edgecut.errors import ExportError, RequestError
from edgecut.records.profile import Profile
from edgecut.records.units import format_bytes, format_exact_bytes
from edgecut.render.words import NOTHING
from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.peak import LiveTensor, live_tensors, peak
from edgecut.tflite.support import verdicts
from edgecut.whole import write_whole

BLAMED = 4  # tensors named in the sentence on the peak


def device_parts(graph: TfliteGraph, profiles: Sequence[Profile]) -> Iterator[str]:
    """Sentences for the terminal: the peak, then for each profile every operator that isn't on its fast path."""
    moment = peak(graph)
    if moment is not None:
        blamed = ", ".join(f"{_called(t)} {format_bytes(t.size_bytes)}" for t in moment.tensors[:BLAMED])
        more = len(moment.tensors) - BLAMED
        alive = format_bytes(moment.live_bytes)
        yield (
            f"memory: the most is alive at operator {moment.operator}, {moment.name}: {alive} "
            f"of an arena head of {format_bytes(moment.planned_bytes)}; {blamed}"
            + (f" and {more} more" if more > 0 else "")
        )
    for profile in profiles:
        runtime = profile.runtime
        if runtime.name == "c":
            continue  # its work buffer is a measurement, or missing with the reason
        found = verdicts(graph, runtime.name, runtime.kernels, runtime.version)
        if not found:
            yield f"{profile.id}: the operators of {_runtime(profile)} are not known here"
        elif all(verdict.state == "supported" for verdict in found):
            yield f"{profile.id}: every operator is supported by {_runtime(profile)}"
        yield from (f"{profile.id}: {v.state}: {v.sentence()}" for v in found if v.state != "supported")


def _runtime(profile: Profile) -> str:
    runtime = profile.runtime
    return runtime.kernels if runtime.name == "vendor" and runtime.kernels else runtime.name


def c_facts(path: Path) -> tuple[str, dict[str, object]]:
    """(a sentence, the same for --json) on the plain C of a file: the work buffer that it needs, or why it can't be."""
    try:
        made = plan(path)
    except ExportError as exc:
        reason = str(exc).removeprefix(f"{path}: ").partition("\n")[0]
        return f"arena, C: {NOTHING}: {reason}", {"arena_bytes": None, "reason": reason}
    count = len(made.segments)
    words = f"arena, C: {format_exact_bytes(made.arena_bytes)}, exact, in {count} stretch{'es' if count > 1 else ''}"
    return words, {"arena_bytes": made.arena_bytes, "reason": ""}


def device_document(graph: TfliteGraph, profiles: Sequence[Profile]) -> dict[str, object]:
    """{"memory": the peak or None, "verdicts": {profile: one for each operator}} for --json."""
    moment = peak(graph)
    return {
        "memory": None if moment is None else asdict(moment),
        "verdicts": {
            p.id: [asdict(v) for v in verdicts(graph, p.runtime.name, p.runtime.kernels, p.runtime.version)]
            for p in profiles
        },
    }


def write_picture(graph: TfliteGraph, title: str, path: Path) -> None:
    """Write the picture of the file's memory. Raises RequestError for another ending, OutputError if it can't be."""
    from edgecut.render.memory_plot import Bar, arena_picture, memory_svg

    moment = peak(graph)
    check_svg(path)
    if moment is None:
        raise RequestError(f"--svg: {title} has no operators to draw")
    bars = [Bar(_called(t), t.first, t.last, t.offset, t.size_bytes) for t in live_tensors(graph)]
    names = [operator.name for operator in graph.operators]
    picture = arena_picture(title, bars, names, moment.operator, moment.planned_bytes)
    write_whole(path, memory_svg(picture).encode())


def _called(tensor: LiveTensor) -> str:
    return tensor.layer or tensor.name.partition(";")[0]
