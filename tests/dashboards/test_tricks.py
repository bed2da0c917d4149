"""Whatever SQL a viewer of Grafana sends as the role of one county: nothing of another county comes back, and nothing of the hub stops."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import errors, sql

from hub.core.rights import Scope
from hub.errors import BadInput, Forbidden
from hub.store.pool import connect
from hub.store.readers import FUNCTIONS, VIEWS, drop_reader, end_overdue, grant_reader
from hub.store.readers import readers as readers_of
from hub.testing import wait_until
from tests.dashboards.conftest import DISTRICTS, PASSWORD, Readers
from tests.dashboards.tricks import CLOSED, READS, REFUSED

MINE, OTHER = DISTRICTS


@dataclass
class Told:
    """All that the server said: rows, copied data, notices, the error."""

    text: list[str] = field(default_factory=list)
    error: psycopg.Error | None = None

    def __str__(self) -> str:
        return "\n".join([*self.text, "" if self.error is None else str(self.error)])


def _send(readers: Readers, who: str, statements: str) -> Told:
    told = Told()
    with readers.connect(who) as conn:
        conn.add_notice_handler(lambda notice: told.text.append(f"{notice.message_primary} {notice.message_detail}"))
        try:
            for statement in statements.split("; ") if "$$" not in statements else [statements]:
                if statement.startswith("copy"):
                    with conn.cursor().copy(statement.encode()) as copy:
                        told.text += [bytes(part).decode() for part in copy]
                    continue
                cursor = conn.execute(statement.encode())
                if cursor.description is not None:
                    told.text += [str(row) for row in cursor.fetchall()]
        except psycopg.Error as error:
            told.error = error
    return told


def test_there_are_many_tricks() -> None:
    assert len(READS) + len(CLOSED) >= 100


@pytest.fixture(scope="module")
def analyzed(readers: Readers) -> Readers:
    """The planner knows the most common values, as in production; somebody else is busy with the other county."""
    with psycopg.connect(readers.url, autocommit=True) as conn:
        conn.execute("analyze")
    return readers


def test_what_is_read_holds_nothing_of_another_county(analyzed: Readers) -> None:
    busy = psycopg.connect(analyzed.url)
    shown = own_shown = 0
    with busy:
        busy.execute(f"select 'sun-{OTHER}'".encode())
        for name, statements in READS.items():
            own, all_ = _send(analyzed, MINE, statements), _send(analyzed, "all", statements)
            assert OTHER not in str(own), (name, str(own))
            shown += OTHER in str(all_)
            own_shown += MINE in str(own)
    assert shown >= 30, "as the role of everything the same tricks do show it: they are tricks"
    assert own_shown >= 30, "a limited role still sees its own by them"


def test_what_is_closed_is_refused(analyzed: Readers) -> None:
    passed = []
    for name, statements in CLOSED.items():
        told = _send(analyzed, MINE, statements)
        assert OTHER not in str(told), (name, str(told))
        if not isinstance(told.error, REFUSED):
            passed.append((name, told.error or told.text))
    assert passed == []


def test_chunks_are_not_reached_by_their_names(analyzed: Readers) -> None:
    with psycopg.connect(analyzed.url) as conn:
        names = [
            row[0]
            for row in conn.execute(
                "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " where n.nspname = '_timescaledb_internal' and c.relkind in ('r', 'v', 'm') and c.relname like any (array['%\\_chunk', '\\_hyper%', '%materialized%'])"
            )
        ]
    assert len(names) >= 3, "readings of several days"
    for name in names:
        assert isinstance(_send(analyzed, MINE, f"select * from {name}").error, errors.InsufficientPrivilege), name


def test_other_databases_of_the_hub_let_no_reader_in(analyzed: Readers, database_url: str) -> None:
    """Another hub on this server closed its own database by its own grant; ours is closed to whoever is no reader."""
    with psycopg.connect(analyzed.url, autocommit=True) as conn:
        conn.execute(
            sql.SQL("create role {} login password {}").format(sql.Identifier("stranger"), sql.Literal(PASSWORD))
        )
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            Readers(analyzed.url, {"stranger": "stranger"}).connect("stranger")
    finally:
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute("drop role stranger")


def test_whoever_listens_hears_no_content(analyzed: Readers) -> None:
    with analyzed.connect(MINE) as listening, psycopg.connect(analyzed.url, autocommit=True) as conn:
        channels = [row[0] for row in conn.execute(
            "select distinct m[1] from pg_proc p, regexp_matches(p.prosrc, 'pg_notify\\(''(\\w+)''', 'g') m"
            " where p.pronamespace = 'public'::regnamespace")]  # fmt: skip
        assert "anxin_change" in channels
        listening.execute("set default_transaction_read_only = off")
        for channel in channels:
            listening.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        conn.execute(
            "insert into change (kind, institution, payload) select 'alarm', key, jsonb_build_object('id', id) from institution where key > 0"
        )
        heard = list(listening.notifies(timeout=5, stop_after=1))
    assert [(one.channel, one.payload) for one in heard] == [("anxin_change", "")]


# ---- closed by default: what a reader may is a list of names ----


def test_what_a_reader_can_reach_is_the_named_list(analyzed: Readers) -> None:
    relations = """
        select n.nspname || '.' || c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
          and case when c.relkind = 'S' then has_sequence_privilege(%(role)s, c.oid, 'usage, select, update')
                   when c.relkind in ('r', 'v', 'm', 'p', 'f') then has_any_column_privilege(%(role)s, c.oid, 'select')
                        or has_any_column_privilege(%(role)s, c.oid, 'insert, update, references')
                        or has_table_privilege(%(role)s, c.oid, 'delete, truncate, trigger, maintain') end"""
    routines = """
        select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname not in ('pg_catalog', 'information_schema') and has_function_privilege(%(role)s, p.oid, 'execute')
          and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')"""
    writable = """
        select c.oid::regclass::text from pg_class c
        where c.relkind in ('r', 'v', 'm', 'p', 'f') and has_table_privilege(%(role)s, c.oid, 'insert, update, delete, truncate')
          and c.relname not in ('pg_settings')"""
    volatile = """
        select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname not in ('pg_catalog', 'information_schema') and p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype
          and has_function_privilege(%(role)s, p.oid, 'execute')"""
    definers = """
        select p.oid::regprocedure::text from pg_proc p
        where p.prosecdef and has_function_privilege(%(role)s, p.oid, 'execute')"""
    role = {"role": analyzed.roles[MINE]}
    with psycopg.connect(analyzed.url) as conn:
        conn.execute("create table public.of_tomorrow (x int)")
        conn.execute("create view dash.of_tomorrow as select 1 as x")
        found = {row[0] for row in conn.execute(relations, role)}
        assert found == {f"dash.{view}" for view in VIEWS}
        assert {row[0] for row in conn.execute(routines, role)} == {f"dash.{one}" for one in FUNCTIONS}
        assert [row[0] for row in conn.execute(writable, role)] == []
        assert [row[0] for row in conn.execute(volatile, role)] == []
        assert {row[0] for row in conn.execute(definers, role)} < {f"dash.{one}" for one in FUNCTIONS}
        conn.rollback()


