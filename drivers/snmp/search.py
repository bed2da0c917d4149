"""Looking for agents: what they are (sysObjectID, sysDescr, sysName) and which standard tables they have. Only where told, no faster than told."""

import asyncio
from collections.abc import AsyncGenerator

from drivers.snmp.session import Agent, GarbledError, SilentError, connected
from drivers.snmp.settings import SnmpSearch
from drivers.snmp.values import Raw
from hub.driver import Found, FoundPoint
from hub.errors import AccessDenied, LinkDown, ProtocolFault

DESCRIPTION, OBJECT_ID, UPTIME, NAME = (f"1.3.6.1.2.1.1.{n}.0" for n in (1, 2, 3, 5))
TABLES = {
    "interfaces": "1.3.6.1.2.1.2.2.1.8",
    "power_ethernet": "1.3.6.1.2.1.105.1.1.1.6",
    "storage": "1.3.6.1.2.1.25.2.3.1.5",
    "processors": "1.3.6.1.2.1.25.3.3.1.2",
    "ups": "1.3.6.1.2.1.33.1.2",
    "entities": "1.3.6.1.2.1.47.1.1.1.1.5",
    "sensors": "1.3.6.1.2.1.99.1.1.1.4",
    "printer": "1.3.6.1.2.1.43.10.2.1.4",
}
"""ifOperStatus, pethPsePortDetectionStatus, hrStorageSize, hrProcessorLoad, upsBattery, entPhysicalClass, entPhySensorValue,
prtMarkerLifeCount (RFC 2863, 3621, 2790, 1628, 6933, 3433, 3805)."""
_AT_ONCE = 16
"""addresses that are waited for together; most are silent"""


class _Pace:
    """At most so many questions a second, evenly."""

    def __init__(self, per_second: float) -> None:
        self._step = 1 / per_second
        self._next = 0.0

    async def __call__(self) -> None:
        loop = asyncio.get_running_loop()
        at = max(self._next, loop.time())
        self._next = at + self._step
        await asyncio.sleep(at - loop.time())


async def discover(search: SnmpSearch) -> AsyncGenerator[Found, None]:
    """Every agent that answers, also those that refuse our credentials."""
    pace = _Pace(search.per_second)
    addresses = iter(search.addresses)
    found: asyncio.Queue[Found | None] = asyncio.Queue()

    async def work() -> None:
        try:
            for address in addresses:
                one = await _look(search, address, pace)
                if one is not None:
                    found.put_nowait(one)
        finally:
            found.put_nowait(None)

    workers = [asyncio.create_task(work(), name="snmp.search") for _ in range(_AT_ONCE)]
    try:
        left = len(workers)
        while left:
            one = await found.get()
            if one is None:
                left -= 1
            else:
                yield one
        for worker in workers:
            worker.result()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        for worker in workers:
            if not worker.cancelled():
                worker.exception()
        workers.clear()  # their errors' frames hold sockets


async def _look(search: SnmpSearch, address: str, pace: _Pace) -> Found | None:
    settings = search.settings(address)
    try:
        async with connected(search.endpoint(address), pace) as agent:
            said = await agent.get((DESCRIPTION, OBJECT_ID, UPTIME, NAME))
            tables = [name for name, column in TABLES.items() if await _has(agent, column)]
    except AccessDenied:
        return Found(f"agent-{address}", settings, {}, "an SNMP agent that refuses these credentials")
    except (LinkDown, ProtocolFault, SilentError, GarbledError):
        return None
    description, name, oid, uptime = (_text(said.get(one)) for one in (DESCRIPTION, NAME, OBJECT_ID, UPTIME))
    says = "; ".join(part for part in (description, f"tables: {', '.join(tables)}" if tables else "") if part)
    marks = {"sysobjectid": oid, "sysdescr": description, "tables": " ".join(tables)}
    points = [FoundPoint("uptime", {"oid": UPTIME}, int(uptime))] if uptime.isdecimal() else []
    return Found(
        name or f"agent-{address}", settings, {}, says, {mark: text for mark, text in marks.items() if text}, points
    )


async def _has(agent: Agent, column: str) -> bool:
    return bool((await agent.walk(column, 1)).values)


def _text(raw: Raw) -> str:
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8", "replace")
    return "" if raw is None else " ".join(str(raw).split())
