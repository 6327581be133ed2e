"""The HTTP application: every REST route, the faces it is given, and the edge around them."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from twinspeak import __version__
from twinspeak.transports.http import errors
from twinspeak.transports.http.access_log import AccessLog
from twinspeak.transports.http.boundary import Boundary
from twinspeak.transports.http.cors import AllowedOrigins, Cors
from twinspeak.transports.http.safety import SafetyHeaders
from twinspeak.transports.rest import health, models, turns
from twinspeak.transports.services import Services

ROUTERS = (models.ROUTER, turns.ROUTER, health.ROUTER)


def build(services: Services, faces: Sequence[APIRouter] = ()) -> FastAPI:
    """Return the ASGI application of `services`, with the routers of the conversation faces beside our own.

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
        separate_input_output_schemas=False,
    )
    app.state.services = services
    for router in (*faces, *ROUTERS):
        app.include_router(router)
    errors.install(app)
    # The last one added is the outermost: log > safety headers > CORS > boundary > routes.
    app.add_middleware(Boundary)
    app.add_middleware(Cors, origins=AllowedOrigins(services.edge.cors_origins, services.origins.allowed))
    app.add_middleware(SafetyHeaders)
    app.add_middleware(AccessLog, observe=services.metrics.http_request)
    return app
