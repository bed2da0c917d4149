"""npm's `mqtt` as a peer that we did not write: fetched once into the user's cache by its lock, run by node as a process of its own."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hub.engine.fetch import home_folder
from tests.brokers import HOST, PASSWORD, OwnBroker

FOLDER = Path(__file__).with_name("npm_peer")
FILES = ("package.json", "package-lock.json")
FETCH_SECONDS = 240


def missing() -> str | None:
    """What this machine lacks for it."""
    return next((f"{tool} is not on this machine" for tool in ("node", "npm") if shutil.which(tool) is None), None)


def modules() -> Path:
    """The folder with node_modules; npm is asked the first time only, and what it fetches is held against the lock's hashes."""
    content = b"".join((FOLDER / name).read_bytes() for name in FILES)
    final = home_folder().parent / "npm" / hashlib.sha256(content).hexdigest()[:16]
    if final.exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        for name in FILES:
            shutil.copy(FOLDER / name, made / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(Path(scratch) / "cache")]
        fetched = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=FETCH_SECONDS)
        if fetched.returncode != 0:
            raise AssertionError(f"npm could not fetch the peer: {fetched.stderr[-800:]}")
        with suppress(OSError):  # another run was quicker
            made.rename(final)
    return final


class NpmClient:
    """One connection of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.messages: asyncio.Queue[list[Any]] = asyncio.Queue()
        self._done: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def do(self, **what: Any) -> None:
        """Publish, subscribe, answer or end; returns when the broker took it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        said = await asyncio.wait_for(self._done.get(), 20)
        assert said == {"done": True}, said

    async def publish(self, topic: str, payload: Any, **options: Any) -> None:
        """With QoS 1 unless told otherwise."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        await self.do(publish=[topic, text, {"qos": 1, **options}])

    def kill(self) -> None:
        """As a power failure: no goodbye."""
        self._process.kill()

    async def listen(self) -> None:
        """What it says, until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "message" in said:
                self.messages.put_nowait(said["message"])
            else:
                self._done.put_nowait(said)
        self._done.put_nowait({"error": "the process ended"})

    async def connected(self) -> None:
        """The broker has answered."""
        said = await asyncio.wait_for(self._done.get(), 30)
        assert said == {"connected": True}, said


@asynccontextmanager
async def npm_client(folder: Path, broker: OwnBroker, **options: Any) -> AsyncIterator[NpmClient]:
    """Connected; `options` are those of npm's mqtt: protocolVersion, will, clientId."""
    told = {"host": HOST, "port": broker.port, "username": "hub", "password": PASSWORD, "modules": str(folder)}
    node = shutil.which("node")
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        node,
        str(FOLDER / "peer.cjs"),
        json.dumps({**told, "protocolVersion": 5, **options}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    client = NpmClient(process)
    listening = asyncio.create_task(client.listen())
    try:
        await client.connected()
        yield client
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening
