"""How well the memory of ST's runtime is estimated: each row of the table, a whole family of nets left out."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from edgecut.tflite.arena import cortex_m_arena_bytes
from edgecut.tflite.x_cube_ai import (
    Planning,
    activation_bytes,
    code_bytes,
    planning,
    runtime_bytes,
    weights_bytes,
)
from tools.boards.families import parsed
from tools.boards.graphs import nets

# What the constants are chosen from when a family is left out.
GRID = {"kernel_bytes": (4_000, 8_000, 13_000), "depthwise_bytes": (0, 8_000), "margin": (1.0, 1.02, 1.04, 1.06)}
WITHIN = 0.10
SERIES = ("STM32H7", "B-U585I")


@dataclass(frozen=True)
class MemoryRow:
    """A printed activation RAM beside its estimate, and beside the estimate of constants that never saw its family."""

    graph: str
    family: str
    board: str
    version: str
    printed_kib: float
    estimated_kib: float
    left_out_kib: float

    @property
    def error(self) -> float:
        """Of the estimate that is shipped."""
        return self.estimated_kib / self.printed_kib - 1

    @property
    def left_out_error(self) -> float:
        """Of the estimate that didn't see the family."""
        return self.left_out_kib / self.printed_kib - 1


def memory_rows(table: Iterable[dict[str, str]], *, left_out: bool = True) -> list[MemoryRow]:
    """The rows of microcontrollers that print an activation RAM and whose net is known.

    left_out: else left_out_kib is the estimate of the shipped constants too.
    """
    rows = [row for row in table if _judged(row)]
    keys = {(row["family"], planning(row["version"])) for row in rows}
    constants = {key: _without(rows, *key) if left_out else key[1] for key in keys}
    found = []
    for row in rows:
        own = planning(row["version"])
        estimates = estimate_kib(row, own), estimate_kib(row, constants[row["family"], own])
        values = (float(row["activation_ram_kib"]), *estimates)
        found.append(MemoryRow(row["graph"], row["family"], row["board"], row["version"], *values))
    return found


def _without(rows: Sequence[dict[str, str]], family: str, start: Planning) -> Planning:
    """The constants that the other families of one generation give."""
    others = [row for row in rows if row["family"] != family and planning(row["version"]) == start]
    return fitted(others, start) if others else start


def fitted(rows: Sequence[dict[str, str]], start: Planning) -> Planning:
    """The constants of GRID with which most rows are within a tenth, then the smallest median error."""
    choices = (replace(start, **dict(zip(GRID, values, strict=True))) for values in itertools.product(*GRID.values()))
    return min(choices, key=lambda constants: _badness(rows, constants))


def estimate_kib(row: dict[str, str], constants: Planning) -> float:
    """The estimated activation RAM of a row's net, with the anchors that ST's detectors put out as constants."""
    return _bytes(row["graph"], constants) / 1024 + active_anchors_kib(row, constants)


def active_anchors_kib(row: Mapping[str, str], constants: Planning) -> float:
    """What the anchors take of a row's activation RAM; version 7 has them elsewhere."""
    return 0.0 if row["version"].startswith("7.") else 4 * anchor_numbers(row["net"]) / 1024 * constants.margin


def constant_anchors_kib(row: Mapping[str, str]) -> float:
    """What the anchors take of a row's weights: in int8 up to version 8, floats since."""
    each = 1 if row["version"].startswith(("7.", "8.")) else 4
    return each * anchor_numbers(row["net"]) / 1024


