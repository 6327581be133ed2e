"""Being let in at AWS: a Bedrock API key, or a signature (SigV4) with the credential chain's keys, made by botocore.

Source: "Use an Amazon Bedrock API key" (docs.aws.amazon.com/bedrock), botocore's documented credential chain. Looking
for credentials reads files and may ask the machine's metadata service, so it is done in a thread.
"""

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec

from twinspeak.domain.errors import OperatorError, ProviderFailed
from twinspeak.providers.access import headers

_SERVICE = "bedrock"
_NOBODY = "This server has no AWS credentials that Bedrock would take. Its operator must act."
_ACCEPT = "application/vnd.amazon.eventstream, application/json"


class AwsAccess(msgspec.Struct, frozen=True):
    """What the environment says of AWS. `bearer` is a Bedrock API key. `chain`: something of the chain is set there."""

    region: str = ""
    endpoint: str = ""
    bearer: str = ""
    chain: bool = False

    @property
    def configured(self) -> bool:
        """True when Bedrock was meant: by an API key, by an address, or by credentials that can sign."""
        return bool(self.bearer or self.endpoint or (self.chain and self.signs))

    @property
    def signs(self) -> bool:
        """True when requests can be signed here."""
        return find_spec("botocore") is not None

    @property
    def base(self) -> str:
        """The runtime's address. Raises OperatorError where neither an address nor a region is known."""
        if self.endpoint:
            if not self.endpoint.startswith(("http://", "https://")):
                raise OperatorError("AWS_ENDPOINT_URL_BEDROCK_RUNTIME must be an http or https address.")
            return self.endpoint.rstrip("/")
        region = self.known_region
        return f"https://bedrock-runtime.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"

    @property
    def known_region(self) -> str:
        """The region: of the environment, else of the AWS profile. Raises OperatorError."""
        region = self.region
        if not region and self.signs:
            found: Any = _botocore("session").Session().get_config_variable("region")
            region = found if isinstance(found, str) else ""
        if not region:
            raise OperatorError("Bedrock is switched on, but its region is not known: set AWS_REGION.")
        return region


class BearerSigner:
    """Lets requests in with a Bedrock API key."""

    def __init__(self, key: str) -> None:
        self._headers = headers(_ACCEPT) | {"Authorization": f"Bearer {key}"}

    async def __call__(self, _url: str, _body: bytes, /) -> dict[str, str]:
        """Return the headers of any request."""
        return self._headers


class ChainSigner:
    """Signs requests. The chain is asked once; credentials that run out renew themselves."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._credentials: Any = None

    async def __call__(self, url: str, body: bytes, /) -> dict[str, str]:
        """Return the signed headers of a POST of `body` to `url`. Raises ProviderFailed without credentials."""
        return await asyncio.to_thread(self._signed, url, body)

    def _signed(self, url: str, body: bytes) -> dict[str, str]:
        auth, requests, failures = _botocore("auth"), _botocore("awsrequest"), _botocore("exceptions")
        try:
            if self._credentials is None:
                self._credentials = _botocore("session").Session().get_credentials()
            if self._credentials is None:
                raise ProviderFailed(_NOBODY, details={"provider": _SERVICE})
            frozen = self._credentials.get_frozen_credentials()
        except failures.BotoCoreError:
            raise ProviderFailed(_NOBODY, details={"provider": _SERVICE}) from None
        asked = requests.AWSRequest(method="POST", url=url, data=body, headers={"Content-Type": "application/json"})
        auth.SigV4Auth(frozen, _SERVICE, self._region).add_auth(asked)
        return headers(_ACCEPT) | dict(asked.headers.items())


def _botocore(module: str) -> Any:  # noqa: ANN401 - it has no types
    """Import a part of botocore where it is used: it takes a third of a second, and is not installed everywhere."""
    return import_module(f"botocore.{module}")
