"""Names that lead inside, or change between check and use, over real sockets."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.egress.sites import HERE, Site, fetching, moved, reason, serving
from twinspeak.domain.errors import AddressNotAllowed
from twinspeak.egress import pinned
from twinspeak.egress.fetch import Request

# -- answers of names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.2"],
        [HERE, "10.0.0.1"],
        ["10.0.0.1", HERE],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.2"],
        ["64:ff9b::7f00:2"],
        ["2002:7f00:1::"],
        ["fe80::1%lo"],
        ["0.0.0.1"],
        ["100.64.1.1"],
        ["nonsense"],
        [],
    ],
)
async def test_a_name_that_leads_inside_is_not_asked(site: Site, answer: list[str]) -> None:
    async with fetching(f"{HERE}:{site.port}", names={"evil.example.org": [answer]}) as (fetcher, _):
        assert await reason(fetcher, Request(f"http://evil.example.org:{site.port}/")) == "host"
    assert site.seen == []


async def test_an_unknown_name_is_answered_like_one_that_leads_inside(site: Site) -> None:
    async with fetching(f"{HERE}:{site.port}", names={"evil.example.org": [["10.0.0.1"]]}) as (fetcher, _):
        said: set[str] = set()
        for host in ("evil.example.org", "no-such.example.org"):
            with pytest.raises(AddressNotAllowed) as caught:
                async with fetcher.ask(Request(f"http://{host}/")):
                    pass
            said.add(f"{caught.value} {caught.value.details}")
        assert len(said) == 1


async def test_a_name_that_changes_after_the_check_changes_nothing(site: Site) -> None:
    """Asked once, connected to what was judged: the second answer would have been another machine."""
    async with serving() as other:
        answers = {"rebind.example.org": [[HERE], ["127.0.0.2"]]}
        words = (f"{HERE}:{site.port}", f"127.0.0.2:{other.port}")
        async with fetching(*words, names=answers) as (fetcher, names):
            async with fetcher.ask(Request(f"http://rebind.example.org:{site.port}/")) as answer:
                assert answer.status == 200
                await answer.read()
            assert names.asked == ["rebind.example.org"]
        assert len(site.seen) == 1
        assert other.seen == []


async def test_a_name_that_changes_between_hops_is_judged_again(site: Site) -> None:
    site.replies["/"] = {"status": 302, "headers": {"Location": "/secret", "Connection": "close"}}
    answers = {"rebind.example.org": [[HERE], ["169.254.169.254"]]}
    async with fetching(f"{HERE}:{site.port}", names=answers) as (fetcher, names):
        assert await reason(fetcher, Request(f"http://rebind.example.org:{site.port}/")) == "host"
        assert names.asked == ["rebind.example.org"] * 2
    assert [path for _, path, _, _ in site.seen] == ["/"]


async def test_names_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "_look_up", lambda host: ["8.8.8.8"])
    monkeypatch.setattr(pinned, "_WAITING_LOOKUPS", 1)
    names = pinned.SystemNames()
    try:
        first = asyncio.ensure_future(names.addresses("a.example.org"))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="too many"):
            await names.addresses("b.example.org")
        assert await first == ["8.8.8.8"]
        await asyncio.sleep(0)
        assert await names.addresses("c.example.org") == ["8.8.8.8"]
    finally:
        await names.close()


async def test_the_systems_names_know_this_machine() -> None:
    names = pinned.SystemNames()
    try:
        assert "127.0.0.1" in await names.addresses("localhost")
    finally:
        await names.close()


# -- TLS --------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> Path:
    """Write a key and a certificate for `name`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_tls_is_for_the_name_while_the_connection_is_to_the_address(tmp_path: Path) -> None:
    path = certificate(tmp_path, "secure.example.org")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(path)
    named: list[str | None] = []
    theirs.sni_callback = lambda _socket, name, _context: named.append(name)
    ours = ssl.create_default_context(cafile=str(path))
    names = {"secure.example.org": [[HERE]], "other.example.org": [[HERE]]}
    async with (
        serving(theirs) as site,
        fetching(f"{HERE}:{site.port}", names=names, tls=ours) as (fetcher, _),
    ):
        async with fetcher.ask(Request(f"https://secure.example.org:{site.port}/")) as answer:
            assert await answer.read() == b"hello"
        assert named == ["secure.example.org"]
        assert await reason(fetcher, Request(f"https://other.example.org:{site.port}/")) == "unreachable"
        site.replies["/down"] = moved(f"http://secure.example.org:{site.port}/plain")
        assert await reason(fetcher, Request(f"https://secure.example.org:{site.port}/down")) == "redirect"
