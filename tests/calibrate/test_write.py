"""Files written operator by operator: LiteRT runs them, and they read back as they were meant."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgecut.calibrate import layers as put
from edgecut.calibrate.layers import Sheet
from edgecut.calibrate.specimens import specimens
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.write import Draft


def interpreter(content: bytes) -> Interpreter:
    found = Interpreter(model_content=content, num_threads=1)
    found.allocate_tensors()
    return found


def test_a_written_dense_layer_computes_what_its_constants_say() -> None:
    draft = Draft()
    x, y = draft.tensor((1, 3), "float32"), draft.tensor((1, 2), "float32")
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    constants = [draft.constant(weights), draft.constant(np.array([0.5, -0.5], np.float32))]
    draft.operator("FULLY_CONNECTED", (x, *constants), (y,), 1, "FullyConnectedOptions")
    runner = interpreter(draft.file((x,), (y,)))
    runner.set_tensor(x, np.array([[1, 10, 100]], np.float32))
    runner.invoke()
    np.testing.assert_array_equal(runner.get_tensor(y), [[321.5, 653.5]])


def test_what_is_written_reads_back() -> None:
    draft = Draft()
    x, y = draft.tensor((1, 4, 4, 2), "int8", 0.5, 3), draft.tensor((1, 4, 4, 2), "int8", 0.25, -1)
    draft.operator("RELU", (x,), (y,), 2)
    graph = parse(draft.file((x,), (y,)), "written")
    assert [(op.name, op.version, op.inputs, op.outputs) for op in graph.operators] == [("RELU", 2, (0,), (1,))]
    assert [(t.shape, t.dtype, t.scales, t.zero_points) for t in graph.tensors] == [
        ((1, 4, 4, 2), "int8", (0.5,), (3,)),
        ((1, 4, 4, 2), "int8", (0.25,), (-1,)),
    ]
    assert (graph.inputs, graph.outputs) == ((0,), (1,))


def test_equal_constants_share_the_files_bytes() -> None:
    sheet = Sheet(Draft(), "float32")
    image = x = put.image(sheet, (1, 4, 4, 64))
    for _ in range(5):
        x = put.conv(sheet, x, 64, 3)
    assert len(sheet.draft.file((image,), (x,))) < 2 * 64 * 64 * 9 * 4


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_litert_runs_every_kind_of_calibration_file(dtype: str) -> None:
    """One file of each operator, and of each family of chains."""
    seen: set[str] = set()
    for file in specimens([dtype]):
        if "chain_10_" in file.name:
            break
        kind = file.name.split("_", 3 if file.kind == "chain" else 2)[-1]
        if kind in seen:
            continue
        seen.add(kind)
        runner = interpreter(file.content)
        for details in runner.get_input_details():
            runner.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
        runner.invoke()
    assert len(seen) > 35
