"""Where a recipe came from: the state of its folder in git."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgecut.whole import scratch_folder

_TIMEOUT_S = 20
_LONGEST_EXCLUDES_BYTES = 1 << 20
# Settings of a repository that say how its files lie on this system, and name no program and no file.
_HARMLESS = frozenset(
    {"core.autocrlf", "core.eol", "core.filemode", "core.ignorecase", "core.precomposeunicode", "core.symlinks"}
    | {"extensions.objectformat"}
)
# What a caller's git has set for another repository, such as where edgecut is run by a hook.
_OF_ONE_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX"}
    | {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_EXTERNAL_DIFF"}
)
# No lock and no hook of a lock, no program that watches files, nothing fetched.
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "", "LC_ALL": "C"}
_UNWATCHED = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")


def git_state(folder: Path, ignore: Sequence[Path] = ()) -> dict[str, str | bool] | None:
    """{"commit": hash, "dirty": bool} of the folder's repository; None without git, a repository or a commit.

    dirty: something in the folder differs from the commit, untracked files included; left out where that can't be said
    without the repository's own configuration, which may name programs to run. ignore: paths that don't count, such as
    the output folder itself.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    places = ("--show-toplevel", "--git-dir", "--git-common-dir")
    said = _git(folder, "rev-parse", "--path-format=absolute", *places)
    if commit is None or said is None or said.count("\n") != len(places):
        return None
    commit, (top, own, shared) = commit.strip(), said.splitlines()
    inside = [path for path in (p.absolute() for p in ignore) if path.is_relative_to(folder.absolute())]
    skipped = [f":(exclude,literal){path.relative_to(folder.absolute()).as_posix()}" for path in inside]
    with scratch_folder(prefix="edgecut-git-") as scratch:
        environment = _apart(scratch, commit, Path(own), Path(shared))
        asked = ("status", "--porcelain", "--no-renames", "--ignore-submodules=dirty", "--", ".", *skipped)
        settings = [word for pair in _settings(folder) for word in ("-c", pair)]
        changes = _git(folder, *settings, *asked, environment={**environment, "GIT_WORK_TREE": top})
    return {"commit": commit} if changes is None else {"commit": commit, "dirty": bool(changes.strip())}


def _apart(scratch: Path, commit: str, own: Path, shared: Path) -> Mapping[str, str]:
    """The variables under which git reads a repository's index and objects, and another's configuration: none.

    own, shared: the repository's folder, and that of all its worktrees. A filter, an include or a submodule's
    configuration is thus never read; .gitattributes may name a filter, and git then knows only the user's own.
    """
    (scratch / "objects").mkdir()
    (scratch / "refs").mkdir()
    (scratch / "HEAD").write_text(f"{commit}\n")
    excludes = shared / "info" / "exclude"
    if excludes.is_file() and excludes.stat().st_size <= _LONGEST_EXCLUDES_BYTES:
        (scratch / "info").mkdir()
        shutil.copyfile(excludes, scratch / "info" / "exclude")
    return {
        "GIT_DIR": str(scratch),
        "GIT_INDEX_FILE": str(own / "index"),
        "GIT_OBJECT_DIRECTORY": str(shared / "objects"),
    }


def _settings(folder: Path) -> Iterator[str]:
    """The harmless settings of the repository itself, "name=value" each."""
    for entry in (_git(folder, "config", "--local", "--no-includes", "--list", "-z") or "").split("\0"):
        name, _, value = entry.partition("\n")
        if name.lower() in _HARMLESS:
            yield f"{name}={value}"


def _git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str | None:
    own = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *_UNWATCHED, *arguments],
            capture_output=True,
            env={**own, **_QUIET, **(environment or {})},
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
