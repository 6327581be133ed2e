"""Wiring: `running` opens what a server needs, hands each room its ports, and closes everything again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp

from twinspeak.app.embedding import open_embedders
from twinspeak.app.faces import Core, Faces, Signing, build, public_url_of
from twinspeak.app.ingesting import Keeper, files_of
from twinspeak.app.mcp import ways_of
from twinspeak.app.models import keys_of, open_models
from twinspeak.app.offline import Ground
from twinspeak.app.tools import WaysOut, tools_of
from twinspeak.app.writing import Afterwards, ModelWriter
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CodedError, OperatorError
from twinspeak.domain.ids import new_id
from twinspeak.egress.client import TrustedClient
from twinspeak.egress.fetch import Fetcher
from twinspeak.egress.guard import AllowList, Guard
from twinspeak.egress.mail import Mailer, Outbox, Smtp
from twinspeak.engine.limits import TurnLimits
from twinspeak.engine.ports import TurnPorts
from twinspeak.engine.registry import TurnRegistry
from twinspeak.engine.tasks import Supervisor
from twinspeak.identity.tokens import Tokens
from twinspeak.identity.totp import Totp
from twinspeak.knowledge.retrieve import VaultRetriever
from twinspeak.providers.moderation import OpenAIJudge
from twinspeak.providers.own import Served
from twinspeak.providers.vendors import moderation_endpoint
from twinspeak.services.asking import Resolver
from twinspeak.services.auth import Auth
from twinspeak.services.budgets import Budgets
from twinspeak.services.codes import Codes
from twinspeak.services.data_rights import DataRights
from twinspeak.services.erasure import Erasure
from twinspeak.services.moderation import Moderation
from twinspeak.services.rate_limits import RateLimits, Rule
from twinspeak.services.remembering import Summaries
from twinspeak.services.second_factors import SecondFactors
from twinspeak.services.titles import Titles
from twinspeak.services.turn_store import TurnStore
from twinspeak.services.vault import Vaults
from twinspeak.settings import Settings
from twinspeak.telemetry.metrics import Metrics
from twinspeak.telemetry.turns import TurnTelemetry
from twinspeak.telemetry.watchdog import Watchdog

_LONGEST_FAREWELL_S = 3.0
_SWEEP_S = 3_600.0
_COUNT_S = 20.0

Chores = Sequence[Callable[[], Awaitable[int]]]
"""What is done now and then, beside the settling of turns."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server without its socket."""

    asgi: ASGIApp
    turns: TurnRegistry
    models: Served
    metrics: Metrics
    drain: Callable[[], "asyncio.Task[None]"]


@asynccontextmanager
async def running(settings: Settings, ground: Ground) -> AsyncGenerator[Running]:
    """Open everything on `ground` inside the running loop; on leaving, save running turns and close.

    Raises OperatorError when a setting cannot work.
    """
    async with AsyncExitStack() as stack:
        client, fetcher = _ways_out(settings, stack)
        metrics, watchdog, background = Metrics(), Watchdog(), Supervisor("background")
        models = open_models(stack, client, settings, ground, metrics)
        store = TurnStore(ground.db, lease_s=settings.turn_lease_s, owner=new_id())
        limits = RateLimits()
        mailer = _mailer(settings)
        signing = _signing(settings, ground, mailer)
        auth, data = signing.auth, signing.data
        resolver = _resolver(settings, ground, models, limits)
        embedders = await stack.enter_async_context(open_embedders(settings, ground.db, ground.secrets))
        retriever = VaultRetriever(ground.db, embedders=embedders)
        tools = await tools_of(settings, ground, retriever, WaysOut(client, fetcher, ways_of(settings, ground, stack)))
        moderation, writer = Moderation(ground.db, _judge(settings, client)), ModelWriter(models)
        ports = TurnPorts(
            resolver=resolver,
            store=store,
            moderator=moderation,
            retriever=retriever,
            tools=tools.runner,
            models=models,
            observer=TurnTelemetry(metrics),
            summarizer=Afterwards(Titles(ground.db, models, writer), Summaries(ground.db, models, writer)),
        )
        turns = tools.asker.turns = TurnRegistry(ports, _limits(settings), keep_s=settings.turn_log_keep_s)
        auth.revocations.tell(turns.revoke, turns.leave)
        keeper = Keeper(settings, ground.db)
        # fmt: off
        core = Core(
            ground=ground, signing=signing, limits=limits, turns=turns, store=store, resolver=resolver, models=models,
            tools=tools, moderation=moderation, metrics=metrics, watchdog=watchdog, mailer=mailer, fetcher=fetcher,
            files=files_of(settings), keeper=keeper, retriever=retriever, embedders=embedders,
        )
        # fmt: on
        faces, chores = build(settings, core), (Erasure(ground.db).once, Budgets(ground.db, mailer).once)
        _measure(metrics, watchdog, ground)
        await _reap(store, turns, chores)
        for work, name in (
            (watchdog.run(), "watchdog"),
            (mailer.run(), "mailer"),
            (data.run(), "exports"),
            (_sweep_forever(faces.vaults), "sweeper"),
            (_count_forever(retriever), "hits"),
            (keeper.run(), "ingestion"),
            (_reap_forever(store, turns, chores, settings.turn_lease_s / 2), "reaper"),
        ):
            background.spawn_forever(work, name=name)
        _close_in_order(stack, background, mailer, faces, turns)
        yield Running(
            asgi=faces.asgi,
            turns=turns,
            models=models,
            metrics=metrics,
            drain=lambda: background.spawn(_drain(turns, faces, settings.drain_s), name="drain"),
        )


