"""A signed bundle: whose it is, and that no single change of it passes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecut.errors import StepError
from edgecut.handoff import minisign, openssh
from edgecut.handoff.checked import check
from edgecut.handoff.seal import SIGNATURES
from edgecut.handoff.signature import Trust
from edgecut.handoff.signatures import SCHEMES, _alone, sign, signatures
from edgecut.handoff.verify import verify
from tests.command_line import run
from tests.handoff.test_bundle import bundle
from tests.handoff.test_verify import adopt

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not here")
needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not here")
BOTH = [pytest.param("ssh", marks=needs_ssh), pytest.param("minisign", marks=needs_minisign)]
FILES = {"ssh": "manifest.json.sig", "minisign": "manifest.json.minisig"}
TOLD = "not verified: report.json: the source, the machine and the versions, and git's state, as the builder tells them"
COUNTED = "29 files and 3 golden vectors are as the manifest says"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two key pairs of each kind, without passwords, and an allowed_signers file of the first."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ssh", "ssh2"):
        if shutil.which("ssh-keygen"):
            made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
            subprocess.run(made, check=True, capture_output=True)
    for name in ("minisign", "minisign2"):
        if shutil.which("minisign"):
            made = ["minisign", "-G", "-W", "-s", str(folder / name), "-p", str(folder / f"{name}.pub")]
            subprocess.run(made, check=True, capture_output=True)
    if (folder / "ssh.pub").is_file():
        (folder / "signers").write_text(f"# ours\nrelease@example.com {(folder / 'ssh.pub').read_text()}")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    folder = bundle(tmp_path_factory.mktemp("whole") / "dist")
    for name in ("ssh", "minisign"):
        if (keys / name).is_file():
            sign(folder, str(keys / name))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A bundle without a signature, to sign or to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "dist", ignore=lambda _, names: set(names) & set(SIGNATURES)))


def fingerprint(key: Path) -> str:
    said = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True).stdout
    return said.split()[1]


def test_the_places_of_signatures_are_those_that_the_seal_leaves_out() -> None:
    assert {scheme.FILE for scheme in SCHEMES} == set(SIGNATURES)


def test_an_unsigned_bundle_is_of_unknown_origin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "unsigned: whole and consistent, origin unknown"
    assert run(capsys, "verify", str(folder)) == (0, f"{folder}: {COUNTED}\n{line}\n{TOLD}\n", "")
    told = json.loads(run(capsys, "verify", str(folder), "--json").out)
    assert (told["signature"], told["signatures"], told["shown"]) == ("unsigned", [], line)


@pytest.mark.parametrize("kind", BOTH)
def test_a_signature_that_nobody_checked_is_not_trusted(
    kind: str, folder: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = FILES[kind]
    assert run(capsys, "sign", str(folder), "--key", str(keys / kind)) == (0, f"wrote {folder / file}\n", "")
    assert run(capsys, "verify", str(folder)).out == (
        f"{folder}: {COUNTED}\nsigned by {'OpenSSH' if kind == 'ssh' else kind} ({file}), key not checked: whole and "
        f"consistent, origin unknown\n{TOLD}\n"
    )
    assert json.loads(run(capsys, "verify", str(folder), "--json").out)["signature"] == "unchecked"


@pytest.mark.parametrize("kind", BOTH)
def test_a_signature_by_the_key_is_said_with_the_key(
    kind: str, folder: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = keys / f"{kind}.pub"
    assert sign(folder, str(keys / kind)) == FILES[kind]
    own = public.read_text().splitlines()
    name = f"minisign key {own[1]}" if kind == "minisign" else f"ED25519 key {fingerprint(public)}"
    answer = run(capsys, "verify", str(folder), "--key", str(public))
    assert (answer.code, answer.out.splitlines()[1]) == (0, f"signed by {name} ({public}): whole and consistent")
    told = json.loads(run(capsys, "verify", str(folder), "--key", str(public), "--json").out)
    assert (told["signature"], told["signatures"][0]["by"]) == ("verified", f"{name} ({public})")


@pytest.mark.parametrize("kind", BOTH)
def test_a_signature_is_the_same_for_the_same_manifest(kind: str, folder: Path, keys: Path) -> None:
    first = (folder / sign(folder, str(keys / kind))).read_bytes()
    assert (folder / sign(folder, str(keys / kind))).read_bytes() == first


@needs_ssh
def test_allowed_signers_name_who_has_signed(folder: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign(folder, str(keys / "ssh"))
    signers, key = keys / "signers", fingerprint(keys / "ssh.pub")
    by = f"signed by release@example.com, ED25519 key {key} ({signers}): whole and consistent"
    for more in ([], ["--identity", "release@example.com"]):
        assert run(capsys, "verify", str(folder), "--key", str(signers), *more).out.splitlines()[1] == by
    answer = run(capsys, "verify", str(folder), "--key", str(signers), "--identity", "mallory@example.com")
    assert answer == (
        1,
        "",
        "edgecut: error: manifest.json.sig: is no signature of manifest.json by 'mallory@example.com' of "
        f"{signers} (Could not verify signature); it is by the ED25519 key {key}\n",
    )


@needs_ssh
def test_a_signature_for_another_purpose_is_not_the_bundles(folder: Path, keys: Path) -> None:
    made = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(keys / "ssh"), str(folder / "manifest.json")]
    subprocess.run(made, check=True, capture_output=True)
    (found,) = signatures(folder, Trust((keys / "ssh.pub",)))
    assert found.state == "refused"
    assert found.fault.startswith(f"manifest.json.sig: is no signature of manifest.json by {keys / 'ssh.pub'} (")


@pytest.mark.parametrize("kind", BOTH)
def test_a_bundle_that_another_key_sealed_anew_is_refused_and_nothing_of_it_is_run(
    kind: str, folder: Path, keys: Path
) -> None:
    (folder / "README.md").write_text("Flash this.\n")
    adopt(folder, "README.md")
    file, public = sign(folder, str(keys / f"{kind}2")), keys / f"{kind}.pub"
    result = verify(folder, trust=Trust((public,)))
    assert result.faults[0].startswith(f"{file}: is no signature of manifest.json by {public} (")
    if kind == "ssh":
        assert result.faults[0].endswith(f"; it is by the ED25519 key {fingerprint(keys / 'ssh2.pub')}")
    assert (result.vectors, result.notes) == (0, ("nothing was run, since the signature is refused",))
    assert result.shown == "differs from what it says of itself"


@pytest.mark.parametrize("kind", BOTH)
def test_an_unsigned_bundle_is_refused_where_a_key_is_expected(
    kind: str, folder: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(capsys, "verify", str(folder), "--key", str(keys / f"{kind}.pub"))
    expected = f"manifest.json: has no signature, and one by {keys / f'{kind}.pub'} is expected"
    assert answer == (1, "", f"edgecut: error: {expected}\n")


@needs_ssh
@needs_minisign
def test_a_second_signature_must_be_checked_too(whole: Path, keys: Path) -> None:
    """Nothing covers a signature: one that no key checks is a file that anybody may have put there."""
    assert verify(whole, trust=Trust((keys / "ssh.pub",))).faults == (
        "manifest.json.minisig: is a signature of minisign that no key here checks; pass its --key too, or remove the "
        "file",
    )
    found = signatures(whole, Trust((keys / "ssh.pub", keys / "minisign.pub", keys / "ssh2.pub")))
    assert [each.state for each in found] == ["verified", "verified"]


def changes(path: Path, chosen: random.Random) -> Iterator[str]:
    """One change of a file after the other, undone when the next is asked for; what it is."""
    content, aside = path.read_bytes(), path.with_name("aside.bin")
    flipped = bytearray(content)
    flipped[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
    for name, changed in (("flipped", bytes(flipped)), ("cut", content[:-1]), ("longer", content + b"\n")):
        path.write_bytes(changed)
        yield name
    path.write_bytes(content)
    path.rename(aside)
    yield "renamed"
    aside.rename(path)
    path.unlink()
    yield "removed"
    path.write_bytes(content)


@needs_ssh
@needs_minisign
def test_no_single_change_of_a_signed_bundle_passes_and_each_names_its_file(
    whole: Path, keys: Path, tmp_path: Path
) -> None:
    folder, chosen = Path(shutil.copytree(whole, tmp_path / "dist")), random.Random(0)
    trust = Trust((keys / "ssh.pub", keys / "minisign.pub"))

    def faults() -> list[str]:
        return [*(each.fault for each in signatures(folder, trust) if each.fault), *check(folder).faults]

    assert faults() == []
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
        if name == "manifest.json":
            continue  # without it there is no bundle
        for change in changes(folder / name, chosen):
            found = faults() if name.startswith("manifest.") else check(folder).faults
            named = {fault.partition(": ")[0] for fault in found}
            gone_signature = name in SIGNATURES and change in {"removed", "renamed"}
            if gone_signature and change == "removed":
                continue  # one of two; the next test has the only one
            blamed = "manifest.json" if name == "manifest.sha256" and change not in {"removed", "renamed"} else name
            expected = Path(name).with_name("aside.bin").as_posix() if gone_signature else blamed
            assert expected in named, (name, change, named)
    for name in ("x", "c/evil.c", "models/new/deep.bin", "manifest.json.asc", "manifest.json.sigstore.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}")
        assert any(fault.startswith(f"{name}: ") for fault in faults()), name
        (folder / name).unlink()


@pytest.mark.parametrize("kind", BOTH)
def test_bytes_that_a_signature_does_not_need_are_refused(kind: str, folder: Path, keys: Path) -> None:
    file, trust = sign(folder, str(keys / kind)), Trust((keys / f"{kind}.pub",))
    own, tool = (folder / file).read_bytes(), "minisign" if kind == "minisign" else "ssh-keygen"
    first, _, rest = own.partition(b"\n")
    for spelled in (own + b"x\n", b"x\n" + own, own.replace(b"\n", b"\r\n"), first + b" \n" + rest, own + bytes(2**20)):
        (folder / file).write_bytes(spelled)
        (found,) = signatures(folder, trust)
        assert found.fault in {
            f"{file}: isn't as {tool} writes signatures; something was put into it",
            f"{file}: has more than 1 MiB, which no signature has",
        }


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_lies_in_the_place_of_a_signature_and_is_no_file_is_named(kind: str, folder: Path, tmp_path: Path) -> None:
    place = folder / "manifest.json.sig"
    if kind == "link":
        (tmp_path / "elsewhere").write_text("x")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir() if kind == "folder" else os.mkfifo(place)
    assert [fault.partition(":")[0] for fault in check(folder).faults] == ["manifest.json.sig"]
    assert signatures(folder, Trust()) == ()


@pytest.mark.parametrize("kind", BOTH)
def test_without_the_program_the_package_is_named(
    kind: str, whole: Path, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecut.records.programs.shutil.which", lambda name: None)
    program, package = ("ssh-keygen", "openssh-client") if kind == "ssh" else ("minisign", "minisign")
    sentence = f"edgecut: error: {program} isn't here, and this needs it; install the package {package}\n"
    assert run(capsys, "sign", str(whole), "--key", str(keys / kind)) == (4, "", sentence)
    other = [] if kind == "ssh" else ["--identity", "a", "--issuer", "b"]
    assert run(capsys, "verify", str(whole), "--key", str(keys / f"{kind}.pub"), *other) == (4, "", sentence)


@needs_ssh
@needs_minisign
def test_a_key_that_names_nobody_can_not_be_held_against_an_identity(
    whole: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ssh.pub", "minisign.pub"):
        key = str(keys / name)
        assert run(capsys, "verify", str(whole), "--key", key, "--identity", "release@example.com") == (
            2,
            "",
            f"edgecut: error: --identity: {key} is a key that names nobody; pass an allowed_signers file as --key\n",
        )


@needs_ssh
@needs_minisign
def test_an_identity_is_shown_by_one_signature_and_keys_vouch_for_the_others(whole: Path, keys: Path) -> None:
    for trusted in (("signers", "minisign.pub"), ("minisign.pub", "ssh.pub", "signers")):
        trust = Trust(tuple(keys / name for name in trusted), identity="release@example.com")
        found = signatures(whole, trust)
        assert [(each.file, each.state, each.identity) for each in found] == [
            ("manifest.json.sig", "verified", "release@example.com"), ("manifest.json.minisig", "verified", None),
        ]  # fmt: skip


@pytest.mark.parametrize("issuer", [None, "https://issuer.example.com"])
@pytest.mark.parametrize("kind", BOTH)
def test_a_key_does_not_stand_in_for_the_identity(kind: str, issuer: str | None, folder: Path, keys: Path) -> None:
    sign(folder, str(keys / kind))
    names = (f"{kind}.pub", *(["signers"] if (keys / "signers").is_file() else []))
    if issuer is None and "signers" not in names:
        pytest.skip("ssh-keygen is not here")
    trust = Trust(tuple(keys / name for name in names), identity="mallory@example.com", issuer=issuer)
    first, missing = signatures(folder, trust)
    assert (first.state, missing.state, missing.fault) == (
        "verified",
        "refused",
        "manifest.json: has no signature by 'mallory@example.com', and one is expected",
    )


def test_what_is_no_key_is_refused_before_anything_is_built(
    whole: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe" * 99)
    sentence = (
        f"edgecut: error: {tmp_path / 'key'}: is no key to sign with; a secret key of minisign, a private key of "
        "OpenSSH, or the word 'sigstore' is expected\n"
    )
    assert run(capsys, "sign", str(whole), "--key", str(tmp_path / "key")) == (2, "", sentence)
    assert run(capsys, "verify", str(whole), "--key", str(tmp_path / "key")) == (
        2,
        "",
        f"edgecut: error: {tmp_path / 'key'}: is no key to check with; a public key or an allowed_signers file "
        "is expected\n",
    )
    assert run(capsys, "verify", str(whole), "--key", str(tmp_path / "none")) == (
        2,
        "",
        f"edgecut: error: {tmp_path / 'none'}: can't be read as a key (No such file or directory); name another file\n",
    )


@needs_ssh
def test_a_bundle_that_differs_is_not_signed(folder: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "labels.txt").unlink()
    assert run(capsys, "sign", str(folder), "--key", str(keys / "ssh")) == (
        1,
        "",
        f"edgecut: error: labels.txt: is missing\nedgecut: error: {folder}: wasn't signed\n",
    )
    assert not (folder / "manifest.json.sig").exists()


def killed(folder: Path, key: Path) -> None:
    """Sign in a process that is killed right before the signature gets its name."""
    process = os.fork()
    if not process:
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign, assignment, return-value]
        sign(folder, str(key))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


@needs_ssh
def test_a_signing_that_is_killed_leaves_the_bundle_whole_and_the_next_one_leaves_nothing(
    folder: Path, keys: Path
) -> None:
    killed(folder, keys / "ssh")
    assert [path.name for path in folder.parent.iterdir() if path != folder] == [".dist.signature.partial"]
    assert verify(folder).faults == ()
    sign(folder, str(keys / "ssh"))
    assert list(folder.parent.iterdir()) == [folder]
    assert verify(folder, trust=Trust((keys / "ssh.pub",))).faults == ()


@needs_ssh
def test_what_a_killed_signing_left_in_a_bundle_is_named_and_the_next_one_removes_it(
    folder: Path, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where only the bundle itself can be written."""
    monkeypatch.setattr("edgecut.handoff.signatures._beside", lambda folder: None)
    killed(folder, keys / "ssh")
    (left,) = (path for path in folder.iterdir() if path.suffix == ".partial")
    assert verify(folder).faults == (
        f"{left.name}: isn't in the manifest; a signing that was killed has left it, remove it",
    )
    assert run(capsys, "sign", str(folder), "--key", str(keys / "ssh")) == (
        0,
        f"wrote {folder / FILES['ssh']}\n",
        f"edgecut: {left}: was left by a signing that was killed, and is removed\n",
    )
    assert verify(folder).faults == ()


