"""Which addresses a URL may lead to that a person, a twin or a model named. Pure: text in, verdicts out, no sockets.

A URL is parsed once, here, and what leaves is built from the parts that were judged, so that no second parser can
read another host out of the same text. A name is judged twice: by itself, and by every address that it resolves to
(`egress.pinned`), which are then the ones that are connected to.

Refused are addresses that are not of the public internet (IANA's registries of special-purpose addresses), IPv6
addresses that carry such an IPv4 one, and the platforms' metadata addresses. The operator opens private ones with
`TWINSPEAK_EGRESS_ALLOW`.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import msgspec
from yarl import URL

from twinspeak.domain.errors import AddressNotAllowed, OperatorError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 2_048
"""Characters of a URL."""
WEB_PORTS = frozenset({80, 443, 8080, 8443})
"""Where pages are. Other ports are for callers that expect servers there."""

_SPECIAL_4 = [
    IPv4Network(one)
    for one in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_PUBLIC_6 = IPv6Network("2000::/3")
_SPECIAL_6 = [IPv6Network(one) for one in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")]
_NAT64 = IPv6Network("64:ff9b::/96")
_METADATA = frozenset(
    ip_address(one) for one in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254")
)
"""Where clouds hand out credentials: only an entry for exactly this address opens one of them."""
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_ANY_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAME = re.compile(r"(?:.*\.)?(?:localhost|localdomain|local|internal)")
_UNWANTED = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff]")

# What browsers refuse to ask (WHATWG Fetch, "port blocking"), less the ports below 1024, which are all refused, and
# what other databases and daemons listen on that act on a line of text.
_BAD_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 2375, 2376, 2379, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5984, 6000, 6379}
    | {6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9000, 9042, 9200, 9300, 10080, 11211, 27017}
)


class Target(msgspec.Struct, frozen=True):
    """A URL that passed. `host` is lower case, without a trailing dot; `address` is set where it is an address."""

    url: URL
    host: str
    port: int
    address: Address | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host, port: credentials never go from one origin to another."""
        return self.url.scheme, self.host, self.port


class _Entry(msgspec.Struct, frozen=True):
    """One word of the allow-list: a network or a name, and a port or any (0)."""

    network: Network | None
    name: str
    port: int

    def fits(self, host: str, address: Address | None, port: int) -> bool:
        if self.port not in (0, port):
            return False
        if self.network is None:
            return self.name == host and (address is None or address not in _METADATA)
        if address is None or address.version != self.network.version or address not in self.network:
            return False
        return address not in _METADATA or self.network.num_addresses == 1


