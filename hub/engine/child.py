"""One program of the engine: started, found ready, started again when it dies, stopped.

It knows nothing of PostgreSQL or Mosquitto: a `Part` tells it what to run and when it is ready.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from hub.engine.identity import Identity, launcher
from hub.errors import EngineUnavailable

START_SECONDS = 30.0
"""How long a start may take. After a kill -9 the processes of the dead one may hold on to their memory for a while."""

LONGEST_PAUSE = 5.0
"""Seconds between two attempts to bring a dead program back."""

StopSignals = tuple[tuple[signal.Signals, float], ...]

_LOOK = 0.02
_LOG_BYTES = 10_000_000
_log = structlog.get_logger(__name__)


class Part(Protocol):
    """What a program needs around its process. All methods are quick; `prepare` may block for a few seconds."""

    name: str
    death_signal: signal.Signals
    """sent by the kernel when the supervisor dies"""
    stop_signals: StopSignals
    """how to stop it: each signal and the seconds it may take"""
    log: Path

    def command(self) -> list[str]:
        """The program and its arguments."""

    def prepare(self) -> None:
        """Clear away what a dead one left behind; called in a thread before every start."""

    def is_ready(self) -> bool:
        """True when clients are served."""


class Child:
    """Keeps one part running between `start` and `stop`."""

    def __init__(self, part: Part, identity: Identity, changed: Callable[[], None]) -> None:
        self.part = part
        self.restarts = 0
        """how often it died and came back"""
        self._identity = identity
        self._changed = changed
        self.is_up = False
        """ready, and not known to have died since; a signal to a program that is only starting would kill it"""
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it does not run."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def start(self) -> None:
        """Start it, wait until it is ready and watch it from now on; raises EngineUnavailable with the end of its log."""
        await self._launch()
        self._watcher = asyncio.create_task(self._watch(), name=f"engine-watch-{self.part.name}")

    async def stop(self) -> None:
        """Stop it, each signal harder than the one before; returns when it is gone."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        for number, seconds in (*self.part.stop_signals, (signal.SIGKILL, 5.0)):
            if process.returncode is not None:
                break
            self.send(number)
            self.send(signal.SIGCONT)  # a test may have frozen it
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), seconds)
        self._process = None

    async def _launch(self) -> None:
        """Try until it is ready, for START_SECONDS."""
        loop = asyncio.get_running_loop()
        until = loop.time() + START_SECONDS
        while True:
            try:
                await asyncio.to_thread(self.part.prepare)
                self._process = await self._spawn()
            except OSError as error:
                raise EngineUnavailable(f"{self.part.name} cannot be started: {error}") from error
            while loop.time() < until and self._process.returncode is None:
                if self.part.is_ready():
                    self.is_up = True
                    self._changed()
                    return
                await asyncio.sleep(_LOOK)
            if loop.time() >= until:
                await self._end()
                raise EngineUnavailable(
                    f"{self.part.name} is not ready after {START_SECONDS:.0f} s; the end of {self.part.log}: {self._tail()}"
                )
            await asyncio.sleep(0.2)

    async def _spawn(self) -> asyncio.subprocess.Process:
        if self.part.log.exists() and self.part.log.stat().st_size > _LOG_BYTES:
            self.part.log.replace(self.part.log.with_suffix(".log.1"))
        with self.part.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *launcher(self._identity, self.part.death_signal, self.part.command()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
                start_new_session=True,  # Ctrl-C at the terminal is for us; we stop it in order
            )

    async def _watch(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self.is_up = False
            self.restarts += 1
            self._changed()
            _log.warning("engine part died", part=self.part.name, code=code, restarts=self.restarts)
            pause = 0.2
            while True:
                try:
                    await self._launch()
                    break
                except EngineUnavailable as error:
                    _log.error("engine part does not come back", part=self.part.name, reason=str(error), pause=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            _log.warning("engine part is back", part=self.part.name, pid=self.pid)

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.part.log.read_text("utf-8", "replace").splitlines()
            return " | ".join(lines[-5:])
        return "(no log)"
