"""The link to an agent: what is asked together, what becomes of the answers, tables and restarts.

`session` asks, `values` decodes, `memory` remembers. Traps and informs come by `listener` and mean what `traps` says, SET goes by `writing`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from drivers.snmp.listener import Ear, Listener, Listeners
from drivers.snmp.memory import AgentMemory, Memory
from drivers.snmp.reboots import BOOTS, UPTIME, Life, began_anew
from drivers.snmp.session import LARGEST, Agent, GarbledError, Rows, SilentError, connected
from drivers.snmp.settings import SnmpAddress, SnmpEndpoint
from drivers.snmp.traps import Rules
from drivers.snmp.values import Raw, batches, decode, halves, oid_of, row_names, takes_int, takes_text
from drivers.snmp.writing import Unanswered, same_value, set_value, typed_value
from hub.driver import Binding
from hub.errors import BadInput, LinkDown, ProtocolFault
from hub.model import GONE, Delivery, Micros, Reject, Sample, Scalar, Series

_ABSENT: Any = object()
_SHORT = 255
"""Octets of a text that needs no second look (DisplayString, RFC 2579)."""


_PAUSE_S = 1.0
"""Between two rounds of questions that traps ask for: a storm of them must not become one at the agent."""


@asynccontextmanager
async def connect(
    endpoint: SnmpEndpoint, bindings: Sequence[Binding], memory: Memory, listeners: Listeners
) -> AsyncIterator["SnmpLink"]:
    """A link to the agent; raises LinkDown when it does not answer, AccessDenied when it refuses user or keys."""
    async with connected(endpoint) as agent:
        known = memory.of(endpoint.host, endpoint.port)
        if endpoint.traps is None:
            yield SnmpLink(endpoint, bindings, agent, known)
            return
        async with listeners.hear(endpoint, agent.address) as (listener, ear):
            yield ListeningLink(endpoint, bindings, agent, known, listener, ear)


class SnmpLink:
    """A PollLink to one agent."""

    def __init__(self, endpoint: SnmpEndpoint, bindings: Sequence[Binding], agent: Agent, memory: AgentMemory) -> None:
        self._endpoint = endpoint
        self._agent = agent
        self._memory = memory
        self._points = {one.series: _Point.of(one) for one in bindings}
        self._apart: dict[str, None] = {}
        """OIDs that had no value when they were asked alone, the one to be asked alone next first"""
        self._planned: _Plan | None = None
        """of the last read: the runtime asks for the same points again and again"""

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked; of a table one for every row, of a point that only traps raise none.

        A point that the agent does not have is an error of that point. When a request gets no answer and sysUpTime gets none either,
        LinkDown; ProtocolFault, with all samples in it, when a request was answered with nonsense; AccessDenied when the agent refuses us.
        """
        plan = self._planned
        if plan is None or plan.asked != series:
            plan = self._planned = self._plan(series)
        found = _Found()
        for batch in plan.together:
            await self._read_batch(batch, found)
        await self._read_apart(plan.apart, found)
        samples = [self._sample(point, found) for point in plan.points]
        if plan.reboots:
            samples += self._reboots(plan.reboots, found)
        columns: dict[str, Rows | str] = {}
        for point in plan.tables:
            samples += await self._table(point, columns, found)
        if found.fault is not None:
            raise ProtocolFault(str(found.fault), found.fault.payload, self._endpoint.name, samples)
        return samples

    def _plan(self, series: Sequence[Series]) -> "_Plan":
        points = [self._points.get(one) or _Point.unbound(one) for one in series]
        plain = [point for point in points if point.is_plain]
        reboots = [point.series for point in points if point.address.reboot]
        tables = [point for point in points if point.address.table is not None and point.oid is not None]
        oids = dict.fromkeys(point.oid for point in plain if point.oid is not None)
        if reboots:
            oids |= dict.fromkeys((UPTIME, BOOTS))
        together = batches((oid for oid in oids if oid not in self._apart), self._endpoint.max_varbinds)
        return _Plan(list(series), plain, reboots, tables, together, [oid for oid in self._apart if oid in oids])

    async def _read_batch(self, batch: Sequence[str], found: "_Found") -> None:
        values = await self._try(batch, found)
        if values is None:
            return
        found.take(values)
        if values:
            return  # what is missing the agent does not have: noSuchObject, noSuchInstance
        # none of them: all unknown, or one of them made the agent refuse the whole request (tooBig, genErr, in version 1 noSuchName),
        # which gufo-snmp does not tell
        if len(batch) == 1:
            self._apart[batch[0]], self._planned = None, None
            return
        for half in halves(batch):
            await self._read_batch(half, found)

    async def _read_apart(self, oids: Sequence[str], found: "_Found") -> None:
        """Points known to have no value: all in one request, and one of them, in turn, by itself."""
        for batch in batches(oids, self._endpoint.max_varbinds):
            values = await self._try(batch, found)
            found.take(values or {})
        if oids and not found.has_any(oids):
            first = oids[0]
            values = await self._try((first,), found) if len(oids) > 1 else {}
            found.take(values or {})
            self._apart.pop(first, None)  # another read of this link may have done it
            self._apart[first], self._planned = None, None
        for oid in oids:
            if oid in found.values:
                self._apart.pop(oid, None)
                self._planned = None

    async def _try(self, batch: Sequence[str], found: "_Found") -> dict[str, Raw] | None:
        """The agent's answer to one request; None after putting the reason into `found`."""
        try:
            return await self._agent.get(batch)
        except GarbledError as error:
            if len(error.payload) > LARGEST and len(batch) > 1:
                return {}  # too long for the library: shorter questions get shorter answers
            found.fault = found.fault or error
            found.fail(batch, str(error))
        except SilentError as error:
            await self._agent.prove_alive(str(error))
            found.fail(batch, f"the agent answers, but not to this: {error}")
        return None

    def _sample(self, point: "_Point", found: "_Found") -> Sample:
        if point.oid is None:
            return Sample(point.series, _now(), None, point.unreadable)
        raw = found.values.get(point.oid, _ABSENT)
        if type(raw) is int and point.takes_int:
            return Sample(point.series, found.at[point.oid], raw)
        if type(raw) is bytes and point.takes_text and len(raw) <= _SHORT and raw.isascii() and b"\0" not in raw:
            return Sample(point.series, found.at[point.oid], raw.decode())
        if raw is _ABSENT:
            reason = found.reasons.get(point.oid) or f"{point.oid}: no such object or instance"
            return Sample(point.series, _now(), None, reason)
        value = decode(raw, point.address, point.kind)
        return Sample(point.series, found.at[point.oid], value.raw, value.error)

    def _reboots(self, asked: Sequence[Series], found: "_Found") -> list[Sample]:
        """Whether the agent began anew since it was last asked; the first time it is not known, and so false."""
        ticks, boots = found.values.get(UPTIME), found.values.get(BOOTS)
        if not isinstance(ticks, int):
            reason = found.reasons.get(UPTIME) or f"{UPTIME}: no such object or instance"
            return [Sample(one, _now(), None, reason) for one in asked]
        life = Life(time.monotonic(), ticks, boots if isinstance(boots, int) else None)
        samples = []
        for one in asked:  # each of them sees it once, however they are read
            before = self._memory.lives.get(one)
            self._memory.lives[one] = life
            samples.append(Sample(one, found.at[UPTIME], before is not None and began_anew(before, life)))
        return samples

    # ---- writing ----

    async def write(self, series: Series, value: Scalar) -> Scalar | None:
        """SET the raw `value` (before the profile's scale) and read it back. A SET whose answer is lost is judged by the reading."""
        point = self._points.get(series)
        if point is None or not point.writable:
            raise BadInput("this point is not writable", "/".join(series))
        if point.oid is None or point.address.oid is None:
            raise BadInput(
                "only a single value of the agent can be written", f"{self._endpoint.name} {point.address.name}"
            )
        typed = typed_value(value, point.address, point.kind)
        unanswered = ""
        try:
            await set_value(self._endpoint, self._agent.address, point.oid, typed)
        except Unanswered as error:
            unanswered = str(error)
        found = _Found()
        await self._read_batch((point.oid,), found)
        seen = self._sample(point, found)
        if unanswered and not same_value(seen.raw, value):
            raise LinkDown(f"{self._endpoint.name}: {unanswered} (a wrong community for writing looks the same)")
        return seen.raw

    # ---- tables ----

    async def _table(self, point: "_Point", columns: "dict[str, Rows | str]", found: "_Found") -> list[Sample]:
        """One sample for each row, an error for each row that has gone; where there is none at all, one error without instance."""
        assert point.oid is not None
        rows = await self._column(point.oid, point.address.rows, columns, found)
        if isinstance(rows, str):
            return self._failed_table(point, rows)
        if rows.more:
            return self._failed_table(point, f"{point.oid}: the table has more than {point.address.rows} rows")
        labels: dict[str, Raw] = {}
        if point.label is not None:
            named = await self._column(point.label, point.address.rows, columns, found)
            if isinstance(named, str):  # under other names they would be other rows
                return self._failed_table(point, named)
            labels = dict(named.values)
        at = _now()
        names = row_names((index for index, _ in rows.values), labels)
        gone = self._note_rows(point, names)
        samples = [
            Sample(point.series._replace(instance=one), at, None, f"{GONE}{point.oid}: the row has gone")
            for one in gone
        ]
        device, name = point.series.device, point.series.point
        for index, raw in rows.values:
            series = Series(device, name, names[index])
            if type(raw) is int and point.takes_int:
                samples.append(Sample(series, at, raw))
                continue
            value = decode(raw, point.address, point.kind)
            samples.append(Sample(series, at, value.raw, value.error))
        return samples or [Sample(point.series, at, None, f"{point.oid}: the table has no rows")]

    async def _column(self, column: str, most: int, columns: "dict[str, Rows | str]", found: "_Found") -> Rows | str:
        """A column, walked once in a read, or why it could not be."""
        known = columns.get(column)
        if known is None:
            try:
                known = await self._agent.walk(column, most)
            except GarbledError as error:
                found.fault = found.fault or error
                known = f"{column}: {error}"
            except SilentError as error:
                await self._agent.prove_alive(str(error))
                known = f"{column}: the agent answers, but not to this: {error}"
            columns[column] = known
        return known

    def _note_rows(self, point: "_Point", names: dict[str, str]) -> list[str]:
        """Remember the rows that are there; returns those that were and are not."""
        before = self._memory.rows.get(point.series, {})
        here = set(names.values())
        gone = self._memory.gone.pop(point.series, {}) | dict.fromkeys(before.values())
        left = [one for one in gone if one not in here][-point.address.rows :]
        self._memory.rows[point.series] = names
        if left:
            self._memory.gone[point.series] = dict.fromkeys(left)
        return left

    def _failed_table(self, point: "_Point", reason: str) -> list[Sample]:
        """No row is good any more when the table cannot be read; of those that had gone before there is no news."""
        known = self._memory.rows.get(point.series, {}).values() or ("",)
        return [Sample(point.series._replace(instance=one), _now(), None, reason) for one in known]


