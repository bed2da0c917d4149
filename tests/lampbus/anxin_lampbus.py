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
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    host: str
    port: int
    password: SecretStr = SecretStr("")
    idle_timeout: float = 120.0
    """seconds without a line after which the bus counts as gone"""


class LampDevice(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LampAddress(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LampLink:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle_timeout: float) -> None:
        self._reader, self._writer, self._idle_timeout = reader, writer, idle_timeout

    async def deliveries(self) -> AsyncIterator[Delivery]:
        while True:
            try:
                async with asyncio.timeout(self._idle_timeout):
                    line = await self._reader.readuntil(b"\n")
            except TimeoutError:
                raise LinkDown(f"the lamp bus has said nothing for {self._idle_timeout:g} s") from None
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise LinkDown(f"the lamp bus went: {error}") from None
            yield self._read(line)

    def _read(self, line: bytes) -> Delivery:
        try:
            said = json.loads(line)
            series = Series(said["device"], said.get("point", "level"))
            if not isinstance(said["value"], bool | int | float | str):
                raise TypeError("the value is no scalar")
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
            yield LampLink(reader, writer, endpoint.idle_timeout)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


driver = Lampbus()
