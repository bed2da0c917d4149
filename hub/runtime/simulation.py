"""Simulated devices that live: each says what `hub.core.playing` decides, through its driver's simulator, and notes it in the ledger first.

A device has one task. What nobody can have heard (`Playing.show` is False) is said again with the next beat; what happened once (a press) is held
until it was heard, at most `_HELD` of it.
"""

import asyncio
import json
import os
import random
import time
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hub.core.playing import Key, alarming, at_rest, drifted, is_event
from hub.driver import Driver
from hub.errors import BadInput
from hub.model import Scalar
from hub.profiles import BUILT_IN, Profile, Record
from hub.runtime.drivers import find_driver
from hub.runtime.replay import OWN, find_simulator
from hub.simulation import FAULTS, Part, Place, Played, Playing

_HELD = 100
"""Presses of one device that wait to be heard; then the oldest is let go, and said so in the ledger."""


class Wish(NamedTuple):
    """How the devices are to be played."""

    sites: int = 1
    seed: int = 0
    faults: Mapping[str, float] = {}
    every: float | None = None
    """seconds between two values of a device; None: its profile's beat, at most 10"""
    alarms_per_hour: float = 0.0
    """of each device"""
    alarm_lasts: float = 20.0
    host: str = "127.0.0.1"
    over: str = "tcp"
    prefix: str = "sim"


class Ledger:
    """A file of JSON lines that is synced before a line's content can be heard; one that is there is gone on with. Without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._numbers = 0
        if path is not None and path.exists():
            with path.open("rb") as file:
                self._numbers = sum(1 for _ in file)
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._turn = asyncio.Lock()

    async def note(self, **line: Any) -> int:
        """Write one line with its number; returns the number when it is on the disk."""
        self._numbers += 1
        number = self._numbers
        if self._file is not None:
            octets = json.dumps({"n": number, "t": time.time_ns() // 1000, **line}, ensure_ascii=False).encode() + b"\n"
            async with self._turn:
                await asyncio.to_thread(_append, self._file, octets)
        return number

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _append(file: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(file, octets) :]
    os.fdatasync(file)


@dataclass
class Simulated:
    """One device that is played."""

    name: str
    site: str
    profile: Profile
    driver: Driver
    playing: Playing
    ledger: Ledger
    wish: Wish
    dice: random.Random
    values: dict[Key, Scalar] = field(default_factory=dict)
    alarms: dict[str, dict[Key, Scalar]] = field(default_factory=dict)
    """what the alarms that stand put over the values"""
    said: Counter[str] = field(default_factory=Counter)
    unsayable: set[str] = field(default_factory=set)
    """alarms that turned out to have no words"""
    _events: deque[dict[Key, Scalar]] = field(default_factory=deque)
    _began: float = field(default_factory=time.monotonic)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def playable(self) -> list[str]:
        """Alarms that can be raised."""
        return [
            name
            for name, alarm in self.profile.alarms.items()
            if alarm.point not in self.playing.cannot and alarming(self.profile, name, self.playing.instances)
        ]

    async def start(self) -> None:
        """All is well, and said. Raises BadInput that names the point which cannot be played."""
        rest = at_rest(self.profile, self.playing.instances, 0.0, self.playing.words)
        self.values = {key: raw for key, raw in rest.items() if key[0] not in self.playing.cannot}
        await self._say(self.values)

    async def raise_alarm(self, name: str) -> None:
        """Make the alarm's condition true, or let its event happen; raises BadInput for one that cannot be played."""
        found = alarming(self.profile, name, self.playing.instances) if name in self.playable else None
        if found is None:
            there = ", ".join(self.playable) or "none"
            raise BadInput(f"alarm {name!r} cannot be raised; there are: {there}", self.name)
        self.said[name] += 1
        if is_event(self.profile, found):
            if len(self._events) >= _HELD:
                await self.ledger.note(device=self.name, dropped=_plain(self._events.popleft()))
            self._events.append(found)
            await self._say_events()
        else:
            await self._say(found, alarm=name)  # one that has no words stands for nothing
            self.alarms[name] = found

    async def clear_alarm(self, name: str) -> None:
        """Back to rest; nothing happens for an event, or when it was not raised."""
        found = self.alarms.pop(name, None)
        if found is not None and found.keys() <= self.values.keys():  # else it has no word for its end
            await self._say({key: self.values[key] for key in found}, over=name)

    async def live(self) -> None:
        """Say what moves, beat by beat, and raise alarms by the rate; until cancelled."""
        every = min(self.profile.liveness.beat / 1e6, 10.0) if self.wish.every is None else self.wish.every
        await asyncio.sleep(self.dice.random() * every)  # not all at the same instant
        ends: dict[str, float] = {}
        while True:
            uptime = time.monotonic() - self._began
            self.values = drifted(self.profile, self.values, uptime, self.dice.random)
            await self._say(
                {**self.values, **{key: raw for found in self.alarms.values() for key, raw in found.items()}}
            )
            await self._say_events()
            for name in [name for name, at in ends.items() if at <= uptime]:
                del ends[name]
                await self.clear_alarm(name)
            names = [name for name in self.playable if name not in self.unsayable]
            if names and self.dice.random() < self.wish.alarms_per_hour * every / 3600:
                name = self.dice.choice(names)
                try:
                    await self.raise_alarm(name)
                except BadInput as error:  # it has no words for this one; the others go on
                    self.unsayable.add(name)
                    await self.ledger.note(device=self.name, alarm=name, refused=str(error))
                ends[name] = uptime + self.wish.alarm_lasts
            await asyncio.sleep(every)

    async def _say_events(self) -> None:
        while self._events:
            happened = self._events[0]
            if not await self._say(happened, event=True):
                return
            self._events.popleft()

    async def _say(self, values: Mapping[Key, Scalar], **about: Any) -> bool:
        async with self._turn:
            number = await self.ledger.note(device=self.name, values=_plain(values), **about)
            heard = await self.playing.show(values)
            if not heard:
                await self.ledger.note(device=self.name, unheard=number)
            return heard


