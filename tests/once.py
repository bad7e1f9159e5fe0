"""What is made once in a run of the tests, by whichever of its processes needs it first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:  # Windows, where each process makes its own
    fcntl = None  # type: ignore[assignment]


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this process's own with what `make` has put into a folder, in this process or in another."""
    if fcntl is None or "PYTEST_XDIST_WORKER" not in os.environ:
        folder = tmp_path_factory.mktemp(name)
        make(folder)
        return folder
    run = tmp_path_factory.getbasetemp().parent  # each process has a folder in that of the run
    with (run / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (run / f"{name}.made").exists():
            shutil.rmtree(run / name, ignore_errors=True)  # where another was ended while it made it
            (run / name).mkdir()
            make(run / name)
            (run / f"{name}.made").touch()
    return Path(shutil.copytree(run / name, tmp_path_factory.mktemp(name) / name))