class AllowList:
    """What the operator opened: `host`, `host:port`, `network`, `network:port`, IPv6 in brackets where a port follows.

    A name may then lead anywhere but to a metadata address. Raises OperatorError.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._entries = tuple(_entry(word) for word in words)

    def permits(self, host: str, address: Address | None, port: int) -> bool:
        """Tell whether an entry names this host, or the network of its address."""
        return any(entry.fits(host, address, port) for entry in self._entries)

    @property
    def networks(self) -> bool:
        """Whether there is an entry that only a resolved address can be compared with."""
        return any(entry.network is not None for entry in self._entries)


class Guard:
    """The rules of one purpose: schemes, ports, and what the operator opened.

    `ports` None means every port from 1024 on that no well-known service of another kind has, and 80 and 443.
    What the operator opened may be asked over http and on any port that the entry allows.
    """

    def __init__(
        self,
        allow: AllowList | None = None,
        *,
        schemes: Sequence[str] = ("https", "http"),
        ports: frozenset[int] | None = WEB_PORTS,
    ) -> None:
        self._allow = allow or AllowList()
        self._schemes = frozenset(schemes)
        self._ports = ports

    def parse(self, text: str) -> Target:
        """Judge a URL as far as that goes without asking for addresses. Raises AddressNotAllowed."""
        url, path = _read(text)
        host = (url.raw_host or "").removesuffix(".")
        address = _literal(host)
        port = url.port or 0
        opened = self._allow.permits(host, address and unwrapped(address), port)
        if url.scheme not in self._schemes and not (opened and url.scheme == "http"):
            raise AddressNotAllowed(_WORDS["scheme"].format(" or ".join(sorted(self._schemes))), details=_why("scheme"))
        if address is None and not (_NAME.fullmatch(host) and not _LOCAL_NAME.fullmatch(host)) and not opened:
            raise AddressNotAllowed(details=_why("host"))
        if not (opened or self._usual(port) or (address is None and self._allow.networks)):
            raise AddressNotAllowed(_WORDS["port"], details=_why("port"))
        if address is not None:
            self.judge(host, address, port)
        netloc = f"[{address}]" if isinstance(address, IPv6Address) else host
        safe = URL(f"{url.scheme}://{netloc}:{port}{path}", encoded=True)
        return Target(url=safe, host=str(address or host), port=port, address=address)

    def judge(self, host: str, address: Address, port: int) -> None:
        """Judge an address that `host` resolves to, or is. Raises AddressNotAllowed."""
        carried = unwrapped(address)
        if self._allow.permits(host, carried, port):
            return
        if not (is_public(address) and self._usual(port)):
            raise AddressNotAllowed(details=_why("host"))

    def judge_answer(self, host: str, answer: Iterable[str], port: int) -> list[Address]:
        """Judge what a name resolves to: one bad address spoils all. Raises AddressNotAllowed, also for no address."""
        found: list[Address] = []
        for text in answer:
            try:
                address = ip_address(text)
            except ValueError:
                raise AddressNotAllowed(details=_why("host")) from None
            self.judge(host, address, port)
            found.append(address)
        if not found:
            raise AddressNotAllowed(details=_why("host"))
        return list(dict.fromkeys(found))

    def _usual(self, port: int) -> bool:
        if self._ports is not None:
            return port in self._ports
        return port in (80, 443) or (port >= 1024 and port not in _BAD_PORTS)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet, whatever notation it hides in."""
    if address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    if address.scope_id is not None:
        return False
    carried = unwrapped(address)
    if carried is not address:
        return is_public(carried)
    return (
        address in _PUBLIC_6
        and not any(address in network for network in _SPECIAL_6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that a mapped or NAT64 one stands for, else the address itself.

    Other ways to carry one (compatible, 6to4, Teredo, ISATAP) have had their day: none of them is public.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


_WORDS = {
    "scheme": "This address must begin with {}.",
    "port": "This port may not be asked from this server.",
    "credentials": "This address must hold no user name or password.",
    "malformed": "This is no web address.",
}


def _why(reason: str) -> dict[str, str]:
    return {"reason": reason}


def _read(text: str) -> tuple[URL, str]:
    """Parse what can be parsed in one way only; return path and query apart, as written: some vendors sign them.

    Raises AddressNotAllowed.
    """
    malformed = AddressNotAllowed(_WORDS["malformed"], details=_why("malformed"))
    if not text or len(text) > MAX_URL or _UNWANTED.search(text):
        raise malformed
    try:
        split = urlsplit(text)
        url = URL(text)
        port = url.port
    except ValueError:
        raise malformed from None
    if "@" in split.netloc:
        raise AddressNotAllowed(_WORDS["credentials"], details=_why("credentials"))
    if not url.scheme or not url.raw_host or not port or "%" in split.netloc or split.netloc.endswith(":"):
        if url.scheme and url.scheme not in ("http", "https"):
            raise AddressNotAllowed(_WORDS["scheme"].format("http or https"), details=_why("scheme"))
        raise malformed
    written = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return url, written if text.isascii() else url.raw_path_qs


def _literal(host: str) -> Address | None:
    """Return the address that `host` is written as, None for a name. Raises AddressNotAllowed for odd spellings.

    A host whose last label is a number is an address to some resolvers (`127.1`, `0x7f000001`): four plain decimal
    numbers or nothing (WHATWG URL, "ends in a number").
    """
    try:
        return ip_address(host)
    except ValueError:
        pass
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise AddressNotAllowed(details=_why("host"))
    return None


def _entry(word: str) -> _Entry:
    wrong = OperatorError(f"TWINSPEAK_EGRESS_ALLOW holds {word!r}: write host, host:port, network or network:port.")
    host, port = word, ""
    if word.startswith("["):
        host, closed, rest = word[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise wrong
        port = rest[1:]
        if rest == ":":
            raise wrong
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if bool(port) != (1 <= number <= 65_535) or (not port and word.endswith(":")):
        raise wrong
    try:
        return _Entry(network=ip_network(host), name="", port=number)
    except ValueError:
        pass
    name = host.lower().rstrip(".")
    if not _ANY_NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise wrong
    return _Entry(network=None, name=name, port=number)
