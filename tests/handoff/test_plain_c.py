"""A bundle for a microcontroller carries the model as plain C, which runs the golden vectors."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecut.bench.judge import judge
from edgecut.engine import plan
from edgecut.handoff import native
from edgecut.handoff.bundle import device_artifact, write_bundle
from edgecut.handoff.plain_c import EQUAL_TO
from edgecut.handoff.seal import Release
from edgecut.handoff.verify import verify
from edgecut.records.profile_files import find_profile
from edgecut.records.report import overall
from tests.command_line import run
from tests.handoff.test_bundle import artifacts_in, bundle, recipe_of, report_of, vectors_of
from tests.handoff.test_verify import adopt

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is here")
BOARD = "nano33ble"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "dist"
    artifacts = artifacts_in(folder, ("float32.tflite", "int8.tflite"))
    chosen, profile = device_artifact(artifacts), find_profile(BOARD)
    assert chosen is not None
    checks = judge(recipe_of(), [profile], artifacts, ())
    told = {"profiles": (profile.to_dict(),), "checks": checks, "status": overall(checks)}
    report = report_of(artifacts).model_copy(update=told)
    release = Release(report, folder.parent)
    write_bundle(folder, release, vectors=vectors_of(folder / chosen.path), labels=())
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "dist"))


def test_the_manifest_says_whose_outputs_it_gives(whole: Path) -> None:
    assert json.loads((whole / "manifest.json").read_text())["plain_c"] == {
        "files": ["c/bell_run.c", "c/bell_run.h"],
        "equal_to": EQUAL_TO,
    }


def test_the_readme_has_the_numbers_of_this_model(whole: Path) -> None:
    text = (whole / "README.md").read_text()
    assert (
        f"static int8_t work[BELL_ARENA_BYTES]; /* {plan(whole / 'models' / 'bell.int8.tflite').arena_bytes} " in text
    )
    assert EQUAL_TO in text


@needs_compiler
def test_make_test_runs_the_vectors_in_c(folder: Path) -> None:
    done = subprocess.run(["make", "-s", "-C", folder / "c", "test"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("golden vectors are whole, and the runtime gives what they expect\n")


@needs_compiler
def test_verify_runs_the_vectors_in_c_where_it_is_asked(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = verify(whole, run_c=True)
    assert (checked.faults, checked.plain_c) == ((), True)
    answer = run(capsys, "verify", str(whole), "--run-c")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0].endswith("are as the manifest says, and the plain C gives what they expect")


@needs_compiler
def test_an_output_that_the_c_gives_otherwise_is_named(whole: Path) -> None:
    texts = {path.name: path.read_text() for path in (whole / "c").iterdir()}
    texts["bell_run.c"] = texts["bell_run.c"].replace(
        "    memcpy(out + 0,", "    memset(out, 99, 4);\n    if (0) memcpy(out,"
    )
    fault, *_ = native._compiled("cc", whole, "bell", texts)
    assert fault.startswith("c/bell_test.c: vector 0: output 0, value 0: off by ")


def test_c_of_another_hand_is_named_and_never_run(folder: Path) -> None:
    (folder / "c" / "bell_run.c").write_text("int main(void) { return 0; }\n")
    adopt(folder, "c/bell_run.c")
    assert verify(folder, run_c=True).faults == (
        "c/bell_run.c: isn't what edgecut writes for this bundle's model, recipe and vectors",
    )


@needs_compiler
def test_a_bundle_without_it_fails_where_it_is_to_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bundle(tmp_path / "dist")
    checked = verify(folder, run_c=True)
    assert (checked.faults, checked.notes) == ((), ("c: holds no plain C that could be run",))
    answer = run(capsys, "verify", str(folder), "--run-c")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        f"edgecut: error: {folder}: the golden vectors were not run in plain C\n"
        "edgecut: error: c: holds no plain C that could be run\n"
    )
