"""Verdicts on combinations of types, against what TensorFlow Lite Micro's interpreter does with a file of each."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from edgecut.bench.runners import tflm
from edgecut.tflite.flatbuffer import parse
from edgecut.tflite.support import verdicts
from tests.tflite.conftest import Heads
from tools.operator_files import KINDS, operator_file, usual_types

ROOT = Path(__file__).parents[2]
# Registered in the sources of this commit, which is what the interpreter was built from.
NEW = "90b983c"


def state(name: str, types: dict[str, str]) -> tuple[str, str]:
    (verdict,) = verdicts(parse(operator_file(name, types), name), "tflm", "reference", NEW)
    return verdict.state, verdict.sentence()


@pytest.mark.parametrize(
    ("name", "types", "reason"),
    [
        (
            "BATCH_MATMUL", {"data": "int16", "weights": "int8"},
            "operator 0: BATCH_MATMUL (int16) has int16 data, int8 weights, which no kernel of TensorFlow Lite Micro "
            "takes together",
        ),
        (
            "FULLY_CONNECTED", {"data": "float32", "weights": "int4", "bias": "float32"},
            "operator 0: FULLY_CONNECTED (float32) has float32 data, int4 weights, float32 bias, which no kernel of "
            "TensorFlow Lite Micro takes together",
        ),
    ],
)  # fmt: skip
def test_types_that_no_kernel_takes_together_are_unsupported(name: str, types: dict[str, str], reason: str) -> None:
    assert state(name, types) == ("unsupported", reason)


def test_an_embedding_is_judged_by_its_table_not_by_its_indices() -> None:
    types = {"index": "int32", "weights": "int8", "result": "int8"}
    assert state("EMBEDDING_LOOKUP", types)[0] == "supported"


@pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
def test_verdicts_are_what_the_interpreter_does(heads_of: Heads) -> None:
    dtypes = ("float32", "int8", "int16", "int32", "bool")
    cases = [(name, usual_types(name, dtype)) for name in KINDS for dtype in dtypes]
    weighted = ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
    cases += [
        (name, {**usual_types(name, dtype), "weights": weights})
        for name in weighted
        for dtype in ("float32", "int8", "int16")
        for weights in ("float32", "int4", "int8", "int16")
    ]
    wrong = [
        (name, types, head)
        for (name, types), head in zip(cases, heads_of(cases), strict=True)
        if isinstance(head, int) != (state(name, types)[0] != "unsupported")
    ]
    assert wrong == []


def test_the_table_is_that_of_the_facts() -> None:
    spec = importlib.util.spec_from_file_location("make_support", ROOT / "tools" / "make_support.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    sys.modules["make_support"] = maker
    spec.loader.exec_module(maker)
    written = (ROOT / "edgecut" / "tflite" / "support_types.py").read_text()
    assert maker.types_module(ROOT / "tools" / "facts") == written
