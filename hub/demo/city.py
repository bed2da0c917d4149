"""The running demo: engine, an institution's own broker, devices, duty rooms, the centre, and an edge for each institution."""

import asyncio
import contextlib
import json
import os
import secrets
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from hub.demo.programs import Program, tool
from hub.demo.receivers import DutyRooms, duty_rooms
from hub.demo.site import Secrets, environment, plan
from hub.engine import Engine, mosquitto_hash, read_passwords, write_passwords
from hub.errors import BadInput, EngineUnavailable
from hub.mqtt import parse_broker
from hub.runtime.drivers import find_driver

MANIFESTS = Path(__file__).resolve().parent.parent.parent / "provisioning" / "manifests"
EDGES = ("center-edge", "point-edge", "home-edge")
LOOK = 0.05
_SITE_ACL = """\
user hub
topic readwrite #

user devices
topic readwrite zigbee2mqtt/#

user edge
topic read zigbee2mqtt/#
"""

Say = Callable[[str], None]


class StepFailed(Exception):
    """Something that had to hold did not."""


@dataclass
class City:
    """Everything that runs, and the API to look at it."""

    folder: Path
    engine: Engine
    rooms: DutyRooms
    devices: Program
    variables: dict[str, str]
    """the environment of `anxin` and `anxinctl`"""
    api_port: int
    serve: Program
    token: str = ""
    edges: dict[str, Program] = field(default_factory=dict)
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    @property
    def api(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self.api_port}"

    async def get(self, path: str, **query: Any) -> Any:
        """GET below /api/v1; raises StepFailed for anything but success."""
        answer = await self.http.get(f"{self.api}/api/v1{path}", params=query)
        if answer.status_code != 200:
            raise StepFailed(f"GET {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    async def post(self, path: str, body: Any = None, *, token: str = "") -> Any:
        """POST below /api/v1, with another token where one is given; raises StepFailed for anything but success."""
        own = {"authorization": f"Bearer {token}"} if token else None
        answer = await self.http.post(f"{self.api}/api/v1{path}", json=body, headers=own)
        if answer.is_error:
            raise StepFailed(f"POST {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    async def items(self, path: str, **query: Any) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        page = await self.get(path, limit=500, **query)
        while True:
            found += page["items"]
            if page.get("next") is None:
                return found
            page = await self.get(path, limit=500, cursor=page["next"], **query)

    async def until(self, what: str, look: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Look again and again until `look` (a coroutine function) gives something true; raises StepFailed that names `what`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        seen: Any = None
        while loop.time() < end:
            with contextlib.suppress(httpx.HTTPError):
                seen = await look()
                if seen:
                    return seen
            await asyncio.sleep(LOOK)
        raise StepFailed(f"{what}: not within {seconds:g} s")

    async def play(self, device: str, do: str, **args: Any) -> None:
        """Let a simulated device do something."""
        await self.devices.ask({"device": device, "do": do, "args": args})

    async def ctl(self, *arguments: str, expect: int = 0, token: str = "") -> str:
        """Run `anxinctl`, with another token where one is given; its standard output. Raises StepFailed when it ends with another code."""
        own = {"ANXIN_TOKEN": token} if token else {}
        return await self._run("anxinctl", arguments, expect, own)

    async def anxin(self, *arguments: str, expect: int = 0) -> str:
        """Run `anxin`; its standard output. Raises StepFailed when it ends with another code."""
        return await self._run("anxin", arguments, expect, {})

    async def _run(self, name: str, arguments: Sequence[str], expect: int, own: dict[str, str]) -> str:
        process = await asyncio.create_subprocess_exec(
            tool(name),
            *arguments,
            env={**os.environ, **self.variables, **own, "COLUMNS": "80"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(90):
                out, err = await process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode != expect:
            words = " ".join((err or out).decode("utf-8", "replace").split())
            raise StepFailed(f"{name} {' '.join(arguments[:2])}: exit {process.returncode}: {words[-400:]}")
        return out.decode("utf-8")

    async def start_centre(self) -> None:
        """Start `anxin serve` and wait until every lane listens."""
        await self.serve.start()

        async def ready() -> bool:
            if self.serve.ended:
                raise EngineUnavailable(f"anxin serve has ended: {self.serve.last_words()}")
            answer = await self.http.get(f"{self.api}/readyz")
            return answer.status_code == 200

        await self.until("anxin serve is ready", ready, 60)

    async def start_edges(self) -> None:
        """Fetch each edge's bundle with `anxinctl` and start it."""
        for name in EDGES:
            path = self.folder / f"{name}.json"
            await self.ctl("bundle", name, "-o", str(path), "--force")
            log = self.folder / f"{name}.log"
            edge = Program(name, [tool("anxin"), "edge", "--config", str(path)], {"ANXIN_LOG_FORMAT": "json"}, log)
            self.edges[name] = edge
            await edge.start()


def _needs_cameras() -> None:
    """One of the demo's cameras speaks ONVIF, which is an extra: said at once, not by an edge that ends a minute later."""
    try:
        find_driver("onvif", "its camera")
    except BadInput as error:
        raise EngineUnavailable(str(error)) from None


@contextlib.asynccontextmanager
async def running(folder: Path, say: Say, api_port: int = 0) -> AsyncIterator[City]:
    """Start everything but the edges in `folder`; all of it has gone when the context is left."""
    _needs_cameras()
    known = Secrets()
    webhook_secret = "whsec_" + b64encode(secrets.token_bytes(24)).decode()
    say("engine: TimescaleDB and Mosquitto / 启动数据库与消息服务")
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine(folder / "engine"))
        site = Engine(folder / "site", postgres=False, acl=_SITE_ACL, environment={})
        await stack.enter_async_context(site)
        passwords = {name: secrets.token_urlsafe(18) for name in ("devices", "edge")}
        assert site.password_file is not None
        hashes = {name: mosquitto_hash(password) for name, password in passwords.items()}
        write_passwords(site.password_file, {**read_passwords(site.password_file), **hashes})
        broker_at = parse_broker(site.mqtt_url)  # the listener on which several clients may share a user
        rooms = await stack.enter_async_context(duty_rooms(webhook_secret))
        say("devices: simulated protocol endpoints / 启动模拟设备")
        devices = Program("devices", [sys.executable, "-m", "drivers.simulator"], {}, folder / "devices.log")
        await devices.start(talk=True)
        stack.push_async_callback(devices.stop)
        (folder / "lines").mkdir()
        broker = f"mqtt://devices:{passwords['devices']}@{broker_at}"
        places = await devices.ask(plan(folder / "lines", broker, known), 60)
        variables = {
            "ANXIN_DEMO_MQTT_PORT": str(broker_at.port),
            "ANXIN_DEMO_MQTT_USER": "edge",
            "ANXIN_DEMO_MQTT_PASSWORD": passwords["edge"],
            "ANXIN_DEMO_WEBHOOK_URL": f"http://127.0.0.1:{rooms.webhook_port}/duty-room",
            "ANXIN_DEMO_WEBHOOK_SECRET": webhook_secret,
            "ANXIN_DEMO_SMTP_PORT": str(rooms.smtp_port),
            **environment(places, known),
        }
        city = _city(folder, engine, rooms, devices, variables, api_port)
        stack.push_async_callback(city.http.aclose)
        stack.push_async_callback(_stop_all, city)
        say("centre: anxin serve / 启动中心")
        await city.start_centre()
        await _make_token(city)
        yield city


def _city(
    folder: Path, engine: Engine, rooms: DutyRooms, devices: Program, variables: dict[str, str], api_port: int
) -> City:
    api_port = api_port or _free_port()
    host, port = engine.device_mqtt
    variables |= {
        "ANXIN_DATABASE_URL": engine.database_url,
        "ANXIN_MQTT_URL": engine.mqtt_url,
        "ANXIN_DEVICE_MQTT_HOST": host,
        "ANXIN_DEVICE_MQTT_PORT": str(port),
        "ANXIN_ALLOW_LOOPBACK": "true",
        "ANXIN_CHANNEL_KEYS": b64encode(secrets.token_bytes(32)).decode(),
        "ANXIN_API": f"http://127.0.0.1:{api_port}",
        "ANXIN_API_PORT": str(api_port),
        "ANXIN_PUBLIC_URL": f"http://127.0.0.1:{api_port}",
    }
    if engine.password_file is not None:
        variables["ANXIN_MQTT_PASSWORD_FILE"] = str(engine.password_file)
    serve = Program("anxin serve", [tool("anxin"), "serve"], variables, folder / "serve.log")
    return City(folder, engine, rooms, devices, variables, api_port, serve)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _stop_all(city: City) -> None:
    """Edges first, so that what they have is still confirmed; then the centre."""
    await asyncio.gather(*(edge.stop() for edge in city.edges.values()))
    await city.serve.stop()


async def _make_token(city: City) -> None:
    log = city.folder / "token.log"
    making = Program("anxin token", _token_command(), city.variables, log)
    await making.start()
    if await making.wait() != 0:
        raise EngineUnavailable(f"anxin token: {making.last_words()}")
    city.token = log.read_text().split()[-1]
    log.unlink()
    city.variables["ANXIN_TOKEN"] = city.token
    city.http.headers["authorization"] = f"Bearer {city.token}"


def _token_command() -> Sequence[str]:
    return [tool("anxin"), "token", "create", "demo", "--role", "admin", "--service"]


def write_private(path: Path, content: Any) -> None:
    """JSON into a file that only its owner may read, at once or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")
    part.replace(path)
