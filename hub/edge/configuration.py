"""Configuration from afar: offered by the hub, proven, tried, kept as the last good one or rolled back (docs/protocol.md, Configuration).

What was decided is on the disk before it is done: an edge that dies on trial begins again with the last good configuration and refuses the
other; one that never reaches the hub again runs by the last good one for ever. Without `trust` in its file an edge takes nothing.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, NoReturn

import msgspec
import structlog
from msgspec import Meta, Struct

from hub import crash
from hub.bundle import Bundle, Trust, configured
from hub.core.configuration import MAX_ENVELOPE, MAX_VERSION, Envelope, open_envelope, read_envelope
from hub.edge import replaced
from hub.edge.site import Site
from hub.edge.spool import SpoolFailed
from hub.edge.uplink import Uplink
from hub.errors import BadInput
from hub.model import Lane, Micros, Sample, Scalar, Series
from hub.runtime.drivers import LinkPlan, plan_links
from hub.runtime.links import Sink

log = structlog.get_logger()

LOOK = 0.2
"""seconds between two looks at a configuration on trial"""
AGAIN = 600.0
"""seconds after which the edge says again by what it runs: a hub that was set up anew must learn it"""
DISK_AGAIN = 10.0
"""seconds before a disk that took nothing is tried again"""
TELL = 0.5
"""seconds between two tellings at least: whoever offers nonsense must not fill the spool with it"""
MAX_REASON = 300
MAX_FILE = 4 * MAX_ENVELOPE


class Patience(NamedTuple):
    """How long a configuration is on trial, seconds."""

    probation: float = 120.0
    """within which it has to bring back what stood before it"""
    steady: float = 10.0
    """at least: what ends the process ends it soon"""


PATIENCE = Patience()


class Refusal(NamedTuple):
    """A version that was not taken, and why; version 0: none."""

    version: int = 0
    reason: str = ""


NOTHING = Refusal()


@dataclass(frozen=True, slots=True)
class Memory:
    """What an edge keeps of its configurations."""

    key: str
    """whose they are: the hub's public key, hexadecimal"""
    highest: int = 0
    """the highest version that was decided on; nothing below comes back"""
    good: bytes | None = None
    """the envelope of the last good one; none: the file itself"""
    trial: bytes | None = None
    refused: Refusal = NOTHING


class Begun(NamedTuple):
    """By what an edge starts."""

    memory: Memory
    bundle: Bundle
    plans: Sequence[LinkPlan]


class Offered(NamedTuple):
    """A configuration that is genuine, newer, and holds: it may be tried."""

    version: int
    bundle: Bundle
    plans: Sequence[LinkPlan]


# what is decided, without doing anything -----------------------------------------------------------------------------


def begin(own: Bundle, plans: Sequence[LinkPlan], memory: Memory | None) -> Begun:
    """By what to start: the last good configuration, or the file `own` where that is newer or all there is."""
    trust = own.trust
    if trust is None:
        return Begun(Memory(""), own, plans)
    if memory is None or memory.key != trust.key:  # the first start, or another hub's: its numbers mean nothing here
        return Begun(Memory(trust.key, own.configuration), own, plans)
    memory = replace(memory, highest=max(memory.highest, own.configuration))
    if memory.trial is not None:
        version = _version(memory.trial)
        memory = _refuse(memory, Refusal(version, "the edge ended while this version was on trial"))
    if memory.good is not None and (version := _version(memory.good)) > own.configuration:
        try:
            good = _open(memory.good, own, trust)
        except BadInput as error:  # a driver has gone from this machine: it is kept for when it is back
            log.error("edge.last_good_unusable", version=version, reason=str(error))
            return Begun(replace(memory, refused=Refusal(version, str(error)[:MAX_REASON])), own, plans)
        if good is not None:
            return Begun(memory, good.bundle, good.plans)
    settled = memory.refused.version <= own.configuration
    return Begun(replace(memory, good=None, refused=NOTHING if settled else memory.refused), own, plans)


