"""The programs outside of Python that some command runs, what each is for, and what brings one that isn't here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgecut.errors import MissingRuntimeError
from edgecut.records.packages import own_name, pip_install

_VERSION = re.compile(r"\d+(\.\w+)+")
_TIMEOUT_S = 20


class Program(NamedTuple):
    """A program that is run where it is here. name: on the PATH, as are others that do the same.

    packages: of Debian and Ubuntu, which bring it; none where pip does. version_flag: what makes it tell its version,
    "" where nothing does.
    """

    name: str
    use: str
    packages: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    version_flag: str = "--version"


class ProgramState(NamedTuple):
    """path: None if it isn't here. version: None if it doesn't say it. runs: whether it could say it."""

    path: str | None
    version: str | None = None
    runs: bool = True


GIT = Program("git", "the sources' state, for provenance.json", ("git",))
CC = Program("cc", "verify --run-c: compiles a bundle's C", ("gcc",), ("gcc", "clang"))
ARM_GCC = Program(
    "arm-none-eabi-gcc", "flash and stack of C on Cortex-M", ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi")
)
QEMU_ARM = Program("qemu-system-arm", "runs C for Cortex-M: --runner qemu, export --package", ("qemu-system-arm",))
VELA = Program("vela", "simulates an Ethos-U: --runner vela")
SSH = Program("ssh", "measures on another machine: --runner ssh://", ("openssh-client",), version_flag="-V")
ADB = Program("adb", "measures on an Android device: --runner adb", ("adb",))
SSH_KEYGEN = Program("ssh-keygen", "signs and verifies by OpenSSH keys", ("openssh-client",), version_flag="")
MINISIGN = Program("minisign", "signs and verifies by minisign keys", ("minisign",), version_flag="-v")
PROGRAMS = (GIT, CC, ARM_GCC, QEMU_ARM, VELA, SSH, ADB, SSH_KEYGEN, MINISIGN)


def program_path(program: Program) -> str | None:
    """Where it is, or another that does the same; None for nowhere.

    On the PATH, or, if pip brings it, beside this Python, whose folder needn't be on it.
    """
    for name in (program.name, *program.others):
        if path := shutil.which(name):
            return path
    beside = Path(sys.executable).parent / program.name
    return str(beside) if not program.packages and beside.is_file() else None


def program_remedy(program: Program) -> str:
    """What installs it."""
    return _packages([program]) if program.packages else _pip()


def lacking(programs: Sequence[Program]) -> MissingRuntimeError:
    """The error that says what brings programs that aren't here; several of them are of packages."""
    aren_t, them = ("isn't", "it") if len(programs) == 1 else ("aren't", "them")
    names = " and ".join(program.name for program in programs)
    remedy = f"install {_packages(programs)}" if programs[0].packages else f"it comes with: {_pip()}"
    return MissingRuntimeError(f"{names} {aren_t} here, and this needs {them}; {remedy}")


def needed(program: Program) -> str:
    """Where it is. Raises MissingRuntimeError that names the package which brings it."""
    path = program_path(program)
    if path is None:
        raise lacking([program])
    return path


def program_state(program: Program) -> ProgramState:
    """Where it is, and what it says of its version. It is run."""
    path = program_path(program)
    if path is None or not program.version_flag:
        return ProgramState(path)
    try:
        done = subprocess.run(
            [path, program.version_flag], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ProgramState(path, runs=False)
    version = _VERSION.search((done.stdout + done.stderr).decode(errors="replace"))
    return ProgramState(path, version[0] if version else None, runs=done.returncode == 0)


def _pip() -> str:
    return pip_install(f"{own_name()}[ethos-u]")


def _packages(programs: Sequence[Program]) -> str:
    names = dict.fromkeys(package for program in programs for package in program.packages)
    return f"the package{'s' if len(names) > 1 else ''} {', '.join(names)}"
