"""Builds killed at moments spread over their whole run: is OUT always whole or absent, and does the next build succeed?

    tools/crash [--kills 200] [--seed 0]

Each round begins a build of the demo's recipe in a process of its own, without a cache, and kills it (SIGKILL; in every
second round its children, too) when it has used so much processor time, so that a busy machine moves no kill to an
earlier step. The rounds come in random order. Then OUT must be absent, or whole to `edgecut verify`, with nothing
beside it but OUT.partial; and a build after it, with the cache as the killed one left it, must end well and leave OUT
alone. In every second pair of rounds OUT holds an older bundle. The exit code is 1 if a round fails.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from edgecut.graph.quiet import import_keras_quietly

import_keras_quietly()

import keras  # noqa: E402, F401  imported once, before the rounds fork
import tensorflow  # noqa: E402, F401

from edgecut.cli.main import main as edgecut  # noqa: E402
from edgecut.handoff.verify import verify  # noqa: E402

RECIPE = Path(__file__).resolve().parent.parent / "edgecut" / "demo_data" / "recipe.toml"
OUT = "dist"


def main() -> int:
    """Runs the rounds; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="edgecut-crash-") as name:
        work = Path(name)
        os.environ["EDGECUT_CACHE"] = os.environ["XDG_CACHE_HOME"] = str(work / "cache")
        duration = _whole_build(work / "first")
        shutil.rmtree(work / "cache", ignore_errors=True)
        print(f"a build takes {duration:.1f} s of processor time here", flush=True)
        states: Counter[str] = Counter()
        failures: list[str] = []
        for done, k in enumerate(rng.sample(range(options.kills), options.kills)):
            if done and done % 20 == 0:
                print(f"{done} builds begun, {len(failures)} failures", flush=True)
            folder = work / str(k)
            folder.mkdir()
            if k % 4 >= 2:
                shutil.copytree(work / "first" / OUT, folder / OUT)
            # One moment in each of `kills` equal parts of a build, and a little beyond its end.
            moment = 1.05 * duration * (k + rng.random()) / options.kills
            # Each begins without a cache, and the build after it takes what the killed one left there.
            shutil.rmtree(work / "cache", ignore_errors=True)
            state = _killed_build(folder, moment, with_children=k % 2 == 1)
            fault = _fault(folder) or _next_fault(folder)
            states[state] += 1
            if fault:
                failures.append(f"round {k}, killed after {moment:.2f} s: {fault}")
                print(failures[-1], flush=True)
            shutil.rmtree(folder)
    print(f"{options.kills} builds begun: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    print(f"{len(failures)} failures")
    return min(len(failures), 1)


def _whole_build(folder: Path) -> float:
    """The seconds of processor time of an undisturbed build and its children."""
    folder.mkdir()
    _, status, used = os.wait4(_begin(folder), 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0 or verify(folder / OUT).faults:
        raise SystemExit(f"crash: an undisturbed build ended with exit code {code}")
    return used.ru_utime + used.ru_stime


def _used(group: int) -> float:
    """The seconds of processor time that a process group has used until now, ended children included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # proc(5), behind the name in brackets: field 5 is the group, 14 to 17 the times (its own, its children's).
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _begin(folder: Path) -> int:
    """The process of a build, in a group of its own."""
    process = os.fork()
    if process:
        return process
    os.setsid()
    os.chdir(folder)
    silent = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    code: object = 5
    try:
        edgecut(["build", str(RECIPE), "-o", OUT, "--force"])
    except SystemExit as exc:
        code = exc.code
    finally:
        os._exit(code if isinstance(code, int) else 0)


def _killed_build(folder: Path, moment: float, *, with_children: bool) -> str:
    """ "ended" or "killed": what became of a build, killed after `moment` seconds of processor time."""
    process = _begin(folder)
    while _used(process) < moment:
        if os.waitpid(process, os.WNOHANG)[0]:
            return "ended before"
        time.sleep(0.01)
    (os.killpg if with_children else os.kill)(process, signal.SIGKILL)
    os.waitpid(process, 0)
    if with_children:
        return "killed with their children"
    # Children that lost their parent are given a moment, as they would have it in life.
    time.sleep(0.2)
    return "killed alone"


def _fault(folder: Path) -> str | None:
    """What is wrong with a folder after a kill; None if OUT is whole or absent."""
    names = {path.name for path in folder.iterdir()}
    foreign = names - {OUT, f"{OUT}.partial", f".{OUT}.replaced-by-edgecut", "said"}
    if foreign:
        return f"left {sorted(foreign)}"
    if OUT in names:
        faults = verify(folder / OUT).faults
        return f"OUT is not whole: {faults[0]}" if faults else None
    return None


def _next_fault(folder: Path) -> str | None:
    code = os.waitstatus_to_exitcode(os.waitpid(_begin(folder), 0)[1])
    if code != 0:
        said = (folder / "said").read_text(errors="replace").strip().splitlines()
        return f"the next build ended with exit code {code}: {said[-1] if said else 'nothing said'}"
    left = {path.name for path in folder.iterdir()} - {OUT, "said"}
    return f"the next build left {sorted(left)}" if left else _fault(folder)


if __name__ == "__main__":
    sys.exit(main())
