"""Counts and times requests by route, method and status; never by what was asked for."""

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Meter:
    """ASGI middleware around everything; the time is that until the response begins, so that event streams count too."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        labels = ("method", "route")
        self._requests = Counter("anxin_api_requests", "Requests answered.", (*labels, "status"), registry=registry)
        self._seconds = Histogram(
            "anxin_api_seconds", "Time until the response began.", labels, registry=registry, buckets=_BUCKETS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how it was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                route = _route(scope)
                self._requests.labels(method, route, str(message["status"])).inc()
                self._seconds.labels(method, route).observe(perf_counter() - started)
            await send(message)

        await self.app(scope, receive, noted)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _route(scope: Scope) -> str:
    # unknown paths share one label: whoever tries paths must not fill the memory
    return str(getattr(scope.get("route"), "path_format", "unknown"))
