"""The registry is followed by what has changed, and is what it would be if all were read anew."""

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from hub.model import Lane
from hub.registry import Device, Registry, changed_devices
from hub.store import lanes, registry
from hub.store.pool import connect
from tests.runtime.city import PARTITION, profiles, seed

_SECOND_PLACE = (
    "insert into institution (id, division, type, title_zh, title_en, partition) values ('other', '14', 'community', '他', 'Other', %s)",
    "insert into device (id, institution, profile, kind, lane)"
    " select 'edge-2', key, 'test-edge', 'edge', 'bulk' from institution where id = 'other'",
    "insert into device_state (device, admin_state) select key, 'in_service' from device where id = 'edge-2'",
    "insert into client (name, device) select id, key from device where id = 'edge-2'",
)
_CHANGES = {
    "title": "update institution set title_en = 'Gardens' where id = 'garden'",
    "admin_state": "update device_state set admin_state = 'out_of_service' where device = (select key from device where id = 'heat-1')",
    "proven": "update device_state set proven_at = now() where device = (select key from device where id = 'button-1')",
    "version": "update device set version = version + 1 where id = 'heat-1'",
    "lane": "update device set lane = 'urgent' where id = 'heat-1'",
    "endpoint": "update device set endpoint = null where id = 'heat-1'",
    "retired": "update device set retired_at = now() where id = 'heat-1'",
    "wanted": "insert into edge_configuration (device, version, digest) select key, 3, 'x' from device where id = 'edge-1'",
    "revoked": "update client set revoked_at = now() where name = 'edge-1'",
    "profile": "update device set profile = 'gone' where id = 'button-1'",
}


@pytest.fixture
def place(fresh_database: str) -> str:
    seed(fresh_database)
    with psycopg.connect(fresh_database) as conn:
        row = conn.execute("select id::text from institution").fetchone()
        assert row == ("garden",)
        conn.execute(_SECOND_PLACE[0], [PARTITION])
        for query in _SECOND_PLACE[1:]:
            conn.execute(query.encode())
    return fresh_database


def facts(found: Registry) -> Any:
    """All that it says, in no order: the database gives rows as its plan finds them."""

    def by_lane(some: Mapping[Lane, Mapping[str, tuple[Device, ...]]]) -> Any:
        return {
            lane: {name: {device.id: device for device in mine} for name, mine in of.items()}
            for lane, of in some.items()
        }

    own = {device.id: device for device in found.own_clients}
    return found.devices, found.clients, by_lane(found.behind), own, by_lane(found.gated)


async def test_after_any_change_it_is_what_it_would_be_read_anew_and_the_rest_is_the_same_objects(place: str) -> None:
    async with await connect(place, "test") as conn:
        known = await registry.load(conn, profiles(), PARTITION)
        assert len(known.devices) == 4
        assert await registry.load(conn, profiles(), PARTITION, known) is known
        for name, change in _CHANGES.items():
            await conn.execute(change.encode())
            await conn.commit()
            followed = await registry.load(conn, profiles(), PARTITION, known)
            anew = await registry.load(conn, profiles(), PARTITION)
            assert followed is not known, name
            assert facts(followed) == facts(anew), name
            assert followed.prints == anew.prints
            assert await registry.load(conn, profiles(), PARTITION, followed) is followed
            assert followed.devices["edge-2"] is known.devices["edge-2"]
            assert followed.is_same_behind("edge-2", known)
            for lane in Lane:
                assert changed_devices(known, followed, lane) == changed_devices(known, anew, lane) - {"edge-2"}, name
            known = followed


async def test_an_institution_that_comes_and_one_that_goes_are_seen(place: str) -> None:
    async with await connect(place, "test") as conn:
        known = await registry.load(conn, profiles(), PARTITION)
        await conn.execute("update institution set partition = %s where id = 'other'", [PARTITION + 1])
        await conn.commit()
        without = await registry.load(conn, profiles(), PARTITION, known)
        assert "edge-2" not in without.devices
        assert "edge-2" not in without.clients
        await conn.execute("update institution set partition = %s where id = 'other'", [PARTITION])
        await conn.commit()
        assert facts(await registry.load(conn, profiles(), PARTITION, without)) == facts(known)


async def test_an_institution_with_a_profile_that_is_missing_goes_too(place: str) -> None:
    async with await connect(place, "test") as conn:
        await conn.execute("update device set profile = 'gone' where id = 'heat-1'")
        known = await registry.load(conn, profiles(), PARTITION)
        assert known.devices.keys() == {"edge-1", "button-1", "edge-2"}
        await conn.execute("update device set retired_at = now() where id in ('heat-1', 'button-1', 'edge-1')")
        found = await registry.load(conn, profiles(), PARTITION, known)
        assert found.devices.keys() == {"edge-2"}


async def test_of_a_lane_only_the_changed_devices_are_read_again(place: str) -> None:
    async with await connect(place, "test") as conn:
        known = await registry.load(conn, profiles(), PARTITION)
        whole = (await lanes.load(conn, PARTITION, Lane.BULK)).state
        assert {"heat-1", "edge-1", "edge-2"} <= whole.live.keys()
        some = (await lanes.load(conn, PARTITION, Lane.BULK, {"heat-1", "button-1"})).state
        assert some.live.keys() == {"heat-1"}
        kept = whole.live["edge-1"]
        whole.live["heat-1"] = whole.live["heat-1"]._replace(heard=77)
        whole.take_over({"heat-1"}, some, known)
        assert whole.live["heat-1"].heard is None
        assert whole.live["edge-1"] is kept
        assert whole.stirred == {"edge-1"}
