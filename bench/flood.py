"""Edges as cheap as can be: docs/protocol.md by hand over a raw socket, so that the sender takes little of the machine that is measured.

Every client keeps at most `WINDOW` messages unconfirmed, as an edge does, and goes on as the hub confirms. Nothing is sent twice: a run in
which a confirmation stays out fails.
"""

import asyncio
import json
import struct
import time
import uuid

WINDOW = 100


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind: int, body: bytes) -> bytes:
    length, size = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        size += bytes((digit | (128 if length else 0),))
        if not length:
            return bytes((kind,)) + size + body


def packets_of(buffer: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets (first byte, body) in what was received, and the rest."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while len(buffer) - at >= 2:
        length, shift, body = 0, 0, at + 1
        while body < len(buffer):
            digit = buffer[body]
            length |= (digit & 127) << shift
            body, shift = body + 1, shift + 7
            if digit < 128:
                break
        else:
            break
        if len(buffer) < body + length or buffer[body - 1] >= 128:
            break
        found.append((buffer[at], buffer[body : body + length]))
        at = body + length
    return found, buffer[at:]


class Client(asyncio.Protocol):
    """One client with one stream in the bulk lane; `devices` × 3 samples a message."""

    def __init__(self, name: str, password: str, partition: int, devices: list[str]) -> None:
        self.stream = f"{uuid.uuid4()}-bulk"
        self.sent = 0
        self.confirmed = 0
        self.ready = asyncio.Event()
        self.budget = 0
        """messages that it may send; below 0: as many as the window allows"""
        self.failed = ""
        self._name, self._password = name, password
        self._base = f"anxin/v1/{partition}/{name}"
        self._topic = text(f"{self._base}/up/bulk")
        self._points = [f'{{"d":"{device}","p":"{point}","t":' for device in devices for point in "abc"]
        self._at = 0
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        head = text("MQTT") + bytes((5, 0xC2)) + struct.pack(">H", 60) + b"\0"
        transport.write(packet(0x10, head + text(self._name) + text(self._name) + text(self._password)))

    def connection_lost(self, error: Exception | None) -> None:
        self.failed = self.failed or f"the connection ended: {error}"

    def data_received(self, data: bytes) -> None:
        packets, self._buffer = packets_of(self._buffer + data)
        for kind, body in packets:
            self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind == 0x20:
            if body[1]:
                self.failed = f"refused: 0x{body[1]:02x}"
            self._transport.write(packet(0x82, b"\0\1\0" + text(f"{self._base}/down/+") + b"\1"))
        elif kind == 0x90:
            self.ready.set()
        elif kind & 0xF0 == 0x40 and len(body) > 2 and body[2] >= 0x80:
            self.failed = f"publish refused: 0x{body[2]:02x}"
        elif kind & 0xF0 == 0x30:
            start = 2 + struct.unpack_from(">H", body)[0]
            if kind & 6:
                self._transport.write(packet(0x40, body[start : start + 2]))
                start += 2
            said = json.loads(body[start + 1 + body[start] :])  # behind the properties, which are short
            if said["stream"] == self.stream:
                self.confirmed = max(self.confirmed, said["upto"])
            self.pump()

    def pump(self) -> None:
        """Send what window and budget allow."""
        packets = []
        while self.sent - self.confirmed < WINDOW and self.budget != 0:
            self.budget -= 1
            self.sent += 1
            self._at = max(self._at + 1, time.time_ns() // 1000)
            tail = f'{self._at},"r":{self.sent}.5}}'
            payload = '{"v":1,"samples":[' + ",".join([point + tail for point in self._points]) + "]}"
            properties = b"\x26" + text("stream") + text(self.stream) + b"\x26" + text("seq") + text(str(self.sent))
            number = struct.pack(">H", self.sent % 65_535 + 1)
            packets.append(
                packet(0x32, self._topic + number + bytes((len(properties),)) + properties + payload.encode())
            )
        if packets:
            self._transport.write(b"".join(packets))

    def close(self) -> None:
        self._transport.close()


async def open_clients(
    port: int, partition: int, passwords: dict[str, str], devices: dict[str, list[str]]
) -> list[Client]:
    """Connect all and wait until each is subscribed."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for name, password in passwords.items():
        made = Client(name, password, partition, devices[name])
        await loop.create_connection(lambda made=made: made, "127.0.0.1", port)  # type: ignore[misc]
        clients.append(made)
    async with asyncio.timeout(10):
        for client in clients:
            await client.ready.wait()
    return clients


async def confirmed_all(clients: list[Client], seconds: float = 20) -> None:
    """Wait until everything sent is confirmed; raises RuntimeError where it is not."""
    until = time.monotonic() + seconds
    while any(client.confirmed < client.sent for client in clients):
        failed = next((client.failed for client in clients if client.failed), "")
        if failed or time.monotonic() > until:
            raise RuntimeError(failed or "confirmations stayed out")
        await asyncio.sleep(0.01)
