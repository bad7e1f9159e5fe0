"""Size, latency and memory of each file, here and on each device whose runtime takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.bench.devices import Benched, Device, devices, measure_on
from edgecut.bench.measure import on_device, size
from edgecut.bench.runners import vela
from edgecut.bench.runners.local import Local
from edgecut.errors import RequestError
from edgecut.pipeline.values import Done, WrittenFile, timed
from edgecut.records.artifact import Artifact
from edgecut.records.facts import StepFacts
from edgecut.records.measurement import Measurement
from edgecut.records.precision import taken_by
from edgecut.records.profile import Profile
from edgecut.records.progress import Progress
from edgecut.records.recipe import Bench


def bench_files(
    files: Sequence[WrittenFile], settings: Bench, profiles: Sequence[Profile], progress: Progress
) -> Done[tuple[Measurement, ...]]:
    """Size, host latency and memory of each file, and what it costs on each device whose runtime takes it.

    A device that couldn't be reached may be there the next time, so that the result isn't repeatable then.
    """
    host = host_of(profiles)
    rows: list[Measurement] = []
    failures: list[str] = []
    with timed("bench", progress, len(files)) as clock:
        for file in files:
            name = file.artifact.name
            takers = [p for p in profiles if taken_by(p, file.artifact.format, file.artifact.precision)]
            rows.append(size(file.path, name))
            for profile in takers:
                if profile is not host:
                    rows += on_device(file.path, profile, name, settings.threads)
            # A file that this host's runtime refuses may run on the devices: the row says why, and the others stay.
            rows += measure_on(file.path, (Device(Local(), host),), settings, name).measurements
            benched = by_runners(file.path, file.artifact, settings, profiles, takers)
            rows += benched.measurements
            failures += [str(failure) for failure in benched.failures]
            clock.advance(1)
        step = clock.step(changed=False, after=StepFacts(measurements=len(rows)), notes=tuple(failures))
    return Done(tuple(rows), (step,), repeatable=not failures)


def host_of(profiles: Sequence[Profile]) -> Profile | None:
    """The profile of this host, if it is one of them."""
    return next((profile for profile in profiles if profile.class_ == "host"), None)


def runner_faults(settings: Bench, profiles: Sequence[Profile]) -> Iterator[str]:
    """A fault for each runner that isn't known, or of which it isn't clear whose device it is."""
    for text in settings.runners:
        try:
            devices([text], profiles)
        except RequestError as exc:
            yield f"bench.runners: {str(exc).removeprefix('--runner: ')}"


def by_runners(
    path: Path, artifact: Artifact, settings: Bench, profiles: Sequence[Profile], takers: Sequence[Profile]
) -> Benched:
    """What the settings' runners measure of a file.

    takers: those of the profiles whose runtime takes the file; the others' runners are left out, and so are the host,
    the interpreter and Vela where a build asks them in any case.
    """
    others = {profile.id for profile in profiles} - {profile.id for profile in takers}
    chosen = [
        device
        for device in devices(settings.runners, profiles)
        if not _asked_anyway(device.runner.name, device.profile)
        and (device.profile is None or device.profile.id not in others)
    ]
    return measure_on(path, chosen, settings, artifact.name)


def _asked_anyway(runner: str, profile: Profile | None) -> bool:
    if runner == "local":
        return profile is None or profile.class_ == "host"
    return runner == "tflm" or (runner == "vela" and vela.is_here())
