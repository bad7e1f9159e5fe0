"""Several runners on one file: those of different machines at once, and none lost by another's failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.bench.image import BOARDS
from edgecut.bench.runners import vela
from edgecut.bench.runners.protocol import Runner
from edgecut.bench.runners.table import runner_of
from edgecut.errors import EdgecutError, RequestError
from edgecut.records.measurement import Kind, Measurement, Metric, missing, refused_by
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Bench


@dataclass(frozen=True)
class Device:
    """A runner and the profile that its numbers are about; None where they answer no profile's budget."""

    runner: Runner
    profile: Profile | None


@dataclass(frozen=True)
class Benched:
    """What the runners told of a file, and the errors of those that dropped out, in the runners' order.

    A runner that dropped out has a measurement without a value, whose reason is its error.
    """

    measurements: tuple[Measurement, ...]
    failures: tuple[EdgecutError, ...]
    all_failed: bool = False


def devices(texts: Sequence[str], profiles: Sequence[Profile]) -> tuple[Device, ...]:
    """The devices that texts of the form [PROFILE=]RUNNER name, each once.

    profiles: those of the request. Without PROFILE, `local` is the host's, `tflm` all microcontrollers', `vela` all
    Ethos-U's, and a machine by ssh or adb the only one's of another kind.
    Raises RequestError for an unknown runner or profile, or where it isn't clear which profile is meant.
    """
    found: dict[tuple[str, str], Device] = {}
    for text in texts:
        label, equals, rest = text.partition("=")
        labelled = bool(equals) and "://" not in label
        for device in (
            [_labelled(label, runner_of(rest), profiles)] if labelled else _unlabelled(runner_of(text), profiles)
        ):
            if device.runner.name == "vela":
                vela.check(device.profile)
            found.setdefault((device.runner.name, "" if device.profile is None else device.profile.id), device)
    return tuple(found.values())


def measure_on(path: Path, chosen: Sequence[Device], settings: Bench, artifact: str) -> Benched:
    """What each device tells of a file. Devices of one machine are asked one after another, others at once."""
    told: dict[int, tuple[Measurement, ...] | EdgecutError] = {}

    def ask(numbers: Sequence[int]) -> None:
        for number in numbers:
            try:
                device = chosen[number]
                told[number] = device.runner.measure(path, settings, artifact=artifact, profile=device.profile)
            except EdgecutError as exc:
                told[number] = exc

    places = list(dict.fromkeys(device.runner.place for device in chosen))
    turns = [[k for k, device in enumerate(chosen) if device.runner.place == place] for place in places]
    # Daemons, so that an interrupt doesn't wait for a machine that hangs.
    threads = [threading.Thread(target=ask, args=(numbers,), daemon=True) for numbers in turns[1:]]
    for thread in threads:
        thread.start()
    for numbers in turns[:1]:
        ask(numbers)
    for thread in threads:
        thread.join()
    rows: list[Measurement] = []
    for number, device in enumerate(chosen):
        answer = told[number]
        rows += [_dropped(device, artifact, answer)] if isinstance(answer, EdgecutError) else answer
    failures = tuple(answer for _, answer in sorted(told.items()) if isinstance(answer, EdgecutError))
    return Benched(tuple(rows), failures, bool(chosen) and len(failures) == len(chosen))


def _dropped(device: Device, artifact: str, error: EdgecutError) -> Measurement:
    measures: dict[str, Metric] = {"tflm": "arena", "qemu": "instructions"}
    kinds: dict[str, Kind] = {"vela": "simulated", "qemu": "emulated"}
    metric = measures.get(_scheme(device.runner), "latency")
    return missing(
        metric,
        artifact,
        str(error),
        where=device.runner.name,
        method="not run",
        profile=None if device.profile is None else device.profile.id,
        kind=kinds.get(_scheme(device.runner), "measured"),
        conditions=refused_by(error),
    )


def _scheme(runner: Runner) -> str:
    """What the text of a runner begins with."""
    return runner.name.partition("://")[0]


def _labelled(label: str, runner: Runner, profiles: Sequence[Profile]) -> Device:
    return Device(runner, next((profile for profile in profiles if profile.id == label), None) or find_profile(label))


def _unlabelled(runner: Runner, profiles: Sequence[Profile]) -> Iterator[Device]:
    if runner.name == "vela":
        own = [profile for profile in profiles if vela.takes(profile)]
    elif runner.name == "tflm":
        own = [profile for profile in profiles if profile.runtime.name == "tflm" and profile.class_ != "npu"]
    elif _scheme(runner) == "qemu":
        emulated = {core for core in BOARDS if runner.name in {"qemu", f"qemu://{core}"}}
        own = [profile for profile in profiles if profile.runtime.name == "c" and profile.cpu.core in emulated]
    elif runner.name == "local":
        own = [profile for profile in profiles if profile.class_ == "host"][:1]
    else:
        own = [profile for profile in profiles if profile.class_ in {"linux", "android"}]
        if len(own) > 1:
            ids = " or ".join(profile.id for profile in own)
            raise RequestError(f"--runner: {runner.name}: is it {ids}? say it: --runner {own[0].id}={runner.name}")
    yield from (Device(runner, profile) for profile in own)
    if not own:
        yield Device(runner, None)
