"""`edgecut sign`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecut.cli.output import Output, with_output
from edgecut.errors import VerifyError

KEY_HELP = (
    "A secret key of minisign, a private key of OpenSSH (a public one whose other half an agent has), or sigstore."
)


@click.command(
    "sign",
    epilog="\b\nExamples:\n  edgecut sign dist --key ~/.ssh/id_ed25519\n  edgecut sign dist --key minisign.key",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", required=True, metavar="KEY", help=KEY_HELP)
@with_output
def command(output: Output, *, bundle: Path, key: str) -> int:
    """Sign a bundle, which is verified first: a signature over manifest.json, which holds every other file's hash.

    The signature lies beside it (manifest.json.sig, .minisig or .sigstore.json) in the place of an earlier one of its
    kind. minisign and ssh-keygen do it, and may ask for the key's password.

    Exit code 1: the bundle isn't what its manifest says, and nothing is signed. 4: the program is absent.
    """
    from edgecut.handoff.seal import MANIFEST
    from edgecut.handoff.signatures import left_by_signing, sign, signing
    from edgecut.handoff.verify import verify

    signing(key)
    for path in left_by_signing(bundle) if (bundle / MANIFEST).is_file() else ():
        path.unlink()
        output.note(f"{path}: was left by a signing that was killed, and is removed")
    result = verify(bundle, progress=output.progress())
    if result.faults:
        raise VerifyError((*result.faults, f"{bundle}: wasn't signed"))
    file = sign(bundle, key)
    output.document({"schema": "edgecut.sign/1", "bundle": str(bundle), "signature": file})
    output.remarks(f"wrote {bundle / file}")
    return 0
