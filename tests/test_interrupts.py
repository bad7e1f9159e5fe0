"""SIGINT and SIGTERM: one sentence and 130 or 143, whenever they come and whatever swallows their exception."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecut.cli.failures import Failures
from edgecut.interrupts import Interrupted
from edgecut.streams import caught_output
from edgecut.whole import uninterrupted

ENDINGS = [(signal.SIGINT, 130, "edgecut: interrupted\n"), (signal.SIGTERM, 143, "edgecut: terminated\n")]
SIGNALS = pytest.mark.parametrize(("number", "code", "sentence"), ENDINGS, ids=["SIGINT", "SIGTERM"])


def ended(action: Callable[[], object]) -> object:
    """The exit code of a command that does this."""
    try:
        with Failures(["build"]):
            action()
    except SystemExit as end:
        return end.code
    return 0


def go_on() -> None:
    """What a command does whose interrupt was swallowed: it works, until something stops it."""
    while True:
        sum(range(1000))


def by_except(number: int) -> None:
    with contextlib.suppress(BaseException):
        signal.raise_signal(number)


def by_finalizer(number: int) -> None:
    class Resource:
        def __del__(self) -> None:
            signal.raise_signal(number)

    Resource()


def by_another_error(number: int) -> None:
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        try:
            raise RuntimeError("callback failed") from None
        except RuntimeError:
            return


SWALLOWED = pytest.mark.parametrize("swallow", [by_except, by_finalizer, by_another_error])


@SIGNALS
@SWALLOWED
def test_a_swallowed_signal_stops_what_goes_on(
    number: int, code: int, sentence: str, swallow: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        swallow(number)
        go_on()

    assert (ended(command), capsys.readouterr().err) == (code, sentence)


@SIGNALS
@SWALLOWED
def test_a_command_that_swallowed_a_signal_does_not_end_well(
    number: int, code: int, sentence: str, swallow: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (ended(lambda: swallow(number)), capsys.readouterr().err) == (code, sentence)


@SIGNALS
def test_a_signal_that_is_swallowed_again_and_again_stops_the_command(
    number: int, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        by_except(number)
        for _ in range(2):
            with contextlib.suppress(KeyboardInterrupt):
                go_on()
        go_on()

    assert (ended(command), capsys.readouterr().err) == (code, sentence)


@SIGNALS
def test_nothing_disturbs_what_cleans_up(
    number: int, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    def command() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            with contextlib.suppress(ValueError):
                raise ValueError
            signal.raise_signal(signal.SIGALRM)  # the look at whether it was swallowed
            done.append("clean")

    assert (ended(command), capsys.readouterr().err, done) == (code, sentence, ["clean"])


@SIGNALS
def test_a_signal_is_held_where_signals_are_held(
    number: int, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    def command() -> None:
        with uninterrupted():
            by_except(number)
            signal.raise_signal(number)
            done.append("moved")
        done.append("went on")

    assert (ended(command), capsys.readouterr().err, done) == (code, sentence, ["moved"])


@SIGNALS
def test_a_library_s_interrupt_is_no_keyboard_interrupt_proper(number: int, code: int, sentence: str) -> None:
    """Of which Python remembers that it passed through an exec(), to end itself by the signal at its end."""
    with pytest.raises(SystemExit), Failures([]), pytest.raises(Interrupted) as error:
        signal.raise_signal(number)
    assert error.value.number == number


def test_all_that_was_taken_over_comes_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [*map(signal.getsignal, numbers), sys.unraisablehook]
    assert ended(lambda: by_except(signal.SIGINT)) == 130
    assert [*map(signal.getsignal, numbers), sys.unraisablehook] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@SIGNALS
def test_what_the_caller_ignores_stays_ignored(number: int, code: int, sentence: str) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert ended(lambda: signal.raise_signal(number)) == 0
    finally:
        signal.signal(number, before)


def test_the_sentence_is_not_caught_with_native_codes_output(capfd: pytest.CaptureFixture[str]) -> None:
    """A signal between the two descriptors that are put back: stderr would stay where it was caught."""
    dup2 = os.dup2

    def command() -> None:
        with pytest.MonkeyPatch.context() as patch, caught_output():
            patch.setattr(os, "dup2", lambda *numbers: (dup2(*numbers), signal.raise_signal(signal.SIGINT)))

    assert (ended(command), capfd.readouterr().err) == (130, "edgecut: interrupted\n")


# A module of a command that begins to be imported says so, and takes its time.
SLOW = """
import os, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.write(1, b"ready")
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""


@SIGNALS
@pytest.mark.parametrize("name", ["edgecut.cli.main", "click", "edgecut.cli.failures", "edgecut.cli.doctor"])
def test_a_signal_while_a_command_starts(name: str, number: int, code: int, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW.format(name=name))
    assert stopped([sys.executable, "-m", "edgecut", "doctor"], tmp_path, number) == (code, sentence)


LATE = """
import atexit, os, sys, time
from edgecut import __main__ as program

def wait():
    os.write(1, b"ready")
    time.sleep(60)

program.leave_on_signals()
program.leave_on_signals = lambda: None  # its last act at the end is to come after `wait`
atexit.register(wait)
sys.argv[1:] = ["--version"]
program.main()
"""


@SIGNALS
def test_a_signal_while_a_process_ends(number: int, code: int, sentence: str, tmp_path: Path) -> None:
    assert stopped([sys.executable, "-c", LATE], tmp_path, number) == (code, sentence)


TENSORFLOW = """
import os, signal
os.kill(os.getpid(), {number})
open({file!r}, "w").close()
"""
STARTS = """
from edgecut.cli.failures import Failures
from edgecut.graph.quiet import import_keras_quietly

with Failures([]):
    import_keras_quietly()
"""


@SIGNALS
def test_tensorflow_starts_whole_or_not_at_all(number: int, code: int, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text("")
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW.format(number=int(number), file=str(tmp_path / "whole")))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", STARTS], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, (tmp_path / "whole").exists()) == (code, sentence, True)


ENDS = """
import atexit, os
from edgecut import __main__ as program
from edgecut.cli import main as line

class Native:
    def __del__(self):
        os.write(1, b", taken apart")

def leave():
    raise SystemExit({code})

native = Native()
atexit.register(os.write, 1, b"cleaned up")
line.main = leave
program.main()
"""


@SIGNALS
def test_what_a_signal_ended_is_not_taken_apart(number: int, code: int, sentence: str) -> None:
    words = [sys.executable, "-c", ENDS.format(code=code)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "cleaned up")


def stopped(words: list[str], folder: Path, number: int) -> tuple[int, str]:
    """(exit code, stderr) of a process that gets a signal when it has written "ready"."""
    with subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": str(folder)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        written = ""
        while not written.endswith("ready"):
            written += child.stdout.read(1) or pytest.fail(f"it wrote {written!r}")
        child.send_signal(number)
        _, text = child.communicate(timeout=30)
    return child.returncode, text
