"""Commands killed at moments spread over their whole run: is what they write whole, and does the next run end well?

    tools/crash [--kills 500] [--only NAME ...] [--minutes M] [--seed 0]

Commands: cache (entries put, read and trimmed), sign, build, search, calibrate. Each round begins one in a process of
its own and stops it by SIGKILL (also of its children, in every second such round), SIGTERM, SIGINT, or a limit of the
size of files (ulimit -f) when it has used so much processor time, so that a busy machine moves no kill to an earlier
step. Then what it writes must be whole or absent, no process may be left, and after any but SIGKILL no temporary file;
the next run must end well, with what the killed one left, and leave nothing beside its result. A calibration takes
minutes, so that it is stopped in its first seconds and not run again. The table counts rounds and faults by command and
signal; the exit code is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecut.graph.quiet import import_keras_quietly

import_keras_quietly()

import keras  # noqa: E402, F401  imported once, before the rounds fork
import tensorflow  # noqa: E402, F401

from edgecut.cache.place import clear, faults  # noqa: E402
from edgecut.cache.store import Store, trim  # noqa: E402
from edgecut.cli.failures import Failures  # noqa: E402
from edgecut.cli.main import main as edgecut  # noqa: E402
from edgecut.handoff.verify import verify  # noqa: E402

DEMO = Path(__file__).resolve().parent.parent / "edgecut" / "demo_data"
OUT = "dist"
RECIPE = f"""
name = "m"
[source]
model = "{DEMO / "cifar10_backbone.keras"}"
preprocess = "tf"
[cut]
to = "stem_relu"
[export]
precisions = ["float32"]
[bench]
runs = 1
warmup = 0
"""
WAYS = ("SIGKILL", "SIGKILL with children", "SIGTERM", "SIGINT", "file size")
ENDED_S = 20.0  # within which a process that got a signal has ended


@dataclass(frozen=True)
class Operation:
    """act: run in the child, in the round's folder. fault: what is wrong with what it wrote, None for nothing.

    share: of the rounds. last_s: of processor time; None: as long as an undisturbed run takes. again: whether it is run
    once more. own: names of what it writes.
    """

    act: Callable[[], None]
    fault: Callable[[Path], str | None]
    share: float
    own: frozenset[str]
    last_s: float | None = None
    again: bool = True


def main() -> int:
    """Runs the rounds; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with `&` ignore it
    rng = random.Random(options.seed)
    done, failed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    until = time.monotonic() + 60 * options.minutes
    # By hand: what a TemporaryDirectory does at the end of a process, each forked one would do, too.
    work = Path(tempfile.mkdtemp(prefix="edgecut-crash-"))
    try:
        table = {key: row for key, row in _operations(work).items() if options.only is None or key in options.only}
        lasts = {key: row.last_s or _undisturbed(key, row, work) for key, row in table.items()}
        rounds = [key for key, row in table.items() for _ in range(round(options.kills * row.share))]
        for number, key in enumerate(rng.sample(rounds, len(rounds))):
            if time.monotonic() > until:
                break
            way = WAYS[number % len(WAYS)]
            fault = _round(table[key], work, way, 1.02 * lasts[key] * rng.random())
            done[key, way] += 1
            if fault:
                failed[key, way] += 1
                print(f"round {number}: {key}, {way}: {fault}", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _show(done, failed, list(table))
    return min(failed.total(), 1)


def _show(done: Counter[tuple[str, str]], failed: Counter[tuple[str, str]], names: list[str]) -> None:
    print(f"{'':12}" + "".join(f"{way:>23}" for way in WAYS))
    for key in names:
        cells = (f"{done[key, way]} stopped, {failed[key, way]} faults" for way in WAYS)
        print(f"{key:12}" + "".join(f"{cell:>23}" for cell in cells))
    print(f"{done.total()} rounds, {failed.total()} faults")


def _operations(work: Path) -> dict[str, Operation]:
    """The operations, and what they need in `work`: a recipe, arrays, a bundle, a key."""
    (work / "recipe.toml").write_text(RECIPE)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3)).astype("uint8")
    np.savez(work / "d.npz", x_train=pixels, y_train=np.arange(40) % 4)
    recipe = work / "recipe.toml"
    look = [
        "--data",
        str(work / "d.npz"),
        "--sizes",
        "16x16",
        "--channels",
        "3",
        "--precisions",
        "float32",
        "--top",
        "1",
    ]
    found = {
        "cache": Operation(_churn, _cache_fault, 0.55, frozenset()),
        "build": Operation(
            lambda: edgecut(["build", str(recipe), "-o", OUT, "--force"]), _bundle_fault, 0.15, frozenset({OUT})
        ),
        "sign": Operation(
            lambda: edgecut(["sign", OUT, "--key", str(work / "key")]), _bundle_fault, 0.2, frozenset({OUT})
        ),
        "search": Operation(
            lambda: edgecut(
                ["search", str(DEMO / "cifar10_backbone.keras"), "--preprocess", "tf", *look, "-o", "found"]
            ),
            _front_fault,
            0.05,
            frozenset({"found"}),
        ),
        "calibrate": Operation(
            lambda: edgecut(["profile", "calibrate", "-o", "here.toml"]),
            _profile_fault,
            0.05,
            frozenset({"here.toml"}),
            last_s=4.0,
            again=False,
        ),
    }
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key"], check=True)
    _undisturbed("build", found["build"], work)
    shutil.copytree(work / "round" / OUT, work / "bundle")
    return found


