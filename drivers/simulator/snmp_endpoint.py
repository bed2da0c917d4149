"""The simulator `snmp`: an agent that answers from a walk."""

import contextlib
import ipaddress
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from drivers.simulator.exchange import WALK, Variable, content_of, read_walk, write_walk
from drivers.simulator.faults import CLOCK, Faults
from drivers.simulator.snmp import UPTIME, SnmpAgent, SnmpAgents, SnmpUser
from drivers.snmp.session import GarbledError, SilentError, connected
from hub.driver import Binding
from hub.errors import BadInput, LinkDown
from hub.model import Scalar
from hub.simulation import Place, Played, Settings, Values


class _Replay:
    """Answers from the walk; says nothing by itself."""

    end = None

    def __init__(self, agent: SnmpAgent, community: str) -> None:
        self.endpoint: dict[str, Any] = {
            "host": agent.host,
            "port": agent.port,
            "version": "2c",
            "community": community,
            "insecure_transport": True,
        }

    async def play(self) -> None:
        """Nothing: it is asked."""


class _Playing:
    """One agent, version 3 with authentication and privacy."""

    instances = ("1", "2")

    def __init__(self, played: Played, agents: SnmpAgents, faults: Faults) -> None:
        self._name = played.name
        self._host = played.host
        self._agents = agents
        self._faults = faults
        index = None if played.device is None else played.device.index
        self.device: Settings = {}
        if index is None and any(part.address.indexed for part in played.parts):
            index = "1"
            self.device = {"index": index}
        self._parts = {part.point: part for part in played.parts}
        self.cannot = frozenset(
            part.point for part in played.parts if part.address.oid is None and part.address.table is None
        )
        """what only a trap or a restart says"""
        self._index = index
        self._wire: dict[str, int] = {}
        self._jumped = 0.0
        self.endpoint: Settings = {}
        self._seed = played.seed
        self._rates = {name: rate for name, rate in played.faults.items() if name != CLOCK}

    async def open(self) -> None:
        """Listen, with a user of its own."""
        user = SnmpUser(f"sim-{self._name}"[:32], secrets.token_urlsafe(12), secrets.token_urlsafe(12))
        users = [[user.name, user.auth, user.auth_key, user.priv, user.priv_key]]
        settings = {"host": self._host, "users": users, "faults": self._rates, "seed": self._seed}
        port = (await self._agents.tell(self._name, open=settings))["port"]
        keys = {"user": user.name, "auth_key": user.auth_key, "priv_key": user.priv_key}
        self.endpoint = {"host": self._host, "port": port, "version": "3", **keys}

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return {**self._faults.played, **self._wire}

    async def show(self, values: Values) -> bool:
        """Put the values under their OIDs. The agent's clock, sysUpTime, may jump."""
        if self._faults.draw(CLOCK):
            self._jumped += abs(self._faults.jump())
        put = [one for (point, instance), raw in values.items() for one in self._variables(point, instance, raw)]
        self._wire = (await self._agents.tell(self._name, put=[list(one) for one in put]))["spoilt"]
        return True

    def _variables(self, point: str, instance: str, raw: Scalar) -> list[Variable]:
        """The value, and beside a row's value its name."""
        address = self._parts[point].address
        if address.table is not None:
            named = [] if address.label is None else [Variable(f"{address.label}.{instance}", "string", instance)]
            return [self._variable(point, f"{address.table}.{instance}", raw), *named]
        return [self._variable(point, f"{address.oid}.{self._index}" if address.indexed else address.oid, raw)]

    def _variable(self, point: str, oid: str, raw: Scalar) -> Variable:
        address = self._parts[point].address
        if oid == UPTIME and not isinstance(raw, str):
            return Variable(oid, "timeticks", int(raw + self._jumped * 100) % 2**32)
        try:
            return Variable(oid, *octets_of(raw, address.type, address.encoding))
        except (ValueError, TypeError) as error:
            raise BadInput(f"{raw!r} cannot be given as {address.type}: {error}", point) from None


def octets_of(raw: Scalar, type_: str | None, encoding: str) -> tuple[str, int | str]:
    """The kind and value of a variable that is read as `raw`."""
    if type_ == "truth":
        return "integer", 1 if raw else 2
    if type_ in ("oid", "ip"):
        return type_, {"oid": "1.3.6.1.4.1.8072", "ip": "192.0.2.1"}[type_] if raw == "simulated" else str(raw)
    if type_ == "hex":
        return "octets", "02005e005301" if raw == "simulated" else bytes.fromhex(str(raw).replace(":", "")).hex()
    if type_ == "string" or isinstance(raw, str):
        return "octets", str(raw).encode(encoding).hex()
    kinds = {"gauge": "gauge", "counter": "counter", "timeticks": "timeticks"}
    number = round(raw)
    kind = kinds.get(type_ or "", "integer")
    return (kind, number % 2**32) if kind != "integer" else (kind, max(-(2**31), min(number, 2**31 - 1)))


