"""A child process that is told a job as JSON on stdin and answers in JSON on stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TypedDict, TypeVar

from edgecut.sandbox.confined import limited


class Timed(TypedDict):
    """What every job says. seconds: how long it may take."""

    path: str
    seconds: float


J = TypeVar("J", bound=Timed)


def serve(answer: Callable[[J], object]) -> None:
    """Do the job on stdin in its time; whatever else prints on stdout goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    job: J = json.load(sys.stdin)
    with limited(job["seconds"]):
        json.dump(answer(job), answers)
    answers.close()
