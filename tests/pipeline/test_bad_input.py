"""What a user can get wrong: one sentence, the right exit code, no traceback, nothing written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from tests.demo import DEMO

pytestmark = pytest.mark.tensorflow

MODEL = str(DEMO / "cifar10_backbone.keras")
IMAGES = str(DEMO / "fashion_mnist.npz")


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, work, *words, code=2):
    before = sorted(p.name for p in work.iterdir())
    answer = run(capsys, "build", *words, "-o", "out")
    assert answer.code == code
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert sorted(p.name for p in work.iterdir()) == before
    return [line.removeprefix("edgecut: error: ") for line in answer.err.strip().splitlines() if "error:" in line]


def test_a_missing_model(capsys, work):
    assert refused(capsys, work, "none.keras", "--precision", "float32") == [
        "none: source.model: none.keras: no such file; give a .keras, .h5 or .onnx file, "
        "or keras:NAME such as keras:MobileNetV2"
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; give a .keras, .h5 or .onnx file"),
        (b"not a model at all", "is no Keras model (neither a .keras archive nor an HDF5 file)"),
    ],
)
def test_a_file_that_is_no_model(capsys, work, content, sentence):
    (work / "m.keras").write_bytes(content)
    assert refused(capsys, work, "m.keras", "--precision", "float32") == [f"m: source.model: m.keras: {sentence}"]


def test_a_truncated_model(capsys, work):
    content = Path(MODEL).read_bytes()
    (work / "m.keras").write_bytes(content[: len(content) // 2])
    (line,) = refused(capsys, work, "m.keras", "--precision", "float32")
    assert line.startswith("m: source.model: m.keras: is truncated or damaged (")


def test_weights_that_are_damaged_inside_a_sound_archive(capsys, work):
    import zipfile

    with zipfile.ZipFile(MODEL) as source, zipfile.ZipFile(work / "m.keras", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:1000] if name.endswith(".h5") else content)
    (line,) = refused(capsys, work, "m.keras", "--precision", "float32")
    assert line.startswith("m.keras: can't be loaded: ")


def test_every_fault_of_a_recipe_at_once(capsys, work):
    (work / "r.toml").write_text(
        f'schema = "edgecut.recipe/1"\n[source]\nmodel = "{MODEL}"\npreproces = "tf"\n[cut]\nto = "block_2_relu"\n'
        '[head]\nclasses = "ten"\n[budget]\nlatency_s = "5 parsec"\n'
    )
    assert refused(capsys, work, "r.toml", "--profile", "nucleo-l4r5z") == [
        "r.toml: source.preproces: unknown key (closest: 'preprocess')",
        "r.toml: head.classes: expected a whole number, found 'ten'",
        "r.toml: budget.latency_s: '5 parsec' is not a time such as '50 ms'",
        "no profile 'nucleo-l4r5z' (closest: 'nucleo-l4r5zi', 'nucleo-l4r5zi-xcubeai', 'nucleo-u575zi'); "
        "`edgecut profile list` shows all",
    ]


def test_an_unknown_layer_and_int8_without_images_at_once(capsys, work):
    assert refused(capsys, work, MODEL, "--to", "block_2_rleu", "--name", "m") == [
        "m: cut.to: no layer 'block_2_rleu' (closest: 'block_2_relu', 'block_2_1_relu', 'block_4_relu')",
        "m: export.precisions: int8 needs data to calibrate on; set data.train (--data)",
    ]


def test_unknown_layers_that_training_is_told_of(capsys, work):
    np.savez(work / "d.npz", x_train=np.zeros((20, 32, 32, 3), "uint8"), y_train=np.arange(20) % 2)
    training = ("--head", "finetune", "--unfreeze", "block_9", "--set", "compress.qat=true")
    skipped = ("--set", 'compress.skip=["head_dense", "nope"]', "--set", "compress.epochs=1")
    cut = ("--name", "m", "--to", "block_2_relu", "--classes", "2", "--data", "d.npz")
    assert refused(capsys, work, MODEL, *cut, *training, *skipped) == [
        "m: compress.skip: no layer 'nope'",
        "m: head.unfreeze: no layer 'block_9' (closest: 'block_4_add', 'block_3_add', 'block_2_add')",
    ]


def test_an_image_that_does_not_decode(capsys, work):
    for label in ("cat", "dog"):
        folder = work / "data" / label
        folder.mkdir(parents=True)
        for k in range(3):
            (folder / f"{k}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    lines = refused(capsys, work, MODEL, "--name", "m", "--to", "block_2_relu", "--classes", "2", "--data", "data")
    names = [f"data/{label}/{k}.png" for label in ("cat", "dog") for k in range(3)]
    assert sorted(lines) == [
        f"m: data.train: {name} is no image that can be decoded; replace or remove it" for name in names
    ]


def test_an_empty_class_folder(capsys, work):
    (work / "data" / "cat").mkdir(parents=True)
    (work / "data" / "dog").mkdir()
    shutil.copy(__file__, work / "data" / "dog" / "notes.txt")
    lines = refused(capsys, work, MODEL, "--name", "m", "--to", "block_2_relu", "--classes", "2", "--data", "data")
    assert any("cat" in line for line in lines)


def test_labels_out_of_range(capsys, work):
    np.savez(work / "d.npz", x_train=np.zeros((20, 32, 32, 3), "uint8"), y_train=np.arange(20) // 2 * 2)
    lines = refused(capsys, work, MODEL, "--name", "m", "--to", "block_2_relu", "--classes", "5", "--data", "d.npz")
    assert lines == [
        "m: data.train: d.npz: y_train: labels are 0..18, and 5 classes allow 0..4; "
        "set head.classes = 19 or leave those images out"
    ]


def test_a_normalized_gray_pixel_under_three_normalizations(capsys, work):
    lines = refused(capsys, work, MODEL, "--name", "m", "--gray", "--preprocess", "caffe", "--precision", "float32")
    assert lines == [
        "m: stem.pixels: source.preprocess treats the channels differently, so one normalized gray value can't carry "
        "it; set stem.pixels = 'raw' (--pixels raw)"
    ]


def test_normalized_rgb_for_a_source_that_was_trained_on_bgr(capsys, work):
    rows = ("--set", "source.preprocess={scale=0.1, offset=0.0, order='bgr'}", "--precision", "float32")
    lines = refused(capsys, work, MODEL, "--name", "m", "--order", "rgb", *rows)
    assert lines == [
        "m: stem.pixels: rgb pixels are mixed as bytes, before source.preprocess; set stem.pixels = 'raw' "
        "(--pixels raw)"
    ]


def test_a_size_that_the_model_can_not_take(capsys, work):
    (line,) = refused(capsys, work, MODEL, "--name", "m", "--size", "1x0", "--precision", "float32")
    assert line == "--size: stem.size: height and width are at least 1, found [1, 0]"


def test_a_profile_that_takes_none_of_the_files(capsys, work):
    (line,) = refused(capsys, work, MODEL, "--name", "m", "--precision", "float32", "--profile", "nucleo-l4r5zi")
    assert line == (
        "m: profile nucleo-l4r5zi: takes tflite in int8, and none of the files to write is such; change export.formats "
        "or export.precisions"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(capsys, work):
    work.chmod(0o555)
    try:
        (line,) = refused(capsys, work, MODEL, "--name", "m", "--precision", "float32")
    finally:
        work.chmod(0o755)
    assert "can't be written" in line


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the processor time of another process there")
@pytest.mark.parametrize("seconds", [0.3, 3.0, 6.0])
def test_an_interrupt_leaves_no_output(work, seconds):
    """Before, while and after TensorFlow starts; of processor time, so that a busy machine moves no interrupt."""
    words = ["build", MODEL, "--name", "m", "--to", "block_2_relu", "--data", IMAGES, "--classes", "10", "-o", "out"]
    child = subprocess.Popen([sys.executable, "-m", "edgecut", *words], stderr=subprocess.PIPE, cwd=work)
    while child.poll() is None and processor_time(child.pid) < seconds:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    errors = child.communicate(timeout=60)[1].decode()
    if child.returncode != 0:  # a very fast machine may have finished
        # Both are 130 to a shell. Python ends itself by the signal where that met code made of text, such as a
        # dataclass's methods, though it was caught (CPython's unhandled_keyboard_interrupt).
        assert child.returncode in {130, -signal.SIGINT}
        assert "Traceback" not in errors
        assert list(work.iterdir()) == []


def processor_time(pid):
    """The seconds that a running process has used: fields 14 and 15 of its stat, see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_labels_of_another_count_than_an_edited_models_outputs(capsys, work):
    """What a dropped layer leaves is known once the model is loaded: the plan can't say it, and the build does."""
    (work / "labels.txt").write_text("a\nb\n")
    words = (MODEL, "--name", "m", "--set", "cut.drop=['block_1_relu']", "--labels", "labels.txt")
    assert refused(capsys, work, *words, "--precision", "float32") == [
        "data.labels: labels.txt names 2 classes ('a', 'b'), and the model has 10 outputs; name each output, in their "
        "order"
    ]
