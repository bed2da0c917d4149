"""A small register in a real database for the tests of coverage: one connected institution, one that is not."""

from dataclasses import replace
from typing import Any

import psycopg

from hub.config import data_folder
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.rules import RulePack
from hub.profiles import Profile, load_profiles
from hub.rulepacks import load_rule_packs

PROFILES: dict[str, Profile] = load_profiles([data_folder("device-profiles")])
_LOOKED_AT = frozenset(
    {
        "national-video-infant-zones", "national-video-home-point", "national-video-forbidden", "national-smoke-small",
        "national-smoke-rooms", "national-smoke-home-point", "wst821-panic", "internal-panic-home-point",
        "changzhi-video", "changzhi-panic", "changzhi-access", "changzhi-smart-fire",
    }
)  # fmt: skip
PACKS: tuple[RulePack, ...] = tuple(
    replace(pack, rules=kept)
    for pack in load_rule_packs([data_folder("rule-packs")])
    if (kept := tuple(rule for rule in pack.rules if rule.id in _LOOKED_AT))
)
"""A dozen of the shipped rules that ask for nothing but devices: tests of the mechanism count findings, and packs grow."""
RULES = Rulebook(PACKS)


class Register:
    """Writes places and devices, and changes their states with the rows of the change feed that the hub would write."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._conn = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._conn.close()

    def do(self, statement: str, *values: Any) -> None:
        self._conn.execute(statement.encode(), values)

    def all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._conn.execute(statement.encode(), values).fetchall()

    def listen(self, partition: int = 3) -> None:
        """Say of a partition's lanes that they listen, as ingest does every five seconds; once for longer than any test."""
        self.heard("50 min", partition)

    def stop_listening(self, partition: int = 3) -> None:
        self.heard("-31 s", partition)

    def heard(self, after: str, partition: int = 3, *lanes: str) -> None:
        """Both lanes, or those, listened up to `after` from now on; a minus: before now."""
        self.do(
            "insert into lane_watch (partition, lane, listened_at, heard_at)"
            " select %s, lane, now(), clock_timestamp() + %s::interval from unnest(%s::text[]) lane"
            " on conflict (partition, lane) do update set heard_at = excluded.heard_at",
            partition,
            after,
            list(lanes or ("urgent", "bulk")),
        )

    def city(self) -> None:
        """Division 1404, institution sun (community point, registered), and an entry of the register that is not connected."""
        self.do("insert into division values ('1404', null, '长治市', 'Changzhi')")
        self.institution("sun")
        self.enter("CZ-1", "sun")
        self.enter("CZ-2", None)

    def sign(self, institution: str) -> None:
        """The regulator signs the zone plan as it is now."""
        self.do(
            "insert into zone_plan_signature (id, institution, digest, plan, version, signed_by)"
            " select gen_random_uuid(), p.institution, repeat('0', 64), '{}', p.version, 'regulator'"
            " from zone_plan p join institution i on i.key = p.institution where i.id = %s",
            institution,
        )

    def institution(self, id: str, type: str = "community_point") -> None:
        self.do(
            "insert into institution (id, division, type, title_zh, title_en, partition) values (%s, '1404', %s, '托', 'N', 3)",
            id,
            type,
        )

    def enter(self, filing_number: str, institution: str | None, type: str = "community_point") -> None:
        self.do(
            "insert into register_entry (filing_number, division, type, title_zh, title_en, institution)"
            " values (%s, '1404', %s, '册', 'R', (select key from institution where id = %s))",
            filing_number,
            type,
            institution,
        )

    def zone(self, institution: str, id: str, purpose: str) -> None:
        self.do(
            "insert into zone (institution, id, purpose, title_zh, title_en)"
            " select key, %s, %s, %s, %s from institution where id = %s",
            id,
            purpose,
            f"区域{id}",
            f"Zone {id}",
            institution,
        )

    def device(self, institution: str, id: str, profile: str, zone: str | None, **state: str) -> None:
        """In service, online and ok unless `state` says otherwise."""
        if zone is not None:
            self.do(
                "insert into position (institution, id, zone, title_zh, title_en)"
                " select i.key, %s, z.key, '位', 'P' from institution i join zone z on z.institution = i.key"
                " where i.id = %s and z.id = %s",
                id,
                institution,
                zone,
            )
        known = PROFILES.get(profile)
        self.do(
            "insert into device (id, institution, position, profile, kind, lane)"
            " select %s, i.key, (select p.key from position p where p.institution = i.key and p.id = %s), %s, %s, 'bulk'"
            " from institution i where i.id = %s",
            id,
            id if zone is not None else None,
            profile,
            "camera" if known is None else known.kind.value,
            institution,
        )
        row = {"admin_state": "in_service", "link_state": "online", "function_state": "ok", **state}
        self.do(
            "insert into device_state (device, admin_state, link_state, function_state)"
            " select key, %s, %s, %s from device where id = %s",
            *row.values(),
            id,
        )

    def turn(self, device: str, axis: str, state: str) -> None:
        """Change one axis of a device and say so in the change feed, in one transaction."""
        with self._conn.transaction():
            self.do(
                f"update device_state set {axis} = %s, {axis.split('_')[0]}_since = now()"
                " where device = (select key from device where id = %s)",
                state,
                device,
            )
            self.do(
                "insert into change (kind, institution, payload)"
                " select 'device_state', institution, jsonb_build_object('device', id::text) from device where id = %s",
                device,
            )

    def verdicts(self, subject: str) -> dict[str, str]:
        """The open findings of a subject by rule."""
        return dict(
            self.all(
                "select rule, verdict from finding where subject = %s and known_to is null and true_to is null", subject
            )
        )

    def periods(self, subject: str, rule: str) -> list[tuple[str, Any, Any]]:
        """Verdict, since and until of a rule, oldest first."""
        found = self.all(
            "select verdict, since, until from finding_period where subject = %s and rule = %s order by since",
            subject,
            rule,
        )
        return [(row[0], row[1], row[2]) for row in found]
