"""`edgecut build`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecut.cli.flags import recipe_flags, several_profiles
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_request
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe


@click.command(
    "build",
    epilog="\b\nExamples:\n"
    "  edgecut build recipe.toml --profile nucleo-l4r5zi -o dist\n"
    "  edgecut build mobilenet.keras --preprocess tf --to conv_pw_5_relu --gray --size 96x96 \\\n"
    "      --classes 10 --data cifar10.npz --precision int8 --profile host -o dist",
)
@click.argument("source")
@several_profiles
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@click.option("--strict", is_flag=True, help="Exit 1 also for a limit that can't be judged.")
@recipe_flags()
@with_output
def command(
    output: Output,
    *,
    source: str,
    profile_names: tuple[str, ...],
    out: Path,
    force: bool,
    strict: bool,
    overrides: dict[str, Any],
) -> int:
    """Cut, fit, quantize, export, check and measure a model; write the bundle to OUT.

    SOURCE is a recipe (recipe.toml) or a model (.keras, .h5, keras:NAME) with flags. A flag is put over what
    the recipe says. Exit code 1: a limit of the recipe or of a profile is missed.
    """
    recipe, profiles = read_request(source, overrides, profile_names)
    file = Path(source) if source.endswith(".toml") else None
    return run_build(output, recipe, profiles, out, force=force, strict=strict, recipe_file=file)


def run_build(
    output: Output,
    recipe: Recipe,
    profiles: tuple[Profile, ...],
    out: Path,
    *,
    force: bool,
    strict: bool,
    recipe_file: Path | None = None,
) -> int:
    """Plans and runs a recipe, shows the report, and returns the exit code."""
    from edgecut import pipeline
    from edgecut.render.tables import report_tables

    plan = pipeline.plan(recipe, profiles, out, force, recipe_file)
    for sentence in plan.notes:
        output.note(sentence)
    report = pipeline.run(plan, out, force=force, progress=output.progress())
    output.table(*report_tables(report, verbose=output.verbose))
    output.table("", f"wrote {out}")
    output.document(report.to_dict())
    return pipeline.exit_code(report, strict)
