"""`edgecut inspect` of a Keras model: its calls, its cuts, their estimates and their picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.bench.fits import arena_fits, arena_limit
from edgecut.cli.files import check_svg
from edgecut.cli.output import Output
from edgecut.cli.request import View
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.recipe import Source
from edgecut.records.units import format_bytes, format_count
from edgecut.whole import write_whole

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgecut.bench.at_cut import CutCost
    from edgecut.graph.dataflow import Dataflow
    from edgecut.graph.points import CutPoint

# Columns from which the tensors that bypass a cut have room in the table.
WIDE = 120

Costs = Mapping[str, Mapping[str, "CutCost"]]


def inspect_model(
    output: Output,
    source: Source,
    profiles: Sequence[Profile],
    view: View,
) -> int:
    """Show a model's calls."""
    from edgecut.graph.points import points_of, totals
    from edgecut.render.csv_rows import CUT_COLUMNS, cut_rows
    from edgecut.render.graphs import point_table

    cuts, legal, picture = view
    if picture is not None:
        check_svg(picture)
    graph, nodes = _read(output, source)
    points = points_of(graph)
    shown = [p for p in points if p.legal_start] if legal else list(points)
    costs = _costs(output, graph, profiles) if cuts or picture is not None else {}
    whole = totals(graph)
    output.table(
        _headline(source.model, whole),
        point_table(shown, bypass=cuts or output.verbose, wide=output.width() >= WIDE),
        *(part for p in profiles for part in (_cost_table(p, [costs[p.id][x.name] for x in shown]) if cuts else ())),
        *(_largest_activation(points, profile) for profile in profiles),
    )
    if picture is not None:
        _draw(picture, source.model, graph, points, costs)
        output.note(f"wrote {picture}")
    rows = [_row(point, profiles, costs if cuts else {}) | _nodes(point, nodes) for point in shown]
    output.rows(CUT_COLUMNS, cut_rows(rows))
    output.document({"schema": "edgecut.inspect/1", "model": source.model, **whole, "cut_points": rows})
    return 0


def _read(output: Output, source: Source) -> tuple[Dataflow, Mapping[str, tuple[str, ...]]]:
    """The model's calls, as saved or by TensorFlow, and the nodes of an .onnx file that each layer is of."""
    from edgecut.graph.layer_call import UnsaidError
    from edgecut.source.onnx.calls import NOT_PROVEN, read_calls
    from edgecut.source.saved import read_dataflow

    try:
        if Path(source.model).suffix.lower() != ".onnx":
            return read_dataflow(source), {}
        with output.progress().task("making layers"):
            told = read_calls(source)
        for note in (*told.notes, f"{source.model}: {NOT_PROVEN}"):
            output.note(note)
        return told.flow, told.nodes
    except UnsaidError as exc:
        if str(exc):
            output.note(f"{source.model}: {exc}; TensorFlow reads the model")
    progress = output.progress()
    with progress.task("loading the model"):
        from edgecut.graph.quiet import import_keras_quietly

        import_keras_quietly()
        from edgecut.graph.live import dataflow
        from edgecut.source.load import read_source

        loaded = read_source(source, progress)
        graph = dataflow(loaded.model)
    for note in loaded.notes:
        output.note(note)
    return graph, loaded.nodes


def _costs(output: Output, graph: Dataflow, profiles: Sequence[Profile]) -> Costs:
    """The estimates of each profile by the name of the tensor."""
    from edgecut.bench.at_cut import cut_costs

    found: dict[str, dict[str, CutCost]] = {}
    for profile in profiles:
        with output.progress().task(f"estimating for {profile.id}", len(graph)) as advance:
            found[profile.id] = {}
            for cost in cut_costs(graph, profile):
                found[profile.id][cost.name] = cost
                advance(1)
    return found


def _headline(source: str, totals: Mapping[str, int | None]) -> str:
    macs, params = totals["macs"], totals["params"]
    cost = "MACs not modelled" if macs is None else f"{format_count(macs)} MACs"
    return (
        f"{source}: {totals['layers']} layers, {totals['calls']} calls, {format_count(params or 0)} parameters, {cost}"
    )


