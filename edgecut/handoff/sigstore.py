"""Signatures by sigstore: no key to keep, an identity instead, and a network. https://docs.sigstore.dev/

The package is an extra, imported where a signature is made or checked.
"""

from __future__ import annotations

from pathlib import Path

from edgecut.errors import RequestError, StepError
from edgecut.handoff.seal import MANIFEST
from edgecut.handoff.signature import Signature, Trust, refused
from edgecut.records.packages import missing

KIND = "sigstore"
FILE = f"{MANIFEST}.sigstore.json"


def is_secret(key: str) -> bool:
    """Whether `key` is the word that stands for an identity in the place of a key."""
    return key == KIND


def is_public(key: Path) -> bool:
    """Never: it has identities in the place of keys."""
    return False


def needs() -> None:
    """Nothing if the package is here. Raises MissingRuntimeError."""
    if (error := missing(KIND)) is not None:
        raise error


def sign(manifest: bytes, key: str) -> bytes:
    """The signature's file, by the identity of this machine's CI job, or of whoever answers in a browser.

    Raises StepError where the service can't be reached or doesn't know the identity.
    """
    needs()
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityError, IdentityToken, Issuer, detect_credential
    from sigstore.sign import SigningContext

    try:
        service = ClientTrustConfig.production()
        ambient = detect_credential()
        url = service.signing_config.get_oidc_url()
        token = IdentityToken(ambient) if ambient else Issuer(url).identity_token()
        with SigningContext.from_trust_config(service).signer(token) as signer:
            text: str = signer.sign_artifact(manifest).to_json()
    except (Error, IdentityError, OSError) as exc:
        raise StepError(f"sigstore: doesn't sign {MANIFEST}: {_line(exc)}") from exc
    return text.encode()


def judge(manifest: bytes, signature: bytes, trust: Trust) -> Signature:
    """Whether the identity has signed, vouched for by the issuer; "unchecked" without an identity and an issuer.

    Raises StepError where the service's own keys can't be had.
    """
    if trust.identity is None or trust.issuer is None:
        return Signature(FILE, KIND)
    needs()
    from sigstore.errors import Error, VerificationError
    from sigstore.models import Bundle, InvalidBundle
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity

    try:
        verifier = Verifier.production()
    except (Error, OSError) as exc:
        raise StepError(f"sigstore: its own keys can't be had: {_line(exc)}") from exc
    expected = f"{trust.identity!r} by {trust.issuer!r}"
    try:
        bundle, policy = Bundle.from_json(signature), Identity(identity=trust.identity, issuer=trust.issuer)
        verifier.verify_artifact(manifest, bundle, policy)
    except (VerificationError, InvalidBundle, ValueError) as exc:
        return refused(FILE, KIND, f"is no signature of {MANIFEST} by {expected} ({_line(exc)})")
    return Signature(
        FILE, KIND, "verified", f"{trust.identity}, vouched for by {trust.issuer}", identity=trust.identity
    )


def check_request(trust: Trust, *, is_signed: bool) -> None:
    """Nothing, unless a signature is there and its identity has no issuer. Raises RequestError."""
    if is_signed and trust.identity is not None and not trust.keys and trust.issuer is None:
        raise RequestError(
            "--identity: names nobody to sigstore without who vouches for it; pass --issuer too, such as "
            "https://github.com/login/oauth"
        )


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
