"""What the boards stand on, for one district of the two: made in the tables themselves, plainly invented."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from hub.store.looks import GAP, LONGEST
from hub.store.queries import queries
from tests.store.findings import add_finding

LOOKS = queries("looks")


def seed_district(conn: psycopg.Connection[Any], district: str) -> None:
    """A place on the map, a verdict that turned, totals by day, an order, a waiver, a drill, a proof, attestations, recordings, a stream."""
    now = datetime.now(UTC)
    sun = f"sun-{district}"
    key = {"key": _key(conn, "select key from institution where id::text = %s", sun), "district": district, "now": now}
    conn.execute(
        "update institution set latitude = 36.2, longitude = 113.1, capacity = 40, title_en = 'Point ' || %(district)s where key = %(key)s",
        key,
    )
    conn.execute(
        "update zone set title_en = 'Nap ' || %(district)s, title_zh = '睡眠室' || %(district)s where institution = %(key)s",
        key,
    )
    # a rule that did not hold for a month, and does now; in the district it stands on a plan that nobody signed
    turned = now - timedelta(days=30)
    for verdict, since, until in (("non_compliant", turned - timedelta(days=30), turned), ("compliant", turned, None)):
        add_finding(
            conn, subject=sun, rule="rule-turned", basis="obligation", module="fire", verdict=verdict, since=since, until=until,
            sentence=(f"{district} 的句子", f"A sentence of {district}"), citation=_citation("转折", "Turned"), plan_not_signed=verdict == "compliant",
            evidence=[_part(district, verdict, since)],
        )  # fmt: skip
    figures = {f"{basis}/{module}": [1, 1, 2, 0, 0, 5, 3, 2, 1, 4] for basis in ("obligation", "target", "recommendation") for module in ("", "video", "panic", "access", "fire")}  # fmt: skip
    for back in range(40):
        for kind, place in (("division", district), ("division", "1404")):
            conn.execute(
                "insert into coverage_day values (%s, %s, %s, 4, 3, %s, 1, 2, 1, 1, %s, %s) on conflict do nothing",
                [
                    (now + timedelta(hours=8)).date() - timedelta(days=back),
                    kind,
                    place,
                    now - timedelta(seconds=90),
                    now,
                    Jsonb(figures),
                ],
            )
    conn.execute(
        "insert into work_order (institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, state,"
        " drafted_at, issued_at, issued_by, owner, due_at) values (%(key)s, 'rule-1', 'obligation', 'fire', %(cited)s, '整改' || %(district)s,"
        " 'Order ' || %(district)s, %(now)s - interval '20 days', 7, 'issued', %(now)s - interval '20 days', %(now)s - interval '19 days',"
        " 'test', %(district)s, %(now)s - interval '12 days')",
        key | {"cited": Jsonb(_citation("整改", "Order"))},
    )
    conn.execute(
        "insert into work_order_step (work_order, n, at, event, state, actor) select w.id, s.n, %(now)s - s.back, s.event, s.state, 'test' from work_order w,"
        " (values (1, interval '20 days', 'draft', 'draft'), (2, interval '19 days', 'issue', 'issued')) as s(n, back, event, state) where w.institution = %(key)s",
        key,
    )
    # a score that stood until twenty days ago, an hour in which nobody looked, and the one of now
    conn.execute(
        "insert into fire_risk (subject, institution, since, seen_at, score, certain, level, level_zh, level_en, hard, factors, weights)"
        " select %(sun)s, %(key)s, %(now)s - s.since, %(now)s - s.seen, s.score, s.certain, s.level, '高', s.level, false, s.factors, 'test' from (values"
        " (interval '40 days', interval '20 days', 80, 60, 'severe', '{\"exits\": [14, 14, 2, 0, \"出口\", \"Exits\"]}'::jsonb),"
        " (interval '20 days' - interval '1 hour', interval '1 minute', 30, 20, 'moderate', '{\"rooms\": [6, 0, 0, 1, \"房间\", \"Rooms\"]}'::jsonb))"
        " as s(since, seen, score, certain, level, factors)",
        key | {"sun": sun},
    )
    group = {"group": f"chain-{district}"}
    conn.execute(
        "insert into institution_group values (%(group)s, '组' || %(district)s, 'Group ' || %(district)s)", key | group
    )
    conn.execute("insert into group_member values (%(group)s, %(key)s)", key | group)
    conn.execute(
        "update institution set operator = '运营者' || %(district)s, created_at = %(now)s - interval '100 days' where key = %(key)s",
        key,
    )
    # the register holds both since a hundred days; it was connected eighty days ago
    conn.execute("set constraints all immediate")
    conn.execute("delete from register_version where division = %(district)s", key)
    conn.execute(
        "insert into register_version (filing_number, since, until, division, type, title_zh, title_en, institution)"
        " select filing_number, %(now)s - interval '100 days', case when institution is not null then %(now)s - interval '80 days' end, division, type,"
        " title_zh, title_en, null from register_entry where division = %(district)s"
        " union all select filing_number, %(now)s - interval '80 days', null, division, type, title_zh, title_en, institution"
        " from register_entry where division = %(district)s and institution is not null",
        key,
    )
    conn.execute(
        "insert into waiver (institution, rule, force, basis, title_zh, title_en, ground, approver, granted_at, since, expires_at) values"
        " (%(key)s, 'rule-2', 'POL', 'target', '要求', 'Requirement', '理由' || %(district)s, 'test', %(now)s, %(now)s - interval '1 day',"
        " %(now)s + interval '90 days')",
        key,
    )
    device = _key(conn, "select key from device where id::text = %s", f"d-0-{district}")
    position = _key(conn, "select position from device where id::text = %s", f"d-0-{district}")
    drill = uuid.uuid4()
    conn.execute(
        "insert into drill (id, title_zh, title_en, institution, starts_at, ends_at, declared_by, declared_at) values (%(id)s, '演练' || %(district)s,"
        " 'Drill ' || %(district)s, %(key)s, %(now)s - interval '5 days', %(now)s - interval '5 days' + interval '1 hour', 'test', %(now)s - interval '6 days')",
        key | {"id": drill},
    )
    pressed = uuid.uuid4()
    conn.execute(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at,"
        " acknowledged_at, ended_at, exercise, exercise_id) values (%(id)s, %(device)s, %(key)s, 'drilled', '', 'panic', 'critical', 'normal', true,"
        " %(now)s - interval '5 days', %(now)s - interval '5 days', %(now)s - interval '5 days' + interval '40 seconds', %(now)s, 'drill', %(drill)s)",
        key | {"id": pressed, "device": device, "drill": drill},
    )
    conn.execute(
        "insert into drill_press (drill, n, institution, position, signal_class, at, since, until, alarm, pressed_at) values (%(drill)s, 0, %(key)s,"
        " %(position)s, 'panic', %(now)s - interval '5 days', %(now)s - interval '5 days 5 minutes', %(now)s - interval '5 days' + interval '5 minutes',"
        " %(alarm)s, %(now)s - interval '5 days'), (%(drill)s, 1, %(key)s, %(position)s, 'fire', %(now)s - interval '5 days',"
        " %(now)s - interval '5 days', %(now)s - interval '5 days' + interval '5 minutes', null, null)",
        key | {"drill": drill, "position": position, "alarm": pressed},
    )
    conn.execute(
        "insert into proof (id, device, institution, definition, point, level, requested_by, requested_at, expires_at, state, finished_at) values"
        " (gen_random_uuid(), %(device)s, %(key)s, 'a', 'level', 'hub', 'test', %(now)s - interval '2 days', %(now)s - interval '1 day', 'passed',"
        " %(now)s - interval '2 days')",
        key | {"device": device},
    )
    for kind, expires in (("patrol", "1 day"), ("fire_certificate", "-1 day")):
        conn.execute(
            "insert into attestation (id, institution, kind, at, expires_at, number, recorded_by) values (gen_random_uuid(), %(key)s, %(kind)s,"
            " %(now)s - interval '2 days', %(now)s + %(expires)s::interval, 'N-' || %(district)s, 'test')",
            key | {"kind": kind, "expires": expires},
        )
    for n, (outlook, days) in enumerate((("short", 71.0), ("unknown", None)), 1):
        conn.execute(
            "insert into recording_state (device, institution, days, read_at, installed_at, floor_days, outlook, counted_days, needed_days, short_at,"
            " full_at, updated_at) select key, institution, %(days)s, %(now)s - interval '1 hour', %(now)s - interval '200 days', 90, %(outlook)s,"
            " %(days)s, 90, %(now)s, %(now)s, %(now)s from device where id::text = %(device)s",
            key | {"outlook": outlook, "days": days, "device": f"d-{n}-{district}"},
        )
    looked = now - timedelta(days=2)
    for what in ("devices", "recordings"):
        found = conn.execute(LOOKS[what], {"keys": [key["key"]], "at": looked}).fetchall()
        rows = Jsonb([{"institution": institution, "body": body} for institution, body in found])
        conn.execute(LOOKS["keep"], {"rows": rows, "what": what, "at": looked, "gap": GAP, "longest": LONGEST})
    conn.execute(
        "insert into client (name, device) values (%(name)s, %(device)s)", {"name": f"d-0-{district}", "device": device}
    )
    conn.execute(
        "insert into stream (stream, client, lane, upto, newest_at, updated_at, beat_at) values (%(district)s, 'd-0-' || %(district)s, 'urgent', 7,"
        " %(now)s, %(now)s, %(now)s)",
        key,
    )
    conn.execute(
        "insert into lane_watch values (%(part)s, 'urgent', %(now)s, %(now)s)", key | {"part": int(district[-1])}
    )


def _part(district: str, verdict: str, since: datetime) -> dict[str, Any]:
    """What a finding says of the zone `nap`, as hub.core.coverage.statements writes it."""
    met = verdict == "compliant"
    said = ("proven", "ok") if met else ("none", "failed")
    device = {"device": f"d-0-{district}", "zone": "nap", "contribution": said[0], "reason": said[1], "since": since.isoformat(), "last_heard_at": None, "by": "", "value": None, "at": None}  # fmt: skip
    return {"zone": "nap", "purpose": "nap_room", "title_zh": "睡眠室", "title_en": "Nap", "verdict": verdict, "needed": 1, "proven": int(met), "unknown": 0, "devices": [device], "place": "", "facts": []}  # fmt: skip


def _citation(zh: str, en: str) -> dict[str, Any]:
    return {
        "clause_id": "FIR-01",
        "document": "某标准",
        "number": "GB 1",
        "clause": "4.2",
        "force": "NORM",
        "title_zh": zh,
        "title_en": en,
    }


def _key(conn: psycopg.Connection[Any], query: str, *values: object) -> int:
    row = conn.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