def test_every_view_is_a_barrier_and_stands_on_row_security(analyzed: Readers) -> None:
    with psycopg.connect(analyzed.url) as conn:
        views = conn.execute(
            "select c.relname, pg_get_userbyid(c.relowner), coalesce(c.reloptions, '{}') from pg_class c"
            " where c.relnamespace = 'dash'::regnamespace and c.relkind = 'v'"
        ).fetchall()
        assert {row[0] for row in views} == set(VIEWS)
        assert {row[1] for row in views} == {"anxin_boards"}
        assert all("security_barrier=true" in row[2] for row in views)
        owned = conn.execute(
            "select c.oid::regclass::text from pg_class c where c.relowner = 'anxin_boards'::regrole and c.relkind <> 'v'"
        ).fetchall()
        assert owned == []
        # an ordinary table that has an institution or a division and that a view may read has its policy
        bare = conn.execute(
            "select distinct c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and not c.relrowsecurity"
            "   and has_table_privilege('anxin_boards', c.oid, 'select') and a.attname in ('institution', 'division')"
        ).fetchall()
        assert {row[0] for row in bare} == set(), "a policy is missing (migrations 0041 and after)"


def test_row_security_holds_where_a_view_forgets_the_scope(analyzed: Readers) -> None:
    with psycopg.connect(analyzed.url, autocommit=True) as conn:
        conn.execute(
            "create view dash.forgetful with (security_barrier) as select id::text, division, title_zh from institution"
        )
        conn.execute("alter view dash.forgetful owner to anxin_boards")
        conn.execute("grant select on dash.forgetful to anxin_reader")
    try:
        assert _send(analyzed, MINE, "select * from dash.forgetful").text == [f"('sun-{MINE}', '{MINE}', '托{MINE}')"]
        assert OTHER in str(_send(analyzed, "all", "select * from dash.forgetful"))
    finally:
        with psycopg.connect(analyzed.url, autocommit=True) as conn:
            conn.execute("drop view dash.forgetful")


