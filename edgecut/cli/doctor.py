"""`edgecut doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import click

from edgecut.cli.output import Output, with_output
from edgecut.errors import MissingRuntimeError
from edgecut.version import __version__

if TYPE_CHECKING:
    from edgecut.render.grid import Fitted


class Package(NamedTuple):
    """A package that edgecut uses. name: as pip knows it. module: as Python does."""

    name: str
    module: str
    required: bool
    use: str


PACKAGES: tuple[Package, ...] = (
    Package("tensorflow", "tensorflow", True, "runs Keras models, converts to TFLite"),
    Package("keras", "keras", True, "loads, cuts and rebuilds models"),
    Package("tf-keras", "tf_keras", True, "reads Keras 2 models"),
    Package("tensorflow-model-optimization", "tensorflow_model_optimization", True, "prunes and clusters"),
    Package("ai-edge-litert", "ai_edge_litert", True, "reads and runs .tflite files"),
    Package("onnx", "onnx", True, "reads and checks .onnx files"),
    Package("tf2onnx", "tf2onnx", True, "converts TFLite to ONNX"),
    Package("onnxruntime", "onnxruntime", True, "runs .onnx files"),
    Package("h5py", "h5py", True, "looks into .h5 models"),
    Package("numpy", "numpy", True, "arrays"),
    Package("pillow", "PIL", True, "decodes and resizes images"),
    Package("tflite-micro", "tflite_micro", False, "measures a microcontroller's arena (Linux x86-64 only)"),
    Package("ethos-u-vela", "ethosu", False, "simulates an Ethos-U (extra ethos-u)"),
    Package("distributed", "distributed", False, "spreads builds and searches over workers (extra dask)"),
    Package("sigstore", "sigstore", False, "signs bundles by an identity (extra sigstore)"),
)


_PROBE_S = 60.0


@click.command("doctor", epilog="\b\nExample:\n  edgecut doctor")
@with_output
def command(output: Output) -> int:
    """Show which packages are here, in which version, and what each is for.

    Exit code 4: a required one is missing.
    """
    from edgecut.sandbox.child import run_job

    versions = {package.name: _version(package) for package in PACKAGES}
    host = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}"
    has_network = bool(run_job("edgecut.sandbox.probe", {}, _PROBE_S)["network"])
    output.table(f"edgecut {__version__}, {host}", package_table(versions), network_words(not has_network))
    output.document(
        {
            "edgecut": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "children_have_network": has_network,
            "packages": [{**p._asdict(), "version": versions[p.name]} for p in PACKAGES],
        }
    )
    absent = [package.name for package in PACKAGES if package.required and versions[package.name] is None]
    if absent:
        raise MissingRuntimeError(f"required and not here: {', '.join(absent)}; reinstall edgecut with pip")
    return 0


def package_table(versions: Mapping[str, str | None]) -> Fitted:
    """A row for each of PACKAGES. versions: None for one that isn't here."""
    from edgecut.render.grid import fitted

    rows = [(package.name, versions[package.name] or _absent(package), package.use) for package in PACKAGES]
    return fitted(("<package", "<version", "~for"), rows, ("for",))


def network_words(is_left: bool) -> str:
    """Whether the child processes that open foreign files are without a network."""
    if is_left:
        return "files of others are opened in child processes without a network"
    return (
        "files of others are opened in child processes that have the network, which this system doesn't let them leave"
    )


def _version(package: Package) -> str | None:
    """The installed version, None if the package isn't here. Nothing is imported."""
    if find_spec(package.module) is None:
        return None
    try:
        return version(package.name)
    except PackageNotFoundError:
        return "of unknown version"


def _absent(package: Package) -> str:
    return "missing" if package.required else "not here"
