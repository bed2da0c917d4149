"""A real edge whose line is cut, with everything else real too: what it kept of the silence amends what the hub said of it, and rewrites nothing.

A net-snmp agent is the camera, a Modbus server that we did not write the door and the button; `anxin edge` is a process of its own, its way to the
broker a proxy that refuses; ingest and coverage run as `anxin serve` puts them together. Shortened are two constants alone: how long a silence must
be that is worth an amendment, and by how much the edge's clock may be behind.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyModbusTCP.server import DataBank, DataHandler, ModbusServer

from hub.config import data_folder
from hub.core.coverage import late
from hub.engine import Prefix
from hub.model import SECOND
from hub.runtime.service import Role
from hub.store import coverage_views
from hub.store.pool import connect
from hub.testing import eventually
from hub.testing.fault_proxy import TcpFaultProxy
from tests.conftest import EngineProcess
from tests.drivers.snmp.agent import Snmpd
from tests.faults.family import TREE
from tests.ports import free_port
from tests.runtime.outage import Centre, centre
from tests.store.coverage_register import Register
from tests.store.edge_site import BUTTON, CAMERA, PARTITION, furnish

HOST = "127.0.0.1"
VIDEO, ACCESS, PANIC = "national-video-infant-zones", "changzhi-access", "wst821-panic"
DOOR = """
profile: door-that-can-fail
extends: adam-6050-door
model: the same module, whose contact for the housing tells of a fault
health:
  - {point: tamper, condition: {equals: true}, state: failed, title: {zh: 故障, en: Broken}}
"""
TAMPER, PRESS = 2, 4
_CHINA = timezone(timedelta(hours=8))


class _Handler(DataHandler):  # type: ignore[misc]
    reads = 0

    def read_d_inputs(self, address: int, count: int, srv_info: Any) -> Any:
        answer = super().read_d_inputs(address, count, srv_info)
        self.reads += 1
        return answer


class Module:
    """The Modbus server that door and button are wired to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bank = DataBank(d_inputs_size=16, coils_size=32)
        self.handler = _Handler(self.bank)
        self.server = ModbusServer(host=HOST, port=self.port, no_block=True, data_hdl=self.handler)

    async def read_anew(self, times: int = 14) -> None:
        """What it says now has been asked for by the edge, again and again."""
        seen = self.handler.reads
        await eventually(lambda: self.handler.reads >= seen + times)


@contextlib.contextmanager
def module() -> Iterator[Module]:
    made = Module()
    made.server.start()
    try:
        yield made
    finally:
        made.server.stop()


def point(name: str, kind: str, every: int, record: str = "reading", **address: Any) -> dict[str, Any]:
    return {"point": name, "type": kind, "record": record, "every": every, "address": address}


def bundle(port: int, password: str, camera: Snmpd, signal: str, io: int) -> dict[str, Any]:
    """As `anxinctl bundle` writes it, but for points that are read more often."""

    def input_(name: str, address: int, every: int = 300_000) -> dict[str, Any]:
        return point(name, "bool", every, table="discrete", address=address)

    agent = {"host": HOST, "port": camera.port, "version": "2c", "community": "public", "insecure_transport": True}
    cam = [point("uptime", "int", 500_000, "beat", oid="1.3.6.1.2.1.1.3.0")]
    cam.append(point("video_signal", "int", 500_000, oid=signal))
    door = [input_("door", 0), input_("forced", 1), input_("tamper", TAMPER)]
    return {
        "version": 1,
        "edge": "edge-1",
        "institution": "sun",
        "partition": PARTITION,
        "broker": {"host": HOST, "port": port, "username": "edge-1", "password": password},
        "beat": 500_000,
        "endpoints": [
            {
                "id": "camera",
                "driver": "snmp",
                "settings": {**agent, "timeout_s": 5},
                "devices": [{"id": "cam-1", "lane": "bulk", "settings": {}, "points": cam}],
            },
            {
                "id": "io",
                "driver": "modbus",
                "settings": {"host": HOST, "port": io, "timeout_s": 5},
                "devices": [
                    {"id": "door-1", "lane": "bulk", "settings": {"unit": 1}, "points": door},
                    {
                        "id": "button-1",
                        "lane": "urgent",
                        "settings": {"unit": 1},
                        "points": [input_("press", PRESS, 200_000)],
                    },
                ],
            },
        ],
    }


