"""Tests of bugs of other projects, which may be mended any day."""

from __future__ import annotations

from importlib.metadata import version

import pytest


def skip_if_mended(is_mended: bool, package: str, workaround: str) -> None:
    """Skip the test where the installed version of a package no longer has the bug that a workaround is for."""
    if is_mended:
        pytest.skip(
            f"{package} {version(package)} has mended what {workaround} is for; {workaround} stays while "
            f"pyproject.toml permits a version of {package} without the mend"
        )
