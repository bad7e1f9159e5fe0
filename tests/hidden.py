"""Commands run where Python doesn't find some packages, as on a system that has no wheel of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence, Set
from pathlib import Path

from tests.command_line import Answer

HIDING = """
import importlib.machinery, importlib.metadata
find, version = importlib.machinery.PathFinder.find_spec, importlib.metadata.version

def find_spec(cls, name, *rest):
    return None if name.partition(".")[0] in {modules!r} else find(name, *rest)

def version_of(name):
    if name in {distributions!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.machinery.PathFinder.find_spec = classmethod(find_spec)
importlib.metadata.version = version_of
"""
# One process does all: most of each command's time is the import of what they share.
DRIVER = """
import json, os, sys, traceback
from edgecut.cli.main import main

stdout, answers = os.dup(1), []
for number, words in enumerate(json.loads(sys.argv[1])):
    files = [os.open(f"site/{number}.{name}", os.O_RDWR | os.O_CREAT) for name in ("out", "err")]
    for stream, file in enumerate(files, 1):
        os.dup2(file, stream)
    code = None
    try:
        main(words)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    answers.append([code, *(os.pread(file, 1 << 24, 0).decode() for file in files)])
os.dup2(stdout, 1)
print(json.dumps(answers))
"""


def answers(
    folder: Path, commands: Sequence[Sequence[str]], modules: Set[str], distributions: Set[str] = frozenset()
) -> list[Answer]:
    """What each command answers in `folder` where the modules can't be found, nor the distributions' metadata.

    One that ended with an exception has no code, and its traceback in err.
    """
    return [Answer(*row) for row in json.loads(said_by(folder, DRIVER, modules, distributions, json.dumps(commands)))]


def said_by(folder: Path, program: str, modules: Set[str], distributions: Set[str], *words: str) -> str:
    """What a Python program prints in `folder` where the modules can't be found, nor the distributions' metadata."""
    (folder / "site").mkdir()
    text = HIDING.format(modules=modules, distributions=distributions)
    (folder / "site" / "sitecustomize.py").write_text(text)
    cache = {"XDG_CACHE_HOME": str(folder), "EDGECUT_CACHE": str(folder / "cache")}
    child = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, **cache, "PYTHONPATH": str(folder / "site"), "COLUMNS": "120"},
        cwd=folder, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    return child.stdout
