"""What the judge looks at, as it is read from a real database: the plan, views, statements, proofs, values, times; and no name of a person."""

from collections.abc import AsyncIterator, Iterator

import pytest

from hub.core.coverage.facts import Attestation, DeviceFact, InstitutionFacts, View
from hub.model import SECOND, to_micros
from hub.store.coverage_facts import UNCONNECTED, Facts
from hub.store.pool import Connection, connect
from tests.store.coverage_register import PROFILES, Register

HOUR = 3600 * SECOND
PERSON = "某某值班员"


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.institution("moon")
    made.zone("sun", "act", "activity_room")
    made.zone("sun", "hall", "lobby")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.listen()
    yield made
    made.close()


@pytest.fixture
async def conn(fresh_database: str, register: Register) -> AsyncIterator[Connection]:
    opened = await connect(fresh_database, "facts", autocommit=True)
    async with opened:
        yield opened


async def facts(conn: Connection, subject: str = "sun") -> InstitutionFacts:
    async with conn.transaction():
        [found] = await Facts(conn, PROFILES, ["days"]).of([subject])
    return found


async def device(conn: Connection, id: str = "cam-1") -> DeviceFact:
    return next(one for one in (await facts(conn)).devices if one.id == id)


async def test_a_plan_is_signed_as_it_is_a_view_for_its_camera_and_the_register_tells_who_is_on_it(
    conn: Connection, register: Register
) -> None:
    await check_the_plan(conn, register)
    await check_the_register(conn, register)
    await check_views(conn, register)


async def check_the_plan(conn: Connection, register: Register) -> None:
    register.do("update zone set area_m2 = 40, floor = 2, entrances = '{hall}', ages = '{infant}' where id = 'act'")
    found = await facts(conn)
    [act, hall] = found.zones
    assert (act.floor, act.area_m2, act.entrances, act.ages) == ("2", 40, ("hall",), ("infant",))
    assert (hall.floor, found.area_m2, found.plan_signed) == ("", None, False)
    register.do("update zone set area_m2 = 10 where id = 'hall'")
    sign = (
        "insert into zone_plan_signature (id, institution, digest, plan, version, signed_by)"
        " select gen_random_uuid(), institution, repeat('a', 64), '{}', version, 'x' from zone_plan"
    )
    register.do(sign)
    found = await facts(conn)
    assert found.plan is not None
    assert (found.area_m2, found.plan_signed, found.plan.version) == (50, True, 4)
    register.do("update zone set floor = 3 where id = 'act'")
    assert not (await facts(conn)).plan_signed
    register.do(sign)
    assert (await facts(conn)).plan_signed
    register.do("update zone set floor = 2 where id = 'act'")
    assert not (await facts(conn)).plan_signed  # back as it was signed once, but nobody signed it since
    register.zone("sun", "yard", "outdoor_play")
    assert (await facts(conn)).area_m2 == 50, (
        "the floor of the building: of a playground nobody need say how large it is"
    )
    register.do("update zone set retired_at = now() where id = 'yard'")


async def check_the_register(conn: Connection, register: Register) -> None:
    register.do("update register_entry set capacity = 60")
    own = await facts(conn)
    register.do("insert into division values ('11', null, '北京市', 'Beijing')")
    register.do("update institution set type = 'station', division = '11'")
    judged, alone = await facts(conn), await facts(conn, "moon")
    assert (judged.type, judged.division) == (own.type, own.division) != (alone.type, alone.division)
    assert (alone.type, alone.division) == ("station", "11"), "who is on no register is what it says itself"
    sun, moon, entry = await facts(conn), await facts(conn, "moon"), await facts(conn, UNCONNECTED + "CZ-2")
    assert (sun.registered, sun.filing_number, sun.capacity) == (True, "CZ-1", 60)
    assert (moon.registered, moon.filing_number) == (False, "")
    assert (entry.connected, entry.registered, entry.capacity) == (False, True, 60)
    assert moon.plan is not None
    assert (moon.plan.version, moon.plan_signed) == (0, False)


async def check_views(conn: Connection, register: Register) -> None:
    register.do(
        "insert into camera_view select p.key, z.key, 0.5, z.id = 'hall', '2026-01-01', 'x', d.key"
        " from position p join zone z on z.institution = p.institution join device d on d.position = p.key"
    )
    attested = to_micros(register.all("select attested_at from camera_view limit 1")[0][0])
    assert (await device(conn)).sees == (View("act", 0.5, attested), View("hall", 0.5, attested, masked=True))
    register.do("update device set position = null where id = 'cam-1'")
    register.device("sun", "cam-2", "axis-camera", None)
    register.do("update device set position = (select key from position where id = 'cam-1') where id = 'cam-2'")
    assert [view.attested_at for view in (await device(conn, "cam-2")).sees] == [None, None]
    assert (await device(conn)).sees == ()


