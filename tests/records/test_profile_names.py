"""A profile is found by its chip, and by words; an unknown name is offered the boards of its chip first."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import RequestError
from edgecut.records.document import parse
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.profile_names import matching, of_chip, offered

CHIPS = {
    "kit": "STM32H743ZI", "kit-reference": "STM32H743ZI", "camera": "STM32H743", "radio": "nRF52840", "esp": "ESP32",
    "esp-s3": "ESP32-S3", "old": "",
}  # fmt: skip


def board(name: str, chip: str) -> Profile:
    tables = {"id": name, "title": f"The {name}", "class": "microcontroller", "chip": chip, "runtime": {"name": "tflm"}}
    return parse(Profile, {**tables, "cpu": {"core": "cortex-m7"}}, "test")


BOARDS = tuple(board(name, chip) for name, chip in CHIPS.items())


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("stm32h743", ["kit", "kit-reference", "camera"]),
        ("STM32H743ZI", ["kit", "kit-reference"]),
        ("STM32H743ZIT6", ["kit", "kit-reference"]),
        ("nrf52840", ["radio"]),
        ("esp32-s3", ["esp-s3"]),
        ("esp32s3", ["esp-s3"]),
        ("stm32f407", []),
        ("h7", []),
        ("kit", []),
    ],
)
def test_a_chip_names_its_boards(name: str, ids: list[str]) -> None:
    assert [p.id for p in of_chip(name, BOARDS)] == ids


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("h743",), ["kit", "kit-reference", "camera"]),
        (("Cortex M7", "camera"), ["camera"]),
        (("tflm", "nrf"), ["radio"]),
        (("xcubeai",), []),
        ((), list(CHIPS)),
    ],
)
def test_every_word_has_to_occur(words: tuple[str, ...], ids: list[str]) -> None:
    assert [p.id for p in matching(words, BOARDS)] == ids


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("board-h743zi2", " (by chip: 'kit', 'kit-reference')"),
        ("stm32h743", " (by chip: 'kit', 'kit-reference', 'camera')"),
        ("kit-referenze", " (closest: 'kit-reference')"),
        ("kit-h743", " (by chip: 'kit', 'kit-reference', 'camera')"),
        ("zzz", ""),
    ],
)
def test_an_unknown_name_is_offered_the_boards_of_its_chip_first(name: str, words: str) -> None:
    assert offered(name, BOARDS) == words


def test_a_chip_that_one_profile_has_is_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert find_profile("nrf52840").id == "nano33ble"
    assert find_profile("nRF5340-c").id == "nrf5340dk-c"
    with pytest.raises(RequestError) as error:
        find_profile("stm32l4r5")
    assert str(error.value) == (
        "no profile 'stm32l4r5' (by chip: 'nucleo-l4r5zi', 'nucleo-l4r5zi-reference', 'nucleo-l4r5zi-xcubeai'; "
        "closest: 'stm32l4r9i-disco', 'stm32n6570-dk', 'stm32mp257f-dk'); `edgecut profile list` shows all"
    )
