"""Completeness beside figures, streams with their watermarks, the balance of each hour, gaps."""

from datetime import timedelta
from typing import Any

import pytest

from hub.api.schemas import moment
from tests.api.conftest import City
from tests.api.seed import NOW, at

HOUR = {"from": moment(at(-7200)), "to": moment(at(0))}


async def ask(city: City, path: str, token: str = "admin", **query: Any) -> Any:
    async with city.client(token) as client:
        answer = await client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def tracked(city: City) -> City:
    """Gaps were noted all the while, and everything has arrived."""
    await city.conn.execute(
        "update hub_setting set value = to_jsonb(%s::timestamptz) where name = 'gaps_since'", [at(-90000)]
    )
    await city.conn.execute("update stream set beat_at = %s", [at(3600)])
    return city


async def readings(city: City, **query: Any) -> Any:
    return (await ask(city, "/devices/a-button/readings", point="level", **{**HOUR, **query}))["completeness"]


async def test_readings_have_the_share_of_their_period_that_is_not_known_to_be_missing(tracked: City) -> None:
    found = await readings(tracked)
    assert found["share"] == pytest.approx(1 - (900 + 900) / 7200), (
        "what the edge and its spool lack twice is lacking once"
    )
    causes = [(span["cause"], span["from"]) for span in found["missing"]]
    assert causes == [("dropped", moment(at(-5400))), ("edge", moment(at(-5400))), ("device", moment(at(-1800)))]
    assert (found["from"], found["to"], found["reason"], found["more"]) == (HOUR["from"], HOUR["to"], None, 0)


async def test_a_page_of_one_tells_the_same_of_the_whole_period(tracked: City) -> None:
    assert await readings(tracked, limit=1) == await readings(tracked)


async def test_before_gaps_were_noted_nothing_is_known_and_no_share_is_given(city: City) -> None:
    await city.conn.execute(
        "update hub_setting set value = to_jsonb(%s::timestamptz) where name = 'gaps_since'", [at(10)]
    )
    found = await readings(city)
    assert (found["share"], found["reason"]) == (None, "before_tracking")


async def test_a_device_that_is_not_heard_now_is_missing_since_it_was_heard(tracked: City) -> None:
    await tracked.conn.execute("update device_state set link_state = 'unknown', last_heard_at = %s", [at(1800)])
    found = await readings(tracked, **{"from": moment(at(0)), "to": moment(at(3600))})
    assert found["share"] == pytest.approx(0.5)
    assert [span["cause"] for span in found["missing"]] == ["silent"]


async def test_what_is_behind_the_watermark_of_its_edge_has_not_arrived(tracked: City) -> None:
    await tracked.conn.execute("update stream set beat_at = %s where client = 'a-edge'", [at(900)])
    found = await readings(tracked, **{"from": moment(at(0)), "to": moment(at(3600))})
    assert found["share"] == pytest.approx(0.25)
    assert [span["cause"] for span in found["missing"]] == ["not_arrived"]


async def test_what_a_full_spool_drops_now_is_missing_until_something_whole_comes(tracked: City) -> None:
    await tracked.conn.execute("update stream set drop_from = %s, drop_items = 7 where client = 'a-edge'", [at(1800)])
    found = await readings(tracked, **{"from": moment(at(0)), "to": moment(at(3600))})
    assert (found["share"], found["missing"][0]["cause"]) == (pytest.approx(0.5), "dropped")


async def test_a_value_that_could_not_be_read_is_missing_until_the_next_one(tracked: City) -> None:
    query = "update reading set quality = 204, value = null where at = %s"
    await tracked.conn.execute(query, [at(-30)])
    found = await readings(tracked, **{"from": moment(at(-40)), "to": moment(at(0))})
    assert found["share"] == pytest.approx(0.75)
    assert [span["cause"] for span in found["missing"]] == ["unread"]


async def test_a_polled_series_without_a_row_for_longer_than_its_re_assertion_lacks_samples(tracked: City) -> None:
    query = {"point": "mode", "from": moment(at(0)), "to": moment(at(3600))}  # stored at 0, then no more; now is 3600
    found = (await ask(tracked, "/devices/a-button/readings", **query))["completeness"]
    assert found["share"] == pytest.approx((600 + 30) / 3600)
    assert [span["cause"] for span in found["missing"]] == ["series"]
    assert (await readings(tracked, **{"from": query["from"], "to": query["to"]}))["share"] == 1.0, (
        "nobody polls that one"
    )


