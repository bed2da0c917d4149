"""What the MQTT driver takes in beside the bare library and a C program, in one run: messages of a smoke detector, QoS 1, settled.

`python -m bench.mqtt_messages [--messages 20000] [--rounds 3]`. mosquitto_pub fills the queue of a session that nobody attends; what is
timed is how fast it is emptied, from the first message to the last, each of them decoded, matched and acknowledged. The three take turns.
"""

import argparse
import asyncio
import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

import aiomqtt
from pydantic import SecretStr

from bench.machine import facts, median
from drivers.mqtt import Address, Device, Endpoint, driver
from hub.driver import Binding, PushLink
from hub.engine import Prefix, ensure, ensure_peers
from hub.model import Series
from tests.brokers import HOST, PASSWORD, OwnBroker

TOPIC = "zigbee2mqtt/smoke-1"
PAYLOAD = (
    b'{"battery":100,"battery_low":false,"linkquality":97,"smoke":false,"tamper":false,"test":false,"voltage":3000}'
)
POINTS = {"smoke": "bool", "battery": "float", "tamper": "bool"}
ID = "bench-reader"


def bindings() -> list[Binding]:
    return [
        Binding(Series("smoke-1", name), Device(topic=TOPIC), Address(pointer=f"/{name}"), kind)
        for name, kind in POINTS.items()
    ]


async def ours(broker: OwnBroker, count: int) -> float:
    endpoint = Endpoint(host=HOST, port=broker.port, username="hub", password=SecretStr(PASSWORD), client_id=ID)
    async with driver.connect(endpoint, bindings()) as link:
        assert isinstance(link, PushLink)
        deliveries = link.deliveries()
        begun, taken = 0.0, 0
        async for delivery in deliveries:
            begun = begun or time.perf_counter()
            assert len(delivery.samples) == len(POINTS)
            await delivery.settle()
            taken += 1
            if taken == count:
                break
        return count / (time.perf_counter() - begun)


async def bare(broker: OwnBroker, count: int) -> float:
    """aiomqtt as its documents show it, with its own acknowledgement; nothing is decoded."""
    client = aiomqtt.Client(
        HOST,
        broker.port,
        username="hub",
        password=PASSWORD,
        identifier=ID,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
    )
    async with client:
        begun, taken = 0.0, 0
        async for _ in client.messages:
            begun = begun or time.perf_counter()
            taken += 1
            if taken == count:
                break
        return count / (time.perf_counter() - begun)


def in_c(broker: OwnBroker, peers: Prefix, count: int) -> float:
    begun = time.perf_counter()
    command = [*_as_hub(peers, "mosquitto_sub", broker), "-i", ID, "-c", "-q", "1", "-t", TOPIC, "-C", str(count)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
    return count / (time.perf_counter() - begun)


def _as_hub(peers: Prefix, name: str, broker: OwnBroker) -> list[str]:
    return [peers.program(name), "-h", HOST, "-p", str(broker.port), "-u", "hub", "-P", PASSWORD, "-V", "5"]


async def fill(broker: OwnBroker, peers: Prefix, count: int) -> None:
    """A session of the reader's own, and `count` messages that wait in it."""
    endpoint = Endpoint(host=HOST, port=broker.port, username="hub", password=SecretStr(PASSWORD), client_id=ID)
    async with driver.connect(endpoint, bindings()):
        pass
    lines = b"\n".join([PAYLOAD] * count) + b"\n"
    command = [*_as_hub(peers, "mosquitto_pub", broker), "-q", "1", "-t", TOPIC, "-l"]
    await asyncio.to_thread(subprocess.run, command, input=lines, check=True, timeout=120)


async def measure(count: int, rounds: int) -> dict[str, list[float]]:
    peers, engine = ensure_peers(), ensure()
    found: dict[str, list[float]] = {"driver": [], "bare aiomqtt": [], "mosquitto_sub": []}
    with tempfile.TemporaryDirectory() as folder:
        broker = OwnBroker(engine.program("mosquitto"), Path(folder))
        broker.start()
        try:
            for _ in range(rounds):
                await fill(broker, peers, count)
                found["driver"].append(await ours(broker, count))
                await fill(broker, peers, count)
                found["bare aiomqtt"].append(await bare(broker, count))
                await fill(broker, peers, count)
                found["mosquitto_sub"].append(await asyncio.to_thread(in_c, broker, peers, count))
        finally:
            broker.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"mqtt: {facts()}")
    with contextlib.suppress(KeyboardInterrupt):
        found = asyncio.run(measure(options.messages, options.rounds))
        bare_rate = median(found["bare aiomqtt"])
        for name, rates in found.items():
            print(f"{name:14} {median(rates):9,.0f} messages/s   {median(rates) / bare_rate:5.2f} of bare aiomqtt")


if __name__ == "__main__":
    main()
