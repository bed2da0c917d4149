"""What a lane remembers, and the one connection over which it is read and written.

The store's word is the state: after a lost database, a change of the registry or somebody else's write it is read again, and of all that only as
much as was concerned. What is in flight at a database that stands still is given up; whether it was committed is asked of it later.
"""

import asyncio
import random
import time
from collections.abc import Callable, Set
from functools import partial

import structlog

from hub.core.backoff import full_jitter
from hub.core.blindness import Cause
from hub.core.draft import Draft
from hub.core.lane import State, Streamed
from hub.errors import Conflict, LinkDown
from hub.model import Lane
from hub.registry import Registry, changed_devices
from hub.runtime.hearing import Hearing
from hub.runtime.put_off import QUICKLY
from hub.runtime.shared import Clock, Counters, Shared
from hub.store import alarms, blindness, lane_commit, lanes
from hub.store.pool import LOST, Connection, cut
from hub.store.readings import SeriesKeys

SHORT = 5.0
"""seconds; a database that was lost sooner after it was reached is not asked again at once"""
_log = structlog.get_logger(__name__)


class LaneMemory:
    """State, keys and connection of one lane of one partition. Who uses it holds the lane's lock."""

    def __init__(
        self,
        shared: Shared,
        lane: Lane,
        name: str,
        database_url: str,
        clock: Clock,
        counters: Counters,
        hearing: Hearing,
        reopened: Callable[[], None],
    ) -> None:
        self.conn: Connection | None = None
        """None while the database is away"""
        self.state = State()
        self.loaded = False
        self.series: SeriesKeys = {}
        self.judged_by = shared.registry
        """the registry by which the state was judged"""
        self._foreign: dict[str, Streamed] = {}
        """streams that clients of elsewhere own: a spool was copied"""
        self._opened_at = 0.0
        """when the database was reached last, monotonic seconds"""
        self._shared, self._lane, self._name, self._database_url = shared, lane, name, database_url
        self._clock, self._counters, self._hearing, self._reopened = clock, counters, hearing, reopened

    async def abandon(self, writing: "asyncio.Future[None]") -> None:
        """Give up a write that is under way and its connection: a frozen server would hold both for ever."""
        lost, self.conn = self.conn, None
        assert lost is not None
        cut(lost)
        writing.add_done_callback(partial(_end, lost))
        await asyncio.wait({writing}, timeout=1.0)

    async def lose(self, error: str) -> None:
        """The database has gone: be back when it is there again, with the state as it then stands."""
        self.state.moved += 1
        self._counters.database_losses += 1
        self._hearing.lose(Cause.DATABASE, self._clock())
        _log.warning("ingest.database_lost", lane=self._name, error=" ".join(error.split())[:200])
        lost, self.conn = self.conn, None
        if lost is not None:
            lost.pgconn.finish()  # a frozen server answers no goodbye
        if (
            time.monotonic() - self._opened_at < SHORT
        ):  # it answers and takes nothing (full, read only): all is read anew each time
            await asyncio.sleep(random.uniform(0.5, 1.5))
        await self.reopen()

    async def reopen(self) -> None:
        """Connect and load the lane's state as it was last committed; tries until it is there."""
        attempt = 0
        while True:
            try:
                conn, loaded = await self._open_once()
            except (LinkDown, *LOST) as error:
                attempt += 1
                if attempt == 1:
                    _log.warning("ingest.database_away", lane=self._name, error=" ".join(str(error).split())[:200])
                await asyncio.sleep(full_jitter(attempt, 0.25, 2.0, random.random()))
                continue
            break
        self.conn, self._opened_at = conn, time.monotonic()
        self._adopt(loaded, self._shared.registry)
        await self._silence_retired()
        self._reopened()
        if attempt:
            _log.info("ingest.database_back", lane=self._name)

    def _adopt(self, loaded: lanes.Loaded, registry: Registry, changed: Set[str] | None = None) -> None:
        """The stored state is the state, of the devices that `changed` up to `registry` or of all; what is not stored stays as this process
        knows it.
        """
        before, self.judged_by = self.state, registry
        before.moved += 1
        tests = before.tests
        if changed is None:
            self.state, self.series = loaded.state, loaded.series
            self.state.beats, self.state.clients, self.state.taken = before.beats, before.clients, before.taken
            self.state.edge_gaps, self.state.armed, self.state.lags = before.edge_gaps, before.armed, before.lags
            self.state.remember_faults(self.judged_by)
        else:
            self.state.take_over(changed, loaded.state, self.judged_by)
            self.series |= loaded.series
        self.loaded = True
        self.state.streams = self._foreign | self.state.streams
        for device, trial in self.state.tests.items():
            seen = tests.get(device)
            if seen is not None and seen.id == trial.id:
                self.state.tests[device] = seen
        self.state.premises = self._shared.said
        # what was heard before this process began: one that died meanwhile is missed, too
        for own in self.judged_by.own_clients:
            live = self.state.live.get(own.id)
            if live is not None and live.heard is not None:
                self._shared.clients.setdefault(own.client, 0)

    async def follow(self) -> None:
        """Where devices of this lane were changed, retired or registered again, others wrote to their states: load them."""
        self.state.moved += self.state.premises is not self._shared.said
        self.state.premises = self._shared.said
        if self.conn is None:
            return
        registry = self._shared.registry  # the next one may come while this one is followed
        changed = changed_devices(self.judged_by, registry, self._lane)
        if not changed:
            self.judged_by = registry  # or every batch would compare the two again
            return
        try:
            loaded = await lanes.load(self.conn, self._shared.number, self._lane, changed)
        except LOST as error:
            await self.lose(str(error))
        else:
            self._adopt(loaded, registry, changed)
            await self._silence_retired()

    async def _silence_retired(self) -> None:
        """An alarm raised in the moment in which its device was retired would hold for ever."""
        if self.conn is None:
            return
        try:
            if await alarms.clear_retired(self.conn, self._shared.number, self._lane, self._clock()):
                self.state.alarms = await lanes.load_alarms(self.conn, self._shared.number, self._lane)
                self.state.moved += 1
        except LOST as error:
            _log.warning("ingest.retired_alarms_left", lane=self._name, error=" ".join(str(error).split())[:200])

    async def _open_once(self) -> tuple[Connection, lanes.Loaded]:
        conn = await lanes.open_lane(self._database_url, self._name)
        try:
            self._hearing.remember(await blindness.listened(conn, self._shared.number, self._lane))
            return conn, await lanes.load(conn, self._shared.number, self._lane)
        except BaseException:  # cancelled, too
            conn.pgconn.finish()
            raise

    async def catch_up(self, conflict: Conflict) -> None:
        """Somebody else wrote what this lane remembers: read it again."""
        self._counters.conflicts += 1
        assert self.conn is not None
        try:
            if isinstance(conflict, lane_commit.Overtaken):
                loaded = await lanes.load(self.conn, self._shared.number, self._lane)
                self._adopt(loaded, self._shared.registry)
                found = await lanes.streams_named(self.conn, conflict.streams)
                self._foreign |= {name: found[name] for name in found.keys() - self.state.streams.keys()}
                self.state.streams |= self._foreign
            if isinstance(conflict, lane_commit.Taken):
                self.state.taken |= conflict.ids
            self.state.alarms = await lanes.load_alarms(self.conn, self._shared.number, self._lane)
            await self.load_said()
        except LOST as error:
            await self.lose(str(error))

    async def rehearse(self, draft: Draft) -> bool | None:
        """True where the database takes the draft; None when the state has to be looked at anew first. Raises Held, and a Refusal."""
        if self.conn is None:
            return None
        try:
            await lane_commit.rehearse(self.conn, draft.whole(), self.series, QUICKLY)
        except lane_commit.Held:
            raise
        except Conflict as conflict:
            await self.catch_up(conflict)
            return None
        except LOST as error:
            await self.lose(str(error))
            return None
        return True

    async def goes(self, draft: Draft) -> bool | None:
        """Whether nobody has to be waited for; None as above."""
        try:
            return await self.rehearse(draft)
        except lane_commit.Held:
            return False
        except lane_commit.Refusal:
            return True

    async def load_said(self) -> None:
        """What people declared, and what they shelved that has ended; raises one of `LOST`."""
        assert self.conn is not None
        self.state.shelved = await lanes.load_shelved(self.conn, self._shared.number, self._lane)
        found = await lanes.load_exercises(self.conn, self._shared.number, self._lane)
        self.state.presses, self.state.drills, self.state.probes = found
        self.state.moved += 1


def _end(lost: Connection, writing: "asyncio.Future[None]") -> None:
    """A write that nobody waits for any more has ended: now, and not before, its connection may be freed."""
    lost.pgconn.finish()
    if not writing.cancelled():
        writing.exception()
