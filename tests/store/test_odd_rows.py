"""One institution's odd row, whatever the table: its own findings are unknown with a reason, nobody else's judging ends, and repaired it is judged again."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from hub.config import data_folder
from hub.core.coverage.rulebook import Rulebook
from hub.evidence_file import verify
from hub.model import SECOND, Micros, to_datetime
from hub.rulepacks import load_rule_packs
from hub.store import evidence
from hub.store.coverage import Ledger, open_ledger
from hub.store.pool import Connection, connect
from tests.store.coverage_register import PROFILES, Register

T0: Micros = 1_795_000_000 * SECOND
VIDEO, RETENTION = "national-video-infant-zones", "national-retention"
PROVEN = "update device_state set proven_at = %s where device = (select key from device where id = 'cam-1')"
ATTEST = (
    "insert into attestation (id, institution, kind, at, recorded_by) select gen_random_uuid(), key, 'equipment_check', {}, 'x' from institution"
    " where id = 'sun'"
)
OF_CAMERA = "where device = (select key from device where id = 'cam-1')"


class Odd(NamedTuple):
    """What is written, what takes it back, and the constraint that a later version, or a hand, would have dropped."""

    write: str
    undo: str
    drop: str = ""


ROWS = {
    "a link state of a later version": Odd(
        f"update device_state set link_state = 'asleep' {OF_CAMERA}",
        f"update device_state set link_state = 'online' {OF_CAMERA}",
        "alter table device_state drop constraint device_state_link_state_check",
    ),
    "an admin state of a later version": Odd(
        f"update device_state set admin_state = 'on_loan' {OF_CAMERA}",
        f"update device_state set admin_state = 'in_service' {OF_CAMERA}",
        "alter table device_state drop constraint device_state_admin_state_check",
    ),
    "a time beyond all calendars": Odd(
        f"update device_state set link_since = 'infinity' {OF_CAMERA}",
        f"update device_state set link_since = to_timestamp(1790000000) {OF_CAMERA}",
    ),
    "a proof that is dated by a word": Odd(
        f'update device_state set proven = \'{{"video.live": "yesterday"}}\' {OF_CAMERA}',
        f"update device_state set proven = null {OF_CAMERA}",
    ),
    "a zone without a size": Odd(
        "update zone set area_m2 = 'NaN' where id = 'act'", "update zone set area_m2 = null where id = 'act'"
    ),
    "a statement of no day": Odd(
        ATTEST.format("'infinity'"), "delete from attestation", "alter table attestation disable trigger user"
    ),
    "a place beyond all plans": Odd(
        "update zone set floor = null, entrances = array[null]::text[] where id = 'act'",
        "update zone set entrances = '{}' where id = 'act'",
        "alter table zone drop constraint if exists zone_entrances_check",
    ),
    "a waiver without an end": Odd(
        "insert into waiver (institution, rule, force, basis, title_zh, title_en, ground, approver, granted_at, since, expires_at)"
        " select key, 'x', 'POL', 'target', 'x', 'x', 'x', 'x', now(), now(), 'infinity' from institution where id = 'sun'",
        "delete from waiver",
        "alter table waiver drop constraint waiver_check, disable trigger user",
    ),
}


@pytest.fixture(scope="module")
def register(database: str) -> Iterator[Register]:
    made = Register(database)
    made.city()
    made.institution("moon")
    for name, camera in (("sun", "cam-1"), ("moon", "cam-2")):
        made.zone(name, f"act-{name}" if name == "moon" else "act", "activity_room")
        made.device(name, camera, "axis-camera", f"act-{name}" if name == "moon" else "act")
    made.do("update device_state set proven_at = to_timestamp(1794900000), link_since = to_timestamp(1790000000)")
    made.listen()
    yield made
    made.close()


@asynccontextmanager
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(url, PROFILES, Rulebook(load_rule_packs([data_folder("rule-packs")]))) as opened:
        yield opened


async def judge(opened: Ledger, at: Micros) -> None:
    await opened.renew("watch", T0 - 3600 * SECOND, at - 1)
    async with opened.judging(await opened.subjects(), at) as judging:
        await judging.record()


@pytest.fixture
async def conn(database: str) -> AsyncIterator[Connection]:
    opened = await connect(database, "test", autocommit=True)
    async with opened:
        yield opened


async def test_an_odd_row_makes_its_own_institution_unknown_and_costs_no_other_one_its_judging(
    register: Register, database: str, conn: Connection
) -> None:
    at = T0
    async with ledger(database) as opened:
        for link, (what, odd) in zip(("offline", "online") * len(ROWS), ROWS.items(), strict=False):
            if odd.drop:
                register.do(odd.drop)
            await judge(opened, at := at + SECOND)
            before = register.verdicts("sun")
            assert before[VIDEO] == "compliant", what
            register.do(odd.write)
            register.turn("cam-2", "link_state", link)
            await judge(opened, at := at + SECOND)
            found = register.all(
                "select distinct verdict, reason, sentence_en like '%%cannot be read%%' from finding_now where subject = 'sun'"
            )
            assert found == [("unknown", "unreadable", True)], what
            assert register.verdicts("moon")[VIDEO] == ("unknown" if link == "offline" else "compliant"), what
            register.do(odd.undo)
            await judge(opened, at := at + SECOND)
            assert register.verdicts("sun") == before, what
    made = await evidence.export(conn, "sun", to_datetime(T0), to_datetime(at), to_datetime(at))
    checked = verify(made, "b.zip")
    assert list(checked.faults) == []


@pytest.mark.parametrize(
    "column", ["gap_seconds = null", "bad_seconds = 'NaN'", "days = 'Infinity'", "possible = 'NaN'"]
)
async def test_a_recording_of_which_a_figure_is_missing_is_unknown_and_nothing_else_is(
    register: Register, database: str, column: str
) -> None:
    register.do("delete from recording_state")
    register.do(
        "insert into recording_state (device, institution, days, possible, gap_seconds, bad_seconds, read_at, newest_at, installed_at, floor_days,"
        " outlook, needed_days, full_at, updated_at) select d.key, d.institution, 100, 100, 0, 0, %s, %s, to_timestamp(1700000000), 90, 'holds', 90, %s, %s"
        " from device d where d.id = 'cam-1'",
        *[to_datetime(T0 + 900 * SECOND)] * 4,
    )
    async with ledger(database) as opened:
        at = T0 + 1000 * SECOND
        [[last]] = register.all("select max(known_from) from finding")
        at = max(at, int(last.timestamp() * SECOND) + SECOND)
        await judge(opened, at)
        assert (register.verdicts("sun")[VIDEO], register.verdicts("sun")[RETENTION]) == ("compliant", "compliant")
        register.do(f"update recording_state set {column}")
        await judge(opened, at + SECOND)
        assert (register.verdicts("sun")[VIDEO], register.verdicts("sun")[RETENTION]) == ("compliant", "unknown")
