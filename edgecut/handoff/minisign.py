"""Signatures by minisign: one short public key, no identities. https://jedisct1.github.io/minisign/"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

from edgecut.handoff.seal import MANIFEST
from edgecut.handoff.signature import Signature, Trust, ask, key_text, last_line, let_sign, refused
from edgecut.records.programs import MINISIGN, needed
from edgecut.whole import scratch_folder

KIND = "minisign"
FILE = f"{MANIFEST}.minisig"

# The signature doesn't cover this line, so that only minisign's own text may stand there.
_FIRST = "untrusted comment: signature from minisign secret key"


def is_secret(key: str) -> bool:
    """Whether `key` is a file of a secret key of minisign."""
    return "secret key" in key_text(Path(key)).partition("\n")[0] and _is_key(key_text(Path(key)))


def is_public(key: Path) -> bool:
    """Whether `key` is a file of a public key of minisign."""
    text = key_text(key)
    return "secret key" not in text.partition("\n")[0] and _is_key(text)


def needs() -> None:
    """Nothing if minisign is here. Raises MissingRuntimeError."""
    needed(MINISIGN)


def sign(manifest: bytes, key: str) -> bytes:
    """The signature's file; the same one for the same manifest, since its comment has no time. Raises StepError."""
    program = needed(MINISIGN)
    comment = f"edgecut bundle, {MANIFEST} {hashlib.sha256(manifest).hexdigest()}"
    with scratch_folder() as scratch:
        path, signature = scratch / MANIFEST, scratch / FILE
        path.write_bytes(manifest)
        secret = str(Path(key).absolute())
        let_sign([program, "-S", "-s", secret, "-m", str(path), "-x", str(signature), "-t", comment], key)
        return signature.read_bytes()


def judge(manifest: bytes, signature: bytes, trust: Trust) -> Signature:
    """Whether one of the keys has signed; "unchecked" without a key of minisign's."""
    keys = [key for key in trust.keys if is_public(key)]
    if not keys:
        return Signature(FILE, KIND)
    program = needed(MINISIGN)
    if not _is_plain(signature):
        return refused(FILE, KIND, "isn't as minisign writes signatures; something was put into it")
    faults = []
    with scratch_folder() as scratch:
        path = scratch / MANIFEST
        path.write_bytes(manifest)
        path.with_name(FILE).write_bytes(signature)
        for key in keys:
            done = ask([program, "-V", "-Q", "-p", str(key.absolute()), "-m", str(path)])
            if done.returncode == 0:
                return Signature(FILE, KIND, "verified", f"minisign key {key_text(key).splitlines()[1]} ({key})")
            said = last_line(done.stderr or done.stdout).replace(f"{path}.minisig", FILE).replace(str(path), MANIFEST)
            faults.append(f"{key} ({said})")
    return refused(FILE, KIND, f"is no signature of {MANIFEST} by {' or '.join(faults)}")


def _is_key(text: str) -> bool:
    lines = text.splitlines()
    return len(lines) >= 2 and lines[0].startswith("untrusted comment: ") and lines[1].startswith("RW")


def _is_plain(signature: bytes) -> bool:
    """Whether each byte is one that minisign writes, and all of them count."""
    try:
        first, main, comment, whole, end = signature.decode().split("\n")
        spelled = [base64.b64encode(base64.b64decode(line, validate=True)).decode() for line in (main, whole)]
    except (ValueError, binascii.Error):
        return False
    return (first, main, whole, end) == (_FIRST, *spelled, "") and comment.startswith("trusted comment: ")
