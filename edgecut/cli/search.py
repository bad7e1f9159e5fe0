"""`edgecut search`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgecut.cli.completion import files
from edgecut.cli.crew import crew_flags
from edgecut.cli.flags import Parsed, grouped, recipe_flags, several_profiles, toml_value
from edgecut.cli.output import Output, with_csv, with_output
from edgecut.cli.request import Request
from edgecut.pipeline.workers import Spread
from edgecut.records.front import Front
from edgecut.records.precision import PRECISIONS
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.units import parse_seconds

if TYPE_CHECKING:
    from edgecut.records.recipe import Precision
    from edgecut.score.metrics import MetricName
    from edgecut.search import request as searched

_MINUTES = {"min": 60.0, "m": 60.0, "h": 3600.0}


class Space(NamedTuple):
    """What is looked through, and how long. None: what the source and the devices say."""

    sizes: tuple[tuple[int, int], ...] | None
    channels: tuple[int, ...] | None
    precisions: tuple[Precision, ...] | None
    metric: str | None
    top: int
    time_limit: float | None


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    found = []
    for word in _words(text):
        height, cross, width = word.lower().replace("×", "x").partition("x")
        if not height.isdigit() or (cross and not width.isdigit()) or min(int(height), int(width or height)) < 1:
            raise ValueError(f"{word!r} is no size; height x width is expected, such as 96x96,64x64")
        found.append((int(height), int(width or height)))
    return tuple(dict.fromkeys(found))


def _channels(text: str) -> tuple[int, ...]:
    if not all(word in {"1", "3"} for word in _words(text)):
        raise ValueError(f"{text!r}: 1 (gray), 3 (colour) or 1,3 is expected")
    return tuple(dict.fromkeys(int(word) for word in _words(text)))


def _precisions(text: str) -> tuple[str, ...]:
    unknown = [word for word in _words(text) if word not in PRECISIONS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no precision; {', '.join(PRECISIONS)} are known")
    return tuple(dict.fromkeys(_words(text)))


def _time(text: str) -> float:
    """Seconds of "90 s", "10m" or "1h"."""
    for unit, factor in _MINUTES.items():
        number = text.strip().removesuffix(unit)
        if number != text.strip():
            return parse_seconds(number.strip()) * factor
    return parse_seconds(text)


def _limit(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise ValueError(f"{text!r} is no limit; NAME=VALUE is expected, such as latency_s='50 ms'")
    return f"budget.{key.strip()}", toml_value(value.strip())


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@click.command(
    "search",
    epilog="\b\nExamples:\n"
    "  edgecut search mobilenet.keras --preprocess tf --data cifar10.npz --profile esp32-s3 \\\n"
    "      --sizes 96x96,64x64,32x32 --channels 1,3 --precisions int8 -o found\n"
    "  edgecut search recipe.toml --profile raspberry-pi-4 --budget latency_s='5 ms' --time-limit 10m -o found",
)
@click.argument("source", shell_complete=files)
@several_profiles
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Where the search is kept.")
@click.option("--sizes", type=Parsed(_sizes, "HxW,..."), metavar="HxW,...", help="Sizes to look at.")
@click.option("--channels", type=Parsed(_channels, "1,3"), metavar="1,3", help="Gray, colour, or both.")
@click.option("--precisions", type=Parsed(_precisions, "int8,..."), metavar="int8,...", help="Precisions to look at.")
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "auc", "map", "mse"]),
    help="What ranks: accuracy or auc of classes, map of tags, mse (shown as R2) of values or features.",
)
@click.option("--top", type=int, default=3, show_default=True, help="Choices to build for each device.")
@click.option("--time-limit", type=Parsed(_time, "TIME"), metavar="10m", help="Begin nothing new after this time.")
@click.option(
    "--budget",
    "limits",
    multiple=True,
    type=Parsed(_limit, "NAME=VALUE"),
    metavar="NAME=VALUE",
    help="A limit: accuracy_drop, latency_s, arena_bytes or size_bytes; may be repeated.",
)
@recipe_flags(
    "--preprocess",
    "--unsafe",
    "--shape",
    "--dequantize",
    "--data",
    "--val",
    "--labels",
    "--kind",
    "--target",
    "--limit",
    "--calibration",
    "--seed",
    "--pixels",
    "--classes",
    "--set",
)
@with_output
@with_csv
@crew_flags("Spread the work")
@grouped(request=Request, space=Space)
def command(
    output: Output, *, request: Request, out: Path, limits: tuple[tuple[str, object], ...], space: Space, spread: Spread
) -> int:
    """Choose the cut, the size, the channels and the precision that fit a device.

    Looks at every cut in one pass, builds and measures the best, and keeps all of it in OUT: the same command goes on
    where it was stopped. Ctrl-C shows what has been found. Exit code 1: nothing that was built fits a device.
    """
    request = request._replace(overrides={**request.overrides, **dict(limits)})
    search = _request(request, out, space, spread)
    words = {profile.id: word for profile, word in zip(search.profiles, request.profile_names, strict=False)}
    for sentence in shadow_notes(search.profiles):
        output.note(sentence)
    from edgecut.graph.quiet import import_keras_quietly

    progress = output.progress()
    with progress.task("starting TensorFlow"):
        import_keras_quietly()
    from edgecut.search.run import SearchInterrupted, run

    try:
        front = run(search, progress)
    except SearchInterrupted as exc:
        _show(output, exc.front, out, words)
        raise
    _show(output, front, out, words)
    return _exit_code(front)


def _request(request: Request, out: Path, space: Space, spread: Spread) -> searched.Request:
    recipe, profiles = request.read()
    from edgecut.images.targets import target_of
    from edgecut.search.request import METRIC_FLAGS, check, default_precisions
    from edgecut.search.request import Request as Search

    metric: MetricName | None = next((name for name, flag in METRIC_FLAGS.items() if flag == space.metric), None)
    if recipe.data.train is not None and "data.target" not in request.overrides and recipe.data.target == "classes":
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"target": target_of(recipe.data)})})

    devices = profiles or (find_profile("host"),)
    search = Search(
        recipe,
        devices,
        sizes=space.sizes or (),
        channels=space.channels or (),
        precisions=space.precisions or default_precisions(devices),
        out=out,
        top=space.top,
        time_limit_s=space.time_limit,
        metric=metric,
        spread=spread,
    )
    check(search)
    return search


def _show(output: Output, front: Front, out: Path, words: Mapping[str, str]) -> None:
    from edgecut.render.csv_rows import FRONT_COLUMNS, front_rows
    from edgecut.render.front import front_tables

    output.table(*front_tables(front, str(out), words, quiet=output.quiet))
    output.remarks("", f"wrote {out}")
    output.rows(FRONT_COLUMNS, front_rows(front))
    output.document(front.to_dict())


def _exit_code(front: Front) -> int:
    """0 if each device has a choice that fits; 1 if the best misses, or none could be built."""
    served = {r.profile for r in front.recommendations if r.state != "misses"}
    return 0 if served.issuperset(front.profiles) else 1
