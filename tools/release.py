"""A release built, checked and tried: both distributions, their metadata, their notes, and installs of them."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.records.packages import LIGHT, WHOLE
from tools.distributions import ROOT, build

PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
TOOLS = ("twine>=6", "uv>=0.9", "pipx>=1.7")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds dist/ and prints a line for each check; 1 if any fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", help="the tag that is released, which must be the version")
    parser.add_argument("--quick", action="store_true", help="build and check; install nothing")
    options = parser.parse_args(arguments)
    version = version_of(ROOT)
    faults = [*version_faults(ROOT, version, options.tag)]
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    files = [path for name in (LIGHT, WHOLE) for path in build(name, dist)]
    with tempfile.TemporaryDirectory() as scratch:
        tools = Path(scratch) / "tools"
        _run([sys.executable, "-m", "venv", str(tools)])
        _run([str(tools / "bin/pip"), "install", "-q", "--disable-pip-version-check", *TOOLS])
        said = _run([str(tools / "bin/twine"), "check", "--strict", *map(str, files)], check=False)
        print(said.stdout.strip())
        faults += [] if said.returncode == 0 else ["twine check"]
        if not options.quick:
            faults += _installs(dist, tools / "bin", Path(scratch))
    (dist / "notes.md").write_text(notes(ROOT, version), "utf-8")
    for fault in faults:
        print(f"tools/release: {fault}", file=sys.stderr)
    return 1 if faults else 0


def version_of(root: Path) -> str:
    """The version, which edgecut/version.py alone says."""
    found = re.search(r'^__version__ = "([^"]+)"$', (root / "edgecut/version.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError("edgecut/version.py: has no __version__")
    return found[1]


def version_faults(root: Path, version: str, tag: str | None) -> Iterator[str]:
    """What says another version, or nothing of this one."""
    if tag is not None and tag != f"v{version}":
        yield f"the tag is {tag!r}, and the version {version}"
    cited = re.search(r"^version: (.*)$", (root / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    if cited is None or cited[1] != version:
        yield f"CITATION.cff: says version {cited and cited[1]}, expected {version}"
    heading = _heading(root, version)
    if heading is None:
        yield f"CHANGELOG.md: has no section for {version}"
    elif tag is not None and "unreleased" in heading:
        yield f"CHANGELOG.md: the section of {version} says {heading!r}; it needs a date"


def notes(root: Path, version: str) -> str:
    """The changelog's section of a version, without its heading; "" where there is none."""
    text = (root / "CHANGELOG.md").read_text("utf-8")
    found = re.search(rf"^## {re.escape(version)}.*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return "" if found is None else found[1].strip() + "\n"


def _heading(root: Path, version: str) -> str | None:
    text = (root / "CHANGELOG.md").read_text("utf-8")
    found = re.search(rf"^## {re.escape(version)}(.*)$", text, re.MULTILINE)
    return None if found is None else found[1].strip()


def _installs(dist: Path, tools: Path, scratch: Path) -> Iterator[str]:
    """Each distribution installed and asked for its version in a fresh environment; what failed."""
    for name in PYTHONS:
        python = shutil.which(name)
        if python is None or _run([python, "--version"], check=False).returncode:
            print(f"{name}: isn't here")
            continue
        ways = ("uv", "pip", "pipx") if name == PYTHONS[0] else ("uv",)
        for distribution, way in ((each, way) for each in (LIGHT, WHOLE) for way in ways):
            place = scratch / "place"
            said = _install(way, python, _requirement(dist, distribution, way), tools, place)
            print(f"{name}, {way}, {distribution}: {said.splitlines()[-1] if said else 'nothing'}")
            if not said.startswith("edgecut, version"):
                yield f"{name}, {way}, {distribution}: {said}"
            shutil.rmtree(place, ignore_errors=True)


def _requirement(dist: Path, distribution: str, way: str) -> str:
    """The file that is installed: by pip the sdist, by the others the wheel."""
    [path] = dist.glob(f"{distribution.replace('-', '_')}-[0-9]*{'.tar.gz' if way == 'pip' else '.whl'}")
    return str(path)


def _install(way: str, python: str, file: str, tools: Path, place: Path) -> str:
    """What `edgecut --version` prints after the install, else why there is none.

    What a distribution needs of the other is beside it.
    """
    beside = ["--find-links", str(Path(file).parent)]
    environment = {}
    if way == "pipx":
        environment = {"PIPX_HOME": str(place), "PIPX_BIN_DIR": str(place / "bin"), "PATH": "/usr/bin:/bin"}
        pip = f"--pip-args={' '.join(beside)}"
        commands = [[str(tools / "pipx"), "install", "-q", "--python", python, pip, file]]
    elif way == "uv":
        uv = str(tools / "uv")
        commands = [
            [uv, "venv", "-q", "--python", python, str(place)],
            [uv, "pip", "install", "-q", "-p", str(place / "bin/python"), *beside, file],
        ]
    else:
        commands = [[python, "-m", "venv", str(place)], [str(place / "bin/pip"), "install", "-q", *beside, file]]
    for command in commands:
        child = _run(command, check=False, **environment)
        if child.returncode:
            return (child.stderr.strip().splitlines() or ["failed"])[-1]
    return _run([str(place / "bin/edgecut"), "--version"], check=False).stdout.strip()


def _run(command: Sequence[str], *, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=check
    )


if __name__ == "__main__":
    sys.exit(main())
