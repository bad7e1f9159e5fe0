"""The worker as one file that a Python of another machine runs: an archive of the modules that it is made of."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

NAME = "worker.pyz"
MODULES = ("litert_profile", "machine_state", "runtimes", "timed", "worker")
_MAIN = "from edgecut.bench import worker\n\nworker.serve(worker.JOBS)\n"
_DATE = (1980, 1, 1, 0, 0, 0)


def archive() -> bytes:
    """The worker with what it imports, to be run as `python -P worker.pyz`; the same bytes for the same sources."""
    folder = Path(__file__).parents[1]
    sources = {f"edgecut/bench/{name}.py": (folder / f"{name}.py").read_text() for name in MODULES}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in {"__main__.py": _MAIN, "edgecut/__init__.py": "", "edgecut/bench/__init__.py": ""}.items():
            file.writestr(zipfile.ZipInfo(name, _DATE), text)
        for name, text in sources.items():
            file.writestr(zipfile.ZipInfo(name, _DATE), text)
    return content.getvalue()
