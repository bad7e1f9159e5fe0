"""The runners that there are, and one out of the text that a user writes."""

from __future__ import annotations

from collections.abc import Callable

from edgecut.bench.runners.local import Local
from edgecut.bench.runners.protocol import Machine, Runner
from edgecut.bench.runners.tflm import Tflm
from edgecut.errors import RequestError
from edgecut.records.nearest import closest

# What the text begins with, up to "://" -> a function of the text, which raises RequestError for a fault in the rest.
RUNNERS: dict[str, Callable[[str], Runner]] = {"local": lambda _: Local(), "tflm": lambda _: Tflm()}
MACHINES: dict[str, Callable[[str], Machine]] = {"local": lambda _: Local()}


def runner_of(text: str) -> Runner:
    """The runner that the text names. Raises RequestError for an unknown one."""
    scheme = text.partition("://")[0]
    if scheme not in RUNNERS:
        known = " and ".join(repr(name) for name in RUNNERS)
        raise RequestError(f"--runner: {known} are known, found {text!r}{closest(scheme, RUNNERS)}")
    return RUNNERS[scheme](text)


def machine_of(text: str) -> Machine:
    """The runner that the text names, if it can time any file. Raises RequestError for another, or an unknown one."""
    runner = runner_of(text)
    scheme = text.partition("://")[0]
    if scheme not in MACHINES:
        known = " and ".join(repr(name) for name in MACHINES)
        raise RequestError(f"--runner: {runner.name!r} times no files; {known} do")
    return MACHINES[scheme](text)
