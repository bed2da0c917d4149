"""A declared switch that fails is one alarm at the edge before it with those of its devices, and of their lines, under it; one device alone is its own."""

from collections.abc import AsyncIterator

import pytest

from hub.core.blindness import RECOVERY
from tests.runtime.blind_city import BlindCity
from tests.runtime.test_blindness_lines import CRIES, VERDICT, pass_by

ROOTS = "select a.definition, a.instance, a.state, d.id as device, a.suppressed_by is not null as hidden, a.id from alarm a join device d on d.key = a.device where a.definition in ('switch_lost', 'line_lost') order by a.raised_at"


@pytest.fixture
async def city(fresh_database: str) -> AsyncIterator[BlindCity]:
    async with BlindCity.open(fresh_database, [("140402", "unicom")] * 4) as city:
        await city.policy()
        yield city


async def wire(city: BlindCity, n: int) -> list[str]:
    """Behind this edge a switch sw-1 with two devices by themselves and two on a gateway's line, beside the line that is there; all is heard."""
    _, *names = await city.add_thermometers(n, 4)
    for name, line in zip(names, ("a", "b", "gate", "gate"), strict=True):
        await city.conn.execute(
            "insert into endpoint (institution, id, driver, edge, settings) select institution, %s, driver, edge, '{}' from endpoint n"
            " where n.key = (select endpoint from device where id = %s) on conflict do nothing",
            [line, f"b{n:04}"],
        )
        await city.conn.execute(
            "update device d set switch = 'sw-1', endpoint = (select n.key from endpoint n where n.institution = d.institution and n.id = %s) where d.id = %s",
            [line, name],
        )
    await city.load()
    await city.beat(range(4))
    await city.tick()
    return names


async def test_a_dead_switch_is_one_root_alarm_and_nobody_is_paged_for_what_hangs_on_it(city: BlindCity) -> None:
    names = await wire(city, 1)
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    assert await city.count(CRIES) == 4
    assert await city.page(ahead=0) == {}, "what shares a switch waits for its root"
    await city.look()
    [root] = await city.rows(ROOTS)
    assert (root["definition"], root["instance"], root["device"], root["state"]) == (
        "switch_lost",
        "sw-1",
        "e0001",
        "unack_active",
    )
    assert await city.count(f"{CRIES} and suppressed_by = %s", root["id"]) == 4
    assert await city.rows(VERDICT, names) == [{"cause": "switch", "root_alarm": root["id"], "silent": "4"}]
    assert await city.page() == {"switch_lost": 1}

    # it comes back, device by device; one stays away, and is paged by itself when it had its time
    city.mute.difference_update(names[1:])
    await pass_by(city, 10, step=2)
    await city.look()
    assert await city.count(f"{CRIES} and suppressed_by is not null") == 1
    city.now += RECOVERY
    await pass_by(city, 4)
    await city.look()
    assert (await city.rows(ROOTS))[0]["state"] == "unack_cleared"
    assert await city.rows(f"select suppressed_by from {CRIES}") == [{"suppressed_by": None}]
    assert await city.rows(VERDICT, names[:1]) == [{"cause": "device", "root_alarm": None, "silent": None}]
    assert await city.page() == {"switch_lost": 1, "silent": 1}
    said = await city.rows("select cause, since, until from blindness where subject = 'part'")
    assert [(row["cause"], row["until"] is None) for row in said] == [("switch", False)]
    feed = await city.rows("select payload from change where kind = 'blindness' order by seq")
    assert [(row["payload"]["path"], row["payload"]["state"]) for row in feed] == [
        ("e0001/switch:sw-1", "began"),
        ("e0001/switch:sw-1", "over"),
    ]


async def test_one_device_alone_is_no_evidence_and_a_line_that_was_known_first_becomes_a_child_of_its_switch(
    city: BlindCity,
) -> None:
    alone, names = await wire(city, 1), await wire(city, 2)
    city.mute.update([alone[0], *names[2:]])
    await pass_by(city, 20, step=2)
    await city.look()
    assert [(row["definition"], row["instance"], row["device"]) for row in await city.rows(ROOTS)] == [
        ("line_lost", "gate", "e0002")
    ]
    assert await city.rows(VERDICT, alone[:1]) == [{"cause": "device", "root_alarm": None, "silent": None}]
    city.mute.update(names)
    await pass_by(city, 20, step=2)
    await city.look()
    line, switch = await city.rows(ROOTS)
    assert (switch["definition"], switch["hidden"], line["definition"], line["hidden"]) == (
        "switch_lost",
        False,
        "line_lost",
        True,
    )
    assert await city.rows(VERDICT, names) == [{"cause": "switch", "root_alarm": switch["id"], "silent": "4"}]
    assert await city.page() == {"switch_lost": 1, "silent": 1}
    city.mute.clear()
    await pass_by(city, 4)
    await city.look()
    assert {row["state"] for row in await city.rows(ROOTS)} <= {"unack_cleared", "ack_cleared", "normal"}
    assert await city.count(CRIES) == 1, "who was paged by itself is answered by a person"
