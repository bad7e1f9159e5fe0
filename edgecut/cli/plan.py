"""`edgecut plan`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecut.cli.completion import files
from edgecut.cli.flags import grouped, recipe_flags, several_profiles
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import Request


@click.command(
    "plan",
    epilog="\b\nExamples:\n"
    "  edgecut plan recipe.toml --profile nucleo-l4r5zi\n"
    "  edgecut plan mobilenet.keras --to conv_pw_5_relu --classes 10 --data cifar10.npz --profile host",
)
@click.argument("source", shell_complete=files)
@several_profiles
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also check that a build could write here.")
@click.option("--force", is_flag=True, help="OUT may exist.")
@click.option("--root", type=click.Path(path_type=Path), help="What a recipe's file names start from: its own folder.")
@recipe_flags()
@with_output
@grouped(request=Request)
def command(output: Output, *, request: Request, out: Path | None, force: bool) -> int:
    """Show the steps that `edgecut build` would run, or every fault of the request. Takes no time.

    SOURCE is a recipe (recipe.toml) or a model with flags. Exit code 2: the request has faults.
    """
    from edgecut.pipeline.plan import plan as make_plan
    from edgecut.render.lines import notes
    from edgecut.render.tables import plan_table

    recipe, profiles = request.read()
    plan = make_plan(recipe, profiles, out, force, request.recipe_file, request.root)
    output.table(plan_table(plan.steps))
    output.remarks(*notes(plan.notes), *notes(plan.unchecked, "not checked"))
    output.document(
        {
            "schema": "edgecut.plan/1",
            "recipe": plan.recipe.to_dict(),
            "profiles": [profile.to_dict() for profile in profiles],
            "steps": [{"name": name, "what": what} for name, what in plan.steps],
            "notes": list(plan.notes),
            "unchecked": list(plan.unchecked),
        }
    )
    return 0
