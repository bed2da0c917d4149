"""Point-in-time answers survive a thousand random late and duplicate deliveries, through ingest, attestations, a real database and the judge.

The reference puts together afresh what was known at each time and asks the second evaluator (tests/core/coverage/naive.py). What an edge kept of a
silence it reckons from the samples themselves. `ANXIN_EXPLORE=20000` delivers so many.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from typing import NamedTuple
from uuid import UUID

import pytest

from hub.core.coverage.attestations import AttestationKind, Statement
from hub.core.coverage.facts import Attestation, InstitutionFacts
from hub.core.coverage.requirements import AtLeast, Attested
from hub.core.coverage.rulebook import Rulebook
from hub.core.lane import Message
from hub.core.rights import EVERYTHING, Principal, Role
from hub.evidence_file import verify
from hub.model import SECOND, Lane, LinkState, Micros, Sample, to_datetime, to_micros
from hub.store import attestations, evidence
from hub.store.pool import connect
from tests.core.coverage.naive import verdicts
from tests.core.coverage_city import pack, rule
from tests.store.coverage_register import Register
from tests.store.edge_site import CAMERA, DOOR, T0, Site, furnish, said, site

MANY = int(os.environ.get("ANXIN_EXPLORE") or 1000)
STEP = 60
STEPS = MANY // 10
BEAT = 20
MARGIN, SHORTEST, EDGE, CAUGHT_UP, PATIENCE = 60, 120, 30, 5, 60
DEVICES = {"cam-1": ("edge-1", 90), "cam-2": ("edge-2", 90), "door-1": ("edge-2", 30), "cam-3": ("edge-3", 90)}
"""behind which edge, and how many seconds of silence are none yet"""
SAYS = {"cam": "uptime", "door": "alive"}
PACKS = [
    pack(
        rule(AtLeast(frozenset({"video.live"}), 1, "zone", frozenset({"activity_room"})), id="video"),
        rule(AtLeast(frozenset({"video.live"}), 3, "institution"), id="three"),
        rule(AtLeast(frozenset({"access.control"}), 1, "institution"), id="door"),
        rule(Attested("equipment_check", 900 * SECOND), id="checked"),
    )
]


def at(second: float) -> Micros:
    return T0 + round(second * SECOND)


class Kept(NamedTuple):
    """A message and the seconds of what is in it: (who spoke, when)."""

    message: Message
    said: Sequence[tuple[str, int]]


class Edge:
    """Hears its devices, but for spells in which one is silent or it is dead itself; and its line is cut from time to time."""

    def __init__(self, name: str, dice: random.Random, until: int) -> None:
        self.name = name
        self.cut = spells(dice, until, (200, 900), (150, 1500))
        self.dead = spells(dice, until, (1500, 4000), (40, 400))
        self.silent = {
            one: spells(dice, until, (600, 2500), (40, 500)) for one, (edge, _) in DEVICES.items() if edge == name
        }
        self.waiting: list[Kept] = []

    def live(self, made: Site, second: int) -> None:
        """The next minute."""
        told: list[tuple[str, int]] = []
        for moment in range(second - STEP + BEAT, second + 1, BEAT):
            if not within(moment, self.dead):
                told.append((self.name, moment))
                told += [(one, moment) for one, spells_of in self.silent.items() if not within(moment, spells_of)]
        if told:
            self.waiting.append(Kept(made.message(self.name, Lane.BULK, [sample(*one) for one in told]), told))


def sample(who: str, moment: int) -> Sample:
    if who.startswith("edge"):
        return said(who, "beat", at(moment), 1000.0 + moment)
    return said(who, SAYS[who.split("-")[0]], at(moment), 1000 + moment * 100)


def spells(dice: random.Random, until: int, apart: tuple[int, int], long: tuple[int, int]) -> list[tuple[int, int]]:
    out, now = [], dice.randint(*apart)
    while now < until:
        out.append((now, now + dice.randint(*long)))
        now = out[-1][1] + dice.randint(*apart)
    return out


def within(moment: float, of: Sequence[tuple[float, float]]) -> bool:
    return any(since <= moment < until for since, until in of)


class Reference:
    """What was known when: links as the hub saw them, what was heard late, what people stated."""

    def __init__(self) -> None:
        self.links: list[tuple[Micros, str, Micros, LinkState]] = []
        self.heard: list[tuple[Micros, str, Micros, Micros]] = []
        self.stated: list[tuple[Micros, Attestation]] = []
        self.said: dict[str, list[int]] = {}
        self.base: InstitutionFacts

    def link(self, known: Micros, device: str, since: Micros, state: LinkState) -> None:
        before = [one for one in self.links if one[1] == device]
        if before and before[-1][2:] == (since, state):
            return
        if before and before[-1][3] is LinkState.UNKNOWN and state is not LinkState.UNKNOWN:
            silent = [one[2] for one in takewhile(lambda one: one[3] is LinkState.UNKNOWN, reversed(before))][-1]
            gone = state is LinkState.OFFLINE
            if not gone and self.arrives(device, silent, since, known):
                return  # seen again with the next look
            for start, end in self.kept(device, silent, since, gone=gone):
                self.heard.append((known, device, start, end))
        self.links.append((known, device, since, state))

    def arrives(self, device: str, silent: Micros, since: Micros, known: Micros) -> bool:
        """Whether the edge has not sent all of the silence yet."""
        beats = self.said.get(DEVICES[device][0])
        if since - silent < SHORTEST * SECOND or not beats or known - since >= PATIENCE * SECOND:
            return False
        return at(max(beats)) < since - CAUGHT_UP * SECOND

    def kept(self, device: str, since: Micros, until: Micros, *, gone: bool) -> list[tuple[Micros, Micros]]:
        """From when to when the edge heard the device, by the samples that came."""
        edge, own = DEVICES[device]
        beats, spoken = sorted(self.said.get(edge, ())), sorted(self.said.get(device, ()))
        if until - since < SHORTEST * SECOND or not beats or not spoken:
            return []
        bad = [(a - own - MARGIN, b + own + MARGIN) for a, b in pairwise(beats) if b - a > EDGE]
        bad += [(a - MARGIN, b + MARGIN) for a, b in pairwise(spoken) if b - a > own]
        end = min(until, at(beats[-1] + CAUGHT_UP), at(spoken[-1] - MARGIN) if gone else until)
        cuts = (
            sorted({since, end, *(min(max(at(edge_), since), end) for one in bad for edge_ in one)})
            if end > since
            else []
        )
        good = [(a, b) for a, b in pairwise(cuts) if not within(((a + b) / 2 - T0) / SECOND, bad)]
        whole: list[tuple[Micros, Micros]] = []
        for a, b in good:
            if whole and whole[-1][1] == a:
                whole[-1] = whole[-1][0], b
            else:
                whole.append((a, b))
        return [(a, b) for a, b in whole if b - a >= SHORTEST * SECOND]

    def answer(self, moment: Micros, known: Micros) -> dict[str, str]:
        """What every rule says of `moment`, with what was known then."""
        devices = []
        for device in self.base.devices:
            mine = [one for one in self.links if one[0] <= known and one[1] == device.id and one[2] <= moment]
            if mine:
                device = replace(device, link_state=mine[-1][3], link_since=mine[-1][2])
            late = any(k <= known and d == device.id and a <= moment < b for k, d, a, b in self.heard)
            devices.append(replace(device, heard_late=late))
        stated = tuple(one for k, one in self.stated if k <= known and one.at <= moment)
        return verdicts(PACKS, replace(self.base, devices=tuple(devices), attestations=stated), moment)


@pytest.mark.timeout(3600)  # for many more than a thousand
async def test_answers_survive_a_thousand_late_and_duplicate_deliveries_through_the_database(
    fresh_database: str,
) -> None:
    register = Register(fresh_database)
    register.city()
    for n in (1, 2, 3):
        register.zone("sun", f"act-{n}", "activity_room")
    furnish(
        register,
        {
            "edge-1": {"cam-1": (CAMERA, "act-1")},
            "edge-2": {"cam-2": (CAMERA, "act-2"), "door-1": (DOOR, None)},
            "edge-3": {"cam-3": (CAMERA, "act-3")},
        },
    )
    register.listen()
    dice = random.Random(20261122)
    until = STEPS * STEP
    edges = [Edge(name, dice, until) for name in ("edge-1", "edge-2", "edge-3")]
    known = Reference()
    judged: list[Micros] = []
    first: dict[tuple[Micros, Micros], dict[str, str]] = {}
    delivered = 0
    person = Principal("keeper", "keeper", Role.ADMIN, EVERYTHING)
    statements = [(UUID(int=n), dice.randrange(until)) for n in range(MANY // 50)]
    async with site(fresh_database, Rulebook(PACKS)) as made:
        sent: list[Kept] = []
        for edge in edges:
            told = [said(edge.name, "clock_skew", at(0), 0.2), said(edge.name, "machine_boots", at(0), 1)]
            edge.waiting.append(Kept(made.message(edge.name, Lane.BULK, told), ()))
        for second in range(STEP, until + STEP, STEP):
            now = at(second)
            batch: list[Kept] = []
            for edge in dice.sample(edges, 3):
                edge.live(made, second)
                if not within(second, edge.cut) or second == until:
                    arriving = len(edge.waiting) if dice.random() < 0.7 else len(edge.waiting) // 2
                    batch += edge.waiting[:arriving]
                    del edge.waiting[:arriving]
            fresh = len(batch)
            again = [*batch, *(dice.choice(sent or batch or [None]) for _ in range(dice.randint(3, 9)))]
            mixed = [one for one in again if one is not None]
            for place in range(fresh, len(mixed)):  # what is sent again comes anywhere; an edge keeps its own order
                mixed.insert(dice.randrange(place + 1), mixed.pop(place))
            await made.take([one.message for one in mixed], now)
            delivered += len(mixed)
            sent += batch
            for one in batch:
                for who, moment in one.said:
                    known.said.setdefault(who, []).append(moment)
            past = [one for one in statements if one[1] < second]
            for id, moment in dice.sample(past, min(len(past), dice.choice((0, 0, 0, 2, 4)))):
                given = attestations.Given("sun", Statement(AttestationKind.EQUIPMENT_CHECK, at(moment)))
                async with made.conn.transaction():
                    stored = await attestations.record(made.conn, person, given, to_datetime(now), id)
                delivered += 1
                if stored is not None:
                    known.stated.append((now + SECOND, Attestation(str(id), "equipment_check", at(moment))))
            await made.tick(now)
            if judged and judged[-1] > at(second - STEP) and dice.random() < 0.6 and second < until:
                later = now + (STEP + 1) * SECOND  # known from the next judgement on
                known.stated = [(later if k == now + SECOND else k, given) for k, given in known.stated]
                continue
            await made.judge(now + SECOND)
            judged.append(now + SECOND)
            if len(judged) == 1:
                async with made.ledger.judging(["sun"], now + SECOND) as judging:
                    known.base = replace(judging.fresh[0].facts, attestations=())
            rows = register.all(
                "select d.id, s.link_since, s.link_state from device d join device_state s on s.device = d.key"
            )
            for device, since, state in rows:
                if device in DEVICES:
                    known.link(judged[-1], device, to_micros(since), LinkState(state))
            now_asked = [(moment, judged[-1]) for moment in dice.sample(judged, min(2, len(judged)))]
            first.update(found(register, now_asked))
        assert delivered >= MANY, delivered
        asked = list(dict.fromkeys((moment, k) for k in judged for moment in probes(dice, judged[0], k)))
        answers = found(register, asked)
        for moment, k in asked:
            assert answers[moment, k] == known.answer(moment, k), (
                f"{(moment - T0) / SECOND} as known at {(k - T0) / SECOND}"
            )
        assert found(register, list(first)) == first, "what was known once never changes"
        assert len(known.heard) > STEPS // 20
        amended = [one for one in asked if answers[one] != known.answer(one[0], judged[-1])]
        assert len(amended) > len(asked) // 20, "what is known otherwise now was put to the test"
        entries = register.all("select count(*) from ledger_entry")
        await made.take([one.message for one in dice.sample(sent, len(sent))], at(until + 1))
        await made.judge(at(until + 2))
        assert register.all("select count(*) from ledger_entry") == entries, "a duplicate says nothing new"
    conn = await connect(fresh_database, "test", autocommit=True)
    async with conn:
        bundle = await evidence.export(
            conn, "sun", to_datetime(at(until / 2)), to_datetime(at(until + 60)), to_datetime(at(until + 60))
        )
    checked = verify(bundle, "b.zip")
    assert list(checked.faults) == []
    assert checked.recomputed > 100
    register.close()


def probes(dice: random.Random, since: Micros, until: Micros) -> list[Micros]:
    """Moments up to one of knowing; now and then that itself."""
    return [*(dice.randint(since, until) for _ in range(4)), until]


def found(register: Register, asked: Sequence[tuple[Micros, Micros]]) -> dict[tuple[Micros, Micros], dict[str, str]]:
    """What the ledger says of each moment, as known at each time."""
    moments, knowns = [to_datetime(one) for one, _ in asked], [to_datetime(one) for _, one in asked]
    rows = register.all(
        "select x.at, x.known, f.rule, f.verdict from unnest(%s::timestamptz[], %s::timestamptz[]) as x(at, known)"
        " cross join lateral finding_as_of(x.at, x.known) f where f.subject = 'sun'",
        moments,
        knowns,
    )
    out: dict[tuple[Micros, Micros], dict[str, str]] = {one: {} for one in asked}
    for moment, k, name, verdict in rows:
        key = to_micros(moment), to_micros(k)
        assert name not in out[key], "a rule says one thing of a moment"
        out[key][name] = verdict
    return out
