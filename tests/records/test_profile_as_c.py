"""Each microcontroller is known with generated C in the place of its interpreter, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import RequestError
from edgecut.records.profile import Runtime
from edgecut.records.profile_files import find_profile, known_profiles, read_profile

BOARD = """schema = "edgecut.profile/1"
id = "board"
title = "A board"
class = "microcontroller"
[memory]
ram_bytes = "64 KiB"
[runtime]
name = "tflm"
"""


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "board.toml").write_text(BOARD)
    return folder


def test_every_microcontroller_is_known_as_c_with_its_own_memory_and_no_latency() -> None:
    profiles, faults = known_profiles()
    assert faults == ()
    known = {profile.id: profile for profile in profiles}
    boards = [p for p in profiles if p.class_ == "microcontroller" and p.runtime.name != "c"]
    assert len(boards) > 20
    for board in boards:
        twin = known[f"{board.id}-c"]
        assert twin == find_profile(f"{board.id}-c")
        assert (twin.cpu, twin.memory, twin.sensor, twin.budget) == (
            board.cpu,
            board.memory,
            board.sensor,
            board.budget,
        )
        assert (twin.runtime, twin.latency) == (Runtime(name="c", precisions=("int8",)), None)
        assert not [row for row in twin.sources if row.field.startswith(("runtime", "latency"))]
    assert {p.id for p in profiles if p.runtime.name == "c"} == {f"{board.id}-c" for board in boards}


def test_a_board_of_ones_own_is_known_as_c_by_id_and_by_path(boards: Path) -> None:
    assert find_profile("board-c").memory.ram_bytes == 65536
    assert find_profile(str(boards / "board-c.toml")) == find_profile("board-c")


def test_a_file_of_that_name_goes_before_what_is_derived(boards: Path) -> None:
    (boards / "board-c.toml").write_text(BOARD.replace('"board"', '"board-c"').replace("64 KiB", "32 KiB"))
    assert find_profile("board-c").memory.ram_bytes == 32768
    assert {p.id: p for p in known_profiles()[0]}["board-c"].memory.ram_bytes == 32768


def test_a_board_can_extend_one_with_c(boards: Path) -> None:
    (boards / "mine.toml").write_text('id = "mine"\nextends = "board-c"\n[memory]\nram_bytes = "48 KiB"\n')
    mine = read_profile(boards / "mine.toml")
    assert (mine.runtime.name, mine.memory.ram_bytes) == ("c", 49152)
    (boards / "second.toml").write_text('id = "second"\nextends = "nano33ble-c"\n')
    assert read_profile(boards / "second.toml").memory == find_profile("nano33ble").memory


def test_c_is_refused_for_what_is_no_microcontroller() -> None:
    with pytest.raises(RequestError) as caught:
        find_profile("raspberry-pi-4-c")
    assert str(caught.value) == (
        "profile 'raspberry-pi-4-c': generated C is for microcontrollers, and raspberry-pi-4 is of class 'linux'"
    )


@pytest.mark.parametrize("name", ["/", "./", "../"])
def test_a_folder_is_no_profile(name: str) -> None:
    with pytest.raises(RequestError) as error:
        find_profile(name)
    assert str(error.value) == f"{Path(name)}: is a folder; a TOML file is expected"
