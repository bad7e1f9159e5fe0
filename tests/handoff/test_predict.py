"""A file or bundle run on pictures, arrays and a camera's bytes: the answers are the golden vectors' own."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from edgecut.errors import RunError
from edgecut.images.device import CHANNELS, in_order, shown_pixels
from edgecut.render.predictions import CSV_COLUMNS
from edgecut.runtime.class_names import class_names
from edgecut.runtime.files import FileRunner
from tests.command_line import run
from tests.handoff.test_bundle import FIXTURES, LABELS, bundle, camera

INT8, FLOAT = FIXTURES / "tiny.int8.tflite", FIXTURES / "tiny.float32.tflite"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("run") / "dist", ("float32.tflite", "int8.tflite"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of the golden vectors, as files."""
    folder = tmp_path_factory.mktemp("photos")
    for k, pixels in enumerate(camera()):
        Image.fromarray(pixels[..., 0]).save(folder / f"{k}.png")
    return folder


def golden(folder: Path) -> np.ndarray:
    """What vectors/ says that the int8 file puts out, dequantized: (3, 4)."""
    spec = json.loads((folder / "vectors" / "vectors.json").read_text())["outputs"][0]["spec"]
    raw = [np.fromfile(folder / "vectors" / f"expected_{k}.bin", np.int8) for k in range(3)]
    values: np.ndarray = (np.stack(raw).astype(np.float32) - spec["zero_point"]) * np.float32(spec["scale"])
    return values


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_pictures_through_a_bundle_give_what_its_golden_vectors_say(
    folder: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(capsys, "run", str(folder), str(photos), "--top", "4", "--json")
    document, expected = json.loads(answer.out), golden(folder)
    assert (answer.code, document["schema"]) == (0, "edgecut.predictions/1")
    assert document["file"] == str(folder / "models/bell.int8.tflite")
    assert document["labels_from"] == str(folder / "labels.txt")
    assert [row["input"] for row in document["predictions"]] == [str(photos / f"{k}.png") for k in range(3)]
    for row, y in zip(document["predictions"], expected, strict=True):
        (output,) = row["outputs"]
        assert output["kind"] == "classes"
        assert {score["label"]: score["value"] for score in output["scores"]} == pytest.approx(
            dict(zip(LABELS, map(float, y), strict=True))
        )
        assert [score["value"] for score in output["scores"]] == sorted(map(float, y), reverse=True)
    assert answer.err == ("edgecut: tflite int8 was run; --artifact NAME runs another: bell.float32.tflite\n")


def test_a_bundle_that_is_not_as_built_is_run_and_told(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path / "dist")
    model = tmp_path / "dist/models/bell.int8.tflite"
    content = bytearray(model.read_bytes())
    content[content.index(b"MLIR")] ^= 1  # of the description alone
    model.write_bytes(content)
    answer = run(capsys, "run", str(tmp_path / "dist"), str(photos))
    assert answer.code == 0
    assert answer.err.splitlines()[0] == (
        f"edgecut: {tmp_path}/dist: isn't as it was built (models/bell.int8.tflite: is not the file that the "
        f"manifest lists (its SHA-256 differs); `edgecut verify {tmp_path}/dist` names all); run is what is there now"
    )


def test_a_cameras_bytes_on_standard_input_give_the_same(
    folder: Path, photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, camera().tobytes())
    frames = json.loads(run(capsys, "run", str(folder), "-", "--json").out)["predictions"]
    files = json.loads(run(capsys, "run", str(folder), str(photos), "--json").out)["predictions"]
    assert [row["outputs"] for row in frames] == [row["outputs"] for row in files]
    assert [row["input"] for row in frames] == ["frame 0", "frame 1", "frame 2"]


def test_another_file_of_the_bundle_is_run_by_name_or_precision(
    folder: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bell.float32.tflite", "models/bell.float32.tflite", "float32"):
        answer = run(capsys, "run", str(folder), str(photos), "--artifact", name, "--json")
        assert (json.loads(answer.out)["file"], answer.err) == (str(folder / "models/bell.float32.tflite"), "")
    answer = run(capsys, "run", str(folder), str(photos), "--artifact", "int4")
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: --artifact: 'int4' is no file of {folder}; it has bell.float32.tflite, bell.int8.tflite\n",
    )


def test_a_single_file_takes_its_scaling_and_its_names_from_flags(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    answer = run(
        capsys, "run", str(INT8), str(photos / "1.png"), "--preprocess", "tf", "--labels",
        str(tmp_path / "labels.txt"), "--json",
    )  # fmt: skip
    y = FileRunner(INT8).predict((camera()[1:2] / np.float32(127.5) - 1).astype(np.float32))[0]
    (output,) = json.loads(answer.out)["predictions"][0]["outputs"]
    best = int(y.argmax())
    assert output["scores"][0] == {"index": best, "label": "abcd"[best], "value": pytest.approx(float(y[best]))}


def test_a_quantized_file_that_cant_hold_bytes_asks_how_they_are_scaled(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = FileRunner(INT8).inputs[0]
    assert spec.scale is not None
    assert spec.zero_point is not None
    low, high = (spec.scale * (end - spec.zero_point) for end in (-128, 127))
    answer = run(capsys, "run", str(INT8), str(photos))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"edgecut: error: {INT8}: takes values from {low:.3g} to {high:.3g}, and a picture has bytes 0 to 255; say "
        "how they are scaled: --preprocess tf\n"
    )


def test_a_float_file_of_unknown_scaling_says_what_it_got(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "run", str(FLOAT), str(photos))
    assert answer.err == (
        f"edgecut: {FLOAT} doesn't say how pictures are scaled, and got bytes 0 to 255 as they are; --preprocess "
        "says another\n"
    )
    assert "bytes 0 to 255 as they are" in answer.out


def test_the_rows_of_csv_are_the_documents_scores(
    folder: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "run", str(folder), str(photos), "--csv").out
    document = json.loads(run(capsys, "run", str(folder), str(photos), "--json").out)
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert tuple(head) == CSV_COLUMNS
    assert rows == [
        [row["input"], output["output"], output["kind"], str(score["index"]), score["label"], repr(score["value"])]
        for row in document["predictions"]
        for output in row["outputs"]
        for score in output["scores"]
    ]


def test_the_page_shows_each_picture_as_the_device_sees_it(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "answers.html"
    run(capsys, "run", str(folder), str(photos), "--html", str(page))
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 3
    assert all(f"{k}.png" in text for k in range(3))
    assert "http://" not in text.replace("http://www.w3.org", "")
    answer = run(capsys, "run", str(folder), str(photos), "--html", str(page))
    assert (answer.code, answer.err) == (2, f"edgecut: error: {page}: exists; pass --force to replace it\n")


@pytest.mark.parametrize("order", list(CHANNELS))
def test_the_bytes_of_each_order_are_shown_as_the_picture_that_they_are_of(order: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 5, 4, 1 if order == "gray" else 3), dtype=np.uint8)
    shown = shown_pixels(in_order(pixels, order), order)
    off = np.abs(shown.astype(int) - pixels.astype(int)).max()
    assert (shown.shape, off <= (2 if order == "yuv" else 0)) == (pixels.shape, True)


def test_what_cant_be_fed_is_one_sentence(
    folder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "a.npz", x_test=np.zeros((1, 12, 12, 1), np.float32))
    (tmp_path / "empty").mkdir()
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    stdin(monkeypatch, b"x" * 145)
    one = str(photos / "0.png")
    for words, code, sentence in [
        (("nothing.png",), 2, "nothing.png: no such file or folder; pictures, a folder of them or - are expected"),
        ((str(tmp_path / "empty"),), 2, f"{tmp_path / 'empty'}: the folder holds no picture"),
        (
            (str(tmp_path / "a.npz"),),
            2,
            f"{tmp_path / 'a.npz'}: holds arrays, and the model takes pictures: name picture files, a folder or -",
        ),
        ((one, "-"), 2, "-: stands alone, for the camera's bytes on standard input"),
        (("-",), 2, "-: 145 bytes aren't whole frames of 144 (12 x 12 x 1, gray)"),
        ((one, "--preprocess", "tf"), 2, f"--preprocess: {folder} is a bundle, whose recipe says it; leave it out"),
        (
            (one, "--labels", str(tmp_path / "names.txt")),
            2,
            f"{tmp_path / 'names.txt'}: holds 3 names, and models/bell.int8.tflite puts out 4; make them equal",
        ),
    ]:
        answer = run(capsys, "run", str(folder), *words)
        assert (answer.code, answer.out, answer.err) == (code, "", f"edgecut: error: {sentence}\n")
    answer = run(capsys, "run", str(folder), one, "--csv", "--json")
    said = "--csv and --json exclude each other; see `edgecut run --help`"
    assert (answer.code, json.loads(answer.out)["error"]["message"]) == (2, said)


def test_arrays_give_the_answers_that_the_file_gives_row_by_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = tmp_path / "inside.int8.tflite"
    run(capsys, "cut", str(INT8), "--from", "1", "-o", str(inside))
    runner = FileRunner(inside)
    x = np.random.default_rng(2).uniform(0, 2, (3, *runner.inputs[0].shape[1:])).astype(np.float32)
    np.savez(tmp_path / "x.npz", x_test=x)
    answer = run(capsys, "run", str(inside), str(tmp_path / "x.npz"), "--json")
    rows = json.loads(answer.out)["predictions"]
    assert [row["input"] for row in rows] == [f"{tmp_path / 'x.npz'} {k}" for k in range(3)]
    for row, y in zip(rows, runner.predict(x), strict=True):
        best = int(y.argmax())
        assert row["outputs"][0]["scores"][0] == {"index": best, "label": "", "value": pytest.approx(float(y[best]))}
    refused = run(capsys, "run", str(inside), "photo.png")
    assert (refused.code, refused.err) == (
        2,
        f"edgecut: error: photo.png: {inside} takes arrays; one .npz that holds x_test is expected\n",
    )


def with_names(path: Path, *names: str) -> Path:
    """The int8 file with a label file behind it, as TFLite's metadata library packs one."""
    path.write_bytes(INT8.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "\n".join(names))
    return path


def test_names_that_a_file_holds_are_its_answers(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = with_names(tmp_path / "named.int8.tflite", "w", "x", "y", "z")
    answer = run(capsys, "run", str(named), str(photos), "--preprocess", "tf", "--json")
    found = json.loads(answer.out)
    assert found["labels_from"] == str(named)
    assert {s["label"] for row in found["predictions"] for s in row["outputs"][0]["scores"]} <= set("wxyz")
    fewer = with_names(tmp_path / "fewer.int8.tflite", "w", "x")
    unnamed = json.loads(run(capsys, "run", str(fewer), str(photos), "--preprocess", "tf", "--json").out)
    assert unnamed["labels_from"] == ""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'cat', 1: 'dog'}", ("cat", "dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ("cat, dog", ("cat", "dog")),
        ('{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ("{0: 'cat', 2: 'dog'}", ()),
        ("[1, 2]", ()),
        ("__import__('os')", ()),
        ("[" * 5000, ()),
    ],
)
def test_names_in_an_onnx_file_are_read_as_its_exporter_wrote_them(
    text: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    model = onnx.load(FIXTURES / "tiny.float32.onnx")
    onnx.helper.set_model_props(model, {"names": text})
    onnx.save(model, tmp_path / "m.onnx")
    assert class_names(tmp_path / "m.onnx", frozenset({2})) == names
    assert class_names(tmp_path / "m.onnx", frozenset({3})) == ()


def test_bytes_behind_a_model_that_are_no_archive_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(INT8.read_bytes() + b"PK\x05\x06" + b"\0" * 18)
    assert class_names(tmp_path / "m.tflite", frozenset({4})) == ()


def test_a_file_of_larger_pictures_than_the_limits_have_room_for_reads_none(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(name: str, shape: tuple[int, ...]) -> None:
        raise RunError(f"{name} of {shape} is too large")

    monkeypatch.setattr("edgecut.handoff.predict.check_array", check)
    answer = run(capsys, "run", str(folder), "nothing.png")
    said = "models/bell.int8.tflite: the input 'serving_default_image:0' of (1, 12, 12, 1) is too large"
    assert (answer.code, answer.err) == (3, f"edgecut: error: {said}\n")
