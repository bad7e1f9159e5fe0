"""The files that generated C is proven with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecut.bench.runners import tflm
from edgecut.tflite.flatbuffer import parse
from tools.int8_files import BODIES, SINGLE, random_nets, single_operators

needs_tflm = pytest.mark.skipif(not tflm.is_here(), reason="the TensorFlow Lite Micro interpreter is absent")
TINY = Path(__file__).parent.parent / "fixtures" / "tiny.int8.tflite"


def test_the_same_seed_gives_the_same_files_and_another_gives_others() -> None:
    assert list(single_operators(40, 5)) == list(single_operators(40, 5))
    assert list(random_nets(12, 5)) == list(random_nets(12, 5))
    assert {f.content for f in random_nets(12, 5)}.isdisjoint({f.content for f in random_nets(12, 6)})


def test_every_kind_of_operator_and_of_net_comes_in_turn() -> None:
    names = [file.name for file in (*single_operators(len(SINGLE)), *random_nets(len(BODIES)))]
    assert [name.split("_", 1)[1] for name in names] == [*SINGLE, *BODIES]


@needs_tflm
def test_the_interpreter_runs_a_file_of_every_kind(tmp_path: Path) -> None:
    paths = []
    for file in (*single_operators(len(SINGLE)), *random_nets(len(BODIES))):
        paths.append(tmp_path / f"{file.name}.tflite")
        paths[-1].write_bytes(file.content)
    heads = tflm.interpreter_heads(paths)
    assert [head for head in heads if isinstance(head, str)] == []


@needs_tflm
def test_all_outputs_of_several_files_are_those_that_one_file_alone_gives(tmp_path: Path) -> None:
    graph = parse(TINY.read_bytes(), "tiny")
    source = graph.tensors[graph.inputs[0]]
    inputs = np.random.default_rng(0).integers(-128, 128, (3, *source.shape[1:])).astype(np.int8)
    split = next(file for file in single_operators(len(SINGLE)) if file.name.endswith("_split"))
    parts, whole = tmp_path / "split.tflite", parse(split.content, "split")
    parts.write_bytes(split.content)
    values = np.arange(whole.tensors[whole.inputs[0]].elements, dtype=np.int8)
    outputs = tflm.interpreter_outputs([TINY, parts], [[x.tobytes() for x in inputs], [values.tobytes()]])
    assert outputs[0] == [y.tobytes() for y in tflm.run_tflm(TINY, inputs, 2**20)]
    shape, out_shape = whole.tensors[whole.inputs[0]].shape, whole.tensors[whole.outputs[0]].shape
    axis = next(k for k, (a, b) in enumerate(zip(shape, out_shape, strict=True)) if a != b)
    expected = np.split(values.reshape(shape), len(whole.outputs), axis)
    assert outputs[1] == [b"".join(part.tobytes() for part in expected)]
