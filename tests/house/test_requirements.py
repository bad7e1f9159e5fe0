"""requirements/*.txt: what an environment is made of, the same on every day and every machine."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgecut.records.packages import LIGHT
from tests.house.test_floors import imports_of, parsed
from tools.distributions import project

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = [row for rows in PROJECT["project"]["optional-dependencies"].values() for row in rows if "edgecut[" not in row]
LOCKS = {
    "run": [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]],
    "test": [
        *PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"],
        *EXTRAS,
    ],
    "light": project(LIGHT)["project"]["dependencies"],
    "uv": PROJECT["dependency-groups"]["lock"],
}  # fmt: skip


def blocks(name: str) -> dict[str, list[tuple[Requirement, str]]]:
    """{package: its pins, with the text beneath}."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    rows: dict[str, list[tuple[Requirement, str]]] = {}
    for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        pin = Requirement(block.splitlines()[0].removesuffix("\\"))
        rows.setdefault(pin.name, []).append((pin, block))
    return rows


# Modules of packages of another name, or of those whose interface they are part of; one that only other machines have.
BROUGHT = {
    "PIL": "pillow",
    "pydantic_core": "pydantic",
    "dask": "distributed",
    "ethosu": "ethos-u-vela",
    "google": "onnx",
    "ml_dtypes": "onnx",
}
ELSEWHERE = {"tflite_runtime"}


def test_every_package_that_is_imported_is_a_dependency() -> None:
    """What another package needs today is gone with its next version."""
    roots = {
        module.partition(".")[0]
        for path in (ROOT / "edgecut").rglob("*.py")
        for module, _, _ in imports_of(parsed(path))
    }
    others = roots - sys.stdlib_module_names - {"edgecut"} - ELSEWHERE
    declared = {canonicalize_name(Requirement(row).name) for row in [*PROJECT["project"]["dependencies"], *EXTRAS]}
    assert {root for root in others if canonicalize_name(BROUGHT.get(root, root)) not in declared} == set()


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_of_pyproject_is_locked_within_its_range(name: str) -> None:
    locked = blocks(name)
    for row in map(Requirement, LOCKS[name]):
        versions = [str(pin.specifier).removeprefix("==") for pin, _ in locked[canonicalize_name(row.name)]]
        assert versions
        assert all(row.specifier.contains(version, prereleases=True) for version in versions), (row.name, versions)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_one_version_with_its_hashes(name: str) -> None:
    for package, pins in blocks(name).items():
        for pin, block in pins:
            assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), package
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), package


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place_to_get_packages_from(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|^-[if]|/simple", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["run", "light"])
def test_what_runs_is_locked_to_the_versions_that_are_tested(name: str) -> None:
    tested = blocks("test")
    for package, pins in blocks(name).items():
        assert [pin.specifier for pin, _ in pins] == [pin.specifier for pin, _ in tested[package]]
