"""`edgecut stem` writes the edited model, proven and read back."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import edgecut
from edgecut.images.device import in_order
from edgecut.images.preprocess import normalize
from edgecut.pipeline.stem import stem_of
from edgecut.records.recipe import make_recipe
from edgecut.stem.camera import for_bytes
from edgecut.tflite.flatbuffer import parse
from tests.command_line import run
from tests.stem.firsts import bytes_like, conv_model, relative

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.keras"
    model = conv_model(3, 2, "same", 16, 16)
    model.save(path)
    return path, model


def test_the_written_model_sees_what_the_source_saw(source, tmp_path, capsys):
    path, model = source
    out = tmp_path / "gray.keras"
    words = ("--gray", "--preprocess", "tf", "--pixels", "raw", "-o", str(out), "--json")
    answer = run(capsys, "stem", str(path), *words)
    step = json.loads(answer.out)
    pixels = bytes_like(16, 16, 1)
    written = keras.models.load_model(out)
    expected = model(normalize(np.repeat(pixels, 3, axis=-1), "tf"))
    assert answer.code == 0
    assert relative(written(pixels.astype("float32")), expected) < 1e-5
    assert (step["name"], step["proof"]["exact"]) == ("stem", True)
    assert step["notes"][0] == "construction: constant padding"
    assert (step["before"]["inputs"], step["after"]["inputs"]) == ([[None, 16, 16, 3]], [[None, 16, 16, 1]])
    assert step["after"]["size_bytes"] == out.stat().st_size


def test_the_table_has_each_fact_before_and_after(source, tmp_path, capsys):
    answer = run(capsys, "stem", str(source[0]), "--gray", "--preprocess", "tf", "-o", str(tmp_path / "gray.keras"))
    rows = [line.split() for line in answer.out.splitlines()]
    assert rows[0] == ["before", "after"]
    assert ["inputs", "16×16×3", "16×16×1"] in rows
    assert next(row for row in rows if row[:1] == ["size"])[:2] == ["size", "–"]
    written = tmp_path / "gray"
    assert answer.err == (
        f"edgecut: next: edgecut export {written}.keras --precision float32 -o {written}.tflite; for int8, with your "
        f"own IMAGES: edgecut export {written}.keras --preprocess tf --data IMAGES -o {written}.tflite\n"
    )


def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(source, tmp_path, capsys):
    out = tmp_path / "out.keras"
    answer = run(capsys, "stem", str(source[0]), "--size", "6x6", "--resolution", "nearest", "-o", str(out))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "edgecut: error: stem: resolution 'nearest': the source's height 16 and the device's 6 have no whole ratio; "
        "use a height such as 8, or resolution 'bilinear' or 'reuse'\n"
    )
    assert not out.exists()


def test_a_wrong_target_is_found_before_the_model_is_loaded(tmp_path, capsys):
    answer = run(capsys, "stem", "model.keras", "--gray", "-o", str(tmp_path / "m.tflite"))
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: {Path(tmp_path) / 'm.tflite'}: a Keras model is written; name it *.keras (edgecut export "
        "makes other files of it)\n",
    )


@pytest.mark.parametrize(
    ("precisions", "construction"),
    [(["float32", "int8"], "constant padding"), (["auto"], "constant padding"), (["float32"], "1x1 convolution"),
     (["float16", "dynamic"], "1x1 convolution"), (["int8", "int16x8"], "1x1 convolution")],
)  # fmt: skip
def test_the_files_to_be_written_decide_whether_an_operator_may_pad_with_a_value(source, precisions, construction):
    given = {
        "source.model": str(source[0]), "source.preprocess": "tf", "stem.pixels": "raw", "export.precisions": precisions
    }  # fmt: skip
    assert stem_of(make_recipe({}, given, where="r"), source[1]).construction == construction


def test_bytes_pass_unchanged_into_an_int8_file_of_an_edited_model(source, tmp_path, capsys):
    gray, file = tmp_path / "gray.keras", tmp_path / "gray.tflite"
    assert (
        run(capsys, "stem", str(source[0]), "--gray", "--preprocess", "tf", "--pixels", "raw", "-o", str(gray)).code
        == 0
    )
    pixels = bytes_like(16, 16, 1)
    pixels[:, 0, 0], pixels[:, -1, -1] = 0, 255
    np.savez(tmp_path / "data.npz", x_train=pixels, y_train=np.zeros(len(pixels), "int64"))
    words = ("--preprocess", "raw", "--data", str(tmp_path / "data.npz"), "-o", str(file))
    assert run(capsys, "export", str(gray), *words).code == 0
    taken = parse(file.read_bytes(), "file")
    written = taken.tensors[taken.inputs[0]]
    assert (written.dtype, written.scales, written.zero_points) == ("int8", (1.0,), (-128,))
    model, file_pair = keras.models.load_model(gray), []
    for name, twin in (("rounded", for_bytes(model)), ("plain", model)):
        edgecut.export(twin, "tflite", "int8", pixels.astype("float32"), tmp_path / f"{name}.tflite")
        file_pair.append((tmp_path / f"{name}.tflite").read_bytes())
    assert file.read_bytes() == file_pair[0] != file_pair[1]


@pytest.mark.parametrize(("order", "pixels"), [("yuv", "raw"), ("rgba", "raw"), ("bgr", "raw"), ("bgr", "normalized")])
def test_the_next_command_calibrates_on_the_devices_own_channels(source, tmp_path, capsys, order, pixels):
    edited = tmp_path / "edited.keras"
    words = ("--order", order, "--preprocess", "tf", "--pixels", pixels, "-o", str(edited))
    hint = run(capsys, "stem", str(source[0]), *words).err.strip()
    mode = "raw" if pixels == "raw" else "tf"
    floats, int8 = hint.split("; for int8, with your own IMAGES: ")
    assert floats == f"edgecut: next: edgecut export {edited} --precision float32 -o {edited.with_suffix('.tflite')}"
    assert int8 == (
        f"edgecut export {edited} --preprocess {mode} --order {order} --data IMAGES -o {edited.with_suffix('.tflite')}"
    )
    pictures = bytes_like(16, 16, 3)
    np.savez(tmp_path / "data.npz", x_train=pictures, y_train=np.zeros(len(pictures), "int64"))
    words = int8.removeprefix("edgecut ").replace("IMAGES", str(tmp_path / "data.npz")).split()
    assert run(capsys, *words).code == 0
    fed = in_order(pictures, order)
    fed[0, 0, 0], fed[0, -1, -1] = 0, 255
    model = keras.models.load_model(edited)
    twin = for_bytes(model) if pixels == "raw" else model
    values = fed.astype("float32") if pixels == "raw" else (fed / 127.5 - 1).astype("float32")
    edgecut.export(twin, "tflite", "int8", values, tmp_path / "twin.tflite")
    assert edited.with_suffix(".tflite").read_bytes() == (tmp_path / "twin.tflite").read_bytes()
    if order == "rgba":
        answer = run(capsys, *["gray" if word == order else word for word in words], "--force")
        assert answer.code == 2
        assert answer.err == (
            "edgecut: error: export: the model takes 4 channels, and gray has 1; name the model's own with --order\n"
        )


@pytest.mark.parametrize("words", [("--gray",), ("--order", "gray")])
def test_a_normalized_gray_value_that_no_picture_gives_is_refused(source, tmp_path, capsys, words):
    answer = run(capsys, "stem", str(source[0]), *words, "--preprocess", "caffe", "-o", str(tmp_path / "gray.keras"))
    assert (answer.code, answer.err) == (
        2,
        "edgecut: error: --pixels: source.preprocess treats the channels differently, so one normalized gray value "
        "can't carry it; pass --pixels raw\n",
    )
