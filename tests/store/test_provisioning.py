"""Plans as they are written: the database is held to the core's model, in one transaction, whatever came before."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from hub.core import provisioning as core
from hub.core.provisioning import Plan, declared, digest
from hub.core.rights import EVERYTHING, Principal, Role, Scope
from hub.errors import Conflict, Forbidden, NotFound
from hub.model import Lane
from hub.registry import partition_of
from hub.store import provisioning, registry
from hub.store.pool import Connection, connect
from tests.core.lane_world import PROFILES
from tests.core.provisioning_world import SmallCatalogue, city, institution, manifest, manifests, policy, title

CATALOGUE = SmallCatalogue()
WHO = Principal("t", "Installer", Role.INSTALLER, EVERYTHING)


@pytest.fixture
async def conn(fresh_database: str) -> AsyncIterator[Connection]:
    connection = await connect(fresh_database, "test")
    yield connection
    await connection.close()


async def apply(conn: Connection, document: dict[str, Any], *, who: Principal = WHO, digest: str | None = None) -> Plan:
    async with conn.transaction():
        found = await provisioning.apply(conn, declared(manifest(**document)), CATALOGUE, who, digest)
    assert not found.errors, found.errors
    return found


async def planned(conn: Connection, document: dict[str, Any]) -> Plan:
    async with conn.transaction():
        return await provisioning.plan(conn, declared(manifest(**document)), CATALOGUE, EVERYTHING)


async def rows(conn: Connection, statement: str) -> list[Any]:
    async with conn.transaction():
        found = await (await conn.execute(statement.encode())).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


# the store is held to the core's model --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(manifests(), manifests())
def test_what_was_applied_is_what_is_loaded_and_applying_twice_changes_nothing(
    fresh_database: str, one: dict[str, Any], two: dict[str, Any]
) -> None:
    async def scenario() -> None:
        connection = await connect(fresh_database, "test")
        try:
            for document in (one, two):
                records = declared(manifest(**document))
                async with connection.transaction():
                    before = await provisioning.load(connection, records)
                found = await apply(connection, document)
                async with connection.transaction():
                    after = await provisioning.load(connection, records)
                assert core.applied(before, found.changes).live == after.live
                assert (await planned(connection, document)).changes == ()
        finally:
            await connection.close()

    asyncio.run(scenario())


async def test_the_database_gives_back_every_field_of_every_kind(conn: Connection) -> None:
    place: dict[str, Any] = {
        "place": {"latitude": 36.1954, "longitude": 113.1163},
        "operator": "某公司",
        "capacity": 60,
    }
    place["contacts"] = [{"title": title(), "phone": "+86 355-2071234"}]
    place["video"] = "https://video.example/{device}"
    more = {
        "calendar": {"weekly": {"mon": ["07:30-18:00"]}, "dates": {"2026-10-01": []}},
        "external_ids": {"uscc": "91", "city": "C-7"},
    }
    document = city(
        institutions=[institution(**place, **more)], groups=[{"id": "chain", "title": title(), "institutions": ["sun"]}]
    )
    await apply(conn, document)
    records = declared(manifest(**document))
    async with conn.transaction():
        current = await provisioning.load(conn, records)
    assert set(current.live) == {record.key for record in records}
    again = core.plan(records, current, CATALOGUE)
    assert again == Plan((), (), ())
    assert current.groups == {"sun": ("chain",)}


# what comes with it ---------------------------------------------------------------------------------------------------


async def test_a_new_device_is_registered_and_an_edge_is_in_service_with_a_client(conn: Connection) -> None:
    await apply(conn, city())
    states = await rows(
        conn,
        "select d.id, s.admin_state, s.link_state from device d join device_state s on s.device = d.key order by 1",
    )
    assert states == [
        ("cam-1", "registered", "unknown"),
        ("smoke-1", "registered", "unknown"),
        ("sun-edge", "in_service", "unknown"),
    ]
    assert await rows(conn, "select name from client") == ["sun-edge"]
    known = await registry.load(conn, {}, partition_of("sun", 8))
    assert known.clients["sun-edge"].partition == partition_of("sun", 8)
    assert await rows(conn, "select lane from device order by id") == ["bulk", "urgent", "bulk"]


async def test_a_device_that_speaks_the_hubs_own_protocol_is_a_client_itself(conn: Connection) -> None:
    own = {"id": "beacon", "profile": "own"}
    await apply(conn, city(institutions=[institution(devices=[*institution()["devices"], own])]))
    assert await rows(conn, "select name from client order by 1") == ["beacon", "sun-edge"]


async def test_what_is_retired_is_out_of_service_and_its_client_revoked(conn: Connection) -> None:
    await apply(conn, city())
    empty: dict[str, Any] = {name: [] for name in ("edges", "endpoints", "devices")}
    await apply(conn, city(institutions=[institution(**empty)]))
    assert set(await rows(conn, "select admin_state from device_state")) == {"retired"}
    assert await rows(conn, "select count(*) from device where retired_at is null") == [0]
    assert await rows(conn, "select revoked_at is not null from client") == [True]
    assert await rows(conn, "select count(*) from endpoint where retired_at is null") == [0]


async def test_an_alarm_of_a_retired_device_can_be_ended_by_a_person(conn: Connection) -> None:
    await apply(conn, city())
    alarm = "0e0c7f3a-0000-4000-8000-000000000001"
    await conn.execute(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)"
        " select %s, key, institution, 'fire', 'fire', 'critical', 'unack_active', true, now(), now() from device where id = 'smoke-1'",
        [alarm],
    )
    await conn.execute(
        "insert into device_test (id, device, requested_by, within) select %s, key, 'x', '1 min' from device where id = 'smoke-1'",
        [alarm],
    )
    await conn.commit()
    await apply(conn, city(institutions=[institution(devices=institution()["devices"][:1])]))
    assert await rows(conn, "select state, cleared_at is not null from alarm") == [("latched_unack", True)]
    assert await rows(conn, "select note, actor from alarm_transition") == [("the device was retired", "Installer")]
    assert await rows(conn, "select state from device_test") == ["expired"]


async def test_what_comes_back_after_it_was_retired_begins_again(conn: Connection) -> None:
    await apply(conn, city())
    await conn.execute(
        "update client set password_hash = 'x'; update device_state set admin_state = 'in_service', proven_at = now()"
    )
    await conn.commit()
    empty: dict[str, Any] = {name: [] for name in ("edges", "endpoints", "devices", "positions", "zones")}
    await apply(conn, city(institutions=[institution(**empty)]))
    found = await apply(conn, city())
    assert {change.action for change in found.changes} == {"create"}
    states = "select s.admin_state, s.proven_at from device d join device_state s on s.device = d.key order by d.id"
    assert await rows(conn, states) == [("registered", None), ("registered", None), ("in_service", None)]
    assert await rows(conn, "select password_hash, revoked_at from client") == [(None, None)]


async def test_two_devices_change_places_in_one_apply(conn: Connection) -> None:
    await apply(conn, city())
    camera, smoke = institution()["devices"]
    swapped = [{**camera, "position": "nap-2"}, {**smoke, "position": "nap-1"}]
    await apply(conn, city(institutions=[institution(devices=swapped)]))
    where = "select d.id, p.id from device d join position p on p.key = d.position order by 1"
    assert await rows(conn, where) == [("cam-1", "nap-2"), ("smoke-1", "nap-1")]


async def test_a_device_that_changed_must_prove_itself_again_and_others_keep_their_proof(conn: Connection) -> None:
    await apply(conn, city())
    await conn.execute("update device_state set admin_state = 'in_service', function_state = 'ok', proven_at = now()")
    await conn.commit()
    camera, smoke = institution()["devices"]
    await apply(conn, city(institutions=[institution(devices=[{**camera, "position": "wc-1"}, smoke])]))
    states = "select d.id, s.admin_state, s.function_state, s.proven_at is null from device d join device_state s on s.device = d.key order by 1"
    assert await rows(conn, states) == [
        ("cam-1", "registered", "unproven", True),
        ("smoke-1", "in_service", "ok", False),
        ("sun-edge", "in_service", "ok", False),
    ]


async def test_what_is_behind_an_endpoint_with_another_address_must_prove_itself_again(conn: Connection) -> None:
    await apply(conn, city())
    await conn.execute("update device_state set admin_state = 'in_service', function_state = 'ok', proven_at = now()")
    await conn.commit()
    agent, broker = institution()["endpoints"]
    states = "select d.id, s.admin_state, s.function_state, s.proven_at is null from device d join device_state s on s.device = d.key order by 1"
    proven = [("cam-1", "in_service", "ok", False), ("smoke-1", "in_service", "ok", False)]
    rotated = {**agent, "settings": {**agent["settings"], "community": "other"}}
    await apply(conn, city(institutions=[institution(endpoints=[rotated, broker])]))
    assert (await rows(conn, states))[:2] == proven
    moved = {**broker, "settings": {"host": "10.0.0.9"}}
    await apply(conn, city(institutions=[institution(endpoints=[rotated, moved])]))
    assert (await rows(conn, states))[:2] == [proven[0], ("smoke-1", "registered", "unproven", True)]


async def test_institutions_exchange_filing_numbers_and_external_ids_in_one_apply(conn: Connection) -> None:
    bare: dict[str, Any] = {name: [] for name in ("zones", "positions", "edges", "endpoints", "devices")}
    register = [
        {"filing_number": name, "division": "14", "type": "private", "title": title()} for name in ("F-1", "F-2")
    ]

    def both(one: str, two: str) -> dict[str, Any]:
        sun = institution(filing_number=f"F-{one}", external_ids={"uscc": one}, **bare)
        moon = institution(id="moon", filing_number=f"F-{two}", external_ids={"uscc": two}, **bare)
        return city(register=register, institutions=[sun, moon])

    await apply(conn, both("1", "2"))
    await apply(conn, both("2", "1"))
    filed = "select r.filing_number, i.id from register_entry r join institution i on i.key = r.institution order by 1"
    assert await rows(conn, filed) == [("F-1", "moon"), ("F-2", "sun")]
    assert await rows(
        conn, "select value from institution_external_id e join institution i on i.key = e.institution order by i.id"
    ) == ["1", "2"]


async def test_a_policy_lets_go_of_a_channel_in_the_apply_that_takes_it_away(conn: Connection) -> None:
    await apply(conn, city())
    others = [{"id": "mail", "kind": "smtp", "settings": {}}, {"id": "desk", "kind": "webhook", "settings": {}}]
    responder = {"id": "duty", "title": title(), "manned": True, "channels": others}
    moved = policy(steps=[{"responder": "duty", "channel": "desk"}, {"responder": "duty", "channel": "mail"}])
    live = "select id from responder_channel where responder = 'duty' and retired_at is null"
    await apply(conn, city(responders=[responder], policies=[moved]))
    assert await rows(conn, f"{live} order by rank") == ["mail", "desk"]
    both = city(responders=[{**responder, "retired": True}, {**responder, "id": "night"}])
    both["policies"] = [policy(steps=[{"responder": "night", "kinds": 2}])]
    await apply(conn, both)
    assert await rows(conn, "select id from responder where id in ('duty', 'night') and retired_at is null") == [
        "night"
    ]


# nothing or all -------------------------------------------------------------------------------------------------------


async def test_a_manifest_with_an_error_writes_nothing(conn: Connection) -> None:
    document = city(institutions=[institution(zones=institution()["zones"][:1])])
    async with conn.transaction():
        found = await provisioning.apply(conn, declared(manifest(**document)), CATALOGUE, WHO)
    assert found.errors
    assert await rows(conn, "select count(*) from division") == [0]
    assert await rows(conn, "select count(*) from audit") == [0]


async def test_a_failure_in_the_middle_leaves_nothing_behind(conn: Connection) -> None:
    await conn.execute("alter table device add check (id <> 'smoke-1')")
    await conn.commit()
    with pytest.raises(psycopg.IntegrityError):
        await apply(conn, city())
    assert await rows(conn, "select count(*) from institution") == [0]


async def test_a_plan_that_the_hub_has_overtaken_is_refused(conn: Connection) -> None:
    looked_at = digest((await planned(conn, city())).changes)
    await apply(conn, city(institutions=[]))
    with pytest.raises(Conflict, match="plan again"):
        await apply(conn, city(), digest=looked_at)
    assert await rows(conn, "select count(*) from institution") == [0]
    await apply(conn, city(), digest=digest((await planned(conn, city())).changes))


async def test_two_applies_at_once_come_one_after_the_other(fresh_database: str) -> None:
    one, two = await connect(fresh_database, "one"), await connect(fresh_database, "two")
    try:
        plans = await asyncio.gather(apply(one, city()), apply(two, city()))
        assert sorted(len(plan.changes) > 0 for plan in plans) == [False, True]
    finally:
        await one.close()
        await two.close()


async def test_what_lies_beyond_the_scope_is_neither_shown_nor_done(conn: Connection) -> None:
    await apply(conn, city())
    stranger = Principal("s", "Stranger", Role.INSTALLER, Scope(divisions=("15",)))
    mine = {"institutions": [institution(title=title("mine"))]}
    with pytest.raises(Forbidden, match="'sun' is not within your scope"):
        await apply(conn, mine, who=stranger)
    with pytest.raises(Forbidden):
        async with conn.transaction():
            await provisioning.plan(conn, declared(manifest(**mine)), CATALOGUE, stranger.scope)
    assert await rows(conn, "select title_en from institution") == ["x"]


async def test_a_retired_institution_is_not_taken_over_with_its_past_by_another_division(conn: Connection) -> None:
    divisions = [*city()["divisions"], {"code": "15", "title": title()}]
    await apply(conn, city(divisions=divisions))
    bare: dict[str, Any] = {name: [] for name in ("zones", "positions", "edges", "endpoints", "devices")}
    await apply(conn, {"institutions": [institution(retired=True, **bare)]})
    taken = {"institutions": [institution(division="15", filing_number=None, **bare)]}
    stranger = Principal("s", "Stranger", Role.INSTALLER, Scope(divisions=("15",)))
    with pytest.raises(Forbidden, match="'sun' is not within your scope"):
        await apply(conn, taken, who=stranger)
    await apply(conn, taken)


# what others learn ----------------------------------------------------------------------------------------------------


async def test_the_audit_log_and_the_feed_name_what_changed_and_never_a_value(conn: Connection) -> None:
    await apply(conn, city())
    camera, smoke = institution()["devices"]
    await apply(conn, city(institutions=[institution(devices=[camera, {**smoke, "settings": {"secret": "hush"}}])]))
    (first, second) = await rows(conn, "select target, detail from audit where target = 'institution:sun' order by key")
    assert first[1]["create"] == 11
    assert second[1]["changes"] == [{"action": "change", "thing": "device smoke-1", "fields": ["settings"]}]
    feed = await rows(conn, "select kind, payload from change where institution is not null order by seq")
    assert feed[-1] == ("registry", {"institution": "sun", "change": 1})
    assert "hush" not in str(await rows(conn, "select detail from audit"))


async def test_ingest_is_told_when_the_registry_changes_and_only_then(conn: Connection, fresh_database: str) -> None:
    listener = await connect(fresh_database, "listener", autocommit=True)
    try:
        await listener.execute("listen anxin_registry")

        async def told(seconds: float) -> bool:
            return [note async for note in listener.notifies(timeout=seconds, stop_after=1)] != []

        await apply(conn, city())
        assert await told(5)
        await apply(conn, city())
        assert not await told(0.1)
    finally:
        await listener.close()


async def test_whoever_writes_what_the_registry_is_made_of_cannot_forget_to_say_so(
    conn: Connection, fresh_database: str
) -> None:
    await apply(conn, city())
    listener = await connect(fresh_database, "listener", autocommit=True)
    try:
        await listener.execute("listen anxin_registry")
        for table in ("institution", "zone", "position", "endpoint", "device", "client", "calendar_year"):
            await conn.execute(f"delete from {table} where false")
            await conn.commit()
            assert [note async for note in listener.notifies(timeout=30, stop_after=1)], table
        await conn.execute("update device_state set proven_at = now()")
        await conn.commit()
        assert [note async for note in listener.notifies(timeout=30, stop_after=1)]
        await conn.execute("update device_state set last_heard_at = now()")
        await conn.commit()
        assert [note async for note in listener.notifies(timeout=0.1, stop_after=1)] == []
    finally:
        await listener.close()


async def test_a_registry_that_did_not_change_is_the_same_one_and_what_did_not_change_in_it_is_the_same(
    conn: Connection, fresh_database: str
) -> None:
    await apply(conn, city())
    number = partition_of("sun", 8)
    first = await registry.load(conn, {"anxin-edge": PROFILES["p-edge"]}, number)
    assert await registry.load(conn, {"anxin-edge": PROFILES["p-edge"]}, number, first) is first
    await conn.execute("update client set revoked_at = now()")
    second = await registry.load(conn, {"anxin-edge": PROFILES["p-edge"]}, number, first)
    assert second is not first
    assert second.clients["sun-edge"].revoked
    assert second.devices["sun-edge"] is first.devices["sun-edge"]
    await conn.execute("update device set retired_at = now()")
    assert (await registry.load(conn, {"anxin-edge": PROFILES["p-edge"]}, number, second)).devices == {}


# bundles --------------------------------------------------------------------------------------------------------------


async def test_a_bundle_is_made_of_the_endpoints_and_the_devices_behind_them(conn: Connection) -> None:
    await apply(conn, city())
    found = await provisioning.client(conn, "sun-edge")
    assert (found.institution, found.partition, found.profile) == ("sun", partition_of("sun", 8), "anxin-edge")
    behind = await provisioning.behind(conn, "sun-edge")
    assert [(row.endpoint, row.driver, row.device, row.lane) for row in behind] == [
        ("agent", "snmp", "cam-1", Lane.BULK),
        ("broker", "mqtt", "smoke-1", Lane.URGENT),
    ]
    await provisioning.issue(conn, "sun-edge", "$7$hash", WHO)
    await conn.commit()
    assert await registry.accounts(conn) == {"sun-edge": "$7$hash"}


async def test_no_bundle_for_what_is_no_client_or_was_retired(conn: Connection) -> None:
    await apply(conn, city())
    for name in ("cam-1", "nobody"):
        with pytest.raises(NotFound):
            await provisioning.client(conn, name)
    empty: dict[str, Any] = {name: [] for name in ("edges", "endpoints", "devices")}
    await apply(conn, city(institutions=[institution(**empty)]))
    with pytest.raises(NotFound):
        await provisioning.client(conn, "sun-edge")
