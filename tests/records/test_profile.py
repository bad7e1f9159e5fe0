"""Profiles: how mistakes are named, and where profiles are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import DocumentError, RequestError
from edgecut.records.profile_files import find_profile, profile_paths, read_profile

GOOD = 'id = "board"\ntitle = "A board"\nclass = "linux"\n[runtime]\nname = "litert"\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_all_faults_of_a_profile_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "board.toml", GOOD + 'kernel = "x"\n[cpu]\nclock_hz = "fast"\n[memory]\nram = 1\n')
    with pytest.raises(DocumentError) as caught:
        read_profile(path)
    assert caught.value.faults == (
        f"{path}: cpu.clock_hz: expected a whole number, found 'fast'",
        f"{path}: memory.ram: unknown key (closest: 'ram_bytes')",
        f"{path}: runtime.kernel: unknown key (closest: 'kernels')",
    )


def test_the_file_name_is_the_id(tmp_path: Path) -> None:
    path = write(tmp_path / "other.toml", GOOD)
    with pytest.raises(RequestError) as caught:
        read_profile(path)
    assert str(caught.value) == f"{path}: id: is 'board', and the file's name says 'other'; make them equal"


def test_a_profile_in_the_working_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    user = write(tmp_path / "config" / "edgecut" / "profiles" / "board.toml", GOOD)
    assert user in profile_paths()
    write(tmp_path / "profiles" / "board.toml", GOOD.replace("A board", "My board"))
    assert find_profile("board").title == "My board"


def test_an_unknown_profile_offers_the_closest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "profiles" / "xyzzyboard.toml", GOOD)
    with pytest.raises(RequestError) as caught:
        find_profile("xyzzybord")
    assert str(caught.value) == "no profile 'xyzzybord' (closest: 'xyzzyboard'); `edgecut profile list` shows all"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('order = "gray"', "order 'gray' has 1 channel, and channels is 3"),
        ("range = [5, 5]", "range [5.0, 5.0]: black and white are the same value"),
        ("range = [-1, 1]", "range [-1.0, 1.0]: uint8 holds 0 to 255"),
    ],
)
def test_a_sensor_that_cannot_be_is_refused(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "p.toml"
    sensor = f"[sensor]\nheight = 8\nwidth = 8\nchannels = 3\n{line}\n"
    path.write_text(f'id = "p"\ntitle = "P"\nclass = "microcontroller"\nextends = "nucleo-l4r5zi"\n{sensor}')
    with pytest.raises(DocumentError) as caught:
        find_profile(str(path))
    assert str(caught.value) == f"{path}: sensor: {fault}"
