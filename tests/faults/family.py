"""Processes that belong together and are made to be killed. Nothing here outlives the process that made it."""

import asyncio
import ctypes
import os
import signal
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

LAST_LINES, LINE = 12, 300
"""how much of each log is shown after a failure"""

TREE = Path(__file__).resolve().parent.parent.parent


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)


@dataclass
class Child:
    """One process of the stand; with `again` it is started again whenever it ends."""

    name: str
    command: tuple[str, ...]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    again: bool = False
    starts: int = 0
    crash_at: str = ""
    """for the next start only"""
    process: asyncio.subprocess.Process | None = None
    ends: list[int] = field(default_factory=list)
    """return codes, in order"""
    _task: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Start it now, and keep it if it is one that is kept."""
        await self._spawn()
        self._task = asyncio.create_task(self._keep(), name=f"stand-{self.name}")

    @property
    def pid(self) -> int | None:
        """Its process, None while it is down."""
        return None if self.process is None or self.process.returncode is not None else self.process.pid

    def kill(self) -> bool:
        """SIGKILL; False when it is down anyway."""
        return self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> bool:
        """Any other signal; False when it is down anyway."""
        if self.pid is None:
            return False
        with suppress(ProcessLookupError):  # it has ended, and the loop was not told yet
            os.kill(self.pid, number)
            return True
        return False

    async def stop(self, within: float = 20.0) -> None:
        """SIGTERM, then SIGKILL."""
        self.again = False
        self.send(signal.SIGTERM)
        if self._task is not None:
            _, left = await asyncio.wait({self._task}, timeout=within)
            if left:
                self.kill()
                await asyncio.wait(left, timeout=5)

    async def _spawn(self) -> None:
        environment = {**os.environ, **self.environment}
        environment.pop("ANXIN_CRASH_AT", None)
        if self.crash_at:
            environment["ANXIN_CRASH_AT"], self.crash_at = self.crash_at, ""
        self.starts += 1
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, cwd=TREE, env=environment, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )

    async def _keep(self) -> None:
        while True:
            assert self.process is not None
            self.ends.append(await self.process.wait())
            if not self.again:
                return
            if self.ends[-1] >= 0:
                await asyncio.sleep(0.5)  # it ended by itself: a supervisor would wait, too
            await self._spawn()


class Family:
    """Children in a folder; `async with` starts them as `_start` of the subclass says and stops them, the engine last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._children: list[Child] = []
        self._open = AsyncExitStack()
        """what else ends with it"""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            self._tell()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()
        if kind is not None:
            self._tell()

    def _tell(self) -> None:
        """What the processes said last, for whoever reads of the failure and has no access to this folder."""
        for log in sorted(self.folder.rglob("*.log")):
            lines = log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
            print(f"--- {log.relative_to(self.folder)}", *(line[:LINE] for line in lines), sep="\n")

    async def _start(self) -> None:
        raise NotImplementedError

    async def _child(
        self, name: str, *command: str, environment: dict[str, str] | None = None, again: bool = False
    ) -> Child:
        child = Child(name, command, self.folder, environment or {}, again)
        self._children.append(child)
        await child.start()
        return child

    async def _stop(self) -> None:
        engine = [child for child in self._children if child.name == "engine"]
        await asyncio.gather(*(child.stop() for child in self._children if child not in engine))
        for child in engine:
            await child.stop()
        await self._open.aclose()
