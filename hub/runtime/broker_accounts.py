"""Who may log in at the broker: the password file follows the registry.

On NOTIFY `anxin_clients` — and every minute, to be sure — the file is written anew from the clients' hashes and the static users (the hub's
own). Whoever runs the broker watches the file (hub.engine does). A broker that is managed elsewhere needs none of this.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import structlog

from hub.engine import read_passwords, write_passwords
from hub.errors import BadInput
from hub.runtime.reconnect import keep
from hub.store.clients import ClientWatch, open_watch

_log = structlog.get_logger(__name__)
_SURE_SECONDS = 60.0


async def run(database_url: str, password_file: Path, static_users: Mapping[str, str]) -> NoReturn:
    """Keep the file in step until cancelled, through outages of the database.

    `static_users` are name → hash as `hub.engine.mosquitto_hash` makes it; they win over a client of the same name.
    """

    async def session(connected: Callable[[], None]) -> None:
        async with open_watch(database_url) as watch:
            connected()
            while True:
                await write(watch, password_file, static_users)
                await watch.wait(_SURE_SECONDS)

    await keep("broker-accounts", session)


async def write(watch: ClientWatch, password_file: Path, static_users: Mapping[str, str]) -> bool:
    """Write the file if it would differ; whether it did. A file that cannot be written is logged and tried again."""
    wanted = {**await watch.accounts(), **static_users}
    try:
        if await asyncio.to_thread(read_passwords, password_file) == wanted:
            return False
        await asyncio.to_thread(write_passwords, password_file, wanted)
    except (OSError, BadInput) as error:
        _log.error("broker_accounts_not_written", file=str(password_file), error=str(error))
        return False
    _log.info("broker_accounts_written", clients=len(wanted) - len(static_users))
    return True
