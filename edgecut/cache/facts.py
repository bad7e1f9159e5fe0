"""What a result depends on beside its request: the code, the libraries, the machine."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
"""The folder of edgecut itself."""

PACKAGES = (
    "tensorflow",
    "keras",
    "tf-keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "onnxruntime",
    "onnx",
    "tf2onnx",
    "tflite-micro",
    "numpy",
    "pillow",
    "h5py",
    "flatbuffers",
)
"""The distributions that the bytes or the numbers of a result come from."""

_SHOWS = ("cli/", "render/", "handoff/")
_INPUTS = ("demo_data/", "profiles/")
# What changes how TensorFlow computes.
_SWITCHES = ("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_USE_LEGACY_KERAS", "KERAS_BACKEND", "XNNPACK_FLAGS")


def versions() -> dict[str, str]:
    """{distribution: version} of those that are here."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    """The processor and system, whose instructions decide the last bits and the times."""
    switches = {name: os.environ[name] for name in _SWITCHES if name in os.environ}
    return {"platform": platform.platform(), "cpu": _processor(), "cores": os.cpu_count(), "switches": switches}


@functools.cache
def code_hash(package: Path, leave_out: tuple[str, ...] = _SHOWS) -> str:
    """A hash of the package's modules, templates, kernels and whatever else they read: another version computes anew.

    leave_out: beginnings of paths, by default of what only shows results. Profiles and the demo's files are inputs,
    which count by their own hashes. Read once in a process, whose own code doesn't change either.
    """
    digest = hashlib.sha256()
    for name in sorted(_names(package)):
        if not name.startswith((*leave_out, *_INPUTS)):
            content = (package / name).read_bytes()
            digest.update(name.encode() + b"\0" + len(content).to_bytes(8) + content)
    return digest.hexdigest()


def _names(package: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        here = Path(folder).relative_to(package)
        # What an editor leaves beside a file isn't read.
        yield from ((here / name).as_posix() for name in names if not name.startswith(".") and not name.endswith("~"))


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Hardware"))]
    return named[0] if named else platform.processor()
