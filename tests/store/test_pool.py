"""Connections that have to be let go."""

import asyncio

import pytest

from hub.errors import LinkDown
from hub.store.pool import LOST, connect, cut


async def test_a_query_under_way_ends_with_an_error_when_its_connection_is_cut(database: str) -> None:
    conn = await connect(database, "test", autocommit=True)
    asking = asyncio.create_task(conn.execute("select pg_sleep(30)"))
    await asyncio.sleep(0)
    cut(conn)
    async with asyncio.timeout(20):
        with pytest.raises(LOST):
            await asking
    conn.pgconn.finish()


async def test_a_hundred_connections_are_cut_in_the_middle_of_something_and_the_process_lives(database: str) -> None:
    async def busy(n: int) -> None:
        conn = await connect(database, "test")
        asking = asyncio.create_task(_ask(conn))
        for _ in range(n % 7):
            await asyncio.sleep(0)
        cut(conn)
        await asyncio.wait({asking})
        assert isinstance(asking.exception(), LOST)
        conn.pgconn.finish()

    async def _ask(conn: object) -> None:
        while True:
            async with conn.transaction():  # type: ignore[attr-defined]
                await conn.execute("select generate_series(1, %s)", [100])  # type: ignore[attr-defined]

    for start in range(0, 100, 10):
        await asyncio.gather(*(busy(start + n) for n in range(10)))


async def test_to_cut_what_is_closed_does_nothing(database: str) -> None:
    conn = await connect(database, "test")
    await conn.close()
    cut(conn)


async def test_a_server_that_is_not_there_is_a_link_that_is_down() -> None:
    with pytest.raises(LinkDown):
        await connect("postgresql://nobody@127.0.0.1:1/none", "test")
