"""The simulator `snmp`: an agent that answers from a walk and sends traps."""

import contextlib
import ipaddress
import itertools
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from drivers.simulator.exchange import TRAPS, WALK, Trap, Variable, content_of, read_lines, read_walk, write_walk
from drivers.simulator.faults import CLOCK, Faults
from drivers.simulator.snmp import HOST, UPTIME, SnmpAgent, SnmpAgents, SnmpUser
from drivers.snmp.reboots import BOOTS
from drivers.snmp.session import GarbledError, SilentError, connected
from drivers.snmp.settings import SnmpAddress, TrapRule
from hub.driver import Binding
from hub.errors import BadInput, LinkDown
from hub.model import Scalar
from hub.simulation import ALL_WORDS, Mark, Place, Played, Settings, Values

_END = "1.3.6.1.4.1.0.0.1"
"""A trap of the reserved enterprise 0, which no device sends."""


def free_port(host: str) -> int:
    """A UDP port that nobody has now; whoever listens for traps must name it before."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class _Replay:
    """Answers from the walk; sends the traps, where there are some."""

    def __init__(
        self, agent: SnmpAgent, community: str, traps: Sequence[Trap] = (), heard_at: int | None = None
    ) -> None:
        self._agent = agent
        self._traps = traps
        self.end: Mark | None = None
        self.endpoint: dict[str, Any] = {
            "host": agent.host,
            "port": agent.port,
            "version": "2c",
            "community": community,
            "insecure_transport": True,
        }
        if heard_at is not None:
            self.endpoint["traps"] = {"host": HOST, "port": heard_at}
            # it only asks, and so comes behind every answer that the traps before it set off
            asks = {"oid": UPTIME, "type": "timeticks", "raised_by": [{"trap": _END}]}
            self.end = Mark({}, asks, "int")

    async def play(self) -> None:
        """The traps in their order, then the end; without them nothing: it is asked."""
        for one in self._traps:
            await self._agent.trap(one.trap, one.content)
        if self.end is not None:
            await self._agent.trap(_END)


class _Playing:
    """One agent, version 3 with authentication and privacy. What its profile knows by a trap is sent so when it changes."""

    words: Mapping[str, frozenset[Scalar]] = ALL_WORDS
    instances = ("1", "2")

    def __init__(self, played: Played, agents: SnmpAgents, faults: Faults, host: str, traps: Settings) -> None:
        self._name = played.name
        self._host = host
        self._traps = traps
        self._agents = agents
        self._faults = faults
        index = None if played.device is None else played.device.index
        self.device: Settings = {}
        if index is None and any(part.address.indexed for part in played.parts):
            index = "1"
            self.device = {"index": index}
        self._parts = {part.point: part for part in played.parts}
        self.cannot: frozenset[str] = frozenset()
        self._index = index
        self._wire: dict[str, int] = {}
        self._held: dict[tuple[str, str], Scalar] = {}
        self._began = time.monotonic()
        self._boots = 1
        self._restarts = [part.point for part in played.parts if part.address.reboot]
        self._beats = any(part.address.oid == UPTIME for part in played.parts)
        self._ticks = 0
        """sysUpTime without what its clock has jumped"""
        self._jumped = 0
        self.endpoint: Settings = {}
        self._seed = played.seed
        self._rates = {name: rate for name, rate in played.faults.items() if name != CLOCK}

    async def open(self) -> None:
        """Listen, with a user of its own."""
        user = SnmpUser(f"sim-{self._name}"[:32], secrets.token_urlsafe(12), secrets.token_urlsafe(12))
        users = [[user.name, user.auth, user.auth_key, user.priv, user.priv_key]]
        hears = (self._traps["host"], self._traps["port"]) if self._traps else None
        settings = {"host": self._host, "users": users, "faults": self._rates, "seed": self._seed, "hears": hears}
        port = (await self._agents.tell(self._name, open=settings))["port"]
        keys = {"user": user.name, "auth_key": user.auth_key, "priv_key": user.priv_key}
        self.endpoint = {"host": self._host, "port": port, "version": "3", **keys}
        if self._traps:
            self.endpoint = {**self.endpoint, "traps": self._traps}

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return {**self._faults.played, **self._wire}

    async def show(self, values: Values) -> bool:
        """Put the values under their OIDs, then send a trap for each that has changed and has one.

        sysUpTime may jump: on by up to a day, or back to 0 as after a restart, with a coldStart where the profile knows it.
        """
        self._ticks = self._own_ticks(values)
        changed = {key: raw for key, raw in values.items() if key in self._held and self._held[key] != raw}
        self._held |= values
        restarts = any(point in self._restarts and raw is True for (point, _), raw in changed.items())
        if self._faults.draw(CLOCK):
            jump = self._faults.jump()
            if jump > 0:
                self._jumped += int(jump * 100)
            elif not restarts:
                restarts = True
                changed |= dict.fromkeys(((point, "") for point in self._restarts), True)
        if restarts:
            self._jumped, self._boots = -self._ticks, self._boots + 1
        put = [one for (point, instance), raw in values.items() for one in self._variables(point, instance, raw)]
        put = [*(one for one in put if one.oid != UPTIME), *self._clock()]
        await self._tell(put=[list(one) for one in put])
        for (point, instance), raw in changed.items() if self._traps else ():
            said = self._trap(point, instance, raw)
            if said is not None:
                await self._tell(trap=[said.trap, [list(one) for one in said.variables]])
        return True

    async def _tell(self, **command: Any) -> None:
        self._wire = (await self._agents.tell(self._name, **command))["spoilt"]

    def _own_ticks(self, values: Values) -> int:
        """What sysUpTime would be: as the profile's point says, else by our own clock."""
        for (point, _), raw in values.items():
            if self._parts[point].address.oid == UPTIME and not isinstance(raw, str):
                return int(raw)
        return self._ticks if self._beats else int((time.monotonic() - self._began) * 100)

    def _clock(self) -> list[Variable]:
        found = [Variable(UPTIME, "timeticks", (self._ticks + self._jumped) % 2**32)]
        return [*found, Variable(BOOTS, "integer", self._boots)] if self._restarts else found

    def _trap(self, point: str, instance: str, raw: Scalar) -> "Sent | None":
        """The trap that tells of the point's new value; None where the profile knows none."""
        address = self._parts[point].address
        if address.indexed and address.table is None:
            instance = self._index or ""
        elif address.indexed:
            instance = f"{self._index}.{instance}"
        return trap_of(address, raw, instance)

    def _variables(self, point: str, instance: str, raw: Scalar) -> list[Variable]:
        """The value, and beside a row's value its name."""
        address = self._parts[point].address
        if address.oid is None and address.table is None:
            return []  # only a trap or a restart says it
        if address.table is not None:
            named = [] if address.label is None else [Variable(f"{address.label}.{instance}", "string", instance)]
            return [self._variable(point, f"{address.table}.{instance}", raw), *named]
        return [self._variable(point, f"{address.oid}.{self._index}" if address.indexed else address.oid, raw)]

    def _variable(self, point: str, oid: str, raw: Scalar) -> Variable:
        address = self._parts[point].address
        try:
            return Variable(oid, *octets_of(raw, address.type, address.encoding))
        except (ValueError, TypeError) as error:
            raise BadInput(f"{raw!r} cannot be given as {address.type}: {error}", point) from None