def anchor_numbers(net: str) -> int:
    """How many numbers the anchors of ST's SSDs are: five of four for each place of each map; 0 for another net."""
    steps = {"st_ssd_mobilenet_v1": (8, 16, 32, 64, 128), "ssd_fpnlite": (8, 16, 32, 64, 128)}.get(net.split()[0])
    if steps is None:
        return 0
    side, last = parsed(net).shape[0], 0
    if net.startswith("st_ssd"):
        side, steps, last = (192, steps[:4], 1) if side == 192 else (256, steps, 1)
    return 20 * (last + sum((-(-side // step)) ** 2 for step in steps))


def memory_report(table: Sequence[dict[str, str]]) -> Iterator[str]:
    """Lines: by board and version, then all of STM32H7 and U5, then weights."""
    rows = memory_rows(table)
    columns = "within 10 %  median   p90"
    yield f"{'activation RAM':22s} {'version':8s} rows families {columns} | a family left out: {columns}"
    keys = sorted({(row.board, row.version) for row in rows})
    for board, version in keys:
        yield _line(board, version, [row for row in rows if (row.board, row.version) == (board, version)])
    yield _line("STM32H7 and U5", "all", [row for row in rows if row.board.startswith(SERIES)])
    yield from _resident(table)
    exact = [row for row in table if row["weights_flash_kib"] and _microcontroller(row) and row["graph"]]
    same = [row for row in exact if abs(weights_kib(row) - float(row["weights_flash_kib"])) <= 0.0101]
    yield f"weights flash: {len(same)} of {len(exact)} rows to the last printed digit"
    errors = [abs(error) for error in flash_errors(table)]
    figures = f"median {statistics.median(errors):.1%}, p90 {quantile(errors):.1%}"
    yield f"weights and code: {len(errors)} rows, {share(errors):.0%} within 10 %, {figures}"
    yield from _elsewhere(table)


def memory_failures(table: Sequence[dict[str, str]]) -> list[str]:
    """The bar that the activation RAM of STM32H7 and U5 misses: nine tenths of the rows within a tenth."""
    rows = [row for row in memory_rows(table, left_out=False) if row.board.startswith(SERIES)]
    within = share([abs(row.error) for row in rows])
    return [] if within >= 0.9 else [f"{within:.0%} of the activation RAM of H7 and U5 is within 10 %, asked is 90 %"]


def flash_errors(table: Iterable[dict[str, str]]) -> list[float]:
    """estimated / printed - 1 of weights and code together, of int8 rows that print both."""
    errors = []
    for row in table:
        if _judged(row) and row["dtype"] == "int8" and row["weights_flash_kib"] and row["code_flash_kib"]:
            estimate = weights_kib(row) + code_bytes(nets()[row["graph"]], row["version"]) / 1024
            errors.append(estimate / (float(row["weights_flash_kib"]) + float(row["code_flash_kib"])) - 1)
    return errors


def _elsewhere(table: Sequence[dict[str, str]]) -> Iterator[str]:
    """Lines: figures of a source that nothing was fitted on, TinyEngine's README for an STM32H743."""
    rows = [row for row in table if row["board"] == "STM32H743" and row["graph"] and row["ram_kib"]]
    rows = [row for row in rows if not row["suspect_memory"]]
    graphs = nets()
    st = [row for row in rows if row["runtime"] == "st-edge-ai"]
    ram = [_total_ram(row) / 1000 / float(row["ram_kib"]) - 1 for row in st]
    flash = [
        (weights_bytes(graphs[r["graph"]]) + code_bytes(graphs[r["graph"]], r["version"]))
        / 1000
        / float(r["flash_kib"])
        - 1
        for r in st
        if r["flash_kib"]
    ]
    for name, errors in (("RAM", list(map(abs, ram))), ("flash", list(map(abs, flash)))):
        worst = f"median {statistics.median(errors):.1%}, worst {max(errors):.1%}"
        yield f"STM32H743, X-CUBE-AI 7.3.0, {name}: {len(errors)} rows, {share(errors):.0%} within 10 %, {worst}"
    tflm = [row for row in rows if row["runtime"].startswith("tflm")]
    more = [float(r["ram_kib"]) - cortex_m_arena_bytes(graphs[r["graph"]], _kernels(r)) / 1000 for r in tflm]
    spread = f"{min(more):.0f} to {max(more):.0f} kB, median {statistics.median(more):.0f}"
    yield f"STM32H743, TFLM: the firmware's printed RAM is {spread}, above the estimated arena in {len(more)} rows"


def _total_ram(row: dict[str, str]) -> int:
    graph = nets()[row["graph"]]
    return activation_bytes(graph, planning(row["version"])) + runtime_bytes(graph, row["version"])


def _kernels(row: dict[str, str]) -> Literal["cmsis-nn", "reference"]:
    return "cmsis-nn" if row["runtime"].endswith("cmsis-nn") else "reference"


def _resident(table: Sequence[dict[str, str]]) -> Iterator[str]:
    """Lines: the runtime's RAM and the code's flash of int8 nets, by version."""
    judged = [row for row in table if _judged(row) and row["dtype"] == "int8"]
    for field, rule in (("runtime_ram_kib", runtime_bytes), ("code_flash_kib", code_bytes)):
        for version in sorted({row["version"] for row in judged}):
            rows = [row for row in judged if row["version"] == version and row[field]]
            errors = [abs(rule(nets()[r["graph"]], version) / 1024 / float(r[field]) - 1) for r in rows]
            figures = f"median {statistics.median(errors):.1%}, p90 {quantile(errors):.1%}"
            yield f"{field:22s} {version:8s} {len(rows):4d} rows: {figures}"


def weights_kib(row: dict[str, str]) -> float:
    """The weights of a row's net with its anchors."""
    return weights_bytes(nets()[row["graph"]]) / 1024 + constant_anchors_kib(row)


def _line(board: str, version: str, rows: Sequence[MemoryRow]) -> str:
    both = ([abs(row.error) for row in rows], [abs(row.left_out_error) for row in rows])
    parts = [f"{share(e):10.0%} {statistics.median(e):8.1%} {quantile(e):6.1%}" for e in both]
    return f"{board:22s} {version:8s} {len(rows):4d} {len({r.family for r in rows}):8d} {parts[0]} | {parts[1]}"


def share(errors: Sequence[float]) -> float:
    """The share within a tenth."""
    return sum(error <= WITHIN for error in errors) / len(errors)


def quantile(errors: Sequence[float], at: float = 0.9) -> float:
    """The value below which that share lies."""
    return sorted(errors)[min(len(errors) - 1, int(at * len(errors)))]


def _badness(rows: Sequence[dict[str, str]], constants: Planning) -> tuple[float, float]:
    errors = [abs(estimate_kib(row, constants) / float(row["activation_ram_kib"]) - 1) for row in rows]
    return -share(errors), statistics.mean(min(error, 0.5) for error in errors)


def _judged(row: dict[str, str]) -> bool:
    known = row["graph"] and row["activation_ram_kib"] and not row["suspect_memory"]
    return bool(known) and _microcontroller(row)


def _microcontroller(row: dict[str, str]) -> bool:
    return row["runtime"] == "st-edge-ai" and "N6" not in row["board"]


@cache
def _bytes(graph: str, constants: Planning) -> int:
    return activation_bytes(nets()[graph], constants)
