"""`build --baseline` refuses a bad gate before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import run

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data" / "recipe.toml"


def test_limits_without_a_baseline_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = run(capsys, "build", str(DEMO), "-o", str(tmp_path / "out"), "--fail-on", "size>+2%")
    assert (answer.code, answer.err) == (
        2, "edgecut: error: --fail-on: needs a bundle to compare with; pass --baseline\n",
    )  # fmt: skip


def test_a_baseline_that_is_no_bundle_is_refused_before_the_build(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = run(capsys, "build", str(DEMO), "-o", str(tmp_path / "out"), "--baseline", str(tmp_path))
    assert (answer.code, answer.err) == (2, f"edgecut: error: {tmp_path}: is no bundle: it has no manifest.json\n")
    assert not (tmp_path / "out").exists()
