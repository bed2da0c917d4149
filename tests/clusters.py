"""A migrated database server for who needs one alone: made once in this process, copied from then on.

Making a cluster and bringing it to the newest revision takes seconds, and dozens of tests stop, freeze or kill a server of their own.
"""

import asyncio
import functools
import subprocess
import tempfile
from pathlib import Path

from hub.engine import Engine
from hub.store.migrate import upgrade


def put_cluster(data: Path) -> None:
    """Into an engine's data folder, before its first start. Blocking."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(_made() / "cluster"), str(data)], check=True)


@functools.cache
def _made() -> Path:
    """An engine's data folder that is there for as long as this process is."""
    data = Path(_kept().name) / "engine"

    async def make() -> None:
        async with Engine(data, durable=False, environment={}, mosquitto=False, say=lambda _: None) as engine:
            await asyncio.to_thread(upgrade, engine.database_url)

    asyncio.run(make())
    return data


@functools.cache
def _kept() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="anxin-cluster-", ignore_cleanup_errors=True)