def consider(payload: bytes, own: Bundle, running: Bundle, memory: Memory) -> Offered | Refusal | None:
    """What a message on the topic of the configuration means: None where it says nothing new.

    A hub that was put back from a backup may give the number that runs to another content: that is refused under this number, so that
    hub and edge are never of one number and two minds.
    """
    trust = own.trust
    if trust is None:
        return None
    version = 0
    try:
        envelope = read_envelope(payload)
        version = envelope.version
        known = max(running.configuration, memory.highest)
        offered = _open(payload, own, trust, envelope, only_above=min(known, running.configuration - 1))
    except BadInput as error:
        return Refusal(version, str(error)[:MAX_REASON])
    if offered is not None and version > known:
        return offered
    if offered is not None and version == running.configuration and offered.bundle != running:
        return Refusal(version, f"this edge runs version {version} with other content")
    if version in (running.configuration, memory.refused.version):
        return None
    return Refusal(version, f"this edge has had version {known}: an older one is not taken")


def _open(
    payload: bytes, own: Bundle, trust: Trust, envelope: Envelope | None = None, only_above: int = 0
) -> Offered | None:
    """The configuration in an envelope, once it is proven; None where it is not above `only_above`. Raises BadInput."""
    envelope = envelope or read_envelope(payload)
    seal = bytes.fromhex(trust.seal.get_secret_value())
    content = open_envelope(envelope, own.edge, bytes.fromhex(trust.key), seal)
    if envelope.version <= only_above:
        return None
    bundle = configured(own, envelope.version, content)
    return Offered(envelope.version, bundle, plan_links(bundle.endpoints, f"configuration {envelope.version}"))


def _version(envelope: bytes) -> int:
    try:
        return read_envelope(envelope).version
    except BadInput:
        return 0


def _refuse(memory: Memory, refusal: Refusal) -> Memory:
    highest = max(memory.highest, refusal.version)
    return replace(memory, trial=None, highest=highest, refused=refusal)


# what is kept --------------------------------------------------------------------------------------------------------


class _File(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    highest: Annotated[int, Meta(ge=0, le=MAX_VERSION)]
    good: bytes | None
    trial: bytes | None
    refused: tuple[Annotated[int, Meta(ge=0, le=MAX_VERSION)], Annotated[str, Meta(max_length=MAX_REASON)]]


_decoder = msgspec.json.Decoder(_File)


class Keeper:
    """The file beside the spool, mode 0600; replaced as a whole, synced."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "configuration.json"
        self._one_at_a_time = threading.Lock()

    def load(self) -> Memory | None:
        """What was kept; None at the first start, and where the file is damaged, which is said: the bundle's own file is there still."""
        try:
            with self.path.open("rb") as file:
                kept = _decoder.decode(file.read(MAX_FILE))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, ValueError, RecursionError) as error:
            log.error("edge.configuration_unreadable", path=str(self.path), reason=type(error).__name__)
            return None
        return Memory(kept.key, kept.highest, kept.good, kept.trial, Refusal(*kept.refused))

    def save(self, memory: Memory) -> None:
        """On the disk when it returns; raises OSError, and what was there stays."""
        refused = (memory.refused.version, memory.refused.reason)
        written = msgspec.json.encode(_File(1, memory.key, memory.highest, memory.good, memory.trial, refused))
        with self._one_at_a_time:  # the spool's lock sees to it that no other process writes here
            replaced.replace(self.path, written, "edge-config-before-rename")


# what is done --------------------------------------------------------------------------------------------------------


