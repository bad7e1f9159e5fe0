"""`edgecut import`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_keras_target, export_hint, show_step
from edgecut.cli.flags import Overrides, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.errors import DataError, RequestError
from edgecut.records.recipe import Recipe
from edgecut.records.report import Step


@click.command(
    "import",
    epilog="\b\nExamples:\n"
    "  edgecut import mobilenet.onnx -o mobilenet.keras\n"
    "  edgecut import mobilenet.onnx --preprocess torch --data photos -o mobilenet.keras\n"
    "  edgecut import detector.onnx --shape 3x320x320 -o detector.keras\n"
    "\n"
    "`edgecut inspect FILE.onnx --import` says beforehand what would go, and where to cut off what wouldn't.",
)
@click.argument("model", metavar="FILE.onnx", shell_complete=files)
@recipe_flags("--shape", "--dequantize", "--preprocess", "--data", "--calibration", "--seed")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The .keras file to write.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@with_output
def command(output: Output, *, model: str, out: Path, force: bool, overrides: Overrides) -> int:
    """Write the Keras model that an .onnx file is, channels last, with layers that can be cut and trained.

    It is proven against ONNX Runtime on the file: on seeded inputs, and on your images with --data and --preprocess.
    Over a relative error of 1e-4 nothing is written. Other commands take FILE.onnx as it is, and do the same.
    """
    recipe = read_source(model, overrides)
    _check(recipe, out, force)
    step = _imported(output, recipe, out)
    show_step(output, step, out)
    output.note(export_hint(out, recipe))
    return 0


def _check(recipe: Recipe, out: Path, force: bool) -> None:
    """Raises RequestError for what can be known before the file is read."""
    from edgecut.graph.saved import kind_of

    check_keras_target(out, force=force)
    if kind_of(recipe.source.model) != "onnx":
        raise RequestError(f"{recipe.source.model}: is no .onnx file; other models are taken as they are")
    if recipe.data.train is not None and not Path(recipe.data.train).exists():
        raise DataError(f"--data: no such file or folder {recipe.data.train!r}")


def _imported(output: Output, recipe: Recipe, out: Path) -> Step:
    from edgecut.graph.quiet import import_keras_quietly

    progress = output.progress()
    with progress.task("starting TensorFlow"):
        import_keras_quietly()
    from edgecut.graph.saving import save
    from edgecut.pipeline.load import load_source
    from edgecut.pipeline.onnx_source import colour_hint

    done = load_source(recipe, progress)
    with progress.task(f"writing {out}"):
        save(done.value.model.value, out)
    (step,) = done.steps
    colour = [tuple(tensor.shape[3:]) for tensor in done.value.model.value.inputs] == [(3,)]
    hint = colour_hint(recipe.source.preprocess) if colour else ""
    notes = (
        *step.notes,
        *filter(None, [hint]),
        "the written file was loaded again and is bit-equal to the imported model",
    )
    after = step.after.model_copy(update={"size_bytes": out.stat().st_size})
    return step.model_copy(update={"name": "import", "changed": True, "after": after, "notes": notes})
