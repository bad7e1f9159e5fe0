"""`edgecut inspect`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgecut.cli.flags import several_profiles
from edgecut.cli.output import Output, with_output
from edgecut.errors import RequestError
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile, find_profile
from edgecut.records.units import format_bytes, format_count

# Columns from which the tensors that bypass a cut have room in the table.
WIDE = 120


@click.command(
    "inspect",
    epilog="\b\nExamples:\n"
    "  edgecut inspect mobilenet.keras --cuts\n"
    "  edgecut inspect 'keras:MobileNetV2?weights=none' --json\n"
    "  edgecut inspect model.tflite --profile nucleo-l4r5zi",
)
@click.argument("model")
@click.option("--cuts", is_flag=True, help="Only the tensors at which a model can also start.")
@several_profiles
@click.option("--picture", type=click.Path(path_type=Path), help="Draw a .tflite file's memory (FILE.svg).")
@click.option("--unsafe", is_flag=True, help="Load a model that runs its own code (Lambda layers).")
@with_output
def command(
    output: Output, *, model: str, cuts: bool, profile_names: tuple[str, ...], picture: Path | None, unsafe: bool
) -> int:
    """List a Keras model's calls with shapes and costs, or the operators of a .tflite or .onnx file.

    Costs add up from the input to the row. A name or a number of the list is what --to takes. -v also names
    what bypasses a tensor. Files are read without TensorFlow. For a .tflite file also when it needs the most memory,
    and with --profile which operators the device's runtime lacks or runs slowly.
    """
    profiles = [find_profile(name) for name in profile_names]
    if Path(model).suffix.lower() in {".tflite", ".onnx"}:
        return _inspect_file(output, Path(model), profiles, picture)
    if picture is not None:
        raise RequestError(f"--picture: the memory of a .tflite file is drawn, found {model!r}; export it first")
    return _inspect_model(output, model, profiles, only_cuts=cuts, unsafe=unsafe)


def _inspect_model(output: Output, source: str, profiles: Sequence[Profile], *, only_cuts: bool, unsafe: bool) -> int:
    from edgecut.graph.peek import kind_of
    from edgecut.graph.quiet import import_keras_quietly
    from edgecut.render.graphs import point_table

    kind_of(source)
    with output.progress().task("loading the model"):
        import_keras_quietly()
        from edgecut.graph.calls import calls
        from edgecut.graph.cuts import cut_points
        from edgecut.graph.source import load

        graph = calls(load(source, unsafe=unsafe))
        points = cut_points(graph)
    shown = [p for p in points if p.legal_start] if only_cuts else points
    layers = len({call.layer for call in graph})
    params, macs = max(p.params for p in points), _largest([p.macs for p in points])
    cost = "MACs not modelled" if macs is None else f"{format_count(macs)} MACs"
    output.table(
        f"{source}: {layers} layers, {len(graph)} calls, {format_count(params)} parameters, {cost}",
        point_table(shown, bypass=output.verbose or output.width() >= WIDE),
        *(_largest_activation(points, profile) for profile in profiles),
    )
    output.document(
        {
            "schema": "edgecut.inspect/1", "model": source, "layers": layers, "calls": len(graph),
            "params": params, "macs": macs, "cut_points": [asdict(p) for p in shown],
        }
    )  # fmt: skip
    return 0


def _inspect_file(output: Output, path: Path, profiles: Sequence[Profile], picture: Path | None) -> int:
    from edgecut.cli.device_facts import device_document, device_parts, write_picture
    from edgecut.export.readback import guess_precision, read_artifact, read_graph
    from edgecut.render.graphs import artifact_parts, operator_table
    from edgecut.render.tables import measurement_table
    from edgecut.tflite.flatbuffer import TfliteGraph

    artifact = read_artifact(path, name=path.stem, precision=guess_precision(path))
    graph = read_graph(path)
    rows = _operator_rows(graph)
    estimates = _estimates(path, profiles)
    output.table(*artifact_parts(artifact), operator_table(rows))
    if estimates:
        output.table(measurement_table(estimates, verbose=output.verbose))
    facts: dict[str, Any] = {}
    if isinstance(graph, TfliteGraph):
        output.table(*device_parts(graph, profiles))
        facts = device_document(graph, profiles)
        if picture is not None:
            write_picture(graph, path.name, picture)
    elif picture is not None:
        raise RequestError(f"--picture: the memory of a .tflite file is drawn, found {str(path)!r}")
    output.document(
        {
            "schema": "edgecut.inspect/1",
            "artifact": artifact.to_dict(),
            "operators": [asdict(row) for row in rows],
            "measurements": [m.to_dict() for m in estimates],
            **facts,
        }
    )
    return 0


def _operator_rows(graph: Any) -> list[Any]:
    from edgecut.export.onnx_graph import OnnxGraph
    from edgecut.render.graphs import OperatorRow
    from edgecut.tflite.ops import operator_macs

    if isinstance(graph, OnnxGraph):
        return [OperatorRow(n.index, n.operator, n.name, n.output_shape, "", n.macs) for n in graph.nodes]
    rows = []
    for operator in graph.operators:
        made = graph.tensors[operator.outputs[0]] if operator.outputs else None
        rows.append(
            OperatorRow(
                operator.index, operator.name, made.name if made else "", made.shape if made else None,
                made.dtype if made else "", operator_macs(graph, operator),
            )
        )  # fmt: skip
    return rows


def _estimates(path: Path, profiles: Sequence[Profile]) -> list[Measurement]:
    from edgecut.bench.predict import predict_latency
    from edgecut.tflite.flatbuffer import read

    if path.suffix.lower() != ".tflite":
        return []
    return [predict_latency(read(path), profile, path.stem) for profile in profiles]


def _largest(counts: Sequence[int | None]) -> int | None:
    """The largest count, None if any isn't known."""
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None


def _largest_activation(points: Sequence[Any], profile: Profile) -> str:
    """One sentence on how the largest tensor, as int8, compares with the profile's memory."""

    def elements(point: Any) -> int:
        return math.prod(point.shape[1:])

    known = [p for p in points if p.activation_bytes is not None]
    if not known or profile.memory.ram_bytes is None:
        return f"{profile.id}: no memory size to compare with"
    largest = max(known, key=elements)
    free = profile.memory.ram_bytes - profile.memory.reserved_ram_bytes
    return (
        f"{profile.id}: the largest tensor is {largest.name}, {format_bytes(elements(largest))} as int8; "
        f"{format_bytes(free)} of RAM are free"
    )
