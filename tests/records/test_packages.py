"""What is said of a package that isn't here, beside edgecut-lite and beside edgecut."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from edgecut.records import packages
from edgecut.records.packages import LIGHT, PACKAGES, WHOLE, missing, missing_in


@pytest.fixture(params=[LIGHT, WHOLE])
def distribution(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The distribution that is here; no package is."""

    def version(name: str) -> str:
        if request.param == LIGHT and name == WHOLE:
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(packages, "version", version)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    return str(request.param)


def test_the_sentence_names_what_brings_it(distribution: str) -> None:
    said = {module: str(missing(module)) for module in ("keras.src", "onnx", "numpy", "sigstore", "distributed")}
    brings_all = "it comes with: pip install edgecut" if distribution == LIGHT else "reinstall edgecut with pip"
    brings_onnx = "it comes with: pip install 'edgecut-lite[onnx]'" if distribution == LIGHT else brings_all
    assert said == {
        "keras.src": f"TensorFlow isn't here, and this needs it; {brings_all}",
        "onnx": f"onnx isn't here, and this needs it; {brings_onnx}",
        "numpy": f"numpy isn't here, and this needs it; reinstall {distribution} with pip",
        "sigstore": f"sigstore isn't here, and this needs it; it comes with: pip install '{distribution}[sigstore]'",
        "distributed": "distributed isn't here, and this needs it; it comes with: pip install 'edgecut[dask]'",
    }


@pytest.mark.parametrize(("system", "machine"), [("linux", "aarch64"), ("darwin", "arm64")])
def test_what_has_no_wheel_here_is_not_said_to_be_installed(
    distribution: str, monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(packages.sys, "platform", system)
    monkeypatch.setattr(packages.platform, "machine", lambda: machine)
    assert str(missing("tflite_micro")) == (
        f"tflite-micro isn't here, and this needs it; it has wheels for Linux x86-64 alone, found {system} on {machine}"
    )


def test_keras_alone_is_named_where_tensorflow_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "keras" else object())
    assert str(missing("keras")).startswith("keras isn't here, and this needs it; ")


def test_a_module_of_others_or_of_a_package_that_is_here_is_no_such_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an error is a bug, or one of another package's own."""
    monkeypatch.setattr(packages, "find_spec", lambda name: object())
    assert [missing(module) for module in (None, "", "antigravity", "numpy.absent")] == [None] * 4


def test_the_last_line_of_a_process_tells_it(distribution: str) -> None:
    assert str(missing_in("ModuleNotFoundError: No module named 'h5py'")).startswith("h5py isn't here, and ")
    assert missing_in("ValueError: No module named 'h5py'") is None
    assert missing_in("ModuleNotFoundError: No module named 'antigravity'") is None


def test_names_are_told_once() -> None:
    assert len({package.module for package in PACKAGES}) == len({package.name for package in PACKAGES}) == len(PACKAGES)
