"""What routes need of the rest of the house, in one frozen value that `app` fills and `application.build` hands out.

The Protocols say no more than routes use, so a test stands in for a service with a few lines.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol, cast

from starlette.requests import HTTPConnection

from twinspeak.domain.caller import Caller
from twinspeak.domain.clock import monotonic
from twinspeak.domain.turn import Ask, TurnRecord, TurnState
from twinspeak.engine.log import TurnLog
from twinspeak.engine.registry import TurnRegistry
from twinspeak.engine.turn import Turn
from twinspeak.services.accounts import Accounts
from twinspeak.services.admin_histories import AdminHistories
from twinspeak.services.ai_models import AiModels
from twinspeak.services.api_keys import ApiKeys
from twinspeak.services.asking import Preview
from twinspeak.services.assistants import Assistants
from twinspeak.services.audit import AuditLog
from twinspeak.services.auth import Auth
from twinspeak.services.contexts import Contexts
from twinspeak.services.conversations import Conversations
from twinspeak.services.credits import Credits
from twinspeak.services.data_rights import DataRights
from twinspeak.services.histories import Histories
from twinspeak.services.joining import Joining
from twinspeak.services.launches import Launches
from twinspeak.services.mcp_access import McpAccess
from twinspeak.services.mcp_servers import McpServers
from twinspeak.services.members import Members
from twinspeak.services.memory import Memories
from twinspeak.services.moderation import Moderation
from twinspeak.services.own_account import OwnAccount
from twinspeak.services.people import People as Administered
from twinspeak.services.policy import Policy
from twinspeak.services.profiles import Profiles
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.services.signup import SignUp
from twinspeak.services.sso import Sso
from twinspeak.services.sso_providers import SsoProviders
from twinspeak.services.tool_records import ToolRecords
from twinspeak.services.transcripts import Transcripts
from twinspeak.services.twins import Twins
from twinspeak.services.two_steps import TwoSteps
from twinspeak.services.usage import Usage
from twinspeak.services.vault import Vaults
from twinspeak.services.vault_folders import Folders
from twinspeak.services.vault_reading import Passages
from twinspeak.services.vault_urls import Addresses
from twinspeak.telemetry.metrics import Metrics
from twinspeak.telemetry.watchdog import Watchdog
from twinspeak.transports.audience import Audience
from twinspeak.transports.http.proxies import TrustedProxies


class KeptKey(Protocol):
    """`persistence.repos.turn_keys.KeptTurn`."""

    @property
    def turn_id(self) -> str:
        """The turn."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of what was asked."""
        ...

    @property
    def state(self) -> TurnState:
        """Of the turn's row."""
        ...

    @property
    def openai_compat(self) -> bool:
        """Whether the turn's twin honours OpenAI's options now."""
        ...


class TurnRecords(Protocol):
    """`services.turn_store.TurnStore`, as far as reading goes."""

    async def record(self, caller: Caller, turn_id: str) -> TurnRecord:
        """Return a turn's record. Raises NotFound, also for somebody else's."""
        ...

    async def kept(self, caller: Caller, key: str) -> KeptKey | None:
        """Return the turn that the caller's idempotency key stands for."""
        ...


class Origins(Protocol):
    """The pages that may talk to some twin."""

    async def allowed(self) -> Collection[str]:
        """Return every active twin's authorized origins; `TWINSPEAK_CORS_ORIGINS` come on top of them."""
        ...

    async def framers(self, public_id: str) -> tuple[str, ...]:
        """Return the pages that may show a twin in a frame, as a policy names them."""
        ...


@dataclass(frozen=True, slots=True)
class Edge:
    """Settings that concern HTTP alone; the field names are those of `settings.Settings`."""

    body_max_bytes: int = 1_048_576
    question_max_bytes: int = 8_388_608
    body_timeout_s: float = 20
    upload_file_max_bytes: int = 150_000_000
    upload_max_bytes: int = 600_000_000
    upload_timeout_s: float = 1_800
    public_url: str = ""
    allow_token_in_url: bool = False
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    metrics_token: str = ""


TURNS = Rule("turns_user", 60)
"""Questions of one user; settings say how many really."""


class Streams(Protocol):
    """`socketio.hub.Hub`, as far as the REST face goes."""

    def bind(self, turn: Turn, socket_id: str, *, delta_only: bool, extended: bool) -> None:
        """Stream a turn to the socket named, or to whoever may have it instead."""
        ...

    def released(self, turn: Turn) -> bool:
        """The REST call is gone. Return whether the turn may go on without it."""
        ...

    def failed(self, turn: Turn) -> bool:
        """Whether a turn that was to be streamed reaches nobody: `streamingFailed`."""
        ...


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Streaming:
    """How answers are streamed; the field names are those of `settings.Settings`."""

    stream_coalesce_ms: int = 20
    stream_heartbeat_s: float = 15
    stream_write_timeout_s: float = 60


@dataclass(frozen=True, slots=True)
class People:
    """What concerns people: signing up, one's own account, memberships, and administering all that."""

    sign_up: SignUp
    own: OwnAccount
    joining: Joining
    members: Members
    admin: Administered
    keys: ApiKeys
    two_steps: TwoSteps
    launches: Launches
    contexts: Contexts
    data: DataRights


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that routes call.

    `database` tells whether the database answers a query, `replay` makes a log of a record again, `preview` tells what
    would become of a question, `stopping` whether the server takes no more turns, `started` is when it began
    (monotonic), `turn_rule` is the limit of turns a user. `proxies` follows from `edge`.
    """

    auth: Auth
    policy: Policy
    people: People
    twins: Twins
    accounts: Accounts
    credits: Credits
    usage: Usage
    admin_histories: AdminHistories
    audit: AuditLog
    sso: Sso
    sso_providers: SsoProviders
    profiles: Profiles
    histories: Histories
    moderation: Moderation
    transcripts: Transcripts
    memories: Memories
    vaults: Vaults
    passages: Passages
    folders: Folders
    addresses: Addresses
    conversations: Conversations
    assistants: Assistants
    limits: RateLimits
    turns: TurnRegistry
    records: TurnRecords
    models: AiModels
    origins: Origins
    tools: ToolRecords
    mcp_servers: McpServers
    mcp: McpAccess
    metrics: Metrics
    watchdog: Watchdog
    database: Callable[[], Awaitable[bool]]
    streams: Streams
    audience: Audience
    replay: Callable[[TurnRecord], TurnLog]
    preview: Callable[[Ask], Awaitable[Preview]]
    stopping: Callable[[], bool] = _never
    edge: Edge = Edge()
    streaming: Streaming = Streaming()
    turn_rule: Rule = TURNS
    started: float = field(default_factory=monotonic)
    proxies: TrustedProxies = field(init=False)

    def __post_init__(self) -> None:
        """Read the proxies once. Raises OperatorError when the setting makes no sense."""
        object.__setattr__(self, "proxies", TrustedProxies(self.edge.trusted_proxies))


def services_of(request: HTTPConnection) -> Services:
    """Return the services of the application that a request came to."""
    return cast("Services", request.app.state.services)
