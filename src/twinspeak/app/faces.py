"""Wiring of the transports: what routes and sockets need, made of the engine and the services."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from twinspeak.app.ingesting import Keeper, quotas_of
from twinspeak.app.mcp import guard_of
from twinspeak.app.models import model_guard
from twinspeak.app.offline import Ground
from twinspeak.app.tools import Tools
from twinspeak.app.writing import ModelWriter
from twinspeak.egress.fetch import Fetcher
from twinspeak.egress.mail import Mailer
from twinspeak.engine.registry import TurnRegistry
from twinspeak.engine.replay import log_of
from twinspeak.identity.oidc import OidcClient
from twinspeak.knowledge.embedding import Embedders
from twinspeak.knowledge.retrieve import VaultRetriever
from twinspeak.persistence.files import LocalFiles
from twinspeak.providers.own import Served
from twinspeak.services.accounts import Accounts
from twinspeak.services.admin_histories import AdminHistories
from twinspeak.services.ai_models import AiModels
from twinspeak.services.api_keys import ApiKeys
from twinspeak.services.asking import Resolver
from twinspeak.services.assistants import Assistants
from twinspeak.services.audit import AuditLog
from twinspeak.services.auth import Auth
from twinspeak.services.codes import Codes
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
from twinspeak.services.origins import Origins
from twinspeak.services.own_account import OwnAccount
from twinspeak.services.people import People as Administered
from twinspeak.services.policy import Policy
from twinspeak.services.profiles import Profiles
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.services.second_factors import SecondFactors
from twinspeak.services.signup import SignUp
from twinspeak.services.sso import Sso
from twinspeak.services.sso_providers import SsoProviders
from twinspeak.services.transcripts import Transcripts
from twinspeak.services.turn_store import TurnStore
from twinspeak.services.twins import Twins
from twinspeak.services.two_steps import TwoSteps
from twinspeak.services.usage import Usage
from twinspeak.services.vault import Vaults
from twinspeak.services.vault_folders import Folders
from twinspeak.services.vault_reading import Passages
from twinspeak.services.vault_urls import Addresses
from twinspeak.settings import Settings
from twinspeak.telemetry.metrics import Metrics
from twinspeak.telemetry.watchdog import Watchdog
from twinspeak.transports.audience import Audience
from twinspeak.transports.http import application
from twinspeak.transports.http.cors import AllowedOrigins
from twinspeak.transports.http.routes import router
from twinspeak.transports.mcp_server import routes as mcp_face
from twinspeak.transports.openai import routes as openai_face
from twinspeak.transports.rest import qanda
from twinspeak.transports.rest.vault_reading import SEARCH_RULE
from twinspeak.transports.services import Edge, People, Services, Streaming
from twinspeak.transports.socketio.asgi import SocketFace, SocketLimits
from twinspeak.transports.socketio.events import Events
from twinspeak.transports.socketio.greeting import Greeter, may_receive
from twinspeak.transports.socketio.hub import Hub, HubLimits
from twinspeak.transports.socketio.wire.connection import ConnectionLimits
from twinspeak.transports.socketio.wire.engine import EngineLimits
from twinspeak.transports.sse import routes as sse_face
from twinspeak.web import bundle, pages

_REPLAYED_TOOL_CHARS = 4_000
"""Where a turn is replayed from its record, tool results are cut here; records do not keep the twin's setting."""


@dataclass(frozen=True, slots=True)
class Signing:
    """Who somebody is, and what is kept of people."""

    auth: Auth
    codes: Codes
    second: SecondFactors
    data: DataRights


@dataclass(frozen=True, slots=True)
class Core:
    """What the faces stand on."""

    ground: Ground
    signing: Signing
    limits: RateLimits
    turns: TurnRegistry
    store: TurnStore
    resolver: Resolver
    models: Served
    tools: Tools
    moderation: Moderation
    metrics: Metrics
    watchdog: Watchdog
    mailer: Mailer
    fetcher: Fetcher
    files: LocalFiles
    keeper: Keeper
    retriever: VaultRetriever
    embedders: Embedders


@dataclass(frozen=True, slots=True)
class Faces:
    """The ASGI application, and the sockets it serves."""

    asgi: ASGIApp
    hub: Hub
    vaults: Vaults
    close_sockets: Callable[[str], Awaitable[None]]


def build(settings: Settings, core: Core) -> Faces:
    """Wire REST, SSE, chat completions and Socket.IO onto `core`."""
    audience = Audience(abandoned_s=settings.turn_abandoned_s)
    hub = Hub(
        audience,
        may_receive(settings.cors_origins),
        core.turns.find,
        HubLimits(
            keep_s=settings.turn_log_keep_s,
            coalesce_ms=settings.stream_coalesce_ms,
            sockets_per_user=settings.sockets_per_user,
            probe_s=settings.socket_probe_s,
            confirm_s=settings.socket_ping_timeout_s,
        ),
    )
    core.signing.auth.revocations.tell(hub.revoke, hub.leave_twin)
    events = Events(hub, core.signing.auth.hold)

    services = _services(settings, core, hub, audience)
    allowed = AllowedOrigins(settings.cors_origins, services.origins.allowed)
    sockets = SocketFace(events, Greeter(allowed), _socket_limits(settings))
    page = pages.mount(router("The chat page", public=True), bundle.load(), services.origins.framers)
    routers = (qanda.ROUTER, sse_face.ROUTER, openai_face.ROUTER, mcp_face.ROUTER, page)
    asgi = application.build(services, routers, allowed=allowed, sockets=sockets)
    return Faces(asgi=asgi, hub=hub, vaults=services.vaults, close_sockets=sockets.close_all)


