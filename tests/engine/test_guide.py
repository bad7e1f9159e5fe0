"""The C that the guide shows is right C for a generated header."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgecut.engine import generate
from edgecut.engine.operators import INT16X8, OPERATORS
from edgecut.tflite.kinds import RENAMES
from tests.documents import ROOT, blocks

GUIDE = ROOT / "docs" / "guides" / "plain-c.md"
INT8 = ROOT / "tests" / "fixtures" / "tiny.int8.tflite"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is here")
def test_the_guide_s_c_compiles_without_a_warning(tmp_path: Path) -> None:
    for name in ("clothes", "shoes"):
        for file, text in generate(INT8, name).files.items():
            (tmp_path / file).write_text(text)
    shown = blocks(GUIDE.read_text(encoding="utf-8"), "c")
    assert len(shown) == 4
    names = [f"block_{k}.c" for k in range(len(shown))]
    for name, text in zip(names, shown, strict=True):
        (tmp_path / name).write_text(text)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror", "-c"]
    done = subprocess.run(["cc", *flags, *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_guide_lists_every_operator_that_has_a_kernel() -> None:
    section = GUIDE.read_text(encoding="utf-8").split("## Which operators\n")[1].split("\n## ")[0]
    lists = [re.findall(r"`(\w+)`", paragraph) for paragraph in section.strip().split("\n\n")][:3]
    assert lists == [sorted(OPERATORS), sorted(INT16X8), sorted(RENAMES)]