@contextlib.contextmanager
def edge(folder: Path, document: dict[str, Any]) -> Iterator["subprocess.Popen[bytes]"]:
    """`anxin edge` as a process of its own."""
    folder.mkdir()
    config = folder / "edge.json"
    config.write_text(json.dumps(document))
    config.chmod(0o600)
    with (folder / "edge.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub.cli.edge", "--config", str(config)], stdout=log, stderr=log, cwd=TREE
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def evidence(database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`anxin evidence …`."""
    command = [str(Path(sys.executable).with_name("anxin")), "evidence", *arguments]
    known = {**os.environ, "ANXIN_DATABASE_URL": database, "ANXIN_MQTT_URL": "mqtt://nobody"}
    return subprocess.run(command, env=known, capture_output=True, text=True, timeout=60, check=False)


@contextlib.asynccontextmanager
async def hub(database: str, mqtt_url: str, folder: Path) -> AsyncIterator[Centre]:
    """Ingest and coverage in one process, with the door's profile beside the shipped ones."""
    shelf = folder / "profiles"
    shelf.mkdir()
    (shelf / "door.yaml").write_text(DOOR)
    roles, folders = (Role.INGEST, Role.COVERAGE, Role.API), (data_folder("device-profiles"), shelf)
    async with centre(database, mqtt_url, folder / "hub", roles, profiles=folders) as made:
        yield made


@pytest.mark.timeout(180)
async def test_what_a_real_edge_kept_while_its_line_was_cut_amends_the_verdict_of_that_time_and_what_was_known_then_stays(
    fresh_database: str,
    mqtt_url: str,
    engine: EngineProcess,
    make_mqtt_user: Callable[[str], str],
    peers: Prefix,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(late, "SHORTEST", SECOND)
    monkeypatch.setattr(late, "CAUGHT_UP", SECOND)  # its beats are half a second apart, and there is one clock
    stack = contextlib.AsyncExitStack()
    register = Register(fresh_database)
    stack.callback(register.close)
    register.city()
    register.zone("sun", "act", "activity_room")
    devices = {"cam-1": (CAMERA, "act"), "door-1": ("door-that-can-fail", None), "button-1": (BUTTON, None)}
    furnish(register, {"edge-1": devices})
    register.do("update device set kind = 'access_controller' where id = 'door-1'")
    camera = Snmpd(peers.program("snmpd"), tmp_path / "camera", free_port())
    signal = camera.set("1.1", "integer", 1)
    async with stack:
        await camera.start()
        stack.push_async_callback(camera.stop)
        io = stack.enter_context(module())
        line = await stack.enter_async_context(TcpFaultProxy(HOST, engine.now.device_port))
        await stack.enter_async_context(hub(fresh_database, mqtt_url, tmp_path))
        told = bundle(line.port, make_mqtt_user("edge-1"), camera, signal, io.port)
        running = stack.enter_context(edge(tmp_path / "edge", told))
        conn = await stack.enter_async_context(await connect(fresh_database, "test", autocommit=True))

        async def said(at: datetime | None, known_at: datetime | None) -> dict[str, tuple[str, str]]:
            """What each rule says of `at`, as known then: verdict and sentence."""
            rows = await coverage_views.findings(conn, "sun", at, known_at)
            return {row["rule"]: (row["verdict"], row["sentence_en"]) for row in rows}

        async def now_says(**verdicts: str) -> bool:
            assert running.poll() is None, (tmp_path / "edge" / "edge.log").read_text()
            found = await said(None, None)
            names = {"video": VIDEO, "access": ACCESS, "panic": PANIC}
            return all(found.get(names[name], ("",))[0] == verdict for name, verdict in verdicts.items())

        async def knows_its_clock() -> bool:
            asked = "select count(distinct s.point) from series s join reading r on r.series_id = s.key where s.point in ('clock_skew', 'machine_boots')"
            row = await (await conn.execute(asked)).fetchone()
            return row == (2,)

        async def moment() -> datetime:
            row = await (await conn.execute("select clock_timestamp()")).fetchone()
            assert row is not None
            return row[0]  # type: ignore[no-any-return]

        async def has_heard_all() -> bool:
            """Else what is compliant is what was written here before anybody listened, and what turns unknown is that."""
            asked = "select count(*) from device_state s join device d on d.key = s.device where d.id = any (%s) and s.last_heard_at > %s and s.link_state = 'online'"
            row = await (await conn.execute(asked, [list(devices), began])).fetchone()
            return row == (len(devices),)

        began = await moment()
        await eventually(knows_its_clock, 60)
        await eventually(has_heard_all, 30)
        await eventually(lambda: now_says(video="compliant", access="compliant", panic="compliant"), 60)
        before = await moment()
        await io.read_anew(4)

        await line.refuse()
        await eventually(lambda: now_says(video="unknown", access="unknown", panic="unknown"), 60)
        await io.read_anew()  # the camera's picture is there all the while; nobody outside hears of it
        quiet = await moment()
        await io.read_anew(4)
        io.bank.set_discrete_inputs(TAMPER, [True])
        await io.read_anew()
        broken = await moment()
        await io.read_anew()
        io.bank.set_discrete_inputs(TAMPER, [False])
        await io.read_anew()
        then = await moment()

        await line.accept()
        await eventually(lambda: now_says(video="compliant", access="compliant", panic="compliant"), 60)

        for at in (quiet, broken):  # what was known then is what it was
            found = await said(at, then)
            assert {found[rule][0] for rule in (VIDEO, ACCESS, PANIC)} == {"unknown"}
        for at in (quiet, broken):
            found = await said(at, None)
            assert found[VIDEO][0] == "compliant", found[VIDEO]
            assert "came later" in found[VIDEO][1]
            assert found[PANIC][0] == "unknown", "a press could have reached nobody"
        assert (await said(broken, None))[ACCESS][0] == "non_compliant"
        assert (await said(quiet, None))[ACCESS][0] != "non_compliant"
        assert await said(before, then) == await said(before, None)

        days = [f"{one.astimezone(_CHINA):%Y-%m-%d}" for one in (before, await moment())]
        file = tmp_path / "sun.zip"
        made = await asyncio.to_thread(
            evidence,
            fresh_database,
            *("export", "--institution", "sun", "--from", days[0], "--to", days[1], "--out", str(file)),
        )
        assert made.returncode == 0, made.stderr
        checked = await asyncio.to_thread(evidence, fresh_database, "verify", str(file))
        assert checked.returncode == 0, checked.stdout + checked.stderr
