"""A real net-snmp snmpd whose values the test sets, and UDP peers that nobody should have written."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.snmp import driver
from hub.driver import Binding
from hub.model import Series
from hub.testing import eventually

HOST = "127.0.0.1"
ROOT = "1.3.6.1.4.1.99999"
AUTH_KEY, PRIV_KEY = "authpass-12", "privpass-12"
USERS = {
    "sha": ("SHA", "AES"),
    "sha256": ("SHA-256", "AES"),
    "sha512": ("SHA-512", "AES256"),
    "long": ("SHA", "AES256"),
    "reeder": ("SHA", "AES256C"),
    "writer": ("SHA-256", "AES"),
    "powerless": ("SHA-256", "AES"),
}

_PASS = """
import json, sys
while (line := sys.stdin.readline()):
    if line.strip() == "PING":
        print("PONG", flush=True)
        continue
    oid = sys.stdin.readline().strip().lstrip(".")
    known = json.load(open(sys.argv[1]))
    if line.strip() == "set":
        kind, value = sys.stdin.readline().split(None, 1)
        if oid not in known or not oid.endswith(".50.1"):
            print("not-writable", flush=True)
            continue
        known[oid] = ["integer", value.strip()]
        known[oid[:-1] + "2"] = ["integer", "2" if value.strip() == "1" else "0"]  # its own test: on, and it answers
        json.dump(known, open(sys.argv[1], "w"))
        print("DONE", flush=True)
        continue
    if line.strip() == "getnext":
        arcs = lambda one: [int(arc) for arc in one.split(".")]
        oid = min((one for one in known if arcs(one) > arcs(oid)), key=arcs, default="")
    found = known.get(oid) if line.strip() in ("get", "getnext") else None
    print("NONE" if found is None else "\\n".join(["." + oid, *found]), flush=True)
"""


class Snmpd:
    """net-snmp's agent with `pass_persist` values below ROOT."""

    def __init__(self, program: str, folder: Path, port: int, host: str = HOST) -> None:
        folder.mkdir(exist_ok=True)
        self.host = host
        self.port = port
        self._program = program
        self._folder = folder
        self._values: dict[str, list[str]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "values.py").write_text(_PASS)
        self.configure(AUTH_KEY)
        self._write()

    def configure(self, auth_key: str) -> None:
        """All users' authentication key; while it is stopped and has forgotten its engine."""
        self.auth_key = auth_key
        (self._folder / "snmpd.conf").write_text(
            "\n".join(
                [
                    f"agentaddress udp:{self.host}:{self.port}",
                    "rocommunity public 127.0.0.0/8",
                    "rwcommunity private 127.0.0.0/8",
                    *(f"createUser {name} {a} {auth_key} {p} {PRIV_KEY}" for name, (a, p) in USERS.items()),
                    *(f"rouser {name} priv" for name in USERS if name not in ("powerless", "writer")),
                    "rwuser writer priv",
                    f"pass_persist .{ROOT} {sys.executable} {self._folder}/values.py {self._folder}/values.json",
                ]
            )
        )

    def _write(self) -> None:
        fresh = self._folder / "values.new"
        fresh.write_text(json.dumps(self._values))
        fresh.replace(self._folder / "values.json")

    def set(self, tail: str, kind: str, value: object) -> str:
        """Set ROOT.tail; `kind` is one of pass_persist's (integer, gauge, counter, timeticks, string, octet, objectid, ipaddress)."""
        oid = f"{ROOT}.{tail}"
        self._values[oid] = [kind, str(value)]
        self._write()
        return oid

    def unset(self, tail: str) -> None:
        """Have no ROOT.tail any more."""
        del self._values[f"{ROOT}.{tail}"]
        self._write()

    async def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-f", "-Lo", "-I", "-smux,mteTrigger,mteTriggerConf"],
                cwd=self._folder,
                env={
                    **os.environ,
                    "MIBS": "",
                    "SNMPCONFPATH": f"{self._folder}:{self._folder}/state",
                    "SNMP_PERSISTENT_DIR": str(self._folder / "state"),
                },
                stdout=log,
                stderr=log,
            )
        await eventually(self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        local = [line.split()[1] for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return f"{int.from_bytes(socket.inet_aton(self.host), 'little'):08X}:{self.port:04X}" in local

    def forget_engine(self) -> None:
        """Lose engine id and boots, as a device without memory does; while it is stopped."""
        shutil.rmtree(self._folder / "state")

    async def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            await asyncio.to_thread(process.wait, 10)


Answer = Callable[[bytes], "list[bytes]"]


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[int]:
    """A UDP peer that answers each datagram as told; yields its port."""

    class Peer(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            for said in answer(data):
                self.transport.sendto(said, addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Peer, (HOST, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def v2c(port: int, **settings: Any) -> Any:
    return driver.Endpoint.model_validate(
        {
            "host": HOST,
            "port": port,
            "version": "2c",
            "community": "public",
            "insecure_transport": True,
            "timeout_s": 0.3,
        }
        | settings
    )


def calm(port: int, **settings: Any) -> Any:
    """Version 2c with patience, for what is not about silence: a busy machine takes its time."""
    return v2c(port, **{"timeout_s": 5, **settings})


def calm3(port: int, user: str = "sha256", **settings: Any) -> Any:
    """Version 3 with patience."""
    return v3(port, user, **{"timeout_s": 5, **settings})


def v3(port: int, user: str = "sha256", **settings: Any) -> Any:
    auth, priv = {
        "sha": ("sha", "aes128"),
        "sha512": ("sha512", "aes256"),
        "long": ("sha", "aes256"),
        "reeder": ("sha", "aes256"),
    }.get(user, ("sha256", "aes128"))
    if user == "reeder":
        settings = {"key_expansion": "cisco"} | settings
    return driver.Endpoint.model_validate(
        {"host": HOST, "port": port, "user": user, "auth": auth, "priv": priv}
        | {"auth_key": AUTH_KEY, "priv_key": PRIV_KEY, "timeout_s": 1}
        | settings
    )


def binding(oid: str, kind: str = "int", *, device: dict[str, Any] | None = None, **address: Any) -> Binding:
    parsed = driver.Address.model_validate({"oid": oid, **address})
    return Binding(
        Series("ups", oid.rpartition(".99999.")[2]), driver.Device.model_validate(device or {}), parsed, kind
    )
