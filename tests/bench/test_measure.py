"""Measuring in child processes, and what is said where nothing can be measured."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecut
from edgecut.bench import measure
from edgecut.bench.measure import bench
from edgecut.bench.runners import local, tflm, vela
from edgecut.errors import MissingRuntimeError, RefusedError, RequestError, RunError, SourceError
from edgecut.records.profile_files import find_profile
from edgecut.runtime.files import FileRunner
from edgecut.tflite.arena import cortex_m_arena_bytes
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.write import Draft

FIXTURES = Path(__file__).parents[1] / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"

needs_tflm = pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")


def job(path: Path) -> dict[str, object]:
    return {"job": "latency", "paths": [str(path)], "runs": 3, "warmup": 1, "threads": 1}


def interpreter_runs(path: Path, *arenas_bytes: int) -> list[bool]:
    """Whether TFLM constructs and invokes the file in each arena, asked without edgecut, each in a fork of its own."""
    script = (
        "import os, sys, numpy as np\n"
        "from tflite_micro.python.tflite_micro import runtime\n"
        "content, sizes = open(sys.argv[1], 'rb').read(), sys.argv[2:]\n"
        "for size in sizes:\n"
        "    if pid := os.fork():\n"
        "        print(os.waitpid(pid, 0)[1], flush=True)\n"
        "        continue\n"
        "    i = runtime.Interpreter.from_bytes(content, arena_size=int(size))\n"
        "    d = i.get_input_details(0)\n"
        "    i.set_input(np.ones(d['shape'], d['dtype']), 0)\n"
        "    i.invoke()\n"
        "    os._exit(0)\n"
    )
    command = [sys.executable, "-c", script, str(path), *map(str, arenas_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [status == "0" for status in done.stdout.split()]


@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.int8.onnx", "tiny.float32.tflite"])
def test_child_gives_a_time_for_each_run(name: str) -> None:
    result = local.run_job(job(FIXTURES / name), [FIXTURES / name])
    assert len(result["wall_s"]) == len(result["cpu_s"]) == 3
    assert min(result["wall_s"]) > 0


def test_child_never_imports_tensorflow() -> None:
    script = (
        "import io, json, sys\n"
        "sys.stdin = io.StringIO(sys.argv[1])\n"
        "from edgecut.bench import worker\n"
        "worker.serve(worker.JOBS)\n"
        "sys.exit(any(m.split('.')[0] in ('tensorflow', 'keras', 'onnx', 'pydantic') for m in sys.modules))\n"
    )
    for name in ("tiny.int8.tflite", "tiny.int8.onnx"):
        command = [sys.executable, "-c", script, json.dumps(job(FIXTURES / name))]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_memory_is_the_child_s_own_growth_not_its_parent_s_peak() -> None:
    ballast = np.ones(200_000_000, np.uint8)
    found = local.run_job(job(INT8), [INT8])["memory_bytes"]
    assert ballast.all()
    if sys.platform == "linux":
        assert 0 < found < 100_000_000


def test_damaged_file_in_the_child_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(INT8.read_bytes()[:4000])
    with pytest.raises(RunError) as caught:
        local.run_job(job(path), [path])
    assert str(caught.value) == (f"{path}: The model is not a valid Flatbuffer buffer")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Names a module of the text for child processes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(text: str) -> str:
        (tmp_path / "stand_in.py").write_text(text)
        return "stand_in"

    return write


def test_crashed_child_is_named_with_its_signal(module: Callable[[str], str]) -> None:
    crashing = module("import os, sys\nprint('loading\\nkernel check failed.', file=sys.stderr)\nos.abort()\n")
    with pytest.raises(RunError) as caught:
        local.run_job(job(INT8), [INT8], module=crashing)
    assert str(caught.value) == (
        f"{INT8}: the child process that ran it was stopped by SIGABRT; it last wrote: kernel check failed"
    )


def test_child_that_the_system_kills_names_the_memory(module: Callable[[str], str]) -> None:
    killed = module("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(RunError) as caught:
        local.run_job(job(INT8), [INT8], module=killed)
    assert str(caught.value) == (
        f"{INT8}: the child process that ran it was stopped by SIGKILL, as Linux does where memory runs out; close "
        "other programs, or cut the model smaller"
    )


def test_child_without_memory_is_one_sentence(module: Callable[[str], str]) -> None:
    starved = module(
        "from edgecut.bench import worker\ndef short(job): raise MemoryError\nworker.serve({'latency': short})\n"
    )
    with pytest.raises(RunError) as caught:
        local.run_job(job(INT8), [INT8], module=starved)
    assert str(caught.value) == (
        f"{INT8}: there isn't enough memory to run it; close other programs, or cut the model smaller"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't keep the limit")
def test_child_that_wants_more_than_the_address_space_names_the_limit(
    module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "bytes=3GiB")
    greedy = module(
        "from edgecut.bench import worker\ndef greedy(job): bytearray(4 << 30)\nworker.serve({'latency': greedy})\n"
    )
    with pytest.raises(RunError) as caught:
        local.run_job(job(INT8), [INT8], module=greedy)
    assert str(caught.value) == (
        f"{INT8}: there isn't enough memory to run it; close other programs, or cut the model smaller"
    )


def test_child_that_hangs_is_stopped_with_what_it_started(module: Callable[[str], str], tmp_path: Path) -> None:
    hanging = module(
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\nchild.wait()\n"
    )
    with pytest.raises(RunError) as caught:
        local.run_job(job(INT8), [INT8], module=hanging, timeout_s=3.0)
    assert str(caught.value) == f"{INT8}: the child process that ran it was stopped after 3 s"
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):  # gone already
            ended = os.pidfd_open(int((tmp_path / "pid").read_text()))
            # A process that was killed may have a moment to go, on a busy machine.
            assert select.select([ended], [], [], 60.0)[0] == [ended]


def test_module_in_the_user_s_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    assert local.run_job(job(INT8), [INT8])["runtime"] == "ai-edge-litert"


def test_host_profile_measures_here_and_answers_the_host() -> None:
    found = {m.metric: m for m in bench(INT8, "host", runs=5, warmup=1)}
    assert set(found) == {"size", "latency", "cpu_time", "memory"}
    assert found["size"].value == INT8.stat().st_size
    latency = found["latency"]
    assert (latency.kind, latency.where, latency.profile, len(latency.values)) == (
        "measured",
        "host",
        "host",
        5,
    )
    assert latency.conditions["runtime"] == "ai-edge-litert"
    assert latency.conditions["threads"] == 1


@needs_tflm
def test_device_gets_its_arena_and_prediction_and_host_figures_that_answer_nothing() -> None:
    found = bench(INT8, "nucleo-l4r5zi", runs=2, warmup=0, artifact="demo.int8")
    rows = [(m.metric, m.kind, m.where, m.profile) for m in found]
    assert rows == [
        ("size", "measured", "file", None),
        ("arena", "measured", "TFLM interpreter on host", "nucleo-l4r5zi"),
        ("arena", "estimated", "nucleo-l4r5zi", "nucleo-l4r5zi"),
        ("latency", "estimated", "nucleo-l4r5zi", "nucleo-l4r5zi"),
        ("latency", "measured", "host", None),
        ("cpu_time", "measured", "host", None),
        ("memory", "measured", "host", None),
    ]
    assert {m.artifact for m in found} == {"demo.int8"}
    assert found[2].error == 0.10


def test_device_without_the_interpreter_gets_an_estimate_with_its_band(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tflm, "is_here", lambda: False)
    arenas = [m for m in bench(INT8, "nucleo-l4r5zi", runs=1, warmup=0) if m.metric == "arena"]
    assert [(m.kind, m.error, m.where) for m in arenas] == [("estimated", 0.10, "nucleo-l4r5zi")]


@needs_tflm
def test_esp32_s3_s_own_scratch_is_estimated_beside_the_interpreter_s_figure() -> None:
    arenas = [m for m in measure.on_device(INT8, find_profile("esp32-s3"), "x") if m.metric == "arena"]
    assert [(m.kind, m.value) for m in arenas] == [("measured", 8816), ("estimated", 9378)]
    # The rule's band, and all of the scratch that its source alone tells of.
    assert arenas[1].error == pytest.approx(0.10 + (9378 - cortex_m_arena_bytes(read(INT8), "reference")) / 9378)
    assert "not confirmed on a device" in arenas[1].method
    # The ESP-NN kernels need more than the interpreter here saw: its figure alone must not meet a budget.
    assert arenas[0].conditions["at_least"] is True


@needs_tflm
def test_arena_that_covers_the_device_s_estimate_is_no_lower_bound() -> None:
    arenas = [m for m in measure.on_device(INT8, find_profile("nucleo-l4r5zi"), "x") if m.metric == "arena"]
    assert (arenas[0].value, arenas[1].value) == (8816, 8466)
    assert "at_least" not in arenas[0].conditions


def test_interpreter_asked_for_and_absent_is_a_missing_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "is_here", lambda: False)
    with pytest.raises(MissingRuntimeError) as caught:
        bench(INT8, "nucleo-l4r5zi", runner="tflm")
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        assert str(caught.value) == "tflite-micro isn't here, and this needs it; reinstall edgecut with pip"


def test_precision_that_the_device_doesn_t_run_is_missing_with_the_reason() -> None:
    found = measure.on_device(FIXTURES / "tiny.float16.tflite", find_profile("esp32-s3"), "x")
    reason = "esp32-s3 runs int8, and the file computes in float16"
    assert [(m.metric, m.value, m.reason) for m in found] == [
        ("arena", None, reason),
        ("latency", None, reason),
    ]


def test_format_that_the_device_doesn_t_run_is_missing_with_the_reason() -> None:
    found = measure.on_device(FIXTURES / "tiny.int8.onnx", find_profile("raspberry-pi-4"), "x")
    assert [(m.metric, m.value) for m in found] == [("latency", None)]
    assert found[0].reason == "raspberry-pi-4 runs tflite files, found onnx"


def test_npu_gets_no_arena_from_another_processor_s_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vela, "is_here", lambda: False)
    found = measure.on_device(INT8, find_profile("ethos-u55-128"), "x")
    assert found[0].value is None
    assert (
        found[0].reason
        == "the NPU's compiler plans the memory itself, and it isn't here; Vela comes with the extra 'ethos-u'"
    )


def test_unknown_runner_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RequestError) as caught:
        bench(INT8, "host", runner="locall")
    assert str(caught.value) == (
        "--runner: 'local', 'ssh', 'adb', 'tflm', 'vela' and 'qemu' are known, found 'locall' (closest: 'local')"
    )


def test_missing_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        bench(tmp_path / "no.tflite")
    assert str(caught.value) == f"{tmp_path / 'no.tflite'}: no such file"


def test_public_name_can_be_called_after_its_modules_were_imported() -> None:
    assert edgecut.bench(INT8, "host", runs=1, warmup=0)[0].metric == "size"


@needs_tflm
@pytest.mark.parametrize("name", ["tiny.int8.tflite", "tiny.float32.tflite", "tiny.int16x8.tflite"])
def test_smallest_arena_runs_and_a_little_less_does_not(name: str) -> None:
    arena = tflm.smallest_arena_bytes(FIXTURES / name)
    smallest = arena.smallest_bytes
    assert interpreter_runs(FIXTURES / name, smallest, smallest - 16, smallest - 1024) == [True, False, False]
    assert arena.head_bytes + arena.tail_bytes <= arena.smallest_bytes


@needs_tflm
@pytest.mark.real
@pytest.mark.parametrize("name", ["cifar10_resnet", "rock_paper_scissors", "visual_wake_words"])
def test_smallest_arena_of_real_files_runs_and_a_little_less_does_not(name: str, real: Path) -> None:
    path = real / f"{name}.tflite"
    smallest = tflm.smallest_arena_bytes(path).smallest_bytes
    assert interpreter_runs(path, smallest, smallest - 16) == [True, False]


@needs_tflm
def test_tflm_s_outputs_of_the_tiny_network_agree_with_litert_s_to_one_step() -> None:
    x = np.random.default_rng(0).integers(-128, 128, (20, 12, 12, 1)).astype(np.int8)
    outputs = tflm.run_tflm(INT8, x, tflm.smallest_arena_bytes(INT8).smallest_bytes)
    assert (outputs.shape, outputs.dtype) == ((20, 4), np.int8)
    assert np.abs(outputs.astype(int) - FileRunner(INT8).predict_raw(x)).max() <= 1


@needs_tflm
@pytest.mark.real
def test_reference_kernels_are_nearer_to_tflm_than_the_default_ones_and_not_equal(real: Path) -> None:
    path = real / "cifar10_resnet.tflite"
    x = np.random.default_rng(0).integers(-128, 128, (100, 32, 32, 3)).astype(np.int8)
    device = tflm.run_tflm(path, x, tflm.smallest_arena_bytes(path).smallest_bytes)
    plain = FileRunner(path, kernels="reference").predict_raw(x)
    default = FileRunner(path).predict_raw(x)
    # Inequality is asserted, too: a file that agrees in LiteRT is no proof of what a microcontroller gives.
    assert 0 < (plain != device).sum() < (default != device).sum()


@needs_tflm
def test_model_that_tflm_can_t_run_is_told_in_its_own_words() -> None:
    path = FIXTURES / "tiny.dynamic.tflite"
    with pytest.raises(RunError) as caught:
        tflm.smallest_arena_bytes(path)
    assert str(caught.value) == (
        f"{path}: TensorFlow Lite Micro can't run it: tensorflow/lite/micro/kernels/conv_common.cc "
        "Hybrid models are not supported on TFLite Micro; "
        "Node CONV_2D (number 2) failed to prepare with status 1"
    )


@needs_tflm
def test_kernel_that_aborts_is_told_and_ends_nobody_else(tmp_path: Path) -> None:
    graph, content = read(INT8), INT8.read_bytes()
    scale = struct.pack("<f", graph.tensors[graph.operators[-1].inputs[0]].scales[0])
    path = tmp_path / "tiny_softmax_scale.tflite"
    path.write_bytes(content.replace(scale, struct.pack("<f", 1e-12)))
    with pytest.raises(RunError) as caught:
        tflm.smallest_arena_bytes(path)
    assert str(caught.value) == f"{path}: TensorFlow Lite Micro can't run it: a kernel ended in SIGABRT"


@needs_tflm
def test_arena_that_is_too_small_is_told() -> None:
    with pytest.raises(RunError, match=r"tiny\.int8\.tflite: TensorFlow Lite Micro can't run it: Failed to allocate"):
        tflm.run_tflm(INT8, np.zeros((1, 12, 12, 1), np.int8), 2048)


@needs_tflm
def test_images_of_another_dtype_are_refused_by_tflm() -> None:
    with pytest.raises(RunError) as caught:
        tflm.run_tflm(INT8, np.zeros((1, 12, 12, 1), np.float32), 20_000)
    assert str(caught.value) == (f"{INT8}: takes int8 images of shape (12, 12, 1), found float32 of shape (12, 12, 1)")


@needs_tflm
def test_the_arena_comes_with_a_size_that_is_safe_on_the_device() -> None:
    rows = [m for m in measure.on_device(INT8, find_profile("nucleo-l4r5zi"), "a") if m.metric == "arena"]
    interpreter, estimate = rows
    assert interpreter.value is not None
    assert estimate.value is not None
    safe = interpreter.conditions["safe_bytes"]
    assert safe == estimate.conditions["safe_bytes"]
    assert safe % 1024 == 0
    assert safe >= max(interpreter.value, 1.10 * estimate.value)
    assert interpreter_runs(INT8, safe, int(interpreter.value) - 1024) == [True, False]


def test_no_size_is_called_safe_where_the_scratch_is_not_known() -> None:
    rows = [m for m in measure.on_device(INT8, find_profile("esp32p4"), "a") if m.metric == "arena"]
    assert [m for m in rows if "safe_bytes" in m.conditions] == []


@needs_tflm
def test_an_arena_is_only_a_lower_bound_where_the_scratch_is_not_known() -> None:
    (row,) = [m for m in measure.on_device(INT8, find_profile("esp32p4"), "a") if m.metric == "arena"]
    assert row.conditions["at_least"] is True
    assert row.conditions["more"] == "the scratch of ESP-NN's kernels on riscv32 isn't known"


def refused_file(folder: Path) -> Path:
    """A custom operator, which no runtime of this host has."""
    path = folder / "a.tflite"
    draft = Draft()
    fed, out = draft.tensor((1, 4), "int8", 0.1), draft.tensor((1, 4), "int8", 0.1)
    draft.operator("GELU", [fed], [out], 99)
    path.write_bytes(draft.file([fed], [out]))
    return path


def test_a_file_that_this_host_refuses_keeps_what_is_known_of_the_device(tmp_path: Path) -> None:
    found = bench(refused_file(tmp_path), "nucleo-l4r5zi")
    rows = [(m.metric, m.where, m.value is not None) for m in found]
    assert rows[0] == ("size", "file", True)
    (host,) = [m for m in found if m.where == "local"]
    assert host.reason.startswith(f"{tmp_path / 'a.tflite'}: Didn't find op for builtin opcode 'GELU' version '99'")


def test_a_file_that_this_host_refuses_is_still_an_error_of_the_host_s_own_profile(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        bench(refused_file(tmp_path), "host")


@needs_tflm
def test_a_file_on_which_tflm_aborts_is_refused_with_the_layer_and_the_cause(tmp_path: Path) -> None:
    path, draft = tmp_path / "dead.tflite", Draft()
    fed, out = draft.tensor((1, 4), "int8", 8e-9), draft.tensor((1, 4), "int8", 2.0**-8, -128)
    draft.operator("SOFTMAX", [fed], [out], 1, "SoftmaxOptions", {"beta": 1.0})
    path.write_bytes(draft.file([fed], [out]))
    (row,) = [m for m in measure.on_device(path, find_profile("nano33ble"), "dead") if m.metric == "arena"]
    assert row.conditions["refused"] is True
    assert row.reason.endswith(
        "; SOFTMAX (operator 0) takes values of scale 8e-09, which TensorFlow Lite Micro can't hold and aborts on: "
        "what it is computed from hardly varied on the calibration images, as dead features do"
    )
