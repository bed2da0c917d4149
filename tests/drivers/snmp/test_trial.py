"""A device's own test over SNMP: SET, its answer and the SET back, through net-snmp's agent."""

from pathlib import Path
from typing import Any

from hub.core.proof_order import Trial
from hub.edge.trials import Debts
from hub.testing import eventually
from tests.drivers.snmp.agent import HOST, ROOT, Snmpd
from tests.edge.sites import document
from tests.edge.test_trials import trials


async def test_a_device_is_put_into_its_test_by_set_and_out_of_it(tmp_path: Path, agent: Snmpd) -> None:
    agent.set("50.1", "integer", 0)
    agent.set("50.2", "integer", 0)

    def point(name: str, tail: str, **more: Any) -> dict[str, Any]:
        made = {
            "point": name,
            "type": "int",
            "record": "reading",
            "every": 200_000,
            "address": {"oid": f"{ROOT}.{tail}"},
        }
        return {**made, **more}

    points = [point("test", "50.1", writable=True), point("answer", "50.2")]
    access = {"version": "2c", "community": "public", "write_community": "private", "insecure_transport": True}
    settings = {"host": HOST, "port": agent.port, "timeout_s": 5, **access}
    behind = {"id": "io-device", "lane": "urgent", "settings": {}, "points": points}
    told = document(1883, {"id": "io", "driver": "snmp", "settings": settings, "devices": [behind]})
    async with trials(told, tmp_path) as (found, there):
        await found.conduct("io-device", Trial("test", 1, 0, "answer", (2,), 20_000_000))
        answers = [sample.raw for sample in there.sink.samples if sample.series.point == "answer"]
        assert answers[0] == 0
        assert 2 in answers
        assert Debts(tmp_path).load() == []

        async def is_back() -> bool:
            await there.link.ask(there.link.plan.bindings[1].series)
            return [one.raw for one in there.sink.samples if one.series.point == "answer"][-1] == 0

        await eventually(is_back)
