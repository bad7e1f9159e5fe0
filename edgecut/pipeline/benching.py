"""What a request's runners say of a written file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.bench.devices import Benched, devices, measure_on
from edgecut.bench.runners import vela
from edgecut.errors import RequestError
from edgecut.records.artifact import Artifact
from edgecut.records.profile import Profile
from edgecut.records.recipe import Bench


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
        device for device in devices(settings.runners, profiles)
        if not _asked_anyway(device.runner.name, device.profile)
        and (device.profile is None or device.profile.id not in others)
    ]  # fmt: skip
    return measure_on(path, chosen, settings, artifact.name)


def _asked_anyway(runner: str, profile: Profile | None) -> bool:
    if runner == "local":
        return profile is None or profile.class_ == "host"
    return runner == "tflm" or (runner == "vela" and vela.is_here())
