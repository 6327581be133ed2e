"""How much comes in: a file, a body, a person's vault; what is too much leaves everything as it was."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.vault.house import House, house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("database")]

LIMITS = {
    "upload_file_max_bytes": 5_000,
    "upload_max_bytes": 20_000,
    "vault_user_bytes": 6_000,
    "vault_user_files": 3,
    "vault_twin_bytes": 4_000,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory, database: str) -> AsyncGenerator[House]:
    async with house(tmp_path_factory.mktemp("vault-limits"), **LIMITS) as made:
        yield made


def left_over(here: House) -> list[str]:
    """Return what lies in the staging place."""
    return [one.name for one in (here.server.settings.data_dir / "vault" / ".staging").glob("*")]


async def test_a_file_that_is_too_large_keeps_no_other_out(small: House) -> None:
    files = [("huge.txt", b"x" * 5_001), ("just.txt", b"y" * 5_000)]
    status, body = await small.send("nobody", files)
    huge, just = body["files"]
    assert (status, huge["success"], huge["code"]) == (200, False, "payload_too_large")
    assert just["success"]
    assert await small.listed("nobody") == ["just.txt"]
    assert left_over(small) == []


async def test_a_body_that_is_too_large_is_not_taken(small: House) -> None:
    files = [(f"{number}.txt", bytes([97 + number]) * 4_500) for number in range(5)]
    status, body = await small.send("other", files)
    assert (status, body["error"]["code"]) == (413, "payload_too_large")
    assert await small.listed("other", vault="personal") == []
    assert left_over(small) == []


async def test_a_vault_that_is_full_takes_no_more(small: House) -> None:
    _, body = await small.send("member", [("a.txt", b"a" * 4_000), ("b.txt", b"b" * 2_001), ("c.txt", b"c" * 2_000)])
    assert [one["code"] for one in body["files"]] == [None, "vault_full", None]
    assert await small.listed("member", vault="personal") == ["a.txt", "c.txt"]
    for number in range(2):
        _, body = await small.send("bare", [(f"{number}.txt", b"d" * (100 + number))])
        assert body["files"][0]["success"]
    _, body = await small.send("bare", [("3.txt", b"e"), ("4.txt", b"f")])
    assert [one["code"] for one in body["files"]] == [None, "vault_full"]
    oak = {"institution": small.org.ids["oak"]}
    _, body = await small.send("admin", [("big.txt", b"g" * 4_001), ("fits.txt", b"h" * 4_000)], **oak)
    assert [one["code"] for one in body["files"]] == ["vault_full", None]
