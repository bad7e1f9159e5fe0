"""`edgecut build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgecut.cli.flags import recipe_flags, several_profiles
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_request
from edgecut.errors import RequestError
from edgecut.records.comparison import Comparison
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe

if TYPE_CHECKING:
    from edgecut.handoff.limits import Limit


class Gate(NamedTuple):
    """The bundle that a new one is compared with, and the changes that it must not have."""

    baseline: Path
    limits: tuple[Limit, ...]


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
@click.option("--baseline", type=click.Path(path_type=Path), help="A bundle to compare the new one with.")
@click.option("--fail-on", "limits", default="", metavar="LIMITS", help="Changes from BASELINE that exit with 1.")
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
    baseline: Path | None,
    limits: str,
    overrides: dict[str, Any],
) -> int:
    """Cut, fit, quantize, export, check and measure a model; write the bundle to OUT.

    SOURCE is a recipe (recipe.toml) or a model (.keras, .h5, keras:NAME) with flags. A flag is put over what
    the recipe says. Exit code 1: a limit of the recipe, of a profile or of --fail-on is missed.
    """
    gate = _gate(baseline, limits)
    recipe, profiles = read_request(source, overrides, profile_names)
    file = Path(source) if source.endswith(".toml") else None
    return run_build(output, recipe, profiles, out, force=force, strict=strict, recipe_file=file, gate=gate)


def run_build(
    output: Output,
    recipe: Recipe,
    profiles: tuple[Profile, ...],
    out: Path,
    *,
    force: bool,
    strict: bool,
    recipe_file: Path | None = None,
    gate: Gate | None = None,
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
    code = pipeline.exit_code(report, strict)
    if gate is None:
        output.document(report.to_dict())
        return code
    comparison = _compared(output, gate, out, recipe)
    output.document({**report.to_dict(), "comparison": comparison.to_dict()})
    states = {verdict.state for verdict in comparison.verdicts}
    return 1 if "misses" in states or (strict and "unknown" in states) else code


def _gate(baseline: Path | None, limits: str) -> Gate | None:
    """The baseline, read before anything is built: a fault of it must not cost a whole run."""
    from edgecut.handoff.limits import parse_limits
    from edgecut.handoff.sides import read_side

    if baseline is None:
        if limits:
            raise RequestError("--fail-on: needs a bundle to compare with; pass --baseline")
        return None
    read_side(baseline, "none")
    return Gate(baseline, parse_limits(limits))


def _compared(output: Output, gate: Gate, out: Path, recipe: Recipe) -> Comparison:
    from edgecut.handoff.compare import compare
    from edgecut.render.comparison import comparison_tables

    data = recipe.data if recipe.data.train else None
    comparison = compare(gate.baseline, out, data=data, limits=gate.limits, progress=output.progress())
    output.table("", *comparison_tables(comparison))
    return comparison
