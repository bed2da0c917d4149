"""A client that speaks docs/protocol.md by itself, with paho and nothing of ours: a process of its own with a ledger.

`bare_client.py --ledger FILE --port N --partition N --client NAME --password P --rate N`. Numbers go in turn to the devices `bare-u` (urgent)
and `bare-b` (bulk), each as a reading (`level`) and an event (`press`). It keeps every message until the hub confirmed it.
SIGUSR1 ends producing, SIGTERM ends it. The ledger: `sent <n> <device> <at>` before the first sending, `ok <n>` at the hub's confirmation.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
import uuid
from typing import Any

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LANES = {"urgent": "bare-u", "bulk": "bare-b"}
WINDOW = 100
SILENCE = 3.0
"""seconds; the protocol says 10, a test has less time"""
PATIENCE = 0.5


class Lane:
    """One stream: message `seq` carries `number`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stream = f"{uuid.uuid4()}-{name}"
        self.last = 0
        self.confirmed = 0
        self.sent = 0
        self.kept: dict[int, tuple[int, bytes]] = {}
        self.moved = time.monotonic()


class Bare:
    def __init__(self, options: argparse.Namespace) -> None:
        self.ledger = os.open(options.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.base = f"anxin/v1/{options.partition}/{options.client}"
        self.lock = threading.RLock()
        self.lanes = [Lane(name) for name in LANES]
        self.number = 0
        self.producing = True
        self.ended = threading.Event()
        self.connected = False
        self.mqtt = Client(CallbackAPIVersion.VERSION2, client_id=options.client, protocol=MQTTv5)
        self.mqtt.username_pw_set(options.client, options.password)
        self.mqtt.max_inflight_messages_set(2 * WINDOW)
        self.mqtt.reconnect_delay_set(1, 1)
        self.mqtt.on_connect = self.on_connect
        self.mqtt.on_disconnect = self.on_disconnect
        self.mqtt.on_message = self.on_message

    def note(self, *lines: str) -> None:
        os.write(self.ledger, "".join(f"{line}\n" for line in lines).encode())
        os.fdatasync(self.ledger)

    def produce(self) -> None:
        lane = self.lanes[self.number % 2]
        self.number += 1
        device, at = LANES[lane.name], time.time_ns() // 1000
        samples = [{"d": device, "p": point, "t": at, "r": self.number} for point in ("level", "press")]
        self.note(f"sent {self.number} {device} {at}")
        with self.lock:
            lane.last += 1
            lane.kept[lane.last] = (self.number, json.dumps({"v": 1, "samples": samples}).encode())

    def carry(self) -> None:
        """Send what the window allows, again what nobody answered for."""
        now = time.monotonic()
        with self.lock:
            for lane in self.lanes if self.connected else ():
                if lane.sent > lane.confirmed and now - lane.moved > SILENCE:
                    lane.sent, lane.moved = lane.confirmed, now
                while lane.sent < lane.last and lane.sent - lane.confirmed < WINDOW:
                    lane.sent += 1
                    if lane.sent == lane.confirmed + 1:
                        lane.moved = now
                    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                    properties.UserProperty = [("stream", lane.stream), ("seq", str(lane.sent))]
                    self.mqtt.publish(f"{self.base}/up/{lane.name}", lane.kept[lane.sent][1], 1, properties=properties)

    def on_connect(self, mqtt: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            print(f"bare client: {reason}", file=sys.stderr)
            return
        mqtt.subscribe(f"{self.base}/down/+", 1)
        with self.lock:
            for lane in self.lanes:
                lane.sent = lane.confirmed
            self.connected = True

    def on_disconnect(self, mqtt: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.connected = False

    def on_message(self, mqtt: Client, data: Any, message: Any) -> None:
        said = json.loads(message.payload)
        now = time.monotonic()
        with self.lock:
            lane = next((lane for lane in self.lanes if lane.stream == said["stream"]), None)
            if lane is None:
                return
            if said["upto"] > lane.confirmed:
                numbers = [lane.kept.pop(seq)[0] for seq in range(lane.confirmed + 1, said["upto"] + 1)]
                self.note(*(f"ok {number}" for number in numbers))
                lane.confirmed, lane.moved = said["upto"], now
                lane.sent = max(lane.sent, lane.confirmed)
            elif now - lane.moved > PATIENCE:
                lane.sent, lane.moved = lane.confirmed, now

    def run(self, port: int, rate: float) -> None:
        self.mqtt.connect_async("127.0.0.1", port, keepalive=5, clean_start=True)
        self.mqtt.loop_start()
        while not self.ended.wait(1 / rate):
            if self.producing:
                self.produce()
            self.carry()
        self.mqtt.disconnect()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--partition", type=int, required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--rate", type=float, default=20.0)
    options = parser.parse_args()
    bare = Bare(options)
    signal.signal(signal.SIGUSR1, lambda *_: setattr(bare, "producing", False))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: bare.ended.set())
    bare.run(options.port, options.rate)


if __name__ == "__main__":
    main()
