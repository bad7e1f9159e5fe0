"""The demo's bundle with one thing changed: `edgecut verify` says no and names it, whatever it is."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecut.records.report import Report
from tests.command_line import run

pytestmark = pytest.mark.tensorflow

Said = Callable[[], tuple[int, list[str]]]


@pytest.fixture(scope="module")
def bundle(demo: tuple[Path, Report], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, in which each test puts back what it changed."""
    return Path(shutil.copytree(demo[0], tmp_path_factory.mktemp("tampered") / "dist"))


@pytest.fixture
def said(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """What verify says of the copy: the exit code, and the name that each fault begins with."""

    def verify() -> tuple[int, list[str]]:
        answer = run(capsys, "verify", str(bundle), "--json")
        return answer.code, [fault.partition(": ")[0] for fault in json.loads(answer.out)["faults"]]

    return verify


def names(bundle: Path) -> list[str]:
    return sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())


def test_one_flipped_bit_in_any_file_is_named(bundle: Path, said: Said) -> None:
    chosen = random.Random(0)
    for name in names(bundle):
        whole = (bundle / name).read_bytes()
        content = bytearray(whole)
        content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
        (bundle / name).write_bytes(content)
        code, named = said()
        assert (code, named[0]) == (1, "manifest.json" if name == "manifest.sha256" else name)
        (bundle / name).write_bytes(whole)
    assert said() == (0, [])


NAMED = ("models/clothes.int8.tflite", "c/clothes_model.c", "vectors/input_0.bin", "sbom.cdx.json", "labels.txt")


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_is_removed_renamed_or_made_a_link_is_named(name: str, bundle: Path, said: Said) -> None:
    path, aside = bundle / name, bundle.parent / "aside"
    path.rename(aside)
    assert said() == (1, [name])
    path.symlink_to(aside)
    assert said() == (1, [name])
    path.unlink()
    aside.rename(bundle / "other.bin")
    assert said() == (1, [name, "other.bin"])
    (bundle / "other.bin").rename(path)


def test_whatever_is_added_is_named(bundle: Path, said: Said) -> None:
    added = bundle / "c" / "new" / "deep"
    added.mkdir(parents=True)
    assert said() == (1, ["c/new/deep"])
    (added / "x.txt").touch()
    assert said() == (1, ["c/new/deep/x.txt"])
    shutil.rmtree(bundle / "c" / "new")
    os.mkfifo(bundle / "models" / "pipe")
    assert said() == (1, ["models/pipe"])
    (bundle / "models" / "pipe").unlink()
    (bundle / "up").symlink_to("..")
    assert said() == (1, ["up"])
    (bundle / "up").unlink()


def test_a_folder_that_is_made_a_link_is_named(bundle: Path, said: Said) -> None:
    aside = bundle.parent / "aside"
    (bundle / "vectors").rename(aside)
    (bundle / "vectors").symlink_to(aside)
    assert said() == (1, ["vectors"])
    (bundle / "vectors").unlink()
    aside.rename(bundle / "vectors")
