"""`edgecut import`, and the commands that take an .onnx file as the model that it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecut.runtime.files import FileRunner
from edgecut.source.onnx import conversion
from tests.command_line import Answer, run
from tests.source.onnx.torch_cnn import CLASSES, torch_cnn

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def cnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    torch_cnn(Path("cnn.onnx"))
    return "cnn.onnx"


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> Answer:
    answer = run(capsys, *words)
    assert answer.code == 0, answer.err
    return answer


def differences(file: Path, x: np.ndarray, source: str = "cnn.onnx") -> float:
    """Of a file that takes channels last from the .onnx file, over its largest value."""
    expected = FileRunner(source).predict(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    return float(np.abs(FileRunner(file).predict(x) - expected).max() / np.abs(expected).max())


def test_a_file_is_imported_and_proven_on_seeded_inputs_and_on_pictures(
    cnn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    np.savez("pictures.npz", x_train=pixels, y_train=np.arange(12) % 2)
    words = ("--preprocess", "torch", "--data", "pictures.npz", "-o", "cnn.keras", "--json")
    answer = answered(capsys, "import", cnn, *words)
    step = json.loads(answer.out)
    assert step["before"] == {"inputs": {"input": [1, 3, 32, 32]}, "outputs": {"output": [1, CLASSES]}, "operators": 17}
    assert (step["after"]["inputs"], step["after"]["outputs"]) == ([[None, 32, 32, 3]], [[None, CLASSES]])
    assert (step["proof"]["inputs"], step["proof"]["images"], step["proof"]["tolerance"]) == (4, 8, 1e-4)
    assert step["proof"]["relative_error"] < 1e-5
    gray = "a gray camera then feeds raw bytes (--gray --pixels raw)"
    assert step["notes"][-2] == f"the mean or the scale differs by channel, so {gray}"
    assert step["notes"][-1] == "the written file was loaded again and is bit-equal to the imported model"
    again = json.loads(answered(capsys, "inspect", "cnn.keras", "--json").out)
    assert "block.depthwise.1" in [point["name"] for point in again["cut_points"]]


def test_a_model_that_errs_is_not_written(
    cnn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convert = conversion.convert

    def wrong(*arguments: object, **options: object) -> conversion.Imported:
        imported = convert(*arguments, **options)  # type: ignore[arg-type]
        bias = imported.model.get_layer("fc").bias
        bias.assign(bias + 0.01)
        return replace(imported)

    monkeypatch.setattr(conversion, "convert", wrong)
    answer = run(capsys, "import", cnn, "-o", "cnn.keras")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith(
        "edgecut: error: cnn.onnx: the imported model's 'output' differs from ONNX Runtime's by "
    )
    assert answer.err.endswith(" of its largest value, and 0.0001 is let pass for rounding; nothing is written\n")
    assert sorted(path.name for path in Path().iterdir()) == ["cnn.onnx"]


def test_the_remedy_of_a_refused_operator_runs(cnn: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch_cnn(Path("places.onnx"), tail="NonZero")
    answer = run(capsys, "import", "places.onnx", "-o", "places.keras")
    assert (answer.code, answer.err) == (
        2,
        "edgecut: error: places.onnx: can't be imported: NonZero (puts out as many places as the data says) at "
        "'/tail/NonZero'; cut it off, and import the part: edgecut cut places.onnx --to /fc/Gemm_output_0 -o "
        "part.onnx\n",
    )
    answered(capsys, *answer.err.rstrip().rpartition("edgecut ")[2].split())
    answered(capsys, "import", "part.onnx", "-o", "part.keras")


def test_a_file_is_cut_at_tensors_into_onnx_and_at_layers_into_keras(
    cnn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(capsys, "cut", cnn, "--to", "/block/Add_output_0", "-o", "part.onnx")
    assert onnx.load("part.onnx").graph.output[0].name == "/block/Add_output_0"
    step = json.loads(answered(capsys, "cut", cnn, "--to", "block.add", "-o", "part.keras", "--json").out)
    assert step["after"]["outputs"] == {"block.add": [None, 16, 16, 8]}
    assert run(capsys, "cut", cnn, "--to", "0", "--drop", "1", "-o", "other.onnx").err == (
        "edgecut: error: --drop: cnn.onnx has no layers; write a .keras file (-o *.keras)\n"
    )


def test_commands_take_the_file_as_its_model(cnn: str, capsys: pytest.CaptureFixture[str]) -> None:
    points = json.loads(answered(capsys, "inspect", cnn, "--cuts", "--json").out)["cut_points"]
    assert [point["name"] for point in points if point["legal_start"]][-3:] == ["down.2", "pool", "fc"]
    assert points[-1]["nodes"] == ["/fc/Gemm"]
    gray = ("--gray", "--preprocess", "torch", "--pixels", "raw", "-o", "gray.keras", "--json")
    assert json.loads(answered(capsys, "stem", cnn, *gray).out)["after"]["inputs"] == [[None, 32, 32, 1]]
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)
    for name in ("float.tflite", "float.onnx"):
        answered(capsys, "export", cnn, "--precision", "float32", "-o", name)
        assert differences(Path(name), x) < 1e-5


def test_explain_names_the_file_s_nodes_beside_the_layers(cnn: str, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    np.savez("pictures.npz", x_train=pixels, y_train=np.arange(40) % 2)
    taken = ("--data", "pictures.npz", "--preprocess", "tf")
    answered(capsys, "export", cnn, *taken, "-o", "int8.tflite")
    answer = answered(capsys, "explain", "int8.tflite", "--source", cnn, *taken, "--json")
    layers = json.loads(answer.out)["explanation"]["layers"]
    nodes = {layer["name"]: layer["nodes"] for layer in layers}
    assert nodes["block.add"] == ["/block/Add"]
    assert all(nodes.values())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cnn.onnx", "-o", "cnn.tflite"],
         "cnn.tflite: a Keras model is written; name it *.keras (edgecut export makes other files of it)"),
        (["other.keras", "-o", "cnn.keras"],
         "other.keras: no such file; give a .keras, .h5 or .onnx file, or keras:NAME such as keras:MobileNetV2"),
        (["open.onnx", "-o", "cnn.keras"],
         "open.onnx: leaves sizes of 'input' open: (N, 3, H, H); pass shape= (--shape) without the batch"),
        (["open.onnx", "--shape", "3x32", "-o", "cnn.keras"],
         "open.onnx: takes 'input' as (3, ?, ?) behind the batch, and shape= says (3, 32)"),
        (["cnn.onnx", "--data", "none", "-o", "cnn.keras"], "--data: no such file or folder 'none'"),
    ],
)  # fmt: skip
def test_what_can_be_known_before_is_told_before(
    cnn: str, capsys: pytest.CaptureFixture[str], words: Sequence[str], sentence: str
) -> None:
    torch_cnn(Path("open.onnx"), size="H")
    answer = run(capsys, "import", *words)
    assert (answer.code, answer.err) == (2, f"edgecut: error: {sentence}\n")
    assert not Path("cnn.keras").exists()


def test_a_quantized_file_is_refused_and_taken_in_floats_with_its_sqnr(
    cnn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    np.savez("pictures.npz", x_train=pixels, y_train=np.arange(20) % 2)
    taken = ("--data", "pictures.npz", "--preprocess", "tf")
    answered(capsys, "export", cnn, "--quantizer", "ort", *taken, "-o", "int8.onnx")
    answer = run(capsys, "import", "int8.onnx", "-o", "int8.keras")
    reason = "the file is quantized already; give the float file that it was made of, or pass --dequantize"
    assert (answer.code, reason in answer.err, Path("int8.keras").exists()) == (2, True, False)
    words = ("--dequantize", *taken, "-o", "int8.keras", "--json")
    proof = json.loads(answered(capsys, "import", "int8.onnx", *words).out)["proof"]
    assert (proof["reason"], proof["images"]) == ("the file rounds to integers", 8)
    assert proof["sqnr"] > 20
    assert "tolerance" not in proof
