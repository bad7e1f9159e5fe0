"""The packages that edgecut uses, what each is for, and what brings one that isn't here."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from edgecut.errors import MissingRuntimeError

WHOLE, LIGHT = "edgecut", "edgecut-lite"
"""The two distributions: the light one has all code, the other brings the packages that only some commands need."""
_ABSENT = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")


class Package(NamedTuple):
    """A package that edgecut uses. name: as pip knows it. module: as Python does.

    light, whole: what is installed to have it beside edgecut-lite, and beside edgecut; "" where it came along.
    everywhere: whether each system that edgecut runs on has a wheel of it.
    """

    name: str
    module: str
    use: str
    light: str = WHOLE
    whole: str = ""
    everywhere: bool = True


TFLM = Package(
    "tflite-micro",
    "tflite_micro",
    "measures an arena (Linux x86-64 only)",
    light="edgecut-lite[tflm]",
    everywhere=False,
)
DASK = Package("distributed", "distributed", "spreads builds and searches", "edgecut[dask]", "edgecut[dask]")
PACKAGES: tuple[Package, ...] = (
    Package("tensorflow", "tensorflow", "runs Keras models, converts to TFLite"),
    Package("keras", "keras", "loads, cuts and rebuilds models"),
    Package("tf-keras", "tf_keras", "reads Keras 2 models"),
    Package("tensorflow-model-optimization", "tensorflow_model_optimization", "prunes and clusters"),
    Package("ai-edge-litert", "ai_edge_litert", "reads and runs .tflite files", light=""),
    Package("onnx", "onnx", "reads and checks .onnx files", light="edgecut-lite[onnx]"),
    Package("tf2onnx", "tf2onnx", "converts TFLite to ONNX"),
    Package("onnxruntime", "onnxruntime", "runs .onnx files", light="edgecut-lite[onnx]"),
    Package("h5py", "h5py", "looks into .h5 models"),
    Package("threadpoolctl", "threadpoolctl", "gives a search's sums one thread"),
    Package("scipy", "scipy", "fits a machine's prices to its times", light="edgecut-lite[fit]"),
    Package("numpy", "numpy", "arrays", light=""),
    Package("pillow", "PIL", "decodes and resizes images", light=""),
    TFLM,
    Package("ethos-u-vela", "ethosu", "simulates an Ethos-U", "edgecut-lite[ethos-u]", "edgecut[ethos-u]"),
    DASK,
    Package("pyarrow", "pyarrow", "reads Parquet and Arrow files", "edgecut-lite[parquet]", "edgecut[parquet]"),
    Package("sigstore", "sigstore", "signs bundles by an identity", "edgecut-lite[sigstore]", "edgecut[sigstore]"),
)
_TENSORFLOW = frozenset({"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "tf2onnx"})


def installed_version(package: Package) -> str | None:
    """The version that is here, None if the package isn't. Nothing is imported."""
    if find_spec(package.module) is None:
        return None
    try:
        return version(package.name)
    except PackageNotFoundError:
        return "of unknown version"


def own_name() -> str:
    """The distribution that is here: edgecut-lite where it is without edgecut."""
    try:
        version(WHOLE)
    except PackageNotFoundError:
        return LIGHT
    return WHOLE


def requirement(package: Package) -> str:
    """What is installed to have the package; "" where it came along."""
    return package.light if own_name() == LIGHT else package.whole


def is_required(package: Package) -> bool:
    """Whether it came along with the distribution that is here, on any system."""
    return package.everywhere and requirement(package) == ""


def missing(module: str | None) -> MissingRuntimeError | None:
    """The error that says what brings a module that Python doesn't find; None for one that edgecut doesn't use."""
    root = (module or "").partition(".")[0]
    package = next((package for package in PACKAGES if package.module == root), None)
    return None if package is None or find_spec(root) is not None else absent(package)


def absent(package: Package) -> MissingRuntimeError:
    """The error that says what brings a package that isn't here, or that nothing does."""
    name = "TensorFlow" if package.module in _TENSORFLOW and find_spec("tensorflow") is None else package.name
    needed = requirement(package)
    if not package.everywhere and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        remedy = f"it has wheels for Linux x86-64 alone, found {sys.platform} on {platform.machine()}"
    else:
        remedy = f"it comes with: {pip_install(needed)}" if needed else f"reinstall {own_name()} with pip"
    return MissingRuntimeError(f"{name} isn't here, and this needs it; {remedy}")


def missing_in(last_line: str) -> MissingRuntimeError | None:
    """The same for the last line that a process wrote which ended without it."""
    absent = _ABSENT.match(last_line)
    return None if absent is None else missing(absent[1])


def pip_install(requirement: str) -> str:
    """The command, in which a shell takes the brackets of an extra for nothing else."""
    return f"pip install '{requirement}'" if "[" in requirement else f"pip install {requirement}"
