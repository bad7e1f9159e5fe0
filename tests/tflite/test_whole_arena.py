"""The whole arena of a Cortex-M against what the interpreter on this host holds, less what its wider pointers take.

The head is compared to the byte in test_arena.py; here are the tables, states and records beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgecut.bench.runners import tflm
from edgecut.tflite.arena import cortex_m_arena_bytes, cortex_m_error, planning_bytes, preparing_bytes
from edgecut.tflite.flatbuffer import TfliteGraph, read
from tools.int8_files import random_nets, single_operators
from tools.operator_files import operator_file, usual_types

pytestmark = pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
FIXTURES = Path(__file__).parents[1] / "fixtures"
# TfLiteEvalTensor has two pointers, NodeAndRegistration eight; the interpreter's own objects differ by so much more.
EVAL_TENSOR, NODE, OBJECTS = 12, 32, 340
STATEFUL = ("TRANSPOSE_CONV", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BATCH_MATMUL", "MIRROR_PAD", "ADD_N")


def narrowed(arena: tflm.TflmArena, graph: TfliteGraph) -> int:
    """The smallest arena that was found, with pointers of 32 bits."""
    parts = (graph, *graph.others)
    tensors, operators = sum(len(p.tensors) for p in parts), sum(len(p.operators) for p in parts)
    tail = arena.tail_bytes - EVAL_TENSOR * tensors - NODE * operators - OBJECTS
    top = arena.smallest_bytes - arena.tail_bytes
    if abs(top - arena.head_bytes) > 24:
        # Planning or preparing took more than the head.
        rules = planning_bytes, preparing_bytes
        wide, narrow = (max(rule(graph, wide=w) for rule in rules) for w in (True, False))
        top = max(arena.head_bytes, top - (wide - narrow))
    return top + tail


ASKED = """
import json, sys
from pathlib import Path
from edgecut.bench.tflm_worker import tflm_arena
print(json.dumps([tflm_arena({"paths": [path], "first_bytes": 1 << 20}) for path in sys.argv[1:]]))
"""


def arenas(paths: Sequence[Path]) -> list[tflm.TflmArena]:
    """The smallest arena of each file, as the job of smallest_arena_bytes finds them, in one process for all."""
    done = subprocess.run([sys.executable, "-c", ASKED, *paths], capture_output=True, text=True, check=True)
    return [tflm.TflmArena(**row, version="") for row in json.loads(done.stdout)]


def files(folder: Path) -> list[Path]:
    """Every sixth operator and fourth net of the int8 files, and each operator that has a state or much scratch."""
    content = {f.name: f.content for f in (*list(single_operators(62))[::6], *list(random_nets(16))[::4])}
    content |= {name: operator_file(name, usual_types(name, "int8")) for name in STATEFUL}
    for name, data in content.items():
        (folder / f"{name}.tflite").write_bytes(data)
    return [*sorted(folder.glob("*.tflite")), FIXTURES / "tiny.int8.tflite"]


def test_whole_arena_is_within_its_band_for_every_int8_file(tmp_path: Path) -> None:
    """Transposed convolutions, LSTM, SVDF, U-shapes, branches and chains of every kind of operator."""
    outside = {}
    paths = files(tmp_path)
    for path, arena in zip(paths, arenas(paths), strict=True):
        graph = read(path)
        device, estimate = narrowed(arena, graph), cortex_m_arena_bytes(graph, "reference")
        if abs(device / estimate - 1) > cortex_m_error(estimate):
            outside[path.stem] = (device, estimate)
    assert outside == {}


def test_band_of_a_tiny_arena_is_in_bytes() -> None:
    assert cortex_m_error(1_300) == 0.2
    assert cortex_m_error(50_000) == 0.1


@pytest.mark.real
def test_whole_arena_of_real_files_is_within_its_band(real: Path) -> None:
    paths = [real / f"{name}.tflite" for name in ("cifar10_resnet", "rock_paper_scissors", "visual_wake_words")]
    for path, arena in zip(paths, arenas(paths), strict=True):
        graph = read(path)
        device, estimate = narrowed(arena, graph), cortex_m_arena_bytes(graph, "reference")
        assert abs(device / estimate - 1) <= cortex_m_error(estimate), path.stem
