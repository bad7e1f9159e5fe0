"""The programs that edgecut runs: where they are, what they say, what brings them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import MissingRuntimeError
from edgecut.records.programs import (
    ADB,
    ARM_GCC,
    CC,
    PROGRAMS,
    SSH_KEYGEN,
    VELA,
    ProgramState,
    lacking,
    needed,
    program_path,
    program_remedy,
    program_state,
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH; this Python is in an empty one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("edgecut.records.programs.sys.executable", str(tmp_path / "empty" / "python"))
    return tmp_path


def put(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("echo 'git version 2.39.5'", "2.39.5"),
        ("echo 'cc (Debian 12.2.0-14) 12.2.0'", "12.2.0"),
        ("echo 'OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19' >&2", "9.2p1"),
        ("echo 'QEMU emulator version 7.2.22 (Debian 1:7.2)'", "7.2.22"),
        ("echo hello", None),
    ],
)
def test_a_program_says_its_version_on_either_stream(place: Path, text: str, version: str | None) -> None:
    path = put(place / "adb", text)
    assert program_state(ADB) == ProgramState(path, version)


def test_a_program_that_fails_does_not_run(place: Path) -> None:
    path = put(place / "adb", "echo 1.2.3; exit 1")
    assert program_state(ADB) == ProgramState(path, "1.2.3", runs=False)


def test_a_program_without_such_a_word_is_not_run(place: Path) -> None:
    path = put(place / "ssh-keygen", f"echo > {place}/ran")
    assert program_state(SSH_KEYGEN) == ProgramState(path)
    assert not (place / "ran").exists()


def test_another_program_of_the_kind_serves(place: Path) -> None:
    path = put(place / "clang", "")
    assert program_path(CC) == path


def test_what_pip_brings_is_looked_for_beside_this_python(place: Path) -> None:
    assert program_path(VELA) is None
    path = put(place / "empty" / "vela", "")
    put(place / "empty" / "adb", "")
    assert (program_path(VELA), program_path(ADB)) == (path, None)


def test_each_program_has_a_remedy(place: Path) -> None:
    assert {program.name: program_remedy(program) for program in PROGRAMS} == {
        "git": "the package git",
        "cc": "the package gcc",
        "arm-none-eabi-gcc": "the packages gcc-arm-none-eabi, libnewlib-arm-none-eabi",
        "qemu-system-arm": "the package qemu-system-arm",
        "vela": "pip install 'edgecut[ethos-u]'",
        "ssh": "the package openssh-client",
        "adb": "the package adb",
        "ssh-keygen": "the package openssh-client",
        "minisign": "the package minisign",
    }


def test_who_needs_a_program_that_is_not_here_is_told_what_brings_it(place: Path) -> None:
    with pytest.raises(MissingRuntimeError) as caught:
        needed(VELA)
    assert str(caught.value) == "vela isn't here, and this needs it; it comes with: pip install 'edgecut[ethos-u]'"
    assert str(lacking([ARM_GCC, ADB])) == (
        "arm-none-eabi-gcc and adb aren't here, and this needs them; install the packages gcc-arm-none-eabi, "
        "libnewlib-arm-none-eabi, adb"
    )
