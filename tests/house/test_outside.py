"""A test of somebody else's bug skips once it is corrected, and never fails for it."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.outside import skip_if_mended


def test_a_mended_bug_skips_with_the_package_its_version_and_what_may_go_one_day() -> None:
    with pytest.raises(pytest.skip.Exception) as caught:
        skip_if_mended(True, "onnx", "keep_order")
    assert str(caught.value) == (
        f"onnx {version('onnx')} has mended what keep_order is for; keep_order stays while pyproject.toml permits a "
        "version of onnx without the mend"
    )


def test_a_bug_that_is_there_goes_on() -> None:
    skipped = []
    try:
        skip_if_mended(False, "onnx", "keep_order")
    except pytest.skip.Exception as exc:
        skipped.append(str(exc))
    assert skipped == []
