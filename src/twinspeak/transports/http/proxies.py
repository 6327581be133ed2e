"""Which client a chain of proxies speaks for: `X-Forwarded-For`, read only behind `TWINSPEAK_TRUSTED_PROXIES`."""

import ipaddress
from collections.abc import Iterable

from twinspeak.domain.errors import OperatorError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN = "unknown"
"""Of a peer without an address: a Unix socket."""


class TrustedProxies:
    """The proxies whose word about addresses is taken."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """`networks` are addresses or CIDR blocks. Raises OperatorError for anything else."""
        try:
            self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in networks)
        except ValueError as error:
            raise OperatorError(
                f"TWINSPEAK_TRUSTED_PROXIES: {error}; write addresses or blocks like 10.0.0.0/8."
            ) from None

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """Return the client's address, given the peer's and the `X-Forwarded-For` lines in order.

        The list is walked from its end, where our own proxies write; the first address that is not a trusted one is the
        client. What stands before it was written by the client and proves nothing.
        """
        current = parse_address(peer)
        if current is None:
            return peer or UNKNOWN
        hops = [hop for line in forwarded for hop in line.split(",")]
        while hops and self._trusts(current):
            before = parse_address(hops.pop())
            if before is None:
                break
            current = before
        return str(current)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def parse_address(text: str) -> Address | None:
    """Read an address as proxies write it: bare, in brackets, with a port; IPv4 inside IPv6 becomes IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
