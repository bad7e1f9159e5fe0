"""Hostile and broken files, by the thousand, through every command that reads one.

    tools/fuzz [--inputs 10000] [--seed 0] [--only KIND] [--engine hypothesis|atheris] [--keep DIR]

Kinds: recipe, profile, tflite, onnx, npz, image, bundle, keras. Each kind runs in a child process. An input fails if a
command ends as a bug (a traceback, exit code 5), ends the process, takes over 20 seconds, writes outside its folder,
leaves a file behind though it failed, or runs code that came with the file. Model files are run in their runtimes.
The table shows the inputs, the exit codes and the failures of each kind; failing inputs are kept; the exit code is 1
if there is one. `--engine atheris` (pip install atheris) guides the kinds that are plain bytes by coverage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HANG_S = 20
LIMITS = "seconds=2,bytes=3GiB"
"""Of the runtimes' child processes: a file's eight runs must end before HANG_S."""
MEMORY_BYTES = 6 << 30
"""Address space of a child without TensorFlow: a bomb must end in a sentence, not take the machine."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> int:
    """Runs all kinds, or one; 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    parser.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if options.child:
            return _child(options, options.child)
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecut-fuzz-")))
        _make_bundle(work / "sound")
        return _all(options, work)


def _all(options: argparse.Namespace, work: Path) -> int:
    from fuzz_inputs import surfaces

    table = surfaces(work / "sound")
    failures = total = 0
    print(f"{'kind':9} {'inputs':>7} {'seconds':>8}  {'exit codes':34} failures")
    for name, surface in table.items():
        if options.only not in (None, name):
            continue
        count = options.inputs if options.only else round(options.inputs * surface.share)
        start = time.monotonic()
        done, codes, failed = _run_kind(name, count, options, work)
        text = ", ".join(f"{code}: {n}" for code, n in sorted(codes.items()))
        print(f"{name:9} {done:7} {time.monotonic() - start:8.0f}  {text:34} {len(failed)}", flush=True)
        for line in failed:
            print(f"    {line}")
        failures += len(failed)
        total += done
    print(f"{total} inputs, {failures} distinct failures")
    return min(failures, 1)


def _run_kind(name: str, count: int, options: argparse.Namespace, work: Path) -> tuple[int, Counter[str], list[str]]:
    """(inputs run, exit codes, failures). A child that dies or hangs is a failure, and another goes on."""
    done, seed = 0, options.seed
    codes, failed = Counter[str](), dict[str, str]()
    while done < count:
        folder = work / f"{name}-{seed}"
        folder.mkdir()
        words = [sys.executable, __file__, "--child", str(folder), "--only", name, "--inputs", str(count - done),
                 "--seed", str(seed), "--engine", options.engine]  # fmt: skip
        code, errors = watched(words, folder)
        journal = [json.loads(line) for line in (folder / "journal").read_text().splitlines()] \
            if (folder / "journal").is_file() else []  # fmt: skip
        for row in journal:
            codes.update(str(code) for code in row["codes"])
            if row["failure"]:
                failed.setdefault(row["failure"], row["kept"])
        done += len(journal)
        if code != 0:
            done += 1
            reason = f"the process ended with {code}: {errors}"
            failed.setdefault(reason, _keep(folder / "input", options.keep / f"{name}-died-{seed}"))
            if not journal:
                break
        else:
            count = done
        for row in journal:
            if row["kept"]:
                _keep(Path(row["kept"]), options.keep / f"{name}-{Path(row['kept']).name}")
        shutil.rmtree(folder)
        seed += 1
    return done, codes, [f"{reason} ({kept})" for reason, kept in failed.items()]


def watched(words: list[str], folder: Path) -> tuple[int, str]:
    """(exit code, end of stderr) of a child, which is killed when it has finished no input for long."""
    said = folder / "stderr"
    with open(said, "wb") as errors:
        child = subprocess.Popen(words, stdout=errors, stderr=errors)
        while True:
            try:
                return child.wait(3 * HANG_S), _last_error(said.read_text(errors="replace"))
            except subprocess.TimeoutExpired:
                journal = folder / "journal"
                if not journal.is_file() or time.time() - journal.stat().st_mtime < 3 * HANG_S:
                    continue
                child.kill()


def _last_error(said: str) -> str:
    """The error at the end of a child's last words, without what hypothesis adds of its input."""
    lines = [line for line in said.splitlines() if line[:1].isalpha() and "Error" in line] or [said[-300:]]
    return lines[-1][:300]


def _keep(found: Path, place: Path) -> str:
    if found.exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(found, place, symlinks=True)
    return str(place)


def _child(options: argparse.Namespace, folder: Path) -> int:
    from fuzz_inputs import surfaces

    surface = surfaces(folder.parent / "sound")[options.only]
    if surface.heavy:
        from edgecut.graph.quiet import import_keras_quietly

        import_keras_quietly()
        import keras  # noqa: F401  imported before the clock of the first input
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    tempfile.tempdir = str(folder)
    os.environ.update(TMPDIR=tempfile.tempdir, EDGECUT_LIMITS=LIMITS)
    watch = Watch(folder / "input")
    with open(folder / "journal", "w") as journal:

        def check(content: Any) -> None:
            row = _try(surface.put, surface.commands, content, watch)
            journal.write(json.dumps(row) + "\n")
            journal.flush()

        if options.engine == "atheris":
            _guide_by_coverage(check, options)
        else:
            _draw(surface.inputs, check, options)
    return 0


