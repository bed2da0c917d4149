"""The process behind `drivers.simulator.snmp.SnmpAgent`: a pysnmp command responder on loopback, told by JSON lines on its standard input.

The first line is `{"port": 0, "community": …, "users": [[name, auth, auth_key, priv, priv_key], …]}`; then `{"set": [oid, type, value]}`,
`{"fill": [[oid, type, value], …]}`, `{"remove": oid}`, `{"plug": true}`, `{"plug": false}`, `{"garble": hex}`. Every line is answered by one: `{"port": …}`. It ends with its input.
Run as a file; imports nothing of ours.
"""

import asyncio
import json
import socket
import sys
from collections import deque
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.smi.instrum import AbstractMibInstrumController

HOST = "127.0.0.1"
_TYPES = {
    "integer": rfc1902.Integer32,
    "gauge": rfc1902.Gauge32,
    "counter": rfc1902.Counter32,
    "counter64": rfc1902.Counter64,
    "timeticks": rfc1902.TimeTicks,
    "string": rfc1902.OctetString,
    "oid": rfc1902.ObjectIdentifier,
    "ip": rfc1902.IpAddress,
}
_AUTH = {
    "sha": config.USM_AUTH_HMAC96_SHA,
    "sha224": config.USM_AUTH_HMAC128_SHA224,
    "sha256": config.USM_AUTH_HMAC192_SHA256,
    "sha384": config.USM_AUTH_HMAC256_SHA384,
    "sha512": config.USM_AUTH_HMAC384_SHA512,
}
_PRIV = {
    "aes128": config.USM_PRIV_CFB128_AES,
    "aes192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "aes256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
}
Oid = tuple[int, ...]


def parse(oid: str) -> Oid:
    """The arcs of a dotted OID."""
    return tuple(int(arc) for arc in oid.strip(".").split("."))


def made(kind: str, value: Any) -> Any:
    """A value of one of `_TYPES`."""
    if kind == "octets":
        return rfc1902.OctetString(bytes.fromhex(value))
    return _TYPES[kind](value.encode() if kind == "string" else value)


class _Values(AbstractMibInstrumController):  # type: ignore[misc]
    """What the agent knows: values by OID."""

    def __init__(self) -> None:
        self.values: dict[Oid, Any] = {}

    def read_variables(self, *wanted: Any, **context: Any) -> list[Any]:
        return [(name, self.values.get(tuple(name), rfc1905.noSuchInstance)) for name, _ in wanted]

    def read_next_variables(self, *wanted: Any, **context: Any) -> list[Any]:
        found = []
        for name, _ in wanted:
            later = [oid for oid in self.values if oid > tuple(name)]
            first = min(later, default=None)
            found.append((name, rfc1905.endOfMibView) if first is None else (first, self.values[first]))
        return found


class _Transport(udp.UdpAsyncioTransport):  # type: ignore[misc]
    """Sends garbage instead of the next answers, as told."""

    garbage: deque[bytes] = deque(maxlen=64)

    def send_message(self, message: bytes, address: Any) -> None:
        super().send_message(self.garbage.popleft() if self.garbage else message, address)


class _Agent:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.engine = engine.SnmpEngine()
        self.values = _Values()
        self.port: int = settings["port"]
        self._plugged = False
        if settings["community"] is not None:
            config.add_v1_system(self.engine, "reader", settings["community"])
            config.add_vacm_user(self.engine, 2, "reader", "noAuthNoPriv", (1,), (), ())
        for name, auth, auth_key, priv, priv_key in settings["users"]:
            config.add_v3_user(self.engine, name, _AUTH[auth], auth_key, _PRIV[priv], priv_key)
            config.add_vacm_user(self.engine, 3, name, "authPriv", (1,), (), ())
        served = context.SnmpContext(self.engine)
        served.context_names[b""] = self.values
        cmdrsp.GetCommandResponder(self.engine, served)
        cmdrsp.NextCommandResponder(self.engine, served)
        cmdrsp.BulkCommandResponder(self.engine, served)

    def plug(self, wanted: bool) -> None:
        if wanted and not self._plugged:
            bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            bound.setblocking(False)
            bound.bind((HOST, self.port))
            self.port = bound.getsockname()[1]
            config.add_transport(self.engine, udp.DOMAIN_NAME, _Transport().open_server_mode(sock=bound))
        elif self._plugged and not wanted:
            config.delete_transport(self.engine, udp.DOMAIN_NAME).close_transport()
        self._plugged = wanted

    def do(self, command: dict[str, Any]) -> None:
        """Carry out one line; raises KeyError, ValueError or OSError."""
        ((name, told),) = command.items()
        if name == "set":
            oid, kind, value = told
            self.values.values[parse(oid)] = made(kind, value)
        elif name == "fill":
            self.values.values = {parse(oid): made(kind, value) for oid, kind, value in told}
        elif name == "remove":
            del self.values.values[parse(told)]
        elif name == "plug":
            self.plug(told)
        elif name == "garble":
            _Transport.garbage.append(bytes.fromhex(told))
        else:
            raise KeyError(name)


async def _run() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    agent = _Agent(json.loads(await lines.readline()))
    agent.plug(True)
    while True:
        await asyncio.sleep(0)  # the socket is read from the loop's next turn on
        print(json.dumps({"port": agent.port}), flush=True)
        line = await lines.readline()
        if not line:
            return
        agent.do(json.loads(line))


if __name__ == "__main__":
    asyncio.run(_run())
