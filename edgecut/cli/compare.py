"""`edgecut compare`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_pages
from edgecut.cli.flags import Overrides, grouped, recipe_flags
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.records.comparison import Comparison, comparison_code
from edgecut.records.recipe import make_recipe
from edgecut.whole import write_whole


class Images(NamedTuple):
    """The labelled images, and what the flags say of them."""

    data: str | None
    overrides: Overrides


class Gate(NamedTuple):
    """--fail-on and --strict."""

    limits: str
    strict: bool


class Pages(NamedTuple):
    """The files to write, None for one that isn't."""

    junit: Path | None
    markdown: Path | None
    html: Path | None
    force: bool


@click.command(
    "compare",
    epilog="\b\nExamples:\n"
    "  edgecut compare released dist\n"
    "  edgecut compare old.tflite new.tflite --preprocess tf --data photos\n"
    "  edgecut compare released dist --data photos --junit gate.xml \\\n"
    "      --fail-on 'size>+2%,arena>+0,accuracy<-0.5pp,latency>+5%'",
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--data",
    metavar="PATH",
    shell_complete=files,
    help="Labelled images for accuracy and outputs: class folders or .npz.",
)
@click.option("--fail-on", "limits", default="", metavar="LIMITS", help="Changes of B that exit with 1.")
@click.option("--strict", is_flag=True, help="Exit 1 also for a limit that can't be judged.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write the verdicts as JUnit XML.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the comparison for a pull request.")
@click.option("--html", type=click.Path(path_type=Path), help="Write the comparison as one self-contained page.")
@click.option("--force", is_flag=True, help="Replace the files of --junit, --markdown and --html.")
@recipe_flags("--preprocess", "--labels")
@with_output
@with_csv
@grouped(images=Images, gate=Gate, pages=Pages)
def command(output: Output, *, a: Path, b: Path, images: Images, gate: Gate, pages: Pages) -> int:
    """Compare two bundles, or two .tflite or .onnx files: A is what was released, B what is to be.

    Size, arena, outputs, accuracy (McNemar's paired test), latency (measured in turn, with a 95 % interval),
    operators, recipe and versions. Exit code 1: a limit of --fail-on is missed; a latency within the noise never is.
    """
    from edgecut.handoff.compare import compare
    from edgecut.handoff.limits import parse_limits
    from edgecut.render.comparison import comparison_tables
    from edgecut.render.csv_rows import CHANGE_COLUMNS, change_rows

    limits = parse_limits(gate.limits)
    if pages.junit is not None and not limits:
        output.note("--junit: no limit is given (--fail-on), so its one test case is skipped")
    check_pages(pages[:3], force=pages.force, beside=[a, b])
    # --preprocess and --labels are keys of a recipe, and are checked as there.
    settings = {"source.model": "", "data.train": images.data, **images.overrides}
    recipe = make_recipe({}, settings, where="command line")
    comparison = compare(
        a,
        b,
        data=recipe.data if images.data is not None else None,
        limits=limits,
        preprocess=recipe.source.preprocess,
        progress=output.progress(),
    )
    _write(comparison, pages)
    output.table(*comparison_tables(comparison, quiet=output.quiet))
    output.rows(CHANGE_COLUMNS, change_rows(comparison))
    output.document(comparison.to_dict())
    return comparison_code(comparison, strict=gate.strict)


def _write(comparison: Comparison, pages: Pages) -> None:
    from edgecut.render.bench_page import render_comparison
    from edgecut.render.comparison import comparison_markdown
    from edgecut.render.junit import comparison_junit

    for path, text in zip(pages, (comparison_junit, comparison_markdown, render_comparison), strict=False):
        if isinstance(path, Path):
            write_whole(path, text(comparison).encode())
