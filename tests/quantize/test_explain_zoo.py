"""Each figure of an explanation is what an independent loop over the Keras layer and the file's tensors calculates."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.calls import calls
from edgecut.quantize.explain import explain
from edgecut.quantize.source_values import reference
from edgecut.records.explanation import Explanation
from tests.quantize.zoo import MAKERS, images, model

pytestmark = pytest.mark.tensorflow

FED = images()


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[keras.Model, bytes, Explanation]]:
    found = {}
    for name in MAKERS:
        source, folder = model(name), tmp_path_factory.mktemp(name) / "saved"
        write_saved_model(source, folder)
        content, floats = convert(folder, source, "int8", [FED]), convert(folder, source, "float32")
        found[name] = source, content, explain(content, name, FED, reference(source, FED, floats))
    return found


def tensors_of(content: bytes) -> list[np.ndarray]:
    """The real values of all computed tensors of a file over the images, (n, ...)."""
    interpreter = Interpreter(
        model_content=content, experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )  # fmt: skip
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    scale, zero = source["quantization"]
    details = [d for d in interpreter.get_tensor_details() if len(d["shape"]) and d["shape"][0] == 1]
    rows: list[list[np.ndarray]] = [[] for _ in details]
    for image in FED:
        codes = np.floor(image.astype(np.float64) / scale + 0.5) + zero
        interpreter.set_tensor(source["index"], np.clip(codes, -128, 127).astype(np.int8)[None])
        interpreter.invoke()
        for row, detail in zip(rows, details, strict=True):
            values, (step, offset) = interpreter.get_tensor(detail["index"]).astype(np.float64), detail["quantization"]
            row.append((values - offset) * step if step else values)
    return [np.concatenate(row) for row in rows]


def layer_values(source: keras.Model, names: list[str]) -> Mapping[str, np.ndarray]:
    """The layers' outputs as Keras itself computes them; a nested model's are computed by its own layers."""
    found, known = {}, {}
    for call in calls(source):
        if call.is_input:
            known[call.outputs[0]] = keras.ops.convert_to_tensor(FED)
            continue
        args, kwargs = keras.tree.map_structure(lambda x: known.get(x, x), (call.args, call.kwargs))
        known[call.outputs[0]] = call.operation(*args, **kwargs)
        if call.name in names:
            found[call.name] = np.asarray(known[call.outputs[0]], np.float64)
    return found


def sqnr(expected: np.ndarray, got: np.ndarray) -> float:
    noise = float(np.sum((got.reshape(expected.shape) - expected) ** 2))
    return 10 * np.log10(float(np.sum(expected**2)) / max(noise, 1e-30))


@pytest.mark.parametrize("name", MAKERS)
def test_every_sqnr_is_that_of_the_layers_own_tensor(
    name: str, explained: dict[str, tuple[keras.Model, bytes, Explanation]]
) -> None:
    """A layer's own tensor is the one of its size that is nearest to it."""
    source, content, found = explained[name]
    tensors = tensors_of(content)
    values = layer_values(source, [row.name for row in found.layers])
    for row in found.layers:
        expected = values[row.name]
        nearest = max(sqnr(expected, x) for x in tensors if x.size == expected.size)
        assert row.sqnr == pytest.approx(nearest, abs=0.05), row.name


@pytest.mark.parametrize("name", MAKERS)
def test_what_only_moves_data_adds_no_error(
    name: str, explained: dict[str, tuple[keras.Model, bytes, Explanation]]
) -> None:
    moving = {"RESHAPE", "TRANSPOSE", "STRIDED_SLICE", "MAX_POOL_2D", "PAD", "CONCATENATION", "TILE"}
    assert {row.added for row in explained[name][2].layers if row.operator in moving} <= {0.0}


def test_the_depthwise_half_of_a_separable_layer_is_left_out_and_counted(
    explained: dict[str, tuple[keras.Model, bytes, Explanation]],
) -> None:
    found = explained["separable"][2]
    assert [row.name for row in found.layers] == ["first", "relu_1", "separable_2", "pool", "scores"]
    assert [label.rpartition(" ")[2] for label in found.unmatched] == ["(DEPTHWISE_CONV_2D)"] * 2


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("attention", {"tokens", "attention", "sum", "scores"}), ("nested", {"block.relu@0", "block.relu@1"}),
        ("normalized", {"layer_norm", "group_norm"}), ("residual", {"norm", "sum_relu", "excite", "scale"}),
        ("moved", {"permute", "reshape", "twice", "crop", "max", "flat"}), ("transposed", {"up", "grouped"}),
        ("activated", {"act_gelu", "act_silu", "act_mish", "act_relu6", "prelu"}), ("recurrent", {"lstm"}),
        ("parallel", {"way_0", "way_1", "way_2", "mean"}), ("shared", {"twice@0", "twice@2", "both"}),
    ],
)  # fmt: skip
def test_layers_that_become_several_operators_are_compared_at_their_end(
    name: str, layers: set[str], explained: dict[str, tuple[keras.Model, bytes, Explanation]]
) -> None:
    assert layers <= {row.name for row in explained[name][2].layers}
