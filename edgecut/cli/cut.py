"""`edgecut cut`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgecut.cli.completion import files
from edgecut.cli.files import bench_hint, check_keras_name, check_target, export_hint, show_step
from edgecut.cli.flags import Overrides, Parsed, grouped, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.cli.sources import load_model
from edgecut.errors import RequestError
from edgecut.records.recipe import Recipe
from edgecut.records.report import Step

if TYPE_CHECKING:
    import keras

FILES = {"tflite", "onnx"}
MODEL_ENDINGS = (".keras", ".h5", ".hdf5")


class Edits(NamedTuple):
    """What only a Keras model can be asked for."""

    replace: tuple[tuple[str, str], ...]
    insert: tuple[tuple[str, str], ...]
    multi: bool
    project: bool


def _assignment(text: str) -> tuple[str, str]:
    left, _, right = text.partition("=")
    if not left.strip() or not right.strip():
        raise ValueError(f"{text!r} has no '=' between a layer and what is put there")
    return left.strip(), right.strip()


@click.command(
    "cut",
    epilog="\b\nExamples:\n"
    "  edgecut cut model.keras --to conv_pw_11_relu -o body.keras\n"
    "  edgecut cut model.keras --from block_2_add --drop block_4_1_conv..block_4_add -o tail.keras\n"
    "  edgecut cut model.keras --replace block_3_1_conv..block_3_add=conv:32,3/bn/relu --project -o b.keras\n"
    "  edgecut cut model.keras --insert stem_conv=BatchNormalization -o b.keras\n"
    "  edgecut cut model.tflite --to 12 -o part.tflite\n"
    "  edgecut cut model.onnx --to /features/features.17/Add_output_0 -o part.onnx\n"
    "  edgecut cut model.onnx --to features.17.add -o part.keras\n"
    "\n"
    "A block is conv:filters,kernel[,stride], separable:filters,kernel[,stride], depthwise:kernel[,stride], "
    "dense:units, bn, relu, relu6 or identity; several in a row with '/'; branch:a+b side by side and "
    "concatenated, sum:a+b added; or a Keras layer, such as Dropout:rate=0.2.",
)
@click.argument("model", shell_complete=files)
@recipe_flags("--to", "--from", "--drop", "--unsafe", "--shape", "--dequantize")
@click.option(
    "--replace",
    multiple=True,
    metavar="A..B=BODY",
    type=Parsed(_assignment, "A..B=BODY"),
    help="Put a model file or a block in the place of these layers; may be repeated.",
)
@click.option(
    "--insert",
    multiple=True,
    metavar="LAYER=BODY",
    type=Parsed(_assignment, "LAYER=BODY"),
    help="Put a model file or a block behind this layer; may be repeated.",
)
@click.option("--multi", is_flag=True, help="Add the inputs that a start needs besides.")
@click.option("--project", is_flag=True, help="Add a 1x1 projection where a body has another width.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@with_output
@grouped(edits=Edits)
def command(output: Output, *, model: str, out: Path, force: bool, edits: Edits, overrides: Overrides) -> int:
    """Write a part of a model, or a model with layers dropped, replaced or inserted, and prove it.

    MODEL is a Keras model, or a .tflite or .onnx file, which is cut by --to and --from alone, at tensors. Into a
    .keras file an .onnx file is imported first, and cut at its layers (`edgecut inspect FILE.onnx --cuts`).
    """
    from edgecut.graph.saved import kind_of

    recipe = read_source(model, overrides)
    check_target(out, force=force)
    kind = kind_of(model)
    is_file = kind in FILES and not (kind == "onnx" and out.suffix == ".keras")
    step = _cut_file(output, recipe, edits, out) if is_file else _cut_model(output, recipe, edits, out)
    show_step(output, step, out)
    output.note(bench_hint(out) if is_file else export_hint(out, recipe))
    return 0


def _cut_file(output: Output, recipe: Recipe, edits: Edits, out: Path) -> Step:
    from edgecut.bench.cutproof import cut_file

    flags = {
        "--drop": recipe.cut.drop,
        "--replace": edits.replace,
        "--insert": edits.insert,
        "--multi": edits.multi,
        "--project": edits.project,
    }
    for flag, value in flags.items():
        if value:
            raise RequestError(f"{flag}: {recipe.source.model} has no layers; {_layered(recipe.source.model)}")
    with output.progress().task("cutting"):
        return cut_file(recipe.source.model, recipe.cut.to, recipe.cut.start, out)


def _layered(model: str) -> str:
    """What has layers to edit in the place of a file."""
    return (
        "write a .keras file (-o *.keras)" if model.lower().endswith(".onnx") else "edit the Keras model and export it"
    )


def _cut_model(output: Output, recipe: Recipe, edits: Edits, out: Path) -> Step:
    from edgecut.graph.quiet import import_keras_quietly

    check_keras_name(out)
    progress, began = output.progress(), time.perf_counter()
    with progress.task("loading the model"):
        import_keras_quietly()
        from edgecut.graph.edits import edit
        from edgecut.graph.saving import save

        unsafe, cut = recipe.source.unsafe, recipe.cut
        model = load_model(output, recipe.source, progress)
    with progress.task("cutting"):
        result = edit(
            model,
            to=cut.to,
            start=cut.start,
            drop=cut.drop,
            multi=edits.multi,
            project=edits.project,
            replace=[(*_ends(where), _body(body, unsafe)) for where, body in edits.replace],
            insert=[(_ref(where), _body(body, unsafe)) for where, body in edits.insert],
        )
    with progress.task(f"writing {out}"):
        save(result.model, out)
    after = result.after.model_copy(
        update={"weights_dropped": result.weights_dropped, "size_bytes": out.stat().st_size}
    )
    notes = (*result.notes, "the written file was loaded again and is bit-equal to the cut model")
    return Step(
        name="cut",
        changed=True,
        before=result.before,
        after=after,
        proof=result.proof,
        notes=notes,
        seconds=time.perf_counter() - began,
    )


def _ends(text: str) -> tuple[str | int, str | int]:
    first, dots, last = text.partition("..")
    return _ref(first), _ref(last if dots else first)


def _ref(text: str) -> str | int:
    return int(text) if text.lstrip("-").isdigit() else text


def _body(text: str, unsafe: bool) -> keras.Model | str:
    """The model of a file, or the text of a block."""
    from edgecut.source.load import load

    if text.startswith("keras:") or text.endswith(MODEL_ENDINGS) or Path(text).exists():
        return load(text, unsafe=unsafe)
    return text