class SnmpSimulator:
    """Over version 2c, whatever the agent spoke: what a variable means does not depend on it."""

    name = "snmp"

    def __init__(self) -> None:
        self._agents: SnmpAgents | None = None
        self._playing = 0

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`agent.snmpwalk`; what is not in it is noSuchInstance."""
        variables = read_walk(content_of(files, WALK))
        community = secrets.token_hex(8)
        async with SnmpAgent(community=community) as agent:
            await agent.fill(variables)
            yield _Replay(agent, community)

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator[_Playing]:
        """An agent of its own port; all agents live in one process, which begins with the first and ends with the last."""
        if self._agents is None:
            self._agents = await SnmpAgents().__aenter__()
        agents = self._agents
        self._playing += 1
        try:
            playing = _Playing(played, agents, Faults(played.faults, played.seed))
            await playing.open()
            try:
                yield playing
            finally:
                await agents.tell(played.name, close=True)
        finally:
            self._playing -= 1
            if not self._playing:
                self._agents = None
                await agents.__aexit__(None, None, None)

    @contextlib.asynccontextmanager
    async def tap(self, endpoint: Any, bindings: Sequence[Binding], place: Place) -> AsyncIterator["_Tap"]:
        """Walks what the profile reads, then stands in for the agent: the driver reads exactly what is kept. Traps are not recorded."""
        try:
            variables = await _walked(endpoint, bindings)
        except (SilentError, GarbledError) as error:
            raise LinkDown(f"{endpoint.name}: {error}") from None
        community = secrets.token_hex(8)
        async with SnmpAgent(community=community) as agent:
            await agent.fill(variables)
            yield _Tap(variables, _Replay(agent, community).endpoint)


class _Tap:
    """What the agent has of the profile's points."""

    kept: tuple[str, ...] = ()

    def __init__(self, variables: Sequence[Variable], endpoint: Settings) -> None:
        none = dict.fromkeys(("user", "auth_key", "priv_key", "traps", "write_community"))
        self.endpoint = {**none, **endpoint}
        self._variables = variables

    def files(self, redact: Callable[[str], str]) -> Mapping[str, bytes]:
        """Numbers stay; texts, addresses and octets that are a MAC address are redacted."""
        return {WALK: write_walk([_redacted(one, redact) for one in self._variables]).encode()}


def _redacted(one: Variable, redact: Callable[[str], str]) -> Variable:
    if one.kind in ("string", "ip"):
        return one._replace(value=redact(str(one.value)))
    if one.kind == "octets":
        octets = bytes.fromhex(str(one.value))
        if len(octets) == 6:
            return one._replace(value=redact(octets.hex(":")).replace(":", ""))
        return one._replace(value=redact(octets.decode("latin-1")).encode("latin-1").hex())
    return one


async def _walked(endpoint: Any, bindings: Sequence[Binding]) -> list[Variable]:
    """Of every point its OID, of every table its columns; and what the agent says that it is."""
    found: dict[str, Variable] = {}
    single = {UPTIME, "1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.2.0"}
    columns: dict[str, int] = {}
    for one in bindings:
        address, index = one.address, one.device.index
        if address.oid is not None and not (address.indexed and index is None):
            single.add(f"{address.oid}.{index}" if address.indexed else address.oid)
        columns |= {column: address.rows for column in (address.table, address.label) if column is not None}
    async with connected(endpoint) as agent:
        for oid in sorted(single):
            for name, raw in (await agent.get((oid,))).items():
                found[name] = variable_of(name, raw)
        for column, rows in columns.items():
            for index, raw in (await agent.walk(column, rows)).values:
                found[f"{column}.{index}"] = variable_of(f"{column}.{index}", raw)
    return list(found.values())


def variable_of(oid: str, raw: object) -> Variable:
    """A value as the driver's library gives it: it tells numbers, octets and names apart, and no more is needed to read it again."""
    if oid == UPTIME and isinstance(raw, int):
        return Variable(oid, "timeticks", raw)
    if isinstance(raw, bool | int):
        number = int(raw)
        kind = "integer" if -(2**31) <= number < 2**31 else "gauge" if 0 <= number < 2**32 else "counter64"
        return Variable(oid, kind, number)
    if isinstance(raw, bytes):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return Variable(oid, "octets", raw.hex())
        return Variable(oid, "string", text) if text.isprintable() else Variable(oid, "octets", raw.hex())
    text = str(raw)
    return Variable(oid, "ip" if _is_ip(text) else "oid", text)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


simulator = SnmpSimulator()
