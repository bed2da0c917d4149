"""What stands between the driver and the file server: RTSP digest authentication (RFC 2326, 14), and misfortunes on demand. And clips."""

import asyncio
import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

import av

from drivers.rtsp import driver
from hub.driver import Binding
from hub.model import Series

HOST = "127.0.0.1"
USER, PASSWORD = "hub", "p@ss/w:rd %1"
WIDTH, HEIGHT, RATE = 320, 240, 12


def make_clip(path: Path, kind: str, seconds: int = 2) -> None:
    """H.264 without B-frames: moving bars, the same picture again and again, black, or still but for a corner that changes each second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", RATE
        stream.codec_context.max_b_frames = 0
        for number in range(seconds * RATE):
            frame = _frame(kind, number)
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _frame(kind: str, number: int) -> av.VideoFrame:
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    brightness, *colours = frame.planes
    for plane in colours:
        plane.update(bytes([128]) * plane.buffer_size)
    line = brightness.line_size
    if kind == "black":
        rows = bytearray(bytes([16]) * brightness.buffer_size)
    else:
        moved = number if kind == "moving" else 0
        rows = bytearray(bytes((2 * x + 5 * moved) % 200 + 20 for x in range(line)) * brightness.height)
    if kind == "clock":
        for y in range(20):
            rows[y * line : y * line + 30] = bytes([235 if number // RATE % 2 else 16]) * 30
    brightness.update(bytes(rows[: brightness.buffer_size]).ljust(brightness.buffer_size, b"\0"))
    return frame


def endpoint(port: int, **settings: Any) -> Any:
    known = {"host": HOST, "port": port, "username": USER, "password": PASSWORD}
    return driver.Endpoint.model_validate(known | {"timeout_s": 5.0, "window_s": 0.4, "fresh_s": 0.0} | settings)


def binding(figure: str, kind: str = "moving", **device: Any) -> Binding:
    settings = driver.Device.model_validate({"path": f"/{kind}.mkv?play_count=99"} | device)
    return Binding(Series(f"camera-{kind}", figure), settings, driver.Address(figure=figure), "float")


class Front:
    """A TCP relay that reads the questions."""

    def __init__(self, server: int) -> None:
        self.port = 0
        self.password = PASSWORD
        self.silent = False
        self.mute_after = ""
        """a method after whose question nothing is answered any more"""
        self.forbidden = "/nothing"
        """a path that nobody may see"""
        self.instead = b""
        """what it says in place of everything"""
        self.asked = asyncio.Event()
        self.questions: list[str] = []
        self._behind = server
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._talk, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for talk in list(self._talks):
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)
        if server is not None:
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        behind: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                answers, behind = await asyncio.open_connection(HOST, self._behind)
                back = asyncio.create_task(self._pour(answers, writer))
                while True:
                    await self._carry(reader, writer, behind)
        finally:
            if back is not None:
                back.cancel()
                await asyncio.wait({back})
            if behind is not None:
                behind.close()
            writer.close()
            self._talks.discard(task)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: asyncio.StreamWriter
    ) -> None:
        first = await reader.readexactly(1)
        if first == b"$":  # interleaved RTCP (RFC 2326, 10.12)
            head = await reader.readexactly(3)
            behind.write(first + head + await reader.readexactly(int.from_bytes(head[1:], "big")))
            return
        question = first + await reader.readuntil(b"\r\n\r\n")
        method = question.split(b" ")[0].decode()
        self.questions.append(method)
        self.asked.set()
        while self.silent:
            await asyncio.sleep(0.02)
        if self.instead:
            writer.write(self.instead)
        elif method == "OPTIONS" or (
            self.forbidden.encode() not in question and self._knows(question.decode(), method)
        ):
            behind.write(question)
            if method == self.mute_after:
                self.silent = True
        else:
            number = re.search(rb"CSeq: *(\d+)", question)
            assert number is not None
            writer.write(
                b"RTSP/1.0 401 Unauthorized\r\nCSeq: "
                + number[1]
                + b'\r\nWWW-Authenticate: Digest realm="r", nonce="n1"\r\n\r\n'
            )

    def _knows(self, question: str, method: str) -> bool:
        given = dict(re.findall(r'(\w+)="([^"]*)"', question.partition("Authorization: ")[2].partition("\r\n")[0]))
        whole = f"{_md5(f'{USER}:r:{self.password}')}:n1:{_md5(f'{method}:' + given.get('uri', ''))}"
        return given.get("username") == USER and given.get("response") == _md5(whole)

    async def _pour(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                while self.silent:
                    await asyncio.sleep(0.02)
                to.write(data)
                await to.drain()
            to.close()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