class ListeningLink(SnmpLink):
    """A PollLink that is a PushLink too: what the agent sends by itself, and what it answers when it is asked because of that."""

    def __init__(
        self,
        endpoint: SnmpEndpoint,
        bindings: Sequence[Binding],
        agent: Agent,
        memory: AgentMemory,
        listener: Listener,
        ear: Ear,
    ) -> None:
        super().__init__(endpoint, bindings, agent, memory)
        self._listener = listener
        self._ear = ear
        self._rules = Rules(bindings)

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """What notifications raise, at once; then the agent's own answers for the points that they name. Raises as `read` does."""
        loop = asyncio.get_running_loop()
        ask: dict[Series, None] = {}
        not_before = 0.0
        hearing = asyncio.create_task(self._ear.ready.wait(), name="snmp.hear")
        asking: asyncio.Task[Delivery] | None = None
        try:
            while True:
                if asking is None and ask and loop.time() >= not_before:
                    asking = asyncio.create_task(self._ask(list(ask)), name="snmp.ask")
                    ask.clear()
                waits = max(0.0, not_before - loop.time()) if asking is None and ask else None
                under_way: set[asyncio.Task[Any]] = {hearing} if asking is None else {hearing, asking}
                await asyncio.wait(under_way, timeout=waits, return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    self._ear.ready.clear()
                    while (delivery := self._next(ask)) is not None:
                        yield delivery
                    hearing = asyncio.create_task(self._ear.ready.wait(), name="snmp.hear")
                if asking is not None and asking.done():
                    not_before = loop.time() + _PAUSE_S
                    answered, asking = asking.result(), None
                    yield answered
        finally:
            left = [hearing] if asking is None else [hearing, asking]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _next(self, ask: dict[Series, None]) -> Delivery | None:
        """The oldest notification that waits, with the rejects until then; None where there is nothing. Adds to `ask`."""
        ear = self._ear
        lost, ear.lost = ear.lost, 0
        rejects = [ear.rejects.popleft() for _ in range(len(ear.rejects))]
        if lost or ear.suspects:
            ask |= dict.fromkeys(self._rules.points)
        ear.suspects = False
        if lost:
            rejects.append(
                Reject(_now(), self._endpoint.name, "trap-overflow", f"{lost} traps came faster than they were taken")
            )
        if not ear.heard:
            return Delivery((), rejects) if rejects else None
        heard = ear.heard.popleft()
        meaning = self._rules.apply(heard.said, heard.at, self._memory.rows)
        ask |= dict.fromkeys(meaning.ask)
        if not meaning.known:
            reason = f"no point of the profile names the trap {heard.said.trap}"
            self._listener.refuse(
                [ear], Reject(heard.at, self._endpoint.name, "trap-unmapped", reason, heard.payload[:4096])
            )
        if heard.acknowledge is None:
            return Delivery(meaning.samples, rejects)
        acknowledge = heard.acknowledge

        async def settle() -> None:
            acknowledge()

        return Delivery(meaning.samples, rejects, settle)

    async def _ask(self, series: list[Series]) -> Delivery:
        try:
            return Delivery(await self.read(series))
        except ProtocolFault as error:
            return Delivery(error.samples, [Reject(_now(), error.source, "protocol", str(error), error.payload)])


class _Point(NamedTuple):
    """One point, and what can be known of it before it is asked for."""

    series: Series
    address: SnmpAddress
    kind: str
    oid: str | None
    """None where it cannot be asked for, and then `unreadable` says why"""
    takes_int: bool
    takes_text: bool
    label: str | None = None
    """the column that names the rows"""
    unreadable: str = ""
    writable: bool = False

    @classmethod
    def of(cls, binding: Binding) -> "_Point":
        """The point of a binding."""
        address: SnmpAddress = binding.address
        oid = oid_of(address, binding.device)
        label = address.label
        if label is not None and address.indexed:
            label = f"{label}.{binding.device.index}"
        unreadable = "" if oid is not None else f"{address.name} is indexed and the device has no index"
        return cls(
            binding.series,
            address,
            binding.kind,
            oid,
            takes_int(address, binding.kind),
            takes_text(address, binding.kind),
            label,
            unreadable,
            binding.writable,
        )

    @classmethod
    def unbound(cls, series: Series) -> "_Point":
        """A series that this link does not know."""
        return cls(series, SnmpAddress(oid=UPTIME), "str", None, False, False, None, "this link has no such point")

    @property
    def is_plain(self) -> bool:
        """Whether it is one value of the agent; what cannot be asked for at all gets its error there too."""
        return self.address.oid is not None or (self.address.table is not None and self.oid is None)


class _Plan(NamedTuple):
    """How one set of points is read."""

    asked: list[Series]
    points: list[_Point]
    reboots: list[Series]
    tables: list[_Point]
    together: list[tuple[str, ...]]
    apart: list[str]


class _Found:
    """What one call of `read` has so far."""

    def __init__(self) -> None:
        self.values: dict[str, Raw] = {}
        self.at: dict[str, Micros] = {}
        self.reasons: dict[str, str] = {}
        self.fault: GarbledError | None = None

    def take(self, values: dict[str, Raw]) -> None:
        """Add an answer."""
        self.at |= dict.fromkeys(values, _now())
        self.values |= values

    def fail(self, oids: Sequence[str], reason: str) -> None:
        """Say why these have no value."""
        self.reasons |= {oid: f"{oid}: {reason}" for oid in oids}

    def has_any(self, oids: Sequence[str]) -> bool:
        """Whether any of these has a value."""
        return any(oid in self.values for oid in oids)


def _now() -> Micros:
    return time.time_ns() // 1000
