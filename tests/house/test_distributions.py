"""edgecut-lite and edgecut are of one checkout, share no file but the program, and need what they are said to."""

from __future__ import annotations

import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edgecut.records.packages import LIGHT, PACKAGES, WHOLE
from edgecut.version import __version__
from tests.quick import HEAVY
from tools.distributions import ROOT, Table, build, project


def names(rows: list[str]) -> set[str]:
    return {Requirement(row).name for row in rows}


def made(name: str) -> Table:
    table = project(name)["project"]
    assert isinstance(table, dict)
    return table


def test_together_they_need_what_a_checkout_needs() -> None:
    checkout = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    light, rest = made(LIGHT)["dependencies"], made(WHOLE)["dependencies"]
    assert rest[0] == f"edgecut-lite=={__version__}"
    assert {*light, *rest[1:]} == {*checkout}
    assert not {*light} & {*rest}


def test_the_light_one_needs_nothing_heavy() -> None:
    assert not names(made(LIGHT)["dependencies"]) & {package.name for package in PACKAGES if package.light}
    assert not names(made(LIGHT)["dependencies"]) & {name.replace("_", "-") for name in HEAVY}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_what_a_message_says_to_install_brings_the_package(package: object) -> None:
    row = next(each for each in PACKAGES if each == package)
    for distribution, words in ((LIGHT, row.light), (WHOLE, row.whole)):
        wanted = Requirement(words or distribution)
        table = made(wanted.name)
        brought = [
            *table["dependencies"],
            *(r for extra in wanted.extras for r in table["optional-dependencies"][extra]),
        ]
        both = brought + (made(LIGHT)["dependencies"] if wanted.name == WHOLE else [])
        assert row.name in names(both), words


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """{distribution: the names of the files in its wheel}."""
    out = tmp_path_factory.mktemp("dist")
    built = {name: build(name, out, wheel_alone=True) for name in (LIGHT, WHOLE)}
    return {name: set(zipfile.ZipFile(path).namelist()) for name, [path] in built.items()}


def test_the_light_wheel_holds_all_code_and_the_other_no_file(wheels: dict[str, set[str]]) -> None:
    said = subprocess.run(
        ["git", "ls-files", "edgecut", "profiles"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if said.returncode:
        pytest.skip("this is no checkout")
    tracked = {name for name in said.stdout.splitlines() if Path(ROOT / name).exists()}
    expected = {f"edgecut/{name}" if name.startswith("profiles/") else name for name in tracked}
    assert {name for name in wheels[LIGHT] if ".dist-info/" not in name} >= expected
    assert {name.partition("/")[0] for name in wheels[LIGHT]} == {"edgecut", f"edgecut_lite-{__version__}.dist-info"}
    assert {name.partition("/")[0] for name in wheels[WHOLE]} == {f"edgecut-{__version__}.dist-info"}
