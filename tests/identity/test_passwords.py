"""Password hashes: right answers, bounded work, and no telling who has an account."""

import asyncio
import time
import unicodedata
from collections.abc import Iterator

import pytest

from twinspeak.domain.errors import Overloaded, ValidationFailed
from twinspeak.identity.passwords import MAX_BYTES, Cost, Passwords

CHEAP = Cost(passes=1, memory_kib=64, lanes=1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.close()


async def test_a_hash_matches_its_password_and_no_other(passwords: Passwords):
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct horse" not in stored
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "correct horse ")
    assert not await passwords.verify(stored, "")


async def test_two_hashes_of_one_password_differ(passwords: Passwords):
    assert await passwords.hash("same") != await passwords.hash("same")


async def test_nobody_has_no_password(passwords: Passwords):
    assert not await passwords.verify(None, "anything")
    assert not await passwords.verify(None, "")


async def test_checking_for_nobody_does_the_work_of_a_real_check():
    """Measured at a cost that dwarfs everything else; medians, since the machine is shared."""
    made = Passwords(Cost(passes=2, memory_kib=16_384, lanes=1))
    try:
        stored = await made.hash("a password")
        somebody: list[float] = []
        nobody: list[float] = []
        for _ in range(9):
            for stored_hash, times in ((stored, somebody), (None, nobody)):
                began = time.perf_counter()
                assert not await made.verify(stored_hash, "wrong")
                times.append(time.perf_counter() - began)
        assert 0.5 < sorted(nobody)[4] / sorted(somebody)[4] < 2
    finally:
        made.close()


async def test_the_same_letters_typed_on_another_keyboard_match(passwords: Passwords):
    stored = await passwords.hash(unicodedata.normalize("NFC", "crème brûlée"))
    assert await passwords.verify(stored, unicodedata.normalize("NFD", "crème brûlée"))


@pytest.mark.parametrize("password", ["x" * (MAX_BYTES + 1), "x" * 10_000_000, "é" * MAX_BYTES, "\ud800 half a pair"])
async def test_what_nobody_can_have_is_refused_before_any_work(passwords: Passwords, password: str):
    stored = await passwords.hash("real")
    began = time.perf_counter()
    assert not await passwords.verify(stored, password)
    with pytest.raises(ValidationFailed) as caught:
        await passwords.hash(password)
    with pytest.raises(ValidationFailed):
        passwords.hash_now(password)
    assert time.perf_counter() - began < 0.5
    assert caught.value.details["fields"][0]["field"] == "password"


async def test_the_longest_password_counts_to_its_last_byte(passwords: Passwords):
    stored = await passwords.hash("x" * MAX_BYTES)
    assert await passwords.verify(stored, "x" * MAX_BYTES)
    assert not await passwords.verify(stored, "x" * (MAX_BYTES - 1) + "y")


@pytest.mark.parametrize(
    "stored", ["", "not a hash", "$argon2id$v=19$m=64,t=1,p=1$AAAA", "$2b$12$abcdefghijklmnopqrstuv"]
)
async def test_a_damaged_hash_matches_nothing(passwords: Passwords, stored: str):
    assert not await passwords.verify(stored, "anything")


async def test_only_so_many_wait_and_the_places_come_back():
    made = Passwords(Cost(passes=1, memory_kib=32_768, lanes=1), workers=1, waiting=1)
    try:
        asked = [asyncio.ensure_future(made.verify(None, "x")) for _ in range(6)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(answer is False for answer in answers) == 2
        assert sum(isinstance(answer, Overloaded) for answer in answers) == 4
        assert not await made.verify(None, "x")
    finally:
        made.close()


async def test_who_goes_away_frees_the_place():
    made = Passwords(CHEAP, workers=1, waiting=0)
    try:
        for _ in range(5):
            asked = asyncio.ensure_future(made.verify(None, "x"))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await asyncio.to_thread(made._places.acquire, timeout=5)
            made._places.release()
        assert not await made.verify(None, "x")
    finally:
        made.close()


async def test_after_closing_it_is_busy():
    made = Passwords(CHEAP)
    made.close()
    with pytest.raises(Overloaded):
        await made.verify(None, "x")


async def test_the_event_loop_goes_on_meanwhile():
    made = Passwords(Cost(passes=4, memory_kib=32_768, lanes=1))
    try:
        working = asyncio.ensure_future(made.hash("x"))
        turns = 0
        while not working.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 20
    finally:
        made.close()


def test_an_old_cost_is_noticed():
    old, new = Passwords(CHEAP), Passwords(Cost(passes=2, memory_kib=64, lanes=1))
    stored = old.hash_now("x")
    assert not old.outdated(stored)
    assert new.outdated(stored)
