"""Calibration: known prices are found again, a noisy machine is said, and the profile works like any other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecut.bench.predict import predict_latency, priced_seconds
from edgecut.bench.terms import Tiles, terms
from edgecut.calibrate import cost_table as room
from edgecut.calibrate import layers as put
from edgecut.calibrate.cost_table import Calibration, calibrate, noise
from edgecut.calibrate.fit import Timed, calibrated, found_tiles
from edgecut.calibrate.layers import SAME, VALID, Sheet
from edgecut.calibrate.specimens import Specimen, specimens
from edgecut.errors import DocumentError, RequestError, RunError
from edgecut.records.document import parse as parse_document
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.records.profile_files import read_profile
from edgecut.records.toml_text import toml_text
from edgecut.tflite.flatbuffer import Operator, TfliteGraph, parse
from edgecut.tflite.write import Draft
from tests.command_line import run

TILES = Tiles(7, 16, 8)


def price(name: str) -> float:
    """A made-up machine: 20 ps a multiply-accumulate, 1 us a call, 0.1 ns an element and a byte moved far."""
    group, _, term = name.partition(".")
    if term == "macs":
        return 2e-11
    if term == "one":
        return 1e-6 if group == "graph" else 2e-7
    return 1e-10 if group != "memory" else 2e-11


def true_seconds(graph: TfliteGraph) -> float:
    return sum(amount * price(name) for name, amount in terms(graph, TILES).items())


@pytest.fixture(scope="module")
def files() -> list[Specimen]:
    """The int8 set without its largest files, which take long to write."""
    found = []
    for file in specimens(["int8"]):
        if "_wide_" in file.name:
            break
        found.append(file)
    return found


@pytest.fixture(scope="module")
def timings(files: list[Specimen]) -> list[Timed]:
    graphs = [parse(file.content, file.name) for file in files]
    return [
        Timed(file.name, graph, true_seconds(graph), file.kind == "chain")
        for file, graph in zip(files, graphs, strict=True)
    ]


@dataclass(frozen=True)
class Played:
    """A machine that answers with the made-up prices. jitter: every other round is longer by this fraction."""

    jitter: float = 0.0
    load: float = 0.5
    name: str = "local"
    place: str = "host"

    def measure(self, path: Path, settings: Any, *, artifact: str, profile: Profile | None) -> tuple[Measurement, ...]:
        raise NotImplementedError

    def run(self, job: Mapping[str, Any], files: Sequence[Path], *, timeout_s: float = 0) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for path in files:
            if "TANH" in path.name:
                rows.append({"error": "no kernel for TANH"})
                continue
            seconds = true_seconds(parse(path.read_bytes(), path.name))
            rows.append({"cpu_s": [seconds, seconds * (1 + self.jitter)] * 2, "wall_s": [seconds] * 4})
        state = {"machine": "Linux aarch64", "cpu": "Cortex-A72", "cores": 4, "load": self.load}
        return {"rows": rows, "runtime": "ai-edge-litert", "version": "2.3.0", "conditions": state}


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch, files: list[Specimen]) -> None:
    monkeypatch.setattr(room, "specimens", lambda: iter(files))


class Told:
    """Progress that keeps what it is told: less the number of files, then how many more are done."""

    def __init__(self) -> None:
        self.told: list[int] = []

    @contextmanager
    def task(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        self.told.append(-(total or 0))
        yield self.told.append


@pytest.fixture(scope="module")
def played(files: list[Specimen]) -> Iterator[tuple[Calibration, list[int]]]:
    """One calibration of the made-up machine, and what was told of its progress."""
    progress = Told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "specimens", lambda: iter(files))
        yield calibrate(Played(), "my-board", progress=progress), progress.told


@pytest.fixture(scope="module")
def found(played: tuple[Calibration, list[int]]) -> Calibration:
    return played[0]


def test_every_file_counts_in_the_time_that_is_left(
    files: list[Specimen], played: tuple[Calibration, list[int]]
) -> None:
    _, told = played
    assert (told[0], sum(told[1:])) == (-len(files), len(files))


def test_prices_of_a_made_up_machine_are_found_again(timings: list[Timed]) -> None:
    table = calibrated(timings, "int8")
    for timed in timings:
        assert priced_seconds(timed.graph, table) == pytest.approx(timed.seconds, rel=0.02), timed.name
    assert table.seconds["matrix.macs"] == pytest.approx(2e-11, rel=0.05)
    assert (table.error_p50, table.error_p90) == (0.02, 0.1)


@pytest.mark.parametrize("tiles", [Tiles(7, 16, 8), Tiles(6, 8, 1), Tiles(4, 16, 4)])
def test_the_kernels_tiles_show_in_the_times(timings: list[Timed], tiles: Tiles) -> None:
    retimed = [
        Timed(t.name, t.graph, sum(a * price(n) for n, a in terms(t.graph, tiles).items()), t.chain) for t in timings
    ]
    assert found_tiles(retimed) == tiles


def test_the_band_is_what_the_files_errors_are(timings: list[Timed]) -> None:
    """Times off by a factor that no term explains: the band of the left-out chains is about that factor."""
    scatter = np.exp(np.random.default_rng(1).normal(0, 0.2, len(timings)))
    noisy = [Timed(t.name, t.graph, t.seconds * float(f), t.chain) for t, f in zip(timings, scatter, strict=True)]
    assert 0.25 < calibrated(noisy, "int8").error_p90 < 0.6


@pytest.mark.parametrize(("padding", "group"), [(VALID, "PAD_FUSED"), (SAME, "PAD")])
def test_padding_before_a_valid_convolution_is_part_of_it(padding: int, group: str) -> None:
    sheet = Sheet(Draft(), "int8")
    image = put.image(sheet, (1, 8, 8, 16))
    result = put.conv(sheet, put.pad(sheet, image), 8, 3, 2, padding)
    amounts = terms(parse(sheet.draft.file((image,), (result,)), "padded"), TILES)
    assert {name.partition(".")[0] for name in amounts if name.startswith("PAD")} == {group}


def test_rows_fill_tiles() -> None:
    def macs(name: str) -> float:
        file = next(f for f in specimens(["int8"]) if f.name == name)
        return terms(parse(file.content, name), TILES)["matrix.macs"]

    # 2 rows and 7 rows are one tile of 7, 8 rows are two.
    assert macs("int8_0_rows") == macs("int8_4_rows") == macs("int8_5_rows") / 2


def test_a_calibrated_profile_reads_back_and_predicts(tmp_path: Path, timings: list[Timed], found: Calibration) -> None:
    path = tmp_path / "my-board.toml"
    path.write_text(toml_text(found.profile.to_dict()))
    profile = read_profile(path)
    assert profile == found.profile
    assert (profile.class_, profile.cpu.core, profile.runtime.version) == ("linux", "Cortex-A72", "2.3.0")
    assert all("TANH" in name for name in found.failed)
    graph = timings[-1].graph
    latency = predict_latency(graph, profile, "m")
    assert latency.value == pytest.approx(timings[-1].seconds, rel=0.02)
    assert (latency.kind, latency.error, latency.conditions["precision"]) == ("estimated", 0.1, "int8")


def test_an_operator_that_was_not_timed_makes_a_lower_bound(timings: list[Timed], found: Calibration) -> None:
    graph = timings[0].graph
    # SIGN was never timed, MINIMUM costs as MAXIMUM does, which was.
    more = [
        Operator(k, name, 1, graph.outputs, graph.outputs) for k, name in ((1, "TANH"), (2, "SIGN"), (3, "MINIMUM"))
    ]
    longer = TfliteGraph(graph.tensors, (*graph.operators, *more), graph.inputs, graph.outputs)
    latency = predict_latency(longer, found.profile, "m")
    assert (latency.conditions["at_least"], latency.conditions["not_modelled"]) == (True, ["SIGN", "TANH"])


def test_a_precision_that_was_not_timed_has_no_prediction(found: Calibration) -> None:
    profile = found.profile
    runtime = profile.runtime.model_copy(update={"precisions": ("int8", "float32")})
    file = next(specimens(["float32"]))
    latency = predict_latency(parse(file.content, file.name), profile.model_copy(update={"runtime": runtime}), "m")
    assert (latency.value, latency.reason) == (
        None,
        "profile 'my-board' was calibrated for int8, and this is float32",
    )


@pytest.mark.usefixtures("small_set")
def test_a_noisy_machine_is_not_believed() -> None:
    sentence = (
        "local: too noisy to believe: every other round of the same files differs by 20%, and at most 5% is expected; "
        "stop what else runs there, then calibrate again"
    )
    with pytest.raises(RunError, match=f"^{re.escape(sentence)}$"):
        calibrate(Played(jitter=0.25), "my-board")


def test_a_busy_machine_is_said_in_the_profile_too(monkeypatch: pytest.MonkeyPatch, files: list[Specimen]) -> None:
    monkeypatch.setattr(room, "specimens", lambda: iter(files[::8]))
    calibration = calibrate(Played(load=6.92), "my-board")
    assert calibration.busy == "load 6.9 on 4 cores"
    assert "load 6.9 on 4 cores" in calibration.profile.sources[0].what
    assert calibrate(Played(load=4.0), "my-board").busy == ""


def test_noise_is_the_median_of_the_files() -> None:
    assert noise({"a": (1.0, 1.1), "b": (1.0, 1.0), "c": (1.0, 1.2), "d": (2.0,)}) == pytest.approx(1 - 1 / 1.1)


@pytest.mark.parametrize("name", ["My Board", ".hidden", "", "a/b"])
def test_an_id_that_no_profile_can_have_is_refused_before_timing(name: str) -> None:
    with pytest.raises(RequestError, match="a profile is called as its file"):
        calibrate(Played(), name)


def test_the_command_writes_a_profile_that_check_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: Calibration
) -> None:
    monkeypatch.setattr(room, "calibrate", lambda machine, name, progress: found)
    path = tmp_path / "my-board.toml"
    answer = run(capsys, "profile", "calibrate", "-o", str(path), "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert (document["profile"]["id"], document["noise"]) == ("my-board", 0)
    assert "int8: " in answer.err
    assert run(capsys, "profile", "check", str(path)).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "board.json"], "-o: a profile is a .toml file, found 'board.json'"),
        (["-o", "nowhere/board.toml"], "nowhere/board.toml: there is no folder 'nowhere'; make it first"),
        (["-o", "board.toml", "--runner", "vela"], "--runner: 'vela' times no files of any kind"),
    ],
)
def test_a_wrong_request_starts_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run(capsys, "profile", "calibrate", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"tiles": [0, 16, 8]}, "tiles: expected a list of 3 whole numbers of more than 0, found [0, 16, 8]"),
        ({"seconds": {"matrix.macs": -1.0}}, "seconds.matrix.macs: expected a number of at least 0.0, found -1.0"),
        ({"precision": "int9"}, "precision: expected one of"),
    ],
)
def test_prices_that_no_machine_has_are_faults(found: Calibration, changed: dict[str, Any], fault: str) -> None:
    document = json.loads(json.dumps(found.profile.to_dict()))
    document["latency"]["calibrated"][0] |= changed
    with pytest.raises(DocumentError) as error:
        parse_document(Profile, document, "my-board.toml")
    assert f"my-board.toml: latency.calibrated.0.{fault}" in str(error.value)
