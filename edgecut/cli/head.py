"""`edgecut head`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_keras_target, export_hint
from edgecut.cli.flags import Overrides, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.errors import RequestError
from edgecut.records.recipe import Export, Recipe
from edgecut.records.report import Step
from edgecut.score.metrics import MetricName, metric_of
from edgecut.whole import scratch_folder


@click.command(
    "head",
    epilog="\b\nExamples:\n"
    "  edgecut head model.keras --to conv_pw_11_relu --preprocess tf --classes 10 --data photos -o clothes.keras\n"
    "  edgecut head model.keras --to conv_pw_5_relu --classes 10 --data photos --head fit --hidden 64 -o mlp.keras\n"
    "  edgecut head model.keras --to conv_pw_5_relu --classes 10 --data photos --head finetune \\\n"
    "      --unfreeze conv_dw_4 -o tuned.keras",
)
@click.argument("model", shell_complete=files)
@recipe_flags(
    "--to",
    "--gray",
    "--size",
    "--preprocess",
    "--pixels",
    "--classes",
    "--head",
    "--hidden",
    "--unfreeze",
    "--pool",
    "--data",
    "--val",
    "--labels",
    "--kind",
    "--target",
    "--limit",
    "--seed",
    "--unsafe",
    "--shape",
    "--dequantize",
    "--set",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The .keras file to write.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@with_output
def command(output: Output, *, model: str, out: Path, force: bool, overrides: Overrides) -> int:
    """Put a new head behind a layer, train it, and write the Keras model.

    ridge, the default, fits it in closed form, and the others start from there: fit trains it on cached features,
    distil also on what the source says, finetune with the layers from --unfreeze on. Images held out of training say
    after how many epochs to stop, none if none helps; the score is of the validation data.
    """
    recipe = read_source(model, overrides).model_copy(update={"export": Export(precisions=("float32",))})
    check_keras_target(out, force=force)
    if recipe.head is None:
        raise RequestError("head.classes: is missing; say how many outputs the head has (--classes N)")
    step, scores = _trained(output, recipe, out)
    _show(output, step, scores, out)
    output.note(export_hint(out, recipe))
    return 0


def _trained(output: Output, recipe: Recipe, out: Path) -> tuple[Step, Mapping[MetricName, float | None]]:
    from edgecut.pipeline.plan import plan

    progress = output.progress()
    plan(recipe)
    with progress.task("starting TensorFlow"):
        from edgecut.graph.quiet import import_keras_quietly

        import_keras_quietly()
    from edgecut.graph.saving import save
    from edgecut.pipeline.build import edit
    from edgecut.pipeline.cached import file_store
    from edgecut.pipeline.head import fit_head
    from edgecut.pipeline.images import read_images
    from edgecut.pipeline.judged_outputs import validation_scores
    from edgecut.pipeline.load import load_source

    body = edit(load_source(recipe, progress).value, recipe, progress).value
    images = read_images(body, recipe, progress, file_store("head")).value
    with scratch_folder() as scratch:
        head = fit_head(body, images, recipe, scratch, progress)
    scores: dict[MetricName, float | None] = {metric_of(recipe.data.target): None}
    scores |= validation_scores(head.value.model, head.value.feed, images, recipe, progress)
    with progress.task(f"writing {out}"):
        save(head.value.model, out)
    return head.steps[0], scores


def _show(output: Output, step: Step, scores: Mapping[MetricName, float | None], out: Path) -> None:
    from edgecut.render.tables import step_table

    output.table(step_table([step]))
    for metric, value in scores.items():
        output.table(f"{metric} on the validation data: {'not known' if value is None else f'{value:.4f}'}")
    output.remarks(f"wrote {out}")
    output.document({**step.to_dict(), **{str(metric): value for metric, value in scores.items()}})
