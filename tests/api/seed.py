"""A small city in the database, by SQL: the same tenant gives the same rows, whatever else is there."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from hub.core.rights import Role, Scope
from hub.profiles import Profile, parse_profile
from hub.store.access import _digest

NOW = datetime(2026, 11, 21, 8, 0, 0, 123456, UTC)
_NAME = {"zh": "测试", "en": "test"}
PROFILE: Profile = parse_profile(
    {
        "profile": "test-button",
        "kind": "panic_button",
        "vendor": "nobody",
        "model": "test",
        "title": _NAME,
        "source": "made for these tests",
        "driver": "modbus",
        "liveness": {"beat": "2s", "offline_after": "6s"},
        "points": {
            "pressed": {"title": _NAME, "type": "bool"},
            "level": {"title": _NAME, "type": "float", "unit": "%"},
            "mode": {"title": _NAME, "type": "int", "every": "30s", "enum": {0: "idle", 1: "armed"}},
        },
        "alarms": {
            "pressed": {
                "title": {"zh": "紧急按钮", "en": "Panic button"},
                "class": "panic",
                "priority": "critical",
                "point": "pressed",
                "condition": {"equals": True},
                "latching": True,
                "response": {"zh": "去看", "en": "Go and look"},
            }
        },
        "test": {"seen": ["pressed"], "within": "30s"},
    },
    "tests/api/seed.py",
)
PROFILES = {PROFILE.profile: PROFILE}


def at(seconds: float) -> datetime:
    """A time relative to NOW."""
    return NOW + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Tenant:
    """What `add_tenant` made."""

    name: str
    division: str
    institution: str
    key: int
    button: str
    button_key: int
    alarm: UUID
    ended_alarm: UUID
    test: UUID


async def divisions(conn: AsyncConnection[Any], *codes: str) -> None:
    """Divisions with their parents among `codes`, parents first."""
    for code in codes:
        parents = [other for other in codes if other != code and code.startswith(other)]
        await conn.execute(
            "insert into division (code, parent, title_zh, title_en) values (%s, %s, %s, %s) on conflict do nothing",
            [code, max(parents, key=len, default=None), f"区划{code}", f"division {code}"],
        )


async def _one(conn: AsyncConnection[Any], statement: str, values: list[Any]) -> Any:
    row = await (await conn.execute(statement.encode(), values)).fetchone()
    assert row is not None
    return row[0]


async def add_tenant(conn: AsyncConnection[Any], name: str, division: str) -> Tenant:
    """An institution with everything that the API shows, all of it named after `name`."""
    key = await _institution(conn, name, division)
    zone = await _one(
        conn,
        "insert into zone (institution, id, purpose, title_zh, title_en, area_m2, floor) "
        "values (%s, 'nap', 'nap_room', '睡眠室', 'Nap room', 30.5, 1) returning key",
        [key],
    )
    await conn.execute(
        "insert into zone (institution, id, purpose, title_zh, title_en) values (%s, 'door', 'entrance', '门厅', 'Door')",
        [key],
    )
    position = await _one(
        conn,
        "insert into position (institution, id, zone, title_zh, title_en) values (%s, 'wall', %s, '墙', 'Wall') returning key",
        [key, zone],
    )
    await conn.execute("update zone_plan set changed_at = %s where institution = %s", [at(-86400), key])
    await conn.execute("insert into camera_view values (%s, %s, 0.5, false)", [position, zone])
    await conn.execute(
        "insert into attestation (id, institution, kind, at, done_by, recorded_by, recorded_at)"
        " values (%s, %s, 'patrol', %s, %s, 'operator', %s)",
        [uuid5(NAMESPACE_URL, f"patrol-{name}"), key, at(-7200), f"guard of {name}", at(-7000)],
    )
    await conn.execute(
        "insert into retyping (institution, at, actor, type_before, type_after, division_before, division_after)"
        " values (%s, %s, %s, 'home', 'comprehensive', %s, %s)",
        [key, at(-5000), f"installer of {name}", division, division],
    )
    edge = await _device(conn, f"{name}-edge", key, "edge", None, None)
    endpoint = await _one(
        conn,
        "insert into endpoint (institution, id, driver, edge, settings) values (%s, 'line', 'modbus', %s, %s) returning key",
        [key, edge, Jsonb({"password": f"secret-of-{name}"})],
    )
    button = await _device(conn, f"{name}-button", key, "panic_button", position, endpoint)
    await conn.execute("insert into client (name, device) values (%s, %s)", [f"{name}-edge", edge])
    await _telemetry(conn, name, button)
    alarm = await _alarm(conn, name, key, button, "one", "unack_active", -60)
    ended = await _alarm(conn, name, key, button, "two", "normal", -600)
    await _escalation(conn, name, key, alarm)
    test = uuid5(NAMESPACE_URL, f"test-{name}")
    await conn.execute(
        "insert into device_test (id, device, requested_by, requested_at, within, state, finished_at, detail) "
        "values (%s, %s, 'installer', %s, '30s', 'expired', %s, 'no good value of pressed')",
        [test, button, at(-3000), at(-2970)],
    )
    return Tenant(name, division, f"{name}-home", key, f"{name}-button", button, alarm, ended, test)


async def _institution(conn: AsyncConnection[Any], name: str, division: str) -> int:
    key: int = await _one(
        conn,
        "insert into institution (id, division, type, title_zh, title_en, capacity, latitude, longitude, operator, partition,"
        " created_at) values (%s, %s, 'comprehensive', '园', 'Home', 60, 36.2, 113.1, %s, 0, %s) returning key",
        [f"{name}-home", division, f"operator of {name}", at(-86400)],
    )
    await conn.execute(
        "insert into institution_external_id (scheme, value, institution) values ('filing', %s, %s)", [f"F-{name}", key]
    )
    await conn.execute(
        "insert into register_entry (filing_number, division, type, title_zh, title_en, capacity, institution) values "
        "(%s, %s, 'comprehensive', '园', 'Home', 60, %s), (%s, %s, 'home', '未接入', 'Not connected', 5, null)",
        [f"F-{name}", division, key, f"F-{name}-missing", division],
    )
    await conn.execute(
        "insert into institution_group (id, title_zh, title_en) values (%s, '组', 'Group')", [f"{name}-group"]
    )
    await conn.execute("insert into group_member (group_id, institution) values (%s, %s)", [f"{name}-group", key])
    return key


async def _device(
    conn: AsyncConnection[Any], id: str, institution: int, kind: str, position: int | None, endpoint: int | None
) -> int:
    key: int = await _one(
        conn,
        "insert into device (id, institution, position, endpoint, profile, kind, lane, settings, created_at) "
        "values (%s, %s, %s, %s, 'test-button', %s, 'urgent', %s, %s) returning key",
        [id, institution, position, endpoint, kind, Jsonb({"community": f"secret-of-{id}"}), at(-80000)],
    )
    await conn.execute(
        "insert into device_state (device, admin_state, admin_since, link_state, link_since, link_cause, last_heard_at, "
        "function_state, function_since) values (%s, 'in_service', %s, 'online', %s, '', %s, 'ok', %s)",
        [key, at(-70000), at(-69000), at(-1), at(-69000)],
    )
    return key


async def _telemetry(conn: AsyncConnection[Any], name: str, device: int) -> None:
    for point, value in (("level", 99.5), ("mode", 1.0)):
        series = await _one(conn, "insert into series (device, point) values (%s, %s) returning key", [device, point])
        for n in range(5):
            await conn.execute(
                "insert into reading (series_id, at, received_at, value, quality) values (%s, %s, %s, %s, %s)",
                [series, at(-n * 10), at(-n * 10 + 0.1), value - n if point == "level" else value, 0 if n else 101],
            )
        await conn.execute(
            "insert into point_state (series, at, received_at, value, quality, changed_at, stored_at) "
            "values (%s, %s, %s, %s, 0, %s, %s)",
            [series, at(0), at(0.1), value, at(-40), at(0)],
        )
    await _streams(conn, f"{name}-edge", device)
    for n in range(3):
        await conn.execute(
            "insert into event (stream, seq, n, device, point, at, received_at, value, quality) "
            "values (%s, %s, 0, %s, 'pressed', %s, %s, 1, 0)",
            [f"{name}-stream-urgent", n + 1, device, at(-n), at(-n + 0.1)],
        )
        await conn.execute(
            "insert into quarantine (received_at, client, source, stream, seq, n, code, reason, payload) "
            "values (%s, %s, %s, %s, %s, 0, 'payload', 'not JSON', %s)",
            [at(-(n // 2)), f"{name}-edge", f"topic of {name}", f"{name}-stream-urgent", n + 10, b"\x00\xff{"],
        )


async def _streams(conn: AsyncConnection[Any], client: str, device: int) -> None:
    """The urgent lane of an edge with its balance of two hours, and two gaps."""
    stream = f"{client}-urgent"
    await conn.execute(
        "insert into stream (stream, client, lane, upto, newest_at, updated_at, began_at, counted, given, beat_at) "
        "values (%s, %s, 'urgent', 9, %s, %s, %s, 100, 120, %s)",
        [stream, client, at(0), at(0), at(-80000), at(0)],
    )
    for n, missing in enumerate((0, 3)):
        await conn.execute(
            "insert into stream_tally (stream, hour, produced, stored, suppressed, events, beats, duplicates, quarantined, dropped, "
            "missing) values (%s, %s, 50, 20, %s, 3, 10, 1, 2, 4, %s)",
            [stream, at(-3600 * n).replace(minute=0, second=0, microsecond=0), 10 - missing, missing],
        )
    for of, since, until, cause, items in (
        (None, -5400, -4500, "edge", None),
        (None, -5400, -5000, "dropped", 4),
        (device, -1800, -900, "device", None),
    ):
        await conn.execute(
            "insert into gap (client, lane, device, since, until, cause, items, noted_at) values (%s, 'urgent', %s, %s, %s, %s, %s, %s)",
            [client, of, at(since), at(until), cause, items, at(0)],
        )


async def _alarm(
    conn: AsyncConnection[Any], name: str, institution: int, device: int, instance: str, state: str, seconds: float
) -> UUID:
    alarm = uuid5(NAMESPACE_URL, f"alarm-{name}-{instance}")
    ended = at(seconds + 30) if state == "normal" else None
    await conn.execute(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, "
        "received_at, ended_at) values (%s, %s, %s, 'pressed', %s, 'panic', 'critical', %s, true, %s, %s, %s)",
        [alarm, device, institution, instance, state, at(seconds), at(seconds + 0.1), ended],
    )
    await conn.execute(
        "insert into alarm_transition (alarm, n, event, from_state, to_state, at, recorded_at) "
        "values (%s, 1, 'raise', 'normal', 'unack_active', %s, %s)",
        [alarm, at(seconds), at(seconds + 0.2)],
    )
    return alarm


async def _escalation(conn: AsyncConnection[Any], name: str, institution: int, alarm: UUID) -> None:
    duty = f"{name}-duty"
    await conn.execute("insert into responder (id, title_zh, title_en) values (%s, '值班', 'Duty')", [duty])
    await conn.execute(
        "insert into responder_channel (responder, id, kind, settings) values (%s, 'hook', 'webhook', %s)",
        [duty, Jsonb({"url": f"https://secret-of-{name}.invalid", "secret": f"secret-of-{name}"})],
    )
    await conn.execute(
        "insert into policy (id, title_zh, title_en, institution, signal_classes, priorities, round_every) "
        "values (%s, '升级', 'Escalation', %s, '{fire,panic}', '{critical}', '5m')",
        [f"{name}-policy", institution],
    )
    await conn.execute(
        "insert into policy_step (policy, n, responder, channel, delay) values (%s, 1, %s, 'hook', '10s')",
        [f"{name}-policy", duty],
    )
    await conn.execute(
        "insert into escalation (alarm, institution, urgency, policy, plan, state, started_at, round, round_started_at) "
        "values (%s, %s, 0, %s, '{}', 'running', %s, 0, %s)",
        [alarm, institution, f"{name}-policy", at(-60), at(-60)],
    )
    await conn.execute(
        "insert into escalation_step (alarm, round, step, repetition, responder, channel, due_at, urgency, state, ended_at) "
        "values (%s, 0, 1, 0, %s, 'hook', %s, 0, 'done', %s)",
        [alarm, duty, at(-50), at(-50)],
    )
    notification = uuid5(NAMESPACE_URL, f"notification-{name}")
    await conn.execute(
        "insert into notification (id, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, "
        "created_at, state, attempts, next_attempt_at, ended_at) "
        "values (%s, %s, %s, 0, 1, 0, %s, 'hook', 0, %s, %s, 'sent', 1, %s, %s)",
        [notification, alarm, institution, duty, at(-50), at(-50), at(-50), at(-49)],
    )
    await conn.execute(
        "insert into attempt (notification, n, at, outcome, code) values (%s, 1, %s, 'delivered', 204)",
        [notification, at(-49.5)],
    )


async def say(conn: AsyncConnection[Any], institution: int | None, kind: str = "alarm", **payload: Any) -> None:
    """A row of the change feed."""
    await conn.execute(
        "insert into change (kind, institution, payload) values (%s, %s, %s)", [kind, institution, Jsonb(payload)]
    )


async def give_token(conn: AsyncConnection[Any], id: str, role: Role, scope: Scope, **more: Any) -> str:
    """A token with a fixed id and secret; returns the secret."""
    key = id.ljust(43, "k")
    row = {"created_at": at(-1000), "expires_at": None, "revoked_at": None, "name": f"holder of {id}"} | more
    await conn.execute(
        "insert into token (id, name, kind, role, scope, secret_sha256, created_by, created_at, expires_at, revoked_at) "
        "values (%s, %s, 'person', %s, %s, %s, 'tests', %s, %s, %s)",
        [
            id,
            row["name"],
            role.value,
            Jsonb(scope.as_json()),
            _digest(key),
            row["created_at"],
            row["expires_at"],
            row["revoked_at"],
        ],
    )
    return f"hub_{id}_{key}"


async def connect(url: str) -> AsyncConnection[Any]:
    """An autocommit connection for seeding and for looking."""
    return await psycopg.AsyncConnection.connect(url, autocommit=True)
