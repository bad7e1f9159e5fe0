"""`edgecut inspect --import`: what an import of an .onnx file would take, and what stands in its way."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from edgecut.cli.output import Output
from edgecut.errors import RequestError
from edgecut.records.recipe import Source

if TYPE_CHECKING:
    from edgecut.source.onnx.survey import Survey


def inspect_import(output: Output, source: Source) -> int:
    """Show each operator with what it becomes, or why it doesn't and where to cut."""
    from edgecut.graph.saved import kind_of
    from edgecut.pipeline.onnx_source import check_shape
    from edgecut.render.imports import import_table
    from edgecut.render.lines import notes
    from edgecut.source.onnx import survey
    from edgecut.source.onnx.operators import RULES

    if kind_of(source.model) != "onnx":
        raise RequestError(f"--import: {source.model} is no .onnx file; other models are taken as they are")
    found = survey(source.model, dequantize=source.dequantize)
    check_shape(source)
    becomes = {
        operator: RULES[operator].layer or "nothing of its own" for operator in found.operators if operator in RULES
    }
    output.table(_headline(found), import_table(found.operators, becomes, found.refused))
    output.remarks(*notes(found.notes))
    for sentence in remedies(found, source):
        output.note(sentence)
    output.document(_document(found))
    return 0


def remedies(found: Survey, source: Source) -> list[str]:
    """What to do about what stands in the way, each a command."""
    from edgecut.pipeline.onnx_source import colour_hint
    from edgecut.source.onnx.survey import cut_remedy

    name = quote(source.model)
    said = []
    if found.open_inputs and source.shape is None:
        inputs = ", ".join(map(repr, found.open_inputs))
        said.append(f"the file leaves sizes of {inputs} open: say them, without the batch, with --shape 3x224x224")
    if found.refused and found.cuts:
        said.append(cut_remedy(found.path, found.cuts).removeprefix("; "))
    if [len(tensor.shape) == 4 and 3 in tensor.shape[1:] for tensor in found.inputs] == [True]:
        said += filter(None, [colour_hint(source.preprocess)])
    if not found.refused:
        said.append(f"next: edgecut import {name} -o {quote(str(found.path.with_suffix('.keras')))}")
    return said


def _headline(found: Survey) -> str:
    nodes = sum(found.operators.values())
    names = ", ".join(dict.fromkeys(item.operator for item in found.refused))
    state = f"refused: {names}" if names else "all of its operators can be had"
    return f"{found.path}: {found.exporter or 'no exporter named'}, opset {found.opset}, {nodes} nodes; {state}"


def _document(found: Survey) -> dict[str, object]:
    return {
        "schema": "edgecut.import/1",
        "model": str(found.path),
        "exporter": found.exporter,
        "opset": found.opset,
        "inputs": {tensor.name: list(tensor.shape) for tensor in found.inputs},
        "outputs": {tensor.name: list(tensor.shape) for tensor in found.outputs},
        "operators": dict(found.operators),
        "layers": dict(found.layers),
        "refused": [{"operator": r.operator, "places": list(r.places), "reason": r.reason} for r in found.refused],
        "cuts": list(found.cuts),
        "open_inputs": list(found.open_inputs),
        "quantized": found.quantized,
        "notes": list(found.notes),
    }
