"""The API reference has every public name, with its docstring."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

import edgecut

pytestmark = pytest.mark.tensorflow

SCRIPT = Path(__file__).parents[2] / "tools" / "api_reference.py"


def test_the_reference_shows_every_public_name_and_what_its_docstring_says(tmp_path: Path) -> None:
    # A process of its own: pdoc wants the names as attributes of the package.
    subprocess.run([sys.executable, str(SCRIPT), "-o", str(tmp_path)], check=True, capture_output=True)
    page = (tmp_path / "edgecut.html").read_text(encoding="utf-8")
    text = " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())
    for name in set(edgecut.__all__) - {"__version__"}:
        assert f'<section id="{name}"' in page
        value = getattr(edgecut, name)
        first = inspect.getdoc(getattr(value, "function", value)).partition("\n")[0]
        assert " ".join(first.replace("`", "").split()) in text, name
    assert (tmp_path / "edgecut" / "records" / "recipe.html").is_file()