def _draw(inputs: Any, check: Callable[[Any], None], options: argparse.Namespace) -> None:
    import hypothesis

    everything = hypothesis.settings(
        max_examples=options.inputs, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    hypothesis.seed(options.seed)(everything(hypothesis.given(inputs)(check)))()


def _guide_by_coverage(check: Callable[[Any], None], options: argparse.Namespace) -> None:
    import atheris

    # Instrumentation slows the tools' own imports, so only edgecut's modules report coverage.
    atheris.Setup([sys.argv[0], f"-runs={options.inputs}", f"-seed={options.seed + 1}", "-max_len=20000"], check)
    atheris.Fuzz()


def _try(put: Callable[..., Path], commands: Callable[[Path], Any], content: Any, watch: Watch) -> dict[str, Any]:
    """One input through its commands: the exit codes, and the first failure with the folder that is kept."""
    folder = watch.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = put(folder, content)
    codes, failure = [], None
    os.chdir(folder)
    for words in commands(path):
        before = set(folder.rglob("*"))
        code, output = command(words, watch)
        codes.append(code)
        failure = failure or _failure(code, output, watch)
        if code != 0 and (left := set(folder.rglob("*")) - before):
            failure = failure or f"exit code {code}, and left behind: {min(left).relative_to(folder)}"
    os.chdir(folder.parent)
    kept = None
    if failure:
        kept = str(folder.parent / f"kept-{abs(hash(failure)) % 10**8}")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, symlinks=True)
    return {"codes": codes, "failure": failure, "kept": kept}


def _failure(code: int | str, said: str, watch: Watch) -> str | None:
    if code == "hang":
        return f"a hang of {HANG_S} s: {said[-200:]}"
    if (watch.folder / "canary").exists() or (watch.folder.parent / "canary").exists():
        return "code of the file was run"
    if watch.outside:
        return f"wrote outside: {watch.outside[0]}"
    if code not in (0, 1, 2, 3, 4) or "Traceback" in said:
        return said.strip()[-400:] or f"exit code {code}, and nothing said"
    if code != 0 and not said.strip():
        return f"exit code {code}, and nothing said"
    return None


class _Hang(BaseException):
    """Raised by the alarm; not an Exception, so that nobody takes it for a fault of the file."""


def command(words: list[str], watch: Watch) -> tuple[int | str, str]:
    """(exit code, what was said on stderr) of one command line, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(HANG_S)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), watch:
            return _invoke(words), _bugs_traced(err.getvalue())
    except _Hang:
        return "hang", " ".join(words)
    finally:
        signal.alarm(0)


def _invoke(words: list[str]) -> int:
    from edgecut.cli.failures import Failures
    from edgecut.cli.main import main as run

    try:
        if words[0] != "fuzz-data":
            run(words)
        with Failures(words):
            _read_pictures(Path(words[1]))
    except SystemExit as exc:
        return int(exc.code or 0)
    return 0


def _read_pictures(path: Path) -> None:
    from edgecut.images.dataset import read_data
    from edgecut.images.device import PictureForm
    from edgecut.records.recipe import Data

    read_data(Data(train=str(path)), PictureForm(8, 8, 3))


def _bugs_traced(said: str) -> str:
    """What was said, with the end of the log that a bug's sentence names."""
    if "the details are in " in said:
        log = Path(said.rsplit("the details are in ", 1)[1].strip())
        lines = log.read_text().splitlines()
        places = [line.strip() for line in lines if "/edgecut/" in line][-1:]
        log.unlink()
        return f"{said.split('; the details')[0]} at {' '.join(places)}"
    return said


def _alarm(number: int, frame: Any) -> None:
    raise _Hang


class Watch:
    """While it lasts, notes every file that this process writes outside a folder (sys.addaudithook)."""

    def __init__(self, folder: Path) -> None:
        """folder: where writing is allowed, beside the logs of bugs."""
        self.folder = folder
        self.outside: list[str] = []
        self._on = False
        self._allowed = (str(folder.parent), "/dev/null", str(Path.home() / ".cache" / "edgecut"))
        sys.addaudithook(self._see)

    def __enter__(self) -> None:
        self.outside.clear()
        self._on = True

    def __exit__(self, *error: object) -> None:
        self._on = False

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._on:
            for path in _written(event, arguments):
                full = os.path.abspath(path)
                if not full.startswith(self._allowed) and "__pycache__" not in full:
                    self.outside.append(f"{event} {full}")


def _written(event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes) and isinstance(flags, int) and flags & _WRITING:
            yield os.fsdecode(path)
    elif event in {"os.mkdir", "os.remove", "os.rename", "os.symlink", "os.link", "os.rmdir", "os.truncate"}:
        yield from (os.fsdecode(part) for part in arguments if isinstance(part, str | bytes))


def _make_bundle(place: Path) -> None:
    demo = [sys.executable, "-m", "edgecut", "demo", "-q", "-o", str(place)]
    subprocess.run(demo, check=False, cwd=ROOT, stdout=subprocess.DEVNULL)
    if not (place / "manifest.json").is_file():
        raise SystemExit("fuzz: the demo made no bundle; run `edgecut demo` by hand to see why")


if __name__ == "__main__":
    sys.exit(main())
