"""The signatures of a bundle: made, and judged by those whose keys the receiver has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgecut.errors import RequestError, StepError
from edgecut.handoff import minisign, openssh, sigstore
from edgecut.handoff.output import MARK
from edgecut.handoff.seal import MANIFEST
from edgecut.handoff.signature import Scheme, Signature, Trust, refused
from edgecut.whole import PARTIAL, replace_whole

if sys.platform != "win32":
    import fcntl

SCHEMES: tuple[Scheme, ...] = (openssh, minisign, sigstore)
_LARGEST = 1 << 20  # a sigstore bundle has some 10 KiB
_EXPECTED = "a secret key of minisign, a private key of OpenSSH, or the word 'sigstore'"


def signing(key: str) -> Scheme:
    """The way of signing that a key is for, with what it needs here.

    Raises RequestError for what is no key to sign with, MissingRuntimeError for an absent program or package.
    """
    scheme = next((each for each in reversed(SCHEMES) if each.is_secret(key)), None)
    if scheme is None:
        raise RequestError(f"{key}: is no key to sign with; {_EXPECTED} is expected")
    scheme.needs()
    return scheme


def sign(folder: Path, key: str) -> str:
    """The name of the signature that is now in a bundle, in the place of an earlier one of its kind.

    Raises as signing() does, and StepError where the key can't be used or another process signs the bundle.
    """
    scheme = signing(key)
    content = scheme.sign((folder / MANIFEST).read_bytes(), key)
    with _alone(folder):
        replace_whole(folder / scheme.FILE, content, by=_beside(folder.resolve()))
    return scheme.FILE


def left_by_signing(folder: Path) -> list[Path]:
    """Files in a bundle that a process which was killed while it signed has left there; none of them is needed."""
    return [path for path in folder.iterdir() if PARTIAL.fullmatch(path.name) and not path.is_dir()]


def _beside(folder: Path) -> Path | None:
    """Where a signature is written before it is moved, so that a killed process leaves the bundle whole.

    None where that is no place: it can't be written, or is of another file system; and for a folder that is being
    written itself, and goes as a whole.
    """
    parent = folder.parent
    is_near = not (folder / MARK).is_dir() and parent != folder and parent.stat().st_dev == folder.stat().st_dev
    return parent / f".{folder.name}.signature.partial" if is_near and os.access(parent, os.W_OK | os.X_OK) else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold what only one process may do with a bundle at a time. Raises StepError if another one does."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise StepError(f"{folder}: another process is signing it; wait for that") from exc
    finally:
        os.close(descriptor)


def signatures(folder: Path, trust: Trust) -> tuple[Signature, ...]:
    """Each signature of a bundle, and what the keys and identities show of it.

    With somebody to trust, none but theirs may be there: nothing covers a signature, so that another one is a file that
    nobody vouches for; and with an identity, one of them must be by it. One that is missing is a refused signature, of
    no file.
    Raises RequestError for what is no key, and for one that can't name the identity; MissingRuntimeError, StepError for
    what checks them.
    """
    is_nameable = trust.issuer is not None or any(openssh.names_signers(key) for key in trust.keys)
    for key in trust.keys:
        if not any(each.is_public(key) for each in SCHEMES):
            raise RequestError(f"{key}: is no key to check with; a public key or an allowed_signers file is expected")
        if trust.identity is not None and not is_nameable:
            raise RequestError(f"--identity: {key} is a key that names nobody; pass an allowed_signers file as --key")
    there = [each for each in SCHEMES if (folder / each.FILE).is_file() and not (folder / each.FILE).is_symlink()]
    sigstore.check_request(trust, is_signed=sigstore in there)
    manifest = (folder / MANIFEST).read_bytes()
    judged = [_judged(folder / each.FILE, each, manifest, trust) for each in there]
    if not trust:
        return tuple(judged)
    if not judged:
        expected = " or ".join([*map(str, trust.keys), *([repr(trust.identity)] if not trust.keys else [])])
        fault = f"{MANIFEST}: has no signature, and one by {expected} is expected"
        return (Signature(MANIFEST, "none", "refused", fault=fault),)
    results = [_expected(each) for each in judged]
    are_verified = all(each.state == "verified" for each in results)
    if are_verified and trust.identity not in {None, *(each.identity for each in results)}:
        fault = f"{MANIFEST}: has no signature by {trust.identity!r}, and one is expected"
        results.append(Signature(MANIFEST, "none", "refused", fault=fault))
    return tuple(results)


def shown(found: Sequence[Signature]) -> str:
    """What is known of where a bundle comes from, whose files were checked: one line."""
    whole = "whole and consistent"
    if not found:
        return f"unsigned: {whole}, origin unknown"
    if all(each.state == "verified" for each in found):
        return f"signed by {'; and by '.join(each.by for each in found)}: {whole}"
    kinds = " and ".join(f"{each.kind} ({each.file})" for each in found)
    return f"signed by {kinds}, key not checked: {whole}, origin unknown"


def _judged(path: Path, scheme: Scheme, manifest: bytes, trust: Trust) -> Signature:
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        return refused(scheme.FILE, scheme.KIND, f"has more than {_LARGEST >> 20} MiB, which no signature has")
    return scheme.judge(manifest, content, trust)


def _expected(signature: Signature) -> Signature:
    """The signature; refused if nobody who was named could have made it."""
    if signature.state != "unchecked":
        return signature
    hint = "--identity and --issuer" if signature.kind == sigstore.KIND else "its --key"
    fault = f"is a signature of {signature.kind} that no key here checks; pass {hint} too, or remove the file"
    return refused(signature.file, signature.kind, fault)
