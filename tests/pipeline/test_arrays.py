"""Networks that no camera feeds: sounds, windows of sensors, several inputs, sequences; the whole line to a bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import edgecut
from edgecut.bench.runners import tflm
from edgecut.errors import DocumentError
from edgecut.handoff.compare import compare
from edgecut.handoff.verify import verify
from edgecut.pipeline.plan import plan
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Recipe, make_recipe
from edgecut.records.report import Report
from tests.sensed import pair_net, recurrent_net, windows_net
from tests.source.onnx.torch_keywords import torch_keywords

pytestmark = pytest.mark.tensorflow


def _recipe(folder: Path, name: str, model: str = "", **keys: object) -> Recipe:
    """A recipe of a folder's NAME.npz, and of its NAME.keras or another model."""
    source = {"model": str(folder / (model or f"{name}.keras"))}
    tables = {"name": name, "source": source, "bench": {"runs": 3, "warmup": 1}}
    return make_recipe(tables, {"data.train": str(folder / f"{name}.npz"), **keys}, where="r.toml")


def _value(report: Report, metric: str, artifact: str) -> float:
    """By this host's kernels."""
    key = (metric, artifact, "measured", None)
    (found,) = [m.value for m in report.measurements if (m.metric, m.artifact, m.kind, m.profile) == key]
    assert found is not None
    return found


def _is_proven_on_samples(report: Report, model: str) -> None:
    """Of an .onnx file: its import is within rounding of ONNX Runtime, on samples of the .npz, too."""
    proof = report.steps[0].proof
    if model.endswith(".onnx"):
        assert proof.images == 8
        assert proof.relative_error is not None
        assert proof.relative_error < 1e-5


