"""`edgecut build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgecut.cli.completion import files
from edgecut.cli.crew import crew_flags
from edgecut.cli.files import check_pages
from edgecut.cli.flags import Parsed, grouped, recipe_flags, several_profiles
from edgecut.cli.matrix import RowFlags, parse_axis, run_matrix
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.cli.prompt import with_prompted_labels
from edgecut.cli.request import BuildFlags, Request
from edgecut.cli.sign import KEY_HELP
from edgecut.errors import RequestError
from edgecut.graph.threads import release_threads
from edgecut.records.comparison import Comparison, comparison_code
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report
from edgecut.whole import write_whole

if TYPE_CHECKING:
    from edgecut.handoff.limits import Limit


class Gate(NamedTuple):
    """The bundle that a new one is compared with, and the changes that it must not have."""

    baseline: Path
    limits: tuple[Limit, ...]


class GateFlags(NamedTuple):
    """--baseline and --fail-on, not read yet."""

    baseline: Path | None
    limits: str


class Pages(NamedTuple):
    """--junit and --markdown: files to write beside the bundle, None for one that isn't."""

    junit: Path | None = None
    markdown: Path | None = None


NO_PAGES = Pages()


class Planned(NamedTuple):
    """A request that was read. recipe_file, root: where the recipe is, and what its file names start from."""

    recipe: Recipe
    profiles: tuple[Profile, ...]
    recipe_file: Path | None = None
    root: Path | None = None


@click.command(
    "build",
    epilog="\b\nExamples:\n"
    "  edgecut build recipe.toml --profile nucleo-l4r5zi -o dist\n"
    "  edgecut build mobilenet.keras --preprocess tf --to conv_pw_5_relu --gray --size 96x96 \\\n"
    "      --classes 10 --data cifar10.npz --precision int8 --profile host -o dist\n"
    "  edgecut build recipe.toml --matrix to=block_2_relu,block_3_relu --matrix precision=int8,float32 -o rows",
)
@click.argument("source", shell_complete=files)
@several_profiles
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The bundle's folder.")
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@click.option("--strict", is_flag=True, help="Exit 1 also for a limit that can't be judged.")
@click.option("--no-cache", is_flag=True, help="Run every step, and keep nothing for later builds.")
@click.option("--locked", is_flag=True, help="Refuse inputs and versions that aren't those of the recipe's lock.")
@click.option("--sign", metavar="KEY", help=f"Sign the bundle. {KEY_HELP}")
@click.option("--root", type=click.Path(path_type=Path), help="What a recipe's file names start from: its own folder.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write each limit as a test case, in JUnit XML.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the result for a pull request.")
@click.option("--baseline", type=click.Path(path_type=Path), help="A bundle to compare the new one with.")
@click.option("--fail-on", "limits", default="", metavar="LIMITS", help="Changes from BASELINE that exit with 1.")
@click.option(
    "--matrix",
    "axes",
    multiple=True,
    type=Parsed(parse_axis, "KEY=A,B"),
    metavar="KEY=A,B",
    help="Build each of these values of a flag or recipe key, or of profile; may be repeated.",
)
@recipe_flags()
@with_output
@with_csv
@crew_flags("Spread the rows of --matrix")
@grouped(request=Request, how=BuildFlags, gate=GateFlags, rows=RowFlags, pages=Pages)
def command(
    output: Output, *, request: Request, out: Path, how: BuildFlags, gate: GateFlags, rows: RowFlags, pages: Pages
) -> int:
    """Cut, fit, quantize, export, check and measure a model; write the bundle to OUT.

    SOURCE is a recipe (recipe.toml) or a model (.keras, .h5, keras:NAME) with flags. A flag is put over what
    the recipe says. Exit code 1: a limit of the recipe, of a profile or of --fail-on is missed. With --matrix every
    combination is a row with a bundle of its own; a row that fails loses no other, and the exit code is then 3.
    """
    if rows.axes:
        if gate.baseline is not None or gate.limits or how.locked or how.sign is not None or any(pages):
            raise RequestError(
                "--matrix: has rows to compare among themselves; leave --baseline, --fail-on, --locked, --sign, "
                "--junit, --markdown out"
            )
        return run_matrix(output, request, rows, out, how)
    if rows.spread.is_asked:
        raise RequestError("--workers, --dask: are for the rows of --matrix; `edgecut search` has them too")
    compared = _gate(gate.baseline, gate.limits)
    recipe, profiles = request.read()
    read = (Path(request.source), gate.baseline)
    check_pages(pages, force=True, beside=[out, *filter(None, read)])
    planned = Planned(with_prompted_labels(output, recipe), profiles, request.recipe_file, request.root)
    return run_build(output, planned, out, how, gate=compared, pages=pages)


def run_build(
    output: Output, planned: Planned, out: Path, how: BuildFlags, *, gate: Gate | None = None, pages: Pages = NO_PAGES
) -> int:
    """Plans and runs a recipe, shows the report, writes its pages, and returns the exit code."""
    from edgecut.pipeline.plan import plan as make_plan
    from edgecut.pipeline.run import exit_code, run
    from edgecut.render.csv_rows import MEASUREMENT_COLUMNS, measurement_rows
    from edgecut.render.tables import report_tables

    recipe = planned.recipe
    if not recipe.trains:
        release_threads()
    plan = make_plan(recipe, planned.profiles, out, how.force, planned.recipe_file, planned.root)
    for sentence in plan.notes:
        output.note(sentence)
    progress, cache = output.progress(), not how.no_cache
    report = run(plan, out, force=how.force, cache=cache, locked=how.locked, sign=how.sign, progress=progress)
    output.table(*report_tables(report, verbose=output.verbose, quiet=output.quiet))
    kept = all(step.cached for step in report.steps)
    output.remarks(
        "", f"wrote {out}{'; nothing has changed, so no step was run (--no-cache runs them)' if kept else ''}"
    )
    _write(report, pages)
    output.rows(MEASUREMENT_COLUMNS, measurement_rows(report.measurements))
    code = exit_code(report, how.strict)
    if gate is None:
        output.document(report.to_dict())
        return code
    comparison = _compared(output, gate, out, recipe)
    output.document({**report.to_dict(), "comparison": comparison.to_dict()})
    return comparison_code(comparison, strict=how.strict) or code


def _write(report: Report, pages: Pages) -> None:
    from edgecut.render.build_summary import build_markdown
    from edgecut.render.junit import build_junit

    for path, text in zip(pages, (build_junit, build_markdown), strict=True):
        if path is not None:
            write_whole(path, text(report).encode())


def _gate(baseline: Path | None, limits: str) -> Gate | None:
    """The baseline, read before anything is built: a fault of it must not cost a whole run."""
    from edgecut.handoff.builds import read_side
    from edgecut.handoff.limits import parse_limits

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
    output.table("", *comparison_tables(comparison, quiet=output.quiet))
    return comparison
