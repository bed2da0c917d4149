"""The loop that proves the way from a device to people: asks for what is due, injects what its lane knows, follows it into the sink.

Injected as low as possible: by the device's own test, at the driver's link or the edge's spool by a signed order, or as the hub's own marked message to ingest. A proof
is sent once; what does not come back in its time has failed, at the hop that it did not reach. It runs beside the ingest of its partitions.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn
from uuid import uuid5

import structlog

from hub.core import wire
from hub.core.exercises import (
    NOT_LOWER,
    due,
    due_to_tell,
    judge_proof,
    lowest_level,
    mark,
    proof_instance,
    proof_stream,
    slot_at,
    trial_of,
    tripping,
)
from hub.core.proof_order import Order, make_order, order_topic
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import LIFE_SAFETY, SECOND, Exercise, Lane, Micros, Sample, Series, to_micros
from hub.mqtt import Broker, Session, session
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.runtime.shared import wall_clock
from hub.store import configurations, proofs
from hub.store.pool import Connection
from hub.store.proofs import Begun, Injected, Proving, Round, Target, ToSend, open_proving

_log = structlog.get_logger(__name__)

WITHIN: Micros = 60 * SECOND
"""how long a proof may take from being asked for to its receipt"""
IDLE = 5.0
"""seconds between two looks when nothing is under way"""
BUSY = 0.25
SCHEDULE_EVERY = 15.0
"""seconds between two looks at what is due: it asks after every institution"""
ROOM = 2
"""institutions that are asked for at a look at what is due"""
MOST_UNDER_WAY = 20
"""scheduled proofs under way above which no more are asked for: a hub that was away makes up slowly"""
SCHEDULER = "scheduler"
LEVELS = ("device", "driver", "edge", "hub")
"""the lowest first"""


def injected(
    profile: Profile, target: Target, tell: str, level: str = "auto", definition: str | None = None
) -> Injected:
    """What a proof of a device of this profile injects: its first fire or panic alarm, or the one named, at the lowest level there is.

    Raises BadInput where there is no such alarm, no value that trips it, or no such level.
    """
    urgent = {name: one for name, one in profile.alarms.items() if one.signal_class in LIFE_SAFETY}
    chosen = next(iter(urgent), None) if definition is None else definition
    if chosen is None or chosen not in urgent:
        what = "no fire or panic alarm" if definition is None else f"no fire or panic alarm {definition!r}"
        raise BadInput(f"profile {profile.profile} has {what}", "definition", code="proof")
    dials = profile.dials_police if target.dials_police is None else target.dials_police
    lowest, why = lowest_level(target.behind_an_edge, profile.test_point is not None, dials)
    if level != "auto" and LEVELS.index(level) < LEVELS.index(lowest):
        raise BadInput(f"{NOT_LOWER[why][1]}: the lowest level is {lowest}", "level", code="proof")
    if level not in ("auto", lowest):
        lowest, why = level, "asked"
    point = profile.points.get(urgent[chosen].point)
    if point is None:
        raise BadInput(f"the alarm {chosen!r} watches no point of the device", "definition", code="proof")
    tripping(urgent[chosen], point)
    shows = sorted(profile.shown_by_trial) if lowest == "device" else []
    return Injected(chosen, urgent[chosen].point, proof_instance(point), lowest, tell, why, shows)


async def run(
    database_url: str,
    broker: Broker,
    profiles: Mapping[str, Profile],
    partitions: Sequence[int],
    clock: Callable[[], Micros] = wall_clock,
) -> NoReturn:
    """Prove the institutions of these partitions until cancelled, through outages of database and broker."""
    prover = Prover(broker, profiles, partitions, clock)

    async def attend(connected: Callable[[], None]) -> None:
        async with open_proving(database_url, partitions) as proving:
            await prover.attend(proving, connected)

    await keep("prover", attend)


class Prover:
    """One partition set's proofs."""

    def __init__(
        self,
        broker: Broker,
        profiles: Mapping[str, Profile],
        partitions: Sequence[int],
        clock: Callable[[], Micros] = wall_clock,
    ) -> None:
        self._broker = broker
        self._profiles = profiles
        self._partitions = partitions
        self._clock = clock
        self._name = f"hub-prover-{secrets.token_hex(4)}"
        self._scheduled = -SCHEDULE_EVERY

    async def attend(self, proving: Proving, connected: Callable[[], None]) -> NoReturn:
        """As long as both connections stand; raises LinkDown."""
        try:
            async with session(self._broker, client_id=self._name, clean_start=True, session_expiry=0) as live:
                connected()
                while True:
                    busy = await self.look(proving, live)
                    await proving.wait(BUSY if busy else IDLE)
        except AccessDenied as error:
            raise LinkDown(str(error)) from None

    async def look(self, proving: Proving, live: Session) -> bool:
        """One look at everything; whether a proof is under way."""
        for lost, device, reason in await proving.expire():
            _log.error("proof.failed", proof=str(lost), device=device, reason=reason)
        if time.monotonic() - self._scheduled >= SCHEDULE_EVERY:
            self._scheduled = time.monotonic()
            await self.schedule(proving)
        for test in await proving.tests_begun():
            await self._read(proving, live, test)
        sent = 0
        clients: set[str] = set()
        for proof in await proving.to_send():
            # the hub's own stream for a client goes on by one message at a time
            if proof.level != "hub" or proof.client not in clients:
                sent += await self._send(proving, live, proof)
                clients.add(proof.client)
        raised = await proving.raised()
        for one, handed in raised:
            state, reason = judge_proof(handed, one.escalation, one.tell)
            if state == "raised":
                continue
            await proving.finish(one.id, state, reason, handed)
            say = _log.info if state == "passed" else _log.error
            say(f"proof.{state}", proof=str(one.id), alarm=str(one.alarm), reason=reason)
        return bool(sent or raised)

    async def schedule(self, proving: Proving) -> None:
        """Ask for what is due. An institution that is seen for the first time begins with its next slot: an installation is no burst."""
        now = self._clock()
        rounds = {one.id: one for one in await proving.rounds()}
        fresh = [one for one in rounds.values() if one.slot is None]
        if fresh:
            async with proving.transaction() as conn:
                for one in fresh:
                    slot = slot_at(one.id, now)
                    await proofs.put_round(conn, one.key, slot, slot)
        if await proving.under_way() >= MOST_UNDER_WAY:
            return
        known = {one.id: one for one in rounds.values() if one.slot is not None}
        done = {name: one.slot for name, one in known.items() if one.slot is not None}
        told = {name: one.told for name, one in known.items() if one.told is not None}
        for name, slot in due(done, now, ROOM):
            await self._ask(proving, known[name], slot)
        for name, slot in due_to_tell(told, now, ROOM):
            await self._ask_to_tell(proving, known[name], slot)

    async def _ask(self, proving: Proving, one: Round, slot: int) -> None:
        async with proving.transaction() as conn:
            asked = 0
            for target in await proofs.candidates(conn, one.key):
                asked += await self._request(conn, target, "sink", slot) is True
            row = (slot, one.told if one.told is not None else slot)
            await proofs.put_round(conn, one.key, *row)
        _log.info("proof.round", institution=one.id, slot=slot, proofs=asked)

    async def _ask_to_tell(self, proving: Proving, one: Round, slot: int) -> None:
        """One position of the institution, and another one each time."""
        async with proving.transaction() as conn:
            busy = False
            for target in await proofs.candidates(conn, one.key):
                asked = await self._request(conn, target, "responders", slot)
                if asked:
                    _log.info("proof.told", institution=one.id, slot=slot, device=target.id)
                    break
                busy = busy or asked is False
            else:
                if busy:
                    return  # its proofs into the sink are under way: at the next look
            await proofs.put_round(conn, one.key, one.slot if one.slot is not None else slot, slot)

    async def _request(self, conn: Connection, target: Target, tell: str, slot: int) -> bool | None:
        """Whether it was asked for; False while another proof of the device is under way, None where it cannot be proven at all."""
        profile = self._profiles.get(target.profile)
        if profile is None:
            _log.error("proof.no_profile", device=target.id, profile=target.profile)
            return None
        try:
            what = injected(profile, target, tell)
        except BadInput as error:
            _log.error("proof.not_possible", device=target.id, reason=str(error))
            return None
        return await proofs.request(conn, target, what, SCHEDULER, WITHIN, slot) is not None

    async def _send(self, proving: Proving, live: Session, proof: ToSend) -> int:
        profile = self._profiles.get(proof.profile)
        definition = None if profile is None else profile.alarms.get(proof.definition)
        point = None if profile is None else profile.points.get(proof.point)
        if definition is None or point is None:
            await proving.finish(proof.id, "failed", "the profile no longer has this alarm", ())
            return 0
        trial = trial_of(profile) if profile is not None and proof.level == "device" else None
        if proof.level == "device" and trial is None:
            await proving.finish(proof.id, "failed", "the profile no longer has this test point", ())
            return 0
        try:
            value = tripping(definition, point)
        except BadInput as error:
            await proving.finish(proof.id, "failed", f"the profile is another by now: {error.reason}"[:300], ())
            return 0
        series = Series(proof.device, proof.point, proof.instance)
        async with proving.transaction() as conn:
            key = await configurations.signing_key(conn, secrets.token_bytes(32))
        if not await proving.sent(proof.id):
            return 0
        try:
            if proof.level == "hub":
                await self._say(live, proof, Sample(series, self._clock(), value, mark=mark(Exercise.PROOF, proof.id)))
            else:
                until = to_micros(proof.expires_at)
                order = Order(proof.client, proof.id, series, value, proof.level, until, trial)
                await live.publish(order_topic(proof.partition, proof.client), make_order(order, key))
        except BadInput as error:
            await proving.finish(proof.id, "failed", f"the broker refused: {error}"[:300], ())
        return 1

    async def _read(self, proving: Proving, live: Session, test: Begun) -> None:
        """A function test has begun: what must be seen is asked for now. What is lost of it comes with the next poll."""
        profile = self._profiles.get(test.profile)
        if profile is None:
            return
        async with proving.transaction() as conn:
            key = await configurations.signing_key(conn, secrets.token_bytes(32))
        for name in profile.test.seen:
            series = Series(test.device, name)
            order = Order(test.edge, uuid5(test.id, name), series, 0, "read", to_micros(test.until))
            try:
                await live.publish(order_topic(test.partition, test.edge), make_order(order, key))
            except BadInput as error:
                _log.warning("test.not_asked", device=test.device, reason=str(error))
                return

    async def _say(self, live: Session, proof: ToSend, sample: Sample) -> None:
        """A message to ingest, like a client's, in a stream of the hub's own."""
        topic = str(wire.Topic(proof.partition, proof.client, "up", Lane.URGENT))
        place = wire.properties_of(proof_stream(proof.client), (proof.upto or 0) + 1)
        await live.publish(topic, wire.encode_up([sample]), user_properties=place)
