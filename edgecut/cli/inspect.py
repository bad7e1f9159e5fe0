"""`edgecut inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecut.cli.completion import files
from edgecut.cli.flags import Overrides, grouped, recipe_flags, several_profiles
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.cli.request import View, read_source
from edgecut.errors import RequestError
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes

if TYPE_CHECKING:
    from edgecut.render.graphs import OperatorRow
    from edgecut.runtime.onnx_graph import OnnxGraph
    from edgecut.tflite.flatbuffer import TfliteGraph


@click.command(
    "inspect",
    epilog="\b\nExamples:\n"
    "  edgecut inspect mobilenet.keras --cuts --profile nucleo-l4r5zi --svg mobilenet.svg\n"
    "  edgecut inspect 'keras:MobileNetV2?weights=none' --json\n"
    "  edgecut inspect model.tflite --profile nucleo-l4r5zi\n"
    "  edgecut inspect model.onnx --import",
)
@click.argument("model", shell_complete=files)
@click.option("--cuts", is_flag=True, help="What bypasses each tensor, and what a cut there costs on each --profile.")
@click.option("--legal", is_flag=True, help="Only the tensors at which a model can also start.")
@several_profiles
@click.option(
    "--svg",
    "--picture",
    "picture",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Draw a model's calls with their cuts, or a .tflite file's memory.",
)
@click.option("--import", "importing", is_flag=True, help="What an import of an .onnx file would and wouldn't take.")
@recipe_flags("--unsafe", "--shape", "--dequantize")
@with_output
@with_csv
@grouped(view=View)
def command(
    output: Output, *, model: str, profile_names: tuple[str, ...], view: View, importing: bool, overrides: Overrides
) -> int:
    """List a Keras model's calls with shapes and costs, or the operators of a .tflite or .onnx file.

    Costs add up from the input to the row. A name or a number of the list is what --to takes. --cuts names the
    tensors that bypass a row, and with --profile gives the estimated latency and arena of a model that ends there;
    --svg draws it. Of an .onnx file these show the Keras model that it is imported as. TensorFlow is loaded only
    where the model's code alone says what a layer does. For a .tflite file also when it needs the most memory, and with
    --profile which operators the device's runtime lacks or runs slowly.
    """
    profiles = [find_profile(name) for name in profile_names]
    for sentence in shadow_notes(profiles):
        output.note(sentence)
    suffix = Path(model).suffix.lower()
    if output.as_csv and (importing or not view.cuts or suffix == ".tflite"):
        raise RequestError("--csv: is for the cuts of a model; pass --cuts, too")
    if importing:
        from edgecut.cli.inspect_import import inspect_import

        return inspect_import(output, read_source(model, overrides).source)
    as_model = suffix == ".onnx" and (view.cuts or view.legal or view.picture is not None)
    if suffix in {".tflite", ".onnx"} and not as_model:
        return _inspect_file(output, Path(model), profiles, view.picture)
    from edgecut.cli.inspect_model import inspect_model

    return inspect_model(output, read_source(model, overrides).source, profiles, view)


def _inspect_file(output: Output, path: Path, profiles: Sequence[Profile], picture: Path | None) -> int:
    from edgecut.cli.device_facts import c_facts, device_document, device_parts, write_picture
    from edgecut.export.readback import guess_precision, read_artifact
    from edgecut.render.graphs import artifact_parts, operator_table
    from edgecut.render.tables import measurement_table
    from edgecut.runtime.specs import open_sizes, read_graph
    from edgecut.tflite.flatbuffer import TfliteGraph

    artifact = read_artifact(path, name=path.stem, precision=guess_precision(path))
    graph = read_graph(path)
    rows = _operator_rows(graph)
    unknown = open_sizes(graph)
    if unknown:
        output.note(f"{path.name} leaves the size of its input {unknown} open; multiply-accumulates are of size 1")
    estimates = _estimates(path, profiles)
    output.table(*artifact_parts(artifact), operator_table(rows))
    if estimates:
        output.table(measurement_table(estimates, verbose=output.verbose))
    facts: dict[str, object] = {}
    if isinstance(graph, TfliteGraph):
        words, plain_c = c_facts(path)
        output.table(*device_parts(graph, profiles), words)
        facts = {**device_document(graph, profiles), "plain_c": plain_c}
        if picture is not None:
            write_picture(graph, path.name, picture)
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


def _operator_rows(graph: TfliteGraph | OnnxGraph) -> list[OperatorRow]:
    from edgecut.render.graphs import OperatorRow
    from edgecut.runtime.onnx_graph import OnnxGraph
    from edgecut.tflite.ops import operator_macs

    if isinstance(graph, OnnxGraph):
        return [OperatorRow(n.index, n.operator, n.name, n.output_shape, "", n.macs) for n in graph.nodes]
    rows = []
    for operator in graph.operators:
        made = graph.tensors[operator.outputs[0]] if operator.outputs else None
        rows.append(
            OperatorRow(
                operator.index,
                operator.name,
                made.name if made else "",
                made.shape if made else None,
                made.dtype if made else "",
                operator_macs(graph, operator),
            )
        )
    return rows


def _estimates(path: Path, profiles: Sequence[Profile]) -> list[Measurement]:
    from edgecut.bench.as_c import c_arena
    from edgecut.bench.predict import predict_latency
    from edgecut.tflite.flatbuffer import read

    if path.suffix.lower() != ".tflite":
        return []
    found = [predict_latency(read(path), profile, path.stem) for profile in profiles]
    return [*(c_arena(path, profile, path.stem) for profile in profiles if profile.runtime.name == "c"), *found]