async def test_figures_by_hour_and_by_day_have_each_their_own_share(tracked: City) -> None:
    query = {"point": "level", "from": "2026-11-21T05:00:00Z", "to": "2026-11-21T09:00:00Z"}
    page = await ask(tracked, "/devices/a-button/figures", **query)
    first, last = page["items"]
    assert (first["from"], first["to"]) == ("2026-11-21T07:00:00.000000Z", "2026-11-21T08:00:00.000000Z")
    assert (first["n"], first["minimum"], first["maximum"], first["mean"]) == (4, 95.5, 98.5, 97.0)
    assert first["completeness"] == pytest.approx(1 - 900 / 3600)
    assert (last["n"], last["completeness"]) == (1, 1.0)
    assert page["completeness"]["share"] == pytest.approx(1 - 1800 / (4 * 3600))
    days = (await ask(tracked, "/devices/a-button/figures", point="level", by="day", **{"from": moment(at(-86400))}))[
        "items"
    ]
    assert [(day["from"], day["n"]) for day in days] == [("2026-11-20T16:00:00.000000Z", 5)]
    assert 0.9 < days[0]["completeness"] < 1


async def test_streams_tell_their_watermark_and_what_waits(city: City) -> None:
    (stream,) = (await ask(city, "/streams", client="a-edge"))["items"]
    assert stream["watermark"] == moment(NOW)
    assert (stream["upto"], stream["counted"], stream["given"], stream["waiting"]) == (9, 100, 120, 20)
    assert (stream["superseded"], stream["dropping"], stream["dropping_since"]) == (False, 0, None)
    began = NOW + timedelta(hours=1)
    await city.conn.execute(
        "insert into stream (stream, client, lane, upto, updated_at) values ('a-new', 'a-edge', 'urgent', 1, %s)",
        [began],
    )
    items = (await ask(city, "/streams", client="a-edge"))["items"]
    assert [(item["stream"], item["superseded"]) for item in items] == [("a-edge-urgent", True), ("a-new", False)]


async def test_an_hour_that_does_not_balance_is_shown_and_can_be_asked_for(city: City) -> None:
    day = {"from": moment(at(-86400)), "client": "a-edge"}
    now, before = (await ask(city, "/conservation", **day))["items"]
    assert (now["balanced"], before["balanced"], before["missing"]) == (True, False, 3)
    fates = ("stored", "suppressed", "events", "beats", "duplicates", "quarantined", "dropped", "missing")
    assert all(hour["produced"] + hour["surplus"] == sum(hour[name] for name in fates) for hour in (now, before))
    assert (await ask(city, "/conservation", unbalanced=True, **day))["items"] == [before]


async def test_gaps_can_be_asked_for_by_cause_device_and_time(city: City) -> None:
    day = {"from": moment(at(-86400)), "client": "a-edge"}
    assert [gap["cause"] for gap in (await ask(city, "/gaps", **day))["items"]] == ["device", "dropped", "edge"]
    (dropped,) = (await ask(city, "/gaps", cause="dropped", **day))["items"]
    assert (dropped["device"], dropped["items"], dropped["from"]) == (None, 4, moment(at(-5400)))
    (own,) = (await ask(city, "/gaps", device="a-button", **day))["items"]
    assert (own["device"], own["to"]) == ("a-button", moment(at(-900)))
    later = {"from": moment(at(-1000)), "client": "a-edge"}
    assert [gap["cause"] for gap in (await ask(city, "/gaps", **later))["items"]] == ["device"]


@pytest.mark.parametrize("path", ["/streams", "/gaps", "/conservation"])
async def test_others_see_nothing_of_them(city: City, path: str) -> None:
    query = {} if path == "/streams" else {"from": moment(at(-86400))}
    seen = (await ask(city, path, "admin-a", **query))["items"]
    assert {item["institution"] for item in seen} == {"a-home"}
    assert (await ask(city, path, "admin-a", client="b-edge", **query))["items"] == []
