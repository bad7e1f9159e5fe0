"""`edgecut stem`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_keras_target, export_hint
from edgecut.cli.flags import Overrides, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.cli.sources import load_model
from edgecut.errors import DataError, RequestError
from edgecut.records.recipe import Recipe
from edgecut.records.report import Step


@click.command(
    "stem",
    epilog="\b\nExamples:\n"
    "  edgecut stem model.keras --channels 1 --size 96x96 --preprocess tf -o gray.keras\n"
    "  edgecut stem model.keras --order yuv --preprocess torch --pixels raw -o yuv.keras\n"
    "  edgecut stem model.keras --size 112x112 --resolution nearest -o half.keras\n"
    "  edgecut stem model.keras --gray --size 112x112 --preprocess tf --resolution fit --kernel 3 \\\n"
    "      --data photos -o fitted.keras\n"
    "\n"
    "nearest, bilinear and average are exact: the model at its own size on the device's pixels repeated, interpolated "
    "or averaged. reuse keeps the weights at the device's size: cheaper with fewer pixels, dearer with more, and the "
    "model sees things at another scale. fit, on images (--data), costs about as much as the exact ways and is mostly "
    "nearer to the model in colour at its own size. With --data the output says what is kept, and which resolution "
    "keeps clearly more.",
)
@click.argument("model", shell_complete=files)
@recipe_flags(
    "--channels",
    "--gray",
    "--order",
    "--size",
    "--preprocess",
    "--pixels",
    "--resolution",
    "--kernel",
    "--stride",
    "--filters",
    "--batch-norm",
    "--data",
    "--calibration",
    "--seed",
    "--unsafe",
    "--shape",
    "--dequantize",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The .keras file to write.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@with_output
def command(output: Output, *, model: str, out: Path, force: bool, overrides: Overrides) -> int:
    """Write a Keras model that takes what a device feeds: gray, another order, another size, raw bytes.

    The result is proven against the model itself on the equivalent input, and the written file is read back.
    """
    from edgecut.graph.saved import kind_of

    recipe = read_source(model, overrides)
    check_keras_target(out, force=force)
    kind_of(model)
    _check_gray(recipe)
    if recipe.data.train is not None and not Path(recipe.data.train).exists():
        raise DataError(f"--data: no such file or folder {recipe.data.train!r}")
    _show(output, _edit(output, recipe, out), out)
    output.note(export_hint(out, recipe))
    return 0


def _check_gray(recipe: Recipe) -> None:
    """Raises RequestError for a gray value that no picture gives, which a build and an export of the result refuse."""
    from edgecut.bench.sensor import why_only_bytes

    is_gray = recipe.stem.channels == 1 or recipe.stem.order == "gray"
    reason = why_only_bytes(1, None, recipe.source.preprocess) if is_gray and recipe.stem.pixels != "raw" else ""
    if reason:
        raise RequestError(f"--pixels: {reason}; pass --pixels raw")


def _edit(output: Output, recipe: Recipe, out: Path) -> Step:
    from edgecut.graph.quiet import import_keras_quietly

    progress, began = output.progress(), time.perf_counter()
    with progress.task("loading the model"):
        import_keras_quietly()
        from edgecut.graph.saving import save
        from edgecut.pipeline.stem import stem_of, stem_step
        from edgecut.pipeline.values import Clock

        model = load_model(output, recipe.source, progress)
    with progress.task("editing the stem"):
        result = stem_of(recipe, model, progress)
    with progress.task(f"writing {out}"):
        save(result.model, out)
    step = stem_step(Clock("stem", began), model, result)
    after = step.after.model_copy(update={"size_bytes": out.stat().st_size})
    notes = (*step.notes, "the written file was loaded again and is bit-equal to the edited model")
    return step.model_copy(update={"after": after, "notes": notes})


def _show(output: Output, step: Step, out: Path) -> None:
    from edgecut.render.steps import change_table
    from edgecut.render.tables import step_table

    output.table(change_table(step), step_table([step]))
    output.remarks(f"wrote {out}")
    output.document(step.to_dict())
