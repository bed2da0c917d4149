"""The registry as ingest reads it: one consistent snapshot of some partitions."""

from collections.abc import Mapping, Sequence

import structlog

from hub.model import AdminState, Lane, to_micros
from hub.profiles import Profile
from hub.registry import Client, Device, Registry
from hub.store.pool import Connection
from hub.store.queries import queries

_SQL = queries("registry")
_log = structlog.get_logger(__name__)


async def partitions(conn: Connection) -> int:
    """N, fixed when the hub was set up."""
    row = await (await conn.execute(_SQL["partitions"])).fetchone()
    assert row is not None, "hub_setting has no row 'partitions': the database is not migrated"
    return int(row[0])


async def load(conn: Connection, profiles: Mapping[str, Profile], of: Sequence[int]) -> Registry:
    """Devices and clients of the partitions `of`. A device whose profile is not installed is left out, loudly:
    its messages are quarantined, its link is unknown and its function unproven."""
    async with conn.transaction():
        count = await partitions(conn)
        devices = await (await conn.execute(_SQL["devices"], [list(of)])).fetchall()
        clients = await (await conn.execute(_SQL["clients"], [list(of)])).fetchall()
    known: dict[str, Device] = {}
    unreadable: dict[int, str] = {}
    for (
        key,
        id_,
        *place,
        profile_id,
        lane,
        admin,
        client,
        is_edge,
        zh,
        en,
        version,
        proven,
        wanted,
        since,
        zone,
    ) in devices:
        profile = profiles.get(profile_id)
        if profile is None:
            unreadable[key] = id_
            continue
        institution, institution_key = place
        axes = (Lane(lane), AdminState(admin), client, is_edge, zh, en, version, proven, wanted, to_micros(since))
        known[id_] = Device(key, id_, institution, institution_key, profile, *axes, zone=zone)
    if unreadable:
        await _mark_unreadable(conn, unreadable)
    return Registry(count, known, {row[0]: Client(*row) for row in clients})


async def _mark_unreadable(conn: Connection, devices: Mapping[int, str]) -> None:
    """Nobody judges these devices any more: what was last said of them (online, ok) may not stand."""
    async with conn.transaction():
        told = (await conn.execute(_SQL["mark_unreadable"], [list(devices)])).rowcount
    say = _log.error if told else _log.debug  # a change of state is one line
    say("registry.profile_missing", devices=len(devices), first=next(iter(devices.values())))


async def accounts(conn: Connection) -> dict[str, str]:
    """Who may log in at the broker, with the hash of the password."""
    return dict(await (await conn.execute(_SQL["accounts"])).fetchall())
