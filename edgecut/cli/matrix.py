"""`edgecut build --matrix`: the axes, and the command lines of the rows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgecut.cli.flags import FLAGS, Overrides
from edgecut.cli.output import Output
from edgecut.cli.request import BuildFlags, Request, name_of
from edgecut.errors import DocumentError, RequestError, faults_of
from edgecut.pipeline.workers import Spread, spread_faults
from edgecut.records.nearest import closest
from edgecut.records.precision import planned_files, taken_by
from edgecut.records.toml_text import toml_value

if TYPE_CHECKING:
    from edgecut.pipeline.matrix import RowTask

PROFILE, MODEL = "profile", "source.model"


class RowFlags(NamedTuple):
    """--matrix, and who builds the rows. axes: as they stand, one a --matrix."""

    axes: tuple[tuple[str, tuple[str, ...]], ...]
    spread: Spread


def parse_axis(text: str) -> tuple[str, tuple[str, ...]]:
    """("cut.to", ("a", "b")) of "cut.to=a,b", "to=a,b" or "to=['a', 'b']". Raises ValueError."""
    name, equals, values = text.partition("=")
    name = name.strip()
    found = _values(values.strip())
    if not equals or not found:
        raise ValueError(f"{text!r} is no axis; one such as to=block_2_relu,block_3_relu is expected")
    keys = {flag.flags[0].removeprefix("--"): flag.key for flag in FLAGS}
    short = next((flag for flag in FLAGS if flag.flags[0] == f"--{name}" and flag.value is not True), None)
    if short is not None:
        raise ValueError(f"{name!r} is short for {short.key}={short.value}; make {short.key} the axis")
    known = {*keys, *keys.values(), PROFILE}
    if name not in known and "." not in name:
        raise ValueError(f"{name!r} is no flag and no recipe key{closest(name, known, count=1)}")
    return keys.get(name, name), found


def run_matrix(output: Output, request: Request, rows: RowFlags, out: Path, how: BuildFlags) -> int:
    """Builds every row into a folder of `out`, shows a table, and returns the exit code.

    Raises DocumentError if no row can be started.
    """
    from edgecut.pipeline.matrix import Rows, RowTask, build_rows, row_name, rows_of
    from edgecut.pipeline.plan import plan, read_paths
    from edgecut.records.matrix import matrix_code
    from edgecut.render.matrix import CSV_COLUMNS, matrix_rows, matrix_table

    if wrong := list(spread_faults(rows.spread)):
        raise DocumentError(wrong)
    axes = axes_of(rows.axes)
    flags = [*(["--no-cache"] if how.no_cache else []), *(["--root", str(request.root)] if request.root else [])]
    tasks: list[RowTask] = []
    faults, keep = [], [Path(request.source)]
    for settings in rows_of(axes):
        label = _free(row_name(settings), [task.name for task in tasks])
        try:
            task = _task(request, settings, label, flags)
            recipe, devices = task.of.read()
            keep += read_paths(recipe, request.recipe_file)
            if task.row.is_built:
                plan(recipe, devices)
            tasks.append(task.row)
        except RequestError as exc:
            fault = "; ".join(faults_of(exc))
            faults.append(f"{row_name(settings)}: {fault}")
            tasks.append(RowTask(label, tuple(settings.items()), tuple(flags), Path(label), fault))
    if len(faults) == len(tasks):
        raise DocumentError(faults)
    kept = [path for path in keep if path.exists()]
    matrix = build_rows(
        Rows(_title(request, tasks), axes, tasks),
        out,
        force=how.force,
        keep=kept,
        spread=rows.spread,
        progress=output.progress(),
    )
    output.rows([*CSV_COLUMNS, *matrix.axes], matrix_rows(matrix))
    output.document(matrix.to_dict())
    output.table(matrix_table(matrix))
    output.remarks("", f"wrote {out}")
    return matrix_code(matrix, how.strict)


class Row(NamedTuple):
    """A row to build, and the request that it is of: without the devices that take none of its files."""

    row: RowTask
    of: Request


def _task(request: Request, settings: Mapping[str, str], label: str, flags: Sequence[str]) -> Row:
    """One row. Raises RequestError."""
    from edgecut.pipeline.matrix import RowTask

    asked = _of_row(request, settings)
    recipe, devices = asked.read()
    files = planned_files(recipe.export)
    untaken = {
        device.id: f"takes {', '.join(device.runtime.formats)} in {', '.join(device.runtime.precisions)}"
        for device in devices
        if files and not any(taken_by(device, *file) for file in files)
    }
    left = tuple(name for name, device in zip(asked.profile_names, devices, strict=True) if device.id not in untaken)
    is_built = bool(left) or not devices
    of = asked._replace(profile_names=left) if is_built else asked
    words = row_words(request.source, settings, of.profile_names, of.overrides)
    row = RowTask(
        label,
        tuple(settings.items()),
        (*words, *flags),
        Path(label),
        title=recipe.name,
        unsupported=untaken,
        is_built=is_built,
    )
    return Row(row, of)


def _title(request: Request, tasks: Sequence[RowTask]) -> str:
    """What all rows are of: the name of their files where it is one, else what the request starts from."""
    names = {task.title for task in tasks if task.title}
    return names.pop() if len(names) == 1 else Path(request.source).stem


def _of_row(request: Request, settings: Mapping[str, str]) -> Request:
    """The request of one row."""
    names = (settings[PROFILE],) if PROFILE in settings else request.profile_names
    overrides = {**request.overrides, **dict(_settings(settings))}
    if MODEL in settings and "name" not in overrides:
        # Files of one name that are of different models would be taken for each other.
        overrides |= {"name": name} if (name := name_of(settings[MODEL])) else {}
    return request._replace(profile_names=names, overrides=overrides)


def _free(wanted: str, taken: Sequence[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def row_words(
    source: str, settings: Mapping[str, str], profile_names: Sequence[str], overrides: Overrides
) -> list[str]:
    """The command line of a row, from `build` on. overrides: its own values put over the request's."""
    row = dict(_settings(settings))
    words = ["build", source]
    for key, value in {**overrides, **row}.items():
        words += ["--set", f"{key}={toml_value(value)}"]
    for name in profile_names:
        words += ["--profile", name]
    return words


def _settings(settings: Mapping[str, str]) -> list[tuple[str, object]]:
    """(recipe key, value) of each axis but the profiles, as the flag of that key reads it. Raises RequestError."""
    found = []
    for key, text in settings.items():
        parse = next((flag.parse for flag in FLAGS if flag.key == key and flag.parse is not None), _plain)
        try:
            if key != PROFILE:
                found.append((key, _plain(text) if text.startswith(("[", "{")) else parse(text)))
        except ValueError as exc:
            raise RequestError(f"--matrix: {key}: {exc}") from exc
    return found


def _plain(text: str) -> object:
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value


def _values(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        try:
            listed = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError as exc:
            raise ValueError(f"{text!r} is no list: {exc}") from exc
        found = [value if isinstance(value, str) else toml_value(value) for value in listed]
    else:
        found = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(dict.fromkeys(found))


def axes_of(given: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """The axes by key. Raises click.UsageError for one that is given twice."""
    axes: dict[str, tuple[str, ...]] = {}
    for key, values in given:
        if key in axes:
            raise click.UsageError(f"--matrix: {key} is given twice; put its values into one")
        axes[key] = values
    return axes
