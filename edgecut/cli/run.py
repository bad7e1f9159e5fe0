"""`edgecut run`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_target
from edgecut.cli.flags import Overrides, grouped, recipe_flags
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.records.recipe import make_recipe
from edgecut.whole import write_whole


class Shown(NamedTuple):
    """--artifact and --top: which file of a bundle, and how many classes."""

    artifact: str | None
    top: int


class Page(NamedTuple):
    """--html and --force: the page to write, None for none."""

    html: Path | None
    force: bool


@click.command(
    "run",
    epilog="\b\nExamples:\n"
    "  edgecut run dist photos\n"
    "  edgecut run model.tflite a.jpg b.jpg --preprocess tf --labels labels.txt\n"
    "  edgecut run dist photos --html answers.html\n"
    "  edgecut run dist - < frames.raw\n"
    "  edgecut run keywords.tflite sounds.npz --csv",
)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=files)
@click.argument("inputs", nargs=-1, required=True, shell_complete=files)
@click.option("--artifact", metavar="NAME", help="Which file of a bundle: its name, path or precision.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="How many classes are listed.")
@click.option("--html", type=click.Path(path_type=Path), help="Write pictures and answers as one self-contained page.")
@click.option("--force", is_flag=True, help="Replace the file of --html.")
@recipe_flags("--preprocess", "--labels")
@with_output
@with_csv
@grouped(shown=Shown, page=Page)
def command(
    output: Output, *, model: Path, inputs: tuple[str, ...], shown: Shown, page: Page, overrides: Overrides
) -> None:
    """Run a bundle, or a .tflite or .onnx file, on this machine, and say what it answers.

    INPUTS: picture files, folders of pictures, one .npz with x_test for a model that takes arrays, or - for a camera's
    bytes on standard input, one frame behind the other, in the size and order that the model takes. Pictures go the
    way of a build: resized, made gray or reordered, scaled as the model was trained; what that was is printed.
    """
    from edgecut.handoff.predict import Reading, predict
    from edgecut.render.predictions import (
        CSV_COLUMNS,
        prediction_rows,
        prediction_table,
        render_predictions,
        shared_folder,
    )

    if page.html is not None:
        check_target(page.html, force=page.force)
    recipe = make_recipe({}, {"source.model": "", **overrides}, where="command line")
    ran = predict(
        model,
        inputs,
        recipe.source.preprocess if "source.preprocess" in overrides else None,
        Reading(recipe.data, shown.top, shown.artifact),
        output.progress(),
    )
    found = ran.predictions
    if page.html is not None:
        write_whole(page.html, render_predictions(found, ran.pictures).encode())
    folder = shared_folder(found)
    output.table(prediction_table(found), *(["", f"inputs of {folder}"] if folder else []))
    output.remarks(*([] if folder else [""]), f"{found.file} takes {found.takes}")
    output.rows(CSV_COLUMNS, prediction_rows(found))
    for note in found.notes:
        output.note(note)
    output.document(found.to_dict())
