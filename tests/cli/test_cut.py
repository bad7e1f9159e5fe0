"""`edgecut cut`, on the demo's model and a small file."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.runtime.files import FileRunner
from tests.command_line import run
from tests.graph import models
from tests.machine import full_disk

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "edgecut" / "demo_data" / "cifar10_backbone.keras")
FILE = str(ROOT / "tests" / "fixtures" / "tiny.int8.tflite")


def cut(capsys, out, *words, source=MODEL):
    return run(capsys, "cut", source, *words, "-o", str(out))


def test_a_cut_is_written_with_its_proof(tmp_path, capsys):
    answer = cut(capsys, tmp_path / "part.keras", "--to", "block_2_add", "--json")
    step = json.loads(answer.out)
    assert (answer.code, step["name"], step["changed"]) == (0, "cut", True)
    assert step["before"]["outputs"] == {"predictions": [None, 10]}
    assert step["after"]["outputs"] == {"block_2_add": [None, 8, 8, 64]}
    assert step["proof"] == {"inputs": 8, "max_abs_error": 0.0, "exact": True}
    assert step["before"]["params"] - step["after"]["params"] == step["after"]["weights_dropped"]
    assert step["after"]["size_bytes"] == (tmp_path / "part.keras").stat().st_size
    loaded, source = (keras.models.load_model(path) for path in (tmp_path / "part.keras", MODEL))
    assert loaded.output_shape == (None, 8, 8, 64)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    feature = keras.Model(source.input, source.get_layer("block_2_add").output)
    assert np.array_equal(loaded(images, training=False), feature(images, training=False))


def test_the_table_shows_both_sides_and_the_proof(tmp_path, capsys):
    answer = cut(capsys, tmp_path / "part.keras", "--from", "block_2_add", "-q")
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["inputs", "pixels", "32×32×3", "block_2_add_in", "8×8×64"] in lines
    assert answer.out.endswith("proof: bit-equal to the source on 8 seeded inputs\n")


def test_layers_are_dropped_replaced_and_inserted_in_one_go(tmp_path, capsys):
    body = tmp_path / "body.keras"
    x = keras.Input((8, 8, 64), name="x")
    models.settle(keras.Model(x, keras.layers.Conv2D(64, 1, name="from_file")(x))).save(body)
    answer = cut(
        capsys, tmp_path / "part.keras", "--drop", "block_3_1_conv..block_3_add",
        "--replace", f"block_2_1_conv..block_2_add={body}", "--json",
    )  # fmt: skip
    assert answer.code == 2  # it takes what block_2 puts out, not what block_2 takes
    assert answer.err.startswith("edgecut: error: what takes the place of 'block_2_add' can't take (None, ")
    assert not (tmp_path / "part.keras").exists()
    answer = cut(
        capsys, tmp_path / "part.keras", "--drop", "block_3_1_conv..block_3_add",
        "--replace", "block_1_1_conv..block_1_add=branch:conv:4,3+conv:8,1", "--insert", "stem_conv=Dropout:rate=0.2",
        "--project", "--json",
    )  # fmt: skip
    assert answer.code == 0
    assert json.loads(answer.out)["proof"]["exact"]
    layers = keras.models.load_model(tmp_path / "part.keras").layers
    names = [layer.name for layer in layers]
    # Keras counts the names that it gives over the whole process, so kinds are compared.
    assert {"Dropout", "Concatenate"} <= {type(layer).__name__ for layer in layers}
    assert any(name.startswith("projection") for name in names)
    assert not any(name.startswith(("block_1_1", "block_3_1")) for name in names)


def test_a_start_that_needs_more_is_refused_or_gets_it(tmp_path, capsys):
    answer = cut(capsys, tmp_path / "part.keras", "--from", "block_2_1_conv")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "edgecut: error: from 'block_2_1_conv': the rest also needs 'block_2_shortcut_bn'; name all of them, pass "
        "multi=True (--multi) to add them as inputs, or start at 'block_1_relu' or 'block_2_add'\n"
    )
    assert not list(tmp_path.iterdir())
    answer = cut(capsys, tmp_path / "part.keras", "--from", "block_2_1_conv", "--multi", "--json")
    assert list(json.loads(answer.out)["after"]["inputs"]) == ["block_2_1_conv_in", "block_2_shortcut_bn_in"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "blok_2_add"), "no layer 'blok_2_add' (closest: 'block_2_add', 'block_4_add', 'block_3_add', "),
        (("--replace", "block_2_1_conv"), "'block_2_1_conv' has no '=' between a layer and what is put there"),
        (
            ("--insert", "stem_conv=cnv:8,3"),
            "block 'cnv:8,3': no block 'cnv' (closest: 'conv'); expected: conv:filters",
        ),
    ],
)
def test_a_wrong_request_is_one_sentence(tmp_path, capsys, words, message):
    answer = cut(capsys, tmp_path / "part.keras", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_keras_model_is_not_written_under_another_ending(tmp_path, capsys):
    out = tmp_path / "part.tflite"
    assert cut(capsys, out, "--to", "stem_relu").err == (
        f"edgecut: error: {out}: a Keras model is written; name it *.keras (edgecut export makes other files of it)\n"
    )


def test_a_file_is_cut_by_its_tensors_and_has_no_layers_to_edit(tmp_path, capsys):
    out = tmp_path / "part.tflite"
    answer = cut(capsys, out, "--to", "2", "--json", source=FILE)
    step = json.loads(answer.out)
    assert (answer.code, step["proof"]["exact"], step["after"]["operators"]) == (0, True, 3)
    assert FileRunner(out).outputs[0].shape == (1, 6, 6, 144)
    assert cut(capsys, out, "--drop", "1", "--force", source=FILE).err == (
        f"edgecut: error: --drop: {FILE} has no layers; edit the Keras model and export it\n"
    )


def test_a_full_disk_leaves_no_part_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.residual().save(tmp_path / "m.keras")
    monkeypatch.chdir(tmp_path)
    # Enough for HDF5's first bytes, then for the archive but not for its rewriting.
    size = (tmp_path / "m.keras").stat().st_size
    for limit in (100, size // 3):
        with full_disk(limit):
            answer = run(capsys, "cut", "m.keras", "--to", "block0_relu", "-o", "out.keras")
        sentence = "edgecut: error: out.keras: File too large; raise the limit (ulimit -f), or choose another place\n"
        assert (answer.code, answer.err) == (3, sentence)
        assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


def test_a_tail_is_followed_by_an_export_that_needs_no_pictures(tmp_path, capsys):
    out = tmp_path / "my tail.keras"
    answer = cut(capsys, out, "--from", "block_2_relu")
    assert answer.err.endswith(f"next: edgecut export '{out}' --precision float32 -o '{out.with_suffix('.tflite')}'\n")