class Configurator:
    """Takes what the hub offers; `run` never returns."""

    def __init__(
        self,
        keeper: Keeper,
        memory: Memory,
        own: Bundle,
        running: Begun,
        site: Site,
        uplink: Uplink,
        sink: Sink,
        clock: Callable[[], Micros],
        patience: Patience = PATIENCE,
    ) -> None:
        self._keeper = keeper
        self._memory = memory
        self._own = own
        self._plans = running.plans
        self._site = site
        self._uplink = uplink
        self._sink = sink
        self._clock = clock
        self._probation, self._steady = patience
        self._refused = memory.refused
        self._ran = running.bundle.configuration
        """the version that ran before the one on trial"""
        self._news = asyncio.Event()

    async def run(self) -> NoReturn:
        """Take configurations and say by which one this edge runs, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell(), name="configuration-tell")
            await self._keep(self._memory)
            while True:
                await self._uplink.configured.wait()
                self._uplink.configured.clear()
                payload, self._uplink.configuration = self._uplink.configuration, None
                if payload is not None:
                    await self._take(payload)

    def let_go(self) -> None:
        """The edge stops in order: what was on trial was not refused, it is offered again at the next start."""
        if self._memory.trial is not None:
            with suppress(OSError):
                self._keeper.save(replace(self._memory, trial=None))

    async def _take(self, payload: bytes) -> None:
        running = self._site.bundle.configuration
        found = consider(payload, self._own, self._site.bundle, self._memory)
        if found is None:
            return
        if isinstance(found, Refusal):
            say = log.debug if found == self._refused else log.error
            say("edge.configuration_refused", version=found.version, reason=found.reason, running=running)
            self._say(found)
            return
        log.info("edge.configuration_on_trial", version=found.version, running=running)
        crash.point("edge-config-before-trial")
        if not await self._keep(replace(self._memory, trial=payload), tries=1):
            self._say(Refusal(found.version, "the disk of this edge does not take it"))
            asyncio.get_running_loop().call_later(DISK_AGAIN, self._offer_again, payload)
            return
        crash.point("edge-config-on-trial")
        before, plans, were_up = self._site.bundle, self._plans, self._site.up
        self._ran = before.configuration
        began = asyncio.get_running_loop().time()
        await self._site.adopt(found.bundle, found.plans)
        self._plans = found.plans
        crash.point("edge-config-adopted")
        failure = await self._watch(before, found.bundle, were_up, began)
        if failure is None:
            crash.point("edge-config-before-promote")
            await self._keep(Memory(self._memory.key, found.version, payload))
            crash.point("edge-config-promoted")
            log.info("edge.configuration_taken", version=found.version)
            self._say(NOTHING)
            return
        crash.point("edge-config-before-rollback")
        await self._site.adopt(before, plans)
        self._plans = plans
        crash.point("edge-config-rolled-back")
        refusal = Refusal(found.version, failure[:MAX_REASON])
        await self._keep(_refuse(self._memory, refusal))
        log.error("edge.configuration_rolled_back", version=found.version, reason=failure, running=running)
        self._say(refusal)

    def _offer_again(self, payload: bytes) -> None:
        if self._uplink.configuration is None:
            self._uplink.configuration = payload
            self._uplink.configured.set()

    async def _watch(self, before: Bundle, after: Bundle, were_up: frozenset[str], began: float) -> str | None:
        """Why the new configuration fails; None once all that stood before it stands again."""
        loop = asyncio.get_running_loop()
        old = {endpoint.id: endpoint for endpoint in before.endpoints}
        changed = {endpoint.id for endpoint in after.endpoints if old.get(endpoint.id, endpoint) != endpoint}
        moved = (before.broker, before.partition) != (after.broker, after.partition)
        while True:
            missing = (changed & were_up) - self._site.up
            deaf = moved and not self._uplink.reached
            waited = loop.time() - began
            if not missing and not deaf and waited >= self._steady:
                return None
            if waited >= max(self._probation, self._steady):
                if deaf:
                    return f"the hub confirmed nothing within {self._probation:g} s at the broker that it names"
                return f"endpoint {min(missing)!r} did not come up again within {self._probation:g} s"
            await asyncio.sleep(min(LOOK, self._steady or LOOK))

    async def _keep(self, memory: Memory, tries: int | None = None) -> bool:
        """Remember, on the disk; a disk that does not take it is tried again, for ever or `tries` times."""
        before, self._memory = self._memory, memory
        said = False
        while True:
            try:
                await asyncio.to_thread(self._keeper.save, memory)
            except OSError as error:
                say = log.debug if said else log.error
                say("edge.configuration_not_kept", path=str(self._keeper.path), reason=error.strerror)
                said = True
            else:
                return True
            if tries is not None and (tries := tries - 1) <= 0:
                self._memory = before
                return False
            await asyncio.sleep(DISK_AGAIN)

    def _say(self, refused: Refusal) -> None:
        self._refused = refused
        self._news.set()

    async def _tell(self) -> NoReturn:
        """The edge's own points say by what it runs and what it refused; through the spool, so that the hub learns it however late."""
        while True:
            await asyncio.sleep(TELL)
            self._news.clear()
            edge, at = self._site.bundle.edge, self._clock()
            on_trial = self._memory.trial is not None
            values: dict[str, Scalar] = {
                "config_version": self._ran if on_trial else self._site.bundle.configuration,
                "config_refused": self._refused.version,
                "config_reason": self._refused.reason,
            }
            samples = [Sample(Series(edge, point), at, value) for point, value in values.items()]
            pause = AGAIN
            try:
                await self._sink.put(Lane.BULK, samples)
            except SpoolFailed as error:
                log.error("edge.configuration_not_told", reason=str(error))
                pause = DISK_AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
