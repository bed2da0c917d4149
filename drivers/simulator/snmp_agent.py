"""The process behind `drivers.simulator.snmp`: pysnmp command responders on loopback, told by JSON lines on its standard input.

`{"open": {"host": "127.0.0.1", "port": 0, "community": …, "users": [[name, auth, auth_key, priv, priv_key], …], "faults": {}, "seed": 0, "hears": [host, port]}}`, then
`{"set": [oid, type, value]}`, `{"put": [[oid, type, value], …]}` (many), `{"fill": [[oid, type, value], …]}` (these and no others), `{"remove": oid}`,
`{"plug": true}`, `{"plug": false}`, `{"garble": hex}`, `{"trap": [oid, [[oid, type, value], …]]}` (to who `hears`, as the first user or with the community),
`{"close": true}`. With more agents than one, a line names its own: `"agent": "name"`.
Every line is answered by one: `{"port": …, "spoilt": {…}}`. It ends with its input.
"""

import asyncio
import json
import socket
import sys
from collections import deque
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context, ntforg
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c
from pysnmp.smi.instrum import AbstractMibInstrumController

from drivers.simulator.faults import BIT, DUPLICATE, HALF, SILENCE, WRONG_ID, Faults

HOST = "127.0.0.1"
UPTIME, TRAP_OID = (1, 3, 6, 1, 2, 1, 1, 3, 0), (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
"""What every trap begins with (RFC 3416, section 4.2.6)."""
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
    """Sends garbage instead of the next answers, as told, or what a fault makes of them."""

    def __init__(self, garbage: deque[bytes], faults: Faults) -> None:
        super().__init__()
        self._garbage = garbage
        self._faults = faults
        self.trapping = False
        """what is sent now is a trap"""

    def send_message(self, message: bytes, address: Any) -> None:
        """One answer or trap; a bit error only where the message has a digest: UDP's checksum keeps others from arriving."""
        message = bytes(message)
        possible = (SILENCE, HALF, WRONG_ID, BIT) if version_of(message) == 3 else (SILENCE, HALF, WRONG_ID)
        fault = self._faults.draw(*possible, *((DUPLICATE,) if self.trapping else ()))
        spoilt = self._faults.spoil(message, fault, renamed)
        if self._garbage and not self.trapping:
            spoilt = self._garbage.popleft()
        if spoilt:
            super().send_message(spoilt, address)
            if fault == DUPLICATE:
                super().send_message(spoilt, address)


def _content(message: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends (BER, definite lengths)."""
    size, begins = message[at + 1], at + 2
    if size & 0x80:
        octets = size & 0x7F
        size, begins = int.from_bytes(message[begins : begins + octets]), begins + octets
    return begins, begins + size


def version_of(message: bytes) -> int:
    """msgVersion: 0, 1 or 3 (RFC 3412, section 6; RFC 1901, section 3)."""
    begins, ends = _content(message, _content(message, 0)[0])
    return int.from_bytes(message[begins:ends])


def renamed(message: bytes) -> bytes:
    """The message with another number: its request-id, in version 3 its msgID, which is the first number of the header."""
    at = _content(message, _content(message, 0)[0])[1]
    if version_of(message) != 3:
        at = _content(message, at)[1]  # behind the community stands the PDU
    at = _content(message, at)[0]
    last = _content(message, at)[1] - 1
    return message[:last] + bytes((message[last] ^ 0x55,)) + message[last + 1 :]


class _Agent:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.engine = engine.SnmpEngine()
        self.values = _Values()
        self.port: int = settings.get("port", 0)
        self.faults = Faults(settings.get("faults", {}), settings.get("seed", 0))
        self._host: str = settings.get("host", HOST)
        self._garbage: deque[bytes] = deque(maxlen=64)
        self._plugged = False
        self._transport = _Transport(self._garbage, self.faults)
        self._hears = settings.get("hears")
        if settings.get("community") is not None:
            config.add_v1_system(self.engine, "reader", settings["community"])
            config.add_vacm_user(self.engine, 2, "reader", "noAuthNoPriv", (1,), (), ())
        for name, auth, auth_key, priv, priv_key in settings.get("users", ()):
            config.add_v3_user(self.engine, name, _AUTH[auth], auth_key, _PRIV[priv], priv_key)
            config.add_vacm_user(self.engine, 3, name, "authPriv", (1,), (), ())
        if self._hears is not None:
            users = [user[0] for user in settings.get("users", ())]
            level = ("authPriv", 3) if users else ("noAuthNoPriv", 1)
            config.add_target_parameters(self.engine, "trapped", users[0] if users else "reader", *level)
        self._originator = ntforg.NotificationOriginator()
        served = context.SnmpContext(self.engine)
        served.context_names[b""] = self.values
        cmdrsp.GetCommandResponder(self.engine, served)
        cmdrsp.NextCommandResponder(self.engine, served)
        cmdrsp.BulkCommandResponder(self.engine, served)

    def plug(self, wanted: bool) -> None:
        if wanted and not self._plugged:
            bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            bound.setblocking(False)
            bound.bind((self._host, self.port))
            self.port = bound.getsockname()[1]
            self._transport = _Transport(self._garbage, self.faults)
            config.add_transport(self.engine, udp.DOMAIN_NAME, self._transport.open_server_mode(sock=bound))
            if self._hears is not None:
                config.add_target_address(self.engine, "hub", udp.DOMAIN_NAME, tuple(self._hears), "trapped")
        elif self._plugged and not wanted:
            config.delete_transport(self.engine, udp.DOMAIN_NAME).close_transport()
        self._plugged = wanted

    def trap(self, oid: str, variables: list[list[Any]]) -> None:
        """Send one trap, once; nobody says whether it came."""
        pdu = v2c.TrapPDU()
        v2c.apiTrapPDU.set_defaults(pdu)
        began = self.values.values.get(UPTIME, rfc1902.TimeTicks(0))
        said = [(UPTIME, began), (TRAP_OID, rfc1902.ObjectIdentifier(parse(oid)))]
        v2c.apiTrapPDU.set_varbinds(pdu, said + [(parse(name), made(kind, value)) for name, kind, value in variables])
        self._transport.trapping = True
        try:
            self._originator.send_pdu(self.engine, "hub", None, b"", pdu)
        finally:
            self._transport.trapping = False

    def do(self, command: dict[str, Any]) -> None:
        """Carry out one line; raises KeyError, ValueError or OSError."""
        ((name, told),) = command.items()
        if name == "set":
            oid, kind, value = told
            self.values.values[parse(oid)] = made(kind, value)
        elif name == "put":
            self.values.values |= {parse(oid): made(kind, value) for oid, kind, value in told}
        elif name == "fill":
            self.values.values = {parse(oid): made(kind, value) for oid, kind, value in told}
        elif name == "remove":
            del self.values.values[parse(told)]
        elif name == "plug":
            self.plug(told)
        elif name == "trap":
            self.trap(*told)
        elif name == "garble":
            self._garbage.append(bytes.fromhex(told))
        else:
            raise KeyError(name)


async def _run() -> None:
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    agents: dict[str, _Agent] = {}
    while line := await lines.readline():
        command = json.loads(line)
        name = command.pop("agent", "")
        if "open" in command:
            agents[name] = _Agent(command["open"])
            agents[name].plug(True)
        agent = agents[name]
        if "close" in command:
            agent.plug(False)
            agent.engine.close_dispatcher()
            del agents[name]
        elif "open" not in command:
            agent.do(command)
        await asyncio.sleep(0)  # the socket is read from the loop's next turn on
        print(json.dumps({"port": agent.port, "spoilt": agent.faults.played}), flush=True)


if __name__ == "__main__":
    asyncio.run(_run())
