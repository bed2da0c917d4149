"""What a manifest is compared with, and how a plan is written: in one transaction, under one lock, all or nothing.

`plan` and `apply` run in the caller's transaction. `apply` computes the plan again after it has the lock, so that what was shown and what is
done cannot differ without being noticed. Secrets in settings are stored as they are; they leave this module only into a bundle.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from hub.core import provisioning as core
from hub.core.alarms import AlarmEvent
from hub.core.bundling import Behind
from hub.core.provisioning import OWN_PROTOCOL, Catalogue, Change, Current, Fields, Guarded, Key, Noun, Record
from hub.core.rights import Principal, Scope
from hub.errors import Conflict, Forbidden, NotFound
from hub.model import Lane, to_micros
from hub.registry import partition_of
from hub.store import alarms, audit, camera_views, duty, policies, register_keeping
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("provisioning")
SAVING = 0x616E78696E01
"""One apply at a time: plans are small and rare, and a plan must not move while it is written."""
_MAX_AUDITED = 200
_BY_INSTITUTION = ("zones", "positions", "endpoints", "devices")


class Client(NamedTuple):
    """A client whose bundle may be made, and who may see it."""

    id: str
    institution: str
    division: str
    partition: int
    profile: str
    groups: tuple[str, ...]


async def plan(conn: Connection, declared: Sequence[Record], catalogue: Catalogue, scope: Scope) -> core.Plan:
    """What the manifest would change now; nothing is written. Raises Forbidden for what lies beyond `scope`."""
    current = await load(conn, declared)
    found = await asyncio.to_thread(core.plan, declared, current, catalogue)
    _allow(scope, declared, found, current)
    return found


def _allow(scope: Scope, declared: Sequence[Record], found: core.Plan, current: Current) -> None:
    reason = next(core.beyond(scope, declared, found, current), None)
    if reason is not None:
        raise Forbidden(reason)


async def apply(
    conn: Connection,
    declared: Sequence[Record],
    catalogue: Catalogue,
    who: Principal,
    digest: str | None = None,
) -> core.Plan:
    """Plan again under the lock and write it, unless it has errors. Raises Forbidden for what lies beyond the scope of `who`.

    Entries of the register that a regulator keeps are changed by whoever supervises. `digest` is that of the plan that was looked at: raises
    Conflict when the hub would do something else by now.
    """
    await acting(conn, who.name)
    current = await load(conn, declared)
    found = await asyncio.to_thread(core.plan, declared, current, catalogue)
    _allow(who.scope, declared, found, current)
    await register_keeping.check(conn, found.changes, who)
    if digest is not None and digest != core.digest(found.changes):
        raise Conflict("the hub has changed since the plan was made: plan again")
    if not found.errors and found.changes:
        await _write(conn, found.changes, catalogue, who)
        await _note(conn, found.changes, who)
    return found


async def acting(conn: Connection, actor: str) -> None:
    """From here to the end of the transaction nobody else changes what is registered; `actor` stands in its histories."""
    await conn.execute(_SQL["lock"], {"key": SAVING})
    await conn.execute(_SQL["acting"], {"actor": actor})


# what there is --------------------------------------------------------------------------------------------------------


async def load(conn: Connection, declared: Sequence[Record]) -> Current:
    """What the hub has, as far as the manifest touches it (`Current` says how far)."""
    asked = _asked(declared)
    live: dict[Key, Fields] = {}
    for noun, query, name in (
        (Noun.DIVISION, "divisions", "code"),
        (Noun.INSTITUTION, "institutions", "id"),
        (Noun.REGISTER_ENTRY, "register_entries", "filing_number"),
        (Noun.GROUP, "groups", "id"),
    ):
        for row in await all_rows(conn, _SQL[query], asked):
            key = Key(noun, "", row.pop(name))
            live[key] = row
    for query in _BY_INSTITUTION:
        for row in await all_rows(conn, _SQL[query], asked):
            key, fields = _inside(query, row)
            live[key] = fields
    live.update(await _who_is_told(conn))
    now = await _now(conn)
    async with conn.cursor() as cursor:
        rotas = await duty.load_rotas(cursor, now)
        calendar = await duty.load_calendar(cursor)
    live.update({Key(Noun.ROTA, "", name): core.rota_fields(rota) for name, rota in rotas.items()})
    owners = {row["id"]: row["institution"] for row in await all_rows(conn, _SQL["owners"], asked)}
    external = await all_rows(conn, _SQL["external"], asked)
    memberships = await all_rows(conn, _SQL["memberships"], asked)
    guarded: list[Row] = []
    if any(record.key.noun in (Noun.POLICY, Noun.RESPONDER, Noun.GROUP) for record in declared):
        guarded = await all_rows(conn, _SQL["guarded"], asked)
    return Current(
        live,
        owners,
        {(row["scheme"], row["value"]): row["institution"] for row in external},
        {row["institution"]: tuple(row["groups"]) for row in memberships},
        {row.pop("institution"): Guarded(**{name: _frozen(value) for name, value in row.items()}) for row in guarded},
        {row["id"]: row["division"] for row in await all_rows(conn, _SQL["retired_institutions"], asked)},
        {name: rota.overrides for name, rota in rotas.items()},
        calendar,
        to_micros(now),
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _asked(declared: Sequence[Record]) -> dict[str, list[str]]:
    """The names that the manifest mentions, by what they name."""
    named: dict[str, set[str]] = {name: set() for name in ("divisions", "listed", "institutions", "filing_numbers")}
    named.update({name: set() for name in ("groups", "ids")})
    pairs: list[tuple[str, str]] = []
    for record in declared:
        noun, fields = record.key.noun, record.fields
        named["divisions"].update(fields[name] for name in ("division", "parent") if fields.get(name) is not None)
        if noun is Noun.DIVISION:
            named["divisions"].add(record.key.id)
        elif noun is Noun.INSTITUTION:
            named["listed"].add(record.key.id)
            pairs.extend(fields["external_ids"].items())
            if fields["filing_number"] is not None:
                named["filing_numbers"].add(fields["filing_number"])
        elif noun is Noun.REGISTER_ENTRY:
            named["filing_numbers"].add(record.key.id)
        elif noun is Noun.GROUP:
            named["groups"].add(record.key.id)
            named["institutions"].update(fields["institutions"])
        elif noun in (Noun.POLICY, Noun.ROTA):
            named["institutions"].update(fields[name] for name in ("institution",) if fields[name] is not None)
            named["groups"].update(fields[name] for name in ("group",) if fields.get(name) is not None)
        elif noun in (Noun.DEVICE, Noun.EDGE):
            named["ids"].add(record.key.id)
    named["institutions"] |= named["listed"]
    asked = {name: sorted(values) for name, values in named.items()}
    return {**asked, "schemes": [scheme for scheme, _ in pairs], "values": [value for _, value in pairs]}


def _inside(query: str, row: Row) -> tuple[Key, Fields]:
    institution, name = row.pop("institution"), row.pop("id")
    if query == "devices" and row["kind"] == "edge":
        fields = {name: row[name] for name in ("profile", "kind", "lane", "switch", "powered_by")}
        fields["local_rules"] = row["settings"].get("local_rules", [])
        return Key(Noun.EDGE, institution, name), fields
    noun = {"zones": Noun.ZONE, "positions": Noun.POSITION, "endpoints": Noun.ENDPOINT, "devices": Noun.DEVICE}[query]
    return Key(noun, institution, name), row


async def _now(conn: Connection) -> datetime:
    row = await one_row(conn, _SQL["now"], {})
    assert row is not None
    at = row["at"]
    assert isinstance(at, datetime)
    return at


async def _who_is_told(conn: Connection) -> dict[Key, Fields]:
    found: dict[Key, Fields] = {}
    async with conn.cursor() as cursor:
        for responder in await policies.load_responders(cursor):
            channels = {
                c.id: {"kind": c.kind, "settings": dict(c.settings), "rank": rank}
                for rank, c in enumerate(responder.channels)
            }
            fields = {"title_zh": responder.title_zh, "title_en": responder.title_en, "manned": responder.manned}
            found[Key(Noun.RESPONDER, "", responder.id)] = {**fields, "channels": channels}
        for policy in await policies.load_policies(cursor):
            found[Key(Noun.POLICY, "", policy.id)] = core.policy_fields(policy)
    return found


# what changes ---------------------------------------------------------------------------------------------------------


async def _write(conn: Connection, changes: Sequence[Change], catalogue: Catalogue, who: Principal) -> None:
    """All changes, in an order in which every reference exists when it is made and is gone before what it points to."""
    gone = {noun: [c.key for c in changes if c.key.noun is noun and c.after is None] for noun in Noun}
    made = {noun: [c for c in changes if c.key.noun is noun and c.after is not None] for noun in Noun}
    async with conn.cursor() as cursor:
        for key in gone[Noun.POLICY]:
            await policies.retire_policy(cursor, key.id)
    await _clear_alarms(conn, [*gone[Noun.DEVICE], *gone[Noun.EDGE]], who)
    await _retire_inside(conn, gone)
    await _put(conn, "put_division", made[Noun.DIVISION])
    await _put_institutions(conn, made[Noun.INSTITUTION])
    await _put(conn, "put_register_entry", made[Noun.REGISTER_ENTRY])
    await _file(conn, made[Noun.INSTITUTION], gone[Noun.INSTITUTION])
    await _on_ids(conn, ("retire_register_entry",), gone[Noun.REGISTER_ENTRY])
    await _put_groups(conn, made[Noun.GROUP])
    await _put(conn, "put_zone", made[Noun.ZONE])
    await _put(conn, "put_position", made[Noun.POSITION])
    await camera_views.declare(conn, made[Noun.POSITION])
    await _put_devices(conn, made[Noun.EDGE], lambda _: True)
    await _test_again_behind(conn, made[Noun.ENDPOINT])
    await _put(conn, "put_endpoint", made[Noun.ENDPOINT])
    await _put_devices(conn, made[Noun.DEVICE], lambda fields: _is_client(fields, catalogue))
    await _put_who_is_told(conn, made, gone)
    await conn.execute(_SQL["announce_clients"])


def _is_client(fields: Fields, catalogue: Catalogue) -> bool:
    facts = catalogue.profile(fields["profile"])
    return facts is not None and facts.driver == OWN_PROTOCOL


async def _put(conn: Connection, query: str, changes: Sequence[Change], more: Mapping[str, Any] | None = None) -> None:
    if changes:
        rows = [{"institution": c.key.institution, "id": c.key.id, **(c.after or {}), **(more or {})} for c in changes]
        await conn.execute(_SQL[query], {"rows": Jsonb(rows)})


async def _on_ids(conn: Connection, statements: Iterable[str], keys: Iterable[Key]) -> None:
    ids = [key.id for key in keys]
    for statement in statements if ids else ():
        await conn.execute(_SQL[statement], {"ids": ids})


async def _clear_alarms(conn: Connection, keys: Iterable[Key], who: Principal) -> None:
    """The condition of what is retired holds no longer; a person still acknowledges a fire or panic, and resets what latched."""
    for row in await all_rows(conn, _SQL["sounding"], {"ids": [key.id for key in keys]}):
        await alarms.act(conn, row["id"], AlarmEvent.CLEAR, who.name, "the device was retired", to_micros(row["at"]))


async def _retire_inside(conn: Connection, gone: Mapping[Noun, Sequence[Key]]) -> None:
    ends = ("retire_device", "retire_state", "revoke_client", "end_tests")
    await _on_ids(conn, ends, gone[Noun.DEVICE])
    for noun in (Noun.ENDPOINT, Noun.POSITION, Noun.ZONE):
        rows = [{"institution": key.institution, "id": key.id} for key in gone[noun]]
        if rows:
            await conn.execute(_SQL[f"retire_{noun.value}"], {"rows": Jsonb(rows)})
    await _on_ids(conn, ends, gone[Noun.EDGE])
    await _on_ids(conn, ("retire_institution",), gone[Noun.INSTITUTION])


async def _put_institutions(conn: Connection, changes: Sequence[Change]) -> None:
    row = await one_row(conn, _SQL["partitions"], {})
    assert row is not None, "hub_setting has no row 'partitions': the database is not migrated"
    count = next(iter(row.values()))
    numbered = [
        c._replace(after={**c.after, "partition": partition_of(c.key.id, count)})
        for c in changes
        if c.after is not None
    ]
    await _put(conn, "put_institution", numbered)
    await _on_ids(conn, ("forget_external_ids",), (c.key for c in changes))
    await _put(conn, "put_external_ids", changes)


async def _file(conn: Connection, changes: Sequence[Change], retired: Sequence[Key]) -> None:
    await _on_ids(conn, ("unfile",), (*(c.key for c in changes), *retired))
    await _put(conn, "file", changes)


async def _put_groups(conn: Connection, changes: Sequence[Change]) -> None:
    await _put(conn, "put_group", changes)
    await _on_ids(conn, ("forget_members",), (c.key for c in changes))
    await _put(conn, "put_members", changes)


async def _put_devices(conn: Connection, changes: Sequence[Change], is_client: Callable[[Fields], bool]) -> None:
    """Devices or edges with their states and clients."""
    defaults: dict[str, Any] = {
        "position": None,
        "endpoint": None,
        "settings": {},
        "dials_police": None,
        "recorded_by": None,
        "switch": None,
        "powered_by": None,
    }
    complete = [c._replace(after={**defaults, **_settled(c.after)}) for c in changes if c.after is not None]
    await _on_ids(conn, ("make_room",), (c.key for c in complete if c.before is not None))
    await _put(conn, "put_device", complete)
    await _on_ids(conn, ("begin_state",), (c.key for c in complete if c.before is None))
    retested = [c.key for c in complete if c.before is not None and c.key.noun is Noun.DEVICE and _is_unproven(c)]
    await _on_ids(conn, ("test_again",), retested)
    clients = [c.key for c in complete if c.after is not None and is_client(c.after)]
    await _on_ids(conn, ("put_client",), clients)
    await _on_ids(conn, ("revoke_client",), (c.key for c in complete if c.key not in clients))


async def _test_again_behind(conn: Connection, endpoints: Sequence[Change]) -> None:
    """What was commissioned at one address may be another device at the next: all that is behind an endpoint that moves is unproven."""
    moved = [c.key for c in endpoints if c.before is not None and core.moved_by(c.before, c.after or {})]
    if not moved:
        return
    rows = [{"institution": key.institution, "id": key.id} for key in moved]
    behind = await all_rows(conn, _SQL["behind_endpoints"], {"rows": Jsonb(rows)})
    await conn.execute(_SQL["test_again"], {"ids": [row["id"] for row in behind]})


def _settled(fields: Fields) -> Fields:
    """An edge's rules are its settings."""
    rules = fields.get("local_rules")
    return {**fields, "settings": {"local_rules": rules}} if rules else fields


