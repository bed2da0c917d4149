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

MINE, OTHER = DISTRICTS

READS = {
    "all of a view": "select * from dash.subject",
    "with a condition that asks for it": "select * from dash.device where division like '%4' or device like '%4'",
    "a union of everything": "select subject from dash.verdict union all select device from dash.device union all select institution from dash.alarm",
    "a view by its whole row": "select d::text from dash.device d",
    "a view as JSON": "select json_agg(d) from dash.device d",
    "a view as XML": "select table_to_xml('dash.device', true, false, '')",
    "a query inside a function": "select query_to_xml('select * from dash.alarm', true, false, '')",
    "the schema as XML": "select schema_to_xml('dash', true, false, '')",
    "copied out": "copy (select * from dash.alarm) to stdout",
    "a cursor": "begin; declare c cursor for select * from dash.device; fetch all from c",
    "a prepared statement": "prepare p as select * from dash.device; execute p",
    "a block of code that says it": "do $$ declare r record; begin for r in select * from dash.device loop raise notice '%', r; end loop; end $$",
    "an error that quotes a value": "select * from dash.device where device::int = 0",
    "an error that quotes a value, asked first": "select * from (select device from dash.device where device::date > now()) x where 1 / length(device) = 0",
    "an error by division": "select * from dash.device where 1 / (length(device) - 10) > 0",
    "an error by an operator": "select * from dash.alarm where (institution || 'x')::json is not null",
    "an error in a join": "select * from dash.division a join dash.subject b on a.title_en::int = b.title_zh::int",
    "an error in an aggregate": "select string_agg(device, ',')::int from dash.device",
    "an error in a sort": "select device from dash.device order by (device || '!')::numeric",
    "an error by a regular expression": "select * from dash.device where 'x' ~ ('[' || device)",
    "an error of a timestamp": "select * from dash.subject where title_zh::timestamptz is null",
    "whether it is there": "select title_zh || ' is there' from dash.division where code like '%4' and length(code) = 6",
    "a plan that tells": "explain (analyze, verbose, costs off) select * from dash.device where device like 'd-0%'",
    "the readings of all": "select * from dash.reading_hour limit 5000",
    "another scope by a setting": "set anxin.scope = '{\"everything\": true}'; select * from dash.subject",
    "another scope by set_config": "select set_config('role', 'none', false); select * from dash.subject",
    "row security switched off": "set row_security = off; select * from dash.device",
    "an own path": "set search_path = public, pg_catalog; select * from dash.device",
    "row by row past the barrier": "select (select device from dash.device offset n limit 1) from generate_series(0, 50) n",
    "a lateral join": "select * from dash.division v, lateral (select * from dash.device d where d.division <> v.code) x",
    "a sample": "select * from dash.device where random() >= 0",
    "an estimate of the planner": "explain (format json) select * from dash.device where division like '%4'",
    "statistics of columns": "select most_common_vals::text, histogram_bounds::text, * from pg_stats",
    "extended statistics": "select * from pg_stats_ext; select * from pg_stats_ext_exprs",
    "what others run": "select query, application_name, client_addr from pg_stat_activity",
    "prepared statements of others": "select * from pg_prepared_statements; select * from pg_cursors; select * from pg_prepared_xacts",
    "comments and labels": "select * from pg_description where objoid > 16384; select * from pg_shdescription; select * from pg_seclabels",
    "defaults, checks and views in the catalogue": "select * from information_schema.columns; select * from pg_views; select * from pg_constraint where oid > 16384",
    "the catalogue of TimescaleDB": "select * from timescaledb_information.chunks; select * from timescaledb_information.hypertables; select * from timescaledb_information.jobs; select * from _timescaledb_catalog.chunk",
    "publications, slots and servers": "select * from pg_publication; select * from pg_replication_slots; select * from pg_foreign_server; select * from pg_user_mappings",
    "settings of roles": "select * from pg_roles; select * from pg_db_role_setting; select * from pg_settings",
    "locks": "select * from pg_locks",
}  # fmt: skip
"""What runs, or fails with an error that quotes something; sent as the role of everything, the first ones do show the other county."""

