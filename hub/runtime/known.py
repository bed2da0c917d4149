"""What the standby knows of the database: whom to tell, where things are, what is open. As last looked at, and on the hub's disk.

From it come, without the database, the state by which a press is judged, the policy that covers an alarm, the pages of a step that is due, and
the message of a page. What is looked at, when, and by which connection is `hub.runtime.looking`'s business.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from hub.core import reach
from hub.core.alarms import Alarm
from hub.core.channels import is_sealed
from hub.core.escalation import Due, Policy, Step, covers, idempotency_key, round_of, urgency
from hub.core.lane import Key, State
from hub.core.reach import Way
from hub.core.standby import Pursuit
from hub.errors import ODD, BadInput
from hub.logs import broken_at
from hub.model import SECOND, AdminState, Lane, Micros, to_datetime
from hub.notify import Channel, open_channel
from hub.notify import Message as Letter
from hub.notify.siren import SirenChannel, Sound
from hub.profiles import Profile
from hub.registry import Client, Device, Registry
from hub.runtime.deliverer import message_of
from hub.runtime.plan_cache import PlanCache
from hub.store.outbox import Claimed
from hub.store.plan import Open, People, Place, Running
from hub.store.reconcile import Page

ROWS = 2000
"""rows of chains in which a message's key is looked for, the newest first: nothing else of the process may wait for it longer"""
DISK = 1.0
"""seconds that a look waits for the disk"""
PEOPLE = 10.0
PLACES = 60.0
"""seconds between two looks at policies and responders, and at the register of devices (and at once when it moved)"""
_log = structlog.get_logger(__name__)