def _churn() -> None:
    """Entries put, read and trimmed, as builds of several versions would."""
    with Failures([]):  # which answers signals as every command does
        _put_and_trim()


def _put_and_trim() -> None:
    store = Store(Path(os.environ["EDGECUT_CACHE"]), {}, limit_bytes=400_000)
    random_ = random.Random(os.getpid())
    for number in range(60):
        path = Path("file")
        path.write_bytes(random_.randbytes(random_.randrange(1, 60_000)))
        store.put("made", {"number": number}, {"file": path, "again": path}, number=number)
        store.get("made", Path("got"), number=random_.randrange(number + 1))
        trim(store.folder, 300_000)
    path.unlink()
    shutil.rmtree("got", ignore_errors=True)


def _cache_fault(folder: Path) -> str | None:
    damaged = faults(folder.parent / "cache")
    # An entry may outlive its file, and is then none; a file that holds other than its name says is damage.
    wrong = [f"{path.name} {fault}" for path, fault in damaged.items() if "which is missing" not in fault]
    return wrong[0] if wrong else None


def _bundle_fault(folder: Path) -> str | None:
    if not (folder / OUT).exists():
        return None
    found = verify(folder / OUT).faults
    return f"{OUT} is not whole: {found[0]}" if found else None


def _front_fault(folder: Path) -> str | None:
    for path in (folder / "found").rglob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError as exc:
            return f"{path.name} is not whole: {exc}"
    return None