async def test_what_people_stated_is_told_without_their_names(conn: Connection, register: Register) -> None:
    def state(n: int, kind: str, more: str = "", values: str = "") -> str:
        register.do(
            f"insert into attestation (id, institution, kind, at, done_by, note, recorded_by{more})"
            f" select '00000000-0000-0000-0000-{n:012}', key, %s, now() - interval '1 h', %s, %s, %s{values}"
            " from institution where id = 'sun'",
            kind, PERSON, PERSON, PERSON,
        )  # fmt: skip
        return f"00000000-0000-0000-0000-{n:012}"

    signed, alone = state(1, "patrol"), state(2, "patrol", ", number", f", '{PERSON}'")
    register.do("insert into attestation_second values (%s, 'y')", signed)
    wrong = state(3, "sign")
    right = state(4, "sign", ", supersedes", f", '{wrong}'")
    state(5, "extinguishers", ", supersedes, void", f", '{state(6, 'extinguishers')}', true")
    zone = "(select key from zone where id = 'act')"
    receipt = state(7, "filing_receipt", ", number, zone, expires_at", f", 'N-1', {zone}, now() + interval '1 y'")
    old = state(8, "patrol", ", recorded_at", ", now() - interval '90 d'")
    assert len((await facts(conn)).attestations) == 5
    register.do("insert into drill (id, title_zh, title_en, institution, starts_at, ends_at, declared_by, declared_at)"
                " select %s, 'x', 'x', key, now() - interval '3 h', now() - interval '2 h', 'x', now() from institution where id = 'sun'",
                "00000000-0000-0000-0000-00000000000d")  # fmt: skip
    press = (
        "insert into drill_press (drill, n, institution, position, signal_class, at, since, until, alarm, pressed_at)"
        " select %s, %s, p.institution, p.key, 'panic', now(), now(), now(), a.id, a.raised_at from position p left join alarm a on %s"
    )
    register.do(
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)"
        " select gen_random_uuid(), key, institution, 'x', 'panic', 'critical', 'unack_active', false, now() - interval '130 min',"
        " now() from device where id = 'cam-1'"
    )
    register.do(press, "00000000-0000-0000-0000-00000000000d", 0, True)
    register.do(
        "insert into police_window (id, device, institution, reference, agreed_by, starts_at, ends_at, booked_by, receipt_number,"
        " receipt_text, receipt_by, receipt_at) select %s, key, institution, 'x', 'x', now() - interval '3 h', now(), 'x', 'R-9', 'x', 'x', now()"
        " from device where id = 'cam-1'",
        "00000000-0000-0000-0000-00000000000f",
    )
    found = await facts(conn)
    by_id = {one.id: one for one in found.attestations}
    assert len(by_id) == len(found.attestations)  # each counts once
    drill, window = "drill:00000000-0000-0000-0000-00000000000d", "window:00000000-0000-0000-0000-00000000000f"
    assert set(by_id) == {signed, alone, right, receipt, old, drill, window}
    assert (by_id[signed].seconded, by_id[alone].seconded) == (True, False)
    assert isinstance(by_id[receipt], Attestation)
    assert (by_id[receipt].number, by_id[receipt].zone, by_id[receipt].expires_at is None) == ("N-1", "act", False)
    assert (by_id[window].kind, by_id[window].device, by_id[window].number) == ("police_test", "cam-1", "R-9")
    assert PERSON not in repr(found)
    register.do(press, "00000000-0000-0000-0000-00000000000d", 1, False)
    state(9, "police_test", ", police_window", ", '00000000-0000-0000-0000-00000000000f'")
    ids = {one.id for one in (await facts(conn)).attestations}
    assert drill not in ids  # a press that was named did not come
    assert window not in ids  # stated by a person now: it counts once


async def test_devices_alarms_and_hours_tell_what_rules_ask_of_them(conn: Connection, register: Register) -> None:
    await check_hours(conn, register)
    await check_a_device(conn, register)
    await check_alarms(conn, register)


async def check_a_device(conn: Connection, register: Register) -> None:
    register.device("sun", "edge-1", "anxin-edge", None)
    register.device("sun", "nvr-1", "onvif-recorder", None)
    register.do("insert into endpoint (institution, id, driver, edge, settings) select institution, 'lan', 'onvif', key, '{}'"
                " from device where id = 'edge-1'")  # fmt: skip
    register.do("update device set endpoint = (select key from endpoint), recorded_by = 'nvr-1' where id = 'cam-1'")
    register.do("insert into series (device, point) select key, 'days' from device where id in ('nvr-1', 'cam-1')")
    register.do("insert into point_state select key, now(), now(), 71.5, null, case when device = (select key from device where id"
                " = 'nvr-1') then 0 else 201 end, now(), now() from series")  # fmt: skip
    register.do("update device_state set last_heard_at = now(), proven_at = now() - interval '1 d'"
                " where device = (select key from device where id = 'cam-1')")  # fmt: skip
    camera, recorder = await device(conn), await device(conn, "nvr-1")
    assert camera.behind == ("link:lan", "recorder:nvr-1", "edge:edge-1", "uplink:sun")
    assert recorder.behind == ("uplink:sun",)
    [(capability, proven)] = camera.proven
    now = to_micros(register.all("select now()")[0][0])
    assert (capability, recorder.proven) == ("video.live", ())  # before tests said it: the only thing that it does
    assert 24 * HOUR <= now - proven < 25 * HOUR
    await check_what_it_hangs_on(conn, register)
    await check_what_was_shown(conn, register)
    assert ([value.value for value in recorder.values], camera.values) == ([71.5], ())  # a bad reading is no value
    assert all(value.at % HOUR == 0 and 0 <= now - value.at <= HOUR for value in recorder.values)
    assert camera.last_heard_at is not None
    assert 0 <= now - camera.last_heard_at <= 6 * HOUR  # what beats is told coarsely, never too new


