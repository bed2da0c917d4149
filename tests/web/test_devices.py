"""A device's page: three axes, why it is not heard with what that rests on, its clock, its proofs and tests."""

from tests.api import seed
from tests.web.conftest import Console


async def test_a_device_that_is_not_heard_shows_its_cause_and_the_evidence_in_both_languages_in_beijing_time(
    console: Console,
) -> None:
    a = console.city.a
    await console.city.conn.execute(
        "update device_state set link_state = 'offline', link_cause = 'device', last_heard_at = %s where device = %s",
        [seed.at(0), a.button_key],
    )
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get(f"/console/devices/{a.button}")).text
        table = (await visitor.http.get("/console/institutions/a-home")).text
    cause = page.split('id="cause"')[1].split("</section>")[0]
    assert "设备自身" in cause
    for text in (cause, table):
        assert "网关在线，设备自 2026-11-21 16:00:00 起无应答" in text
        assert "its edge is heard, the device has not answered since 2026-11-21 16:00:00" in text
    for word in ("在用", "离线", "正常", "最近验证", "最近通路验证", "未知：设备不在线"):
        assert word in page, word


async def test_a_devices_clock_is_said_to_be_fine_corrected_or_wrong(console: Console) -> None:
    a = console.city.a
    path = f"/console/devices/{a.button}"
    async with console.visitor("operator-a") as visitor:

        async def clock() -> str:
            return (await visitor.http.get(path)).text.split('id="clock"')[1].split("</dd>")[0]

        assert "未见异常" in await clock()
        await console.city.conn.execute(
            "update point_state set quality = 101 where series = (select min(key) from series where device = %s)",
            [a.button_key],
        )
        assert "设备时间不可信，已用平台时间" in await clock()
        await console.city.conn.execute(
            "insert into device_clock (device, ahead, said_at, read_at, reader, wrong, since) values (%s, 754.2, %s, %s, 'edge', true, %s)",
            [a.button_key, seed.at(0), seed.at(0), seed.at(0)],
        )
        shown = await clock()
        assert "时钟不准" in shown
        assert "+754.2 s" in shown
        await console.city.conn.execute("update alarm set signal_class = 'clock' where id = %s", [a.alarm])
        assert f'href="/console/alarms/{a.alarm}"' in await clock()


async def test_a_device_that_dials_the_police_is_tested_in_a_booked_window_only_and_its_receipt_stands_beside_the_test(
    console: Console,
) -> None:
    a = console.city.a
    await console.city.conn.execute("update device set dials_police = true where key = %s", [a.button_key])
    window = {"device": a.button, "reference": "长-7", "agreed_by": "接警台"}
    times = {"starts_at": "2026-11-21T16:30", "ends_at": "2026-11-21T18:00"}
    async with console.visitor("admin-a") as visitor:
        page = (await visitor.http.get(f"/console/devices/{a.button}")).text
        assert "平台无法阻止" in page
        refused = await visitor.post(f"/console/devices/{a.button}/test", x_console="1")
        assert refused.status_code == 409
        assert "请先与中心约定窗口" in refused.json()["zh"]
        for wrong in ({"ends_at": "2026-11-21T16:00"}, {"ends_at": ""}, {"reference": " "}, {"starts_at": "soon"}):
            assert (await visitor.post("/console/police-windows", {**window, **times, **wrong})).status_code == 422, (
                wrong
            )
        assert (await visitor.post("/console/police-windows", {**window, **times})).status_code == 303
        assert (await visitor.post(f"/console/devices/{a.button}/test")).status_code == 303
        await console.city.conn.execute(
            "update device_test set requested_at = %s where finished_at is null", [seed.at(3600)]
        )
        ((id,),) = await console.rows("select id from police_window")
        receipt = {"number": "R-88", "text": "测试已收到"}
        assert (await visitor.post(f"/console/police-windows/{id}/receipt", receipt)).status_code == 303
        assert (await visitor.post(f"/console/police-windows/{id}/receipt", receipt)).status_code == 409
        page = (await visitor.http.get("/console/tests")).text
        assert page.count("R-88") == 2  # with its window and with the test that was made in it
        assert "测试已收到" in page
