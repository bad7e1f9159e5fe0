"""A share of the crafted files of tools/attack: no code of theirs runs, nothing is written outside of OUT."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "attack.py"


def attacked(keep: Path, *words: str) -> str:
    """What the tool prints."""
    done = subprocess.run(
        [sys.executable, TOOL, "--keep", keep, *words], capture_output=True, text=True, check=False, cwd=keep
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_crafted_files_that_need_no_tensorflow_do_no_harm(tmp_path: Path) -> None:
    said = attacked(tmp_path, "--light", "--every", "12")
    assert said.splitlines()[-1].endswith(" files, 0 failed")
    kinds = {line.split()[0] for line in said.splitlines()[1:-1]}
    assert kinds == {"onnx", "tflite", "npz", "labels", "recipe", "profile", "bundle", "picture", "shard"}
