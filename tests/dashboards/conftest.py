"""Two districts in a real database, and a reader of each."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest

from hub.core.rights import EVERYTHING, Scope
from hub.store.pool import connect
from hub.store.readers import drop_reader, grant_reader
from tests.dashboards.asked import MINE, OTHER, Asked
from tests.dashboards.seeded import seed_district
from tests.store.findings import add_finding

DISTRICTS = (MINE, OTHER)
PASSWORD = "twelve letters or more"


@dataclass(frozen=True)
class Readers:
    """The roles of a database, by what they see: `all`, `140403`, `140404`."""

    url: str
    roles: dict[str, str]

    def connect(self, who: str) -> psycopg.Connection[tuple[object, ...]]:
        parts = urlsplit(self.url)
        login = f"{self.roles[who]}:{quote(PASSWORD)}@{parts.netloc.rpartition('@')[2]}"
        return psycopg.connect(urlunsplit(parts._replace(netloc=login)), autocommit=True)


def _seed(url: str) -> None:
    with psycopg.connect(url) as conn:

        def key(query: str, *values: object) -> int:
            row = conn.execute(query.encode(), values).fetchone()
            assert row is not None
            return int(row[0])

        conn.execute("insert into division values ('1404', null, '长治市', 'Changzhi')")
        conn.execute("insert into lane_watch values (3, 'bulk', now(), now())")
        for district in DISTRICTS:
            conn.execute("insert into division values (%s, '1404', %s, 'District')", [district, f"区{district}"])
            institution = key(
                "insert into institution (id, division, type, title_zh, title_en, partition)"
                " values (%s, %s, 'community_point', %s, 'Point', 3) returning key",
                f"sun-{district}", district, f"托{district}",
            )  # fmt: skip
            conn.execute(
                "insert into register_entry (filing_number, division, type, title_zh, title_en, institution)"
                " values (%s, %s, 'community_point', '册', 'R', %s), (%s, %s, 'home_based', '未', 'Not yet', null)",
                [f"A-{district}", district, institution, f"B-{district}", district],
            )
            zone = key(
                "insert into zone (institution, id, purpose, title_zh, title_en) values (%s, 'nap', 'nap_room', '睡眠室', 'Nap')"
                " returning key",
                institution,
            )
            for n, (kind, link) in enumerate(
                (("panic_button", "online"), ("camera", "offline"), ("camera", "unknown"))
            ):
                position = key(
                    "insert into position (institution, id, zone, title_zh, title_en) values (%s, %s, %s, '位', 'P') returning key",
                    institution, f"p-{n}", zone,
                )  # fmt: skip
                device = key(
                    "insert into device (id, institution, position, profile, kind, lane) values (%s, %s, %s, 'p', %s, 'bulk') returning key",
                    f"d-{n}-{district}", institution, position, kind,
                )  # fmt: skip
                conn.execute(
                    "insert into device_state (device, admin_state, link_state) values (%s, 'in_service', %s)",
                    [device, link],
                )
                series = key("insert into series (device, point) values (%s, 'level') returning key", device)
                conn.execute(
                    "insert into reading select %s, now() - t * interval '10 minutes', now(), t, case t when 3 then 201 else 0 end"
                    " from generate_series(0, 1000) t",
                    [series],
                )
                conn.execute(
                    "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at,"
                    " received_at) values (gen_random_uuid(), %s, %s, 'a', 'panic', 'critical', 'unack_active', true,"
                    " now() - interval '5 minutes', now())",
                    [device, institution],
                )
            findings = (
                (f"sun-{district}", "obligation", "compliant"),
                (f"sun-{district}", "obligation", "non_compliant"),
                (f"sun-{district}", "target", "compliant"),
                (f"sun-{district}", "recommendation", "not_applicable"),
                (f"register:B-{district}", "obligation", "unknown"),
            )
            yesterday = datetime.now(UTC) - timedelta(days=1)
            for n, (subject, basis, verdict) in enumerate(findings):
                add_finding(conn, subject=subject, rule=f"rule-{n}", basis=basis, verdict=verdict, since=yesterday)
            conn.execute(
                "insert into coverage_check values (%s, now()), (%s, now())",
                [f"sun-{district}", f"register:B-{district}"],
            )
            seed_district(conn, district)


@pytest.fixture(scope="module")
def readers(database: str) -> Iterator[Readers]:
    """Both districts with data, and three roles."""
    tail = secrets.token_hex(4)
    scopes = {"all": EVERYTHING, **{district: Scope(divisions=(district,)) for district in DISTRICTS}}
    # a role's name is seen by every other role of the server: here it must not look like what it may not see
    roles = {who: f"reader_{n}_{tail}" for n, who in enumerate(scopes)}
    _seed(database)

    async def make() -> None:
        async with await connect(database, "test", autocommit=True) as conn:
            for who, scope in scopes.items():
                await grant_reader(conn, roles[who], scope, PASSWORD, actor="test")

    async def drop() -> None:
        async with await connect(database, "test", autocommit=True) as conn:
            for role in roles.values():
                await drop_reader(conn, role, actor="test")

    asyncio.run(make())
    yield Readers(database, roles)
    asyncio.run(drop())


@pytest.fixture(scope="module")
def everything(readers: Readers) -> Iterator[Asked]:
    with readers.connect("all") as conn:
        yield Asked(conn)


@pytest.fixture(scope="module")
def county(readers: Readers) -> Iterator[Asked]:
    with readers.connect(MINE) as conn:
        yield Asked(conn)
