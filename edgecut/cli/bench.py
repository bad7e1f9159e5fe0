"""`edgecut bench`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import click

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
from edgecut.records.usage import NO_TIMES, FileTimes, OperatorTimes
from edgecut.whole import write_whole


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
    "  edgecut bench model.tflite --measured nucleo-l4r5zi=231ms",
)
@click.argument("file", type=click.Path(path_type=Path))
@several_profiles
@click.option("--operators", is_flag=True, help="Also the time of each operator, by the first runner.")
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
    file: Path,
    profile_names: tuple[str, ...],
    versus: Versus,
    extras: Extras,
    overrides: Overrides,
) -> int:
    """Measure a .tflite or .onnx file on this machine or by runners, and say what it takes on devices.

    Latency, memory and the TFLM arena are measured in a child process without TensorFlow. What can't be
    measured is simulated or estimated from the profile, and labelled so, with its error band. Without --profile:
    this machine. Each device is a row: arena, flash, latency, its band, and on how much it rests.
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

    named = profile_names or (() if extras.by_hand else ("host",))
    profiles, told = read_by_hand(extras.by_hand, {name: find_profile(name) for name in named}, file.name)
    for sentence in shadow_notes(tuple(profiles.values())):
        output.note(sentence)
    settings = read_source(str(file), overrides).bench
    if versus.other is not None and extras.by_hand:
        raise RequestError("--measured: says what one file takes; --vs compares two on one machine: give either")
    if versus.other is not None:
        if output.as_csv:
            raise RequestError("--csv: is for what a file takes; --vs gives a ratio, which --json has")
        return _compare(output, (file, versus.other), settings, overrides, versus.rounds)
    if extras.html is not None:
        check_target(extras.html, force=extras.force)
    if versus.rounds is not None:
        raise RequestError("--rounds: is for --vs FILE; without it, --runs says how often the file is run")
    return _measure(output, file, profiles, settings, extras, told)


def _measure(
    output: Output,
    file: Path,
    named: Mapping[str, Profile],
    settings: Bench,
    extras: Extras,
    told: Sequence[Measurement],
) -> int:
    """named: the profiles by the word of the request that names each."""
    from edgecut.bench.measure import bench_for
    from edgecut.bench.spread import machine_states, warnings
    from edgecut.render.csv_rows import MEASUREMENT_COLUMNS, measurement_rows
    from edgecut.render.tables import measurement_table

    profiles = tuple(named.values())
    place = " and ".join(settings.runners or [profile.id for profile in profiles])
    with output.progress().task(f"measuring for {place}"):
        found = bench_for(file, profiles, settings)
    measurements = (*found.measurements, *told)
    figures = _figures(file, measurements, profiles)
    lines = _by_device(output, file, figures, {profile.id: word for word, profile in named.items()})
    # What isn't known of a device is said below its row already.
    told_there = {row.profile for row in figures} if not output.verbose else set()
    shown = [m for m in measurements if m.value is not None or m.profile not in told_there]
    output.table(measurement_table(shown, verbose=output.verbose))
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
    times = NO_TIMES
    if extras.operators and not found.failures:
        times = _operators(output, file, profiles, settings)
        document |= _operators_document(times)
    if extras.html is not None:
        write_whole(extras.html, _page(file, profiles, measurements, times, figures).encode())
    output.document(document)
    if found.failures:
        raise _one_of(found.failures)
    return 0


def _figures(file: Path, measurements: Sequence[Measurement], profiles: Sequence[Profile]) -> tuple[DeviceFigures, ...]:
    flashed = (profile.id for profile in profiles if in_flash(profile))
    return device_figures(measurements, {file.name: file.stat().st_size}, flashed=flashed)


def _by_device(
    output: Output, file: Path, figures: Sequence[DeviceFigures], words: Mapping[str, str]
) -> dict[str, str]:
    """Shows a row for each device; by device a line to keep of what was measured there. words: what names an id."""
    from edgecut.bench.by_hand import measured_lines
    from edgecut.records.figure_file import COLUMNS
    from edgecut.render.devices import device_table

    lines = measured_lines(str(file), figures)
    if figures:
        output.table(device_table(figures, {}))
    for name, line in lines.items():
        base = shlex.quote(words.get(name, name))
        output.table(f"to keep for `edgecut profile fit --base {base}`, below a line {','.join(COLUMNS)}:")
        if not (output.as_json or output.as_csv):
            click.echo(line)  # in one piece, however narrow the terminal is
    if figures:
        output.table("")
    return lines


