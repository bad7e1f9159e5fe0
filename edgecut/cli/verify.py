"""`edgecut verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecut.cli.output import Output, with_output
from edgecut.errors import VerifyError


@click.command("verify", epilog="\b\nExamples:\n  edgecut verify dist\n  edgecut verify dist --run-c")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--run-c", is_flag=True, help="Compile the plain C, and run the golden vectors in it.")
@with_output
def command(output: Output, *, bundle: Path, run_c: bool) -> int:
    """Check a bundle: every file's hash, the schema, and the golden vectors run again. Needs no TensorFlow.

    With --run-c this edgecut's own text for the bundle's plain C, to which the bundle's must be equal, is compiled in a
    temporary folder and run on the vectors.

    Exit code 1: something differs, each difference is named; or --run-c, and the plain C could not be run.
    """
    from edgecut.handoff.verify import verify
    from edgecut.render.grid import notes

    result = verify(bundle, progress=output.progress(), run_c=run_c)
    output.document(
        {
            "schema": "edgecut.verify/1",
            "bundle": str(bundle),
            "files": result.files,
            "vectors": result.vectors,
            "plain_c": result.plain_c,
            "faults": list(result.faults),
            "notes": list(result.notes),
        }
    )
    if result.faults:
        raise VerifyError(result.faults)
    if run_c and not result.plain_c:
        raise VerifyError((f"{bundle}: the golden vectors were not run in plain C", *result.notes))
    counted = f"{bundle}: {result.files} files and {result.vectors} golden vectors are as the manifest says"
    output.table(f"{counted}, and the plain C gives what they expect" if result.plain_c else counted)
    output.remarks(*notes(result.notes))
    return 0