def _plain(values: Mapping[Key, Scalar]) -> dict[str, Scalar]:
    return {f"{point}/{instance}" if instance else point: raw for (point, instance), raw in values.items()}


def seed_of(seed: int, name: str) -> int:
    """A seed of its own for each device, the same with every run."""
    return zlib.crc32(f"{seed}/{name}".encode())


def parse_faults(text: str) -> dict[str, float]:
    """`silence:0.01,half_frame:0.005`: probabilities by fault. A name alone is one in a hundred. Raises BadInput."""
    found: dict[str, float] = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, _, rate = word.partition(":")
        try:
            found[name] = float(rate) if rate else 0.01
        except ValueError:
            found[name] = -1.0
        if name not in FAULTS or not 0 <= found[name] <= 1:
            reason = f"{word!r}: a fault is one of {', '.join(FAULTS)}, with a probability from 0 to 1 behind a colon"
            raise BadInput(reason, "--faults", code="settings")
    return found


@asynccontextmanager
async def simulated(
    profiles: Sequence[Profile], wish: Wish, place: Place, ledger: Ledger, started: Callable[[Simulated], None]
) -> AsyncIterator[list[Simulated]]:
    """Every profile once at every site, started one after the other; `started` is told of each. Raises BadInput, OSError."""
    devices: list[Simulated] = []
    async with AsyncExitStack() as stack:
        for number in range(1, wish.sites + 1):
            site = f"{wish.prefix}-{number:03}"
            for profile in profiles:
                device = await _enter(stack, profile, site, wish, place, ledger)
                await device.start()
                devices.append(device)
                started(device)
        yield devices


async def _enter(
    stack: AsyncExitStack, profile: Profile, site: str, wish: Wish, place: Place, ledger: Ledger
) -> Simulated:
    name = f"{site}-{profile.profile}"[:40].rstrip("-")
    where = f"profile {profile.profile}"
    if profile.driver == OWN:
        raise BadInput("this profile is of the edge itself: run `anxin edge`", where, code="driver")
    driver = find_driver(profile.driver, where)
    simulator = find_simulator(profile.driver, where)
    if not hasattr(simulator, "play"):
        raise BadInput(f"devices of driver {profile.driver!r} cannot be played yet", where, code="unplayable")
    played = Played(name, *_device(driver, profile), _parts(driver, profile, where), wish.faults,
                    seed_of(wish.seed, name), wish.host, wish.over, site)  # fmt: skip
    playing = await stack.enter_async_context(simulator.play(played, place))
    return Simulated(name, site, profile, driver, playing, ledger, wish, random.Random(seed_of(wish.seed + 1, name)))


def _device(driver: Driver, profile: Profile) -> tuple[Any, Mapping[str, Any]]:
    try:
        return driver.Device.model_validate(profile.device), profile.device
    except ValidationError:
        return None, profile.device  # it needs settings that the simulator chooses: a topic


def _parts(driver: Driver, profile: Profile, where: str) -> tuple[Part, ...]:
    try:
        return tuple(
            Part(
                name,
                point.type,
                driver.Address.model_validate(point.address),
                point.instances,
                point.record is Record.EVENT,
                point.record is Record.BEAT,
            )
            for name, point in profile.points.items()
            if name not in BUILT_IN
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadInput(f"an address is not understood by its driver: {first['msg']}", where, code="address") from None
