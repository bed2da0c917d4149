"""The partitions that this process owns: the lease, the registry, and a lane ingest for each lane.

The lease is an advisory lock on one connection. Where it cannot be had, another `anxin serve` owns the partition and this one is refused;
where it is lost (the database went), the lanes stop, and start again when the lease is back.
"""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence

import structlog

from hub.core.backoff import full_jitter
from hub.core.lane import State
from hub.errors import Conflict, LinkDown
from hub.model import Lane
from hub.mqtt import Broker
from hub.profiles import Profile
from hub.registry import Registry
from hub.runtime.apart import apart
from hub.runtime.ingest import LaneIngest
from hub.runtime.shared import Clock, Shared, wall_clock
from hub.runtime.turns import Turns
from hub.store import hours
from hub.store import registry as stored
from hub.store.leases import try_lease
from hub.store.pool import LOST, Connection, connect

_log = structlog.get_logger(__name__)
POLL = 60.0
"""seconds after which the registry is read again even when nobody said that it moved; the database tells of every change"""
MOST_PAUSE = 2.0
"""seconds between two loads"""
TAKE_OVER = 10.0
"""seconds to wait for a lease at the start: a killed predecessor's connection ends within them"""


class Partitions:
    """All that runs under one lease."""

    def __init__(
        self,
        database_url: str,
        broker: Broker,
        profiles: Mapping[str, Profile],
        numbers: Sequence[int],
        clock: Clock = wall_clock,
        take_over: float = TAKE_OVER,
    ) -> None:
        self._database_url = database_url
        self._profiles = profiles
        self._numbers = tuple(numbers)
        self._take_over = take_over
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self.leased = False
        turns = Turns()
        self.shared = {n: Shared(n, Registry(0), reload=self.reload, turns=turns) for n in numbers}
        self.lanes = [
            LaneIngest(shared, lane, database_url, broker, clock) for shared in self.shared.values() for lane in Lane
        ]

    @property
    def ready(self) -> bool:
        """Leased, and every lane listens."""
        return self.leased and all(lane.listening for lane in self.lanes)

    def urgent(self, number: int) -> tuple[State, Registry] | None:
        """What is committed of a partition's urgent lane, and by which registry; None where that is another process's."""
        shared = self.shared.get(number)
        return None if shared is None else shared.lanes[Lane.URGENT].judged

    def reload(self) -> "asyncio.Future[None]":
        """Ask for a fresh registry; the future ends when one that was loaded after this call is in place."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wanted.set()
        return future

    async def run(self) -> None:
        """Own the partitions until cancelled. Raises Conflict when another process owns one of them."""
        while True:
            lease = await self._acquire()
            try:
                await apart(self._own(lease))
            except* LinkDown as lost:
                _log.warning("partitions.lease_lost", error=str(lost.exceptions[0]))
            finally:
                self.leased = False
                for lane in self.lanes:
                    lane.listening = False
                lease.pgconn.finish()

    async def _own(self, lease: Connection) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(lease), name="partitions-listen")
            loaded = self.reload()
            tasks.create_task(self._keep_registry(), name="partitions-registry")
            await loaded
            self.leased = True
            for lane in self.lanes:
                tasks.create_task(lane.run(), name=lane.name)

    async def _acquire(self) -> Connection:
        """The connection that holds the lease of every partition."""
        attempt = 0
        until = asyncio.get_running_loop().time() + self._take_over
        while True:
            attempt += 1
            try:
                conn = await connect(self._database_url, "lease", autocommit=True)
            except LinkDown as error:
                if attempt == 1:
                    _log.warning("partitions.database_away", error=" ".join(str(error).split())[:200])
                await asyncio.sleep(full_jitter(attempt, 0.25, 2.0, random.random()))
                continue
            try:
                await conn.execute("listen anxin_registry")
                await conn.execute("listen anxin_test")
                held = [number for number in self._numbers if not await try_lease(conn, number)]
            except LOST:
                conn.pgconn.finish()
                await asyncio.sleep(full_jitter(attempt, 0.25, 2.0, random.random()))
                continue
            except asyncio.CancelledError:
                conn.pgconn.finish()
                raise
            if not held:
                return conn
            await conn.close()
            if asyncio.get_running_loop().time() >= until:
                raise Conflict(
                    f"partition {held[0]} is owned by another 'anxin serve'; stop it, or give this one others"
                )
            await asyncio.sleep(0.25)

    async def _listen(self, lease: Connection) -> None:
        """Hear what others changed; raises LinkDown when the lease's connection has gone."""
        try:
            while True:
                async for notice in lease.notifies(timeout=1.0, stop_after=1):
                    if notice.channel == "anxin_test":
                        for lane in self.lanes:
                            lane.look_for_tests()
                    else:
                        self._wanted.set()
                async with asyncio.timeout(5.0):
                    await lease.execute("select 1")
        except (*LOST, TimeoutError) as error:
            raise LinkDown(f"database: {type(error).__name__}") from None

    async def _keep_registry(self) -> None:
        """Load the registry when something changed, and once in a while anyhow."""
        conn: Connection | None = None
        try:
            while True:
                self._wanted.clear()
                waiting, self._waiting = self._waiting, []
                began = asyncio.get_running_loop().time()
                try:
                    if conn is None:
                        conn = await connect(self._database_url, "registry")
                    for number, shared in self.shared.items():
                        shared.registry = await stored.load(conn, self._profiles, number, shared.registry)
                    said = await hours.load(conn, self._numbers)
                    for shared in self.shared.values():
                        shared.said = said
                except (LinkDown, *LOST):
                    self._waiting += waiting
                    if conn is not None:
                        conn.pgconn.finish()
                        conn = None
                    await asyncio.sleep(0.5)
                    continue
                took = asyncio.get_running_loop().time() - began
                for future in waiting:
                    if not future.done():
                        future.set_result(None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await self._wanted.wait()
                # a province that is being provisioned changes all the time, and to load all of it takes seconds
                await asyncio.sleep(min(took, MOST_PAUSE))
        finally:
            if conn is not None:
                conn.pgconn.finish()
