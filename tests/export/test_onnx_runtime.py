"""ONNX files as ONNX Runtime's default options run them, and as its own quantizer makes them."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecut import export
from edgecut.errors import ExportError, RequestError
from edgecut.export.artifacts import quantize_onnx
from edgecut.export.onnx_fusion import fusion_difference, keep_pads
from edgecut.runtime.files import FileRunner
from edgecut.sandbox.child import ChildDied
from edgecut.score.distance import distances
from tests.command_line import run
from tests.graph import models
from tests.outside import skip_if_mended

pytestmark = pytest.mark.tensorflow

L = keras.layers


def images(count: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16, 16, 3)).astype("float32")


def padded(kind: str) -> keras.Model:
    """A convolution without activation, a zero padding, and a layer that ONNX Runtime would fold the padding into."""
    keras.utils.set_random_seed(0)
    x = L.ZeroPadding2D(1, name="pad")(L.Conv2D(8, 3, name="conv")(inputs := keras.Input((16, 16, 3), name="image")))
    last = {"max": L.MaxPooling2D(3, 2), "average": L.AveragePooling2D(3, 2), "conv": L.Conv2D(4, 3, 2)}[kind]
    return keras.Model(inputs, last(x), name="padded")


@pytest.mark.parametrize("kind", ["max", "average", "conv"])
def test_a_padding_keeps_its_zeros_under_the_runtimes_default_options(tmp_path: Path, kind: str) -> None:
    model = padded(kind)
    export(model, "onnx", "float32", path=tmp_path / "m.onnx")
    np.testing.assert_allclose(
        FileRunner(tmp_path / "m.onnx").predict(images()), np.asarray(model(images())), atol=1e-5
    )
    assert (fusion_difference((tmp_path / "m.onnx").read_bytes()) or 0) < 1e-5


@pytest.fixture(scope="module")
def unkept(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """The padded maximum as it is written without keep_pads: its Pad names no axes."""
    path = tmp_path_factory.mktemp("unkept") / "m.onnx"
    export(padded("max"), "onnx", "float32", path=path)
    model = onnx.load(path)
    (pad,) = [node for node in model.graph.node if node.op_type == "Pad"]
    (axes,) = [x for x in model.graph.initializer if x.name == pad.input[3]]
    model.graph.initializer.remove(axes)
    del pad.input[2:]
    return model


def test_a_padding_that_names_its_axes_is_a_sound_file_and_is_not_folded(unkept: onnx.ModelProto) -> None:
    model = onnx.ModelProto.FromString(unkept.SerializeToString())
    keep_pads(model)
    onnx.checker.check_model(model)
    assert (fusion_difference(model.SerializeToString()) or 0) < 1e-5


def test_the_runtime_folds_zeros_into_a_max_pooling_that_isnt_kept_from_it(unkept: onnx.ModelProto) -> None:
    """The bug that keep_pads is for: onnxruntime up to 1.31 has it."""
    difference = fusion_difference(unkept.SerializeToString()) or 0
    skip_if_mended(difference < 1e-5, "onnxruntime", "keep_pads")
    assert difference > 0.01


@pytest.mark.parametrize("build", [models.chain, lambda: padded("max")], ids=["chain", "padded"])
def test_the_runtimes_own_quantizer_keeps_near_the_model(tmp_path: Path, build: object) -> None:
    model = build()  # type: ignore[operator]
    pixels = images() * (40 if model.name != "padded" else 1)
    artifact = export(model, "onnx", "int8", pixels, tmp_path / "m.onnx", quantizer="ort")
    outputs = distances(np.asarray(model(pixels)), FileRunner(tmp_path / "m.onnx").predict(pixels))
    assert outputs["sqnr"] > 20
    assert (artifact.precision, artifact.inputs[0].dtype) == ("int8", "float32")
    weights = [x for x in onnx.load(tmp_path / "m.onnx").graph.initializer if x.data_type == TensorProto.INT8]
    assert max(len(x.dims) for x in weights) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def foreign(path: Path) -> Path:
    """A float .onnx file of another hand: channels first, an open batch, opset 13."""
    random = np.random.default_rng(0)
    constants = {"w": random.normal(size=(4, 3, 3, 3)), "v": random.normal(size=(4, 5))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], strides=[2, 2]), helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]), helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "v"], ["y"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    np.savez(tmp_path / "pictures.npz", x_train=pixels, y_train=np.arange(20) % 2)
    return str(tmp_path / "pictures.npz")


def test_a_graph_of_another_hand_is_quantized_and_told_beside_its_float_form(
    tmp_path: Path, pictures: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = foreign(tmp_path / "f.onnx"), tmp_path / "q.onnx"
    answer = run(
        capsys, "export", str(source), "--quantizer", "ort", "--data", pictures, "--preprocess", "tf", "-o", str(out),
        "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document["artifacts"][0]["precision"] == "int8"
    assert document["notes"][0].startswith("20 calibration images: ")
    sqnr = float(document["notes"][0].split()[3])
    assert sqnr > 20
    nodes = onnx.load(out).graph.node
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in nodes}
    x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 16, 16)).astype(np.float32)
    one, other = (onnxruntime.InferenceSession(str(p)).run(None, {"x": x})[0] for p in (source, out))
    np.testing.assert_allclose(one, other, atol=0.1 * np.abs(one).max())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["f.onnx", "-o", "q.onnx"], "export: int8 needs data to calibrate on; pass --data"),
        (["f.onnx", "--quantizer", "ort", "-o", "q.tflite"],
         "--quantizer: ort makes int8 ONNX files, found tflite int8"),
        (["f.onnx", "--quantizer", "ort", "-o", "q.onnx"],
         "export: int8 needs data to calibrate on; pass --data"),
        (["{quantized}", "--quantizer", "ort", "--data", "pictures.npz", "-o", "q.onnx"],
         "{quantized}: is quantized already; give the float model that it was made of"),
        (["f.onnx", "--quantizer", "other", "-o", "q.onnx"],
         "--quantizer: export.quantizer: expected one of 'tflite', 'ort', found 'other' (closest: 'ort')"),
    ],
    ids=["no quantizer", "tflite", "no images", "quantized", "unknown"],
)  # fmt: skip
def test_a_wrong_request_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, pictures: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    foreign(tmp_path / "f.onnx")
    quantized = str(Path(__file__).parents[1] / "fixtures" / "tiny.int8.onnx")
    arguments = [quantized if word == "{quantized}" else word for word in arguments]
    answer = run(capsys, "export", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"edgecut: error: {sentence.replace('{quantized}', quantized)}\n"
    assert not (tmp_path / "q.onnx").exists()


def test_the_runtimes_quantizer_writes_int8_onnx_alone(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^export: quantizer ort writes int8 ONNX files, found onnx float32$"):
        export(models.chain(), "onnx", "float32", path=tmp_path / "m.onnx", quantizer="ort")


def test_a_file_on_which_the_runtimes_quantizer_dies_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody's .onnx file may bring native code down, so that it runs in a child process."""
    export(padded("conv"), "onnx", "float32", path=tmp_path / "m.onnx")

    def die(*job: object) -> None:
        raise ChildDied("the child process that ran it was ended by SIGSEGV")

    monkeypatch.setattr("edgecut.export.onnx_static.run_job", die)
    with pytest.raises(ExportError) as caught:
        quantize_onnx(tmp_path / "m.onnx", images(), tmp_path / "int8.onnx")
    assert str(caught.value) == (
        "export: onnxruntime can't quantize m.onnx: the child process that ran it was ended by SIGSEGV"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
