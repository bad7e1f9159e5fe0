"""`edgecut export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from edgecut.cli.files import check_target
from edgecut.cli.flags import recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.errors import DataError, RequestError
from edgecut.records.recipe import Format, Precision, Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

CALIBRATED = {"int8", "int16x8"}


@click.command(
    "export",
    epilog="\b\nExamples:\n"
    "  edgecut export model.keras --precision float32 -o model.tflite\n"
    "  edgecut export model.keras --precision int8 --data photos --preprocess tf -o model.tflite",
)
@click.argument("model")
@click.option("--format", "format_", type=click.Choice(get_args(Format)), help="By default what OUT ends in.")
@click.option("--precision", type=click.Choice(get_args(Precision)), default="int8", show_default=True)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@recipe_flags("--preprocess", "--data", "--calibration", "--seed", "--unsafe")
@with_output
def command(
    output: Output,
    *,
    model: str,
    format_: Format | None,
    precision: Precision,
    out: Path,
    force: bool,
    overrides: dict[str, Any],
) -> int:
    """Write a model as it is to one .tflite or .onnx file, and show what the file holds.

    MODEL is a Keras model, or a SavedModel folder of any origin.

    int8 and int16x8 need images (--data) and what the model was trained on (--preprocess).
    """
    from edgecut.render.graphs import artifact_parts

    recipe = read_source(model, overrides)
    target = format_ or _format_of(out)
    _check(recipe, precision, out, force)
    artifact = _export(output, recipe, target, precision, out)
    output.table(*artifact_parts(artifact))
    output.document({"artifacts": [artifact.to_dict()]})
    return 0


def _format_of(out: Path) -> Format:
    for known in get_args(Format):
        if out.suffix.lower() == f".{known}":
            return known
    raise RequestError(f"{out}: ends in neither .tflite nor .onnx; pass --format or rename it")


def _check(recipe: Recipe, precision: str, out: Path, force: bool) -> None:
    """Raises RequestError for what can be known before a model is loaded."""
    from edgecut.graph.peek import kind_of

    check_target(out, force=force)
    kind_of(recipe.source.model)
    if precision in CALIBRATED and recipe.data.train is None:
        raise RequestError(f"export: {precision} needs images to calibrate on; pass --data")
    if recipe.data.train is not None and not Path(recipe.data.train).exists():
        raise DataError(f"--data: no such file or folder {recipe.data.train!r}")


def _export(output: Output, recipe: Recipe, target: Format, precision: Precision, out: Path) -> Any:
    from edgecut.graph.peek import kind_of
    from edgecut.graph.quiet import import_keras_quietly

    progress = output.progress()
    with progress.task("loading the model"):
        import_keras_quietly()
        from edgecut.export.artifacts import export
        from edgecut.graph.exported import load_exported
        from edgecut.graph.source import load

        source = recipe.source.model
        # A SavedModel's function is what it computes, whatever wrote it; only cutting it needs its layers.
        is_function = kind_of(source) == "saved_model"
        model = load_exported(source) if is_function else load(source, unsafe=recipe.source.unsafe)
    images = _calibration(output, recipe, model) if precision in CALIBRATED else None
    with progress.task(f"writing {target} {precision}"):
        return export(model, format=target, precision=precision, calibration=images, path=out)


def _calibration(output: Output, recipe: Recipe, model: keras.Model) -> np.ndarray:
    """The calibration images as the model takes them: (n, height, width, channels), float32."""
    from edgecut.images.dataset import read_calibration
    from edgecut.images.device import model_input

    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or None in shapes[0][1:]:
        raise DataError(
            f"export: the model takes {shapes}, and images calibrate one input of fixed size (batch, height, "
            "width, channels)"
        )
    _, height, width, channels = shapes[0]
    pixels = read_calibration(
        recipe.data.train or "", height=height, width=width, channels=channels, count=recipe.data.calibration,
        seed=recipe.data.seed, where="--data", progress=output.progress(),
    )  # fmt: skip
    return model_input(pixels, recipe.source.preprocess, "normalized")
