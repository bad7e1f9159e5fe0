"""Where a recipe came from: the state of its folder in git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_TIMEOUT_S = 20


def git_state(folder: Path, ignore: Sequence[Path] = ()) -> dict[str, str | bool] | None:
    """{"commit": hash, "dirty": bool} of the folder's repository; None without git, a repository or a commit.

    dirty: something in the folder differs from the commit, untracked files included. ignore: paths that don't
    count, such as the output folder itself.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    inside = [path for path in (p.absolute() for p in ignore) if path.is_relative_to(folder.absolute())]
    skipped = [f":(exclude,literal){path.relative_to(folder.absolute()).as_posix()}" for path in inside]
    changes = _git(folder, "status", "--porcelain", "--", ".", *skipped)
    return None if changes is None else {"commit": commit.strip(), "dirty": bool(changes.strip())}


def _git(folder: Path, *arguments: str) -> str | None:
    # A repository's configuration may name programs to run; core.fsmonitor is the one `status` would start.
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            env=environment,
            timeout=_TIMEOUT_S,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