def _is_unproven(change: Change) -> bool:
    return bool(core.needs_new_test(change.before or {}, change.after or {}))


async def _put_who_is_told(
    conn: Connection, made: Mapping[Noun, Sequence[Change]], gone: Mapping[Noun, Sequence[Key]]
) -> None:
    """A channel may go only after the policies have let go of it: so first all channels, then rotas and policies, then exactly these."""
    async with conn.cursor() as cursor:
        for change in made[Noun.RESPONDER]:
            before = {} if change.before is None else change.before["channels"]
            await policies.put_responder(cursor, _responder(change, before))
        for change in made[Noun.ROTA]:
            await duty.put_rota(cursor, core.rota_of(change.key.id, change.after or {}))
        for change in made[Noun.POLICY]:
            await policies.put_policy(cursor, core.policy_of(change.key.id, change.after or {}))
        for change in made[Noun.RESPONDER]:
            if change.before is not None and set(change.before["channels"]) - set((change.after or {})["channels"]):
                await policies.put_responder(cursor, _responder(change, {}))
        for key in gone[Noun.ROTA]:
            await duty.retire_rota(cursor, key.id)
        for key in gone[Noun.RESPONDER]:
            await policies.retire_responder(cursor, key.id)


def _responder(change: Change, kept: Mapping[str, Any]) -> policies.Responder:
    after = change.after or {}
    wanted = sorted(after["channels"].items(), key=lambda item: item[1]["rank"])
    channels = [*wanted, *((name, given) for name, given in kept.items() if name not in after["channels"])]
    return policies.Responder(
        change.key.id,
        after["title_zh"],
        after["title_en"],
        tuple(policies.Channel(name, given["kind"], given["settings"]) for name, given in channels),
        manned=after["manned"],
    )


