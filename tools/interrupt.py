"""Commands stopped by SIGINT and SIGTERM at moments spread over their whole run: does each end as promised?

    tools/interrupt [--stops 40] [--again] [--seed 0] [-- COMMAND ...]

Each round begins `edgecut COMMAND` (a build of the demo's recipe into `dist`, without a cache) in a process of its
own, and sends it SIGINT or, in every second round, SIGTERM after so many seconds; with --again once more 50 ms later.
It must end with exit code 130 or 143 and the signal's sentence alone on stderr, or, if it was done by then, as an
undisturbed one does; it must leave OUT whole or absent, nothing beside it, no temporary file and no process. Until
Python itself has started, in its first 50 ms or so, nothing can answer: give --first-s 0.15 to begin after that. The
exit code is 1 if a round fails.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from edgecut.handoff.verify import verify
from edgecut.interrupts import SENTENCES, exit_code

RECIPE = Path(__file__).resolve().parent.parent / "edgecut" / "demo_data" / "recipe.toml"
OUT = "dist"
MARK = "EDGECUT_INTERRUPT_ROUND"
WAIT_S = 120.0
SWALLOWED_S = 2.0  # a run that still goes on for so long wasn't at its very end


def main() -> int:
    """Runs the rounds; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=40)
    parser.add_argument("--first-s", type=float, default=0.0, help="the earliest moment")
    parser.add_argument("--last-s", type=float, help="the latest moment; the whole run if not given")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*", default=["build", str(RECIPE), "-o", OUT, "--quiet"])
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with `&` ignore it
    rng = random.Random(options.seed)
    failures: list[str] = []
    states: Counter[str] = Counter()
    late: list[float] = []
    with tempfile.TemporaryDirectory(prefix="edgecut-interrupt-") as name:
        last = options.last_s or _whole_run(Path(name) / "first", options.words)
        print(f"moments from {options.first_s:g} to {last:.2f} s", flush=True)
        for k in rng.sample(range(options.stops), options.stops):
            moment = options.first_s + (last - options.first_s) * (k + rng.random()) / options.stops
            number = (signal.SIGINT, signal.SIGTERM)[k % 2]
            folder = Path(name) / str(k)
            state, fault, took = _round(folder, options.words, number, moment, again=options.again)
            states[state] += 1
            late.append(took)
            if fault:
                failures.append(f"round {k}: {number.name} after {moment:.3f} s: {fault}")
                print(failures[-1], flush=True)
    print(f"{options.stops} runs: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    print(f"ended {sorted(late)[len(late) // 2]:.2f} s after the signal (median), {max(late):.2f} s at most")
    print(f"{len(failures)} failures")
    return min(len(failures), 1)


def _begin(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    (folder / "tmp").mkdir(parents=True)
    (folder / "work").mkdir()
    scratch = {"TMPDIR": folder / "tmp", "EDGECUT_CACHE": folder / "cache", "XDG_CACHE_HOME": folder / "cache"}
    environment = {**os.environ, **{key: str(path) for key, path in scratch.items()}, MARK: folder.name}
    program = Path(sys.executable).with_name("edgecut")
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            [program, *words], cwd=folder / "work", env=environment, stdout=subprocess.DEVNULL, stderr=said
        )


def _whole_run(folder: Path, words: list[str]) -> float:
    """The seconds that an undisturbed run takes."""
    begin = time.monotonic()
    if _begin(folder, words).wait() != 0:
        raise SystemExit(f"interrupt: an undisturbed run fails: {(folder / 'said').read_text()}")
    return time.monotonic() - begin


def _round(
    folder: Path, words: list[str], number: signal.Signals, moment: float, *, again: bool
) -> tuple[str, str | None, float]:
    """(what became of a run, what is wrong with that, the seconds from the signal to its end)."""
    process = _begin(folder, words)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    sent = time.monotonic()
    if again:
        time.sleep(0.05)
        process.send_signal(number)
    try:
        code = process.wait(WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return "went on", f"it went on for {WAIT_S:g} s", WAIT_S
    took = time.monotonic() - sent
    said = (folder / "said").read_text(errors="replace")
    state = f"ended with {code}"
    if code == 0 and took > SWALLOWED_S:
        return state, f"it went on for {took:.1f} s and ended well", took
    if code == 0 and said == "":
        return state, _left(folder), took
    if (code, said) != (exit_code(number), f"edgecut: {SENTENCES[number]}\n"):
        return state, f"exit code {code}, said {said!r}", took
    return state, _left(folder), took


def _left(folder: Path) -> str | None:
    """What a run has left behind that it shouldn't, None if nothing."""
    for _ in range(20):  # a child whose parent has ended is given a moment to see it
        processes = _processes(folder.name)
        if not processes:
            break
        time.sleep(0.1)
    names = {path.name for path in (folder / "work").iterdir()}
    if processes:
        return f"left processes: {processes}"
    if names - {OUT}:
        return f"left {sorted(names - {OUT})}"
    if OUT in names and (faults := verify(folder / "work" / OUT).faults):
        return f"OUT is not whole: {faults[0]}"
    scratch = [path.name for path in (folder / "tmp").iterdir()]
    return f"left temporary files: {sorted(scratch)}" if scratch else None


def _processes(name: str) -> list[str]:
    """The command lines of a round's processes that still run."""
    mark, lines = f"{MARK}={name}".encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (place / "environ").read_bytes().split(b"\0"):
                lines.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200])
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return lines


if __name__ == "__main__":
    sys.exit(main())
