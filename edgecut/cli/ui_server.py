"""The server of `edgecut ui`: pages over a folder, to this machine alone, read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from edgecut.errors import DocumentError, RequestError
from edgecut.records.document import MOST_JSON_BYTES, parse, read_json
from edgecut.records.front import Front
from edgecut.records.report import Report
from edgecut.render.overview import Place, render_overview, render_side_by_side, render_walk

_MOST_DOCUMENTS = 500
_DEEPEST = 6
# Nothing is loaded from anywhere; a report that came from elsewhere runs as if from another site.
_OWN = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; form-action 'self'"
_FOREIGN = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
T = TypeVar("T", Report, Front)


@dataclass(frozen=True)
class Listing:
    """What lies in a folder. faults: documents that can't be read."""

    builds: tuple[Place[Report], ...]
    searches: tuple[Place[Front], ...]
    faults: tuple[str, ...]


def listing(folder: Path) -> Listing:
    """The builds and searches in a folder and the folders in it, by path. Links to folders aren't followed."""
    builds: list[Place[Report]] = []
    searches: list[Place[Front]] = []
    faults: list[str] = []
    for path in _documents(folder):
        name = path.parent.relative_to(folder).as_posix()
        page = path.parent / "report.html"
        shown = page.relative_to(folder).as_posix() if _is_served(page, folder) else None
        try:
            if path.name == "report.json":
                builds.append(Place(name, _read(path, Report), shown))
            else:
                searches.append(Place(name, _read(path, Front), shown))
        except (OSError, ValueError, RecursionError, DocumentError) as exc:
            first = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
            faults.append(f"{path.relative_to(folder).as_posix()}: {first}")
    return Listing(tuple(builds), tuple(searches), tuple(faults))


def _documents(folder: Path) -> Iterator[Path]:
    count = 0
    for parent, folders, names in os.walk(folder):
        depth = len(Path(parent).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEEPEST else []
        for name in ("report.json", "front.json"):
            if name in names and count < _MOST_DOCUMENTS:
                count += 1
                yield Path(parent) / name


def _is_served(page: Path, folder: Path) -> bool:
    """Whether a page is a file of the folder, and no link that leads out of it."""
    is_inside = page.is_file() and page.resolve().is_relative_to(folder.resolve())
    return is_inside and page.stat().st_size <= MOST_JSON_BYTES


def _read(path: Path, kind: type[T]) -> T:
    """Raises OSError, ValueError, RecursionError or DocumentError."""
    return parse(kind, read_json(path), path.name)


class _Handler(BaseHTTPRequestHandler):
    """One request. Only a browser of this machine that asks this address by its own name is answered."""

    server: _Server
    server_version, sys_version = "edgecut", ""

    def do_GET(self) -> None:
        """A page, or an error in a line."""
        host = self.headers.get("Host", "")
        port = self.server.server_address[1]
        if host not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
            # A page elsewhere whose name leads to this address (DNS rebinding).
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"only this machine is answered\n", _OWN)
            return
        address = urlsplit(self.path)
        fields = parse_qs(address.query)
        try:
            content, policy = self._page(unquote(address.path), fields)
        except LookupError as exc:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", f"{exc.args[0]}\n".encode(), _OWN)
            return
        self._send(HTTPStatus.OK, "text/html", content.encode(), policy)

    do_HEAD = do_GET

    def _page(self, path: str, fields: dict[str, list[str]]) -> tuple[str, str]:
        """(the page, its policy). Raises LookupError for what isn't there."""
        folder = self.server.folder
        found = listing(folder)
        if path == "/":
            return render_overview(folder.resolve().name or "/", found.builds, found.searches, found.faults), _OWN
        if path == "/compare":
            chosen = [build for build in found.builds if build.path in fields.get("build", [])]
            if len(chosen) < 2:
                raise LookupError("tick two builds or more")
            return render_side_by_side(chosen), _OWN
        if path == "/walk":
            return _walk(found.searches, fields), _OWN
        pages = {*(build.page for build in found.builds), *(search.page for search in found.searches)}
        if path.removeprefix("/file/") in pages:
            return (folder / path.removeprefix("/file/")).read_text("utf-8", "replace"), _FOREIGN
        raise LookupError(f"no page {path!r}")

    def _send(self, status: HTTPStatus, kind: str, content: bytes, policy: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal belongs to whoever runs the command."""


def _walk(searches: Sequence[Place[Front]], fields: dict[str, list[str]]) -> str:
    path, device = fields.get("path", [""])[0], fields.get("device", [""])[0]
    place = next((search for search in searches if search.path == path), None)
    if place is None:
        raise LookupError(f"no search {path!r}")
    if device not in place.document.profiles:
        raise LookupError(f"the search has no device {device!r}")
    return render_walk(place, device)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        super().__init__(("127.0.0.1", port), _Handler)


@contextmanager
def serving(folder: Path, port: int) -> Iterator[ThreadingHTTPServer]:
    """A server on 127.0.0.1 that shows a folder. port: 0 for any that is free. Raises RequestError for one in use."""
    try:
        server = _Server(folder, port)
    except OSError as exc:
        raise RequestError(f"--port: {port} can't be used ({exc.strerror}); choose another, or 0 for any") from exc
    with server:
        yield server
