"""What tests play on a machine leaves nothing behind that other tests would meet."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.machine import full_disk


def test_a_module_imported_on_a_full_disk_can_be_imported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long_module.py").write_text(f"words = {'word ' * 1000!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    with full_disk(100):
        importlib.import_module("long_module")
    assert not list(tmp_path.rglob("*.pyc"))
    assert sys.dont_write_bytecode is False