def _cost_table(profile: Profile, costs: Sequence[CutCost]) -> list[RenderableType]:
    """The table of a device's estimates, each arena held against what a build allows it there."""
    from edgecut.render.graphs import cost_table

    found = {cost.name: arena_fits([cost.arena], profile) for cost in costs}
    states = {name: judgement.state for name, judgement in found.items() if judgement is not None}
    return cost_table(profile.id, costs, arena_limit(profile), states)


def _row(point: CutPoint, profiles: Sequence[Profile], costs: Costs) -> dict[str, object]:
    if not costs:
        return asdict(point)
    estimates = [m.to_dict() for of in costs.values() for m in (of[point.name].latency, of[point.name].arena)]
    judged = {profile.id: arena_fits([costs[profile.id][point.name].arena], profile) for profile in profiles}
    states = {name: judgement.state for name, judgement in judged.items() if judgement is not None}
    return {**asdict(point), "measurements": estimates, "arena_fits": states}


def _nodes(point: CutPoint, nodes: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """What the layer is in the .onnx file that it was imported from."""
    return {"nodes": list(nodes[point.name])} if point.name in nodes else {}


def _draw(path: Path, source: str, graph: Dataflow, points: Sequence[CutPoint], costs: Costs) -> None:
    """Write the picture of all calls, with the first profile's estimates."""
    from edgecut.render.picture import Row, graph_picture
    from edgecut.render.words import count_words, measured_words, shape_words

    first = next(iter(costs), None)
    rows, place = [], {}
    for number, point in enumerate(points):
        place[point.name] = number
        macs = "?" if point.macs is None else count_words(point.macs)
        size = "?" if point.activation_bytes is None else format_bytes(point.activation_bytes)
        cells = [point.name, point.type, shape_words(point.shape[1:]), macs, count_words(point.params), size]
        if first is not None:
            cost = costs[first][point.name]
            cells += [measured_words(cost.latency), measured_words(cost.arena)]
        rows.append(Row(tuple(cells), point.legal_start, _tooltip(point, [of[point.name] for of in costs.values()])))
    edges = [
        (place[graph.tensor_name[taken]], place[graph.tensor_name[call.outputs[0]]])
        for call in graph
        if call.outputs
        for taken in call.inputs
    ]
    headings = ("tensor", "layer", "shape", "MACs", "params", "bytes", *(("latency", "arena") if first else ()))
    title = f"{Path(source).name}: {len(graph)} calls, {sum(p.legal_start for p in points)} tensors to start at"
    drawn = graph_picture(f"{title}{f'; {first}, estimated' if first else ''}", headings, rows, edges)
    write_whole(path, drawn.encode())


def _tooltip(point: CutPoint, costs: Sequence[CutCost]) -> str:
    from edgecut.render.words import band_words, measured_words

    def words(measurement: Measurement) -> str:
        band = band_words(measurement.error)
        return f"{measurement.metric} {measured_words(measurement)}{f' {band}' if band else ''}"

    start = "a model can start behind it" if point.legal_start else f"a start also needs {', '.join(point.bypass)}"
    lines = [f"{point.position}  {point.name} ({point.type})", start if point.bypass or point.legal_start else "unused"]
    return "\n".join([*lines, *(f"{c.latency.profile}: {words(c.latency)}, {words(c.arena)}" for c in costs)])


def _largest_activation(points: Sequence[CutPoint], profile: Profile) -> str:
    """One sentence on how the largest tensor, as int8, compares with the profile's memory."""

    def elements(point: CutPoint) -> int:
        return math.prod(size or 0 for size in point.shape[1:])

    known = [p for p in points if p.activation_bytes is not None]
    free = arena_limit(profile)
    if not known or free is None:
        return f"{profile.id}: no memory size to compare with"
    largest = max(known, key=elements)
    return (
        f"{profile.id}: the largest tensor is {largest.name}, {format_bytes(elements(largest))} as int8; "
        f"an arena may take {format_bytes(free)} there"
    )