class Sent(NamedTuple):
    """A trap to be sent."""

    trap: str
    variables: list[Variable]


def trap_of(address: SnmpAddress, raw: Scalar, row: str) -> Sent | None:
    """What the point's rules would take for this value: a trap that raises it, else one that has the agent asked; None without either."""
    rules = [rule for rule in address.raised_by if _raises(rule, raw)]
    if not rules and (raw is True or not address.reboot):  # nobody says that it has not restarted
        rules = [rule for rule in address.raised_by if rule.value is None and rule.varbind is None]
    if not rules:
        return None
    rule = rules[0]
    variables = [_said(oid, values[0]) for oid, values in rule.when.items()]
    if rule.varbind is not None:
        variables.append(Variable(rule.varbind, *octets_of(raw, address.type, address.encoding)))
    if rule.instance is not None:
        variables.append(_said(rule.instance, int(row) if row.isdecimal() else row))
    if rule.instance_index is not None:
        variables.append(_said(f"{rule.instance_index}.{row}", int(row) if row.isdecimal() else row))
    return Sent(rule.trap, variables)


def _raises(rule: TrapRule, raw: Scalar) -> bool:
    return raw in rule.raises if rule.varbind is not None else rule.value is not None and rule.value == raw


def _said(oid: str, value: int | str) -> Variable:
    return Variable(oid, "integer" if isinstance(value, int) else "string", value)


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
    """Cases over version 2c, whatever the agent spoke: what a variable means does not depend on it."""

    name = "snmp"

    def __init__(self) -> None:
        self._agents: SnmpAgents | None = None
        self._playing = 0
        self._numbers = itertools.count(1)
        self._listeners: dict[str, Settings] = {}
        """of a site: where its edge hears traps"""

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`agent.snmpwalk`; what is not in it is noSuchInstance. `traps.jsonl`, where there is one: at most one trap a point."""
        variables = read_walk(content_of(files, WALK))
        traps = read_lines(Trap, content_of(files, TRAPS), TRAPS) if TRAPS in files else []
        community = secrets.token_hex(8)
        heard_at = free_port(HOST) if traps else None
        hears = None if heard_at is None else (HOST, heard_at)
        async with SnmpAgent(community=community, hears=hears) as agent:
            await agent.fill(variables)
            yield _Replay(agent, community, traps, heard_at)

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator[_Playing]:
        """An agent of its own address; all agents live in one process, which begins with the first and ends with the last.

        On loopback each has an address 127.77.x.y, so that a trap's source says whose it is; elsewhere they share the one to listen on.
        """
        if self._agents is None:
            self._agents = await SnmpAgents().__aenter__()
        agents = self._agents
        self._playing += 1
        try:
            host, hears = self._places(played, place)
            playing = _Playing(played, agents, Faults(played.faults, played.seed), host, hears)
            await playing.open()
            try:
                yield playing
            finally:
                await agents.tell(played.name, close=True)
        finally:
            self._playing -= 1
            if not self._playing:
                self._agents = None
                self._listeners.clear()
                await agents.__aexit__(None, None, None)

    def _places(self, played: Played, place: Place) -> tuple[str, Settings]:
        """The agent's address, and where its site's edge listens for its traps; nowhere where its profile knows none."""
        number = next(self._numbers)
        host = f"127.77.{number >> 8 & 255}.{number & 255}" if played.host == HOST else played.host
        if not any(part.address.raised_by for part in played.parts):
            return host, {}
        hears = self._listeners.get(played.site or played.name)
        if hears is None:
            state = str(place.folder / f"{played.site or played.name}-traps")
            hears = {"host": played.host, "port": free_port(played.host), "state": state}
            self._listeners[played.site or played.name] = hears
        return host, hears

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
