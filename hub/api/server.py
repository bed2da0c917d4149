"""uvicorn inside our own loop: it steals no signal, starts no process, and is gone three seconds after it is told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from hub.api.access import Services

GRACE_SECONDS = 3
"""An open event stream would hold an unbounded shutdown for ever (measured)."""
_BACKLOG = 512


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the composition root."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError that says which address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


async def serve(app: FastAPI, host: str, port: int, bound: Callable[[int], None] | None = None) -> None:
    """Serve until cancelled; `bound` is told the port as soon as connections are taken.

    At the end event streams are closed first, then running requests get three seconds.
    """
    listener = bind(host, port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
        limit_concurrency=4000,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
    try:
        if bound is not None:
            bound(listener.getsockname()[1])
        await asyncio.shield(running)
    finally:
        server.should_exit = True
        services: Services = app.state.services
        if services.fanout is not None:
            services.fanout.close()
        try:
            async with asyncio.timeout(GRACE_SECONDS + 2):
                await running
        finally:
            listener.close()
