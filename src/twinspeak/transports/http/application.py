"""The HTTP application: every REST route, the faces it is given, and the edge around them."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from twinspeak import __version__
from twinspeak.transports import wire_names as wire
from twinspeak.transports.http import errors
from twinspeak.transports.http.access_log import AccessLog
from twinspeak.transports.http.boundary import Boundary
from twinspeak.transports.http.cors import AllowedOrigins, Cors
from twinspeak.transports.http.route_index import RouteIndex
from twinspeak.transports.http.safety import SafetyHeaders
from twinspeak.transports.rest import (
    admin_accounts,
    admin_audit,
    admin_charts,
    admin_credits,
    admin_histories,
    admin_members,
    admin_people,
    admin_tools,
    admin_twins,
    ai_models,
    api_keys,
    assistants,
    auth,
    conversations,
    docs,
    estimate,
    health,
    histories,
    joining,
    launches,
    mcp_servers,
    memories,
    models,
    moderation,
    own_account,
    personal_data,
    prompts,
    session,
    signup,
    sso,
    transcripts,
    turns,
    two_steps,
    usage,
    user,
    vault,
    vault_files,
    vault_folders,
    vault_reading,
    vault_urls,
)
from twinspeak.transports.services import Services

ROUTERS = (
    auth.ROUTER,
    signup.ROUTER,
    session.ROUTER,
    launches.ROUTER,
    launches.OWN_ROUTER,
    launches.ADMIN_ROUTER,
    two_steps.ROUTER,
    two_steps.OWN_ROUTER,
    two_steps.ADMIN_ROUTER,
    sso.ROUTER,
    sso.PAGES,
    sso.ADMIN_ROUTER,
    user.ROUTER,
    own_account.ROUTER,
    personal_data.ROUTER,
    personal_data.LINKS,
    joining.ROUTER,
    admin_people.ROUTER,
    admin_members.ROUTER,
    admin_twins.ROUTER,
    admin_twins.OWN_ROUTER,
    admin_tools.ROUTER,
    mcp_servers.ROUTER,
    admin_accounts.ROUTER,
    admin_audit.ROUTER,
    admin_credits.ROUTER,
    admin_charts.ROUTER,
    admin_histories.ROUTER,
    usage.ROUTER,
    usage.ADMIN_ROUTER,
    admin_credits.OWN_ROUTER,
    api_keys.ROUTER,
    api_keys.EXCHANGE,
    histories.ROUTER,
    conversations.ROUTER,
    assistants.ROUTER,
    assistants.ADMIN_ROUTER,
    prompts.ROUTER,
    moderation.ROUTER,
    transcripts.ROUTER,
    memories.ROUTER,
    memories.ADMIN_ROUTER,
    transcripts.SHARED_ROUTER,
    vault.UPLOADS,
    vault.ROUTER,
    vault_files.ROUTER,
    vault_reading.ROUTER,
    vault_folders.ROUTER,
    vault_urls.ROUTER,
    models.ROUTER,
    ai_models.ROUTER,
    estimate.ROUTER,
    turns.ROUTER,
    health.ROUTER,
    docs.ROUTER,
)


def build(
    services: Services,
    faces: Sequence[APIRouter] = (),
    *,
    allowed: AllowedOrigins | None = None,
    sockets: ASGIApp | None = None,
) -> FastAPI:
    """Return the ASGI application of `services`, with the routers of the conversation faces beside our own.

    `sockets` is the Socket.IO face, `allowed` the pages that it and CORS let in.

    The framework's own pages are off: its documentation loads scripts from elsewhere. Redirects for a missing slash are
    off too, for they would be built from the Host header that the client sends.
    """
    app = FastAPI(
        title="Twinspeak",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours are logs and metrics enough
    )
    app.state.services = services
    app.state.documents = {}
    for router in (*faces, *ROUTERS):
        # Not `include_router`, which makes every route anew for each application: half a second at 200 routes.
        app.router.routes.extend(router.routes)
    errors.install(app)
    allowed = allowed or AllowedOrigins(services.edge.cors_origins, services.origins.allowed)
    if sockets is not None:
        app.mount(wire.SOCKETS_PATH, sockets)
    app.router.middleware_stack = RouteIndex(app.routes, app.router.middleware_stack)
    # The last one added is the outermost: log > safety headers > CORS > boundary > routes.
    app.add_middleware(Boundary)
    app.add_middleware(Cors, origins=allowed)
    app.add_middleware(SafetyHeaders)
    app.add_middleware(AccessLog, observe=services.metrics.http_request)
    return app
