"""Signatures by OpenSSH: the keys that developers have, and files that say whose they are (ssh-keygen(1), SIGNING)."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from edgecut.handoff.seal import MANIFEST
from edgecut.handoff.signature import Signature, Trust, ask, key_text, last_line, let_sign, refused
from edgecut.records.programs import SSH_KEYGEN, needed
from edgecut.whole import scratch_folder

KIND = "OpenSSH"
FILE = f"{MANIFEST}.sig"
NAMESPACE = "edgecut.bundle"
"""What a signature is for, so that one for another purpose by the same key isn't taken as a bundle's."""

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_WIDTH = 70
_SINGLE = re.compile(r"(ssh|ecdsa|sk)-\S+ AAAA")
_SIGNERS = re.compile(r"^[^#\s]\S* (\S+ )*?(ssh|ecdsa|sk)-\S+ AAAA", re.MULTILINE)
_GOOD = re.compile(r'Good "[^"]*" signature (?:for (?P<who>.*) )?with (?P<key>\S+ key SHA256:\S+)')
_ANYBODY = "signer"


def is_secret(key: str) -> bool:
    """Whether `key` is a file that ssh-keygen signs with: a private key, or a public one of which an agent has it."""
    text = key_text(Path(key))
    return text.startswith("-----BEGIN ") or _SINGLE.match(text) is not None


def is_public(key: Path) -> bool:
    """Whether `key` is a file of a public key of OpenSSH, or of allowed signers."""
    text = key_text(key)
    return _SINGLE.match(text) is not None or _SIGNERS.search(text) is not None


def names_signers(key: Path) -> bool:
    """Whether `key` is a file of allowed signers, which says whose each key is."""
    return is_public(key) and not _is_single(key)


def needs() -> None:
    """Nothing if ssh-keygen is here. Raises MissingRuntimeError."""
    _program()


def sign(manifest: bytes, key: str) -> bytes:
    """The signature's file. Raises StepError."""
    with scratch_folder() as scratch:
        path = scratch / MANIFEST
        path.write_bytes(manifest)
        let_sign([_program(), "-Y", "sign", "-f", str(Path(key).absolute()), "-n", NAMESPACE, str(path)], key)
        return path.with_name(FILE).read_bytes()


def judge(manifest: bytes, signature: bytes, trust: Trust) -> Signature:
    """Whether one of the keys has signed, or who is named; "unchecked" without a key of OpenSSH's."""
    keys = sorted((key for key in trust.keys if is_public(key)), key=_is_single)  # who names the signer shows more
    if not keys:
        return Signature(FILE, KIND)
    program = _program()
    if not _is_plain(signature):
        return refused(FILE, KIND, "isn't as ssh-keygen writes signatures; something was put into it")
    faults = []
    with scratch_folder() as scratch:
        path = scratch / FILE
        path.write_bytes(signature)
        for key in keys:
            by, fault = _tried(program, path, manifest, key, trust.identity)
            if by:
                return Signature(FILE, KIND, "verified", by, identity=None if _is_single(key) else trust.identity)
            faults.append(fault)
        whose = _whose(program, path, manifest)
    return refused(FILE, KIND, f"is no signature of {MANIFEST} by {' or '.join(faults)}{whose}")


def _tried(program: str, signature: Path, manifest: bytes, key: Path, identity: str | None) -> tuple[str, str]:
    """(by whom it is, "") if a file of keys knows the signer, else ("", who was expected)."""
    signers, who = key.absolute(), identity
    if _is_single(key):
        signers, who = signature.with_name("signers"), _ANYBODY
        signers.write_text(f"{_ANYBODY} {key_text(key).splitlines()[0]}\n")
    elif who is None:
        named = ask([program, "-Y", "find-principals", "-f", str(signers), "-s", str(signature)])
        who = named.stdout.splitlines()[0] if named.returncode == 0 and named.stdout.strip() else None
    expected = str(key) if identity is None else f"{identity!r} of {key}"
    if who is None:
        return "", f"anybody in {expected}"
    words = [program, "-Y", "verify", "-f", str(signers), "-I", who, "-n", NAMESPACE, "-s", str(signature)]
    done = ask(words, manifest)
    good = _GOOD.match(done.stdout)
    if done.returncode != 0 or good is None:
        return "", f"{expected} ({last_line(done.stderr or done.stdout)})"
    return (f"{good['key']} ({key})" if _is_single(key) else f"{good['who']}, {good['key']} ({key})"), ""


def _whose(program: str, signature: Path, manifest: bytes) -> str:
    """By which key a signature is that nobody who was expected has made; "" for none of this manifest."""
    done = ask([program, "-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)], manifest)
    good = _GOOD.match(done.stdout)
    return f"; it is by the {good['key']}" if done.returncode == 0 and good is not None else ""


def _program() -> str:
    return needed(SSH_KEYGEN)


def _is_single(key: Path) -> bool:
    return _SINGLE.match(key_text(key)) is not None


def _is_plain(signature: bytes) -> bool:
    """Whether each byte is one that ssh-keygen writes, and all of them count."""
    try:
        begin, *lines, end, last = signature.decode().split("\n")
        text = base64.b64encode(base64.b64decode("".join(lines), validate=True)).decode()
    except (ValueError, binascii.Error):
        return False
    folded = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return (begin, lines, end, last) == (_BEGIN, folded, _END, "")
