"""The flags that say who computes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from edgecut.pipeline.workers import Spread, Tls

R = TypeVar("R")
_FILE = click.Path(path_type=Path)


def crew_flags(what: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Gives a command --workers, --dask and what belongs to them as one argument: spread=Spread. what: is spread."""

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @click.option("--workers", type=int, default=0, metavar="N", help=f"{what} over N processes (extra dask).")
        @click.option("--dask", metavar="ADDRESS", help=f"{what} over a Dask scheduler's workers (extra dask).")
        @click.option(
            "--dashboard",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="With --workers: Dask's dashboard on 127.0.0.1:PORT; no password guards it.",
        )
        @click.option(
            "--dask-ca", type=_FILE, envvar="EDGECUT_DASK_CA", help="Of tls://: who signed the certificates (PEM)."
        )
        @click.option("--dask-cert", type=_FILE, envvar="EDGECUT_DASK_CERT", help="Of tls://: the own certificate.")
        @click.option("--dask-key", type=_FILE, envvar="EDGECUT_DASK_KEY", help="Of tls://: its key.")
        @functools.wraps(function)
        def run(
            *arguments: object,
            workers: int,
            dask: str | None,
            dashboard: int | None,
            dask_ca: Path | None,
            dask_cert: Path | None,
            dask_key: Path | None,
            **options: object,
        ) -> R:
            spread = Spread(dask, workers, dashboard, Tls(dask_ca, dask_cert, dask_key))
            return function(*arguments, spread=spread, **options)

        return run

    return decorate
