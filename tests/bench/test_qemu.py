"""A file as C in the emulator: what is told of it, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecut.bench import image
from edgecut.bench.devices import devices
from edgecut.bench.integer_io import in_integers, recoded
from edgecut.bench.runners import qemu, tflm
from edgecut.bench.runners.qemu import Qemu, golden_inputs, qemu_of
from edgecut.errors import ExportError, MissingRuntimeError, RequestError, RunError
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Bench
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.write import Draft

FIXTURES = Path(__file__).parent.parent / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
needs_qemu = pytest.mark.skipif(bool(image.absent()), reason="no compiler and emulator for Cortex-M are here")
needs_tflm = pytest.mark.skipif(not tflm.is_here(), reason="the TensorFlow Lite Micro interpreter is absent")


@needs_qemu
@needs_tflm
def test_a_file_is_run_on_its_golden_vectors_and_nothing_of_it_is_a_time(tmp_path: Path) -> None:
    file = tmp_path / "models" / "tiny.int8.tflite"
    file.parent.mkdir()
    shutil.copy(INT8, file)
    (tmp_path / "vectors").mkdir()
    for k in range(3):
        (tmp_path / "vectors" / f"input_{k}.bin").write_bytes(bytes((k * 31 + j * 7) % 256 for j in range(144)))
    profile = find_profile("nano33ble-c")
    rows = Qemu().measure(file, Bench(), artifact="tiny", profile=profile)
    assert [(m.metric, m.kind, m.unit) for m in rows] == [
        ("flash", "measured", "bytes"),
        ("arena", "measured", "bytes"),
        ("stack", "measured", "bytes"),
        ("instructions", "emulated", "1"),
    ]
    flash, arena, stack, instructions = rows
    assert {m.profile for m in rows} == {"nano33ble-c"}
    said = flash.conditions
    assert flash.value == said["text_bytes"] + said["rodata_bytes"] + said["data_bytes"]
    assert (said["inputs"], said["runs"], said["equal_to"]) == ("golden vectors", 3, "TFLM")
    assert arena.value is not None
    assert stack.value is not None
    assert 0 < stack.value < 2000
    assert len(instructions.values) == 3
    assert all(m.of_c for m in rows)


@needs_qemu
def test_without_a_profile_every_core_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "is_here", lambda: False)
    rows = Qemu().measure(INT8, Bench(runs=1), artifact="tiny", profile=None)
    assert [m.where for m in rows if m.metric == "flash"] == [f"linked image, {core}" for core in image.BOARDS]
    assert {m.conditions["equal_to"] for m in rows} == {"nothing: the TFLM interpreter isn't here"}


@needs_qemu
def test_an_output_that_differs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "is_here", lambda: True)
    monkeypatch.setattr(tflm, "interpreter_outputs", lambda paths, inputs: [[b"\0" * 4 for _ in inputs[0]]])
    with pytest.raises(RunError) as caught:
        Qemu("cortex-m4").measure(INT8, Bench(runs=2), artifact="tiny", profile=None)
    assert str(caught.value) == f"{INT8}: 2 of 2 outputs on cortex-m4 differ from TFLM's"


def test_vectors_of_another_size_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "input_0.bin").write_bytes(b"\0" * 9)
    assert golden_inputs(tmp_path / "model.tflite", read(INT8)) == []


def test_the_inputs_are_as_many_as_asked_and_end_in_the_range_s_ends() -> None:
    rows = qemu.noise(read(INT8), 8)
    assert (len(rows), len(set(rows))) == (8, 8)
    assert rows == qemu.noise(read(INT8), 8)
    assert rows[-2:] == [b"\x80" * 144, b"\x7f" * 144]


def test_a_core_that_is_not_emulated_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        qemu_of("qemu://cortex-m0plus")
    assert str(caught.value) == (
        "--runner: qemu emulates cortex-m4, cortex-m7, cortex-m33, cortex-m55, found 'qemu://cortex-m0plus'; write "
        "qemu://cortex-m4"
    )
    with pytest.raises(RequestError) as caught:
        Qemu().measure(INT8, Bench(), artifact="tiny", profile=find_profile("rp2040-pico-c"))
    assert str(caught.value) == (
        "--runner: qemu emulates cortex-m4, cortex-m7, cortex-m33, cortex-m55, found 'cortex-m0plus'; "
        "--runner qemu://cortex-m4"
    )


def test_a_file_that_can_t_be_c_is_refused() -> None:
    with pytest.raises(ExportError):
        Qemu("cortex-m4").measure(FIXTURES / "tiny.float32.tflite", Bench(), artifact="tiny", profile=None)


def test_without_the_programs_the_exit_code_is_four(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tflm, "is_here", lambda: False)
    with pytest.raises(MissingRuntimeError) as caught:
        Qemu("cortex-m4").measure(INT8, Bench(), artifact="tiny", profile=None)
    assert caught.value.exit_code == 4


def test_the_runner_is_of_the_profiles_with_c_that_it_emulates() -> None:
    boards = [find_profile(name) for name in ("nano33ble", "nano33ble-c", "rp2040-pico-c", "nucleo-h743zi-c")]
    assert [d.profile and d.profile.id for d in devices(["qemu"], boards)] == ["nano33ble-c", "nucleo-h743zi-c"]
    assert [d.profile and d.profile.id for d in devices(["qemu://cortex-m7"], boards)] == ["nucleo-h743zi-c"]
    assert [d.profile for d in devices(["qemu://cortex-m55"], boards)] == [None]


def of_floats(path: Path) -> Path:
    """A file that takes and gives floats: a QUANTIZE, a RELU of int8, a DEQUANTIZE."""
    draft = Draft()
    x, y = draft.tensor((1, 3, 2, 1), "float32"), draft.tensor((1, 3, 2, 1), "float32")
    inner, positive = draft.tensor((1, 3, 2, 1), "int8", 0.5, -3), draft.tensor((1, 3, 2, 1), "int8", 0.25, -128)
    draft.operator("QUANTIZE", [x], [inner])
    draft.operator("RELU", [inner], [positive])
    draft.operator("DEQUANTIZE", [positive], [y])
    path.write_bytes(draft.file([x], [y]))
    return path


@needs_qemu
@needs_tflm
@pytest.mark.parametrize("golden", [False, True])
def test_a_file_of_floats_is_run_on_the_integers_that_its_c_takes(golden: bool, tmp_path: Path) -> None:
    path = of_floats(tmp_path / "floats.tflite")
    if golden:
        (tmp_path / "vectors").mkdir()
        (tmp_path / "vectors" / "input_0.bin").write_bytes(np.array([-9, -1.5, 0, 1.5, 9, 99], np.float32).tobytes())
    rows = Qemu("cortex-m4").measure(path, Bench(runs=4), artifact="floats", profile=None)
    assert {m.conditions["equal_to"] for m in rows} == {"TFLM"}
    assert {m.conditions["runs"] for m in rows} == {1 if golden else 4}
    assert {m.conditions["distinct_outputs"] for m in rows} == {1 if golden else 3}


def test_the_integers_of_a_file_of_floats_are_those_of_its_quantize(tmp_path: Path) -> None:
    graph = read(of_floats(tmp_path / "floats.tflite"))
    inside = in_integers(graph)
    floats = np.array([-99, -0.25, 0, 0.3, 1, 99], np.float32).tobytes()
    integers = recoded(graph, floats, graph.inputs, inside.inputs)
    assert list(np.frombuffer(integers, np.int8)) == [-128, -4, -3, -2, -1, 127]
    again = recoded(graph, integers, inside.inputs, graph.inputs)
    assert list(np.frombuffer(again, np.float32)) == [-62.5, -0.5, 0, 0.5, 1, 65]
    assert recoded(inside, integers, inside.inputs, inside.inputs) == integers