@needs_ssh
def test_a_bundle_is_signed_by_one_process_at_a_time(folder: Path, keys: Path) -> None:
    with _alone(folder), pytest.raises(StepError) as caught:
        sign(folder, str(keys / "ssh"))
    assert str(caught.value) == f"{folder}: another process is signing it; wait for that"


@needs_minisign
def test_a_key_whose_password_nobody_gives_signs_nothing(folder: Path, tmp_path: Path) -> None:
    """A key of minisign's that says to be encrypted, and isn't the one that its checksum is of."""
    key = tmp_path / "key"
    subprocess.run(
        ["minisign", "-G", "-W", "-s", str(key), "-p", str(tmp_path / "pub")], check=True, capture_output=True
    )
    first, second = key.read_text().splitlines()
    key.write_text(f"{first}\n{second.replace('RWQAAEIy', 'RWRTY0Iy', 1)}\n")
    with pytest.raises(StepError) as error:
        sign(folder, str(key))
    assert str(error.value).startswith(f"{key}: minisign doesn't sign manifest.json with this key: ")
    assert not (folder / "manifest.json.minisig").exists()


def test_the_schemes_tell_each_others_keys_apart(keys: Path) -> None:
    for name, scheme in (("ssh", openssh), ("minisign", minisign)):
        if (keys / name).is_file():
            assert [each.is_secret(str(keys / name)) for each in SCHEMES] == [each is scheme for each in SCHEMES]
            assert [each.is_public(keys / f"{name}.pub") for each in SCHEMES] == [each is scheme for each in SCHEMES]