class Known:
    """Places, people and what is open; empty until somebody looked or the disk was read. `folder` None: it ends with the process."""

    def __init__(
        self,
        database_url: str,
        profiles: Mapping[str, Profile],
        *,
        folder: Path | None,
        public_url: str,
        allow_loopback: bool,
        sound: Sound | None,
        clock: Callable[[], Micros],
    ) -> None:
        self._profiles = profiles
        self._public_url = public_url
        self._allow_loopback = allow_loopback
        self._sound = sound
        """the way to sirens: it needs the database, so that they wait for it"""
        self._began = clock(), time.monotonic()
        self.cache = PlanCache(folder, database_url)
        self.places: dict[str, Place] = {}
        self.people = People()
        self.open = Open()
        self.seen: set[UUID] = set()
        """alarms that a look has shown, now or before, while somebody may still take them for standing"""
        self.partitions = 1
        self._registries: dict[int, Registry] = {}
        self._made_of: Mapping[str, Place] = {}
        self._made_for = 0
        self.answered: float | None = None
        """when the database answered last, monotonic seconds"""
        self.people_at = self.places_at = time.monotonic()
        """when they were read last, monotonic seconds"""
        self._disk = ThreadPoolExecutor(3, thread_name_prefix="standby-plan")
        self._writing: dict[str, asyncio.Future[bool]] = {}

    def steady(self) -> Micros:
        """Our clock as it was at the start and has run since: one that is set meanwhile moves no step."""
        return self._began[0] + int((time.monotonic() - self._began[1]) * SECOND)

    @property
    def age(self) -> float:
        """Seconds since what is open was last read from the database; infinite where it never was."""
        return (self.steady() - self.open.at) / SECOND if self.open.at else float("inf")

    @property
    def learnt(self) -> float:
        """Seconds for which policies, responders or places are known less well than they should be."""
        now = time.monotonic()
        return max(0.0, now - self.people_at - PEOPLE, now - self.places_at - PLACES)

    async def keep(self, name: str, part: object) -> bool:
        """Give a part of the plan to the disk; False where it has not written the one before yet. One that hangs is waited for no longer than `DISK`:
        whoever looks at the database must not wait for it, or an alarm would be paged on that somebody has taken.
        """
        before = self._writing.get(name)
        if before is not None and not before.done():
            return False
        writing = asyncio.get_running_loop().run_in_executor(self._disk, self.cache.save, name, part)
        writing.add_done_callback(partial(_say_unwritten, name))
        self._writing[name] = writing
        done, _ = await asyncio.wait({writing}, timeout=DISK)
        if not done:
            _log.error("standby.disk_slow", part=name, reason=f"the plan was not on the disk within {DISK:g} s")
        return True

    async def restore(self) -> bool:
        """Read it from the disk; whether all of it was there."""
        places = await asyncio.to_thread(self.cache.load, "places", list[Place])
        people = await asyncio.to_thread(self.cache.load, "people", People)
        open_ = await asyncio.to_thread(self.cache.load, "open", Open)
        if places is None or people is None or open_ is None:
            return False
        self.places = {place.id: place for place in places}
        self.people = people
        self.partitions = 1 + max((place.partition for place in places), default=0)
        self.see(open_, ())
        _log.info("standby.plan_restored", devices=len(places), age=round(self.age))
        return True

    def see(self, open_: Open, standing: Iterable[UUID]) -> None:
        """This is open now. `standing`: what lanes of this process take for standing."""
        self.seen &= set(standing)
        self.seen |= {alarm.id for of in open_.alarms.values() for alarm in of}
        self.open = open_

    def saw(self, alarm: Alarm) -> None:
        """This one stands, too: it was met after the look."""
        place = self.places.get(alarm.device)
        if place is None or alarm.id in self.seen:
            return
        self.seen.add(alarm.id)
        alarms = {**self.open.alarms}
        alarms[place.partition] = [*alarms.get(place.partition, ()), alarm]
        self.open = replace(self.open, alarms=alarms)

    def is_shown(self, alarm: UUID) -> bool:
        """Whether the last look showed it."""
        return any(one.id == alarm for of in self.open.alarms.values() for one in of)

    @property
    def opens_all(self) -> bool:
        """Whether every channel's settings can be read here."""
        return not any(is_sealed(way.settings) for one in self.people.responders for way in one.channels)

    def partition_of(self, alarm: Alarm) -> int | None:
        """Where the device of an alarm is; None for one that is unknown."""
        place = self.places.get(alarm.device)
        return None if place is None else place.partition

    # judging -----------------------------------------------------------------------------------------------------------

    def stored(self, partition: int) -> tuple[State, Registry]:
        """State and registry as far as they are known: what is open, and what is in a test."""
        registry = self._registry(partition)
        alarms = {Key(a.device, a.definition, a.instance): a for a in self.open.alarms.get(partition, ())}
        tests = {test.device: test for test in self.open.tests if test.device in registry.devices}
        return State(alarms=alarms, tests=tests), registry

    def _registry(self, partition: int) -> Registry:
        """Made once of what is known of the places: what is open moves with every confirmation, and they are some ten thousand."""
        if self._made_of is not self.places or self.partitions != self._made_for:
            self._made_of, self._made_for, self._registries = self.places, self.partitions, {}
        made = self._registries.get(partition)
        if made is None:
            made = self._registries[partition] = self._make_registry(partition)
        return made

    def _make_registry(self, partition: int) -> Registry:
        devices: dict[str, Device] = {}
        clients: dict[str, Client] = {}
        for place in self.places.values():
            profile = self._profiles.get(place.profile)
            if place.partition != partition or profile is None:
                continue
            admin = AdminState(place.admin_state)
            about = (place.key, place.id, place.institution, place.institution_key, profile, Lane.URGENT, admin)
            devices[place.id] = Device(*about, place.client, False, "", "")
            clients[place.client] = Client(place.client, place.institution, partition, place.client, place.revoked)
        return Registry(self.partitions, devices, clients)

    # telling -----------------------------------------------------------------------------------------------------------

    def policy_for(self, alarm: Alarm) -> Policy | None:
        """The policy that covers it, as the escalation chooses; None: nobody is told."""
        place = self.places.get(alarm.device)
        if place is None:
            return None
        where = place.institution, place.division, alarm.signal_class, alarm.priority
        return covers(self.people.policies, *where, place.institution_type, place.groups)

    def pursuit(self, running: Running, *, redo_pending: bool) -> Pursuit:
        """An escalation that ran at the last look, by our clock; with `redo_pending` what was not sent yet counts as not done."""
        done = set(running.done) - (set(running.pending) if redo_pending else set())
        rows = frozenset((running.round, step, repetition) for step, repetition in done)
        run = running.policy, running.version, running.plan, running.first_round, running.round
        return Pursuit(running.alarm, *run, running.started_at - self.open.ahead, rows)

    def pages(self, pursuit: Pursuit, row: Due, due_at: Micros, now: Micros) -> list[Page]:
        """The pages of a step that is due: whoever is on duty now; where that is nobody, the manned room."""
        told, missed = self._told(pursuit, row, now)
        for tried in missed:
            about = {"responder": tried.rota or tried.responder, "channel": tried.channel}
            _log.error("responder_unreachable", alarm=str(pursuit.alarm.id), **about)
        return [
            Page(_key(pursuit, row, *way), row.round, row.step, row.repetition, *way, due_at, "pending", ())
            for way in told
        ]

    def _told(self, pursuit: Pursuit, row: Due, now: Micros) -> tuple[tuple[tuple[str, str], ...], list[Step]]:
        """(responder, channel) of a row at `now`, and the steps before it that reach nobody."""
        people, missed = self.people, list[Step]()
        step = Step(row.step, row.responder, row.channel, rota=row.rota, kinds=row.kinds)
        ways = {one.id: [Way(channel.id, channel.kind) for channel in one.channels] for one in people.responders}
        for tried in (step, *reach.instead(pursuit.plan, row.step)):
            try:
                told = reach.told(tried, people.rotas, people.calendar, ways, now + self.open.ahead)
            except ODD:  # a rota that makes no sense reaches nobody, and its alarm goes to the room
                told = ()
            if told:
                return told, missed
            missed.append(tried)
        return (), missed

    def named(self, key: UUID, pursuits: Iterable[Pursuit]) -> tuple[Alarm, str] | None:
        """The alarm and the responder of a page by its key, looked for in chains that run: in what was due, whoever sent it."""
        now, left = self.steady(), ROWS
        for pursuit in pursuits:
            for number in range(pursuit.round, pursuit.first_round - 1, -1):
                start = pursuit.started_at - (pursuit.round - number) * pursuit.plan.round_every
                for row in reversed(round_of(pursuit.plan, number)):
                    if start + row.offset > now:
                        continue
                    left -= 1
                    if left < 0:
                        return None
                    for responder, channel in self._told(pursuit, row, start + row.offset)[0]:
                        if _key(pursuit, row, responder, channel) == key:
                            return pursuit.alarm, responder
        return None

    def word(self, alarm: Alarm, page: Page) -> tuple[Channel, Letter]:
        """Channel and message of a page, as the deliverer makes them; raises BadInput."""
        responder = next((one for one in self.people.responders if one.id == page.responder), None)
        way = None if responder is None else next((one for one in responder.channels if one.id == page.channel), None)
        where = f"channel {page.responder}/{page.channel}"
        if responder is None or way is None:
            raise BadInput("the responder or the channel is gone", where, code="channel")
        channel = open_channel(way.kind, way.settings, where, allow_loopback=self._allow_loopback)
        if isinstance(channel, SirenChannel) and self._sound is not None:
            channel = channel.through(self._sound)
        return channel, self.letter(alarm, page, way.kind)

    def letter(self, alarm: Alarm, page: Page, kind: str = "") -> Letter:
        """What a page says; raises BadInput where the device is gone."""
        place = self.places.get(alarm.device)
        if place is None:
            raise BadInput("the device is gone", f"device {alarm.device}", code="device")
        responder = next((one for one in self.people.responders if one.id == page.responder), None)
        titles = (page.responder, page.responder) if responder is None else (responder.title_zh, responder.title_en)
        given: dict[str, Any] = dict.fromkeys(Claimed._fields) | Claimed._field_defaults
        given |= {name: getattr(alarm, name) for name in alarm._fields if name in given}
        given |= page._asdict() | {"id": page.key, "n": 1, "alarm": alarm.id, "state": alarm.state}
        given |= {"urgency": urgency(alarm.signal_class), "created_at": to_datetime(page.due_at)}
        given |= {"raised_at": to_datetime(alarm.raised_at), "profile": place.profile, "institution": place.institution}
        given |= {"division": place.division, "institution_title": place.institution_title}
        given |= {"zone_title": place.zone_title, "position_title": place.position_title}
        given |= {"responder_title": titles, "kind": kind, "settings": {}}
        claimed = Claimed(**{name: given[name] for name in Claimed._fields})
        return message_of(claimed, self._profiles.get(place.profile), self._public_url, self.people.link_key)


def _say_unwritten(name: str, writing: "asyncio.Future[bool]") -> None:
    error = None if writing.cancelled() else writing.exception()
    if (
        error is not None
    ):  # what the disk says is said where it is written; this is a mistake of ours, and no reason not to look
        _log.error("standby.plan_not_written", part=name, at=broken_at(error))


def _key(pursuit: Pursuit, row: Due, responder: str, channel: str) -> UUID:
    return idempotency_key(pursuit.alarm.id, Due(row.round, row.step, row.repetition, responder, channel, 0))


__all__ = ["Known"]
