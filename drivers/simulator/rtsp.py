"""An RTSP server of ours with one synthetic picture (RFC 2326, RTP interleaved in TCP; H.264 by RFC 6184): moving, frozen, black, or none at all.

PyAV makes a clip of two seconds, which is sent again and again. It knows no users: it is for loopback.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Literal, NamedTuple

from drivers.simulator.faults import BIT, HALF, RESET, SILENCE, Faults

Look = Literal["moving", "frozen", "black"]
RATE, SECONDS = 12, 2
_PAYLOAD = 1_400
"""Bytes of one RTP payload."""
_LONGEST = 8_192
"""Bytes of a question."""
_TYPE = 96


class Picture(NamedTuple):
    """What the server shows."""

    look: Look = "moving"
    width: int = 1280
    height: int = 720
    flows: bool = True
    """false: it answers everything and sends no pictures"""


@cache
def clip(look: Look, width: int, height: int) -> tuple[tuple[bytes, ...], ...]:
    """The NAL units of each picture of the clip; the first begins with the parameter sets. Takes a moment of a core."""
    import av

    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.framerate, codec.gop_size, codec.max_b_frames = Fraction(RATE), RATE, 0
    codec.options = {"preset": "ultrafast", "tune": "zerolatency"}
    codec.thread_count = 1
    found = []
    for number in range(RATE * SECONDS):
        frame = av.VideoFrame(width, height, "yuv420p")
        brightness, *colours = frame.planes
        for plane in colours:
            plane.update(bytes([128]) * plane.buffer_size)
        line, moved = brightness.line_size, 9 * number if look == "moving" else 0
        row = bytes([16]) * line if look == "black" else bytes((x + moved) % 200 + 20 for x in range(line))
        brightness.update((row * brightness.height)[: brightness.buffer_size].ljust(brightness.buffer_size, b"\0"))
        frame.pts = number
        found += [bytes(packet) for packet in codec.encode(frame)]
    found += [bytes(packet) for packet in codec.encode(None)]
    return tuple(units_of(one) for one in found)


def units_of(stream: bytes) -> tuple[bytes, ...]:
    """The NAL units between start codes (ITU-T H.264, annex B)."""
    return tuple(one for part in stream.split(b"\0\0\1") if (one := part.rstrip(b"\0")))


def payloads_of(unit: bytes) -> list[bytes]:
    """RTP payloads of one NAL unit: itself, or fragments (RFC 6184, sections 5.6 and 5.8)."""
    if len(unit) <= _PAYLOAD:
        return [unit]
    indicator, kind, rest = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
    parts = [rest[at : at + _PAYLOAD] for at in range(0, len(rest), _PAYLOAD)]
    last = len(parts) - 1
    return [bytes((indicator, (n == 0) << 7 | (n == last) << 6 | kind)) + part for n, part in enumerate(parts)]


class RtspServer:
    """An async context manager; `picture` may be changed at any time, and holds from the next look on."""

    def __init__(self, host: str, picture: Picture, faults: Faults | None = None) -> None:
        self.host = host
        self.port = 0
        self.picture = picture
        self.looks = 0
        """how often pictures were asked for"""
        self._faults = faults or Faults({}, 0)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "RtspServer":
        self._server = await asyncio.start_server(self._talk, self.host, 0, limit=_LONGEST)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        sending: asyncio.Task[None] | None = None
        picture = self.picture
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError, ValueError):
                while True:
                    first = await reader.readexactly(1)
                    if first == b"$":  # RTCP of the other side (RFC 2326, section 10.12)
                        head = await reader.readexactly(3)
                        await reader.readexactly(int.from_bytes(head[1:], "big"))
                        continue
                    question = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    method, url = question.split(" ", 2)[:2]
                    writer.write(await self._answer(method, url, question, picture))
                    if method == "PLAY" and sending is None:
                        self.looks += 1
                        if picture.flows:
                            sending = asyncio.create_task(self._send(writer, picture), name=f"rtsp {self.port} sends")
                    if method == "TEARDOWN":
                        return
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.wait({sending})
            writer.close()
            self._talks.discard(task)

    async def _answer(self, method: str, url: str, question: str, picture: Picture) -> bytes:
        asked = dict(line.split(": ", 1) for line in question.split("\r\n")[1:] if ": " in line)
        headers, body = {"CSeq": asked.get("CSeq", "0"), "Session": "1"}, ""
        known = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN", "GET_PARAMETER")
        status = "200 OK" if method in known else "501 Not Implemented"
        if method == "OPTIONS":
            headers["Public"] = ", ".join(known)
        elif method == "DESCRIBE":
            body = await self._description(picture)
            headers |= {"Content-Base": f"{url}/", "Content-Type": "application/sdp", "Content-Length": str(len(body))}
        elif method == "SETUP" and "TCP" not in asked.get("Transport", ""):
            status = "461 Unsupported Transport"
        elif method == "SETUP":
            headers["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"RTSP/1.0 {status}\r\n{lines}\r\n{body}".encode()

    async def _description(self, picture: Picture) -> str:
        first = (await asyncio.to_thread(clip, picture.look, picture.width, picture.height))[0]
        sets = ",".join(base64.b64encode(unit).decode() for unit in first if unit[0] & 0x1F in (7, 8))
        return (
            f"v=0\r\no=- 0 0 IN IP4 {self.host}\r\ns=simulated\r\nt=0 0\r\nm=video 0 RTP/AVP {_TYPE}\r\n"
            f"a=rtpmap:{_TYPE} H264/90000\r\na=fmtp:{_TYPE} packetization-mode=1;sprop-parameter-sets={sets}\r\n"
            "a=control:track1\r\n"
        )

    async def _send(self, writer: asyncio.StreamWriter, picture: Picture) -> None:
        """Pictures at their rate until the connection ends."""
        pictures = clip(picture.look, picture.width, picture.height)
        loop = asyncio.get_running_loop()
        began, number, sequence = loop.time(), 0, 0
        with contextlib.suppress(OSError):
            while True:
                fault = self._faults.draw(SILENCE, HALF, BIT, RESET)
                payloads = [one for unit in pictures[number % len(pictures)] for one in payloads_of(unit)]
                for at, payload in enumerate(payloads if fault != SILENCE else ()):
                    said = self._faults.spoil(payload, fault, _same) or payload
                    marker = (at == len(payloads) - 1) << 7
                    stamp = number * 90_000 // RATE % 2**32
                    packet = bytes((0x80, marker | _TYPE)) + sequence.to_bytes(2) + stamp.to_bytes(4) + bytes(4) + said
                    sequence = (sequence + 1) % 2**16
                    writer.write(b"$\0" + len(packet).to_bytes(2) + packet)
                if fault == RESET:
                    writer.transport.abort()
                    return
                await writer.drain()
                number += 1
                await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))


_same: Callable[[bytes], bytes] = bytes
"""A picture has no id that could be wrong."""
