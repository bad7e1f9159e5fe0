"""The two distributions that are published, edgecut-lite and edgecut, as source trees of their own and built.

edgecut-lite has the package and what `[tool.edgecut-lite]` of pyproject.toml names; edgecut has no file of its own and
needs edgecut-lite of its version and the rest. Whoever has both has each file once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from edgecut.records.packages import LIGHT, WHOLE
from edgecut.records.toml_text import toml_text
from edgecut.version import __version__

ROOT = Path(__file__).parents[1]
Table = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds sdist and wheel of each distribution that is named, by default of both, and prints their names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{LIGHT}, {WHOLE}; by default both")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--wheel", action="store_true", help="wheels alone")
    parser.add_argument("--project", action="store_true", help="print the pyproject.toml of NAME; build nothing")
    options = parser.parse_args(arguments)
    for name in options.names or (LIGHT, WHOLE):
        if options.project:
            sys.stdout.write(toml_text(project(name)))
            continue
        for path in build(name, options.out, wheel_alone=options.wheel):
            sys.stdout.write(f"{path}\n")
    return 0


def project(name: str) -> Table:
    """The pyproject.toml of a distribution, made of that of the checkout."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    light = tables["tool"]["edgecut-lite"]
    ranges = {Requirement(row).name: row for row in tables["project"]["dependencies"]}
    extras = tables["project"]["optional-dependencies"]
    shared = {extra: extras[extra] for extra in light["shared-extras"]}
    if name == LIGHT:
        made = {
            "name": LIGHT,
            "description": light["description"],
            "requires-python": light["requires-python"],
            "dependencies": [ranges[package] for package in light["dependencies"]],
            "optional-dependencies": {
                extra: [ranges[package] for package in packages] for extra, packages in light["extras"].items()
            }
            | shared,
        }
    else:
        rest = [row for package, row in ranges.items() if package not in light["dependencies"]]
        made = {
            "dependencies": [f"{LIGHT}=={__version__}", *rest],
            "optional-dependencies": {"dask": extras["dask"], **shared},
        }
        empty = {"wheel": {"bypass-selection": True}, "sdist": {"include": ["README.md", "LICENSE"]}}
        tables["tool"] = {"hatch": {"build": {"targets": empty}}}
    return {**tables, "project": {**tables["project"], "dynamic": None, "version": __version__, **made}}


def build(name: str, out: Path, *, wheel_alone: bool = False) -> list[Path]:
    """The files of a distribution, made in a folder: its wheel, and its sdist unless the wheel alone is built."""
    tables = project(name)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        (tree / "pyproject.toml").write_text(toml_text(tables), encoding="utf-8")
        for pattern in (".gitignore", *tables["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]):
            for path in ROOT.glob(pattern):
                (tree / path.name).symlink_to(path)
        targets = ["-t", "wheel"] if wheel_alone else []
        command = [sys.executable, "-m", "hatchling", "build", *targets, "-d", str(out.absolute())]
        child = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if child.returncode:
        raise SystemExit(f"tools/distributions: {name}: {child.stderr.strip()}")
    return sorted(out.glob(f"{name.replace('-', '_')}-{__version__}[-.]*"))


if __name__ == "__main__":
    sys.exit(main())
