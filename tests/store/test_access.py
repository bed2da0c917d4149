"""Tokens, the rule of scope in SQL, and the audit log, in a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from hub.core.rights import EVERYTHING, Role, Scope
from hub.errors import BadInput, Forbidden, NotFound
from hub.store import access, audit
from tests.api import seed
from tests.api.seed import NOW


@pytest.fixture
async def conn(fresh_database: str) -> AsyncIterator[AsyncConnection[Any]]:
    opened = await seed.connect(fresh_database)
    await seed.divisions(opened, "14", "1404", "140403", "140404")
    await seed.add_tenant(opened, "a", "140403")
    await seed.add_tenant(opened, "b", "140404")
    yield opened
    await opened.close()


async def make(conn: AsyncConnection[Any], scope: Scope = EVERYTHING, **more: Any) -> access.NewToken:
    asked: dict[str, Any] = {"name": "duty desk", "kind": "service", "role": Role.OPERATOR, "within": EVERYTHING}
    async with conn.transaction():
        return await access.create_token(conn, scope=scope, actor="tests", **(asked | more))


async def test_a_token_lets_its_holder_in_with_role_and_scope(conn: AsyncConnection[Any]) -> None:
    scope = Scope(divisions=("1404",), institutions=("a-home",), groups=("b-group",))
    made = await make(conn, scope)
    assert len(made.secret) == len("hub_") + 12 + 1 + 43
    found = await access.authenticate(conn, made.secret, NOW)
    assert found is not None
    assert (found.token, found.name, found.role, found.scope) == (made.id, "duty desk", Role.OPERATOR, scope)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b"])
async def test_a_token_without_a_proper_name_is_refused(conn: AsyncConnection[Any], name: str) -> None:
    with pytest.raises(BadInput, match="name"):
        await make(conn, name=name)


async def test_only_the_hash_of_a_secret_is_stored(conn: AsyncConnection[Any]) -> None:
    made = await make(conn)
    key = made.secret.rpartition("_")[2] if made.secret.count("_") == 2 else made.secret[17:]
    for table in ("token", "audit"):
        rows = await (await conn.execute(f"select t::text from {table} t".encode())).fetchall()
        assert rows
        assert not any(key in row[0] for row in rows)


async def test_a_wrong_secret_an_unknown_id_and_a_malformed_one_are_refused(conn: AsyncConnection[Any]) -> None:
    made = await make(conn)
    changed = made.secret[:-1] + ("A" if made.secret[-1] != "A" else "B")
    for shown in (
        changed,
        f"hub_{'x' * 12}_{'k' * 43}",
        made.secret + "\n",
        made.secret[:-1],
        "",
        "hub__",
        made.secret.upper(),
        "hub_é",
    ):
        assert await access.authenticate(conn, shown, NOW) is None


async def test_an_expired_token_is_refused_from_its_very_instant(conn: AsyncConnection[Any]) -> None:
    made = await make(conn, expires_at=NOW)
    assert await access.authenticate(conn, made.secret, NOW - timedelta(microseconds=1)) is not None
    assert await access.authenticate(conn, made.secret, NOW) is None
    assert not await access.is_live(conn, made.id, NOW)


async def test_a_revoked_token_is_refused_and_revoking_twice_is_once(conn: AsyncConnection[Any]) -> None:
    made = await make(conn)
    assert await access.is_live(conn, made.id, NOW)
    for _ in range(2):
        await access.revoke(conn, made.id, "tests", EVERYTHING)
    assert await access.authenticate(conn, made.secret, NOW) is None
    assert not await access.is_live(conn, made.id, NOW)
    lines = await audit.entries(conn, limit=10, target=f"token:{made.id}")
    assert [line.action for _, line in lines] == ["token.revoke", "token.create"]


async def test_a_token_outside_ones_scope_does_not_exist_for_revoking_and_listing(conn: AsyncConnection[Any]) -> None:
    made = await make(conn, Scope(institutions=("b-home",)))
    mine = Scope(divisions=("140403",))
    with pytest.raises(NotFound):
        await access.revoke(conn, made.id, "tests", mine)
    assert await access.tokens(conn, mine, limit=10) == []
    [row] = await access.tokens(conn, Scope(divisions=("140404",)), limit=10)
    assert row["id"] == made.id
    assert "secret_sha256" not in row


async def test_use_is_noted_at_most_once_a_minute(conn: AsyncConnection[Any]) -> None:
    made = await make(conn)

    async def used_at(seconds: float) -> Any:
        await access.authenticate(conn, made.secret, seed.at(seconds))
        [row] = await access.tokens(conn, EVERYTHING, limit=10)
        return row["last_used_at"]

    assert await used_at(0) == NOW
    assert await used_at(59.9) == NOW
    assert await used_at(60) == seed.at(60)


@pytest.mark.parametrize(
    ("within", "scope", "error"),
    [
        (EVERYTHING, Scope(), BadInput),
        (EVERYTHING, Scope(divisions=("Changzhi",)), BadInput),
        (EVERYTHING, Scope(institutions=("nobody",)), BadInput),
        (EVERYTHING, Scope(groups=("nobody",)), BadInput),
        (Scope(divisions=("140403",)), EVERYTHING, Forbidden),
        (Scope(divisions=("140403",)), Scope(divisions=("1404",)), Forbidden),
        (Scope(divisions=("140403",)), Scope(divisions=("140404",)), Forbidden),
        (Scope(divisions=("140403",)), Scope(institutions=("b-home",)), BadInput),
        (Scope(divisions=("140403",)), Scope(groups=("a-group",)), BadInput),
        (Scope(institutions=("a-home",)), Scope(divisions=("140403",)), Forbidden),
    ],
)
async def test_nobody_hands_on_more_than_he_has(
    conn: AsyncConnection[Any], within: Scope, scope: Scope, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await make(conn, scope, within=within)
    assert await access.tokens(conn, EVERYTHING, limit=10) == []


@pytest.mark.parametrize(
    ("within", "scope"),
    [
        (Scope(divisions=("1404",)), Scope(divisions=("140403", "140404"), institutions=("a-home", "b-home"))),
        (Scope(groups=("a-group",)), Scope(institutions=("a-home",), groups=("a-group",))),
        (Scope(institutions=("a-home",)), Scope(institutions=("a-home",))),
    ],
)
async def test_a_part_of_ones_scope_can_be_handed_on(conn: AsyncConnection[Any], within: Scope, scope: Scope) -> None:
    made = await make(conn, scope, within=within)
    assert [row["id"] for row in await access.tokens(conn, within, limit=10)] == [made.id]


async def test_the_rule_of_scope_in_sql_is_that_of_the_core(conn: AsyncConnection[Any]) -> None:
    places = {"a-home": ("140403", ("a-group",)), "b-home": ("140404", ("b-group",))}
    for everything in (False, True):
        for divisions in ((), ("1404",), ("140403",), ("1404031",), ("15", "140404")):
            for institutions in ((), ("a-home",), ("nobody", "b-home")):
                for groups in ((), ("a-group",), ("b-group", "nobody")):
                    scope = Scope(everything, divisions, institutions, groups)
                    rows = await (
                        await conn.execute(
                            "select id from institutions_in_scope(%s) order by id", [Jsonb(scope.as_json())]
                        )
                    ).fetchall()
                    expected = [id for id, (division, of) in places.items() if scope.covers(id, division, of)]
                    assert [row[0] for row in rows] == expected


async def test_divisions_are_seen_downward_from_the_scope_and_upward_to_the_root(conn: AsyncConnection[Any]) -> None:
    async def seen(scope: Scope) -> list[str]:
        statement = "select code from divisions_in_scope(%s) order by code"
        return [row[0] for row in await (await conn.execute(statement, [Jsonb(scope.as_json())])).fetchall()]

    assert await seen(EVERYTHING) == ["14", "1404", "140403", "140404"]
    assert await seen(Scope(divisions=("1404",))) == ["14", "1404", "140403", "140404"]
    assert await seen(Scope(institutions=("a-home",))) == ["14", "1404", "140403"]
    assert await seen(Scope(groups=("b-group",))) == ["14", "1404", "140404"]
    assert await seen(Scope(institutions=("nobody",))) == []


async def test_a_line_of_the_audit_log_stands_or_falls_with_its_transaction(conn: AsyncConnection[Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with conn.transaction():
            await audit.record(conn, "tests", "thing.change", "thing:1", {})
            raise ZeroDivisionError
    assert await audit.entries(conn, limit=10) == []


@pytest.mark.parametrize("statement", ["update audit set actor = 'x'", "delete from audit", "truncate audit"])
async def test_the_audit_log_refuses_to_be_changed_even_by_its_owner(
    conn: AsyncConnection[Any], statement: str
) -> None:
    await audit.record(conn, "tests", "thing.change", "thing:1", {"before": 1})
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        await conn.execute(statement.encode())
    assert len(await audit.entries(conn, limit=10)) == 1


async def test_the_audit_log_is_read_newest_first_by_target_and_actor(conn: AsyncConnection[Any]) -> None:
    for n in range(3):
        await audit.record(conn, f"actor-{n % 2}", "thing.change", f"thing:{n}", {"n": n})
    lines = await audit.entries(conn, limit=10)
    assert [line.detail["n"] for _, line in lines] == [2, 1, 0]
    assert [line.detail["n"] for _, line in await audit.entries(conn, limit=10, before=lines[0][0])] == [1, 0]
    assert [line.target for _, line in await audit.entries(conn, limit=10, actor="actor-1")] == ["thing:1"]
    assert [line.actor for _, line in await audit.entries(conn, limit=10, target="thing:2")] == ["actor-0"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_no_text_but_a_well_formed_secret_is_looked_up(text: str) -> None:
    class Untouched:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the database was asked")

    async def ask() -> None:
        assert await access.authenticate(Untouched(), text, NOW) is None  # type: ignore[arg-type]

    try:
        ask().send(None)
    except StopIteration:
        pass
