"""The local page: what a folder holds, builds side by side, a front walked along; read-only, to this machine alone."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecut.cli.ui_server import serving
from tests.command_line import run
from tests.pages import front
from tests.reports import report
from tools.look import BROWSERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three builds, one with a page that lies elsewhere, a search, documents that none are, and a page of no build."""
    top = tmp_path_factory.mktemp("builds")
    for name in ("a", "b/c"):
        (top / name).mkdir(parents=True)
        (top / name / "report.json").write_text(json.dumps(report().to_dict()))
        (top / name / "report.html").write_text(f"<p>report of {name}</p>")
    (top / "search <1>").mkdir()
    (top / "search <1>" / "front.json").write_text(json.dumps(front().to_dict()))
    for name in ("damaged", ".hidden", "alone", "leads out", "pipe", "without end"):
        (top / name).mkdir()
    (top / "leads out" / "report.json").write_text(json.dumps(report().to_dict()))
    (top / "leads out" / "report.html").symlink_to(__file__)
    os.mkfifo(top / "pipe" / "report.json")
    (top / "without end" / "report.json").symlink_to("/dev/zero")
    (top / "damaged" / "report.json").write_text("{")
    (top / ".hidden" / "report.json").write_text(json.dumps(report().to_dict()))
    (top / "alone" / "report.html").write_text("<p>no build</p>")
    return top


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with serving(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def get(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_the_list_has_every_build_and_search_and_says_what_cant_be_read(port: int) -> None:
    status, page, headers = get(port, "/")
    assert status == 200
    assert re.findall(r'name="build" value="([^"]*)"', page) == ["a", "b/c", "leads out"]
    assert "search &lt;1&gt;" in page
    assert "walk?path=search%20%3C1%3E&amp;device=board" in page
    assert "damaged/report.json: Expecting property name" in page
    for name in ("pipe", "without end"):
        assert f"{name}/report.json: is no file (a folder, a pipe or a device)" in page
    assert ".hidden" not in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_builds_stand_side_by_side(port: int) -> None:
    status, page, _ = get(port, "/compare?build=a&build=b%2Fc")
    assert status == 200
    assert re.findall(r'<th role="columnheader" class="number">([^<]*)</th>', page) == ["a", "b/c"]
    for name in ("status", "source"):
        assert f">{name}</td>" in page
    assert get(port, "/compare?build=a")[:2] == (404, "tick two builds or more\n")


def test_a_report_opens_as_if_from_another_site(port: int) -> None:
    status, page, headers = get(port, "/file/b/c/report.html")
    assert (status, page) == (200, "<p>report of b/c</p>")
    assert headers["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'")


@pytest.mark.parametrize(
    "path",
    ["/file/alone/report.html", "/file/leads%20out/report.html",
     "/file/a/report.json", "/file/../a/report.html", "/file/%2e%2e/%2e%2e/etc/passwd",
     "/file//etc/passwd", "/nothing", "/walk?path=a&device=board", "/walk?path=search%20%3C1%3E&device=no"],
)  # fmt: skip
def test_nothing_else_is_answered(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


def test_no_other_name_and_no_other_method_is_answered(port: int) -> None:
    assert get(port, "/", host="evil.example")[:2] == (403, "only this machine is answered\n")
    assert get(port, "/", host=f"localhost:{port}")[0] == 200
    assert get(port, "/", method="POST")[0] == 501
    assert get(port, "/", method="HEAD")[1] == ""


def test_the_server_listens_on_loopback_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(folder, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        taken = server.server_address[1]
        answer = run(capsys, "ui", str(folder), "--port", str(taken))
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: --port: {taken} can't be used (Address already in use); choose another, or 0 for any\n",
    )
    answer = run(capsys, "ui", str(folder / "nowhere"))
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: {folder / 'nowhere'}: no such folder; one with builds or searches is expected\n",
    )


@pytest.mark.parametrize(
    ("query", "wins", "why"),
    [
        ("", "block&lt;1&gt;, 96x96x3, int8: accuracy 0.781 (measured)", "the best of 2 within the budgets, of 2"),
        (
            "&latency=0.002",
            "block_2, 96x96x3, int8: accuracy 0.500 (probe)",
            "block&lt;1&gt;, 96x96x3, int8 would give 0.781, and is out: latency over 1 ms",
        ),
    ],
)
def test_a_budget_that_is_moved_says_what_wins_and_why(
    port: int, tmp_path: Path, query: str, wins: str, why: str
) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is here")
    child = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'user'}", "--dump-dom",
         f"http://127.0.0.1:{port}/walk?path=search%20%3C1%3E&device=board{query}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in child.stderr
    assert f'<p id="wins" aria-live="polite">{wins}</p>' in child.stdout
    assert f"<li>{why}</li>" in child.stdout
