"""A device that prints lines: a door controller, a sensor behind a serial server."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from drivers.simulator.wire import Wire
from hub.model import Scalar


class LineDevice:
    """Prints `template`, filled with `values`, every `interval` seconds and at every change, while it is plugged in.

    Values and template may be changed at any time; a template of several lines is a line with several devices on it.

    `LineDevice(Pty(path), "T={temperature:.1f} D={door}", {"temperature": 21.5, "door": "shut"})`
    """

    def __init__(
        self, wire: Wire, template: str, values: dict[str, Scalar], *, interval: float = 2.0, terminator: str = "\r\n"
    ) -> None:
        self.wire = wire
        self.values = dict(values)
        self.template = template
        self._interval = interval
        self._terminator = terminator
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.unplug()

    async def plug(self) -> None:
        """Be there and print."""
        await self.wire.plug()
        if self._task is None:
            self._task = asyncio.create_task(self._print(), name=f"simulated {self.wire.port}")

    async def unplug(self) -> None:
        """Be gone."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.wire.unplug()

    async def set(self, **values: Scalar) -> None:
        """Change values and print at once."""
        self.values.update(values)
        await self.say(self.template.format(**self.values))

    async def say(self, line: str) -> None:
        """Print a line of any content."""
        await self.wire.write((line + self._terminator).encode())

    async def garbage(self, octets: bytes = b"\xff\x00T=\xfe\r\n") -> None:
        """Send octets that are no line of this device."""
        await self.wire.write(octets)

    async def _print(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # nobody reads: what is printed is lost, as on a real line
                await self.say(self.template.format(**self.values))
            await asyncio.sleep(self._interval)
