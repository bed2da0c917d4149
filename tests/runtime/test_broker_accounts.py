"""The broker's password file follows the registry."""

import asyncio
from pathlib import Path

import psycopg

from hub.engine import mosquitto_hash, read_passwords, write_passwords
from hub.runtime import broker_accounts
from hub.testing import eventually

HUB = mosquitto_hash("the hub's own")
EDGE = mosquitto_hash("an edge's")


async def add_client(database: str, name: str, password_hash: str | None) -> None:
    async with await psycopg.AsyncConnection.connect(database) as conn:
        await conn.execute(
            "insert into division (code, title_zh, title_en) values ('14', 'x', 'x') on conflict do nothing"
        )
        await conn.execute(
            "insert into institution (id, division, type, title_zh, title_en, partition)"
            " values ('sun', '14', 'private', 'x', 'x', 0) on conflict do nothing"
        )
        await conn.execute(
            "with d as (insert into device (id, institution, profile, kind, lane)"
            " select %(name)s, key, 'anxin-edge', 'edge', 'bulk' from institution where id = 'sun' returning key)"
            " insert into client (name, device, password_hash) select %(name)s, key, %(hash)s from d",
            {"name": name, "hash": password_hash},
        )
        await conn.execute("select pg_notify('anxin_clients', '')")


async def revoke(database: str, name: str) -> None:
    async with await psycopg.AsyncConnection.connect(database) as conn:
        await conn.execute("update client set revoked_at = now() where name = %s", [name])
        await conn.execute("select pg_notify('anxin_clients', '')")


async def test_the_file_follows_new_and_revoked_clients_and_keeps_the_hubs_own_user(
    fresh_database: str, tmp_path: Path
) -> None:
    path = tmp_path / "passwords"
    write_passwords(path, {"hub": HUB, "left-over": EDGE})
    task = asyncio.create_task(broker_accounts.run(fresh_database, path, {"hub": HUB}))
    try:
        await eventually(lambda: read_passwords(path) == {"hub": HUB})
        await add_client(fresh_database, "edge-1", EDGE)
        await add_client(fresh_database, "edge-2", None)
        await eventually(lambda: read_passwords(path) == {"hub": HUB, "edge-1": EDGE})
        await revoke(fresh_database, "edge-1")
        await eventually(lambda: read_passwords(path) == {"hub": HUB})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_file_that_cannot_be_written_does_not_end_the_task(fresh_database: str, tmp_path: Path) -> None:
    path = tmp_path / "later" / "passwords"
    await add_client(fresh_database, "edge-1", EDGE)
    task = asyncio.create_task(broker_accounts.run(fresh_database, path, {"hub": HUB}))
    try:
        await asyncio.wait([task], timeout=0.3)
        assert not task.done()
        path.parent.mkdir()
        await add_client(fresh_database, "edge-2", EDGE)
        await eventually(lambda: set(read_passwords(path)) == {"hub", "edge-1", "edge-2"})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_client_cannot_take_the_name_of_the_hub(fresh_database: str, tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    await add_client(fresh_database, "hub", EDGE)
    task = asyncio.create_task(broker_accounts.run(fresh_database, path, {"hub": HUB}))
    try:
        await eventually(lambda: read_passwords(path) == {"hub": HUB})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
