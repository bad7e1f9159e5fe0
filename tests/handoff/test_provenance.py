"""The state of a recipe's folder in git, whatever the folder's own repository would have git run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecut.handoff.provenance import git_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")


def git(folder: Path, *words: str) -> str:
    run = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *words]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()


def made(folder: Path, attributes: str = "") -> str:
    """The commit of a new repository with a recipe."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    (folder / "recipe.toml").write_text("recipe")
    if attributes:
        (folder / ".gitattributes").write_text(attributes)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def touched(folder: Path) -> None:
    """Makes a file look changed, so that git reads it again."""
    os.utime(folder / "recipe.toml", (1, 1))


def by_clean_filter(folder: Path, program: str) -> None:
    made(folder, "* filter=evil\n")
    git(folder, "config", "filter.evil.clean", program)
    git(folder, "config", "filter.evil.required", "true")


def by_process_filter(folder: Path, program: str) -> None:
    made(folder, "* filter=evil\n")
    git(folder, "config", "filter.evil.process", program)


def by_fsmonitor(folder: Path, program: str) -> None:
    made(folder)
    git(folder, "config", "core.fsmonitor", program)


def by_hooks(folder: Path, program: str) -> None:
    made(folder)
    hooks = folder.parent / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\n{program}\n")
        (hooks / name).chmod(0o755)
    git(folder, "config", "core.hooksPath", str(hooks))


def by_included_filter(folder: Path, program: str) -> None:
    made(folder, "* filter=evil\n")
    (folder.parent / "more").write_text(f'[filter "evil"]\n\tclean = {program}\n')
    git(folder, "config", "include.path", str(folder.parent / "more"))


def by_config_of_a_worktree(folder: Path, program: str) -> None:
    made(folder, "* filter=evil\n")
    git(folder, "config", "extensions.worktreeConfig", "true")
    (folder / ".git" / "config.worktree").write_text(f'[filter "evil"]\n\tclean = {program}\n')


def by_attributes_beside_the_tree(folder: Path, program: str) -> None:
    made(folder)
    (folder / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    git(folder, "config", "filter.evil.clean", program)


def by_submodule(folder: Path, program: str) -> None:
    made(folder)
    made(folder / "sub", "* filter=evil\n")
    git(folder, "add", "sub")
    git(folder, "commit", "-q", "-m", "sub")
    git(folder / "sub", "config", "filter.evil.clean", program)
    touched(folder / "sub")


def by_promised_objects(folder: Path, program: str) -> None:
    """Objects that are missing, and a remote that is a program."""
    made(folder)
    shutil.rmtree(folder / ".git" / "objects")
    (folder / ".git" / "objects").mkdir()
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "extensions.partialClone", "evil")
    git(folder, "config", "remote.evil.url", f"ext::sh -c {program!r}")
    git(folder, "config", "remote.evil.promisor", "true")
    git(folder, "config", "protocol.ext.allow", "always")


def by_a_git_folder_elsewhere(folder: Path, program: str) -> None:
    by_clean_filter(folder, program)
    (folder / ".git").rename(folder.parent / "elsewhere")
    (folder / ".git").write_text(f"gitdir: {folder.parent / 'elsewhere'}\n")


def by_programs(folder: Path, program: str) -> None:
    made(folder, "* diff=evil merge=evil\n")
    names = ("core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy", "pager.status")
    more = ("core.alternateRefsCommand", "diff.external", "diff.evil.textconv", "diff.evil.command", "gpg.program")
    aliases = ("alias.status", "alias.rev-parse", "credential.helper")
    for name in (*names, *more, *aliases):
        git(folder, "config", name, f"!{program}" if name.startswith("alias") else program)


ATTACKS = [
    by_a_git_folder_elsewhere,
    by_attributes_beside_the_tree,
    by_clean_filter,
    by_config_of_a_worktree,
    by_fsmonitor,
    by_hooks,
    by_included_filter,
    by_process_filter,
    by_programs,
    by_submodule,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_repository_runs_nothing(attack: Callable[[Path, str], None], tmp_path: Path) -> None:
    folder, proof = tmp_path / "work", tmp_path / "ran"
    attack(folder, f"touch {proof}; cat")
    touched(folder)
    state = git_state(folder)
    assert not proof.exists()
    assert state == {"commit": git(folder, "rev-parse", "HEAD"), "dirty": False}


def test_nothing_is_fetched_and_what_is_not_there_is_not_said_to_be_equal(tmp_path: Path) -> None:
    folder, proof = tmp_path / "work", tmp_path / "ran"
    by_promised_objects(folder, f"touch {proof}")
    touched(folder)
    state = git_state(folder)
    assert not proof.exists()
    assert state == {"commit": git(folder, "rev-parse", "HEAD")}


def test_a_filter_of_the_users_own_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of large files, whose content differs from what is committed."""
    (tmp_path / "own").write_text('[filter "large"]\n\tclean = sed s/large/small/\n\tsmudge = sed s/small/large/\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "own"))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "weights").write_text("large")
    commit = made(folder, "weights filter=large\n")
    assert git(folder, "show", "HEAD:weights") == "small"
    touched(folder)
    assert git_state(folder) == {"commit": commit, "dirty": False}


def test_line_ends_and_ignored_names_of_the_repository_count(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "config", "core.autocrlf", "true")
    (folder / "recipe.toml").write_bytes(b"a\r\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x")
    (folder / ".git" / "info" / "exclude").write_text("scratch\n")
    (folder / "scratch").write_text("")
    touched(folder)
    assert git_state(folder) == {"commit": git(folder, "rev-parse", "HEAD"), "dirty": False}
    (folder / "new").write_text("")
    assert git_state(folder) == {"commit": git(folder, "rev-parse", "HEAD"), "dirty": True}
    assert git_state(folder, ignore=[folder / "new"]) == {"commit": git(folder, "rev-parse", "HEAD"), "dirty": False}


def test_a_worktree_and_a_folder_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = made(tmp_path / "work")
    git(tmp_path / "work", "worktree", "add", "-q", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))  # as where a hook of another repository runs edgecut
    (tmp_path / "other" / "inner").mkdir()
    assert git_state(tmp_path / "other" / "inner") == {"commit": commit, "dirty": False}
    (tmp_path / "other" / "inner" / "new").write_text("")
    assert git_state(tmp_path / "other" / "inner") == {"commit": commit, "dirty": True}
