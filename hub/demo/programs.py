"""Child processes of the demo: started, watched, killed on purpose, and gone when the demo is gone, however it ends."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.errors import EngineUnavailable

_PR_SET_PDEATHSIG = 1
STOP_SECONDS = 20.0


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One program run as a process; its output goes to a log file."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """The process id of the running program."""
        if self._process is None or self._process.returncode is not None:
            raise EngineUnavailable(f"{self.name} has ended: {self.last_words()}")
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it was started and has ended."""
        return self._process is not None and self._process.returncode is not None

    async def start(self, *, talk: bool = False) -> None:
        """Start it. With `talk` its standard input and output are pipes for `ask`."""
        pipe = asyncio.subprocess.PIPE if talk else asyncio.subprocess.DEVNULL
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdin=pipe,
                stdout=pipe if talk else log,
                stderr=log,
                preexec_fn=_die_with_parent,
                limit=1 << 20,
            )

    async def ask(self, question: Mapping[str, Any], seconds: float = 15.0) -> Any:
        """Send one line of JSON and read one back; raises EngineUnavailable when the program ended or says that it failed."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        line = b""
        with contextlib.suppress(ConnectionError):
            async with self._turn, asyncio.timeout(seconds):
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        if not line:
            raise EngineUnavailable(f"{self.name} has ended: {self.last_words()}")
        answer = json.loads(line)
        if not answer.get("ok"):
            raise EngineUnavailable(f"{self.name} refused {question}: {answer.get('error')}")
        return answer.get("result")

    def kill(self) -> None:
        """SIGKILL, without a word."""
        os.kill(self.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End it in order, with SIGKILL where that does not help; returns when the process has gone.

        A program that is talked to ends with its input, which gives it the time to end its own children.
        """
        process = self._process
        if process is None:
            return
        if process.stdin is not None and process.returncode is None:
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await process.wait()

    async def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return " ".join(self.log.read_text("utf-8", "replace")[-800:].split())
        return "it left no log"


def tool(name: str) -> str:
    """One of our own commands, of the same installation as this process."""
    return str(Path(sys.executable).with_name(name))
