"""What an operator sets to be let in at a vendor: a key, an address, either."""

import msgspec
from yarl import URL

from twinspeak.domain.errors import OperatorError


class Site(msgspec.Struct, frozen=True):
    """A vendor's own address, and how its settings begin: `OPENAI` for `OPENAI_API_KEY` and `OPENAI_BASE_URL`."""

    url: str
    variable: str


class Access(msgspec.Struct, frozen=True):
    """The values of `<VENDOR>_API_KEY` and `<VENDOR>_BASE_URL`. Either is enough: local servers want no key."""

    api_key: str = ""
    base_url: str = ""

    @property
    def configured(self) -> bool:
        """True when the vendor, or a server that speaks as it does, can be asked."""
        return bool(self.api_key or self.base_url)

    def at_vendor(self, site: Site) -> bool:
        """True at the vendor itself, not at a server that calls itself compatible."""
        return self._base(site).host == URL(site.url).host

    def url(self, site: Site, path: str) -> str:
        """Return the address of `path` below the base; a query in the base (`?api-version=…`) stays.

        Raises OperatorError when the base is not an address that can be asked.
        """
        base, name = self._base(site), f"{site.variable}_BASE_URL"
        if base.scheme not in {"http", "https"} or not base.host:
            raise OperatorError(f"{name} must be an http or https address, such as {site.url}.")
        if base.user or base.password:
            raise OperatorError(f"{name} must hold no user name or password: set {site.variable}_API_KEY.")
        return str(base.with_path(f"{base.path.rstrip('/')}/{path}", keep_query=True))

    def _base(self, site: Site) -> URL:
        try:
            return URL(self.base_url or site.url)
        except ValueError:
            return URL()


def headers(accept: str = "text/event-stream, application/json") -> dict[str, str]:
    """Return what every request carries. An answer that streams is not to be compressed: that holds it back."""
    return {
        "Accept": accept,
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "twinspeak",
    }
