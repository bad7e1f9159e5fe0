"""Signatures by sigstore, whose service a fake stands for: what is asked of it, and what its answers become."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import types
from pathlib import Path
from types import SimpleNamespace as Made

import pytest

from edgecut.errors import RequestError, StepError
from edgecut.handoff.signature import Trust
from edgecut.handoff.signatures import sign, signatures
from edgecut.handoff.verify import verify
from edgecut.records import packages
from tests.command_line import run
from tests.handoff.test_bundle import bundle


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("whole") / "dist", ("int8.tflite",))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "dist"))


class Refused(Exception):
    """The package's own errors, of the fake."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """sigstore without a network: it signs by writing the hash, as whoever the test says."""
    asked: dict[str, object] = {"identity": "ci@example.com", "fails": None}

    class Bundle:
        def __init__(self, text: str) -> None:
            self.tables = json.loads(text)

        def to_json(self) -> str:
            return json.dumps(self.tables)

        @staticmethod
        def from_json(text: bytes) -> Bundle:
            return Bundle(text.decode())

    def signed(content: bytes) -> Bundle:
        return Bundle(json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "identity": asked["identity"]}))

    def verified(content: bytes, bundle: Bundle, policy: Made) -> None:
        if bundle.tables != {"sha256": hashlib.sha256(content).hexdigest(), "identity": policy.identity}:
            raise Refused("Certificate's SANs do not match\nand more")

    class Signer:
        sign_artifact = staticmethod(signed)

        def __enter__(self) -> Signer:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    def production() -> Made:
        if asked["fails"] is not None:
            raise OSError(asked["fails"])
        settings = Made(get_oidc_url=lambda: "https://issuer.example.com")
        return Made(signing_config=settings, verify_artifact=verified)

    parts = {
        "sigstore": {"__path__": [], "__spec__": Made(name="sigstore")},
        "sigstore.errors": {"Error": Refused, "VerificationError": Refused},
        "sigstore.models": {
            "Bundle": Bundle,
            "InvalidBundle": Refused,
            "ClientTrustConfig": Made(production=production),
        },
        "sigstore.oidc": {
            "IdentityError": Refused,
            "IdentityToken": lambda text: text,
            "detect_credential": lambda: "token",
            "Issuer": None,
        },
        "sigstore.sign": {"SigningContext": Made(from_trust_config=lambda _: Made(signer=lambda _: Signer()))},
        "sigstore.verify": {"__path__": [], "Verifier": Made(production=production)},
        "sigstore.verify.policy": {"Identity": lambda identity, issuer: Made(identity=identity, issuer=issuer)},
    }
    for name, content in parts.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return asked


def test_an_identity_signs_and_is_checked_by_sigstore(service: dict[str, object], folder: Path) -> None:
    assert sign(folder, "sigstore") == "manifest.json.sigstore.json"
    result = verify(folder, trust=Trust(identity="ci@example.com", issuer="https://issuer.example.com"))
    assert result.faults == ()
    assert result.shown == ("signed by ci@example.com, vouched for by https://issuer.example.com: whole and consistent")
    (found,) = signatures(folder, Trust(identity="me@example.com", issuer="https://issuer.example.com"))
    assert found.fault == (
        "manifest.json.sigstore.json: is no signature of manifest.json by 'me@example.com' by "
        "'https://issuer.example.com' (Certificate's SANs do not match)"
    )
    with pytest.raises(RequestError) as error:
        signatures(folder, Trust(identity="me@example.com"))
    assert str(error.value) == (
        "--identity: names nobody to sigstore without who vouches for it; pass --issuer too, such as "
        "https://github.com/login/oauth"
    )


def test_a_service_that_can_not_be_reached_is_a_step_that_failed(service: dict[str, object], folder: Path) -> None:
    sign(folder, "sigstore")
    service["fails"] = "no route to host"
    with pytest.raises(StepError) as error:
        sign(folder, "sigstore")
    assert str(error.value) == "sigstore: doesn't sign manifest.json: no route to host"
    with pytest.raises(StepError) as error:
        signatures(folder, Trust(identity="a", issuer="b"))
    assert str(error.value) == "sigstore: its own keys can't be had: no route to host"


def test_without_sigstore_the_extra_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert run(capsys, "sign", str(folder), "--key", "sigstore") == (
        4,
        "",
        "edgecut: error: sigstore isn't here, and this needs it; it comes with: pip install 'edgecut[sigstore]'\n",
    )
