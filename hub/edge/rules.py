"""Local rules at work: every sample on its way to the spool is looked at, and a fire that the centre cannot hear of sounds the siren at hand.

The spool is not waited for: a full disk must not silence a siren. What was done is told to the centre as an event of the edge, later.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import structlog

from hub.bundle import LocalRule
from hub.core.local_rules import TRIES, Sound, State, decide, observe, sounded
from hub.edge.uplink import Uplink
from hub.errors import AnxinError, LinkDown
from hub.model import Lane, Micros, Reject, Sample, Series
from hub.runtime.links import LinkRunner, Sink

log = structlog.get_logger()

LOOK = 0.5
"""seconds between two looks while something burns"""
TELL = 60.0
"""seconds between two events that say that a siren could not be sounded; the last one of a fire is always told"""
MAX_TEXT = 400

FindRunner = Callable[[str], LinkRunner | None]
"""the link behind which a device is"""


class LocalRules:
    """A sink before the sink, with rules over what passes."""

    def __init__(self, edge: str, sink: Sink, uplink: Uplink, clock: Callable[[], Micros]) -> None:
        self._edge = edge
        self._sink = sink
        self._uplink = uplink
        self._clock = clock
        self._states: dict[str, tuple[LocalRule, State]] = {}
        self._watched: Mapping[str, tuple[str, ...]] = {}
        """rules by device"""
        self._busy: set[str] = set()
        self._burning = asyncio.Event()
        self._told_at = -TELL

    def adopt(self, rules: Sequence[LocalRule]) -> None:
        """These rules from now on; one that stays as it was keeps what it has seen."""
        before = self._states
        self._states = {}
        watched: dict[str, list[str]] = {}
        for rule in rules:
            known = before.get(rule.id)
            self._states[rule.id] = known if known is not None and known[0] == rule else (rule, State())
            for device in dict.fromkeys(watch.device for watch in rule.watches):
                watched.setdefault(device, []).append(rule.id)
        self._watched = {device: tuple(names) for device, names in watched.items()}

    async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
        """Look, and hand on."""
        for sample in samples:
            try:
                if sample.mark is None:  # a proof sounds nothing
                    self._look(sample)
            except Exception as error:  # noqa: BLE001 -- a sample of the wrong make: the sink says so, and its neighbours are carried
                log.error("rules.sample_not_judged", error=type(error).__name__)
        await self._sink.put(lane, samples, rejects)

    def _look(self, sample: Sample) -> None:
        for name in self._watched.get(sample.series.device, ()):
            rule, state = self._states[name]
            state = observe(rule, state, sample, self._clock(), _ticks())
            self._states[name] = (rule, state)
            if state.watches or state.seen_at is not None:
                self._burning.set()

    async def run(self, find: FindRunner) -> NoReturn:
        """Sound what has to sound, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._burning.wait()
                self._burning.clear()
                for name, (rule, state) in list(self._states.items()):
                    if state.watches or state.seen_at is not None:
                        self._burning.set()
                    if name in self._busy:
                        continue  # its last write is still under way
                    state, sound = decide(rule, state, self._clock(), _ticks(), self._uplink.confirmed_at)
                    self._states[name] = (rule, state)
                    if sound is not None:
                        self._busy.add(name)
                        tasks.create_task(self._sound(sound, state.tries, find), name=f"siren-{name}")
                await asyncio.sleep(LOOK)

    async def _sound(self, sound: Sound, tries: int, find: FindRunner) -> None:
        rule, cause = sound
        siren = f"{rule.siren}/{rule.point}"
        fire = "/".join(part for part in cause if part)
        try:
            said = await self._write(rule, find(rule.siren))
        except AnxinError as error:
            log.error("rules.siren_failed", rule=rule.id, siren=siren, fire=fire, tries=tries, reason=str(error))
            if tries == TRIES or _ticks() >= self._told_at + TELL:
                self._told_at = _ticks()
                end = "; it was given up" if tries == TRIES else ""
                await self._tell(f"{rule.id}: {siren} could not be sounded for {fire}: {error}{end}")
        else:
            known = self._states.get(rule.id)
            if known is not None and known[0] == rule:
                self._states[rule.id] = (rule, sounded(known[1], _ticks()))
            log.warning("rules.siren_sounded", rule=rule.id, siren=siren, fire=fire, tries=tries)
            await self._tell(f"{rule.id}: {siren} sounded for {fire}, {said}")
        finally:
            self._busy.discard(rule.id)
            self._burning.set()  # the fire may have gone out meanwhile: the next look makes the rule ready again

    async def sound(self, rule: LocalRule, runner: LinkRunner | None, fire: str) -> str:
        """Sound a rule's siren by the hub's order, and tell of it as of one's own; `read back` or `not read back`. Raises LinkDown, BadInput."""
        said = await self._write(rule, runner)
        log.warning("rules.siren_sounded", rule=rule.id, siren=f"{rule.siren}/{rule.point}", fire=fire, by="the hub")
        await self._tell(f"{rule.id}: {rule.siren}/{rule.point} sounded for {fire} by the hub's order, {said}")
        return said

    async def _write(self, rule: LocalRule, runner: LinkRunner | None) -> str:
        if runner is None:
            raise LinkDown("the siren is behind no link")
        seen = await runner.write(Series(rule.siren, rule.point), rule.value)
        if seen is None:
            return "not read back"
        if seen != rule.value:
            raise LinkDown(f"it was written {rule.value!r} and says {seen!r}")
        return "read back"

    async def _tell(self, text: str) -> None:
        """Behind its back: the siren has sounded, whatever the disk says."""
        try:
            await self._sink.put(Lane.BULK, [Sample(Series(self._edge, "local_siren"), self._clock(), text[:MAX_TEXT])])
        except AnxinError as error:
            log.error("rules.not_told", what=text, reason=str(error))


def _ticks() -> float:
    return asyncio.get_running_loop().time()
