"""`edgecut explain`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_target
from edgecut.cli.flags import Overrides, grouped, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.errors import DataError, RequestError
from edgecut.records.explanation import Explanation
from edgecut.records.recipe import Recipe
from edgecut.whole import write_whole

PLOTS = (".svg", ".png")


class Picture(NamedTuple):
    """The plot to draw, None for none."""

    plot: Path | None
    force: bool


@click.command(
    "explain",
    epilog="\b\nExamples:\n"
    "  edgecut explain dist/models/m.int8.tflite --source dist/models/m.keras --data photos --preprocess tf\n"
    "  edgecut explain m.int8.tflite --source mobilenet.keras --data photos --preprocess tf --plot error.svg",
)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--source", required=True, metavar="MODEL", shell_complete=files, help="The model that the file was made of."
)
@click.option("--images", default=32, show_default=True, type=click.IntRange(4, 32), help="How many images to use.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Also draw it: FILE.svg or FILE.png.")
@click.option("--force", is_flag=True, help="Replace an existing plot.")
@recipe_flags("--data", "--kind", "--preprocess", "--pixels", "--seed", "--unsafe", "--shape", "--dequantize")
@with_output
@grouped(picture=Picture)
def command(output: Output, *, artifact: Path, source: str, images: int, picture: Picture, overrides: Overrides) -> int:
    """Say which layers lose most by quantization, in the source model's names, and why.

    The source model and the file run on the same images; each of the file's tensors is compared with the layer that
    it stands for.
    """
    from edgecut.render.explained import explanation_tables
    from edgecut.render.explained_plot import draw

    recipe, plot = read_source(source, overrides), picture.plot
    _check(recipe, artifact, plot, picture.force)
    found = _explain(output, recipe, artifact, images)
    if plot is not None:
        write_whole(plot, draw(found, plot.suffix.lower()))
    output.table(*explanation_tables(found, verbose=output.verbose))
    output.document({"explanation": found.to_dict()})
    return 0


def _check(recipe: Recipe, artifact: Path, plot: Path | None, force: bool) -> None:
    """Raises RequestError for what can be known before a model is loaded."""
    from edgecut.graph.saved import kind_of
    from edgecut.tflite.flatbuffer import read

    if artifact.suffix.lower() == ".onnx":
        raise RequestError(f"{artifact}: an ONNX file's interior can't be read; explain the .tflite file of its build")
    graph = read(artifact)
    if not any(tensor.scales for tensor in graph.tensors):
        raise RequestError(f"{artifact}: nothing in it is quantized, so there is nothing to explain")
    kind_of(recipe.source.model)
    if recipe.data.train is None:
        raise RequestError("explain: the file and the source are compared on images; pass --data")
    if not Path(recipe.data.train).exists():
        raise DataError(f"--data: no such file or folder {recipe.data.train!r}")
    if plot is not None:
        if plot.suffix.lower() not in PLOTS:
            raise RequestError(f"--plot: {plot} ends in neither .svg nor .png; rename it")
        check_target(plot, force=force)


def _explain(output: Output, recipe: Recipe, artifact: Path, count: int) -> Explanation:
    from edgecut.graph.quiet import import_keras_quietly
    from edgecut.images.dataset import read_calibration, read_calibration_arrays
    from edgecut.images.encoded import requested
    from edgecut.images.feed import ArrayFeed, kind_of
    from edgecut.tflite.flatbuffer import read

    progress = output.progress()
    with progress.task("loading the source model"):
        import_keras_quietly()
        from edgecut.pipeline.stem import array_inputs
        from edgecut.quantize.explain_file import explain_arrays, explain_file, picture_shape
        from edgecut.source.load import read_source as read_model

        loaded = read_model(recipe.source, progress)
    taken = [tuple(tensor.shape) for tensor in loaded.model.inputs]
    if kind_of(recipe.data, taken) == "arrays":
        inputs = array_inputs(loaded.model)
        rows = read_calibration_arrays(
            str(recipe.data.train), inputs, count=count, seed=recipe.data.seed, where="--data", progress=progress
        )
        values = ArrayFeed(inputs, recipe.source.preprocess).values(rows)
        return explain_arrays(artifact, loaded.model, values, progress=progress).with_nodes(loaded.nodes)
    pixels = read_calibration(
        recipe.data.train or "",
        picture_shape(read(artifact), str(artifact)),
        count=count,
        seed=recipe.data.seed,
        where="--data",
        request=requested(recipe.data),
        progress=progress,
    )
    explanation = explain_file(
        artifact, loaded.model, pixels, recipe.source.preprocess, recipe.stem.pixels, progress=progress
    )
    return explanation.with_nodes(loaded.nodes)
