"""Files that would hang a reader, end it, or break what is made of their names: one sentence each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import EpsImagePlugin, Image

from edgecut.bench import tflm_worker
from edgecut.cli.request import read_source
from edgecut.errors import DataError, DocumentError, RequestError, SourceError
from edgecut.graph.saved import kind_of
from edgecut.handoff.builds import Side
from edgecut.handoff.stimuli import fed
from edgecut.images.dataset import read_data
from edgecut.images.decode import decode
from edgecut.images.device import PictureForm
from edgecut.images.listing import class_folders, read_class_names
from edgecut.images.npz import read_headers
from edgecut.records.artifact import Artifact
from edgecut.records.document import read_toml
from edgecut.records.progress import SILENT
from edgecut.records.recipe import Data, make_recipe
from edgecut.tflite.arena import planned_bytes
from edgecut.tflite.flatbuffer import parse, read_content
from edgecut.tflite.scratch import cmsis_nn_requests

FIXTURE = Path(__file__).parent.parent / "fixtures" / "tiny.int8.tflite"


@pytest.mark.parametrize(
    ("name", "read", "sentence"),
    [
        ("m.keras", lambda path: kind_of(str(path)), "is a pipe or a device; give a .keras, .h5 or .onnx file"),
        ("m.tflite", read_content, "is a pipe or a device; a .tflite or .onnx file is expected"),
        ("d.npz", lambda path: read_headers(path, "data.train"),
         "is a pipe or a device; a file of numpy.savez is expected"),
        ("a.png", lambda path: decode(path, "data.train"),
         "is no file (a pipe, or a link to nothing); replace or remove it"),
        ("labels.txt", lambda path: read_class_names(path, "data.labels"),
         "is no file; one class name to a line is expected"),
    ],
)  # fmt: skip
def test_a_pipe_is_not_waited_for(name: str, read: object, sentence: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert callable(read)
    with pytest.raises(RequestError) as error:
        read(tmp_path / name)
    assert str(error.value).endswith(f"{tmp_path / name}: {sentence}") or str(error.value).endswith(
        f"{tmp_path / name} {sentence}"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "its values are nested too deeply"),
        ("a = " + "9" * 5000, "Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits"),
    ],
    ids=["deep", "long"],
)
def test_toml_beyond_pythons_limits_is_no_valid_toml(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RequestError) as error:
        read_toml(tmp_path / "recipe.toml")
    assert str(error.value) == f"{tmp_path / 'recipe.toml'}: is no valid TOML: {sentence}"


def test_a_program_named_as_a_picture_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow takes EPS by its content, whatever the name, and Ghostscript runs what it says."""
    (tmp_path / "bin").mkdir()
    interpreter = tmp_path / "bin" / "gs"
    interpreter.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    interpreter.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(DataError) as error:
        decode(picture, "data.train")
    assert str(error.value) == f"data.train: {picture} is no image that can be decoded; replace or remove it"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("highest", [10**15, 2**62])
def test_labels_that_are_no_numbers_of_classes_take_no_memory(highest: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=np.zeros((12, 4, 4, 3), np.uint8), y_train=np.arange(12) % 2 * highest)
    with pytest.raises(DataError) as error:
        read_data(Data(train=str(tmp_path / "d.npz")), PictureForm(4, 4, 3))
    assert str(error.value) == (
        f"data.train: {tmp_path / 'd.npz'}: x_train: labels go up to {highest:,}, and at most 1,000,000 classes are "
        "numbered; number the classes from 0"
    )


@pytest.mark.parametrize("name", [b"cl\xffss", b"two\nlines"])
def test_a_class_that_can_not_be_printed_is_refused(name: bytes, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder + b"/0.png")
    with pytest.raises(DataError) as error:
        class_folders(tmp_path, "data.train")
    assert str(error.value) == (
        f"data.train: the class folder {os.fsdecode(name)!a} has signs that can't be printed in its name; rename it"
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("CON", "'CON' is a device's name on Windows, where no file can have it; choose another"),
        ("lpt1", "'lpt1' is a device's name on Windows, where no file can have it; choose another"),
        ("x" * 101, "101 letters; at most 100 leave room for the endings of files"),
    ],
)
def test_a_name_that_files_can_not_have_everywhere_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(DocumentError) as error:
        make_recipe({}, {"name": name, "source.model": "m.keras"}, where="test")
    assert error.value.faults == (f"test: name: {sentence}",)


@pytest.mark.parametrize(("model", "name"), [("aux.keras", "_aux"), ("y" * 200 + ".keras", "y" * 100)])
def test_a_model_with_such_a_name_gives_its_files_another(model: str, name: str) -> None:
    assert read_source(model, {}).name == name


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(b"\xef\xbb\xbfname = 'a'\r\n")
    assert read_toml(tmp_path / "recipe.toml") == {"name": "a"}


def test_a_picture_that_no_array_can_hold_is_refused() -> None:
    with pytest.raises(DocumentError) as error:
        make_recipe({}, {"source.model": "m.keras", "stem.size": [10**9, 10**9]}, where="test")
    assert error.value.faults == (
        "test: stem.size: height and width are at most 65535, found [1000000000, 1000000000]",
    )


def test_a_device_that_never_ends_is_no_recipe() -> None:
    with pytest.raises(RequestError) as caught:
        read_toml(Path("/dev/zero"))
    assert str(caught.value) == "/dev/zero: is no TOML that edgecut reads: it has more than 4 MiB"


def altered(path: Path, change: Callable[[Any], None]) -> bytes:
    """A .tflite file's bytes with its first graph changed."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    change(model.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_negative_extent_is_damage() -> None:
    def change(graph: Any) -> None:
        graph.tensors[graph.inputs[0]].shape = np.array([1, -12, 12, 1], np.int32)

    with pytest.raises(SourceError) as error:
        parse(altered(FIXTURE, change), "m.tflite")
    assert str(error.value).startswith("m.tflite: is a damaged .tflite file (")


def test_a_convolution_of_no_picture_has_no_window() -> None:
    def change(graph: Any) -> None:
        graph.tensors[graph.inputs[0]].shape = np.array([], np.int32)

    with pytest.raises(SourceError) as error:
        planned_bytes(parse(altered(FIXTURE, change), "m.tflite"), cmsis_nn_requests)
    assert str(error.value) == "operator 0 (CONV_2D): picture, kernel and output have 4 axes each"


def test_a_trial_that_runs_out_of_memory_ends_as_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork that goes on as its parent would write the parent's result a second time."""

    def run_once(content: bytes, arena_bytes: int) -> int:
        raise MemoryError

    monkeypatch.setattr(tflm_worker, "_run_once", run_once)
    assert tflm_worker._trial(b"", 1 << 40) is not None


def test_files_without_inputs_are_fed_nothing() -> None:
    nothing = Artifact(name="a", path="a", format="tflite", precision="int8", sha256="0" * 64, size_bytes=1, inputs=(),
                       outputs=(), operators={}, macs=None)  # fmt: skip
    side = cast("Side", None)
    assert fed((side, side), (nothing, nothing), None, SILENT) is None
