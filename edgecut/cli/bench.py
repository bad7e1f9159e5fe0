"""`edgecut bench`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from edgecut.cli.bench_operators import operators_document, show_operators
from edgecut.cli.bench_pair import compare_pair
from edgecut.cli.files import check_target
from edgecut.cli.flags import Overrides, grouped, recipe_flags, several_profiles
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.cli.request import read_source
from edgecut.errors import EdgecutError, RequestError, RunnersError
from edgecut.records.device_figures import DeviceFigures, device_figures, in_flash
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.recipe import Bench
from edgecut.records.usage import FileTimes
from edgecut.whole import write_whole

KINDS = (".tflite", ".onnx")


class Versus(NamedTuple):
    """--vs and --rounds: another file, timed in turn with the first."""

    other: Path | None
    rounds: int | None


class Extras(NamedTuple):
    """What is wanted beside the measurements. html: the page to write, None for none. by_hand: --measured."""

    operators: bool
    html: Path | None
    force: bool
    by_hand: tuple[str, ...]


@click.command(
    "bench",
    epilog="\b\nExamples:\n"
    "  edgecut bench model.tflite\n"
    "  edgecut bench model.tflite --profile nucleo-l4r5zi,raspberry-pi-4 --json\n"
    "  edgecut bench model.tflite --profile raspberry-pi-4 --runner ssh://pi@kitchen --runner local\n"
    "  edgecut bench new.tflite --vs old.tflite\n"
    "  edgecut bench models/ --profile nucleo-l4r5zi,esp32-s3 --html bench.html\n"
    "  edgecut bench model.tflite --measured nucleo-l4r5zi=231ms",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@several_profiles
@click.option(
    "--operators",
    is_flag=True,
    help="Also the time of each operator, by the first runner: in the graph, and one by one.",
)
@click.option(
    "--vs",
    "other",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Time FILE, too, in turn with the first, and give their ratio.",
)
@click.option("--rounds", type=click.IntRange(3), help="With --vs: how many turns each file gets (default 9).")
@click.option(
    "--measured",
    "by_hand",
    multiple=True,
    metavar="PROFILE=TIME",
    help="What the file takes on a device, read off it by hand: how far its estimate was is told; may be repeated.",
)
@click.option("--html", type=click.Path(path_type=Path), help="Write what was found as one self-contained page.")
@click.option("--force", is_flag=True, help="Replace the file of --html.")
@recipe_flags("--runs", "--warmup", "--threads", "--runner", "--timeout")
@with_output
@with_csv
@grouped(versus=Versus, extras=Extras)
def command(
    output: Output,
    *,
    files: tuple[Path, ...],
    profile_names: tuple[str, ...],
    versus: Versus,
    extras: Extras,
    overrides: Overrides,
) -> int:
    """Measure .tflite or .onnx files on this machine or by runners, and say what they take on devices.

    FILE may be a folder, or a bundle: all files in it.

    Latency, memory and the TFLM arena are measured in a child process without TensorFlow. What can't be
    measured is simulated or estimated from the profile, and labelled so, with its error band. Without --profile:
    this machine. Each device is a row: arena, flash, latency, its band, and on how much it rests. Several files are
    one table with a row for each on each device: what was measured there apart from what is estimated, and with --html
    a picture of it.
    With --runner, these measure alone: those of different machines at once. Exit code 3: one of
    them dropped out; the others' results are shown.

    \b
    local           this machine
    ssh://[user@]host[:port][/path/to/python3]
                    needs Python 3.9 and ai-edge-litert or onnxruntime there; more
                    options for ssh in EDGECUT_SSH_OPTIONS or ~/.ssh/config; host
                    keys are always checked
    adb://[SERIAL]  an Android device: EDGECUT_BENCHMARK_MODEL names the
                    benchmark_model to push, or it has a Python
    tflm            the TFLM interpreter's arena
    qemu[://CORE]   the plain C of an int8 file on emulated Cortex-M cores:
                    flash, stack and instructions, which are no time
    vela            an Ethos-U, simulated (extra ethos-u)
    PROFILE=RUNNER  what the runner measures is PROFILE's device
    """
    from edgecut.bench.by_hand import read_by_hand

    paths = _listed(files)
    _check(paths, versus, extras, output)
    named = profile_names or (() if extras.by_hand else ("host",))
    profiles, told = read_by_hand(extras.by_hand, {name: find_profile(name) for name in named}, paths[0].name)
    for sentence in shadow_notes(tuple(profiles.values())):
        output.note(sentence)
    settings = read_source(str(paths[0]), overrides).bench
    if versus.other is not None:
        return compare_pair(output, (paths[0], versus.other), settings, overrides, versus.rounds)
    if extras.html is not None:
        check_target(extras.html, force=extras.force)
    return _measure(output, names_apart(paths), profiles, settings, extras, told)


def names_apart(paths: Sequence[Path]) -> dict[str, Path]:
    """The files by their names, with as many of their folders as tell them apart."""
    found = {}
    for path in paths:
        others = [other.parts for other in paths if other != path]
        counts = range(1, len(path.parts) + 1)
        parts = next((path.parts[-k:] for k in counts if path.parts[-k:] not in {o[-k:] for o in others}), path.parts)
        found["/".join(parts)] = path
    return found


def _listed(paths: Sequence[Path]) -> list[Path]:
    """The files, each once; of a folder all that lie in it, or in the models/ of a bundle. Raises RequestError."""
    found: list[Path] = []
    for path in paths:
        inside = [sorted(folder.iterdir()) for folder in (path, path / "models") if folder.is_dir()]
        own = [[file for file in files if file.suffix.lower() in KINDS and file.name[0] != "."] for files in inside]
        if path.is_dir() and not any(own):
            raise RequestError(f"{path}: holds no .tflite and no .onnx file")
        found += next((files for files in own if files), [path])
    return list(dict.fromkeys(found))


def _check(paths: Sequence[Path], versus: Versus, extras: Extras, output: Output) -> None:
    """Raises RequestError for options that don't go together, before anything is read."""
    if len(paths) > 1 and versus.other is not None:
        raise RequestError(f"--vs: compares one file with another, found {len(paths)} before it")
    if len(paths) > 1 and extras.by_hand:
        raise RequestError(f"--measured: says what one file takes, found {len(paths)} files; bench each alone")
    if versus.other is not None and extras.by_hand:
        raise RequestError("--measured: says what one file takes; --vs compares two on one machine: give either")
    if versus.other is not None and output.as_csv:
        raise RequestError("--csv: is for what a file takes; --vs gives a ratio, which --json has")
    if versus.other is None and versus.rounds is not None:
        raise RequestError("--rounds: is for --vs FILE; without it, --runs says how often the file is run")


def _measure(
    output: Output,
    files: Mapping[str, Path],
    named: Mapping[str, Profile],
    settings: Bench,
    extras: Extras,
    told: Sequence[Measurement],
) -> int:
    """files: by name. named: the profiles by the word of the request that names each."""
    from edgecut.bench.measure import bench_files
    from edgecut.bench.spread import machine_states, warnings
    from edgecut.render.csv_rows import MEASUREMENT_COLUMNS, measurement_rows

    profiles = tuple(named.values())
    found = bench_files(files, profiles, settings, output.progress())
    measurements = (*found.measurements, *told)
    figures = _figures(files, measurements, profiles)
    lines = _lines(files, figures)
    show_measurements(output, measurements, figures, lines, {profile.id: word for word, profile in named.items()})
    output.rows(MEASUREMENT_COLUMNS, measurement_rows(measurements))
    document: dict[str, object] = {
        "measurements": [measurement.to_dict() for measurement in measurements],
        "devices": [row.document() for row in figures],
        "measured_lines": lines,
        "failures": [str(failure) for failure in found.failures],
    }
    if output.verbose:
        output.table(*machine_states(found.measurements))
    for sentence in warnings(found.measurements):
        output.note(sentence)
    times: dict[str, FileTimes] = {}
    if extras.operators and not found.failures:
        times = show_operators(output, files, profiles, settings)
        document |= operators_document(times)
    if extras.html is not None:
        write_whole(extras.html, _page(files, profiles, measurements, times, figures).encode())
    output.document(document)
    if found.failures:
        raise _one_of(found.failures)
    return 0


def _figures(
    files: Mapping[str, Path], measurements: Sequence[Measurement], profiles: Sequence[Profile]
) -> tuple[DeviceFigures, ...]:
    flashed = (profile.id for profile in profiles if in_flash(profile))
    sizes = {name: path.stat().st_size for name, path in files.items()}
    return device_figures(measurements, sizes, flashed=flashed)


def _lines(files: Mapping[str, Path], figures: Sequence[DeviceFigures]) -> dict[str, str]:
    """By device the lines to keep of what was measured there, one for each file."""
    from edgecut.bench.by_hand import measured_lines

    found: dict[str, list[str]] = {}
    for name, path in files.items():
        own = [row for row in figures if row.artifact == name]
        for device, line in measured_lines(str(path), own).items():
            found.setdefault(device, []).append(line)
    return {device: "\n".join(lines) for device, lines in found.items()}


def show_measurements(
    output: Output,
    measurements: Sequence[Measurement],
    figures: Sequence[DeviceFigures],
    lines: Mapping[str, str],
    words: Mapping[str, str],
) -> None:
    """Prints a row for each file on each device, and of one file each measurement. words: what names a profile's id."""
    from edgecut.records.bench_rows import bench_rows
    from edgecut.records.figure_file import COLUMNS
    from edgecut.render.bench_rows import bench_table
    from edgecut.render.devices import device_table
    from edgecut.render.tables import measurement_table

    several = len({m.artifact for m in measurements}) > 1
    if several:
        output.table(bench_table(bench_rows(measurements, figures)))
    elif figures:
        output.table(device_table(figures, {}))
    for name, line in lines.items():
        base = shlex.quote(words.get(name, name))
        output.remarks(f"to keep for `edgecut profile fit --base {base}`, below a line {','.join(COLUMNS)}:")
        if not (output.as_json or output.as_csv or output.quiet):
            click.echo(line)  # in one piece, however narrow the terminal is
    if several and not output.verbose:
        return
    if figures:
        output.table("")
    # What isn't known of a device is said below its row already.
    told_there = {row.profile for row in figures} if not output.verbose else set()
    shown = [m for m in measurements if m.value is not None or m.profile not in told_there]
    output.table(measurement_table(shown, verbose=output.verbose))


def _page(
    files: Mapping[str, Path],
    profiles: Sequence[Profile],
    measurements: Sequence[Measurement],
    times: Mapping[str, FileTimes],
    figures: Sequence[DeviceFigures],
) -> str:
    from edgecut.bench.usage import file_use
    from edgecut.export.readback import guess_precision
    from edgecut.render.bench_page import render_bench
    from edgecut.tflite.flatbuffer import read

    uses = [file_use(read(path), name, profiles) for name, path in files.items() if path.suffix == ".tflite"]
    precisions = {name: guess_precision(path) for name, path in files.items()}
    return render_bench(precisions, measurements, [use for use in uses if use is not None], times, figures)


def _one_of(failures: tuple[EdgecutError, ...]) -> EdgecutError:
    """The error to end with, which says them all."""
    sentences = list(dict.fromkeys(str(failure) for failure in failures))
    return failures[0] if len(sentences) == 1 else RunnersError(sentences)
