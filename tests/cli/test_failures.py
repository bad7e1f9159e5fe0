"""Every way in which a command can fail: one sentence on stderr, and its exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest

from edgecut import errors
from edgecut.cli.failures import Failures
from edgecut.errors import DataError, several
from tests.command_line import run
from tests.machine import full_disk


def ending(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and stderr of a command that raises `error`."""
    with pytest.raises(SystemExit) as end, Failures(["build", "m.keras"]):
        raise error
    assert isinstance(end.value.code, int)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (errors.RequestError("a: b"), 2, "edgecut: error: a: b\n"),
        (errors.DocumentError(["a: b", "a: c"]), 2, "edgecut: error: a: b\nedgecut: error: a: c\n"),
        (errors.StepError("export: failed"), 3, "edgecut: error: export: failed\n"),
        (errors.VerifyError(["x: differs"]), 1, "edgecut: error: x: differs\n"),
        (errors.MissingRuntimeError("no vela"), 4, "edgecut: error: no vela\n"),
        (KeyboardInterrupt(), 130, "edgecut: interrupted\n"),
        (click.Abort(), 130, "edgecut: interrupted\n"),
        (
            MemoryError(),
            3,
            "edgecut: error: not enough memory for this step; close other programs or use a smaller input\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/x"),
            3,
            "edgecut: error: out/x: No space left on device; free some space, or choose another place\n",
        ),
        (click.UsageError("Got unexpected extra argument (x)"), 2,
         "edgecut: error: got unexpected extra argument (x); see `edgecut --help`\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)  # fmt: skip
def test_a_failure_is_said_in_one_sentence(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error, capsys) == (code, text)


def test_a_bug_leaves_a_log_with_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, text = ending(ZeroDivisionError("oh\nno"), capsys)
    log = next((tmp_path / "edgecut").glob("bug-*.log"))
    assert (code, text) == (5, f"edgecut: bug: ZeroDivisionError: oh; the details are in {log}\n")
    content = log.read_text()
    assert "arguments: ['build', 'm.keras']" in content
    assert content.endswith("ZeroDivisionError: oh\nno\n")


def test_a_bug_without_a_writable_cache_logs_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, text = ending(ValueError(), capsys)
    log = next(tmp_path.glob("bug-*.log"))
    assert (code, text) == (5, f"edgecut: bug: ValueError: no message; the details are in {log}\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["buidl"], "edgecut: error: no command 'buidl' (closest: 'build'); see `edgecut --help`\n"),
        (["build"], "edgecut: error: missing argument 'SOURCE'; see `edgecut build --help`\n"),
        (["build", "m.keras"], "edgecut: error: missing option '-o' / '--out'; see `edgecut build --help`\n"),
        (
            ["plan", "m.keras", "--chanels", "1"],
            "edgecut: error: no option '--chanels' (closest: '--channels'); see `edgecut plan --help`\n",
        ),
        (
            ["plan", "m.keras", "--size", "big"],
            "edgecut: error: invalid value for '--size': 'big' is no size; height x width is expected, such as "
            "96x96; see `edgecut plan --help`\n",
        ),
        (
            ["plan", "m.keras", "--gray", "--channels", "3"],
            "edgecut: error: --channels and --gray say different things; give one; see `edgecut plan --help`\n",
        ),
        (
            ["plan", "m.keras", "--threshold", "nan"],
            "edgecut: error: --threshold: data.threshold: expected a number or text, found nan\n",
        ),
        (
            ["plan", "m.keras", "--set", "classes"],
            "edgecut: error: invalid value for '--set': 'classes' is no table.key=value; see `edgecut plan --help`\n",
        ),
        (["build", "x", "-o"], "edgecut: error: option '-o' requires an argument; see `edgecut build --help`\n"),
        (
            ["profile", "fit", "--base"],
            "edgecut: error: option '--base' requires an argument; see `edgecut profile fit --help`\n",
        ),
        (["profile", "shwo"], "edgecut: error: no command 'shwo' (closest: 'show'); see `edgecut profile --help`\n"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, *words)
    assert (answer.code, answer.out, answer.err) == (2, "", text)


def test_help_alone_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "-h")
    assert (answer.code, answer.err) == (0, "")


def test_an_unwritable_stream_gets_question_marks(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "edgecut", "profile", "list"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip
    assert (child.returncode, child.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("redirect", "code", "message"),
    [
        (">/dev/full", 3, "edgecut: error: standard output: No space left on device; free some space, or choose "
                          "another place\n"),
        (">&-", 0, ""),
        ("<&- >&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)  # fmt: skip
def test_a_stdout_that_takes_nothing(redirect: str, code: int, message: str) -> None:
    command = f'exec "$0" -m edgecut profile list {redirect}'
    child = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout, child.stderr) == (code, "", message)


FIXTURES = Path(__file__).parents[1] / "fixtures"
MODEL = Path(__file__).parents[2] / "edgecut" / "demo_data" / "cifar10_backbone.keras"
INT8 = str(FIXTURES / "tiny.int8.tflite")


@pytest.mark.parametrize(
    "words",
    [
        ["new", str(MODEL), "--force", "-o", "out.toml"],
        ["inspect", INT8, "--svg", "out.svg"],
        ["bench", INT8, "--runs", "1", "--html", "out.html", "--force"],
        ["cut", INT8, "--to", "1", "-o", "out.tflite", "--force"],
    ],
    ids=lambda words: words[0],
)
def test_a_full_disk_costs_nothing_that_was_there(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    out = next(word for word in words if word.startswith("out."))
    (tmp_path / out).write_text("old")
    with full_disk(100):
        answer = run(capsys, *words)
    sentence = f"edgecut: error: {out}: File too large; raise the limit (ulimit -f), or choose another place\n"
    assert (answer.code, answer.err) == (3, sentence)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {out: "old"}


@pytest.mark.parametrize("words", [["cut", INT8, "--to", "1"], ["bench", INT8, "--html"], ["new", str(MODEL)]])
def test_a_device_is_not_replaced_by_a_file(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, *words, *([] if words[-1] == "--html" else ["-o"]), os.devnull, "--force")
    assert (answer.code, answer.err) == (2, f"edgecut: error: {os.devnull}: is a device or a pipe; name a file\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EMFILE, "Too many open files"),
         "the system refuses: Too many open files; raise the limit (ulimit -n)"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
         "no folder takes temporary files; free some space, or name a folder in TMPDIR"),
        (OSError("libLiteRt.so: failed to map segment from shared object"),
         "not enough memory for this step; close other programs or use a smaller input"),
        (OSError(errno.ENOSPC, "No space left on device", os.path.join(tempfile.gettempdir(), "tmp12", "part")),
         f"{tempfile.gettempdir()} (where temporary files are; TMPDIR names another folder): No space left on device; "
         "free some space, or choose another place"),
        (PermissionError(errno.EACCES, "Permission denied", "a\nb"),
         "'a\\nb': Permission denied; ask for permission, or choose another place"),
    ],
    ids=["files", "no temporary folder", "memory", "full temporary folder", "name of two lines"],
)  # fmt: skip
def test_what_the_machine_refuses_is_no_bug(error: OSError, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(error, capsys) == (3, f"edgecut: error: {message}\n")


def test_a_named_file_among_temporary_files_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    out = os.path.join(tempfile.gettempdir(), "mine", "m.tflite")
    with pytest.raises(SystemExit), Failures(["export", "m.keras", "-o", out]):
        raise OSError(errno.ENOSPC, "No space left on device", out)
    message = "No space left on device; free some space, or choose another place"
    assert capsys.readouterr().err == f"edgecut: error: {out}: {message}\n"


def test_a_bug_of_a_user_whom_the_system_does_not_know_has_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container: `docker run -u 12345`."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, text = ending(ValueError(), capsys)
    log = next(tmp_path.glob("bug-*.log"))
    assert (code, text) == (5, f"edgecut: bug: ValueError: no message; the details are in {log}\n")


def test_a_name_with_line_ends_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "m.keras\nedgecut: error: all is well\x1b[2J"
    assert run(capsys, "inspect", name).err == (
        r"edgecut: error: m.keras\nedgecut: error: all is well\x1b[2J: no such file; give a .keras, .h5 or .onnx file, "
        "or keras:NAME such as keras:MobileNetV2\n"
    )
    with pytest.raises(SystemExit), Failures([]):
        raise several(DataError, [f"data.train: {name} is empty", "data.val: is missing"])
    assert capsys.readouterr().err == (
        r"edgecut: error: data.train: m.keras\nedgecut: error: all is well\x1b[2J is empty"
        "\n"
        "edgecut: error: data.val: is missing\n"
    )


def test_a_name_that_is_not_text_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", os.fsdecode(b"bad\xff.tflite"))
    message = "edgecut: error: 'bad\\udcff.tflite': isn't UTF-8, and names are expected to be; rename it\n"
    assert (answer.code, answer.err) == (2, message)


def test_a_reader_that_leaves_is_no_failure(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "edgecut", "profile", "list", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    assert (child.wait(), child.stderr.read()) == (0, b"")
    child.stderr.close()


WAITING = """
import sys, time
from edgecut.cli import main, verify
def wait(*args, **options):
    sys.stdout.write("ready")
    sys.stdout.flush()
    time.sleep(60)
verify.command.callback = wait
main.main(["verify", "x"])
"""


ENDINGS = [(signal.SIGINT, 130, "edgecut: interrupted\n"), (signal.SIGTERM, 143, "edgecut: terminated\n")]
SIGNALS = pytest.mark.parametrize(("number", "code", "message"), ENDINGS, ids=["SIGINT", "SIGTERM"])


@SIGNALS
def test_a_signal_is_an_interrupt(number: signal.Signals, code: int, message: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.read(5) == "ready"
    child.send_signal(number)
    _, text = child.communicate(timeout=30)
    assert (child.returncode, text) == (code, message)


def test_the_old_meaning_of_sigterm_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), Failures([]):
        raise errors.RequestError("x")
    assert signal.getsignal(signal.SIGTERM) is before


def swallowing(number: signal.Signals, error: Exception) -> None:
    """What code in C does that meets an interrupt, and what is made of that."""
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        raise error from None


@SIGNALS
@pytest.mark.parametrize(
    "error",
    [
        SystemError("bad argument to internal function"),
        errors.StepError("export: the converter failed"),
        OSError(5, "x"),
    ],
)
def test_what_a_library_makes_of_an_interrupt_is_one(
    error: Exception, number: signal.Signals, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, Failures(["build", "m.keras"]):
        swallowing(number, error)
    assert (end.value.code, capsys.readouterr().err) == (code, message)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.RequestError("a: b"), "request"),
        (errors.DocumentError(["a: b", "a: c"]), "document"),
        (errors.MissingRuntimeError("no vela"), "missing_runtime"),
        (click.UsageError("no such thing"), "usage"),
        (KeyboardInterrupt(), "interrupted"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), "system"),
    ],
)
def test_where_a_document_was_expected_a_failure_is_one(
    error: BaseException, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, Failures(["build", "m.keras", "--json"]):
        raise error
    out, err = capsys.readouterr()
    said = "\n".join(line.removeprefix("edgecut: ").removeprefix("error: ") for line in err.splitlines())
    assert json.loads(out) == {"error": {"code": end.value.code, "kind": kind, "message": said}}


def test_a_document_that_was_printed_stays_the_only_one(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"
    answer = run(capsys, "bench", str(file), "--runs", "1", "--runner", "ssh://nobody@localhost:1", "--json")
    assert (answer.code, list(json.loads(answer.out))) == (3, ["measurements", "devices", "measured_lines", "failures"])
