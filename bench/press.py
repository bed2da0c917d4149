"""A press at an edge until the webhook arrives: driver → spool (synced) → MQTT → judged, committed → escalation → webhook. `scripts/bench press`.

Each of some hundred buttons is pressed once, on an idle installation and with traffic in the bulk lane beside it. The time runs from the
first byte that the device sends to the first byte of the request at the receiver; all clocks are this process's.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import random
import re
import secrets
import sys
import time

from bench.flood import confirmed_all, open_clients
from bench.installation import INSTITUTION, PARTITION, PROFILES, Installation, installation
from bench.machine import facts, percentile
from hub.config import data_folder
from hub.demo.programs import tool
from hub.testing import eventually
from tests import lampbus

BACKGROUND = 200
"""messages a second of three readings each, beside the presses"""
_BUTTON = re.compile(rb"button-\d+-\d+")


class Panel:
    """The device: a line bus with many buttons (tests/lampbus), and the clock of every press."""

    def __init__(self) -> None:
        self.pressed: dict[str, float] = {}
        self.presses = 0
        self.safe = 0
        self.edge: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.edge = writer
        with contextlib.suppress(OSError):
            while await reader.readline():
                self.safe += 1
        writer.close()

    def press(self, button: str) -> None:
        assert self.edge is not None
        self.presses += 1
        said = {
            "n": self.presses,
            "device": button,
            "point": "press",
            "at": time.time_ns() // 1000,
            "value": 1,
        }
        self.pressed[button] = time.perf_counter()
        self.edge.write(json.dumps(said).encode() + b"\n")


class Receiver:
    """The webhook's receiver: when each button's page came first."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                now = time.perf_counter()
                length = re.search(rb"content-length: (\d+)", head.lower())
                body = await reader.readexactly(int(length[1]) if length else 0)
                found = _BUTTON.search(body)
                if found:
                    self.seen.setdefault(found[0].decode(), now)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        writer.close()


def seed(place: Installation, buttons: list[str], sink: int) -> str:
    """The buttons behind edge-1, and a policy that pages their presses at port `sink`; the edge's password."""
    institution = place.seed_institution()
    place.seed_client(institution, "edge-1", "lamp-urgent", "urgent", buttons)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    settings = json.dumps({"url": f"http://127.0.0.1:{sink}/", "secret": secret})
    place.conn.execute("insert into responder (id, title_zh, title_en) values ('duty', '值班', 'Duty')")
    place.conn.execute(
        "insert into responder_channel (responder, id, kind, settings) values ('duty', 'hook', 'webhook', %s)",
        [settings],
    )
    place.conn.execute(
        "insert into policy (id, title_zh, title_en, division, signal_classes, priorities, round_every)"
        " values ('all', '全部', 'All', '14', '{fire,panic}', '{critical}', interval '1 hour')"
    )
    place.conn.execute(
        "insert into policy_step (policy, n, responder, channel, delay) values ('all', 1, 'duty', 'hook', '0s')"
    )
    return place.users("edge-1")["edge-1"]


async def lamp_edge(
    place: Installation, devices: list[dict[str, object]], panel: int, password: str, *more: str
) -> None:
    """`anxin edge` as edge-1 with these devices behind the line bus on port `panel`; `more` are words of its command."""
    endpoint = {
        "id": "bus",
        "driver": "lampbus",
        "settings": {"host": "127.0.0.1", "port": panel},
        "devices": devices,
    }
    broker = {
        "host": place.engine.device_host,
        "port": place.engine.device_port,
        "username": "edge-1",
        "password": password,
    }
    about = {"version": 1, "edge": "edge-1", "institution": INSTITUTION, "partition": PARTITION, "beat": 10_000_000}
    config = place.folder / "edge.json"
    config.write_text(json.dumps({**about, "broker": broker, "endpoints": [endpoint]}))
    config.chmod(0o600)
    site = lampbus.install(place.folder / "site")
    line = [tool("anxin"), "edge", "--config", str(config), *more]
    await place.program("edge", line, {"PYTHONPATH": str(site)})


def button_devices(buttons: list[str]) -> list[dict[str, object]]:
    """Buttons as an edge's configuration names them."""
    points = [{"point": "press", "type": "int", "record": "event", "every": 1_000_000, "address": {}}]
    return [{"id": name, "lane": "urgent", "settings": {}, "points": points} for name in buttons]


async def press_all(panel: Panel, receiver: Receiver, buttons: list[str], within: float = 30) -> list[float]:
    """Press them one by one, ten a second at random distances; milliseconds, each. Fails where one has not arrived `within` seconds."""
    for button in buttons:
        await asyncio.sleep(random.uniform(0.05, 0.15))
        panel.press(button)
    await eventually(lambda: all(button in receiver.seen for button in buttons), within)
    return [(receiver.seen[button] - panel.pressed[button]) * 1000 for button in buttons]


async def _traffic(place: Installation, password: str, meters: list[str]) -> None:
    """`BACKGROUND` messages a second in the bulk lane until cancelled."""
    clients = await open_clients(place.engine.device_port, PARTITION, {"edge-2": password}, {"edge-2": meters})
    try:
        while True:
            clients[0].budget = max(0, clients[0].budget) + BACKGROUND // 20
            clients[0].pump()
            await asyncio.sleep(0.05)
    finally:
        clients[0].budget = 0
        await confirmed_all(clients)
        clients[0].close()


async def measure(presses: int) -> None:
    """Both runs, printed."""
    panel, receiver = Panel(), Receiver()
    device = await asyncio.start_server(panel.serve, "127.0.0.1", 0)
    sink = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, limit=1 << 20)
    rounds = {name: [f"button-{n}-{k}" for k in range(presses)] for n, name in enumerate(("warm-up", "idle", "busy"))}
    rounds["warm-up"] = rounds["warm-up"][:20]
    buttons = [button for one in rounds.values() for button in one]
    async with device, sink, installation() as place:
        password = seed(place, buttons, sink.sockets[0].getsockname()[1])
        institution = place.key("select key from institution where id = %s", INSTITUTION)
        place.seed_client(institution, "edge-2", "bench-meter", "bulk", ["meter"])
        meters = place.users("edge-2")["edge-2"]
        await place.hub([PROFILES, lampbus.PROFILES, data_folder("device-profiles")], "ingest", "paging", "coverage")
        await lamp_edge(place, button_devices(buttons), device.sockets[0].getsockname()[1], password)
        await eventually(lambda: panel.edge is not None, 30, 0.05)
        for name, own in rounds.items():
            traffic = asyncio.create_task(_traffic(place, meters, ["meter"])) if name == "busy" else None
            times = await press_all(panel, receiver, own)
            if traffic is not None:
                traffic.cancel()
                await asyncio.wait({traffic})
                if not traffic.cancelled():
                    traffic.result()
            if name != "warm-up":
                what = "idle" if traffic is None else f"{BACKGROUND} messages/s of 3 readings beside"
                p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
                print(
                    f"| press to webhook, {what} | {len(times)} | {p50:.0f} | {p99:.0f} | {max(times):.0f} |",
                    flush=True,
                )
        if panel.edge is not None:
            panel.edge.close()


HEAD = "| from the device to the receiver | presses | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Press to webhook.")
    parser.add_argument("--presses", type=int, default=300)
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}: {facts()}\n\n{HEAD}", flush=True)
    asyncio.run(measure(options.presses))
    return 0


if __name__ == "__main__":
    sys.exit(main())
