"""Looks at a stream now and then: asks the server whether it is there, then a process of its own decodes for a few seconds and tells figures.

Nothing stays connected between two looks. The address with its password goes to that process through a pipe and nowhere else; what it
says is figures and one word for what failed.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from weakref import WeakKeyDictionary

from drivers.rtsp.settings import Device, Endpoint
from hub.driver import Binding
from hub.errors import AccessDenied, LinkDown
from hub.model import Micros, Sample, Scalar, Series

_PROBE = Path(__file__).with_name("probe.py")
_AT_ONCE = 2
"""Looks of this process at one time: decoding takes a core."""
_TURN_S = 90.0
"""Seconds after which a turn begins no more looks; the runtime gives a read 120."""
_SPARE_S = 15.0
"""Seconds that a look may take beyond its window and its time-outs: start of a process on a busy machine."""
_LARGEST = 65_536
_looks: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()
_WHY = {
    "missing": "the server has no such stream",
    "silent": "the server is there and sends no pictures",
    "garbled": "what the server sends is no stream that can be read",
    "denied": "the server refuses this user this stream",
    "gone": "the connection was refused or cut",
    "nonsense": "the look ended with something else than figures",
    "killed": "looking at the stream took too much time or memory",
}


def _now() -> Micros:
    return time.time_ns() // 1000


class Look(NamedTuple):
    """What one look gave; `error` instead of all figures that are not there."""

    at: Micros
    figures: Mapping[str, Scalar | None]
    error: str
    failed: str = ""
    """a key of `_WHY`"""


@contextlib.asynccontextmanager
async def connect(endpoint: Endpoint, bindings: Sequence[Binding]) -> AsyncIterator["RtspLink"]:
    """A link to the server; raises LinkDown where nobody speaks RTSP."""
    await greet(endpoint)
    yield RtspLink(endpoint, bindings)


async def greet(endpoint: Endpoint) -> None:
    """One OPTIONS: whatever the answer, somebody is there (RFC 2326, 10.1). Raises LinkDown."""
    question = f"OPTIONS rtsp://{endpoint.place}/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: anxin\r\n\r\n"
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=4096)
            try:
                writer.write(question.encode())
                line = await reader.readline()
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise LinkDown(f"{endpoint.name}: no answer within {endpoint.timeout_s:g} s") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "it cannot be reached"
        raise LinkDown(f"{endpoint.name}: {reason}") from None
    except ValueError:
        raise LinkDown(f"{endpoint.name}: what answers is no RTSP server") from None
    if not line.startswith(b"RTSP/1."):
        raise LinkDown(f"{endpoint.name}: {'what answers is no RTSP server' if line else 'it hung up'}")


class RtspLink:
    """A PollLink: every read is a look, at most one a stream in `fresh_s`."""

    def __init__(self, endpoint: Endpoint, bindings: Sequence[Binding]) -> None:
        self._endpoint = endpoint
        self._bindings = {binding.series: binding for binding in bindings}
        self._looks: dict[Device, Look] = {}

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked: a figure, or why there is none.

        LinkDown when the server is gone or silent, AccessDenied when it refuses us every stream that was looked at. A stream that the
        server has not or refuses, or that does not flow, costs only its own points.
        """
        known = [binding for one in series if (binding := self._bindings.get(one)) is not None]
        devices = list(dict.fromkeys(binding.device for binding in known))
        oldest = _now() - int(self._endpoint.fresh_s * 1_000_000)
        stale = [device for device in devices if device not in self._looks or self._looks[device].at <= oldest]
        if stale:
            await greet(self._endpoint)
            begin_until = asyncio.get_running_loop().time() + _TURN_S
            looking = [asyncio.create_task(self._look(device, begin_until), name="rtsp look") for device in stale]
            try:
                for device, task in zip(stale, looking, strict=True):
                    self._looks[device] = await task
            finally:
                for task in looking:
                    task.cancel()
                await asyncio.wait(looking)
                for task in looking:
                    if not task.cancelled():
                        task.exception()
            self._judge({self._looks[device].failed for device in stale})
        return [self._sample(one) for one in series]

    def _judge(self, failed: set[str]) -> None:
        """What befell every stream befell the server."""
        if failed == {"denied"}:
            raise AccessDenied(f"{self._endpoint.name}: it refuses user {self._endpoint.username or '(none)'}")
        if failed == {"gone"}:
            raise LinkDown(f"{self._endpoint.name}: {_WHY['gone']}")

    def _sample(self, series: Series) -> Sample:
        binding = self._bindings.get(series)
        if binding is None:
            return Sample(series, _now(), None, "this link has no such point")
        look = self._looks[binding.device]
        figure: str = binding.address.figure
        value = look.figures.get(figure)
        if value is not None:
            return Sample(series, look.at, value)
        if figure == "overlay_moving" and binding.device.overlay is None:
            return Sample(series, look.at, None, "nobody has said where the overlay is (overlay)")
        return Sample(series, look.at, None, look.error or "too little was seen to say")

    async def _look(self, device: Device, begin_until: float) -> Look:
        loop = asyncio.get_running_loop()
        turn = _looks.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
        try:
            async with asyncio.timeout_at(begin_until):
                await turn.acquire()
        except TimeoutError:
            return Look(_now(), {}, "too many streams to look at in one turn")
        try:
            said = await self._ask_process(device)
        finally:
            turn.release()
        failed = said.get("failed", "")
        if failed:
            # that nothing can be seen is what is known of a stream that should be there
            blind = failed in ("silent", "garbled", "killed")
            figures = {"flowing": False, "decodable": False} if blind else {}
            return Look(_now(), figures, _WHY[failed], failed)
        return Look(_now(), said["figures"], "")

    async def _ask_process(self, device: Device) -> dict[str, Any]:
        """What the process says; it is gone when this returns, however it ends."""
        endpoint = self._endpoint
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_PROBE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={key: value for key, value in os.environ.items() if key in ("PATH", "LD_LIBRARY_PATH", "LANG")},
            limit=_LARGEST,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        asked = {
            "url": f"rtsp://{self._user()}{endpoint.place}{device.path}",
            "timeout": endpoint.timeout_s,
            "window": endpoint.window_s,
            "region": device.overlay,
        }
        line = b""
        try:
            async with asyncio.timeout(endpoint.timeout_s * 2 + endpoint.window_s + _SPARE_S):
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(json.dumps(asked).encode() + b"\n")
                    await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, ValueError):
            return {"failed": "killed"}
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.stdin.close()
            await asyncio.shield(process.communicate())
        if not line:
            return {"failed": "killed"}
        return parse(line)

    def _user(self) -> str:
        if self._endpoint.username is None or self._endpoint.password is None:
            return ""
        return (
            f"{quote(self._endpoint.username, safe='')}:{quote(self._endpoint.password.get_secret_value(), safe='')}@"
        )


def parse(line: bytes) -> dict[str, Any]:
    """The process' line, believed as far as its form goes: it was fed by strangers."""
    try:
        said = json.loads(line)
    except ValueError:
        return {"failed": "nonsense"}
    if isinstance(said, dict) and isinstance(said.get("failed"), str) and said["failed"] in _WHY:
        return {"failed": said["failed"]}
    figures = said.get("figures") if isinstance(said, dict) else None
    if not isinstance(figures, dict) or not all(_is_figure(value) for value in figures.values()):
        return {"failed": "nonsense"}
    return {"figures": figures}


def _is_figure(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 40)
