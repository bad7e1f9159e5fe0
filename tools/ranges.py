"""Does edgecut work at both ends of its dependencies' ranges, and which package is it, if it doesn't?

    tools/ranges [--end lowest | --end newest] [tests] [pytest options]

For each end the versions are resolved anew from pyproject.toml, installed into a fresh environment, and a part of the
tests that touches every dependency runs there. An end that equals the lock isn't run, since tools/test runs it. Where
tests fail, the packages that differ from the lock are named, and each dependency of pyproject.toml among them is put
back alone, to see which of the failed tests then pass. The exit code is 1 if an end fails.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path

from tests.quick import needs_tensorflow

ROOT = Path(__file__).resolve().parent.parent
ENDS = {"lowest": "lowest-direct", "newest": "highest"}
TESTS = ("tests/export", "tests/compress/test_compress.py", "tests/pipeline/test_build.py")
"""Besides the tests without TensorFlow."""
_PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)")


def main() -> int:
    """Tests the ends that are asked for; 1 if one fails."""
    parser = argparse.ArgumentParser(description="the tests at both ends of the dependencies' ranges")
    parser.add_argument("--end", action="append", choices=tuple(ENDS), help="this end alone")
    parser.add_argument(
        "tests",
        nargs="*",
        default=[*quick_tests(), *TESTS],
        help="other tests than the quick ones; pytest's own options",
    )
    options, arguments = parser.parse_known_args()
    locked = {re.sub(r"[-_.]+", "-", dist.name).lower(): dist.version for dist in distributions()}
    passed = []
    for end in options.end or ENDS:
        with tempfile.TemporaryDirectory(prefix=f"edgecut-{end}-") as folder:
            passed.append(end_passes(end, locked, Path(folder), [*arguments, *options.tests]))
    return 0 if all(passed) else 1


def end_passes(end: str, locked: Mapping[str, str], folder: Path, tests: Sequence[str]) -> bool:
    """Whether the tests pass with the versions of one end, in an environment in `folder`; says so."""
    resolved = _resolve("--group", "build", "--resolution", ENDS[end])
    moved = {name: version for name, version in pins(resolved).items() if locked.get(name) != version}
    if not moved:
        print(f"{end}: equals the lock, which tools/test runs")
        return True
    named = ", ".join(f"{name} {version} (lock: {locked.get(name, 'none')})" for name, version in moved.items())
    print(f"{end}: {len(moved)} packages differ from the lock: {named}", flush=True)
    (folder / "pins.txt").write_text(resolved)
    _uv("venv", "-q", "--python", sys.executable, str(folder / "venv"))
    _install(folder, "-r", str(folder / "pins.txt"))
    _install(folder, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    failed = _failed(folder, tests)
    if not failed:
        print(f"{end}: passes")
        return True
    direct = sorted(set(pins(_resolve("--no-deps"))) & set(moved) & set(locked))
    for name in direct:
        _install(folder, "--no-deps", f"{name}=={locked[name]}")
        mended = sorted(failed - _failed(folder, sorted(failed)))
        if mended:
            print(f"{end}: {name} {moved[name]} fails, {name} {locked[name]} passes: {', '.join(mended)}", flush=True)
        _install(folder, "--no-deps", f"{name}=={moved[name]}")
    print(f"{end}: {len(failed)} tests fail; moved: {named}")
    return False


def quick_tests() -> list[str]:
    """The test files that don't say that they need TensorFlow."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [path.relative_to(ROOT).as_posix() for path in files if not needs_tensorflow(path)]


def pins(resolved: str) -> dict[str, str]:
    """The version of each package in a resolution."""
    matches = (_PIN.match(line) for line in resolved.splitlines())
    return {match[1]: match[2] for match in matches if match}


def _resolve(*arguments: str) -> str:
    compiled = ("pip", "compile", "-q", "--no-header", "--no-annotate", "--extra", "test", "--python", sys.executable)
    return _uv(*compiled, *arguments, str(ROOT / "pyproject.toml"))


def _install(folder: Path, *what: str) -> None:
    _uv("pip", "install", "-q", "--python", str(folder / "venv"), *what)


def _uv(*arguments: str) -> str:
    return subprocess.run([ROOT / "tools" / "uv", *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout


def _failed(folder: Path, tests: Sequence[str]) -> set[str]:
    """The tests that fail in the folder's environment; {"pytest"} where it ends otherwise than by failing tests."""
    cache = folder / "pytest"
    shutil.rmtree(cache, ignore_errors=True)
    command = [folder / "venv" / "bin" / "python", "-m", "pytest", "-o", f"cache_dir={cache}", *tests]
    if subprocess.run(command, cwd=ROOT, check=False).returncode == 0:
        return set()
    names = cache / "v" / "cache" / "lastfailed"
    return set(json.loads(names.read_text())) if names.is_file() else {"pytest"}


if __name__ == "__main__":
    sys.exit(main())
