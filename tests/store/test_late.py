"""What an edge's spool brings of a silence amends the past: through ingest, a real database, and the judge."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from hub.evidence_file import verify
from hub.model import SECOND, Lane, Micros, Sample, to_datetime, to_micros
from hub.store import coverage_views, evidence
from hub.store.pool import connect
from tests.store.coverage_register import RULES, Register
from tests.store.edge_site import BUTTON, CAMERA, DOOR, T0, Site, furnish, said, site

VIDEO, ACCESS, PANIC = "national-video-infant-zones", "changzhi-access", "wst821-panic"


def at(seconds: float) -> Micros:
    return T0 + round(seconds * SECOND)


class Day:
    """What the edge hears, second by second, and what of it has been sent."""

    def __init__(self, made: Site) -> None:
        self.site = made
        self.sent: list[Any] = []

    def heard(self, since: int, until: int, silent: tuple[int, int] = (0, 0)) -> list[Any]:
        """The messages of these seconds, every ten; between `silent` the door said nothing."""
        made = []
        for second in range(since, until, 200):
            bulk: list[Sample] = []
            urgent: list[Sample] = []
            for moment in range(second, min(until, second + 200), 10):
                now = at(moment)
                bulk.append(said("edge-1", "beat", now, 900.0 + moment))
                bulk.append(said("cam-1", "uptime", now, 90_000 + moment * 100))
                if not silent[0] <= moment < silent[1]:
                    bulk.append(said("door-1", "alive", now, moment))
                urgent.append(said("edge-1", "beat", now, 900.0 + moment))
                urgent.append(said("button-1", "press", now, False))
            made += [self.site.message("edge-1", Lane.BULK, bulk), self.site.message("edge-1", Lane.URGENT, urgent)]
        return made

    def one(self, second: float, device: str, point: str, raw: Any) -> Any:
        return self.site.message("edge-1", Lane.BULK, [said(device, point, at(second), raw)])

    async def arrive(self, now: float, messages: list[Any], *, all_of_it: bool = True) -> None:
        """These messages, and the beat of now behind them where that is `all_of_it`."""
        beat, idle = said("edge-1", "beat", at(now), 900.0 + now), said("button-1", "press", at(now), False)
        live = [self.site.message("edge-1", Lane.BULK, [beat]), self.site.message("edge-1", Lane.URGENT, [beat, idle])]
        messages = [*messages, *(live if all_of_it else ())]
        self.sent += messages
        await self.site.take(messages, at(now))

    async def look(self, now: float) -> None:
        await self.site.tick(at(now))
        await self.site.judge(at(now + 1))


async def _lived(url: str, register: Register) -> None:
    async with site(url, RULES) as made:
        day = Day(made)
        await day.arrive(-1000, [day.one(-1000, "edge-1", "clock_skew", 0.1)])
        await day.arrive(-1000, [day.one(-1000, "cam-1", "video_signal", "ok"), *day.heard(-1010, -1000)])
        await day.look(-990)
        # the line is cut, and the edge never said how often its machine had begun
        await day.look(-900)
        await day.arrive(-300, day.heard(-1000, -300))
        await day.look(-299)
        await day.arrive(0, [day.one(0, "edge-1", "machine_boots", 3), *day.heard(-300, 10)])
        await day.look(1)
        await day.arrive(30, day.heard(10, 40))
        # the line is cut: the edge goes on, the camera's picture fails and comes back, the door falls silent for a while
        await day.look(100)
        kept = day.heard(40, 1200)
        kept += [day.one(1200, "cam-1", "video_signal", "no_signal"), *day.heard(1200, 1500)]
        kept += [day.one(1500, "cam-1", "video_signal", "ok"), *day.heard(1500, 3600, silent=(2000, 2400))]
        await day.look(2000)
        register.do(  # readings of long ago are not kept; how often the machine began was said once
            "delete from reading where series_id in (select key from series where point = 'machine_boots')"
        )
        await day.arrive(3600, kept)
        await day.look(3601)
        # again, and the machine of the edge begins anew in the middle
        await day.arrive(4000, [*day.heard(3600, 4000), day.one(4000, "edge-1", "machine_boots", 3)])
        await day.look(4100)
        kept = [*day.heard(4000, 4500), day.one(4500, "edge-1", "machine_boots", 4), *day.heard(4500, 5000)]
        await day.arrive(5000, kept)
        await day.look(5001)
        # again, and the edge had said that its clock was wrong
        await day.arrive(5900, [*day.heard(5000, 5900), day.one(5899, "edge-1", "clock_skew", 9.0)])
        await day.look(6000)
        await day.arrive(7000, [*day.heard(5900, 7000), day.one(6999, "edge-1", "clock_skew", 0.0)])
        await day.look(7001)  # that its clock is right again says nothing of the time before
        # nobody of the hub listens, and the state of the devices says nothing of it
        await day.arrive(7990, day.heard(7000, 8000))
        register.stop_listening()
        await day.site.judge(at(8001))
        await day.arrive(8600, day.heard(8000, 8600))
        register.listen()
        await day.site.judge(at(8601))
        # an edge that is dead keeps nothing
        await day.look(8700)
        await day.arrive(9500, day.heard(9500, 9510))
        await day.look(9501)
        # a spool that was full dropped something; who is silent in what came after that is not noted
        await day.arrive(9600, day.heard(9510, 9600))
        await day.look(9700)
        register.do(
            "insert into gap (client, lane, since, until, cause, items) values ('edge-1', 'bulk', %s, %s, 'dropped', 9)",
            *(to_datetime(at(second)) for second in (10_300, 10_310)),
        )
        await day.arrive(10_900, day.heard(9600, 10_900))
        await day.look(10_901)
        entries = register.all("select count(*) from ledger_entry")
        await made.take(day.sent, at(10_903))
        await made.judge(at(10_904))
        assert register.all("select count(*) from ledger_entry") == entries, "what is sent again says nothing new"


@pytest.fixture(scope="module")
def register(database: str) -> Iterator[Register]:
    made = Register(database)
    made.city()
    made.zone("sun", "act", "activity_room")
    furnish(made, {"edge-1": {"cam-1": (CAMERA, "act"), "door-1": (DOOR, None), "button-1": (BUTTON, None)}})
    made.listen()
    asyncio.run(_lived(database, made))
    yield made
    made.close()


def periods(register: Register, rule: str, since: float, until: float) -> list[tuple[str, float]]:
    """Verdicts of a rule with the second since when each holds, as known now, within these seconds."""
    found = [
        (verdict, (to_micros(begun) - T0) / SECOND, ended) for verdict, begun, ended in register.periods("sun", rule)
    ]
    return [
        (verdict, begun)
        for verdict, begun, ended in found
        if begun < until and (ended is None or ended > to_datetime(at(since)))
    ]


def test_a_camera_counts_for_the_time_in_which_only_its_edge_heard_it_and_not_while_it_said_that_it_failed(
    register: Register,
) -> None:
    assert periods(register, VIDEO, 0, 3700) == [
        ("compliant", -299.0),
        ("unknown", 1140.0),
        ("non_compliant", 1200.0),
        ("unknown", 1500.0),
        ("compliant", 1560.0),
    ]


def test_a_door_that_its_edge_did_not_hear_either_stays_unknown_then(register: Register) -> None:
    assert periods(register, ACCESS, 0, 3700) == [("compliant", -299.0), ("unknown", 1930.0), ("compliant", 2460.0)]


def test_a_button_whose_press_could_have_reached_nobody_stays_unknown_however_healthy_it_was(
    register: Register,
) -> None:
    assert periods(register, PANIC, 0, 3700) == [("compliant", -299.0), ("unknown", 100.0), ("compliant", 3601.0)]


def test_an_edge_that_never_said_how_often_its_machine_began_proves_nothing(register: Register) -> None:
    found = periods(register, VIDEO, -1000, 0)
    assert found == [("compliant", -989.0), ("unknown", -900.0), ("compliant", -299.0)]


def test_after_the_machine_of_the_edge_began_anew_nothing_it_kept_is_believed(register: Register) -> None:
    assert periods(register, VIDEO, 3700, 5100)[1:] == [("unknown", 4440.0), ("compliant", 5001.0)]


def test_an_edge_whose_clock_was_wrong_proves_nothing(register: Register) -> None:
    assert periods(register, VIDEO, 5100, 7100)[1:] == [("unknown", 6000.0), ("compliant", 7001.0)]


def test_a_time_in_which_the_hub_itself_did_not_listen_is_amended_too(register: Register) -> None:
    assert periods(register, VIDEO, 7100, 8650) == [("compliant", 7001.0)]
    assert periods(register, PANIC, 7100, 8650)[1:] == [("unknown", 8001.0), ("compliant", 8601.0)]


def test_an_edge_that_was_dead_itself_leaves_the_time_unknown(register: Register) -> None:
    assert periods(register, VIDEO, 8650, 9600)[1:] == [("unknown", 8700.0), ("compliant", 9501.0)]


def test_after_something_was_dropped_nothing_of_that_lane_is_believed(register: Register) -> None:
    assert periods(register, VIDEO, 9510, 11_000)[1:] == [("unknown", 10_150.0), ("compliant", 10_901.0)]
    assert periods(register, ACCESS, 9510, 11_000)[1:] == [("unknown", 10_210.0), ("compliant", 10_901.0)]


async def test_the_past_answers_as_it_was_known_then_and_says_why_it_is_known_otherwise_now(
    register: Register, database: str
) -> None:
    conn = await connect(database, "test", autocommit=True)
    async with conn:

        async def say(rule: str, moment: float, known: float | None) -> tuple[str, str]:
            asked = to_datetime(at(moment)), None if known is None else to_datetime(at(known))
            [row] = [one for one in await coverage_views.findings(conn, "sun", *asked) if one["rule"] == rule]
            return row["verdict"], row["sentence_en"]

        assert (await say(VIDEO, 600, 3000))[0] == "unknown"
        verdict, sentence = await say(VIDEO, 600, None)
        assert verdict == "compliant"
        assert "came later" in sentence
        assert await say(VIDEO, 1300, 3000) == await say(VIDEO, 700, 3000), "known then: nothing of the failure"
        assert (await say(VIDEO, 50, 60)) == (await say(VIDEO, 50, None))
        made = await evidence.export(conn, "sun", to_datetime(at(0)), to_datetime(at(11_000)), to_datetime(at(11_000)))
    checked = verify(made, "b.zip")
    assert list(checked.faults) == []
    assert checked.recomputed > 60
