"""Rows of other boards and nets against the shipped profiles: judged as a user's file is, or listed with the reason."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgecut.bench.predict import predict_latency
from edgecut.errors import RequestError
from edgecut.records.profile_files import find_profile
from edgecut.tflite.flatbuffer import TfliteGraph
from tools.board_places import place_of
from tools.board_report import report
from tools.board_rows import Judged, board_rows, judged
from tools.boards.graphs import nets
from tools.boards.names import net_of, unknown_net
from tools.boards.table import measurement
from tools.check_boards import check_rows

FACTS = Path(__file__).parents[2] / "tools" / "facts"
ZOO = "STMicroelectronics/stm32ai-modelzoo@0 image_classification/README.md"
H747 = {
    "source": ZOO, "model": "mobilenet_v1_0.25_96_tfs", "dataset": "flowers", "height": "96", "width": "96",
    "channels": "3", "dtype": "INT8 (per channel)", "board": "STM32H747I Disco", "core_or_engine": "1 CPU",
    "clock_mhz": "400", "runtime": "STM32 Cube.AI v10.0.0", "latency_ms": "~30", "activation_ram_kib": "66.96",
    "weights_flash_kib": "214.69",
}  # fmt: skip
MP157 = H747 | {
    "model": "MobileNetV2 0.35", "height": "128", "width": "128", "board": "STM32MP157F-DK2", "core_or_engine": "2 CPU",
    "clock_mhz": "800", "runtime": "X-LINUX-AI v6.1.0 TensorFlowLite 2.18.0", "latency_ms": "20",
    "activation_ram_kib": "", "weights_flash_kib": "", "quantization": "per-channel",
}  # fmt: skip


def columns() -> list[str]:
    with open(FACTS / "boards.csv", encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def written(path: Path, *rows: Mapping[str, str]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns(), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def stored(key: str) -> TfliteGraph:
    if key not in nets():
        raise ValueError(f"net {key!r}: not stored")
    return nets()[key]


def judgements(path: Path) -> list[Judged]:
    return [judged(*row, stored) for row in board_rows(path)]


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(
        tmp_path_factory.mktemp("rows") / "other.csv",
        H747,
        MP157,
        MP157 | {"core_or_engine": "1 CPU"},
        H747 | {"model": "MoveNet Lightning"},
        H747 | {"board": "NUCLEO-X", "runtime": "Tengine 1.0"},
        H747 | {"latency_ms": "OOM"},
    )


def test_a_row_is_told_what_a_user_of_its_version_and_threads_is(six: Path) -> None:
    first, two, one, *_ = judgements(six)
    profile = find_profile("stm32h747i-disco")
    older = profile.model_copy(update={"runtime": profile.runtime.model_copy(update={"version": "10.0.0"})})
    said = predict_latency(nets()["mobilenet 96x96x3 5 alpha=0.25 top=no"], older, "")
    assert said.value is not None
    assert first.time_ms is not None
    assert (first.time_ms.estimate, first.time_ms.printed, first.time_ms.band) == (said.value * 1e3, 30.0, said.error)
    assert two.time_ms is not None
    assert one.time_ms is not None
    assert one.time_ms.estimate / two.time_ms.estimate == pytest.approx(1.97, abs=0.02)


def test_memory_is_compared_where_the_row_prints_it(six: Path) -> None:
    first, two, *_, last = judgements(six)
    assert first.activation_kib is not None
    assert first.activation_kib.printed == 66.96
    assert first.weights_kib is not None
    assert first.weights_kib.holds
    assert two.activation_kib is None
    assert last.activation_kib == first.activation_kib


def test_every_row_has_a_time_or_is_listed_with_the_reason(six: Path) -> None:
    lines = list(report(judgements(six)))
    start = lines.index("\n3 rows without a comparison of times:")
    assert lines[start + 1 :] == [
        "     1 no public definition of 'MoveNet Lightning' is known here (line 5)",
        "     1 no profile is of NUCLEO-X, 1 CPU, tengine 1.0, per-channel (line 6)",
        "     1 its time is suspect: OOM (line 7)",
    ]
    times = [line for line in lines if line.startswith("times: 3 of 6 rows: median error ")]
    assert len(times) == 1


def test_all_rows_of_the_facts_are_compared_or_listed() -> None:
    rows = judgements(FACTS / "boards.csv")
    assert len(rows) == 749
    assert [row for row in rows if (row.time_ms is None) == (row.reason == "")] == []
    times = [row.time_ms for row in rows if row.time_ms]
    # These are the rows that the prices were fitted to: what is asked here is that they find their profiles.
    assert len(times) > 460
    assert sum(abs(time.error) <= 0.25 for time in times) / len(times) > 0.9


def test_a_net_that_cannot_be_built_is_listed(tmp_path: Path) -> None:
    (row,) = judgements(written(tmp_path / "a.csv", H747 | {"model": "mobilenet_v1_a075"}))
    assert (row.known, row.reason) == (False, "net 'mobilenet 96x96x3 5 alpha=0.75 top=no': not stored")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"height": "96x"}, "line 2, column 'height': found '96x'; expected a whole number or nothing"),
        (
            {"latency_ms": "12,5"},
            "line 2, column 'latency_ms': found '12,5'; expected a number such as 16.64, or nothing",
        ),
        ({"latency_ms": "-3"}, "line 2, column 'latency_ms': found '-3'; expected a number such as 16.64, or nothing"),
        ({"model": ""}, "line 2, column 'model': is empty; expected what boards.csv has there"),
    ],
)
def test_a_wrong_cell_is_one_sentence(tmp_path: Path, changes: dict[str, str], fault: str) -> None:
    path = written(tmp_path / "a.csv", H747 | changes)
    with pytest.raises(RequestError) as raised:
        board_rows(path)
    assert str(raised.value) == f"{path}: {fault}"


def test_a_table_without_a_column_is_refused_on_the_error_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(name for name in columns() if name != "board") + "\nx\n", encoding="utf-8")
    with pytest.raises(SystemExit) as raised:
        check_rows(path)
    assert raised.value.code == 2
    message = f"{path}: line 1: has no column 'board'; expected those of tools/facts/boards.csv\n"
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(
    ("model", "changes", "net"),
    [
        ("MobileNet v2 0.75", {}, "mobilenetv2 224x224x3 5 alpha=0.75 top=no"),
        ("mobilenetv2_a075", {}, "mobilenetv2 224x224x3 5 alpha=0.75 top=no"),
        ("mobilenetv2b_a075_pt_224", {"dataset": "ImageNet"}, "mobilenetv2 224x224x3 1000 alpha=0.75"),
        ("mobilenet_v2_0.35_224_fft_int8", {}, "mobilenetv2 224x224x3 5 alpha=0.35 top=no"),
        ("MobileNetV2", {"alpha_or_variant": "0.5"}, "mobilenetv2 224x224x3 5 alpha=0.5 top=no"),
        ("MobileNet v1 0.5", {"dataset": "ImageNet-1k", "classes": "1000"}, "mobilenet 224x224x3 1000 alpha=0.5"),
        ("EfficientNet V2B1", {}, "efficientnet_v2b1 224x224x3 5 top=no"),
        ("ResNet8 v1", {"height": "32", "width": "32", "dataset": "CIFAR-10"}, "resnet_v1 32x32x3 10 depth=8"),
        ("resnet_v1_32_tfs", {"height": "32", "width": "32", "dataset": "cifar100"}, "resnet_v1 32x32x3 100 depth=32"),
        ("ssd_mobilenet_v2_fpnlite_035_224", {"dataset": "coco person"}, "ssd_fpnlite 224x224x3 1 alpha=0.35"),
        ("squeezenet_v11", {"dataset": "Food 101"}, "squeezenet 224x224x3 101 version=1.1"),
    ],
)
def test_a_name_is_known_however_it_is_spelled(model: str, changes: dict[str, str], net: str) -> None:
    row = {"source": ZOO, "model": model, "dataset": "Flowers", "height": "224", "width": "224", "channels": "3"}
    found = net_of(row | {"classes": ""} | changes)
    assert found is not None
    assert found.name == net


@pytest.mark.parametrize(
    ("model", "dataset", "reason"),
    [
        ("MobileNetV2 224", "Flowers", "the width or depth of 'MobileNetV2 224' isn't printed, or is none of its "
                                       "definition's"),
        ("resnet v1 7", "Flowers", "the width or depth of 'resnet v1 7' isn't printed, or is none of its definition's"),
        ("mobilenet_v2_0.35_128", "Flowers", "the name 'mobilenet_v2_0.35_128' says another input size than the row"),
        ("MobileNet v2 0.35", "birds", "it isn't printed how many outputs 'MobileNet v2 0.35' has"),
    ],
)  # fmt: skip
def test_what_a_name_leaves_open_is_not_guessed(model: str, dataset: str, reason: str) -> None:
    row = {"source": ZOO, "model": model, "dataset": dataset, "height": "224", "width": "224", "classes": ""}
    assert net_of(row) is None
    assert unknown_net(row) == reason


def test_types_boards_and_runtimes_are_known_however_they_are_spelled() -> None:
    row = dict.fromkeys(columns(), "") | H747 | {"dtype": "Int8 per tensor", "runtime": "ST Edge AI Core v3.0.0"}
    found = measurement(row, "a.csv:2")
    assert (found["dtype"], found["scheme"], found["runtime"], found["version"]) == (
        "int8", "per-tensor", "st-edge-ai", "3.0.0",
    )  # fmt: skip
    place = place_of(found)
    assert place is not None
    assert place.profile == "stm32h747i-disco"
    assert place_of(found | {"runtime": "tflm cmsis-nn"}) is None
    same = place_of(found | {"board": "Raspberry Pi 3 Model B+", "runtime": "litert"})
    assert same is not None
    assert same.name == "Raspberry Pi 3B+"
