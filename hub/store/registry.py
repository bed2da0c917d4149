"""The registry as ingest reads it: one consistent snapshot of some partitions."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import structlog
from psycopg.rows import TupleRow

from hub.model import AdminState, Lane, to_micros
from hub.profiles import Profile
from hub.registry import Client, Device, Registry
from hub.store.pool import Connection
from hub.store.queries import queries

_SQL = queries("registry")
_PRINTS = _SQL["prints"].format(devices=_SQL["devices"])
_log = structlog.get_logger(__name__)


async def partitions(conn: Connection) -> int:
    """N, fixed when the hub was set up."""
    row = await (await conn.execute(_SQL["partitions"])).fetchone()
    assert row is not None, "hub_setting has no row 'partitions': the database is not migrated"
    return int(row[0])


_AT_ONCE = 500
"""rows between two looks at whatever else the process has to do: a province's registry takes seconds"""


async def load(conn: Connection, profiles: Mapping[str, Profile], of: int, before: Registry | None = None) -> Registry:
    """Devices and clients of partition `of`. A device whose profile is not installed is left out, loudly:
    its messages are quarantined, its link is unknown and its function unproven.

    With `before` only the institutions of which anything differs are read anew; all else is the same objects again, and where nothing changed,
    `before` itself comes back.
    """
    unreadable: dict[int, tuple[str, str]] = {}
    async with conn.transaction(), conn.cursor() as cur:
        count = await partitions(conn)
        prints: dict[str, int] = dict(
            await (await conn.execute(_PRINTS, {"partition": of, "institutions": None})).fetchall()
        )
        differing = None if before is None else [name for name in prints if before.prints.get(name) != prints[name]]
        kept = prints.keys() - set(differing or ())
        loaded: dict[str, Device] = {}
        await cur.execute(_SQL["devices"], {"partition": of, "institutions": differing})
        while rows := await cur.fetchmany(_AT_ONCE):
            loaded.update((device.id, device) for device in _devices(rows, profiles, unreadable))
            await asyncio.sleep(0)
        clients = await (await conn.execute(_SQL["clients"], [[of]])).fetchall()
    if unreadable:
        await _mark_unreadable(conn, unreadable)
        for institution in {institution for _, institution in unreadable.values()}:
            prints.pop(institution, None)  # they are read and marked again each time
    speakers = {row[0]: Client(*row) for row in clients}
    if before is None:
        return Registry(count, loaded, speakers, prints=prints)
    known = {name: device for name, device in before.devices.items() if device.institution in kept}
    for name, device in loaded.items():
        found = before.devices.get(name)
        known[name] = found if found is not None and found == device else device
    same = len(known) == len(before.devices) and all(before.devices.get(name) is one for name, one in known.items())
    if same and before.clients == speakers:
        return before
    return Registry(count, known, speakers, prints=prints, before=before)


def _devices(
    rows: Iterable[TupleRow], profiles: Mapping[str, Profile], unreadable: dict[int, tuple[str, str]]
) -> Iterator[Device]:
    """The devices of these rows; what cannot be read is put into `unreadable`."""
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
    ) in rows:
        profile = profiles.get(profile_id)
        if profile is None:
            unreadable[key] = id_, place[0]
            continue
        institution, institution_key = place
        axes = (Lane(lane), AdminState(admin), client, is_edge, zh, en, version, proven, wanted, to_micros(since))
        yield Device(key, id_, institution, institution_key, profile, *axes, zone=zone)


async def _mark_unreadable(conn: Connection, devices: Mapping[int, tuple[str, str]]) -> None:
    """Nobody judges these devices any more: what was last said of them (online, ok) may not stand."""
    async with conn.transaction():
        told = (await conn.execute(_SQL["mark_unreadable"], [list(devices)])).rowcount
    say = _log.error if told else _log.debug  # a change of state is one line
    say("registry.profile_missing", devices=len(devices), first=next(iter(devices.values()))[0])


async def accounts(conn: Connection) -> dict[str, str]:
    """Who may log in at the broker, with the hash of the password."""
    return dict(await (await conn.execute(_SQL["accounts"])).fetchall())
