"""Other rows of boards.csv's columns, each judged against the shipped profiles: nothing is fitted to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgecut.bench.predict import predict_arena, predict_flash, predict_latency
from edgecut.bench.priced import MANY_CORES
from edgecut.errors import DocumentError, EdgecutError, RequestError
from edgecut.export.readback import tflite_precision
from edgecut.records.figure_file import csv_lines, even_lines
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.tflite.flatbuffer import TfliteGraph
from edgecut.tflite.x_cube_ai import planning
from tools.board_places import Place, place_of, version_of
from tools.boards.memory import active_anchors_kib, constant_anchors_kib
from tools.boards.names import unknown_net
from tools.boards.table import UNKNOWN, measurement, mended
from tools.profile_toml import read_rows

FACTS = Path(__file__).parent / "facts"
COUNTS = ("height", "width", "channels", "classes")
# A number as the sources print it, perhaps with a word behind; or words alone, as "OOM".
NUMBER = re.compile(r"~?\s*\d+(\.\d+)?(?![\d.,]).*|\D*")
Row = Mapping[str, str]


@dataclass(frozen=True)
class Compared:
    """An estimate beside what a row prints, in one unit. band: of the estimate, as a share."""

    estimate: float
    printed: float
    band: float

    @property
    def error(self) -> float:
        """How far the printed figure is from the estimate, as a share of the estimate."""
        return self.printed / self.estimate - 1

    @property
    def holds(self) -> bool:
        """Whether the printed figure is inside the band."""
        return abs(self.error) <= self.band


@dataclass(frozen=True)
class Judged:
    """What the shipped profiles say of a row; None where there is nothing to compare.

    place: the board and its runtime. known: its net is. profile: "" where none is of the place.
    reason: why no time is compared; "" where one is. remarks: what to know of the comparison.
    """

    line: int
    name: str
    place: str
    known: bool
    profile: str
    reason: str = ""
    time_ms: Compared | None = None
    activation_kib: Compared | None = None
    weights_kib: Compared | None = None
    remarks: tuple[str, ...] = ()


def board_rows(path: Path) -> list[tuple[int, Row, str]]:
    """(line, row of the table, why it has no net) for each row of a CSV file with boards.csv's columns.

    The known slips of the sources are mended. Raises RequestError if the file can't be read, DocumentError with a
    sentence for each fault: line and column.
    """
    table = csv_lines(path)
    if not table:
        raise RequestError(f"{path}: is empty; expected the columns of boards.csv and a line for each measurement")
    (first, header), *lines = table
    columns = [name.strip() for name in header]
    expected = list(read_rows(FACTS / "boards.csv")[0])
    missing = [name for name in expected if name not in columns]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise RequestError(
            f"{path}: line {first}: has no column {missing[0]!r}{more}; expected those of tools/facts/boards.csv"
        )
    faults: list[str] = []
    slips, found = read_rows(FACTS / "boards_slips.csv"), []
    for line, cells in even_lines(path, lines, len(columns), faults):
        row = mended(dict(zip(columns, (cell.strip() for cell in cells), strict=False)), slips)
        own = [f"{path}: line {line}, {fault}" for fault in _cell_faults(row)]
        faults += own
        if not own:
            found.append((line, measurement(row, f"{path.name}:{line}"), _without_net(row)))
    if faults:
        raise DocumentError(faults)
    return found


def judged(line: int, row: Row, unknown: str, graph_of: Callable[[str], TfliteGraph]) -> Judged:
    """A row of `board_rows` against the profile of its board and runtime. graph_of: ValueError for an unknown net."""
    place = place_of(row)
    texts = (row["board"], row["engine"], row["runtime"], row["scheme"], "" if row["dtype"] == "int8" else row["dtype"])
    where = place.name if place else ", ".join(filter(None, texts))
    size = row["net"].partition(" ")[2].partition(" alpha")[0] or row["dataset"]
    name = " ".join(filter(None, (row["model"], size, row["dtype"], version_of(row).lstrip("("))))
    own = Judged(line, name, where, bool(row["graph"]), place.profile if place else "", unknown)
    if unknown:
        return own
    if place is None or not place.profile:
        return replace(own, reason=f"no profile is of {where}")
    try:
        graph = _in_scheme(graph_of(row["graph"]), row["scheme"])
    except (ValueError, EdgecutError) as exc:
        return replace(own, known=False, reason=str(exc))
    profile = profile_of(row, place)
    return replace(_timed(own, row, graph, profile), **_sized(row, graph, profile))


def profile_of(row: Row, place: Place) -> Profile:
    """The shipped profile, with the version and, of a processor, the clock that the row prints."""
    profile = find_profile(place.profile)
    version = version_of(row)
    if version:
        profile = profile.model_copy(update={"runtime": profile.runtime.model_copy(update={"version": version})})
    processor = profile.class_ == "microcontroller" or re.fullmatch(r"\d CPU", row["engine"])
    if processor and re.fullmatch(r"\d+(\.\d+)?", row["clock_mhz"]):
        clock = {"clock_hz": round(float(row["clock_mhz"]) * 1e6)}
        profile = profile.model_copy(update={"cpu": profile.cpu.model_copy(update=clock)})
    return profile


def _in_scheme(graph: TfliteGraph, scheme: str) -> TfliteGraph:
    """The graph as of a file with one scale for each tensor of weights; the rebuilt ones say none."""
    if scheme != "per-tensor":
        return graph
    tensors = (replace(t, scales=(1.0,)) if t.is_constant and t.dtype == "int8" else t for t in graph.tensors)
    return replace(graph, tensors=tuple(tensors))


def _timed(own: Judged, row: Row, graph: TfliteGraph, profile: Profile) -> Judged:
    if row["suspect"] or not row["latency_ms"]:
        why = f"its time is suspect: {row['suspect']}" if row["suspect"] else "it prints no time"
        return replace(own, reason=why)
    cores = re.match(r"(\d) CPU", row["engine"])
    threads = int(cores[1]) if cores and profile.class_ in MANY_CORES else None
    found = predict_latency(graph, profile, own.name, threads)
    if not found.value or found.error is None:
        return replace(own, reason=found.reason or "the profile states no band")
    time = Compared(found.value * 1e3, float(row["latency_ms"]), found.error)
    return replace(own, time_ms=time, remarks=tuple(_remarks(row, graph, profile)))


def _remarks(row: Row, graph: TfliteGraph, profile: Profile) -> Iterator[str]:
    """What isn't known of a row's version."""
    computed = "int8" if tflite_precision(graph) == "int8" else "float32"
    tables = profile.latency.work if profile.latency else ()
    table = next((table for table in tables if table.precision == computed), None)
    version = version_of(row)
    if table and version and version not in table.versions:
        yield f"{profile.id}: no measured net tells what version {version!r} changes"


def _sized(row: Row, graph: TfliteGraph, profile: Profile) -> dict[str, Compared]:
    """Activation RAM and weights, by a runtime whose rules are known, where the row prints them."""
    found: dict[str, Compared] = {}
    arena, flash = predict_arena(graph, profile, row["model"]), predict_flash(graph, profile, row["model"])
    if row["suspect_memory"]:
        return found
    activations = arena.conditions.get("activation_bytes") if arena else None
    if arena and arena.error is not None and isinstance(activations, int) and row["activation_ram_kib"]:
        kib = activations / 1024 + active_anchors_kib(row, planning(profile.runtime.version))
        found["activation_kib"] = Compared(kib, float(row["activation_ram_kib"]), arena.error)
    weights = flash.conditions.get("weights_bytes") if flash else None
    if isinstance(weights, int) and row["weights_flash_kib"]:
        kib = weights / 1024 + constant_anchors_kib(row)
        found["weights_kib"] = Compared(kib, float(row["weights_flash_kib"]), _last_digit(row) / kib)
    return found


def _last_digit(row: Row) -> float:
    """A little more than what the last printed digit of a row's weights counts."""
    return 1.01 * 10.0 ** -len(row["weights_flash_kib"].partition(".")[2])


def _without_net(row: Row) -> str:
    return "another model than its name says" if row.get("net") == UNKNOWN else unknown_net(row)


def _cell_faults(row: Row) -> Iterator[str]:
    for name in ("source", "model", "board"):
        if not row[name]:
            yield f"column {name!r}: is empty; expected what boards.csv has there"
    for name in COUNTS:
        if row[name] and not re.fullmatch(r"[1-9]\d*", row[name]):
            yield f"column {name!r}: found {row[name]!r}; expected a whole number or nothing"
    for name in row:
        if name.endswith(("_kib", "_ms")) and not NUMBER.fullmatch(row[name]):
            yield f"column {name!r}: found {row[name]!r}; expected a number such as 16.64, or nothing"
