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


WORK = "[[latency.work]]\nprecision = 'int8'\nerror_p50 = 0.1\nerror_p90 = 0.2\nnets = 2\nfamilies = 1\n"
LATENCY = "[latency]\nerror_p50 = 0.1\nerror_p90 = 0.2\nkind = 'published'\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[cpu]\ncores = -1\n", "cpu.cores: expected a whole number of more than 0, found -1"),
        ("[cpu]\ncores = 0\n", "cpu.cores: expected a whole number of more than 0, found 0"),
        (f"[cpu]\ncores = 1{'0' * 30}\n", "cpu.cores: 1e+30 cores; at most 1024 are expected"),
        ("[cpu]\ncores = nan\n", "cpu.cores: expected a whole number, found nan"),
        (f"{LATENCY}nets = -1\n", "latency.nets: expected a whole number of at least 0, found -1"),
        (f"{LATENCY}nets = 1{'0' * 30}\n", "latency.nets: 1e+30 measured nets; at most 10000 are expected"),
        (f"{LATENCY}nets = 2\nfamilies = 3\n", "latency.families: 3 families of 2 nets; at most one for each net"),
        (LATENCY.replace("0.2", "nan"), "latency.error_p90: expected a finite number, found nan"),
        (LATENCY.replace("0.2", "1e30"),
         "latency.error_p90: 1e+30 is no relative error of an estimate (0.2 is 20 %); at most 1000"),
        (f"{LATENCY}{WORK}seconds = {{results = -1e-9}}\n",
         "latency.work.0.seconds.results: expected a number of at least 0.0, found -1e-09"),
        (f"{LATENCY}{WORK}seconds = {{results = nan}}\n",
         "latency.work.0.seconds.results: expected a finite number, found nan"),
        (f"{LATENCY}{WORK}seconds = {{results = 1e30}}\n",
         "latency.work (int8).seconds.results: 1e+30 s for one unit of work is more than the 10 s that any takes; the "
         "unit is seconds"),
        (f"{LATENCY}{WORK}seconds = {{}}\nversions = {{a = 1e30}}\n",
         "latency.work (int8).versions.a: 1e+30 is outside 0.001 to 1000 times"),
        (f"{LATENCY}{WORK}seconds = {{}}\nmost_s = 1e30\n",
         "latency.work (int8): least_s 0 to most_s 1e+30 is no range of times up to a day"),
        (f"[sensor]\nheight = 1{'0' * 30}\nwidth = 1\nchannels = 1\n",
         "sensor.height: 1e+30 pixels; at most 65536 are expected"),
        ("[memory]\nflash_bytes = 1e30\n", "memory.flash_bytes: 1e+30 bytes is more than the 4096 GiB of any device"),
    ],
)  # fmt: skip
def test_a_number_that_no_device_has_is_refused_in_one_sentence(text: str, fault: str, tmp_path: Path) -> None:
    path = write(tmp_path / "board.toml", GOOD + text)
    with pytest.raises(DocumentError) as caught:
        find_profile(str(path))
    assert caught.value.faults == (f"{path}: {fault}",)


def test_a_source_may_be_that_of_several_fields(tmp_path: Path) -> None:
    rows = '[cpu]\nclock_hz = 100_000_000\ncores = 2\n[[sources]]\nfield = "cpu.cores, cpu.clock_hz"\nwhat = "sheet"\n'
    base = read_profile(write(tmp_path / "board.toml", GOOD + rows))
    assert (base.source_of("cpu.cores"), base.source_of("cpu.clock_hz")) == ("sheet", "sheet")
    own = 'id = "variant"\nextends = "board.toml"\n[cpu]\ncores = 4\n'
    above = read_profile(write(tmp_path / "variant.toml", own))
    assert (above.source_of("cpu.cores"), above.source_of("cpu.clock_hz")) == ("", "sheet")


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