CLOSED = {
    "a table": "select * from institution",
    "a table with its schema": "select * from public.device",
    "a count of a table": "select count(*) from public.alarm",
    "only its existence": "select 1 from public.finding limit 0",
    "the register": "select * from public.register_entry",
    "tokens": "select * from public.token",
    "responders and their numbers": "select * from public.responder_channel",
    "the audit log": "select * from public.audit",
    "signing keys": "select * from public.signing_key",
    "the table of scopes": "select * from public.dash_reader",
    "a hypertable": "select * from public.reading",
    "a view in public": "select * from public.reading_hour",
    "the view of causes": "select * from public.link_verdict",
    "a hypertable copied out": "copy public.reading to stdout",
    "the first step of pg_dump": "begin; lock table public.device in access share mode",
    "a copy of a table as pg_dump makes it": "copy public.device (key, id, institution) to stdout",
    "statistics themselves": "select * from pg_statistic",
    "password hashes": "select * from pg_authid",
    "a sequence": "select * from public.quarantine_key_seq",
    "the next of a sequence": "select nextval('public.audit_key_seq')",
    "the hub's own function": "select * from public.institutions_in_scope('{\"everything\": true}')",
    "the hub's role": "set role anxin",
    "the owner of the views": "set role anxin_boards",
    "the common role": "set role anxin_reader",
    "another session": "set session authorization anxin",
    "its own row in the table of scopes": "set default_transaction_read_only = off; update public.dash_reader set scope = '{\"everything\": true}'",
    "a scope of its own": "begin read write; insert into public.dash_reader values (session_user, '{\"everything\": true}')",
    "writing through a view": "set transaction_read_only = off; delete from dash.division",
    "a table in dash": "set default_transaction_read_only = off; create table dash.mine (x int)",
    "a table in public": "set default_transaction_read_only = off; create table public.mine (x int)",
    "a temporary table": "set default_transaction_read_only = off; create temporary table dash_reader (role name, scope jsonb)",
    "a temporary function": "set default_transaction_read_only = off; create function pg_temp.f() returns int language sql as 'select 1'",
    "a schema": "set default_transaction_read_only = off; create schema mine",
    "an operator": "set default_transaction_read_only = off; create operator dash.=== (leftarg = text, rightarg = text, function = texteq)",
    "another definer": "set default_transaction_read_only = off; create or replace function dash.institutions() returns setof int language sql as 'select 1'",
    "a changed view": "set default_transaction_read_only = off; create or replace view dash.division as select 1",
    "a policy": "set default_transaction_read_only = off; create policy mine on public.device using (true)",
    "row security of a table": "set default_transaction_read_only = off; alter table public.device disable row level security",
    "a trigger": "set default_transaction_read_only = off; create trigger t after insert on public.change execute function public.announce()",
    "an extension": "set default_transaction_read_only = off; create extension dblink",
    "a foreign server": "set default_transaction_read_only = off; create extension postgres_fdw; create server s foreign data wrapper postgres_fdw",
    "a publication": "set default_transaction_read_only = off; create publication p for all tables",
    "a grant to itself": "set default_transaction_read_only = off; grant select on public.device to current_user",
    "membership": "set default_transaction_read_only = off; grant anxin_boards to current_user",
    "no limits of the role": "set default_transaction_read_only = off; alter role current_user connection limit -1",
    "past row security": "set default_transaction_read_only = off; alter role current_user bypassrls",
    "a file of the server": "select pg_read_file('/etc/passwd')",
    "a folder of the server": "select * from pg_ls_dir('.')",
    "the server's log": "select * from pg_ls_logdir()",
    "a file by a copy": "copy (select 1) to '/tmp/anxin-copied'",
    "a program by a copy": "copy (select 1) to program 'true'",
    "a file as a large object": "select lo_import('/etc/passwd')",
    "a large object": "set default_transaction_read_only = off; select lo_create(0)",
    "a large object of bytes": "begin read write; select lo_from_bytea(0, 'x')",
    "the hub's leases": "select pg_advisory_lock(1, 1)",
    "the hub's lock of migrations": "select pg_try_advisory_lock(418565122414)",
    "locks for a transaction": "select pg_advisory_xact_lock(1)",
    "all locks of a session": "select pg_advisory_unlock_all()",
    "a number that the change feed waits for": "begin; select pg_current_xact_id()",
    "the old name of that number": "select txid_current()",
    "a message in the log of transactions": "select pg_logical_emit_message(true, 'x', 'x')",
    "a notification with a payload": "select pg_notify('anxin_change', 'x')",
    "a lock of a table": "begin; lock table dash.device in exclusive mode",
    "rows held": "begin; select * from dash.device for update",
    "chunks dropped": "select public.drop_chunks('public.reading', older_than => now())",
    "a job of TimescaleDB": "select public.add_job('pg_catalog.pg_sleep', '1h')",
    "the size of a hypertable": "select public.hypertable_size('public.reading')",
    "workers of TimescaleDB": "select _timescaledb_functions.stop_background_workers()",
    "the hub's sessions": "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'anxin%' or usename = 'anxin'",
    "the settings of the server": "alter system set log_statement = 'all'",
    "settings for superusers": "set session_preload_libraries = 'x'",
    "a library": "load 'dblink'",
    "a checkpoint": "checkpoint",
}  # fmt: skip
"""What is refused before anything runs."""

REFUSED = (
    errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.UndefinedFunction, errors.UndefinedObject,
    errors.FeatureNotSupported, errors.CantChangeRuntimeParam, errors.ObjectInUse,
)  # fmt: skip


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
    shown = 0
    with busy:
        busy.execute(f"select 'sun-{OTHER}'".encode())
        for name, statements in READS.items():
            own, all_ = _send(analyzed, MINE, statements), _send(analyzed, "all", statements)
            assert OTHER not in str(own), (name, str(own))
            shown += OTHER in str(all_)
    assert shown >= 20, "as the role of everything the same tricks do show it: they are tricks"


def test_a_limited_role_still_sees_its_own_by_the_same_tricks(analyzed: Readers) -> None:
    seeing = [name for name, statements in READS.items() if MINE in str(_send(analyzed, MINE, statements))]
    assert len(seeing) >= 20, seeing


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
