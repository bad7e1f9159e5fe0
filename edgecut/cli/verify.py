"""`edgecut verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecut.cli.output import Output, with_output
from edgecut.errors import VerifyError


@click.command("verify", epilog="\b\nExample:\n  edgecut verify dist")
@click.argument("bundle", type=click.Path(path_type=Path))
@with_output
def command(output: Output, *, bundle: Path) -> int:
    """Check a bundle: every file's hash, the schema, and the golden vectors run again. Needs no TensorFlow.

    Exit code 1: something differs, each difference is named.
    """
    from edgecut.handoff.verify import verify
    from edgecut.render.grid import notes

    result = verify(bundle, progress=output.progress())
    output.document(
        {
            "schema": "edgecut.verify/1",
            "bundle": str(bundle),
            "files": result.files,
            "vectors": result.vectors,
            "faults": list(result.faults),
            "notes": list(result.notes),
        }
    )
    if result.faults:
        raise VerifyError(result.faults)
    output.table(f"{bundle}: {result.files} files and {result.vectors} golden vectors are as the manifest says")
    output.remarks(*notes(result.notes))
    return 0
