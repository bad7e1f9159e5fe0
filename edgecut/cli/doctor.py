"""`edgecut doctor`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from edgecut.cli.output import Output, with_output
from edgecut.errors import MissingRuntimeError
from edgecut.records.packages import PACKAGES, Package, installed_version, is_required, own_name, requirement
from edgecut.records.programs import PROGRAMS, ProgramState, program_remedy, program_state
from edgecut.version import __version__

if TYPE_CHECKING:
    from edgecut.render.grid import Fitted

_PROBE_S = 60.0


@click.command("doctor", epilog="\b\nExample:\n  edgecut doctor")
@with_output
def command(output: Output) -> int:
    """Show which packages and programs are here, in which version, and what each is for.

    Exit code 4: a required one is missing.
    """
    from edgecut.sandbox.child import run_job

    versions = {package.name: installed_version(package) for package in PACKAGES}
    host = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}"
    has_network = bool(run_job("edgecut.sandbox.probe", {}, _PROBE_S)["network"])
    programs = {program.name: program_state(program) for program in PROGRAMS}
    output.table(
        f"{own_name()} {__version__}, {host}",
        package_table(versions),
        "",
        program_table(programs),
        "",
        network_words(not has_network),
    )
    output.document(
        {
            "edgecut": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "children_have_network": has_network,
            "distribution": own_name(),
            "packages": [
                {
                    "name": package.name,
                    "module": package.module,
                    "required": is_required(package),
                    "use": package.use,
                    "install": requirement(package) or own_name(),
                    "version": versions[package.name],
                }
                for package in PACKAGES
            ],
            "programs": [
                {
                    "name": program.name,
                    "use": program.use,
                    "install": program_remedy(program),
                    **programs[program.name]._asdict(),
                }
                for program in PROGRAMS
            ],
        }
    )
    absent = [package.name for package in PACKAGES if is_required(package) and versions[package.name] is None]
    if absent:
        raise MissingRuntimeError(f"required and not here: {', '.join(absent)}; reinstall {own_name()} with pip")
    return 0


def package_table(versions: Mapping[str, str | None]) -> Fitted:
    """A row for each of PACKAGES. versions: None for one that isn't here."""
    from edgecut.render.grid import fitted

    rows = [(p.name, versions[p.name] or _absent(p), _use(p)) for p in PACKAGES]
    return fitted(("<package", "<version", "~used for"), rows, below=True)


def program_table(states: Mapping[str, ProgramState]) -> Fitted:
    """A row for each of PROGRAMS."""
    from edgecut.render.grid import fitted

    rows = [
        (p.name, _state(states[p.name]), p.use if states[p.name].path else f"{p.use} ({program_remedy(p)})")
        for p in PROGRAMS
    ]
    return fitted(("<program", "<version", "~used for"), rows, below=True)


def network_words(is_left: bool) -> str:
    """Whether the child processes that open foreign files are without a network."""
    if is_left:
        return "files of others are opened in child processes without a network"
    return (
        "files of others are opened in child processes that have the network, which this system doesn't let them leave"
    )


def _use(package: Package) -> str:
    """What it is for, and what brings it where it doesn't come along."""
    distribution, _, extra = requirement(package).rstrip("]").partition("[")
    words = [f"pip install {distribution}"] if distribution not in ("", own_name()) else []
    words += [f"extra {extra}"] if extra else []
    return f"{package.use} ({', '.join(words)})" if words else package.use


def _state(state: ProgramState) -> str:
    if state.path is None:
        return "not here"
    return state.version or "here" if state.runs else "doesn't run"


def _absent(package: Package) -> str:
    return "missing" if is_required(package) else "not here"
