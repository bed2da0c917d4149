"""Any number of simulated devices in one process, told what to do by JSON lines: `python -m drivers.simulator`.

The first line names the devices, the answer where each of them is to be reached; every further line is `{"device": …, "do": …, "args": {…}}`::

    {"folder": "/tmp/x", "broker": "mqtt://user:password@127.0.0.1:1883",
     "devices": {"adam-1": {"kind": "modbus", "discrete": {"0": false}, "coils": {"16": false}},
                 "camera-1": {"kind": "snmp", "community": "demo", "values": [["1.3.6.1.2.1.1.5.0", "string", "x"]]},
                 "camera-2": {"kind": "onvif", "user": "hub", "password": "x", "days": 92, "gap_hours": 2},
                 "smoke-1": {"kind": "mqtt", "topic": "zigbee2mqtt/smoke-1", "product": "HS1SA"},
                 "door-1": {"kind": "lines", "template": "D01 {door}", "values": {"door": "CLOSED"}, "pty": true},
                 "panel-1": {"kind": "panel", "pty": false}}}
    {"ok": true, "result": {"adam-1": {"port": "41233"}, "door-1": {"port": "/tmp/x/door-1"}, …}}

An answer is `{"ok": true, "result": …}` or `{"ok": false, "error": …}`. The process ends with its input.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.line_device import LineDevice
from drivers.simulator.modbus import ModbusDevice
from drivers.simulator.mqtt_device import MqttDevice
from drivers.simulator.onvif import OnvifDevice
from drivers.simulator.snmp import SnmpAgent, SnmpUser
from drivers.simulator.wire import Pty, TcpPort
from hub.errors import AnxinError
from hub.mqtt import Broker, parse_broker

ACTIONS: dict[type[Any], frozenset[str]] = {
    ModbusDevice: frozenset({"set_discrete", "set_coil", "set_holding", "set_input", "plug", "unplug", "garble_next"}),
    SnmpAgent: frozenset({"set", "remove", "plug", "unplug", "garble_next"}),
    MqttDevice: frozenset({"press", "alarm", "report", "plug", "unplug", "garbage"}),
    LineDevice: frozenset({"set", "say", "plug", "unplug", "garbage"}),
    OnvifDevice: frozenset(
        {"set", "set_stream", "set_clock", "set_footage", "happen", "plug", "unplug", "garble_next"}
    ),
    FirePanel: frozenset({"part", "system", "plug", "unplug", "garbage"}),
}
"""What may be asked of which simulator."""


class Site:
    """The simulated devices of this process, by name."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._devices: dict[str, Any] = {}

    async def open(self, plan: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Start everything that `plan` names; where each is to be reached."""
        folder = Path(plan["folder"])
        broker = parse_broker(plan["broker"]) if plan.get("broker") else None
        return {name: await self._add(name, about, folder, broker) for name, about in plan["devices"].items()}

    async def _add(self, name: str, about: dict[str, Any], folder: Path, broker: Broker | None) -> dict[str, str]:
        kind = about["kind"]
        if kind == "modbus":
            modbus = self._devices[name] = await self._stack.enter_async_context(ModbusDevice())
            for table, put in (("discrete", modbus.set_discrete), ("coils", modbus.set_coil)):
                for address, value in about.get(table, {}).items():
                    put(about.get("unit", 1), int(address), bool(value))
            return {"port": str(modbus.port)}
        if kind == "snmp":
            users = [SnmpUser(*user) for user in about.get("users", [])]
            agent = SnmpAgent(community=about.get("community"), users=users)
            self._devices[name] = await self._stack.enter_async_context(agent)
            for oid, type_, value in about["values"]:
                await agent.set(oid, type_, value)
            return {"port": str(agent.port)}
        if kind == "onvif":
            camera = OnvifDevice(user=about.get("user"), password=about.get("password", ""))
            if "days" in about:
                camera.set_footage(about["days"], about.get("gap_hours", 0.0))
            self._devices[name] = await self._stack.enter_async_context(camera)
            return {"port": str(camera.port)}
        if kind == "mqtt":
            if broker is None:
                raise ValueError(f"{name}: the plan names no broker")
            device = MqttDevice(broker, about["topic"], about["product"], beat=about.get("beat", 2.0))
            self._devices[name] = await self._stack.enter_async_context(device)
            return {"topic": about["topic"]}
        wire = Pty(folder / name) if about.get("pty") else TcpPort()
        if kind == "lines":
            line = LineDevice(wire, about["template"], about["values"], interval=about.get("interval", 2.0))
            self._devices[name] = await self._stack.enter_async_context(line)
        elif kind == "panel":
            panel = FirePanel(wire, address=about.get("address", "0000000000a1"), beat=about.get("beat", 2.0))
            self._devices[name] = await self._stack.enter_async_context(panel)
        else:
            raise ValueError(f"{name}: there is no kind {kind!r}")
        return {"port": wire.port}

    async def do(self, command: dict[str, Any]) -> object:
        """One command to one device."""
        device = self._devices.get(command.get("device", ""))
        if device is None:
            raise ValueError(f"there is no device {command.get('device')!r}")
        action = str(command.get("do"))
        if action not in ACTIONS[type(device)]:
            raise ValueError(f"a {type(device).__name__} cannot {action!r}")
        result = getattr(device, action)(**command.get("args", {}))
        return await result if asyncio.iscoroutine(result) else result


async def _run() -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        site = Site(stack)
        opened = False
        while line := await reader.readline():
            try:
                command = json.loads(line)
                result = await (site.do(command) if opened else site.open(command))
                opened = True
                answer: dict[str, Any] = {"ok": True, "result": result}
            except (ValueError, TypeError, KeyError, OSError, TimeoutError, AnxinError) as error:
                answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_run())