def _resolver(settings: Settings, ground: Ground, models: Served, limits: RateLimits) -> Resolver:
    return Resolver(
        ground.db,
        models,
        limits,
        cors_origins=settings.cors_origins,
        twin_rule=Rule("turns_twin", settings.turns_per_minute_twin),
        files=files_of(settings),
    )


def _signing(settings: Settings, ground: Ground, mailer: Mailer) -> Signing:
    """Make what knows who somebody is, and what is kept of people."""
    codes = Codes(ground.jwt_secret)
    second = SecondFactors(codes, mailer, Totp(), ground.secrets)
    auth = Auth(ground.db, Tokens(ground.jwt_secret, settings.jwt_ttl_s), ground.passwords, second)
    data = DataRights(ground.db, mailer, settings.data_dir / ".exports", public_url=public_url_of(settings))
    return Signing(auth=auth, codes=codes, second=second, data=data)


def _close_in_order(
    stack: AsyncExitStack, background: Supervisor, mailer: Mailer, faces: Faces, turns: TurnRegistry
) -> None:
    """Say what is closed on leaving; what is pushed last comes first: the turns end while all else still works."""
    stack.push_async_callback(background.aclose)
    stack.push_async_callback(mailer.flush, _LONGEST_FAREWELL_S)
    stack.push_async_callback(faces.hub.aclose)
    stack.push_async_callback(turns.aclose)
    stack.push_async_callback(turns.drain, 0)


def _ways_out(settings: Settings, stack: AsyncExitStack) -> tuple[TrustedClient, Fetcher]:
    """Open the ways to addresses that the operator chose, and to those that others name."""
    client = TrustedClient.open()
    stack.push_async_callback(client.close)
    fetcher = Fetcher.open(Guard(AllowList(settings.egress_allow)))
    stack.push_async_callback(fetcher.close)
    return client, fetcher


async def _drain(turns: TurnRegistry, faces: Faces, patience_s: float) -> None:
    """End the turns while sockets can still be told, then the sockets."""
    await turns.drain(patience_s)
    await faces.hub.finish(_LONGEST_FAREWELL_S)
    await faces.close_sockets("server stopping")


def _measure(metrics: Metrics, watchdog: Watchdog, ground: Ground) -> None:
    metrics.watch_loop(watchdog)
    metrics.watch_database("read", lambda: ground.db.stats().waiting_reads)
    metrics.watch_database("write", lambda: ground.db.stats().waiting_writes)


def _judge(settings: Settings, client: TrustedClient) -> OpenAIJudge | None:
    """Return the vendor that judges beside the rules. Raises OperatorError when it has no key."""
    if settings.moderation != "openai":
        return None
    access = keys_of(settings).openai
    if not access.api_key:
        raise OperatorError("TWINSPEAK_MODERATION is openai, which needs OPENAI_API_KEY: set it, or leave it to rules.")
    return OpenAIJudge(client, moderation_endpoint(access))


def _mailer(settings: Settings) -> Mailer:
    """Return the way out for mail: the operator's server, or files in the data directory where none is set."""
    if not settings.smtp_host:
        return Mailer(Outbox(settings.data_dir / "outbox").deliver, settings.mail_from)
    server = Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
        security=settings.smtp_security,
    )
    return Mailer(server.deliver, settings.mail_from)


def _limits(settings: Settings) -> TurnLimits:
    return TurnLimits(
        first_token_s=settings.turn_first_token_s,
        silence_s=settings.turn_silence_s,
        total_s=settings.turn_total_s,
        lease_renewal_s=settings.turn_lease_s / 3,
        max_rounds=settings.turn_max_rounds,
        max_answer_chars=settings.turn_max_answer_chars,
        max_running=settings.max_running_turns,
    )


async def _reap(store: TurnStore, turns: TurnRegistry, chores: Chores) -> None:
    """Settle the turns that nobody runs any more; a database that does not work now is tried again."""
    now = now_ms()
    try:
        await store.reap(now, spare=turns.unsaved)
        await store.forget_keys(now)
        for chore in chores:
            await chore()
    except CodedError as error:
        _log.warning("reaping put off", code=error.code)
    except Exception as error:  # boundary: a reaper that died of an outage would never settle what the outage left
        _log.warning("reaping put off", error=type(error).__name__)


async def _sweep_forever(vaults: Vaults) -> None:
    """Delete, now and then, the files that no document has: what is younger than an hour may still be coming in."""
    while True:
        try:
            await vaults.sweep(before=now_ms() / 1000 - _SWEEP_S)
        except (CodedError, OSError) as error:
            _log.warning("sweeping put off", error=type(error).__name__)
        await asyncio.sleep(_SWEEP_S)


async def _count_forever(retriever: VaultRetriever) -> None:
    while True:
        await asyncio.sleep(_COUNT_S)
        try:
            await retriever.count_hits()
        except CodedError as error:
            _log.warning("hits not counted", code=error.code)


async def _reap_forever(store: TurnStore, turns: TurnRegistry, chores: Chores, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await _reap(store, turns, chores)
