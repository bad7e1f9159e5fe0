"""A child process that dies of a package that isn't here says what brings it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecut.errors import MissingRuntimeError
from edgecut.records import packages
from edgecut.sandbox.child import Child, run_job

HIDING = """
import importlib.machinery
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name in ("h5py", "onnx") else find(name, *rest)
)
"""


@pytest.fixture(autouse=True)
def _hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    return


def test_a_job_of_its_own() -> None:
    with pytest.raises(MissingRuntimeError) as error:
        run_job("edgecut.sandbox.hdf5_worker", {}, 60)
    assert str(error.value) == "h5py isn't here, and this needs it; reinstall edgecut with pip"


def test_one_that_keeps_files_open() -> None:
    child = Child()
    with pytest.raises(MissingRuntimeError) as error:
        child.ask({"do": "onnx", "address_bytes": 1 << 33}, [np.zeros(1, np.uint8)])
    assert str(error.value) == "onnx isn't here, and this needs it; reinstall edgecut with pip"
    assert child.ended
