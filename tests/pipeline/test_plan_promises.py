"""What a build would refuse is a fault of its plan, where files tell it, and else is listed as not checked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecut.errors import DataError, DocumentError
from edgecut.images.dataset import read_data
from edgecut.images.device import PictureForm
from edgecut.images.npz import read_headers
from edgecut.pipeline.plan import Plan, plan
from edgecut.records.recipe import Data, make_recipe
from tests.command_line import run
from tests.saved_models import classifier, functional, layer, saved

LAST = "the written files' operators, size, arena, latency and accuracy, against the devices and the limits"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "net.keras", classifier(classes=2))
    saved(tmp_path / "open.keras", classifier(None, classes=2))
    inputs = [layer("InputLayer", name, batch_shape=[None, 8, 8, 3]) for name in ("left", "right")]
    saved(tmp_path / "two.keras", functional([*inputs, layer("Add", "sum", "left", "right")]))
    sequence = [layer("InputLayer", "words", batch_shape=[None, None, 8]), layer("LSTM", "lstm", "words", units=4)]
    saved(tmp_path / "sequence.keras", functional(sequence))
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(4):
            Image.new("L", (8, 8), 40 * k).save(tmp_path / "photos" / name / f"{k}.png")
    return tmp_path


def planned(model: str, **tables: Any) -> Plan:
    whole = {"source": {"model": model, "preprocess": "tf"}, "export": {"precisions": ["float32"]}, **tables}
    return plan(make_recipe(whole, {}, where="test"))


def faults(model: str, **tables: Any) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        planned(model, **tables)
    return caught.value.faults


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("model", "tables", "fault"),
    [
        ("open.keras", {}, "stem.size: the model's input is (None, None, None, 3), of open size; say what the device "
                           "feeds (--size HxW)"),
        ("sequence.keras", {}, "source.model: an input is (None, None, 8), and a file has inputs of fixed size; save "
                               "the model with one"),
    ],
)  # fmt: skip
def test_what_the_model_takes(model: str, tables: dict[str, Any], fault: str) -> None:
    assert faults(model, **tables) == (f"model: {fault}",)


@pytest.mark.usefixtures("work")
def test_images_of_a_model_that_arrays_feed_are_refused() -> None:
    assert faults("two.keras", data={"train": "photos"}) == (
        "model: data.train: photos is no .npz; the model takes other than one picture, and arrays are read from an "
        ".npz",
        "model: source.preprocess: 'tf' is of pictures; arrays are taken as they are, or by "
        "{scale = ..., offset = ...}",
    )
    assert faults("two.keras", data={"kind": "pictures", "train": "photos"}) == (
        "model: data.kind: the model takes [(None, 8, 8, 3), (None, 8, 8, 3)], and pictures feed one (batch, height, "
        "width, 1, 3 or 4)",
    )


@pytest.mark.usefixtures("work")
def test_a_stem_gives_an_open_input_its_size() -> None:
    assert planned("open.keras", stem={"size": [8, 8]}, data={"labels": ["a", "b"]}).notes == ()
    assert planned("two.keras", data={"labels": ["a", "b", "c"]}).notes == ()


def spoil(work: Path) -> list[str]:
    """Three files that are no images, each in its own way; what is said of them."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(work / "whole.png")
    (work / "photos/a/0.png").write_bytes((work / "whole.png").read_bytes()[:1000])
    (work / "photos/a/1.png").write_bytes(b"")
    (work / "photos/b/2.png").write_text("<html>404</html>")
    none = "is no image that can be decoded; replace or remove it"
    return [
        "data.train: photos/a/0.png can't be decoded (image file is truncated); replace or remove it",
        f"data.train: photos/a/1.png {none}", f"data.train: photos/b/2.png {none}",
    ]  # fmt: skip


def test_every_image_that_does_not_decode_is_named(work: Path) -> None:
    sentences = spoil(work)
    found = faults("net.keras", data={"train": "photos"})
    assert sorted(found) == [f"model: {sentence}" for sentence in sentences]
    with pytest.raises(DataError) as caught:
        read_data(Data(train="photos"), PictureForm(8, 8, 1))
    assert sorted(str(caught.value).split("\n")) == sentences


