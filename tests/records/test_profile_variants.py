"""Profiles that extend others, and numbers that can't be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import RequestError
from edgecut.records.plausible import implausible
from edgecut.records.profile_files import read_profile

BASE = """id = "base"
title = "A board"
class = "microcontroller"
[cpu]
core = "cortex-m4"
clock_hz = 120_000_000
[memory]
ram_bytes = 655_360
[runtime]
name = "tflm"
[[sources]]
field = "cpu.clock_hz"
what = "the datasheet"
[[sources]]
field = "memory.ram_bytes"
what = "the linker file"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.toml").write_text(BASE)
    return tmp_path


def variant(folder: Path, text: str, name: str = "fast") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'id = "{name}"\ntitle = "Fast"\n{text}')
    return path


def test_a_variant_changes_only_what_it_says(folder: Path) -> None:
    profile = read_profile(variant(folder, 'extends = "base"\n[cpu]\nclock_hz = 240_000_000\n'))
    assert (profile.cpu.core, profile.cpu.clock_hz, profile.memory.ram_bytes) == ("cortex-m4", 240_000_000, 655_360)


def test_a_variant_drops_the_source_of_a_number_that_it_changes(folder: Path) -> None:
    profile = read_profile(variant(folder, 'extends = "base"\n[cpu]\nclock_hz = 240_000_000\n'))
    assert [source.field for source in profile.sources] == ["memory.ram_bytes"]


def test_a_variant_may_name_its_base_by_path(folder: Path) -> None:
    (folder / "boards").mkdir()
    path = variant(folder / "boards", 'extends = "../base.toml"\n')
    assert read_profile(path).cpu.core == "cortex-m4"


def test_a_variant_of_a_shipped_profile(folder: Path) -> None:
    assert read_profile(variant(folder, 'extends = "nucleo-l4r5zi"\n')).cpu.clock_hz == 120_000_000


def test_profiles_that_extend_each_other_are_refused(folder: Path) -> None:
    first = variant(folder, 'extends = "slow"\n')
    variant(folder, 'extends = "fast"\n', "slow")
    with pytest.raises(RequestError) as caught:
        read_profile(first)
    assert str(caught.value) == (
        f"{first}: extends: comes back to itself by way of 'slow'; a profile without it ends the row"
    )


def test_an_unknown_base_is_refused_with_the_closest(folder: Path) -> None:
    path = variant(folder, 'extends = "nucleo-l4r5z"\n')
    with pytest.raises(RequestError) as caught:
        read_profile(path)
    assert str(caught.value).startswith(f"{path}: extends: no profile 'nucleo-l4r5z' (closest: 'nucleo-l4r5zi'")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[cpu]\nclock_hz = 120\n",
            "cpu.clock_hz: 120 Hz is outside 1_000_000 to 2_000_000_000 of any microcontroller; "
            "the unit is hertz (120 MHz is 120_000_000)",
        ),
        (
            "[memory]\nram_bytes = 640\n",
            "memory.ram_bytes: 640 B is outside 2 KiB to 128 MiB of any microcontroller; "
            "the unit is bytes, or write it as '640 KiB'",
        ),
        (
            '[memory]\ncontiguous_bytes = "1 MiB"\n',
            "memory.contiguous_bytes: 1 MiB is more than the 640 KiB of memory.ram_bytes",
        ),
        (
            '[memory]\nreserved_ram_bytes = "640 KiB"\n',
            "memory.reserved_ram_bytes: 640 KiB leaves nothing of the 640 KiB of memory.ram_bytes",
        ),
        ('[runtime]\nformats = ["onnx"]\n', "runtime.formats: tflm runs tflite files, found onnx"),
        (
            '[latency]\nconv = 9000\nerror_p50 = 0.1\nerror_p90 = 0.2\nkind = "measured"\n',
            "latency.conv: 9000 cycles per MAC is outside 0.001 to 2000; "
            "the unit is clock cycles for one multiply-accumulate",
        ),
        (
            '[latency]\nconv = 4\nerror_p50 = 0.3\nerror_p90 = 0.2\nkind = "measured"\n',
            "latency.error_p50: 0.3 is more than error_p90, 0.2; the other way round",
        ),
    ],
)
def test_a_number_that_cannot_be_meant_is_named(folder: Path, text: str, fault: str) -> None:
    assert implausible(read_profile(variant(folder, f'extends = "base"\n{text}'))) == (fault,)
