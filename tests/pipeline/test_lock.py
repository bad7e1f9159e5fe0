"""recipe.lock.toml holds the request and its devices; a profile that hides a shipped one, or can't be, is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import RequestError
from edgecut.pipeline.lock import changed_tables, check_lock, lock_of
from edgecut.records.lock import lock_text
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.recipe import make_recipe
from tests.command_line import run

INT8 = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"
TEXT = 'id = "nucleo-l4r5zi"\ntitle = "mine"\nclass = "microcontroller"\nextends = "nucleo-l4r5zi"\n'


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a profile in ./profiles with a shipped id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "profiles").mkdir()
    path = Path("profiles") / "nucleo-l4r5zi.toml"
    path.write_text(TEXT)
    return path


def test_a_lock_names_the_profile_and_the_table_of_the_recipe_that_changed(own: Path, tmp_path: Path) -> None:
    recipe = make_recipe({}, {"name": "m", "source.model": "m.keras"}, where="here")
    other = make_recipe({}, {"name": "m", "source.model": "m.keras", "cut.to": "a"}, where="here")
    lock = lock_of({}, recipe, [find_profile("nucleo-l4r5zi")])
    path = tmp_path / "recipe.lock.toml"
    path.write_text(lock_text(lock))
    check_lock(path, lock)
    own.write_text(TEXT + "[cpu]\nclock_hz = 80_000_000\n")
    now = lock_of({}, other, [find_profile("nucleo-l4r5zi")])
    with pytest.raises(RequestError) as error:
        check_lock(path, now)
    cut, device = (
        (now.recipe["cut"][:12], lock.recipe["cut"][:12]),
        (now.profiles["nucleo-l4r5zi"][:12], lock.profiles["nucleo-l4r5zi"][:12]),
    )
    assert str(error.value) == (
        f"{path}: recipe cut is SHA-256 {cut[0]}, and SHA-256 {cut[1]} is locked; profile nucleo-l4r5zi is SHA-256 "
        f"{device[0]}, and SHA-256 {device[1]} is locked; restore that, or build without --locked to lock it anew"
    )


def test_a_lock_tells_states_of_the_code_of_one_version_apart(tmp_path: Path) -> None:
    recipe = make_recipe({}, {"name": "m", "source.model": "m.keras"}, where="here")
    lock = lock_of({}, recipe, [])
    path = tmp_path / "recipe.lock.toml"
    path.write_text(lock_text(lock.model_copy(update={"code": "0" * 64})))
    with pytest.raises(RequestError) as error:
        check_lock(path, lock)
    assert str(error.value) == (
        f"{path}: edgecut's code is SHA-256 {lock.code[:12]}, and SHA-256 000000000000 is locked; restore that, or "
        "build without --locked to lock it anew"
    )
    path.write_text(lock_text(lock.model_copy(update={"code": ""})))  # of an earlier edgecut
    check_lock(path, lock)


def test_flags_that_a_lock_doesnt_have_are_left_out_or_locked(tmp_path: Path) -> None:
    recipe = make_recipe({}, {"name": "m", "source.model": "m.keras"}, where="here")
    other = make_recipe({}, {"name": "m", "source.model": "m.keras", "cut.to": "a"}, where="here")
    lock, now = lock_of({}, recipe, []), lock_of({}, other, [])
    path = tmp_path / "recipe.lock.toml"
    assert changed_tables(path, now) == ()
    path.write_text(lock_text(lock))
    assert (changed_tables(path, now), changed_tables(path, lock)) == (("cut",), ())
    with pytest.raises(RequestError) as error:
        check_lock(path, now, by_flags=True)
    assert str(error.value).endswith(
        f"is locked; restore that, or leave the flags out, or remove {path} and build without --locked to lock them"
    )


def test_a_profile_that_hides_a_shipped_one_is_told_with_its_place(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own.parent / "board.toml").write_text(TEXT.replace('id = "nucleo-l4r5zi"', 'id = "board"'))
    sentence = (
        "profile nucleo-l4r5zi: is profiles/nucleo-l4r5zi.toml, which has other values than the shipped "
        "profile of that id"
    )
    assert shadow_notes([find_profile("nucleo-l4r5zi")]) == (sentence,)
    assert shadow_notes([find_profile("board")]) == (
        "profile board: extends nucleo-l4r5zi, and profiles/nucleo-l4r5zi.toml hides the shipped one of that id",
    )
    assert shadow_notes([find_profile("esp32-s3")]) == ()
    answer = run(capsys, "inspect", str(INT8), "--profile", "nucleo-l4r5zi")
    assert (answer.code, f"edgecut: {sentence}\n" in answer.err) == (0, True)


@pytest.mark.parametrize("words", [["bench"], ["inspect"], ["new", "-o", "r.toml"], ["plan"], ["build", "-o", "out"]])
def test_every_command_refuses_a_profile_that_profile_check_refuses(
    own: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    own.write_text(TEXT + "[cpu]\nclock_hz = 120\n")
    check = run(capsys, "profile", "check", str(own))
    source = str(INT8) if words[0] in {"bench", "inspect"} else "keras:MobileNetV2?weights=None"
    answer = run(capsys, words[0], source, *words[1:], "--profile", "nucleo-l4r5zi")
    assert (answer.code, answer.err) == (2, check.err)
    assert "cpu.clock_hz: 120 Hz is outside 1_000_000 to 2_000_000_000" in answer.err


def test_shipped_profiles_hide_nothing() -> None:
    device: Profile = find_profile("nucleo-l4r5zi")
    assert shadow_notes([device]) == ()
