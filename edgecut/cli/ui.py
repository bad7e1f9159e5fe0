"""`edgecut ui`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from edgecut.cli.output import Output, with_output
from edgecut.errors import RequestError


@click.command("ui", epilog="\b\nExamples:\n  edgecut ui\n  edgecut ui builds --port 9000 --browser")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any that is free.")
@click.option("--browser", is_flag=True, help="Open the page in a browser.")
@with_output
def command(output: Output, *, folder: Path, port: int, browser: bool) -> None:
    """Show the builds, bundles and searches of a folder on a local page, until Ctrl-C.

    Builds are compared by ticking; a front is walked along by dragging budgets; every report opens. The page is served
    to this machine alone (127.0.0.1), changes nothing, and asks nothing of a network.
    """
    from edgecut.cli.ui_server import serving

    if not folder.is_dir():
        raise RequestError(f"{folder}: no such folder; one with builds or searches is expected")
    with serving(folder, port) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        output.table(f"{folder}: {address} (Ctrl-C ends it)")
        output.document({"schema": "edgecut.ui/1", "address": address})
        if browser:
            webbrowser.open(address)
        server.serve_forever(poll_interval=0.2)
