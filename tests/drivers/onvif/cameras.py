"""What the tests of the driver `onvif` speak with: ipycam in a process, and bindings."""

import asyncio
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from drivers.onvif import driver
from hub.driver import Binding
from hub.model import Series

HOST = "127.0.0.1"
USER, PASSWORD = "hub", "onvif-secret-1"


def binding(point: str, kind: str = "float", of: dict[str, Any] | None = None, **address: Any) -> Binding:
    return Binding(Series("camera-1", point), driver.Device(**(of or {})), driver.Address.model_validate(address), kind)


def endpoint(port: int, **settings: Any) -> Any:
    known = {"host": HOST, "port": port, "username": USER, "password": PASSWORD, "timeout_s": 5.0, "pull_s": 5.0}
    return driver.Endpoint.model_validate(known | settings)


class Ipycam:
    """ipycam's ONVIF service as a child process."""

    def __init__(self, **config: Any) -> None:
        self.port = 0
        self._config = {"username": USER, "password": PASSWORD, "main_width": 1920, "main_height": 1080} | config

    async def __aenter__(self) -> Self:
        script = Path(__file__).with_name("ipycam_camera.py")
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(sys.executable, str(script), stdin=pipe, stdout=pipe)
        await self.set(**self._config)
        return self

    async def set(self, **values: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(values).encode() + b"\n")
        async with asyncio.timeout(20):
            self.port = json.loads(await self._process.stdout.readline())["port"]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        await self._process.communicate()
