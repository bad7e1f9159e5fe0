"""`edgecut verify`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from edgecut.cli.flags import grouped
from edgecut.cli.output import Output, with_output
from edgecut.errors import RequestError, VerifyError


class TrustFlags(NamedTuple):
    """--key, --identity, --issuer, not read yet."""

    keys: tuple[Path, ...] = ()
    identity: str | None = None
    issuer: str | None = None


@click.command(
    "verify",
    epilog="\b\nExamples:\n"
    "  edgecut verify dist\n"
    "  edgecut verify dist --key release.pub\n"
    "  edgecut verify dist --key allowed_signers --identity release@example.com\n"
    "  edgecut verify dist --run-c",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PUB",
    help="Who must have signed: a public key of minisign or OpenSSH, or an allowed_signers file.",
)
@click.option("--identity", metavar="WHO", help="Whom the allowed_signers file, or a sigstore certificate, must name.")
@click.option("--issuer", metavar="URL", help="Who vouches for a sigstore identity.")
@click.option("--run-c", is_flag=True, help="Compile the plain C, and run the golden vectors in it.")
@with_output
@grouped(trust=TrustFlags)
def command(output: Output, *, bundle: Path, run_c: bool, trust: TrustFlags) -> int:
    """Check a bundle: every file's hash, the schema, and the golden vectors run again. Needs no TensorFlow.

    With --key or --identity the manifest, which holds every file's hash, must be signed by them. Without, a signature
    is said to be there, and nobody knows whose it is.

    With --run-c this edgecut's own text for the bundle's plain C, to which the bundle's must be equal, is compiled in a
    temporary folder and run on the vectors.

    What Finder, Explorer or an archiver left in the folder (.DS_Store, Thumbs.db, desktop.ini, __MACOSX, ._NAME) is
    ignored if it is what its name says; -v tells of it.

    Exit code 1: something differs, each difference is named; or --run-c, and the plain C could not be run. 4: the
    program that checks the signature is absent.
    """
    from edgecut.handoff.signature import Trust
    from edgecut.handoff.verify import verify
    from edgecut.render.lines import notes

    if trust.identity is not None and not trust.identity.strip():
        raise RequestError("--identity: is empty, and the name of a signer is expected")
    trusted = Trust(trust.keys, trust.identity, trust.issuer)
    result = verify(bundle, progress=output.progress(), run_c=run_c, trust=trusted)
    states = {each.state for each in result.signatures}
    output.document(
        {
            "schema": "edgecut.verify/1",
            "bundle": str(bundle),
            "files": result.files,
            "vectors": result.vectors,
            "plain_c": result.plain_c,
            "signature": next((state for state in ("refused", "unchecked", "verified") if state in states), "unsigned"),
            "signatures": [
                {"file": each.file, "kind": each.kind, "state": each.state, "by": each.by} for each in result.signatures
            ],
            "shown": result.shown,
            "faults": list(result.faults),
            "not_verified": list(result.not_verified),
            "notes": list(result.notes),
            "ignored": list(result.ignored),
        }
    )
    if result.faults:
        raise VerifyError(result.faults)
    if run_c and not result.plain_c:
        raise VerifyError((f"{bundle}: the golden vectors were not run in plain C", *result.notes))
    counted = f"{bundle}: {result.files} files and {result.vectors} golden vectors are as the manifest says"
    output.table(f"{counted}, and the plain C gives what they expect" if result.plain_c else counted, result.shown)
    if output.verbose and result.ignored:
        output.table(f"ignored, as left by a file manager or an archiver: {', '.join(result.ignored)}")
    output.remarks(*(f"not verified: {sentence}" for sentence in result.not_verified))
    output.remarks(*notes(result.notes))
    return 0
