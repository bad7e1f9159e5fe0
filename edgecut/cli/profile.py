"""`edgecut profile`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from edgecut.cli.completion import profiles
from edgecut.cli.files import check_target
from edgecut.cli.groups import Group
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.errors import DocumentError, RequestError, faults_of
from edgecut.records.profile_files import AS_C, find_profile, is_twin, known_profiles
from edgecut.records.profile_names import matching, offered
from edgecut.whole import write_whole


@click.group(
    "profile",
    cls=Group,
    epilog="\b\nExamples:\n  edgecut profile list\n  edgecut profile show nucleo-l4r5zi\n"
    "  edgecut profile check board.toml\n  edgecut profile calibrate -o this-machine.toml",
)
def command() -> None:
    """The devices that edgecut knows: processor, memory, runtime, sensor, limits, and the numbers' sources.

    Profiles are looked for in ./profiles, in ~/.config/edgecut/profiles and in the shipped ones. Each microcontroller
    is known as ID-c, too: the same board with the C that edgecut generates in the place of its interpreter.
    """


@command.command(
    "list",
    epilog="\b\nExamples:\n  edgecut profile list\n  edgecut profile list h743\n"
    "  edgecut profile list cortex-m33 tflm --json",
)
@click.argument("words", nargs=-1, metavar="[WORD]...")
@with_output
@with_csv
def list_profiles(output: Output, *, words: tuple[str, ...]) -> int:
    """The devices by class, all of them or those in which each WORD occurs.

    A WORD is looked for in id, title, chip, core, class and runtime. Evidence is how many nets were measured on the
    very device and runtime; the band holds for nine of ten estimates of latency.
    """
    from edgecut.render.csv_rows import PROFILE_COLUMNS, profile_rows
    from edgecut.render.profiles import profile_table

    profiles, faults = known_profiles()
    for fault in faults:
        output.note(f"left out: {fault}")
    found = matching(words, profiles)
    if not found:
        sought = " ".join(words)
        raise RequestError(
            f"no profile matches {sought!r}{offered(sought, profiles)}; `edgecut profile list` shows all"
        )
    # A derived profile would tell what stands above it, less its latency.
    rows = [p for p in found if not (is_twin(p) and p.id.removesuffix(AS_C) in {other.id for other in found})]
    output.table(profile_table(rows))
    if len(rows) < len(found):
        output.remarks(f"each microcontroller is also ID{AS_C}: the C of edgecut in its interpreter's place")
    output.rows(PROFILE_COLUMNS, profile_rows(found))
    output.document({"profiles": [profile.to_dict() for profile in found]})
    return 0


@command.command("show", epilog="\b\nExample:\n  edgecut profile show nucleo-l4r5zi")
@click.argument("profile", shell_complete=profiles)
@with_output
def show(output: Output, *, profile: str) -> int:
    """One profile as TOML, every default filled in, each number with that of its source. PROFILE: an id or a TOML file.

    The sources stand at the end, each once.
    """
    from edgecut.records.toml_text import toml_text

    found = find_profile(profile)
    if not output.as_json:
        click.echo(toml_text(*found.told_once()), nl=False)
    output.document(found.to_dict())
    return 0


@command.command(
    "check", epilog="\b\nExamples:\n  edgecut profile check board.toml\n  edgecut profile check my-board host"
)
@click.argument("names", nargs=-1, required=True, metavar="FILE|ID...", shell_complete=profiles)
@with_output
def check(output: Output, *, names: tuple[str, ...]) -> int:
    """Check profiles: keys, units, and numbers that no such device has. Exit code 2: there are faults."""
    faults: list[str] = []
    found: list[str] = []
    for name in names:
        try:
            profile = find_profile(name)
            found.append(f"{name}: is a profile" + ("" if profile.id in name else f", {profile.id}"))
        except RequestError as exc:
            faults += faults_of(exc)
    output.document({"files": [*names], "faults": faults})
    if faults:
        raise DocumentError(faults)
    output.table(*found)
    return 0


def _writes_profile(function: Callable[..., int]) -> Callable[..., int]:
    """Adds -o and --force to a command, which gets `out`, a file that may be written, whose name is a profile's id."""

    @click.option(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The profile to write; its name without .toml is the profile's id.",
    )
    @click.option("--force", is_flag=True, help="Replace an existing FILE.")
    @functools.wraps(function)
    def run(output: Output, *, out: Path, force: bool, **options: object) -> int:
        from edgecut.calibrate.cost_table import check_id

        if out.suffix != ".toml":
            raise RequestError(f"-o: a profile is a .toml file, found {str(out)!r}")
        check_target(out, force=force)
        check_id(out.stem)
        return function(output, out=out, **options)

    return run


