"""The runners that there are, and one out of the text that a user writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from edgecut.bench.runners.adb import adb_of
from edgecut.bench.runners.local import Local
from edgecut.bench.runners.protocol import Machine, Runner
from edgecut.bench.runners.qemu import qemu_of
from edgecut.bench.runners.ssh import ssh_of
from edgecut.bench.runners.tflm import Tflm
from edgecut.bench.runners.vela import Vela
from edgecut.errors import RequestError
from edgecut.records.nearest import closest

# What the text begins with, up to "://" -> a function of the text, which raises RequestError for a fault in the rest.
MACHINES: dict[str, Callable[[str], Machine]] = {"local": lambda _: Local(), "ssh": ssh_of, "adb": adb_of}
RUNNERS: dict[str, Callable[[str], Runner]] = {
    **MACHINES,
    "tflm": lambda _: Tflm(),
    "vela": lambda _: Vela(),
    "qemu": qemu_of,
}


def runner_of(text: str) -> Runner:
    """The runner that the text names. Raises RequestError for an unknown one."""
    scheme = text.partition("://")[0]
    if scheme not in RUNNERS:
        raise RequestError(f"--runner: {_and(RUNNERS)} are known, found {text!r}{closest(scheme, RUNNERS)}")
    return RUNNERS[scheme](text)


def machine_of(runner: str | Runner) -> Machine:
    """The runner, or the one that a text names, if it can time any file. Raises RequestError for another."""
    text = runner if isinstance(runner, str) else runner.name
    scheme = text.partition("://")[0]
    if scheme in RUNNERS and scheme not in MACHINES:
        raise RequestError(f"--runner: {scheme!r} times no files of any kind; {_and(MACHINES)} do")
    named = runner_of(text) if isinstance(runner, str) else runner
    return cast(Machine, named)


def _and(names: Iterable[str]) -> str:
    *before, last = map(repr, names)
    return f"{', '.join(before)} and {last}"
