"""What fire-risk scores were is kept: one row for as long as a score says the same, and a time in which nobody looked is a hole."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hub.core.fire_kept import GAP
from hub.fire_weights import load_weights
from hub.model import Micros, to_datetime
from hub.runtime.fire_watch import KEPT, score
from hub.store.fire_risk import open_book
from tests.store.coverage_register import PROFILES, Register

T0: Micros = 1_795_000_000_000_000
MINUTE: Micros = 60_000_000


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.device("sun", "smoke-1", "heiman-hs1sa", "act")
    made.listen()
    yield made
    made.close()


async def test_a_score_is_kept_as_periods_with_holes_where_nobody_looked(
    register: Register, fresh_database: str
) -> None:
    profiles, weights = PROFILES, load_weights(())

    def kept() -> list[tuple[object, ...]]:
        rows = register.all("select since, seen_at, score, hard from fire_risk where subject = 'sun' order by since")
        return [
            (
                round((row[0] - to_datetime(T0)) / timedelta(minutes=1)),
                round((row[1] - to_datetime(T0)) / timedelta(minutes=1)),
                row[2],
                row[3],
            )
            for row in rows
        ]

    async with open_book(fresh_database) as book:
        assert await book.is_alone()
        async with open_book(fresh_database) as other:
            assert not await other.is_alone(), "one process keeps the book"
        for minutes in (0, 10, 20):
            assert await score(book, profiles, weights, T0 + minutes * MINUTE) >= 1
        ((since, seen, calm, hard),) = kept()
        assert (since, seen, hard) == (0, 20, False)
        register.do(
            "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)"
            " select gen_random_uuid(), key, institution, 'fire', 'fire', 'critical', 'unack_active', true, %s, %s from device where id = 'smoke-1'",
            to_datetime(T0), to_datetime(T0),
        )  # fmt: skip
        await score(book, profiles, weights, T0 + 30 * MINUTE)
        assert kept() == [(0, 20, calm, False), (30, 30, 100, True)]
        late = 31 + round(GAP / timedelta(minutes=1))
        await score(book, profiles, weights, T0 + late * MINUTE)
        assert kept()[1:] == [(30, 30, 100, True), (late, late, 100, True)], "the same, and a hole before it"
        await score(book, profiles, weights, T0 + 5 * MINUTE)
        assert len(kept()) == 3, "a clock that was set back writes nothing over"
        await score(book, profiles, weights, T0 + round(KEPT / timedelta(microseconds=1)) + 120 * MINUTE)
        assert len(kept()) == 1, "what is too old goes"
