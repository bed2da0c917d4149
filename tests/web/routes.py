"""Every route of the console, what it is asked with, and what it may show and do: the one table that the tests of pages and rights walk over.

A route that is not here makes tests/web/test_routes.py fail, so that none is forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from psycopg import AsyncConnection

from hub.core.rights import EVERYTHING, Permission
from hub.store import zone_plans
from tests.api import seed

READ = Permission.READ
Ids = Mapping[str, str]


@dataclass(frozen=True)
class Shown:
    """A page: where it is found, and the permission that it asks for. `whole`: without a name of one tenant in its path."""

    at: str
    permission: Permission = READ
    whole: bool = False


@dataclass(frozen=True)
class Done:
    """A form: where it is sent, with what, and the permission that it asks for."""

    at: str
    fields: Mapping[str, str] = field(default_factory=dict)
    permission: Permission = Permission.ACKNOWLEDGE
    answers: tuple[int, ...] = (404,)
    """what somebody is told to whom this tenant does not exist"""


PUBLIC = {("/login", "GET"), ("/login", "POST"), ("/static/{digest}/{name}", "GET"), ("/events", "GET")}
"""asked without a login, or (the stream) asking for it in its own way: tests of their own hold them"""

APART = {("/ledgers/{division}/{period}.{kind}", "GET")}
"""asked with a scope over a whole division, which no keeper has: a test of its own holds it"""

PAGES: Mapping[str, tuple[Shown, ...]] = {
    "/": (Shown("/", whole=True), Shown("/?institution={institution}")),
    "/waiting": (Shown("/waiting", whole=True),),
    "/alarms": (Shown("/alarms", whole=True), Shown("/alarms?institution={institution}")),
    "/alarms/{alarm:uuid}": (Shown("/alarms/{alarm}"),),
    "/alarms/{alarm:uuid}/why": (Shown("/alarms/{alarm}/why"), Shown("/alarms/{alarm}/why?at=2026-11-21T16:00:00")),
    "/institutions": (Shown("/institutions", whole=True), Shown("/institutions?q=home", whole=True)),
    "/institutions/{institution}": (Shown("/institutions/{institution}"),),
    "/institutions/{institution}/floors/{floor}": (Shown("/institutions/{institution}/floors/1"),),
    "/coverage": (Shown("/coverage", whole=True), Shown("/coverage?division={division}", whole=True)),
    "/coverage/{subject}/what-if": (
        Shown("/coverage/{institution}/what-if"),
        Shown("/coverage/{institution}/what-if?at=2027-09-01T00:00&recommendations=1"),
    ),
    "/coverage/{subject}": (
        Shown("/coverage/{institution}"),
        Shown("/coverage/{institution}?at=2026-11-21T16:00:00"),
        Shown("/coverage/{institution}?known_at=2026-11-21T16:00:00"),
    ),
    "/attestations": (Shown("/attestations", whole=True), Shown("/attestations?institution={institution}", whole=True)),
    "/attestations/{attestation:uuid}/attachments/{n:int}": (Shown("/attestations/{attestation}/attachments/1"),),
    "/devices/{device}": (Shown("/devices/{device}"), Shown("/devices/{edge}")),
    "/duty": (Shown("/duty", whole=True),),
    "/drills": (Shown("/drills", whole=True),),
    "/drills/new": (
        Shown("/drills/new", Permission.EXERCISE, whole=True),
        Shown("/drills/new?institution={institution}", Permission.EXERCISE, whole=True),
        Shown("/drills/new?division={division}", Permission.EXERCISE, whole=True),
        Shown("/drills/new?group={group}", Permission.EXERCISE, whole=True),
    ),
    "/drills/{drill:uuid}": (Shown("/drills/{drill}"),),
    "/drills/{drill:uuid}/report.{kind}": (Shown("/drills/{drill}/report.html"), Shown("/drills/{drill}/report.csv")),
    "/proofs": (
        Shown("/proofs", whole=True),
        Shown("/proofs?overdue=1", whole=True),
        Shown("/proofs?institution={institution}", whole=True),
    ),
    "/proofs/{proof:uuid}": (Shown("/proofs/{proof}"),),
    "/tests": (Shown("/tests", whole=True),),
    "/maintenance": (Shown("/maintenance", whole=True), Shown("/maintenance?institution={institution}", whole=True)),
    "/orders": (
        Shown("/orders", whole=True),
        Shown("/orders?view=open", whole=True),
        Shown("/orders?institution={institution}", whole=True),
    ),
    "/orders/{order:uuid}": (Shown("/orders/{order}"),),
    "/retypings": (Shown("/retypings", whole=True), Shown("/retypings?institution={institution}", whole=True)),
    "/waivers": (Shown("/waivers", whole=True), Shown("/waivers?institution={institution}", whole=True)),
    "/ledgers": (Shown("/ledgers", whole=True), Shown("/ledgers?division={division}", whole=True)),
    "/noise": (
        Shown("/noise", whole=True),
        Shown("/noise?days=30", whole=True),
        Shown("/noise?post={post}", whole=True),
    ),
}
"""Every GET. What is `whole` is shown to everybody, with what lies in their scope."""

_LATER = "2026-11-21T17:30:00"
ACTIONS: Mapping[str, Done] = {
    "/logout": Done("/logout", permission=READ, answers=(303,)),
    "/alarms/{alarm:uuid}/{verb}": Done("/alarms/{alarm}/acknowledge"),
    "/institutions/{institution}/armed": Done(
        "/institutions/{institution}/armed", {"mode": "armed"}, Permission.MAINTAIN
    ),
    "/institutions/{institution}/plan": Done(
        "/institutions/{institution}/plan", {"digest": "{digest}"}, Permission.SUPERVISE
    ),
    "/attestations": Done("/attestations", {"institution": "{institution}", "kind": "sign"}, Permission.ATTEST),
    "/attestations/{attestation:uuid}/second": Done("/attestations/{attestation}/second", {}, Permission.ATTEST),
    "/attestations/{attestation:uuid}/withdraw": Done(
        "/attestations/{attestation}/withdraw", {"note": "x"}, Permission.ATTEST
    ),
    "/devices/{device}/views": Done("/devices/{device}/views", {"seen": "nap:0.5:0"}, Permission.ATTEST),
    "/devices/{device}/test": Done("/devices/{device}/test", {}, Permission.TEST),
    "/duty/{rota}/handover": Done(
        "/duty/{rota}/handover", {"giver": "{post}", "taker": "{post}", "note": "x"}, answers=(403, 404)
    ),
    "/drills": Done(
        "/drills",
        {
            "institution": "{institution}",
            "title_zh": "x",
            "starts_at": _LATER,
            "minutes": "30",
            "tolerance": "2",
            "at-{institution}/wall": "1",
            "minute-{institution}/wall": "3",
            "class-{institution}/wall": "panic",
        },
        Permission.EXERCISE,
    ),
    "/drills/{drill:uuid}/cancel": Done("/drills/{drill}/cancel", {}, Permission.EXERCISE),
    "/drills/{drill:uuid}/marks": Done("/drills/{drill}/marks", {"institution": "{institution}", "kind": "arrival"}),
    "/proofs": Done(
        "/proofs", {"institution": "{institution}", "position": "wall", "tell": "sink"}, Permission.EXERCISE
    ),
    "/police-windows": Done(
        "/police-windows",
        {"device": "{device}", "reference": "x", "agreed_by": "x", "starts_at": _LATER, "ends_at": "2026-11-21T18:00"},
        Permission.EXERCISE,
    ),
    "/police-windows/{window:uuid}/receipt": Done(
        "/police-windows/{window}/receipt", {"number": "x", "text": "x"}, Permission.EXERCISE
    ),
    "/police-windows/{window:uuid}/cancel": Done("/police-windows/{window}/cancel", {}, Permission.EXERCISE),
    "/orders/{order:uuid}/issue": Done("/orders/{draft}/issue", {"note": "x"}, Permission.SUPERVISE),
    "/orders/{order:uuid}/answer": Done("/orders/{order}/answer", {"text": "x"}, Permission.ANSWER),
    "/orders/{order:uuid}/withdraw": Done("/orders/{order}/withdraw", {"note": "x"}, Permission.SUPERVISE),
    "/waivers": Done(
        "/waivers",
        {"institution": "{institution}", "rule": "waivable", "ground": "x", "expires_at": "2026-11-22T17:30:00"},
        Permission.SUPERVISE,
    ),
    "/waivers/{waiver:uuid}/end": Done("/waivers/{waiver}/end", {}, Permission.SUPERVISE),
    "/maintenance": Done(
        "/maintenance",
        {"institution": "{institution}", "over": "", "until": "2026-11-22T17:30:00", "reason": "x"},
        Permission.MAINTAIN,
    ),
    "/maintenance/{window:uuid}/end": Done("/maintenance/{maintenance}/end", {}, Permission.MAINTAIN),
}
"""Every POST."""


def filled(text: str, ids: Ids) -> str:
    """With the names of one tenant."""
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def foreign(ids: Ids) -> list[str]:
    """What must not be shown to whom this tenant does not exist."""
    return [value for name, value in ids.items() if name not in ("name", "division", "digest")] + [
        f"operator of {ids['name']}"
    ]


async def furnish(conn: AsyncConnection[Any], tenant: seed.Tenant) -> dict[str, str]:
    """Everything that the console shows and the seed lacks, for one tenant; returns how all of it is named."""
    name, now = tenant.name, seed.at(3600)
    kinds = ("drill", "proof", "window", "maintenance", "order", "draft", "waiver")
    ids = {kind: str(uuid5(NAMESPACE_URL, f"{kind}-{name}")) for kind in kinds}
    (position,) = await _row(conn, "select key from position where institution = %s and id = 'wall'", [tenant.key])
    await conn.execute(
        "insert into drill (id, title_zh, title_en, institution, starts_at, ends_at, declared_by, declared_at)"
        " values (%s, '演练', 'drill', %s, %s, %s, %s, %s)",
        [ids["drill"], tenant.key, now - timedelta(minutes=5), now + timedelta(hours=1), f"declarer of {name}", now],
    )
    await conn.execute(
        "insert into drill_press (drill, n, institution, position, signal_class, at, since, until)"
        " values (%s, 0, %s, %s, 'panic', %s, %s, %s)",
        [ids["drill"], tenant.key, position, now, now - timedelta(minutes=1), now + timedelta(minutes=1)],
    )
    await conn.execute(
        "insert into proof (id, device, position, institution, definition, point, level, requested_by, requested_at, expires_at, sent_at,"
        " state, reason, finished_at) values (%s, %s, %s, %s, 'pressed', 'pressed', 'driver', %s, %s, %s, %s, 'failed', %s, %s)",
        [
            *(
                ids["proof"],
                tenant.button_key,
                position,
                tenant.key,
                f"asker of {name}",
                now,
                now + timedelta(minutes=1),
            ),
            *(now + timedelta(seconds=1), f"reason of {name}", now + timedelta(minutes=1)),
        ],
    )
    await conn.execute(
        "insert into police_window (id, device, institution, reference, agreed_by, starts_at, ends_at, booked_by)"
        " values (%s, %s, %s, %s, 'centre', %s, %s, %s)",
        [
            *(ids["window"], tenant.button_key, tenant.key, f"reference of {name}", now - timedelta(hours=1)),
            *(now + timedelta(hours=1), f"booker of {name}"),
        ],
    )
    await conn.execute(
        "insert into maintenance_window (id, institution, since, until, reason, made_by)"
        " values (%s, %s, now() - interval '1 h', now() + interval '1 h', %s, %s)",
        [ids["maintenance"], tenant.key, f"work of {name}", f"maker of {name}"],
    )
    await conn.execute(
        "insert into arming (institution, mode, since, before, actor, reason) values (%s, 'armed', %s, 'auto', %s, '')",
        [tenant.key, now, f"armer of {name}"],
    )
    attestation = uuid5(NAMESPACE_URL, f"patrol-{name}")
    await conn.execute(
        "insert into attestation_attachment values (%s, 1, %s, sha256('x'), '', 'x', null)",
        [attestation, f"picture of {name}"],
    )
    await conn.execute(
        "insert into retyping (institution, at, actor, type_before, type_after, division_before, division_after)"
        " select key, %s, %s, 'employer', type, division, division from institution where key = %s",
        [now, f"retyper of {name}", tenant.key],
    )
    digest = (await zone_plans.plan(conn, EVERYTHING, tenant.institution)).digest
    await _order(conn, tenant, ids["draft"], "draft")
    await _order(conn, tenant, ids["order"], "issued")
    await conn.execute(
        "insert into waiver (id, institution, rule, force, basis, title_zh, title_en, ground, approver, granted_at, since, expires_at)"
        " values (%s, %s, 'other', 'POL', 'target', '规则', 'Rule', %s, %s, %s, %s, %s)",
        [ids["waiver"], tenant.key, f"ground of {name}", f"approver of {name}", now, now, now + timedelta(days=9)],
    )
    rota = f"{name}-rota"
    await conn.execute(
        "insert into rota (id, title_zh, title_en, institution) values (%s, '岗', 'Post', %s)", [rota, tenant.key]
    )
    await conn.execute(
        "update device_state set link_state = 'offline', link_cause = 'device' where device = %s", [tenant.button_key]
    )
    await conn.execute(
        "update escalation set plan = jsonb_build_object('steps', jsonb_build_array(jsonb_build_object('rota', '', 'responder', %s::text)))"
        " where institution = %s",
        [f"{name}-duty", tenant.key],
    )
    named = {
        "institution": tenant.institution,
        "device": tenant.button,
        "edge": f"{name}-edge",
        "alarm": str(tenant.alarm),
        "attestation": str(attestation),
        "digest": digest,
    }
    made = [
        f"{what} of {name}"
        for what in (
            *(
                "declarer",
                "asker",
                "reason",
                "reference",
                "booker",
                "work",
                "maker",
                "armer",
                "finding",
                "remark",
                "retyper",
            ),
            *("ground", "approver"),
        )
    ]
    return {
        **ids,
        **named,
        **{word.split()[0]: word for word in made},
        "name": name,
        "division": tenant.division,
        "group": f"{name}-group",
        "rota": rota,
        "post": f"{name}-duty",
    }


async def _order(conn: AsyncConnection[Any], tenant: seed.Tenant, id: str, state: str) -> None:
    """An order with its steps: a draft, or one that was issued."""
    now, cited = (
        seed.at(3600),
        '{"title_zh": "规则", "title_en": "Rule", "document": "d", "number": "n", "clause": "c", "force": "POL"}',
    )
    issued = state != "draft"
    await conn.execute(
        "insert into work_order (id, institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, state,"
        " drafted_at, issued_at, issued_by, owner, due_at, watched_from)"
        " values (%s, %s, %s, 'target', 'panic', %s, %s, '', %s, 30, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(id, tenant.key, f"rule-{state}", cited, f"finding of {tenant.name}", now, state, now),
            *((now, "issuer", tenant.division, now + timedelta(days=30), now) if issued else [None] * 5),
        ],
    )
    for n, event in enumerate(("draft", "issue")[: 1 + issued], 1):
        await conn.execute(
            "insert into work_order_step (work_order, n, at, event, state, actor, note) values (%s, %s, %s, %s, %s, 'hub', %s)",
            [id, n, now, event, state, f"remark of {tenant.name}"],
        )


async def _row(conn: AsyncConnection[Any], statement: str, values: list[Any]) -> Any:
    row = await (await conn.execute(statement.encode(), values)).fetchone()
    assert row is not None
    return row
