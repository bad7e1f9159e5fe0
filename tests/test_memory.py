"""A limit of address space (ulimit -v) that has no room for native code: one sentence, whatever that does of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecut import memory
from edgecut.cli.failures import Failures
from edgecut.errors import StepError
from edgecut.memory import check_room, is_out_of_memory
from edgecut.records.units import format_bytes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such limit")
SAID = (
    "NumPy can't be started: this process may use 4 GiB of address space, which is too little for it; raise the limit "
    "(ulimit -v)"
)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process says that has a limit, which this one and its children haven't."""
    monkeypatch.setattr(memory, "address_limit", lambda: 4 * 2**30)
    monkeypatch.setattr(memory, "_LOWER", "")


ENDINGS = {
    "abort": "import os; os.abort()",
    "SIGINT, as OpenBLAS": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "exit, as OpenBLAS": "import sys; sys.exit('OpenBLAS error: Memory allocation still failed after 10 retries')",
    "no memory": "raise MemoryError",
    "library": "raise ImportError('libtensorflow_cc.so.2: failed to map segment from shared object')",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS)
def test_what_has_no_room_is_one_sentence(code: str, limit: None) -> None:
    with pytest.raises(StepError) as error:
        check_room("NumPy", code)
    assert str(error.value) == SAID


@pytest.mark.parametrize("code", ["pass", "raise ImportError('no module')"], ids=["fits", "fails of something else"])
def test_what_has_room_is_not_refused(code: str, limit: None) -> None:
    check_room("NumPy", code)


def test_a_trial_lasts_no_longer_than_its_limit(limit: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_TRIAL_S", 0.0)
    with pytest.raises(StepError) as error:
        check_room("NumPy", "while True: pass")
    assert str(error.value) == SAID


def test_nothing_is_tried_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "address_limit", lambda: None)
    check_room("NumPy", "import os; os.abort()")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to the limit")
@pytest.mark.parametrize(("spare_bytes", "fits"), [(0, True), (3 * 2**30, False)])
def test_what_this_process_uses_is_taken_from_the_limit(
    spare_bytes: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_used_bytes", lambda: 0)
    code = "room = bytearray(2 * 2**30)"
    lower = memory._LOWER.replace("most = resource.getrlimit(resource.RLIMIT_AS)", f"most = {4 * 2**30}, -1")
    monkeypatch.setattr(memory, "_LOWER", lower)
    monkeypatch.setattr(memory, "address_limit", lambda: 4 * 2**30)
    if fits:
        check_room("NumPy", code, spare_bytes=spare_bytes)
    else:
        with pytest.raises(StepError) as error:
            check_room("NumPy", code, spare_bytes=spare_bytes)
        assert str(error.value) == SAID


def chained(cause: BaseException) -> ImportError:
    """What NumPy makes of an import that failed: a page of advice, in front of the cause."""
    error = ImportError("IMPORTANT: PLEASE READ THIS FOR ADVICE")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ImportError("libx.so: failed to map segment from shared object"), True),
        (ImportError("libx.so: cannot allocate memory in static TLS block"), True),
        (chained(ImportError("libx.so: failed to map segment from shared object")), True),
        (chained(MemoryError()), True),
        (OSError(12, "Cannot allocate memory"), True),
        (chained(ImportError("libx.so: no such file")), False),
        (ValueError("out of memory"), False),
    ],
)  # fmt: skip
def test_memory_that_is_not_there_has_many_names(error: BaseException, answer: bool) -> None:
    assert is_out_of_memory(error) is answer


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecut.cli.failures.address_limit", lambda: 2**30)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (chained(ImportError("libx.so: failed to map segment from shared object")),
         f"not enough memory for this step: this process may use {format_bytes(2**30)} of address space; raise the "
         "limit (ulimit -v) or use a smaller input"),
        (RuntimeError("can't start new thread"),
         "the system refuses another thread; close other programs, or raise the limit of processes (ulimit -u)"),
    ],
    ids=["library", "thread"],
)  # fmt: skip
def test_an_import_without_memory_is_no_bug(
    error: Exception, sentence: str, limited: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, Failures(["build"]):
        raise error
    assert (end.value.code, capsys.readouterr().err) == (3, f"edgecut: error: {sentence}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to the limit")
@pytest.mark.parametrize("kibibytes", [40_000, 120_000])
def test_a_command_under_a_small_limit_is_one_sentence(kibibytes: int, tmp_path: Path) -> None:
    script = f'ulimit -v {kibibytes}; exec "$0" -m edgecut doctor'
    child = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, text=True, check=False,
                           env={**os.environ, "OPENBLAS_NUM_THREADS": "8"})  # fmt: skip
    sentence = SAID.replace("4 GiB", format_bytes(kibibytes * 1024))
    assert (child.returncode, child.stdout, child.stderr) == (3, "", f"edgecut: error: {sentence}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_memory_goes_back_to_the_system() -> None:
    """Many small blocks, whose last one keeps the heap's end where it is."""
    script = (
        "from edgecut.memory import give_back\n"
        "from pathlib import Path\n"
        "def used(): return int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "import ctypes\n"
        "malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free\n"
        "malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]\n"
        "blocks = [malloc(65_536) for _ in range(1_000)]\n"
        "for block in blocks: ctypes.memset(block, 1, 65_536)\n"
        "for block in blocks[:-1]: free(block)\n"
        "before = used(); give_back(); print(before - used() > 50 << 20)"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "True"
