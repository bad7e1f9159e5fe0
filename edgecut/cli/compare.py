"""`edgecut compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecut.cli.completion import files
from edgecut.cli.files import check_target
from edgecut.cli.flags import recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.records.recipe import make_recipe
from edgecut.whole import write_whole


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
def command(
    output: Output,
    *,
    a: Path,
    b: Path,
    data: str | None,
    limits: str,
    strict: bool,
    junit: Path | None,
    markdown: Path | None,
    html: Path | None,
    force: bool,
    overrides: dict[str, Any],
) -> int:
    """Compare two bundles, or two .tflite or .onnx files: A is what was released, B what is to be.

    Size, arena, outputs, accuracy (McNemar's paired test), latency (measured in turn, with a 95 % interval),
    operators, recipe and versions. Exit code 1: a limit of --fail-on is missed; a latency within the noise never is.
    """
    from edgecut.handoff.compare import compare
    from edgecut.handoff.limits import parse_limits
    from edgecut.render.comparison import comparison_markdown, comparison_tables
    from edgecut.render.junit import comparison_junit

    wanted = parse_limits(limits)
    for path in (junit, markdown, html):
        if path is not None:
            check_target(path, force=force)
    # --preprocess and --labels are keys of a recipe, and are checked as there.
    recipe = make_recipe({}, {"source.model": "", "data.train": data, **overrides}, where="command line")
    found = compare(
        a,
        b,
        data=recipe.data if data is not None else None,
        limits=wanted,
        preprocess=recipe.source.preprocess,
        progress=output.progress(),
    )
    if junit is not None:
        write_whole(junit, comparison_junit(found).encode())
    if markdown is not None:
        write_whole(markdown, comparison_markdown(found).encode())
    if html is not None:
        from edgecut.render.bench_page import render_comparison

        write_whole(html, render_comparison(found).encode())
    output.table(*comparison_tables(found, quiet=output.quiet))
    output.document(found.to_dict())
    states = {verdict.state for verdict in found.verdicts}
    return 1 if "misses" in states or (strict and "unknown" in states) else 0