async def _note(conn: Connection, changes: Sequence[Change], who: Principal) -> None:
    """The audit line and the change feed: names of things and fields, never a value."""
    by_institution: dict[str, list[Change]] = {}
    for change in changes:
        inside = change.key.id if change.key.noun is Noun.INSTITUTION else change.key.institution
        by_institution.setdefault(inside, []).append(change)
    rows = []
    for institution, group in sorted(by_institution.items()):
        counts: dict[str, Any] = dict(Counter(change.action for change in group))
        what = [
            {"action": c.action, "thing": str(c.key), "fields": list(c.differing) if c.action == "change" else []}
            for c in group[:_MAX_AUDITED]
        ]
        target = f"institution:{institution}" if institution else "hub:registry"
        await audit.record(conn, who.name, "manifest.apply", target, {**counts, "changes": what})
        rows.append({"institution": institution, "payload": {"institution": institution or None, **counts}})
    await conn.execute(_SQL["note_change"], {"rows": Jsonb(rows)})


# bundles --------------------------------------------------------------------------------------------------------------


async def client(conn: Connection, name: str) -> Client:
    """A client that is not revoked, locked for the rest of the transaction; raises NotFound."""
    row = await one_row(conn, _SQL["client"], {"name": name})
    if row is None:
        raise NotFound(f"there is no edge {name!r}")
    return Client(**{**row, "groups": tuple(row["groups"])})


async def behind(conn: Connection, edge: str) -> list[Behind]:
    """The endpoints of an edge with the devices behind them, in order, secrets included."""
    rows = await all_rows(conn, _SQL["behind"], {"name": edge})
    return [Behind(**{**row, "lane": None if row["lane"] is None else Lane(row["lane"])}) for row in rows]


async def local_rules(conn: Connection, edge: str) -> list[Mapping[str, Any]]:
    """The local rules of an edge, as its manifest declares them."""
    row = await one_row(conn, _SQL["edge_settings"], {"name": edge})
    return [] if row is None else list(row["settings"].get("local_rules", []))


async def issue(conn: Connection, name: str, password_hash: str, who: Principal) -> None:
    """Give a client a new password (its hash); the old one ends as soon as the broker has read the new."""
    await conn.execute(_SQL["issue"], {"name": name, "password_hash": password_hash})
    await conn.execute(_SQL["announce_clients"])
    await audit.record(conn, who.name, "bundle.issue", f"edge:{name}", {})
