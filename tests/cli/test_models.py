"""Commands that load a Keras model, on the demo's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgecut.graph.dataflow import Dataflow
from edgecut.graph.layer_call import UnsaidError
from edgecut.records.recipe import Source
from edgecut.runtime.files import FileRunner
from tests.command_line import run

pytestmark = pytest.mark.tensorflow

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"
MODEL = str(DEMO / "cifar10_backbone.keras")


def test_inspect_gives_what_a_cut_costs(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "inspect", MODEL, "--json").out)
    points = {point["name"]: point for point in document["cut_points"]}
    assert (document["calls"], points["block_2_add"]["legal_start"]) == (40, True)
    assert points["block_2_1_conv"]["bypass"] == ["block_2_shortcut_bn"]
    assert points["predictions"]["macs"] == document["macs"]
    # 32 x 32 x 16 outputs of 3 x 3 x 3 multiply-accumulates each, by hand.
    assert points["stem_conv"]["macs"] == 32 * 32 * 16 * 27


@pytest.mark.parametrize("words", [(), ("--cuts", "--profile", "nucleo-l4r5zi,raspberry-pi-4")], ids=len)
@pytest.mark.parametrize("form", ["functional.keras", "sequential.h5", "normalized.keras", "normalized.h5"])
def test_a_file_is_inspected_as_the_model_in_it(
    words: tuple[str, ...],
    form: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = str(saved_as(tmp_path, form))
    saved = run(capsys, "inspect", path, *words, "--json")

    def unsaid(source: Source) -> Dataflow:
        raise UnsaidError("the test says so")

    monkeypatch.setattr("edgecut.source.saved.read_dataflow", unsaid)
    live = run(capsys, "inspect", path, *words, "--json")
    assert (saved.code, saved.out, saved.err) == (0, live.out, "")
    assert live.err == f"edgecut: {path}: the test says so; TensorFlow reads the model\n"


def saved_as(folder: Path, form: str) -> Path:
    """A model of a kind in a file of its name."""
    import keras
    from keras import layers

    if form.startswith("functional"):
        return Path(MODEL)
    x = inputs = keras.Input((16, 16, 3), name="image")
    if form.startswith("sequential"):
        rows = [layers.Conv2D(4, 3, strides=2, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
        model = keras.Sequential([inputs, *rows, layers.Dense(3, name="scores")])
    else:
        # The shift of one normalization is all zeros, which a converter leaves out, and that of the other isn't.
        for number, name in enumerate(("still", "moved")):
            x = layers.LayerNormalization(name=name)(layers.Conv2D(4, 3, name=f"conv_{number}")(x))
        model = keras.Model(inputs, layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D()(x)))
        model.get_layer("moved").beta.assign(np.ones(4))
    model.save(folder / form)
    return folder / form


def test_inspect_can_leave_out_what_is_no_start(capsys: pytest.CaptureFixture[str]) -> None:
    points = json.loads(run(capsys, "inspect", MODEL, "--legal", "--json").out)["cut_points"]
    assert "block_2_add" in [point["name"] for point in points]
    assert all(point["legal_start"] for point in points)


def test_inspect_says_what_a_cut_costs_on_each_device_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "net.svg"
    devices = ("--profile", "nucleo-l4r5zi", "--profile", "raspberry-pi-4")
    answer = run(capsys, "inspect", MODEL, "--cuts", *devices, "--svg", str(picture), "--json")
    points = {point["name"]: point for point in json.loads(answer.out)["cut_points"]}
    assert len(points) == 40
    found = [(m["metric"], m["profile"], m["kind"]) for m in points["block_2_add"]["measurements"]]
    assert found[:2] == [("latency", "nucleo-l4r5zi", "estimated"), ("arena", "nucleo-l4r5zi", "estimated")]
    assert {profile for _, profile, _ in found[2:]} == {"raspberry-pi-4"}
    assert answer.err == f"edgecut: wrote {picture}\n"
    drawn = picture.read_text("utf-8")
    assert all(f">{name}</text>" in drawn for name in points)


def test_a_picture_is_an_svg_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", MODEL, "--svg", str(tmp_path / "net.png"))
    found = str(tmp_path / "net.png")
    assert (answer.code, answer.err) == (2, f"edgecut: error: --svg: an .svg file is written, found {found!r}\n")


def test_export_writes_a_file_that_takes_calibrated_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, data = tmp_path / "m.tflite", str(tmp_path / "dim.npz")
    dim = np.random.default_rng(0).integers(90, 160, (60, 32, 32)).astype("uint8")
    np.savez(data, x_train=dim, y_train=np.arange(60) % 10)
    answer = run(
        capsys, "export", MODEL, "--data", data, "--preprocess", "tf", "--calibration", "50", "-o", str(out), "--json"
    )
    (artifact,) = json.loads(answer.out)["artifacts"]
    assert (answer.code, answer.err, artifact["precision"]) == (0, f"edgecut: next: edgecut bench {out}\n", "int8")
    taken = FileRunner(out).inputs[0]
    # Pixels go from -1 to 1 under `tf`, so 256 steps of 2 / 255, though no image reaches black or white.
    assert taken.scale == pytest.approx(2 / 255, rel=1e-5)
    assert run(capsys, "export", MODEL, "--precision", "float32", "-o", str(out)) == (
        2, "", f"edgecut: error: {out}: exists; pass --force to replace it\n",
    )  # fmt: skip