def _page(
    file: Path,
    profiles: Sequence[Profile],
    measurements: Sequence[Measurement],
    times: FileTimes,
    figures: Sequence[DeviceFigures],
) -> str:
    from edgecut.bench.usage import file_use
    from edgecut.render.bench_page import render_bench
    from edgecut.tflite.flatbuffer import read

    use = file_use(read(file), file.name, profiles) if file.suffix == ".tflite" else None
    return render_bench(file.name, measurements, use, times, figures)


def _operators(output: Output, file: Path, profiles: Sequence[Profile], settings: Bench) -> FileTimes:
    """The time of each operator, which is printed as well."""
    from edgecut.bench.devices import devices
    from edgecut.bench.operators import operator_times
    from edgecut.render.operator_times import times_table

    chosen = devices(settings.runners or ("local",), profiles)
    with output.progress().task("timing operators"):
        times = operator_times(
            file,
            runs=settings.runs,
            warmup=settings.warmup,
            threads=settings.threads_here,
            device=chosen[0],
            timeout_s=settings.timeout_s,
        )
    output.table("", f"operators by {chosen[0].runner.name}", times_table(times, verbose=output.verbose))
    return times


def _operators_document(times: FileTimes) -> dict[str, object]:
    """operators: one by one where that was done, else as the runtime tells them, which is always beside it."""

    def rows(way: OperatorTimes) -> list[dict[str, object]]:
        return [asdict(row) for row in way.rows]

    told, alone = times.in_graph, times.one_by_one
    first = alone if alone.rows else told
    sums = {"in_graph": told.seconds, "one_by_one": alone.seconds, "file": times.file_s}
    return {
        "operators": rows(first),
        "operators_method": first.method,
        "operators_in_graph": rows(told),
        "operators_in_graph_method": told.method,
        "operators_in_graph_reason": told.reason,
        "operators_s": sums,
    }


def _compare(
    output: Output, files: tuple[Path, Path], settings: Bench, overrides: Overrides, rounds: int | None
) -> int:
    from edgecut.bench.interleaved import ROUNDS, RUNS, WARMUP, Turns, interleave
    from edgecut.bench.runners.table import machine_of
    from edgecut.bench.spread import wide_interval
    from edgecut.render.comparison import ratio_table
    from edgecut.runtime.specs import read_graph

    if len(settings.runners) > 1:
        raise RequestError(f"--runner: --vs compares on one machine, found {len(settings.runners)}")
    machine = machine_of((settings.runners or ("local",))[0].rpartition("=")[2])
    for path in files:
        read_graph(path)
    with output.progress().task(f"{files[0].name} and {files[1].name} in turn"):
        turns = Turns(
            rounds=rounds or ROUNDS,
            runs=settings.runs if "bench.runs" in overrides else RUNS,
            warmup=settings.warmup if "bench.warmup" in overrides else WARMUP,
            threads=settings.threads_here,
        )
        found = interleave(*files, turns, machine=machine, timeout_s=settings.timeout_s)
    ratios = {"latency": found.wall, "cpu_time": found.cpu}
    output.table(*ratio_table(ratios, str(files[0]), str(files[1]), found.where))
    sentence = wide_interval(found.wall, found.conditions)
    if sentence is not None:
        output.note(sentence)
    output.document(
        {
            "a": str(files[0]),
            "b": str(files[1]),
            "where": found.where,
            "conditions": found.conditions,
            **{metric: asdict(ratio) | {"differs": ratio.differs} for metric, ratio in ratios.items()},
        }
    )
    return 0


def _one_of(failures: tuple[EdgecutError, ...]) -> EdgecutError:
    """The error to end with, which says them all."""
    return failures[0] if len(failures) == 1 else RunnersError([str(failure) for failure in failures])