# ---- what a reader holds open, and what it leaves ----


@pytest.fixture
def holding(analyzed: Readers) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A reader that lifted its own limits and stays in a transaction."""
    with analyzed.connect(MINE) as conn:
        conn.execute("set statement_timeout = 0")
        conn.execute("set idle_in_transaction_session_timeout = 0")
        conn.execute("begin")
        conn.execute("select 1")
        yield conn


async def test_a_transaction_that_a_reader_keeps_open_is_ended_from_outside(
    analyzed: Readers, holding: psycopg.Connection[tuple[object, ...]]
) -> None:
    async with await connect(analyzed.url, "test", autocommit=True) as conn:
        assert await end_overdue(conn, 3600) == []
        await asyncio.to_thread(wait_until, lambda: holding.info.transaction_status is not None)
        assert await end_overdue(conn, 0) == [analyzed.roles[MINE]]
    with pytest.raises(psycopg.OperationalError):
        holding.execute("select 1")


async def test_a_grant_by_a_user_who_may_not_make_roles_is_refused_and_changes_nothing(analyzed: Readers) -> None:
    async with await connect(analyzed.url, "test", autocommit=True) as conn:
        async with conn.transaction(force_rollback=True):
            await conn.execute("create role small_hub")
            await conn.execute("grant select on division, dash_reader to small_hub")
            await conn.execute("set local role small_hub")
            with pytest.raises(Forbidden, match="may make roles"):
                await grant_reader(conn, "grafana_new", Scope(divisions=(MINE,)), PASSWORD, actor="test")
        assert "grafana_new" not in {one.role for one in await readers_of(conn)}
        with pytest.raises(BadInput, match="no such division"):
            await grant_reader(conn, "grafana_new", Scope(divisions=("99",)), PASSWORD, actor="test")


async def test_a_revoked_role_is_out_at_once(analyzed: Readers) -> None:
    role = analyzed.roles["all"] + "_gone"
    async with await connect(analyzed.url, "test", autocommit=True) as conn:
        await grant_reader(conn, role, Scope(divisions=(MINE,)), PASSWORD, actor="test")
        assert role in {one.role for one in await readers_of(conn)}
        with Readers(analyzed.url, {"gone": role}).connect("gone") as inside:
            assert inside.execute("select count(*) from dash.device").fetchone() == (3,)
            await drop_reader(conn, role, actor="test")
            with pytest.raises(psycopg.Error):
                inside.execute("select count(*) from dash.device")
        assert role not in {one.role for one in await readers_of(conn)}
    with pytest.raises(psycopg.OperationalError):
        Readers(analyzed.url, {"gone": role}).connect("gone")
