"""Which route a request goes to, found in a table: FastAPI tries one after another, which cost more than the rest."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class RouteIndex:
    """Stands before a router and answers as it would: for each method and path the first route that was declared.

    What is not in the table goes on to the router: no such path, a wrong method, mounts, sockets, the lifespan.
    """

    def __init__(self, routes: Sequence[BaseRoute], otherwise: ASGIApp) -> None:
        """Read `routes`, those of included routers too. Raises ValueError when a pattern hides a later plain path."""
        self._otherwise = otherwise
        self._plain: dict[tuple[str, str], RouteContext] = {}
        self._patterns: dict[tuple[str, int], list[tuple[re.Pattern[str], RouteContext]]] = defaultdict(list)
        for context in iter_route_contexts(routes):
            if getattr(context, "dependant", None) is not None:
                self._add(context)

    def _add(self, context: RouteContext) -> None:
        path = context.path or ""
        for method in context.methods or ():
            if "{" not in path:
                if any(pattern.match(path) for pattern, _ in self._patterns.get((method, path.count("/")), ())):
                    raise ValueError(f"{method} {path} would never be reached: declare it before the pattern it fits")
                self._plain.setdefault((method, path), context)
            elif ":path}" not in path:  # such a pattern fits any number of segments: the router's
                self._patterns[method, path.count("/")].append((context.path_regex, context))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the route of a request, or the router."""
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self.find(scope["method"], scope["path"])
            if found is not None:
                context, params = found
                scope["route"] = context.original_route
                scope["endpoint"] = context.endpoint
                scope["path_params"] = params
                await context.app(scope, receive, send)
                return
        await self._otherwise(scope, receive, send)

    def find(self, method: str, path: str) -> tuple[RouteContext, dict[str, Any]] | None:
        """Return the route of a request and the values in its path; None if the router must say."""
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        for pattern, context in self._patterns.get((method, path.count("/")), ()):
            match = pattern.match(path)
            if match:
                convertors = context.param_convertors
                return context, {name: convertors[name].convert(value) for name, value in match.groupdict().items()}
        return None