def _profile_fault(folder: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        try:
            tomllib.loads((folder / "here.toml").read_text())
        except ValueError as exc:
            return f"here.toml is not whole: {exc}"
    return None


def _fresh(work: Path) -> Path:
    for name in ("round", "cache", "tmp"):
        shutil.rmtree(work / name, ignore_errors=True)
    (work / "tmp").mkdir()
    (work / "round").mkdir()
    if (work / "bundle").is_dir():
        shutil.copytree(work / "bundle", work / "round" / OUT)
    return work / "round"


def _undisturbed(key: str, operation: Operation, work: Path) -> float:
    """The seconds of processor time that a run and its children take."""
    folder = _fresh(work)
    _, status, used = os.wait4(_begin(operation, folder, 0), 0)
    if status or (fault := operation.fault(folder)):
        said = (work / "said").read_text(errors="replace")[-300:]
        raise SystemExit(f"crash: an undisturbed {key} fails: {fault if not status else said}")
    print(f"{key}: {used.ru_utime + used.ru_stime:.1f} s of processor time", flush=True)
    return used.ru_utime + used.ru_stime


def _begin(operation: Operation, folder: Path, file_bytes: int) -> int:
    """The process of an operation, in a session of its own. file_bytes: the limit of a file, 0 for none."""
    process = os.fork()
    if process:
        return process
    code: object = 0
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.update(
            EDGECUT_CACHE=str(folder.parent / "cache"),
            XDG_CACHE_HOME=str(folder.parent / "logs"),
            TMPDIR=str(folder.parent / "tmp"),
        )
        tempfile.tempdir = os.environ["TMPDIR"]
        silent = os.open(folder.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        if file_bytes:
            # Python would keep bytecode that doesn't fit in part (https://github.com/python/cpython/issues/126606).
            sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        operation.act()
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        code = 70
    finally:
        atexit._run_exitfuncs()  # as at the end of any process: TensorFlow removes files then
        os._exit(code if isinstance(code, int) else 0)


def _round(operation: Operation, work: Path, way: str, moment: float) -> str | None:
    """What is wrong after one kill; None for nothing."""
    folder = _fresh(work)
    # A share of the moment's size: from nothing at all to more than any file here has.
    process = _begin(operation, folder, int(moment * 40_000) + 1 if way == "file size" else 0)
    status = _stopped(process, way, moment)
    if status is None:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return f"went on for {ENDED_S:g} s after the signal"
    left = _left(process)
    if left:
        os.killpg(process, signal.SIGKILL)
        return f"left processes: {left}"
    if fault := operation.fault(folder):
        return fault
    if os.waitstatus_to_exitcode(status) == 5:
        return f"ends as a bug: {(work / 'said').read_text(errors='replace')[-300:]}"
    if not way.startswith("SIGKILL") and (fault := _remains(operation, folder)):
        return fault
    return _next(operation, folder) if operation.again else None


def _stopped(process: int, way: str, moment: float) -> int | None:
    """The status with which the process ended; None if it didn't."""
    while way != "file size" and _used(process) < moment:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.005)
    match way:
        case "SIGKILL with children":
            os.killpg(process, signal.SIGKILL)
        case "file size":
            pass
        case _:
            os.kill(process, getattr(signal, way))
    end = time.monotonic() + (ENDED_S if way != "file size" else 10 * ENDED_S)
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.005)
    return None


def _remains(operation: Operation, folder: Path) -> str | None:
    """What lies beside what an operation writes, and temporary files."""
    own = operation.own | {OUT, "file", "got"}
    names = sorted({path.name for path in folder.iterdir()} - own)
    partial = sorted(path.name for path in (folder.parent / "cache").rglob(".*"))
    scratch = sorted(path.name for path in (folder.parent / "tmp").iterdir())
    found = names or partial or scratch
    return f"left {found[:3]}" if found else None


def _next(operation: Operation, folder: Path) -> str | None:
    """What is wrong with a run after the killed one, with all that it left."""
    before = {path.name for path in (folder.parent / "tmp").iterdir()}
    code = os.waitstatus_to_exitcode(os.waitpid(_begin(operation, folder, 0), 0)[1])
    if code != 0:
        said = (folder.parent / "said").read_text(errors="replace").strip().splitlines()
        return f"the next run ended with exit code {code}: {said[-1] if said else 'nothing said'}"
    if fault := operation.fault(folder):
        return f"after the next run: {fault}"
    names = sorted({path.name for path in folder.iterdir()} - operation.own - {OUT, "file", "got"})
    scratch = sorted({path.name for path in (folder.parent / "tmp").iterdir()} - before)
    if names or scratch:
        return f"the next run left {(names or scratch)[:3]}"
    clear(folder.parent / "cache")
    remains = [path.name for path in (folder.parent / "cache").rglob("*") if path.is_file()]
    return f"cache clear left {remains[:3]}" if remains else None


def _left(session: int) -> list[str]:
    """The processes of a session that still run; those that lost their parent are given a moment to see it."""
    found: list[str] = []
    for _ in range(50):
        found = [words for number, words in _processes() if number == session]
        if not found:
            break
        time.sleep(0.1)
    return found


def _processes() -> list[tuple[int, str]]:
    """(session, command line) of every process that isn't a zombie."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            # proc(5), behind the name in brackets: field 3 is the state, 6 the session.
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                words = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(fields[3]), words[:100]))
    return found


def _used(session: int) -> float:
    """The seconds of processor time that a session has used until now, ended children included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # proc(5): field 6 is the session, 14 to 17 the times (its own, its children's).
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
