"""What all the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real models and images: EDGECUT_REAL, else real/ in the checkout; skipped without."""
    named = os.environ.get("EDGECUT_REAL")
    folder = Path(named) if named else Path(__file__).parents[1] / "real"
    if not folder.is_dir():
        pytest.skip(f"the real models and images are not here: {folder} (set EDGECUT_REAL)")
    return folder
