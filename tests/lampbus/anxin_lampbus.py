"""A driver that this repository does not contain: it imports the contract and nothing else of ours.

Its bus is TCP with a JSON object a line: `{"n": 7, "device": "lamp-1", "at": …, "value": 7}`, answered with `ok 7` once 7 is safe.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from hub.driver import Binding, PushLink
from hub.errors import LinkDown
from hub.model import Delivery, Reject, Sample, Series


class LampEndpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str
    port: int
    password: SecretStr = SecretStr("")


class LampDevice(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LampAddress(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LampLink:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: set[Series]) -> None:
        self._reader, self._writer, self._known = reader, writer, known

    async def deliveries(self) -> AsyncIterator[Delivery]:
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise LinkDown(f"the lamp bus went: {error}") from None
            yield self._read(line)

    def _read(self, line: bytes) -> Delivery:
        try:
            said = json.loads(line)
            series = Series(said["device"], said.get("point", "level"))
            sample = Sample(series, int(said["at"]), said["value"])
            number = int(said["n"])
        except (ValueError, KeyError, TypeError) as error:
            return Delivery([], [Reject(0, "lampbus", "line", f"not a lamp's line: {error!r}", line[:4096])])

        async def settle() -> None:
            self._writer.write(f"ok {number}\n".encode())
            try:
                await self._writer.drain()
            except OSError as error:
                raise LinkDown(f"the lamp bus went: {error}") from None

        return Delivery([sample], settle=settle)


class Lampbus:
    name = "lampbus"
    Endpoint = LampEndpoint
    Device = LampDevice
    Address = LampAddress

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[PushLink]:
        try:
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except OSError as error:
            raise LinkDown(f"{endpoint.host}:{endpoint.port}: {error}") from None
        try:
            yield LampLink(reader, writer, {binding.series for binding in bindings})
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


driver = Lampbus()
