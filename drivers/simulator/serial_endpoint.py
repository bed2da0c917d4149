"""The simulator `serial`: a line whose octets are known, behind a TCP port as a serial server has it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from drivers.simulator.exchange import LINE, Said, content_of, read_lines
from drivers.simulator.wire import TcpPort
from hub.errors import BadInput
from hub.simulation import Place

HEARD_WITHIN = 20.0
"""Seconds that the hub has to call, and to say each thing that it said when it was recorded."""


class _Replay:
    """Says what was said, and waits where the hub spoke; hangs up at the end."""

    end = None

    def __init__(self, wire: TcpPort, said: Sequence[Said]) -> None:
        self.endpoint: dict[str, Any] = {"port": wire.port}
        self._wire = wire
        self._said = said

    async def play(self) -> None:
        """Raises TimeoutError when the hub does not say what it said then, BadInput when it says something else where that matters."""
        await self._wire.called(HEARD_WITHIN)
        for number, one in enumerate(self._said, 1):
            if one.who == "device":
                await self._wire.write(one.octets)
                continue
            async with asyncio.timeout(HEARD_WITHIN):
                heard = await self._wire.reader.readexactly(len(one.octets))
            if one.exact and heard != one.octets:
                raise BadInput(
                    f"the hub said {heard[:40].hex(' ')}, not {one.octets[:40].hex(' ')}", f"{LINE} exchange {number}"
                )
        await self._wire.unplug()


class SerialSimulator:
    """Over TCP, whatever the line was: what octets mean does not depend on it."""

    name = "serial"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`line.jsonl`."""
        said = read_lines(Said, content_of(files, LINE), LINE)
        wire = TcpPort()
        await wire.plug()
        try:
            yield _Replay(wire, said)
        finally:
            await wire.unplug()


simulator = SerialSimulator()
