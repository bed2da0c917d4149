"""Several statements in one round trip are what they would be one by one."""

import psycopg
import pytest
from psycopg import sql

from hub.store.pool import connect
from hub.store.together import Asked, together


async def test_every_statement_sees_those_before_it_and_has_its_own_answer(database: str) -> None:
    async with await connect(database, "test") as conn, conn.transaction(), conn.cursor() as cur:
        await cur.execute("create temp table t (a int primary key) on commit drop")
        made, nothing, seen = await together(
            cur,
            Asked(sql.SQL("insert into t select * from generate_series(1, %s)"), [3]),
            Asked(sql.SQL("update t set a = a where a > %(most)s"), {"most": 7}),
            Asked(sql.SQL("select a from t order by a"), []),
        )
        assert (made.touched, nothing.touched) == (3, 0)
        assert [row[0] for row in seen.rows] == [1, 2, 3]
        assert seen.row == (1,)
        assert (made.row, nothing.rows) == (None, [])
        assert await together(cur) == []


async def test_what_failed_says_so_itself_and_the_transaction_is_taken_back(database: str) -> None:
    async with await connect(database, "test") as conn:
        await conn.execute("create table if not exists together_test (a int primary key)")
        await conn.commit()
        insert = sql.SQL("insert into together_test values (%s)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with conn.transaction(), conn.cursor() as cur:
                await together(cur, Asked(insert, [1]), Asked(insert, [1]), Asked(insert, [2]))
        with pytest.raises(psycopg.DataError):
            async with conn.transaction(), conn.cursor() as cur:
                await together(cur, Asked(insert, [1]), Asked(sql.SQL("select 1 / %s::int"), [0]))
        row = await (await conn.execute("select count(*) from together_test")).fetchone()
        assert row == (0,)
