"""The shipped profiles: complete, sourced, and what tools/make_profiles.py writes."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgecut.errors import DocumentError, RequestError
from edgecut.records.plausible import implausible
from edgecut.records.profile_files import find_profile, profile_paths, read_profile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "profiles"
FACTS = ROOT / "tools" / "facts"
PROMISED = [
    "b-u585i-iot02a", "coral-dev-board-micro", "ek-ra8d1", "esp32", "esp32-reference", "esp32-s3", "esp32-s3-reference",
    "esp32c3", "esp32c3-reference", "esp32p4", "esp32p4-reference", "esp32s3-eye", "ethos-u55-128", "ethos-u55-256",
    "grove-vision-ai-v2", "host", "imx8mp-evk", "imx8mp-evk-onnxruntime", "imx93-evk", "imx93-evk-ethos-u65",
    "jetson-nano", "max78000", "nano33ble", "nucleo-h743zi-reference", "nucleo-h743zi-tinyengine",
    "nucleo-h743zi-xcubeai", "raspberry-pi-5", "stm32f769i-disco", "stm32h747i-disco", "stm32l4r9i-disco",
    "stm32mp135f-dk", "stm32mp157f-dk2", "stm32mp257f-dk", "stm32mp257f-dk-per-channel", "stm32n6570-dk",
    "xg24-dk2601b",
    "nicla-vision", "nrf5340dk", "nucleo-f746zg", "nucleo-h743zi", "nucleo-h7a3zi", "nucleo-l4r5zi",
    "nucleo-l4r5zi-reference", "nucleo-l4r5zi-xcubeai", "nucleo-u575zi", "openmv-h7", "openmv-h7-plus",
    "portenta-h7", "raspberry-pi-3b-plus", "raspberry-pi-3b-plus-onnxruntime", "raspberry-pi-4",
    "raspberry-pi-4-onnxruntime", "rp2040-pico", "rp2350-pico2", "rpi-zero-2w", "rpi-zero-2w-onnxruntime",
    "xiao-esp32s3-sense",
]  # fmt: skip
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.toml"))


# Profile -> its system in tools/make_profiles.py.
BENCHMARKED = {
    "nucleo-l4r5zi": "L4R5_CMSIS", "nucleo-l4r5zi-reference": "L4R5_REFERENCE",
    "nucleo-l4r5zi-xcubeai": "L4R5_XCUBE", "nucleo-f746zg": "F746_HALE", "nucleo-h7a3zi": "H7A3_XCUBE",
    "nucleo-u575zi": "U575_XCUBE", "nrf5340dk": "NRF5340_CMSIS", "ek-ra8d1": "RA8D1_TFLM",
}  # fmt: skip


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    return importlib.import_module("tools.make_profiles")


def numbers(tables: Any, path: str = "") -> Iterator[str]:
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{path}{key}.")
        elif isinstance(value, list):
            for row in value:
                yield from numbers(row, f"{path}{key}.") if isinstance(row, dict) else ()
        elif isinstance(value, int | float):
            yield f"{path}{key}"


def test_no_id_that_recipes_may_name_is_gone() -> None:
    assert [name for name in PROMISED if name not in SHIPPED] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_parses(name: str) -> None:
    assert read_profile(FOLDER / f"{name}.toml").id == name


@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_number_is_implausible(name: str) -> None:
    assert implausible(read_profile(FOLDER / f"{name}.toml")) == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_number_has_a_source_and_every_source_a_number(name: str) -> None:
    """Its own row, or one for the whole table that it is in."""
    tables = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    rows = [row["field"] for row in tables.pop("sources", [])]
    profile = read_profile(FOLDER / f"{name}.toml")
    assert [field for field in numbers(tables) if not profile.source_of(field)] == []
    assert len(rows) == len(set(rows))
    assert [row for row in rows if not any(f"{field}.".startswith(f"{row}.") for field in numbers(tables))] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_source_row_says_something(name: str) -> None:
    """A source of its own: not one that another line would have to be looked up for."""
    for source in read_profile(FOLDER / f"{name}.toml").sources:
        assert len(source.what) > 20
        assert not re.search(r"\bibid\b|\.\.\.|\bsecondary\b|not found|not confirmed", source.what), source


@pytest.mark.parametrize("name", SHIPPED)
def test_banks_add_up_to_the_ram_and_one_buffer_fits_neighbouring_ones(name: str) -> None:
    memory = read_profile(FOLDER / f"{name}.toml").memory
    if not memory.banks or memory.ram_bytes is None:
        return
    assert sum(memory.banks.values()) <= memory.ram_bytes
    assert memory.largest_piece_bytes is not None
    assert memory.largest_piece_bytes <= memory.ram_bytes


def test_generation_gives_the_shipped_bytes(maker: ModuleType) -> None:
    shipped = {path.stem: path.read_text() for path in FOLDER.glob("*.toml")}
    assert maker.profiles(FACTS) == shipped


def test_the_published_cycles_are_the_fit_to_the_benchmark_rows(maker: ModuleType) -> None:
    tiny = maker.read_rows(FACTS / "mlperf_tiny.csv")
    clocks = {"Nucleo-L4R5ZI": 120, "NUCLEO-L4R5ZI_MICROTVM-CMSIS-NN": 120, "NUCLEO_L4R5ZI": 120,
              "DISCO_F746NG_int8": 216, "NUCLEO_H7A3ZI_Q": 280, "NUCLEO_U575ZI_Q": 160,
              "NRF5340-DK_MICROTVM-CMSIS-NN": 128, "EK-RA8D1": 480}  # fmt: skip
    for system, written in maker.CYCLES_PER_MAC.items():
        cycles = {k: ms * clocks[system[2]] * 1e3 for k, ms in maker.tiny_milliseconds(tiny, system).items()}
        # The written figures are rounded to two digits.
        assert maker.cycles_per_mac(cycles, maker.TINY_MACS) == pytest.approx(written, abs=0.06, rel=0.005)


def test_bands_that_were_stated_without_a_row_hold_for_nine_tenths_of_the_rows(maker: ModuleType) -> None:
    """Price and band of each MLPerf Tiny row are made without it; no profile misses more than one of its four."""
    from tools import profile_bands

    rows = list(profile_bands.left_out_rows(maker.read_rows(FACTS / "mlperf_tiny.csv"), maker.BENCHMARKED))
    assert {row.profile: getattr(maker, BENCHMARKED[row.profile]) for row in rows} == maker.BENCHMARKED
    assert sum(row.holds for row in rows) >= 0.9 * len(rows)
    assert all(sum(r.holds for r in rows if r.profile == name) >= 3 for name in BENCHMARKED)


def test_a_band_without_a_row_does_not_know_it(maker: ModuleType) -> None:
    from tools import profile_bands

    tiny = maker.read_rows(FACTS / "mlperf_tiny.csv")
    system = maker.L4R5_CMSIS
    changed = [
        {**row, "ms": "999"} if (row["round"], row["org"], row["system"], row["task"]) == (*system, "vww") else row
        for row in tiny
    ]
    assert profile_bands.band(changed, system) != profile_bands.band(tiny, system)
    assert profile_bands.band(changed, system, without="vww") == profile_bands.band(tiny, system, without="vww")


def test_the_ethos_band_is_its_leave_one_out_error(maker: ModuleType) -> None:
    facts = find_profile(str(FOLDER / "ethos-u55-128.toml")).latency
    assert facts is not None
    assert (facts.error_p50, facts.error_p90) == maker.band(maker.class_errors(*maker.ethos_cycles()))


def test_the_raspberry_pi_4_band_is_its_leave_one_out_error(maker: ModuleType) -> None:
    """The rows of the XNNPACK README that its sources quote, in ms."""
    facts = find_profile(str(FOLDER / "raspberry-pi-4.toml")).latency
    assert facts is not None
    floats = {"MobileNet v1 1.0": 77.0, "MobileNet v2 1.0": 46.0, "MobileNet v3 Large": 40.0,
              "MobileNet v3 Small": 15.0}  # fmt: skip
    ints = {"MobileNet v1 1.0": 24.0, "MobileNet v2 1.0": 17.0}
    errors = [
        *maker.rate_errors(floats, maker.MOBILENET_MACS),
        *maker.rate_errors(ints, maker.MOBILENET_MACS),
    ]
    assert (facts.error_p50, facts.error_p90) == maker.band(errors)


def test_the_esp32_band_is_its_leave_one_out_error(maker: ModuleType) -> None:
    facts = find_profile(str(FOLDER / "esp32-s3.toml")).latency
    assert facts is not None
    seconds = {"Person detection (VWW)": 0.054, "MobileNetV3 Small 1000 classes": 1.434}
    assert (facts.error_p50, facts.error_p90) == maker.band(maker.rate_errors(seconds, maker.MOBILENET_MACS))


def test_non_negative_fit_recovers_exact_cycles(maker: ModuleType) -> None:
    cycles = {name: 3 * c + 12 * d + 5 * f for name, (c, d, f) in maker.TINY_MACS.items()}
    assert maker.cycles_per_mac(cycles, maker.TINY_MACS) == pytest.approx((3, 12, 5))


def test_non_negative_fit_never_goes_below_zero(maker: ModuleType) -> None:
    macs = {"a": (100, 0, 0), "b": (100, 50, 0)}
    assert maker.cycles_per_mac({"a": 200.0, "b": 150.0}, macs)[1] == 0


def test_every_shipped_profile_is_found_by_its_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert [path.stem for path in profile_paths()] == SHIPPED


def test_a_profile_whose_id_is_not_its_file_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text((FOLDER / "host.toml").read_text())
    with pytest.raises(RequestError) as error:
        read_profile(path)
    assert str(error.value) == f"{path}: id: is 'host', and the file's name says 'board'; make them equal"


def test_all_faults_of_a_profile_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    head = 'id = "board"\ntitle = "B"\nclass = "host"\n[runtime]\nname = "litert"\n'
    path.write_text(head + '[cpu]\nclok_hz = 1\n[memory]\nram_bytes = "many"\n')
    with pytest.raises(DocumentError) as error:
        read_profile(path)
    assert error.value.faults == (
        f"{path}: cpu.clok_hz: unknown key (closest: 'clock_hz')",
        f"{path}: memory.ram_bytes: 'many' is not a size such as '256 KiB'",
    )