def _is_sound(out: Path) -> None:
    """The bundle verifies, its C test passes under the strictest compiler, and TFLM gives its vectors' outputs."""
    result = verify(out)
    assert (result.faults, result.vectors) == ((), 4)
    assert shutil.which("make")
    done = subprocess.run(["make", "-C", str(out / "c"), "test"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 golden vectors are whole" in done.stdout
    if tflm.is_here():
        assert json.loads((out / "vectors" / "vectors.json").read_text())["tflm_lsb"] is not None


@pytest.mark.parametrize("model", ["keywords.keras", "keywords.onnx"])
def test_a_keyword_net_becomes_an_int8_bundle_as_right_as_its_float_model(
    sounds: Path, tmp_path: Path, model: str
) -> None:
    out = tmp_path / "dist"
    if model.endswith(".onnx"):
        torch_keywords(sounds)
    keys = {"data.kind": "arrays", "data.labels": str(sounds / "keywords.txt")}
    report = edgecut.build(_recipe(sounds, "keywords", model, **keys), ["nucleo-l4r5zi"], out)
    _is_proven_on_samples(report, model)
    assert _value(report, "accuracy", "keywords.keras") > 0.9
    assert abs(_value(report, "accuracy_drop", "keywords.int8.tflite")) <= 0.015
    assert (out / "labels.txt").read_text() == "low\nhigh\nrising\nfalling\n"
    _is_sound(out)
    assert "where r is the value that the source model takes" in (out / "README.md").read_text()


@pytest.mark.parametrize("model", ["hum.keras", "hum.onnx"])
def test_a_dense_autoencoder_is_judged_by_what_it_puts_out_again(sounds: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "dist"
    if model.endswith(".onnx"):
        edgecut.export(edgecut.load(sounds / "hum.keras"), "onnx", "float32", path=sounds / model)
    report = edgecut.build(_recipe(sounds, "hum", model, **{"data.target": "input"}), ["nucleo-l4r5zi"], out)
    _is_proven_on_samples(report, model)
    assert _value(report, "r2", "hum.keras") > 0.6
    assert abs(_value(report, "accuracy_drop", "hum.int8.tflite")) <= 0.015
    assert _value(report, "rmse", "hum.int8.tflite") < 1.1 * _value(report, "rmse", "hum.keras")
    _is_sound(out)


def test_several_inputs_go_in_by_name(tmp_path: Path) -> None:
    pair_net(tmp_path)
    out = tmp_path / "dist"
    keys = {"export.formats": ["tflite", "onnx"]}
    report = edgecut.build(_recipe(tmp_path, "pair", **keys), ["nucleo-l4r5zi", "host"], out)
    for name in ("pair.float32.tflite", "pair.int8.tflite", "pair.float32.onnx", "pair.int8.onnx"):
        assert _value(report, "sqnr", name) > 25
    _is_sound(out)
    sheet = json.loads((out / "vectors" / "vectors.json").read_text())
    assert [sheet["input"]["name"], *(row["name"] for row in sheet["more_inputs"])] == ["right", "left"]
    assert all(row["agrees"] for row in sheet["agreements"])
    assert (out / "vectors" / "input_0.bin").stat().st_size == 24
    found = compare(out, out / "models" / "pair.float32.tflite", data=str(tmp_path / "pair.npz"))
    assert found is not None


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_recurrent_loop_is_unrolled_for_int8(tmp_path: Path, kind: str) -> None:
    recurrent_net(tmp_path, kind)
    out = tmp_path / "dist"
    recipe = _recipe(tmp_path, "recurrent", **{"export.precisions": ["int8"]})
    planned = plan(recipe, [find_profile("nucleo-l4r5zi")])
    assert [note for note in planned.notes if "unrolled" in note] == [
        f"int8: layer 'recurrent' ({kind}) is unrolled over its 12 steps, since TensorFlow can't calibrate a loop; "
        "file and arena grow with them"
    ]
    report = edgecut.build(recipe, ["nucleo-l4r5zi"], out)
    assert _value(report, "sqnr", "recurrent.int8.tflite") > 25
    _is_sound(out)


def test_a_head_is_fitted_on_windows_of_a_sensor_by_scale(tmp_path: Path) -> None:
    windows_net(tmp_path)
    keys = {"cut.to": "conv_1", "head.classes": 3, "source.preprocess": {"scale": 0.001}}
    report = edgecut.build(_recipe(tmp_path, "windows", **keys), ["nucleo-l4r5zi"], tmp_path / "dist")
    assert _value(report, "accuracy", "windows.keras") > 0.9
    assert abs(_value(report, "accuracy_drop", "windows.int8.tflite")) <= 0.05
    _is_sound(tmp_path / "dist")
    assert "r is x * 0.001 + 0.0, where x is the value in the arrays" in (tmp_path / "dist" / "README.md").read_text()


def test_what_arrays_cannot_be_is_refused_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    windows_net(tmp_path)
    recipe = _recipe(
        tmp_path, "windows", **{"source.preprocess": "tf", "stem.channels": 1, "data.target": "input",
                                "export.quantizer": "ort", "export.formats": ["onnx"]},
    )  # fmt: skip
    with pytest.raises(DocumentError) as caught:
        plan(recipe, (), tmp_path / "dist")
    assert caught.value.faults == (
        "windows: stem: edits an input of pictures, and arrays feed [(None, 64, 3)] as they are; leave [stem] out",
        "windows: source.preprocess: 'tf' is of pictures; arrays are taken as they are, or by "
        "{scale = ..., offset = ...}",
        "windows: export.quantizer: ort calibrates on pictures, and arrays feed the model; leave it out, since "
        "TFLite's converter makes int8 files of both formats",
        "windows: data.target: 'input' needs an output of the input's (64, 3), and the model puts out (None, 5); set "
        "data.target to what the labels are (--target)",
    )
    assert not (tmp_path / "dist").exists()


def test_a_scale_of_another_length_than_the_last_axis_is_refused(tmp_path: Path) -> None:
    windows_net(tmp_path)
    keys = {"cut.to": "conv_1", "head.classes": 3, "source.preprocess": {"offset": [1.0, 2.0]}}
    with pytest.raises(DocumentError) as caught:
        plan(_recipe(tmp_path, "windows", **keys))
    assert caught.value.faults == (
        "windows: source.preprocess: offset has 2 values, and the input (None, 64, 3) has 3 in its last axis; give one "
        "for each, or one number",
    )
