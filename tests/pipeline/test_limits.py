"""What a device's memory allows is decided once: `inspect --cuts` and `build` say the same of the same arena."""

from __future__ import annotations

import pytest

from edgecut.bench.fits import arena_fits, arena_limit, has_arena
from edgecut.bench.judge import judge
from edgecut.records.document import parse
from edgecut.records.measurement import measured
from edgecut.records.profile import Profile
from edgecut.records.profile_files import known_profiles
from edgecut.records.recipe import make_recipe
from tests.reports import artifact

ARENAS = tuple(p for p in known_profiles()[0] if p.class_ == "microcontroller" and has_arena(p))
BANKED = [p for p in ARENAS if p.memory.banks]


def board(**memory: object) -> Profile:
    tables = {"id": "board", "title": "B", "class": "microcontroller", "runtime": {"name": "tflm"}, "memory": memory}
    return parse(Profile, tables, "test")


def states(profile: Profile, size: int) -> tuple[str, str]:
    """(what inspect says, what build says) of an estimated arena."""
    row = measured(
        "arena", "model.int8", [size], profile=profile.id, where=profile.id, kind="estimated", method="m", error=0.1
    )
    found = arena_fits([row], profile)
    assert found is not None
    recipe = make_recipe({"source": {"model": "m.keras"}}, {}, where="test")
    file = artifact("int8", 1).model_copy(update={"name": "model.int8"})
    checks = [check for check in judge(recipe, [profile], [file], [row]) if check.metric == "arena"]
    assert [check.limit for check in checks] == [arena_limit(profile)]
    return found.state, checks[0].state


@pytest.mark.parametrize("profile", ARENAS, ids=lambda profile: profile.id)
def test_inspect_and_build_agree_on_every_device(profile: Profile) -> None:
    limit = arena_limit(profile)
    if limit is None:
        return
    outside = profile.memory.external_ram_bytes or 0
    beyond = "unknown" if outside > 2 * limit else "misses"
    for size, state in ((limit // 2, "meets"), (limit, "unknown"), (2 * limit, beyond)):
        assert states(profile, size) == (state, state)
    assert states(profile, 4 * (limit + outside)) == ("misses", "misses")


def test_banked_devices_are_among_them() -> None:
    assert len(BANKED) > 10


@pytest.mark.parametrize("profile", BANKED, ids=lambda profile: profile.id)
def test_an_arena_may_take_no_more_than_one_piece(profile: Profile) -> None:
    memory = profile.memory
    limit = arena_limit(profile)
    assert limit is not None
    assert memory.ram_bytes is not None
    assert limit <= memory.ram_bytes
    assert limit < memory.ram_bytes or len(memory.banks) == 1 or memory.contiguous_bytes == memory.ram_bytes


@pytest.mark.parametrize(
    ("memory", "limit"),
    [
        ({"ram_bytes": 1000, "contiguous_bytes": 600, "banks": {"a": 400, "b": 200, "c": 400}}, 600),
        ({"ram_bytes": 1000, "banks": {"a": 400, "b": 200}}, 400),
        ({"banks": {"a": 400, "b": 200}}, 400),
        ({"ram_bytes": 1000}, 1000),
        ({"ram_bytes": 1000, "contiguous_bytes": 600, "reserved_ram_bytes": 100}, 500),
        ({}, None),
    ],
)
def test_the_largest_piece_is_what_one_buffer_may_have(memory: dict[str, object], limit: int | None) -> None:
    assert arena_limit(board(**memory)) == limit


@pytest.mark.parametrize(
    ("memory", "budget", "size", "state", "reason"),
    [
        ({"external_ram_bytes": 8000}, None, 3000, "unknown", "it is more than a piece of the chip's RAM, and the "
         "7.81 KiB outside the chip may hold it"),
        ({"external_ram_bytes": 8000}, None, 9000, "misses", ""),
        ({"external_ram_bytes": 8000}, 2000, 3000, "misses", ""),
        ({"external_ram_bytes": 8000}, None, 800, "meets", ""),
        ({}, None, 3000, "misses", ""),
    ],
)  # fmt: skip
def test_memory_outside_the_chip_leaves_open_what_the_chip_cannot_hold(
    memory: dict[str, object], budget: int | None, size: int, state: str, reason: str
) -> None:
    row = measured("arena", "m", [size], profile="board", where="board", method="by hand")
    found = arena_fits([row], board(ram_bytes=1000, **memory), budget)
    assert found is not None
    assert (found.state, found.reason) == (state, reason)


def test_a_file_may_lie_in_the_flash_outside_the_chip() -> None:
    recipe = make_recipe({"source": {"model": "m.keras"}}, {}, where="test")
    file = artifact("int8", 5000)
    for memory, limit in (({"flash_bytes": 4096}, 4096), ({"flash_bytes": 4096, "external_flash_bytes": 8192}, 8192)):
        (size,) = [c for c in judge(recipe, [board(**memory)], [file], []) if c.metric == "size"]
        assert (size.limit, size.state) == (limit, "meets" if limit > 5000 else "misses")
