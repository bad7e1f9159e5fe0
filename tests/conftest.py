"""What all the tests share."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.bell import bell
from tests.demo import demo
from tests.quick import HEAVY, NAMED, QUICK, needs_tensorflow
from tests.sensed import sounds
from tests.ssh_server import server, ssh

__all__ = ["bell", "demo", "server", "sounds", "ssh"]

# The same cases on every run and on a machine however busy; --hypothesis-profile=default looks for others.
settings.register_profile(
    "suite", derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("suite")


# What a shell starts in the background ignores SIGINT, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real models and images: EDGECUT_REAL, else real/ in the checkout; skipped without."""
    named = os.environ.get("EDGECUT_REAL")
    folder = Path(named) if named else Path(__file__).parents[1] / "real"
    if not folder.is_dir():
        pytest.skip(f"the real models and images are not here: {folder} (set EDGECUT_REAL)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the cache of whoever runs it."""
    os.environ["EDGECUT_CACHE"] = str(tmp_path_factory.mktemp("cache") / "session")


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test gets what another one kept."""
    monkeypatch.setenv("EDGECUT_CACHE", str(tmp_path_factory.getbasetemp() / "caches" / uuid.uuid4().hex))


@pytest.fixture(autouse=True)
def _no_heavy_import(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test of a file that isn't marked loads nothing heavy, so that the quick ones stay quick."""
    before = {name for name in HEAVY if name in sys.modules}
    yield
    if request.node.get_closest_marker(NAMED) is None:
        loaded = sorted(name for name in HEAVY if name in sys.modules and name not in before)
        assert not loaded, f"the test loaded {', '.join(loaded)}; its file says so: pytestmark = pytest.mark.{NAMED}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where one half alone is asked for, the other's files aren't even imported: the slow ones import TensorFlow."""
    asked = {NAMED: True, QUICK: False}.get(config.option.markexpr)
    if asked is not None and collection_path.match("test_*.py") and needs_tensorflow(collection_path) != asked:
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests without TensorFlow first, which tell soonest what most changes break."""
    items.sort(key=lambda item: item.get_closest_marker(NAMED) is not None)
