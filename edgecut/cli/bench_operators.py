"""`edgecut bench --operators`: where the time of each file goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edgecut.cli.output import Output
from edgecut.records.profile import Profile
from edgecut.records.recipe import Bench
from edgecut.records.usage import FileTimes, OperatorTimes


def show_operators(
    output: Output, files: Mapping[str, Path], profiles: Sequence[Profile], settings: Bench
) -> dict[str, FileTimes]:
    """The times of each file's operators, which are printed as well, on the first device of the request."""
    from edgecut.bench.devices import devices
    from edgecut.bench.operators import operator_times
    from edgecut.render.operator_times import times_table

    device = devices(settings.runners or ("local",), profiles)[0]
    found = {}
    for name, path in files.items():
        with output.progress().task(f"timing operators of {name}"):
            found[name] = operator_times(
                path,
                runs=settings.runs,
                warmup=settings.warmup,
                threads=settings.threads_here,
                device=device,
                timeout_s=settings.timeout_s,
            )
        of = f" of {name}" if len(files) > 1 else ""
        output.table("", f"operators{of} by {device.runner.name}", times_table(found[name], verbose=output.verbose))
    return found


def operators_document(times: Mapping[str, FileTimes]) -> dict[str, object]:
    """For --json; with several files each row, and each sum, has its file's name under "artifact".

    operators: one by one where that was done, else as the runtime tells them, which is always beside it.
    """
    first = [each.one_by_one if each.one_by_one.rows else each.in_graph for each in times.values()]
    told = [each.in_graph for each in times.values()]
    sums = [
        {"in_graph": each.in_graph.seconds, "one_by_one": each.one_by_one.seconds, "file": each.file_s}
        for each in times.values()
    ]
    of = [{"artifact": name} if len(times) > 1 else {} for name in times]

    def rows(ways: Sequence[OperatorTimes]) -> list[dict[str, object]]:
        return [name | asdict(row) for name, way in zip(of, ways, strict=True) for row in way.rows]

    return {
        "operators": rows(first),
        "operators_method": _once(way.method for way in first),
        "operators_in_graph": rows(told),
        "operators_in_graph_method": _once(way.method for way in told),
        "operators_in_graph_reason": _once(way.reason for way in told),
        "operators_s": sums[0] if len(sums) == 1 else [name | each for name, each in zip(of, sums, strict=True)],
    }


def _once(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))
