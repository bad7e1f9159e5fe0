"""A signature over a bundle's manifest: what one is, who may have made it, the programs that do the cryptography."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edgecut.errors import RequestError, StepError
from edgecut.handoff.seal import MANIFEST
from edgecut.records.escapes import harmless

_TIMEOUT_S = 60
_LARGEST_KEY = 1 << 20


@dataclass(frozen=True)
class Trust:
    """Who may have signed. keys: files of public keys or of allowed signers.

    identity: whom an allowed_signers file or a sigstore certificate must name. issuer: who vouches for a sigstore one.
    """

    keys: tuple[Path, ...] = ()
    identity: str | None = None
    issuer: str | None = None

    def __bool__(self) -> bool:
        """Whether anybody is named."""
        return bool(self.keys or self.identity)


NOBODY = Trust()


@dataclass(frozen=True)
class Signature:
    """A signature file of a bundle, and what was shown of it.

    state: "unchecked" without a key. by: who has signed, of a verified one. fault: a sentence, of a refused one.
    identity: the one that Trust names, where the signature shows it.
    """

    file: str
    kind: str
    state: Literal["unchecked", "verified", "refused"] = "unchecked"
    by: str = ""
    fault: str = ""
    identity: str | None = None


class Scheme(Protocol):
    """A way of signing, as a module.

    KIND: what it is called. FILE: where the signature lies in a bundle; nothing in the bundle covers that file.
    """

    @property
    def KIND(self) -> str:
        """Its name."""

    @property
    def FILE(self) -> str:
        """The signature's path in the bundle."""

    def is_secret(self, key: str) -> bool:
        """Whether `key` is a file that it signs with."""

    def is_public(self, key: Path) -> bool:
        """Whether `key` is a file that it checks with."""

    def needs(self) -> None:
        """Nothing if what signs and checks is here. Raises MissingRuntimeError that names the package."""

    def sign(self, manifest: bytes, key: str) -> bytes:
        """The signature's file. Raises StepError where the key can't be used, MissingRuntimeError as needs()."""

    def judge(self, manifest: bytes, signature: bytes, trust: Trust) -> Signature:
        """What is shown of a signature; "unchecked" where `trust` names nobody who could have made such a one."""


def refused(file: str, kind: str, fault: str) -> Signature:
    """A signature that isn't what was expected."""
    return Signature(file, kind, "refused", fault=f"{file}: {fault}")


def key_text(key: Path) -> str:
    """What a file of a key holds, "" for one that is no text. Raises RequestError if it can't be read."""
    try:
        with open(key, "rb") as file:
            return file.read(_LARGEST_KEY).decode()
    except UnicodeDecodeError:
        return ""
    except OSError as exc:
        raise RequestError(f"{key}: can't be read as a key ({os.strerror(exc.errno or 0)}); name another file") from exc


def ask(words: Sequence[str], content: bytes = b"") -> subprocess.CompletedProcess[str]:
    """What a program that checks signatures says of `content`, its standard input.

    Raises StepError for one that doesn't end.
    """
    try:
        done = subprocess.run(
            words, input=content, capture_output=True, timeout=_TIMEOUT_S, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired as exc:
        raise StepError(f"{words[0]}: didn't end within {_TIMEOUT_S} s") from exc
    return subprocess.CompletedProcess(words, done.returncode, _text(done.stdout), _text(done.stderr))


def let_sign(words: Sequence[str], key: str) -> None:
    """Run a program that signs; at a terminal it may ask there for the key's password.

    Raises StepError with what it says.
    """
    asks = sys.stdin is not None and sys.stdin.isatty()
    stdin, out = (None, sys.stderr.fileno()) if asks else (subprocess.DEVNULL, subprocess.PIPE)
    done = subprocess.run(words, stdin=stdin, stdout=out, stderr=out, check=False, env=_environment())
    if done.returncode != 0:
        said = last_line(_text(done.stderr) or _text(done.stdout)) or "see above"
        raise StepError(f"{key}: {Path(words[0]).name} doesn't sign {MANIFEST} with this key: {said}")


def last_line(text: str) -> str:
    """The last line of what a program says, "" for nothing."""
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    return harmless(lines[-1]) if lines else ""


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")