def test_in_a_large_folder_a_plan_looks_at_first_bytes(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecut.images.decode_children._QUICK_FILES", 3)
    assert (
        "data.train: whether each of 8 images decodes beyond its first bytes"
        in planned("net.keras", data={"train": "photos"}).unchecked
    )
    _, *sentences = spoil(work)
    assert sorted(faults("net.keras", data={"train": "photos"})) == [f"model: {sentence}" for sentence in sentences]


def test_of_many_bad_images_the_first_are_named(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecut.images.decode_children._SHOWN", 1)
    spoil(work)
    (*_, last) = faults("net.keras", data={"train": "photos"})
    assert last == "model: data.train: 2 more files can't be decoded"


def test_images_that_a_limit_leaves_out_are_not_looked_at(work: Path) -> None:
    for name in "ab":
        (work / "photos" / name / "9.png").write_bytes(b"")
    assert planned("net.keras", data={"train": "photos", "val": "photos", "limit": 6}).files == (("tflite", "float32"),)


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_a_threshold_that_decides_all_alike_is_a_fault_of_the_saved_model(work: Path, threshold: float) -> None:
    fault = f"data.threshold: is {threshold:g}, and a softmax's scores lie between 0 and 1; give a number between"
    assert faults("net.keras", data={"threshold": threshold}) == (f"model: {fault}",)
    assert planned("net.keras", data={"threshold": 0.9}).files
    assert planned("net.keras", data={"threshold": 1.5}, cut={"to": "pool"}).files  # features; the build says so


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"train": "photos"}, "photos, calibration on all 6 images (data.calibration is 200)"),
        (
            {"train": "photos", "val": "photos", "limit": 5},
            "photos, calibration on all 5 images (data.calibration is 200)",
        ),
        ({"train": "photos", "val": "photos", "calibration": 8}, "photos, calibration on 8 images"),
        ({"train": "d.npz"}, "d.npz, calibration on all 4 images (data.calibration is 200)"),
        ({"train": "d.npz", "target": "values"}, "d.npz, calibration on all 4 images (data.calibration is 200)"),
    ],
)
def test_no_more_images_calibrate_than_there_are(work: Path, data: dict[str, Any], words: str) -> None:
    x = np.zeros((4, 8, 8, 3), np.uint8)
    y = np.arange(4) % 2
    if data.get("target") == "values":
        y = np.zeros((4, 2), np.float32)
    np.savez(work / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert dict(planned("net.keras", data=data).steps)["data"] == words


def npz(path: Path, **headers: tuple[tuple[Any, ...], str, int]) -> Path:
    """An .npz whose members say (shape, dtype) and hold as many zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, dtype, size) in headers.items():
            text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            member = io.BytesIO()
            member.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(size))
            archive.writestr(f"{name}.npy", member.getvalue())
    return path


@pytest.mark.parametrize("shape", [(-1, 8, 8, 3), (4, 8, 8, -3), (10**12, 8, 8, 3), (3, 8, 8, 3), ("4", 8, 8, 3)])
def test_a_shape_that_is_not_the_arrays_is_refused(work: Path, shape: tuple[Any, ...]) -> None:
    path = npz(work / "d.npz", x_train=(shape, "|u1", 768), y_train=((4,), "|u1", 4))
    message = f"data.train: {path} is cut short, damaged or no .npz; write it again with numpy.savez"
    assert faults("net.keras", data={"train": str(path)}) == (f"model: {message}",)


def test_an_array_that_says_what_it_holds_passes(work: Path) -> None:
    path = npz(work / "d.npz", x=((4, 8, 8, 3), "|u1", 768), words=((2,), "<U3", 24), empty=((0, 3), "<f4", 0))
    assert [header.shape for header in read_headers(path, "data").values()] == [(4, 8, 8, 3), (2,), (0, 3)]


def test_what_only_the_run_can_know_is_listed(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.zeros((4, 8, 8, 3), np.float32)
    np.savez(work / "d.npz", x_train=x, y_train=np.arange(4) % 2)
    assert planned("net.keras", data={"train": "d.npz"}, stem={"channels": 1}, cut={"to": "scores"}).unchecked == (
        "whether the model can be cut there: `edgecut inspect MODEL --cuts --legal` says so",
        "whether the stem is exact, and what it loses where it isn't",
        "data.train: whether the values of x_train are bytes",
        LAST,
    )
    (first, *_) = planned("keras:MobileNetV2").unchecked
    assert first == "inputs, outputs and operators, which only keras:MobileNetV2 once it is loaded tells"
    answer = run(capsys, "plan", "net.keras", "--precision", "float32")
    assert answer.out.partition("not checked\n")[2].split() == f"· {LAST}".split()
