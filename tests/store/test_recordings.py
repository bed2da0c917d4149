"""Readings of recorders and cameras become the proof of recordings, with the real database."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from hub.config import data_folder
from hub.core.rights import EVERYTHING
from hub.core.rota import midnight
from hub.model import to_datetime
from hub.profiles import Profile, load_profiles
from hub.runtime.recording_days import roll
from hub.store.pool import connect
from hub.store.recordings import listed, open_roller, recordings

TODAY = date(2026, 3, 10)
NOON = midnight(TODAY) + 12 * 3_600_000_000
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    return dict(load_profiles([data_folder("device-profiles")]))


class Site:
    """An institution with recorders and cameras, in service since so many days before TODAY."""

    def __init__(self, url: str) -> None:
        self.conn = psycopg.connect(url, autocommit=True)
        self.do("insert into division (code, parent, title_zh, title_en) values ('14', null, '甲省', 'A')")
        self.do(
            "insert into institution (id, division, type, title_zh, title_en, partition)"
            " values ('one', '14', 'private', '甲园', 'One', 0), ('two', '14', 'private', '乙园', 'Two', 0)"
        )

    def do(self, statement: str, *values: Any) -> None:
        self.conn.execute(statement.encode(), values)

    def one(self, statement: str, *values: Any) -> Any:
        found = self.conn.execute(statement.encode(), values).fetchone()
        assert found is not None
        return found[0]

    def device(self, name: str, profile: str, days: float, recorded_by: str | None = None, at: str = "one") -> None:
        since = to_datetime(NOON - round(days * DAY))
        key = self.one(
            "insert into device (id, institution, profile, kind, lane, recorded_by)"
            " select %s, key, %s, %s, 'bulk', %s from institution where id = %s returning key",
            name, profile, "recorder" if "recorder" in profile else "camera", recorded_by, at,
        )  # fmt: skip
        self.do("insert into device_state (device, admin_state, admin_since) values (%s, 'in_service', %s)", key, since)

    def read(self, device: str, point: str, days_ago: float, value: float | None, quality: int = 0) -> None:
        self.do(
            "insert into series (device, point) select key, %s from device where id = %s on conflict do nothing",
            point, device,
        )  # fmt: skip
        at = to_datetime(NOON - 1 - round(days_ago * DAY))
        self.do(
            "insert into reading select s.key, %s, %s, %s, %s from series s join device d on d.key = s.device"
            " where d.id = %s and s.point = %s",
            at, at, value, quality, device, point,
        )  # fmt: skip

    def states(self) -> dict[str, dict[str, Any]]:
        cursor = self.conn.cursor(row_factory=psycopg.rows.dict_row)
        rows = cursor.execute("select d.id::text as id, s.* from recording_state s join device d on d.key = s.device")
        return {row["id"]: row for row in rows}


@pytest.fixture
def site(fresh_database: str) -> Iterator[Site]:
    made = Site(fresh_database)
    yield made
    made.conn.close()


async def test_what_recorders_and_cameras_said_becomes_days_that_count_with_a_date_of_the_shortfall(
    site: Site, fresh_database: str, profiles: dict[str, Profile]
) -> None:
    site.device("nvr", "onvif-recorder", 400)
    site.device("nvr-2", "onvif-recorder", 400)
    site.device("cam", "rtsp-camera", 400, recorded_by="nvr")
    site.device("new", "rtsp-camera", 20, recorded_by="nvr-2")
    site.device("old", "rtsp-camera", 400, recorded_by="nvr-2")
    site.device("lost", "rtsp-camera", 400, recorded_by="nowhere")
    for n in range(14):
        site.read("nvr", "days", n, 94 + n / 2)
        site.read("nvr-2", "days", n, 20.0 - n)
    site.read("nvr", "gap_seconds", 0.1, 3600)
    site.read("nvr", "newest_age", 0.25, 864)
    site.read("nvr-2", "newest_age", 0.5, 864)
    site.read("nvr-2", "newest_age", 0.25, 0, quality=250)  # what it said before holds no more
    site.read("nvr-2", "newest_age", 0.24, None)  # no value is not "just now"
    site.read("cam", "black", 2.0, 1.0)
    site.read("cam", "frozen", 2.0, 1.0)  # at the same time: counted once
    site.read("cam", "black", 1.75, 0.0)
    site.read("cam", "frozen", 1.875, 0.0)
    site.read("cam", "flowing", 3.0, 0.0, quality=250)  # a bad value says nothing
    site.read("cam", "black", 0.25, 1.0)  # and still is
    async with open_roller(fresh_database, profiles) as roller:
        assert await roller.is_alone()
        await roll(roller, NOON, 14, batch=1)
        before = site.states()
        assert site.one("select count(*) from change where kind = 'registry'") == 1
        await roll(roller, NOON, 14)  # the same again is the same, and a little more is not said anew
        await roll(roller, NOON + DAY // 288, 1)
        assert site.one("select count(*) from change where kind = 'registry'") == 1
    found = site.states()
    assert {key: replace_times(row) for key, row in before.items()} == {
        key: replace_times(row) for key, row in found.items()
    }
    assert set(found) == {"cam", "new", "old", "lost"}
    cam = found["cam"]
    assert (cam["days"], cam["gap_seconds"], cam["bad_seconds"]) == (94.0, 3600.0, pytest.approx(12 * 3600.0))
    assert cam["counted_days"] == pytest.approx(94 - 13 / 24 - 0.26, abs=1e-6)
    assert cam["newest_at"] == to_datetime(NOON - 1 - round(0.26 * DAY))
    assert found["new"]["newest_at"] is None
    assert (cam["outlook"], cam["a_day"]) == ("shrinking", pytest.approx(-0.5))
    assert cam["short_at"] == pytest.approx(
        to_datetime(NOON) + timedelta(days=(94 - 13 / 24 - 0.26 - 89) / 0.5), abs=timedelta(seconds=1)
    )
    assert (found["new"]["outlook"], found["new"]["days"], found["new"]["possible"]) == ("growing", 20.0, 20.0)
    # the recorder tells only its worst, the new camera's: of the old one twenty days are proven and four hundred possible
    assert (found["old"]["outlook"], found["old"]["days"], found["old"]["possible"]) == ("growing", 20.0, 400.0)
    assert (found["lost"]["outlook"], found["lost"]["days"]) == ("unknown", None)
    conn = await connect(fresh_database, "test", autocommit=True)
    try:
        key = site.one("select key from institution where id = 'one'")
        facts = (await recordings(conn, [key]))[key]
        assert [one.device for one in facts] == ["cam", "lost", "new", "old"]
        assert facts[0].bad_seconds == pytest.approx(12 * 3600.0)
        assert (facts[0].newest_at, facts[2].newest_at) == (NOON - 1 - round(0.26 * DAY), None)
        asked: dict[str, Any] = {
            "limit": 10,
            "after": None,
            "institution": None,
            "division": "14",
            "outlook": "shrinking",
        }
        assert [row["device"] for row in await listed(conn, EVERYTHING, **asked)] == ["cam"]
        nobody = replace(EVERYTHING, everything=False)
        assert await listed(conn, nobody, **asked) == []
    finally:
        await conn.close()


async def test_a_camera_that_was_out_of_service_or_swapped_is_not_young_again_and_one_out_of_service_is_not_judged(
    site: Site, fresh_database: str, profiles: dict[str, Profile]
) -> None:
    site.device("nvr", "onvif-recorder", 400)
    site.device("cam", "rtsp-camera", 400)
    site.device("out", "rtsp-camera", 400)
    site.read("nvr", "days", 0, 30.0)
    site.do("update device_state set admin_state = 'out_of_service', admin_since = %s", to_datetime(NOON - DAY))
    back = "update device_state set admin_state = 'in_service', admin_since = %s where device in (select key from device where id <> 'out')"
    site.do(back, to_datetime(NOON - DAY // 2))
    async with open_roller(fresh_database, profiles) as roller:
        await roll(roller, NOON, 1)
        found = site.states()
        assert set(found) == {"cam"}
        assert (found["cam"]["outlook"], found["cam"]["needed_days"]) == ("short", 90.0)
        site.do("update device_state set admin_state = 'out_of_service'")
        await roll(roller, NOON, 1)
        assert site.one("select count(*) from change where kind = 'registry'") == 2
    assert site.states() == {}


def replace_times(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "updated_at"}


async def test_what_was_read_before_a_camera_was_in_service_is_said_anew_at_once(
    site: Site, fresh_database: str, profiles: dict[str, Profile]
) -> None:
    site.device("nvr", "onvif-recorder", 400)
    site.device("cam", "rtsp-camera", 0.01)
    site.read("nvr", "days", 0.02, 92.0)
    async with open_roller(fresh_database, profiles) as roller:
        await roll(roller, NOON, 1)
        assert site.states()["cam"]["read_at"] < site.states()["cam"]["installed_at"]
        site.read("nvr", "days", 0.0, 92.0)
        await roll(roller, NOON, 1)
    assert site.states()["cam"]["read_at"] > site.states()["cam"]["installed_at"]
