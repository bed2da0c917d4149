"""What was said while an edge was silent, and what is known once it is back: both stay."""

from collections.abc import AsyncIterator

import pytest

from hub.model import SECOND, Lane, Sample, Scalar, Series, to_datetime
from hub.registry import partition_of
from hub.runtime.blindness_watch import BlindnessMetrics
from hub.store.blindness import silences
from tests.runtime.blind_city import PARTITIONS, BlindCity

LIVE = (0, 2, 3)


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[BlindCity]:
    async with BlindCity.open(fresh_database, [("140402", "unicom")] * 4) as city:
        await city.policy()
        yield city


async def tell(city: BlindCity, n: int, **values: Scalar) -> None:
    """The edge says this of itself, in its bulk lane."""
    number = partition_of(f"i{n:04}", PARTITIONS)
    samples = [Sample(Series(f"e{n:04}", point, ""), city.now, value) for point, value in values.items()]
    await city._take(number, Lane.BULK, [city._message(number, f"e{n:04}", Lane.BULK, samples)])


async def pass_by(city: BlindCity, seconds: int, sites: tuple[int, ...]) -> None:
    for _ in range(0, seconds, 10):
        city.now += 10 * SECOND
        await city.beat(sites)
        await city.tick()
    await city.look()


async def fall_silent(city: BlindCity) -> None:
    """The second edge says how often it has begun, and falls silent for two minutes."""
    await city.beat(range(4))
    await tell(city, 1, boots=7, machine_boots=3, last_end="stopped")
    await city.tick()
    await pass_by(city, 120, LIVE)


KNOWN = "select cause, said_cause, evidence -> -1 ->> 'what' as last, settled from blindness where subject = 'client'"


@pytest.mark.parametrize(
    ("said", "cause", "last"),
    [
        ({}, "uplink", "ran_meanwhile"),
        ({"boots": 8, "machine_boots": 3, "last_end": "killed or without power"}, "edge", "machine_ran"),
        ({"boots": 9, "machine_boots": 4, "last_end": "killed or without power"}, "undetermined", "candidates"),
        ({"boots": 8, "machine_boots": 4, "last_end": "stopped"}, "edge", "began_anew"),
    ],
    ids=["ran-all-the-while", "program", "machine", "stopped-in-order"],
)
async def test_what_is_known_after_the_return_stands_beside_what_was_said_at_the_time(
    city: BlindCity, said: dict[str, Scalar], cause: str, last: str
) -> None:
    await fall_silent(city)
    assert await city.rows(KNOWN) == [
        {"cause": "undetermined", "said_cause": None, "last": "candidates", "settled": False}
    ]
    city.now += 10 * SECOND
    if said:
        await tell(city, 1, **said)
    await pass_by(city, 40, (0, 1, 2, 3))
    assert (await city.rows(KNOWN))[0]["settled"] is False, "not all that it kept can have come"
    await pass_by(city, 70, (0, 1, 2, 3))
    assert await city.rows(KNOWN) == [{"cause": cause, "said_cause": "undetermined", "last": last, "settled": True}]
    [row] = await city.rows("select key from device where id = 'b0001'")
    found = await silences(city.lanes, row["key"], limit=10)
    assert [(one["subject"], one["cause"], one["said"]["cause"]) for one in found] == [
        ("client", cause, "undetermined")
    ]
    assert [one["what"] for one in found[0]["said"]["evidence"]] == ["silent", "candidates"]
    assert all(one["sentence"]["zh"] for one in found[0]["evidence"])
    assert city.watcher.counters.amended == 1
    shown = {metric.name: metric.samples[0].value for metric in BlindnessMetrics(city.watcher.counters).collect()}
    assert shown["anxin_blindness_amended"] == 1.0
    feed = await city.rows("select payload from change where kind = 'blindness'")
    assert [(one["payload"]["state"], one["payload"]["said"], one["payload"]["cause"]) for one in feed] == [
        ("amended", "undetermined", cause)
    ]


async def test_nothing_is_amended_while_what_the_edge_kept_is_still_on_its_way(city: BlindCity) -> None:
    await fall_silent(city)
    city.now += 10 * SECOND
    await pass_by(city, 100, (0, 1, 2, 3))
    await city.conn.execute(
        "update blindness set settled = false, said_cause = null, said_evidence = null, amended_at = null, cause = 'undetermined'"
    )
    await city.conn.execute(
        "update stream set beat_at = %s where client = 'e0001' and lane = 'bulk'",
        [to_datetime(city.now - 3600 * SECOND)],
    )
    await city.watch.returns.weigh(city.now)
    assert (await city.rows(KNOWN))[0]["settled"] is False
    await city.watch.returns.weigh(city.now + 90_000 * SECOND)
    assert (await city.rows(KNOWN))[0]["settled"] is True


async def test_mains_that_a_ups_saw_fail_meanwhile_are_the_power_though_its_edge_ran_on(city: BlindCity) -> None:
    await city.conn.execute(
        "insert into device (id, institution, endpoint, profile, kind, lane) select 'u0001', n.institution, n.key, 'rfc1628-ups', 'ups', 'bulk'"
        " from endpoint n join institution i on i.key = n.institution where i.id = 'i0001'"
    )
    await city.conn.execute(
        "insert into device_state (device, admin_state) select key, 'in_service' from device where id = 'u0001'"
    )
    await fall_silent(city)
    assert (await city.rows(KNOWN))[0]["cause"] == "undetermined"
    definition = next(name for name, alarm in city.profiles["rfc1628-ups"].alarms.items() if alarm.tells)
    await city.conn.execute(  # what the edge kept of it in its spool
        "insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at, late)"
        " select gen_random_uuid(), key, institution, %s, 'supervisory', 'high', 'unack_active', false, %s, now(), true from device where id = 'u0001'",
        [definition, to_datetime(city.now - 60 * SECOND)],
    )
    await pass_by(city, 10, (0, 1, 2, 3))
    await pass_by(city, 70, (0, 1, 2, 3))
    assert await city.rows(KNOWN) == [
        {"cause": "site_power", "said_cause": "undetermined", "last": "mains_lost", "settled": True}
    ]
