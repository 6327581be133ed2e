"""Codes of authenticator apps, by the vectors of RFC 6238 and around the edges of a step."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from twinspeak.identity.totp import Totp, code_at

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_the_vectors_of_the_standard(at_s: int, code: str) -> None:
    assert code_at(SECRET, at_s // 30) == code
    assert Totp().step(SECRET, code, at_s * 1000) == at_s // 30


def test_a_clock_may_be_off_by_a_step_and_no_more() -> None:
    code = code_at(SECRET, 1_000)
    seen = [Totp().step(SECRET, code, step * 30_000) for step in (998, 999, 1_000, 1_001, 1_002)]
    assert seen == [None, 1_000, 1_000, 1_000, None]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "28708２", "abcdef", "28 7082"])
def test_what_is_no_code_is_none(code: str) -> None:
    assert Totp().step(SECRET, code, 59_000) is None


def test_secrets_are_new_and_addresses_name_server_and_account() -> None:
    totp = Totp()
    secret = totp.new_secret()
    assert secret != totp.new_secret()
    assert len(base64.b32decode(secret)) == 20
    address = urlsplit(totp.address(secret, "ada@example.org"))
    assert (address.scheme, address.netloc, address.path) == ("otpauth", "totp", "/Twinspeak:ada@example.org")
    assert parse_qs(address.query) == {"secret": [secret], "issuer": ["Twinspeak"]}