async def check_what_it_hangs_on(conn: Connection, register: Register) -> None:
    register.device("sun", "sw-1", "if-mib-switch", None)
    register.do("update device set switch = 'sw-1' where id = 'cam-1'")
    register.do("update device set switch = 'core', powered_by = 'ups' where id = 'sw-1'")
    register.do("update device set switch = 'core' where id = 'edge-1'")
    assert (await device(conn)).behind == (
        "link:lan", "switch:sw-1", "power:ups", "recorder:nvr-1", "edge:edge-1", "switch:core", "uplink:sun",
    )  # fmt: skip


async def check_what_was_shown(conn: Connection, register: Register) -> None:
    register.device("sun", "both", "demo-onvif-camera", None)
    assert (await device(conn, "both")).unproven == frozenset()  # never tested: unproven as a whole, by its function
    test = "update device_state set proven_at = now(), proven = %s::jsonb where device = (select key from device where id = 'both')"
    register.do(test, None)
    assert (await device(conn, "both")).unproven == {"video.live", "video.record"}  # of two nobody knows which was seen
    register.do(test, '{"video.live": 1790000000000000}')
    seen = await device(conn, "both")
    assert seen.proven == (("video.live", 1_790_000_000_000_000),)
    assert seen.unproven == {"video.record"}
    register.do(
        "insert into proof (id, device, institution, definition, point, level, requested_by, expires_at, state, finished_at, shows)"
        " select gen_random_uuid(), key, institution, 'x', 'x', 'device', 'x', clock_timestamp() + interval '1 min', 'passed',"
        " clock_timestamp(), shows from device, (values (array['video.record']), (null)) as t(shows) where id = 'both'"
    )
    proven = await device(conn, "both")
    assert ([name for name, _ in proven.proven], proven.unproven) == (["video.live", "video.record"], frozenset())


async def check_alarms(conn: Connection, register: Register) -> None:
    register.do("update institution set calendar = null")
    panic = next(name for name, one in PROFILES.items() if any(a.signal_class == "panic" for a in one.alarms.values()))
    register.zone("sun", "duty", "duty_room")
    register.device("sun", "button", panic, "duty")
    register.do("update device set lane = 'urgent' where id = 'button'")
    register.do(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at,"
        " received_at, exercise) select gen_random_uuid(), key, institution, 'x', n::text, 'panic', 'critical', 'unack_active', false,"
        " now() - n * interval '1 h', now() - n * interval '1 h' + interval '2 s', (array[null, 'drill', 'proof'])[n]"
        " from device, generate_series(1, 3) n where id = 'button'"
    )
    found = await facts(conn)
    kinds = [(one.kind, None if one.ended_at is None else one.ended_at - one.began_at) for one in found.intervals]
    once = [("press-centre", 2 * SECOND), ("press-people", None), ("centre-people", None)]
    assert kinds == once * 2  # the real one and the drill; nobody was told yet
    assert {(one.signal_class, one.always) for one in found.armed_always if one.device == "button"} >= {("panic", True)}
    register.do("update alarm set shelved_until = now() + interval '1 h', shelved_by = 'x', shelved_with = 'y', shelve_reason = 'z'"
                " where instance = '1'")  # fmt: skip
    assert ("button", "panic", False) in {
        (one.device, one.signal_class, one.always) for one in (await facts(conn)).armed_always
    }


async def check_hours(conn: Connection, register: Register) -> None:
    assert (await facts(conn)).intervals == ()
    day = '["07:00-12:00", "13:00-18:00"]'
    weekly = ", ".join(f'"{name}": {day}' for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    register.do("update institution set calendar = %s::jsonb", f'{{"weekly": {{{weekly}}}, "public_holidays": false}}')
    hours = (await facts(conn)).intervals
    now = to_micros(register.all("select now()")[0][0])
    assert 14 <= len(hours) <= 16
    assert all(one.kind == "open" and one.ended_at is not None and one.ended_at <= now for one in hours)
    assert all((one.ended_at or 0) - one.began_at == 5 * HOUR for one in hours)