@command.command(
    "calibrate",
    epilog="\b\nExamples:\n  edgecut profile calibrate -o this-machine.toml\n"
    "  edgecut profile calibrate --runner ssh://pi@raspberry -o pi4.toml",
)
@click.option("--runner", default="local", metavar="RUNNER", show_default=True, help="local, ssh://user@host, adb")
@with_output
@_writes_profile
def calibrate_machine(output: Output, *, runner: str, out: Path) -> int:
    """Time a machine with small files, and write a profile that predicts any .tflite file's latency there.

    Some hundred single operators and chains, float32 and int8, one thread, in about a minute; nothing is left on the
    machine. The errors that the profile states are those of chains that the fit hadn't seen. Exit code 3: the machine
    dropped out, or was too noisy to believe.
    """
    from edgecut.bench.runners.table import machine_of
    from edgecut.calibrate.cost_table import calibrate
    from edgecut.records.toml_text import toml_text

    found = calibrate(machine_of(runner), out.stem, progress=output.progress())
    write_whole(out, toml_text(found.profile.to_dict()).encode())
    for name, reason in found.failed.items():
        output.note(f"{name}: not timed: {reason}")
    facts = found.profile.latency
    for table in facts.calibrated if facts is not None else ():
        output.note(
            f"{table.precision}: {table.files} files; of the chains left out of the fit, half are within "
            f"{table.error_p50:.1%}, nine tenths within {table.error_p90:.1%}"
        )
    if found.busy:
        output.note(
            f"{runner} was busy ({found.busy}): programs that share its caches make prices wrong; calibrate again when "
            "it is quiet"
        )
    output.note(f"every other round differs by {found.noise:.1%}; wrote {out}")
    output.document({"file": str(out), "noise": found.noise, "busy": found.busy, "profile": found.profile.to_dict()})
    return 0


@command.command(
    "fit",
    epilog="\b\nExample:\n  edgecut profile fit measured.csv --base nucleo-l4r5zi -o my-l4r5.toml\n\n"
    "\b\nmeasured.csv:\n  file,latency,arena,family\n  vww.int8.tflite,231 ms,98.4 KiB,mobilenet\n"
    "  kws.int8.tflite,76.5 ms,,ds-cnn",
)
@click.argument("measurements", type=click.Path(path_type=Path), metavar="MEASUREMENTS.csv")
@click.option("--base", required=True, metavar="ID", shell_complete=profiles, help="The profile of the device.")
@with_output
@_writes_profile
def fit(output: Output, *, measurements: Path, base: str, out: Path) -> int:
    """Make a profile of what you measured on a device, with a band that your measurements earn.

    The first line names the columns: file (a .tflite file) and latency (with its unit) and, where known, arena, family
    (nets of one architecture) and version (of the runtime); `edgecut bench --measured` prints such lines. The band is
    what leaving out a whole family gives; with few families it is wide, and says so.
    """
    from edgecut.calibrate.own_nets import fit_profile
    from edgecut.records.figure_file import read_figures
    from edgecut.records.toml_text import toml_text
    from edgecut.render.own_fit import fit_table

    found = fit_profile(read_figures(measurements), measurements, find_profile(base), out.stem)
    write_whole(out, toml_text(found.profile.to_dict()).encode())
    output.table(fit_table(found.rows, found.profile))
    for sentence in found.notes:
        output.note(sentence)
    output.note(f"wrote {out}")
    output.document(
        {
            "file": str(out),
            "rows": [asdict(row) for row in found.rows],
            "notes": list(found.notes),
            "profile": found.profile.to_dict(),
        }
    )
    return 0
