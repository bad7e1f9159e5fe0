"""`edgecut demo`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecut.cli.build import Planned, run_build
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import BuildFlags
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import read_recipe

RECIPE = Path(__file__).parents[1] / "demo_data" / "recipe.toml"
PROFILES = ("nucleo-l4r5zi", "host")


@click.command("demo", epilog="\b\nExample:\n  edgecut demo -o demo --force")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("edgecut-demo"),
    show_default=True,
    help="The bundle's folder.",
)
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@with_output
def command(output: Output, *, out: Path, force: bool) -> int:
    """Run the whole pipeline on the embedded model and images, offline, in under a minute.

    A small CNN that knows CIFAR-10 in colour becomes a classifier of gray clothes (Fashion-MNIST) for a
    microcontroller: cut, gray stem, new head, float32 and int8, checked, measured and bundled.
    """
    planned = Planned(read_recipe(RECIPE), tuple(find_profile(name) for name in PROFILES))
    return run_build(output, planned, out, BuildFlags(force=force))
