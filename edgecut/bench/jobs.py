"""What the child process that times files is asked, and what it answers (bench/worker.py)."""

from __future__ import annotations

from typing import TypedDict


class Job(TypedDict, total=False):
    """What is to be done; which keys a job has is said at its function. inputs: in base64. ticks: a
    file to make longer by a byte behind each round."""

    job: str
    paths: list[str]
    rounds: int
    runs: int
    warmup: int
    threads: int
    seconds: float
    address_bytes: int
    first_bytes: int
    arena_bytes: int
    inputs: list[str]
    inputs_of: list[list[str]]
    ticks: str


class Row(TypedDict, total=False):
    """What a result says of one file, or of one operator."""

    wall_s: list[float]
    cpu_s: list[float]
    first_s: float
    error: str
    operator: str
    name: str
    node: int
    seconds: float
    head_bytes: int
    outputs: list[str]


class Result(TypedDict, total=False):
    """What came of a job; which keys there are is said at its function."""

    rows: list[Row]
    wall_s: list[float]
    cpu_s: list[float]
    first_s: float
    load_s: float
    memory_bytes: int | None
    runtime: str
    version: str
    conditions: State
    error: str
    of: int
    missing: str | None
    smallest_bytes: int
    head_bytes: int
    tail_bytes: int
    outputs: list[str]
    shape: list[int]
    dtype: str


class Clocks(TypedDict):
    """Seconds of wall and of processor time."""

    wall: float
    cpu: float


class State(TypedDict):
    """The machine as it is when files are timed: see `machine_state`."""

    machine: str
    cpu: str
    cores: int | None
    python: str
    load: float | None
    governor: str | None
    pinned_to: list[int] | None
    timer_s: Clocks


class TimedState(State):
    """The same with the first run's seconds, which a latency's conditions have."""

    first_s: float


class Timed(TypedDict):
    """Seconds of each run, and of the first one."""

    wall_s: list[float]
    cpu_s: list[float]
    first_s: float
