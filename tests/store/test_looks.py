"""What devices and recordings look like is kept for the boards' past: one row for as long as it looks the same, and a hole where nobody looked."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hub.model import Micros, to_datetime
from hub.runtime.look_watch import KEPT, look_at_all
from hub.store.looks import GAP, LONGEST, open_looks
from tests.store.coverage_register import Register

T0: Micros = 1_795_000_000_000_000
MINUTE: Micros = 60_000_000


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.device("sun", "cam-2", "axis-camera", "act", link_state="offline")
    made.device("sun", "spare", "axis-camera", None, admin_state="commissioned")
    made.listen()
    yield made
    made.close()


async def test_what_devices_look_like_is_kept_as_periods_with_holes_where_nobody_looked(
    register: Register, fresh_database: str
) -> None:
    def kept(what: str = "devices") -> list[tuple[Any, ...]]:
        rows = register.all("select since, seen_at, body from institution_look where what = %s order by since", what)
        return [(*[round((at - to_datetime(T0)) / timedelta(minutes=1)) for at in row[:2]], row[2]) for row in rows]

    async with open_looks(fresh_database) as looks:

        async def look(minutes: float) -> int:
            return await look_at_all(looks, lambda: T0 + round(minutes * MINUTE))

        assert await looks.is_alone()
        async with open_looks(fresh_database) as other:
            assert not await other.is_alone(), "one process keeps the book"
        for minutes in (0, 10, 20):
            assert await look(minutes) == 1
        ((since, seen, body),) = kept()
        assert (since, seen) == (0, 20)
        assert body["kinds"] == {"camera": [2, 1, 1, 0, 0, 0]}
        ((device, kind, zone, link, *_),) = body["down"]
        assert (device, kind, zone, link, body["left_out"]) == ("cam-2", "camera", "act", "offline", 0)
        assert kept("recordings") == [(0, 20, {"cameras": [], "read": {}})]

        register.do(
            "insert into recording_state (device, institution, days, read_at, installed_at, floor_days, outlook, counted_days, needed_days, full_at, updated_at)"
            " select key, institution, 71.04, %s, %s, 90, 'short', 71.04, 90, %s, %s from device where id = 'cam-1'",
            *[to_datetime(T0)] * 4,
        )
        await look(21)
        register.do("update recording_state set read_at = read_at + interval '1 minute'")
        await look(22)
        (_, (since, seen, body)) = kept("recordings")
        assert (since, seen) == (21, 22), "another time of reading alone is no other look"
        assert body["cameras"] == [["cam-1", "act", None, "short", 71.0, 90, 71.0, None, None, None]]
        assert list(body["read"]) == ["cam-1"]

        register.turn("cam-1", "function_state", "failed")
        await look(30)
        assert [one[:2] for one in kept()] == [(0, 22), (30, 30)]
        assert kept()[1][2]["kinds"] == {"camera": [2, 1, 1, 0, 1, 0]}
        assert {one[0] for one in kept()[1][2]["down"]} == {"cam-1", "cam-2"}
        late = 31 + GAP / timedelta(minutes=1)
        await look(late)
        assert [one[:2] for one in kept()] == [(0, 22), (30, 30), (late, late)], "the same, and a hole before it"
        await look(5)
        assert len(kept()) == 3, "a clock that was set back writes nothing over"

        day = LONGEST / timedelta(minutes=1)
        for minutes in range(20, round(day) + 21, 20):
            await looks.look("devices", await looks.institutions(), to_datetime(T0 + round((late + minutes) * MINUTE)))
        assert [one[:2] for one in kept()][2:] == [(late, late + day - 20), (late + day, late + day + 20)], (
            "a board looks back a day, and no further"
        )

        register.stop_listening()
        await look(late + day + 30)
        assert kept()[-1][2]["kinds"] == {"camera": [2, 0, 1, 1, 1, 0]}, "what nobody hears is unknown"
        await look(KEPT / timedelta(minutes=1) + 2 * day + late)
        assert len(kept()) == 1, "what is too old goes"
