"""Crafted files and folders, each made to do harm, through every command that reads one.

    tools/attack [--only KIND ...] [--light] [--every 1] [--seed 0] [--keep DIR]

Kinds: keras, h5, savedmodel, hdf5, zip, external, onnx, tflite, npz, git, labels, recipe, profile, bundle, picture,
shard. The cases of a kind run in one child process, in which TensorFlow is imported once where it is needed. A case
fails if code out of it ran (it would write a canary), if anything was written outside of OUT, if a result holds what
lies in a file that wasn't named, or if a command ends as a bug (exit code 5), ends the process, takes over 20 seconds,
or takes itself or a child beyond the limit of memory. The table shows what was counted; failing cases are kept; the
exit code is 1 if there is one. --light: only kinds that need no TensorFlow; --every N: each Nth case.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attack_archives
import attack_graphs
import attack_keras
import attack_pictures
import attack_saved
import attack_texts
from attack_case import ROOT, SECRET, Case, Place
from fuzz import Watch, command, watched

HEAVY = frozenset({"keras", "h5", "savedmodel", "hdf5", "zip", "git", "external"})
"""Kinds whose commands may import TensorFlow."""
PARENT_BYTES = 2 << 30
"""What the process of a command may take beyond what it had when the case began."""
CHILD_BYTES = 3 << 30
"""Address space of the children that run files (EDGECUT_LIMITS)."""


def main() -> int:
    """Runs all kinds, or some; 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("attack_failures"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--skip", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _child(options)
    with tempfile.TemporaryDirectory(prefix="edgecut-attack-") as work:
        return _all(options, Path(work))


def cases(seed: int) -> dict[str, list[Case]]:
    """All cases by kind, the same for the same seed."""
    found: dict[str, list[Case]] = {}
    for module in (attack_keras, attack_archives, attack_saved, attack_graphs, attack_texts, attack_pictures):
        for make in module.CASES:
            for case in make(random.Random(seed)):
                found.setdefault(case.kind, []).append(case)
    return found


def chosen(options: argparse.Namespace) -> dict[str, list[Case]]:
    """The kinds and cases that the options ask for."""
    table = {kind: rows[:: options.every] for kind, rows in cases(options.seed).items()}
    asked = {kind for kind in table if not (options.light and kind in HEAVY)}
    return {kind: rows for kind, rows in table.items() if kind in (options.only or asked)}


def _all(options: argparse.Namespace, work: Path) -> int:
    print(
        f"{'kind':10} {'files':>5} {'commands':>8} {'seconds':>7}  {'exit codes':30} {'peak':>9}  failures", flush=True
    )
    total, failed = 0, 0
    for kind, rows in chosen(options).items():
        start = time.monotonic()
        journal = _run_kind(kind, len(rows), options, work)
        slowest = max(journal, key=lambda row: row.get("seconds", 0), default={})
        codes = Counter(str(code) for row in journal for code in row["codes"])
        failures = [row for row in journal if row["failures"]]
        text = ", ".join(f"{code}: {n}" for code, n in sorted(codes.items()))
        peak = max((row["peak"] for row in journal), default=0) >> 20
        spent, size = time.monotonic() - start, f"{len(journal):5} {codes.total():8}"
        slow = f"(slowest: {slowest.get('name')}, {slowest.get('seconds')} s)"
        print(f"{kind:10} {size} {spent:7.0f}  {text:30} {peak:5} MiB  {len(failures)}  {slow}", flush=True)
        for row in failures:
            for failure in row["failures"]:
                print(f"    {row['name']}: {failure}", flush=True)
        total += len(journal)
        failed += len(failures)
    print(f"{total} files, {failed} failed")
    return min(failed, 1)


def _run_kind(kind: str, count: int, options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """What became of each case. A child that dies or hangs is a failure of its case, and another goes on."""
    journal: list[dict[str, Any]] = []
    while len(journal) < count:
        folder = work / f"{kind}-{len(journal)}"
        folder.mkdir()
        words = [sys.executable, __file__, "--child", str(folder), "--only", kind, "--skip", str(len(journal))]
        words += ["--seed", str(options.seed), "--every", str(options.every)]
        code, said = watched(words, folder)
        lines = (folder / "journal").read_text().splitlines() if (folder / "journal").is_file() else []
        journal += [json.loads(line) for line in lines]
        if code != 0 and len(journal) < count:
            name = chosen(options)[kind][len(journal)].name
            reason = f"the process ended with {code}: {said[-200:]}"
            journal.append({"name": name, "codes": [str(code)], "failures": [reason], "peak": 0})
        for box in folder.glob("case-*"):  # those that failed
            shutil.rmtree(options.keep / f"{kind}-{box.name}", ignore_errors=True)
            shutil.copytree(box, options.keep / f"{kind}-{box.name}", symlinks=True, ignore=_no_pipes)
        shutil.rmtree(folder, ignore_errors=True)
    return journal


def _no_pipes(folder: str, names: list[str]) -> set[str]:
    """What isn't kept: pipes, and files of more than 64 MiB."""
    return {name for name in names if not _is_kept(os.path.join(folder, name))}


def _is_kept(path: str) -> bool:
    if os.path.islink(path) or os.path.isdir(path):
        return True
    return os.path.isfile(path) and os.path.getsize(path) < 1 << 26


def _child(options: argparse.Namespace) -> int:
    folder, (kind,) = options.child, options.only
    if kind in HEAVY:
        from edgecut.graph.quiet import import_keras_quietly

        import_keras_quietly()
        import keras  # noqa: F401  once, before the first case
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    os.environ.update(
        HOME=str(folder / "home"),
        KERAS_HOME=str(folder / "cache"),
        TMPDIR=str(folder / "tmp"),
        EDGECUT_CACHE=str(folder / "cache"),
        XDG_CACHE_HOME=str(folder / "cache"),
        EDGECUT_LIMITS=f"seconds=5,bytes={CHILD_BYTES}",
    )
    tempfile.tempdir = str(folder / "tmp")
    if kind == "picture":
        from edgecut.images import decode_children

        os.environ["PYTHONPATH"] = str(ROOT)
        decode_children.WORKER = attack_pictures.DECODER
    with open(folder / "journal", "w") as journal:
        for number, case in enumerate(chosen(options)[kind][options.skip :], options.skip):
            row = _try(case, folder / f"case-{number}", folder)
            journal.write(json.dumps(row) + "\n")
            journal.flush()
    return 0


_WATCHES: list[Watch] = []


def _try(case: Case, box: Path, folder: Path) -> dict[str, Any]:
    """What one case did: the exit codes, what failed, the peak of memory. Its folder stays if something did."""
    if not _WATCHES:
        _WATCHES.append(Watch(folder / "none"))
    place = Place(box)
    for part in (place.input, place.out):
        part.mkdir(parents=True)
    Path(place.secret).write_bytes(SECRET * 64)
    commands = case.put(place)
    before, codes, failures = _tree(folder), [], dict[str, None]()
    os.chdir(box)
    base = _reset_peak()
    peak, start = 0, time.monotonic()
    for words in commands:
        code, said = command(list(words), _WATCHES[0])
        codes.append(code)
        peak = max(peak, _peak() - base)
        for failure in (*_said_failures(code, said), *_box_failures(place, before, folder), *_memory_failures(peak)):
            failures.setdefault(f"{words[0]}: {failure}")
        _remove(place.canary)
    os.chdir(folder)
    if not failures:
        shutil.rmtree(box, ignore_errors=True)
    return {
        "name": case.name,
        "codes": codes,
        "failures": list(failures),
        "peak": peak,
        "seconds": round(time.monotonic() - start, 2),
    }


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _said_failures(code: int | str, said: str) -> list[str]:
    if code == "hang" or "_Hang" in said:
        return ["a hang of 20 s"]
    if code not in (0, 1, 2, 3, 4) or "Traceback" in said:
        return [f"exit code {code}: {said.strip()[-300:]!r}"]
    raw = [sign for sign in said if sign != "\n" and not sign.isprintable()]
    return [f"says {raw[0]!r} to the terminal"] if raw else []


def _box_failures(place: Place, before: dict[str, tuple[int, int]], folder: Path) -> list[str]:
    """What was written where nothing may be, code that ran, and secrets in a result."""
    if list(place.box.rglob("canary*")) or list(folder.glob("canary*")):
        return ["code of the input ran"]
    now = _tree(folder)
    changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    outside = [path for path in changed if not path.endswith("recipe.lock.toml")]
    found = [f"wrote outside of OUT: {outside[0]}"] if outside else []
    for path in place.out.rglob("*"):
        if path.is_file() and SECRET in path.read_bytes():
            found.append(f"{path.name} holds what lies in a file that wasn't named")
    return found


def _tree(folder: Path) -> dict[str, tuple[int, int]]:
    """{path: (size, modification time in ns)} of all but OUT, the cache and what the runner itself writes."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if name not in {"out", "cache"} and not (root == str(folder) and name == "tmp")
        ]
        for name in files:
            path = os.path.join(root, name)
            if root != str(folder):
                state = os.lstat(path)
                found[os.path.relpath(path, folder)] = (state.st_size, state.st_mtime_ns)
    return found


def _memory_failures(peak: int) -> list[str]:
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    found = [f"took {peak >> 20} MiB of memory"] if peak > PARENT_BYTES else []
    return [*found, f"a child took {child >> 20} MiB"] if child > CHILD_BYTES else found


def _reset_peak() -> int:
    """Begins a new peak of this process's memory; what it is, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    sys.exit(main())
