"""What if through the API, over a real database: other rules, a pack that is sent, the loss of one part, what is missing; within the scope, kept nowhere."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hub.api import what_if
from hub.config import data_folder
from hub.core.coverage.judge import check
from hub.core.coverage.turns import points
from hub.core.orders import DAY
from hub.core.rights import Scope
from hub.model import SECOND, to_datetime
from hub.store.coverage_facts import Facts
from hub.store.pool import connect
from tests.api.test_coverage import T0, asking, get
from tests.store.coverage_register import PACKS, PROFILES, Register

PACK = """
pack: tried
version: 2099.09.1
title: {zh: 试, en: tried}
rules:
  - id: tried-two-cameras
    clause_id: VID-03
    document: 试用文本
    clause: 第一条
    force: NORM
    basis: obligation
    confidence: V3
    effective_from: 2099-09-01
    module: video
    title: {zh: 每间活动室两台摄像机, en: Two cameras in each activity room}
    days_to_remedy: 30
    requirement:
      at_least: {capability: video.live, n: 2, per: zone, zones: [activity_room]}
"""
NEXT = "at=2099-09-01T00:00:00%2B08:00"


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.institution("moon")
    made.do("insert into division values ('11', null, '北京市', 'Beijing')")
    for place in ("sun", "moon"):
        made.zone(place, f"{place}-act", "activity_room")
        made.device(place, f"{place}-cam", "axis-camera", f"{place}-act")
    made.device("sun", "sun-sw", "if-mib-switch", None)
    made.do("update device set switch = 'sun-sw' where id = 'sun-cam'")
    made.listen()
    yield made
    made.close()


async def send(client: httpx.AsyncClient, path: str, pack: str | bytes, status: int = 200) -> Any:
    headers = {"content-type": "application/octet-stream"}
    answer = await client.post(path, content=pack, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def state(register: Register) -> list[Any]:
    """What asking must not move."""
    tables = ("finding", "change", "audit", "coverage_checked")
    return [register.all(f"select count(*) from {name}") for name in tables]


async def test_what_if_is_asked_over_the_facts_of_now_and_nothing_of_it_is_kept(
    fresh_database: str, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(register)
    async with asking(fresh_database) as client:
        await a_pack_that_is_sent(client)
        await everybody(client)
        await single_points_of_failure(client)
        await what_was_foretold_of_a_loss_is_what_is_judged_once_it_is_lost(client, fresh_database, register)
        await what_is_missing(client, register)
        await what_is_waived(client, register)
        await bad_questions(client, monkeypatch)
    async with asking(fresh_database, scope=Scope(institutions=("moon",))) as client:
        await another_scope(client)
    assert state(register) == before


async def a_pack_that_is_sent(client: httpx.AsyncClient) -> None:
    path = "/institutions/sun/what-if/rules"
    [turn] = (found := await send(client, f"{path}?{NEXT}", PACK))["turns"]
    assert (turn["rule"], turn["before"], turn["after"], turn["zones"]) == (
        "tried-two-cameras", None, "non_compliant", ["sun-act"],
    )  # fmt: skip
    assert (found["pack"], found["not_in_effect"]) == ("tried 2099.09.1", 0)
    assert turn["sentence"]["zh"]
    too_early = await send(client, path, PACK)
    assert (too_early["turns"], too_early["not_in_effect"]) == ([], 1)  # it does not hold yet: said, not shown as calm
    assert (await get(client, f"{path}?{NEXT}"))["turns"] == []  # the hub's own packs: nothing was kept
    text = (data_folder("rule-packs") / "changzhi-2024.yaml").read_text("utf-8")
    stricter = text.replace("effective_from: 2024", "effective_from: 2099")
    gone = await send(client, path, stricter)
    assert {turn["after"] for turn in gone["turns"]} == {None}  # in the place of the hub's pack of its name
    assert {turn["rule"].split("-")[0] for turn in gone["turns"]} == {"changzhi"}


async def everybody(client: httpx.AsyncClient) -> None:
    found = await send(client, f"/coverage/what-if/rules?{NEXT}", PACK)
    assert (found["judged"], found["turned"], found["left_out"]) == (3, 3, 0)
    [rule] = found["rules"]
    assert (rule["rule"], rule["basis"], rule["subjects"], rule["falls"]) == ("tried-two-cameras", "obligation", 3, 3)
    assert rule["counts"] == [
        {"before": None, "after": "non_compliant", "subjects": 2},
        {"before": None, "after": "unknown", "subjects": 1},
    ]
    assert [(one["subject"], one["obligations"]) for one in found["subjects"]] == [
        ("moon", 1), ("register:CZ-2", 1), ("sun", 1),
    ]  # fmt: skip
    short = await send(client, f"/coverage/what-if/rules?{NEXT}&limit=1", PACK)
    assert (len(short["subjects"]), short["left_out"], short["rules"]) == (1, 2, found["rules"])
    assert (await send(client, f"/coverage/what-if/rules?{NEXT}&division=11", PACK))["judged"] == 0
    same = await get(client, f"/coverage/what-if/rules?{NEXT}")
    assert (same["judged"], same["turned"], same["pack"]) == (3, 0, None)


async def single_points_of_failure(client: httpx.AsyncClient) -> None:
    found = await get(client, "/institutions/sun/what-if/losses")
    parts = {one["part"]: one for one in found["parts"]}
    assert [one["part"] for one in found["parts"]][:1] == ["switch:sun-sw"]
    assert parts["switch:sun-sw"]["devices"] == 2  # itself and the camera that hangs on it
    assert parts["switch:sun-sw"]["title"] == {"zh": "交换机", "en": "switch"}
    assert parts["device:sun-cam"]["title"] == {"zh": "区域sun-act的设备", "en": "device in Zone sun-act"}
    assert "national-video-infant-zones" in {one["rule"] for one in parts["switch:sun-sw"]["falls"]}
    assert "device:sun-sw" not in parts


async def what_was_foretold_of_a_loss_is_what_is_judged_once_it_is_lost(
    client: httpx.AsyncClient, url: str, register: Register
) -> None:
    async def verdicts() -> dict[str, str]:
        conn = await connect(url, "test", autocommit=True)
        async with conn, conn.transaction():
            [facts] = await Facts(conn, PROFILES, points(PACKS)).of(["sun"])
        return {one.rule.id: one.verdict.value for one in check(PACKS, facts, T0 + SECOND)}

    parts = {one["part"]: one for one in (await get(client, "/institutions/sun/what-if/losses"))["parts"]}
    before = await verdicts()
    lost = "update device_state s set {} from device d where d.key = s.device and d.id = '{}'"
    for part, deeds in (
        ("switch:sun-sw", (("function_state = 'failed'", "sun-sw"), ("link_state = 'offline'", "sun-cam"))),
        ("device:sun-cam", (("function_state = 'failed'", "sun-cam"),)),
    ):
        for deed in deeds:
            register.do(lost.format(*deed))
        after = await verdicts()
        foretold = {one["rule"]: (one["before"], one["after"]) for one in parts[part]["falls"]}
        assert foretold
        assert foretold == {
            rule: (was, after[rule]) for rule, was in before.items() if was == "compliant" != after[rule]
        }
        register.do("update device_state set function_state = 'ok', link_state = 'online'")
        assert await verdicts() == before


async def what_is_missing(client: httpx.AsyncClient, register: Register) -> None:
    register.do(
        "update device_state set function_state = 'failed' where device = (select key from device where id = 'sun-cam')"
    )
    found = await get(client, "/institutions/sun/what-if/missing")
    room = next(one for one in found["missing"] if one["zone"] == "sun-act" and one["capabilities"] == ["video.live"])
    assert (room["buy"], room["restore"], room["what"]["zh"], room["basis"]) == (0, 1, "视频监控", "obligation")
    assert room["idle"] == [{"device": "sun-cam", "reason": {"zh": "故障", "en": "failed"}}]
    smoke = next(one for one in found["totals"] if "fire.smoke" in one["capabilities"])
    assert smoke["buy"] > 0
    register.do("update device_state set function_state = 'ok'")


async def what_is_waived(client: httpx.AsyncClient, register: Register) -> None:
    rule = "changzhi-panic"
    register.do(
        "insert into waiver (institution, rule, force, basis, title_zh, title_en, ground, approver, granted_at, since, expires_at)"
        " select key, %s, 'PLAN', 'target', '标', 'T', 'g', 'p', %s, %s, %s from institution where id = 'sun'",
        rule, *[to_datetime(T0 - SECOND)] * 2, to_datetime(T0 + DAY),
    )  # fmt: skip
    path = "/institutions/sun/what-if"
    assert (await get(client, f"{path}/rules"))["waived"] == {"before": 1, "after": 1}
    expired = await get(client, f"{path}/rules?{NEXT}")
    assert expired["waived"] == {"before": 1, "after": 0}
    assert {one["rule"]: (one["before"], one["after"]) for one in expired["turns"]}[rule] == (
        "waived",
        "non_compliant",
    )
    everywhere = await get(client, f"/coverage/what-if/rules?{NEXT}")
    assert everywhere["waived"] == {"before": 1, "after": 0}
    [summed] = [one for one in everywhere["rules"] if one["rule"] == rule]
    assert summed["counts"] == [{"before": "waived", "after": "non_compliant", "subjects": 1}]
    lacking = (await get(client, f"{path}/missing"))["missing"]
    assert {name for one in lacking for name in one["waived"]} == {rule}


async def bad_questions(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/institutions/sun/what-if/rules", "/coverage/what-if/rules"):
        wrong = await send(client, path, PACK.replace(", n: 2", ", n: none"), 422)
        assert "tried-two-cameras" in wrong["detail"]
        assert "requirement.at_least.n" in wrong["detail"]
        for sent in (
            b"",
            b"\xff",
            b"[",
            b"rules: *a",
            b"x" * 600_000,
            PACK.replace("tried-two", "national-video-forbidden #").encode(),
        ):
            assert (await send(client, path, sent, 422))["code"] == "rule-pack"
        await get(client, f"{path}?at=2099-09-01", 422)
    await send(client, "/institutions/nobody/what-if/rules", PACK, 404)
    await get(client, "/coverage/what-if/rules?division=x", 422)
    monkeypatch.setattr(what_if, "LONGEST", 0.0)
    slow = await get(client, "/coverage/what-if/rules", 422)
    assert slow["errors"][0]["pointer"] == "query/division"
    monkeypatch.undo()
    await get(client, "/coverage/what-if/rules")  # what took too long stands in nobody's way
    what_if._under_way.add("one")
    await get(client, "/coverage/what-if/rules", 409)
    what_if._under_way.clear()


async def another_scope(client: httpx.AsyncClient) -> None:
    for question in ("rules", "losses", "missing"):
        await get(client, f"/institutions/sun/what-if/{question}", 404)
        await get(client, f"/institutions/moon/what-if/{question}")
    await send(client, "/institutions/sun/what-if/rules", PACK, 404)
    found = await send(client, f"/coverage/what-if/rules?{NEXT}", PACK)
    assert [one["subject"] for one in found["subjects"]] == ["moon"]