def _services(settings: Settings, core: Core, hub: Hub, audience: Audience) -> Services:
    db, oidc = core.ground.db, OidcClient(core.fetcher)
    vaults = Vaults(db, core.files, quotas_of(settings), core.keeper.nudge)
    twins = Twins(db, core.models, core.signing.auth.revocations)
    return Services(
        auth=core.signing.auth,
        policy=Policy(db),
        people=_people(settings, core, twins),
        twins=twins,
        accounts=Accounts(db),
        credits=Credits(db),
        usage=Usage(db),
        admin_histories=AdminHistories(db, core.models, ModelWriter(core.models)),
        audit=AuditLog(db),
        sso=Sso(db, core.signing.auth, oidc, core.ground.secrets, public_url=public_url_of(settings)),
        sso_providers=SsoProviders(db, oidc, core.ground.secrets),
        profiles=Profiles(db),
        histories=Histories(db),
        moderation=core.moderation,
        transcripts=Transcripts(db),
        memories=Memories(db),
        passages=Passages(db, core.retriever, core.embedders),
        vaults=vaults,
        folders=Folders(db, vaults),
        addresses=Addresses(db, vaults, core.files, core.fetcher, core.keeper.nudge),
        conversations=Conversations(db),
        assistants=Assistants(db, core.models),
        limits=core.limits,
        turns=core.turns,
        records=core.store,
        models=AiModels(db, core.ground.secrets, core.models, model_guard(settings), core.limits),
        origins=Origins(db),
        tools=core.tools.records,
        mcp_servers=McpServers(db, core.ground.secrets, core.tools.mcp, guard_of(settings), core.limits),
        mcp=McpAccess(db, core.retriever, core.limits, SEARCH_RULE),
        metrics=core.metrics,
        watchdog=core.watchdog,
        database=db.ping,
        streams=hub,
        audience=audience,
        replay=lambda record: log_of(record, core.tools.runner, tool_results_max_chars=_REPLAYED_TOOL_CHARS),
        preview=core.resolver.preview,
        stopping=lambda: core.turns.stopping,
        edge=_edge(settings),
        streaming=Streaming(
            stream_coalesce_ms=settings.stream_coalesce_ms,
            stream_heartbeat_s=settings.stream_heartbeat_s,
            stream_write_timeout_s=settings.stream_write_timeout_s,
        ),
        turn_rule=Rule("turns_user", settings.turns_per_minute_user),
    )


def _people(settings: Settings, core: Core, twins: Twins) -> People:
    db, passwords = core.ground.db, core.ground.passwords
    codes = core.signing.codes
    sign_up = SignUp(db, core.signing.auth, passwords, codes, core.mailer, is_open=settings.sign_up == "open")
    members = Members(db, core.signing.auth.revocations)
    public_url = public_url_of(settings)
    return People(
        sign_up=sign_up,
        own=OwnAccount(db, core.signing.auth, passwords, codes, core.mailer),
        joining=Joining(db, codes, core.mailer, core.signing.auth.revocations, public_url=public_url),
        members=members,
        admin=Administered(db, core.signing.auth, members, codes, core.mailer),
        keys=ApiKeys(db, core.signing.auth),
        two_steps=TwoSteps(db, core.signing.auth, core.signing.second, passwords, core.mailer),
        launches=Launches(db, core.signing.auth, core.ground.secrets, secret=core.ground.jwt_secret),
        contexts=Contexts(db, twins),
        data=core.signing.data,
    )


def public_url_of(settings: Settings) -> str:
    """Return where links in mails lead."""
    return settings.public_url or f"http://{settings.host}:{settings.port}"


def _socket_limits(settings: Settings) -> SocketLimits:
    return SocketLimits(
        engine=EngineLimits(
            ping_interval_s=settings.socket_ping_interval_s,
            ping_timeout_s=settings.socket_ping_timeout_s,
            max_payload=settings.socket_max_payload_bytes,
        ),
        connection=ConnectionLimits(
            connect_s=settings.socket_ping_timeout_s, max_attachment_bytes=settings.socket_max_payload_bytes
        ),
        max_links=settings.max_sockets,
        links_per_address=settings.sockets_per_address,
        write_timeout_s=settings.stream_write_timeout_s,
        post_timeout_s=settings.body_timeout_s,
    )


def _edge(settings: Settings) -> Edge:
    return Edge(
        body_max_bytes=settings.body_max_bytes,
        question_max_bytes=settings.question_max_bytes,
        body_timeout_s=settings.body_timeout_s,
        upload_file_max_bytes=settings.upload_file_max_bytes,
        upload_max_bytes=settings.upload_max_bytes,
        upload_timeout_s=settings.upload_timeout_s,
        public_url=settings.public_url,
        allow_token_in_url=settings.allow_token_in_url,
        trusted_proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
        metrics_token=settings.metrics_token.get_secret_value() if settings.metrics_token else "",
    )
