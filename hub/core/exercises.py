"""Drills and proofs: what is declared beforehand, what counts as it, and when a proof is due. Pure: times and marks are arguments.

The one rule above all others: an exercise never takes a real alarm. A press is a drill's only where it was declared beforehand, for this
button, this class and this minute, and each declaration is used up by one press; anything else is real. A marked sample (a proof) is
synthetic from the beginning and is judged apart from everything that is known of the device.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from hub.core.escalation import Plan, Step
from hub.core.proof_order import Trial
from hub.errors import BadInput
from hub.model import LIFE_SAFETY, SECOND, Exercise, Micros, Scalar, SignalClass
from hub.profiles import AlarmDefinition, Point, Profile

MINUTE: Micros = 60 * SECOND
HOUR: Micros = 60 * MINUTE
DAY: Micros = 24 * HOUR

# drills -------------------------------------------------------------------------------------------------------------

LONGEST_DRILL: Micros = 12 * HOUR
LEAST_TOLERANCE: Micros = SECOND
MOST_TOLERANCE: Micros = 10 * MINUTE
MOST_PRESSES = 2_000
STILL_TAKEN: Micros = HOUR
"""after its window a declared press is still looked for in what comes late; what comes later than that is real"""


class Press(NamedTuple):
    """One press that was declared: at this device, of this class, between two instants. `n` numbers it within its drill."""

    drill: UUID
    n: int
    device: str
    signal_class: SignalClass
    since: Micros
    until: Micros

    @property
    def key(self) -> tuple[UUID, int]:
        """What is used up by one press."""
        return self.drill, self.n


def expected(
    presses: Iterable[Press], used: Collection[tuple[UUID, int]], signal_class: SignalClass, at: Micros
) -> Press | None:
    """The declaration that a press of one device at `at` uses up, None: it is real.

    Of several the one whose window ends first, so that no later press finds its own taken (earliest deadline first).
    """
    fitting = [
        press
        for press in presses
        if press.key not in used and press.signal_class is signal_class and press.since <= at <= press.until
    ]
    return min(fitting, key=lambda press: (press.until, press.since, press.key), default=None)


class Declared(NamedTuple):
    """One expected press as a person declares it."""

    institution: str
    position: str
    signal_class: SignalClass
    at: Micros
    tolerance: Micros


def check_drill(starts_at: Micros, ends_at: Micros, presses: Sequence[Declared], now: Micros) -> None:
    """Raises BadInput that names the key where a declaration does not hold at `now`."""

    def refuse(key: str, reason: str) -> BadInput:
        return BadInput(reason, key, code="drill")

    if ends_at <= starts_at:
        raise refuse("ends_at", "a drill ends after it starts")
    if ends_at - starts_at > LONGEST_DRILL:
        raise refuse("ends_at", "a drill is at most 12 hours long")
    if ends_at <= now:
        raise refuse("ends_at", "a drill is declared before it is held")
    if not 0 < len(presses) <= MOST_PRESSES:
        raise refuse("presses", f"a drill expects 1 to {MOST_PRESSES} presses")
    for n, press in enumerate(presses):
        where = f"presses.{n}"
        if press.signal_class not in LIFE_SAFETY:
            raise refuse(f"{where}.signal_class", "a drill is of fire or panic")
        if not LEAST_TOLERANCE <= press.tolerance <= MOST_TOLERANCE:
            raise refuse(f"{where}.tolerance", "from 1s to 10m")
        if not starts_at <= press.at <= ends_at:
            raise refuse(f"{where}.at", "lies outside the drill")
        if press.at < now:
            raise refuse(f"{where}.at", "is past: a press is declared beforehand")


def window(at: Micros, tolerance: Micros, declared_at: Micros) -> tuple[Micros, Micros]:
    """When a declared press may come: around its minute, and never before it was declared."""
    return max(at - tolerance, declared_at), at + tolerance


# proofs -------------------------------------------------------------------------------------------------------------

PROOF_STREAM = "00000000-0000-5000-8000-"
"""how the streams begin that the hub itself writes in proofs; what comes in them is no sign that a client lives"""
PROVEN_EVERY: Micros = 14 * DAY
"""two proofs in every calendar month, February too, and no position older than 15 days"""
TOLD_EVERY = 2
"""in every second slot one proof of an institution reaches the responders as well, marked: once in four weeks"""
OFFICE_HOURS = (9 * HOUR, 17 * HOUR)
_BEIJING: Micros = 8 * HOUR
_MARK = re.compile(r"(proof)/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/(device|spooled|refused))?")


class Hop(NamedTuple):
    """What a mark says: whose it is, and which hop it tells of; empty: it is the injected signal itself."""

    exercise: Exercise
    id: UUID
    hop: str


def mark(exercise: Exercise, id: UUID, hop: str = "") -> str:
    """How an exercise stands beside a sample on the wire."""
    return f"{exercise}/{id}/{hop}" if hop else f"{exercise}/{id}"


def parse_mark(text: str) -> Hop:
    """The mark of a sample; raises BadInput (`mark`)."""
    found = _MARK.fullmatch(text)
    if found is None:
        raise BadInput("is no mark of an exercise", f"mark {text[:60]!r}", code="mark")
    return Hop(Exercise(found[1]), UUID(found[2]), found[3] or "")


class Probe(NamedTuple):
    """A proof that is open: what is injected, and where its alarm will stand."""

    id: UUID
    device: str
    definition: str
    instance: str
    open: bool = True
    """False: it has ended a moment ago; what the edge still tells of its hops is noted"""


def proof_stream(client: str) -> str:
    """The stream in which the hub speaks for `client` in proofs."""
    return f"{PROOF_STREAM}{hashlib.sha256(client.encode()).hexdigest()[:12]}-urgent"


def proof_instance(point: Point) -> str:
    """Where the alarm of a proof stands at a point: beside the real ones where the point has instances."""
    return "proof" if point.instances else ""


_PRESENT: Mapping[str, Scalar] = {"bool": True, "int": 1, "float": 1.0, "str": "proof"}


def tripping(definition: AlarmDefinition, point: Point) -> Scalar:
    """A raw value of the point at which the condition holds. Raises BadInput where none can be given."""
    condition = definition.condition
    if condition.present is not None:
        return _PRESENT[point.type]
    wanted: float | bool | str | None = condition.equals
    if condition.any_of:
        wanted = condition.any_of[0]
    if wanted is not None:
        if isinstance(wanted, str) or point.enum is not None:
            return wanted if isinstance(wanted, str) else int(wanted)
        if point.type == "bool":
            return bool(wanted)
        return _raw(float(wanted), point)
    low, high = point.range or (-1e9, 1e9)
    if condition.above is not None:
        beyond = min(high, condition.above + max(1.0, definition.deadband, abs(condition.above) / 10))
        holds = beyond > condition.above
    else:
        assert condition.below is not None
        beyond = max(low, condition.below - max(1.0, definition.deadband, abs(condition.below) / 10))
        holds = beyond < condition.below
    if not holds:
        raise BadInput("no value within the point's range meets the condition", definition.point, code="proof")
    return _raw(beyond, point)


def trial_of(profile: Profile) -> Trial | None:
    """The device's own test in raw values, as an edge needs it; None where the profile declares none."""
    given = profile.test_point
    if given is None:
        return None
    point = profile.points[given.expect]
    named = (given.answer.equals,) if given.answer.any_of is None else given.answer.any_of
    codes = {label: code for code, label in (point.enum or {}).items()}
    answers: list[Scalar] = []
    for one in named:
        assert one is not None
        if isinstance(one, str):  # a device may say the label or its code
            answers += [one, *([codes[one]] if one in codes else [])]
        elif point.type == "bool":
            answers.append(bool(one))
        else:
            answers.append(int(one) if point.enum is not None else _raw(float(one), point))
    return Trial(given.write, given.value, given.rest, given.expect, tuple(answers), given.within)


def _raw(value: float, point: Point) -> Scalar:
    raw = (value - point.offset) / point.scale
    return round(raw) if point.type == "int" else raw


NOT_LOWER: Mapping[str, tuple[str, str]] = {
    "lowest": ("设备自检：最低的注入点", "at the device's own test: there is nothing lower"),
    "asked": ("按要求在此层注入", "this level was asked for"),
    "no_edge": ("设备不经过边缘网关，只能从平台注入", "the device is behind no edge: the hub speaks in its place"),
    "no_test_point": ("设备模型没有声明可写的自检点", "its profile declares no test point that can be written"),
    "dials_police": (
        "设备自行拨打报警中心：不触发其自检",
        "it dials the police centre by itself: its own test is never tripped by a proof",
    ),
}
"""why a proof is injected no lower than it is, in both languages"""


def lowest_level(behind_an_edge: bool, has_test_point: bool, dials_police: bool) -> tuple[str, str]:
    """The lowest level at which a proof of a device can be injected, and why no lower (a key of `NOT_LOWER`)."""
    if not behind_an_edge:
        return "hub", "no_edge"
    if not has_test_point:
        return "driver", "no_test_point"
    return ("driver", "dials_police") if dials_police else ("device", "lowest")


SINK = "proof-sink"
"""the responder to whom proofs go, and nobody else; a manifest may give it more channels"""


def plan_of_proof(policy: Plan | None, channels: Sequence[str]) -> Plan:
    """One round into every channel of the sink; with `policy`, its first round as well. It goes by no policy: nothing replans it.

    The proof ends long before a second round, and its escalation with it.
    """
    steps = () if policy is None else policy.steps
    first = len(steps) + 1
    sink = tuple(Step(n, SINK, channel) for n, channel in enumerate(channels, first))
    return Plan(round_every=DAY, max_rounds=None, steps=(*steps, *sink))


def phase(institution: str) -> Micros:
    """Where in the fortnight an institution's proofs lie: spread evenly by its name, the same for ever and everywhere."""
    digest = hashlib.sha256(f"proof {institution}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * PROVEN_EVERY >> 64


def slot_at(institution: str, now: Micros) -> int:
    """The number of the newest fortnight that has begun for the institution by `now`."""
    return (now - phase(institution)) // PROVEN_EVERY


def slot_start(institution: str, slot: int) -> Micros:
    """When a slot begins."""
    return slot * PROVEN_EVERY + phase(institution)


def due(institutions: Mapping[str, int], now: Micros, room: int) -> list[tuple[str, int]]:
    """Institutions whose slot has come and is not done, with the slot: the longest waiting first, at most `room`.

    `institutions`: the last slot done of each. A hub that was away makes up for the newest slot alone, a few at a time.
    """
    waiting = []
    for institution, done in institutions.items():
        slot = slot_at(institution, now)
        if slot > done:
            waiting.append((slot_start(institution, slot), institution, slot))
    return [(institution, slot) for _, institution, slot in sorted(waiting)[: max(0, room)]]


def due_to_tell(institutions: Mapping[str, int], now: Micros, room: int) -> list[tuple[str, int]]:
    """The same of proofs that reach the responders, too: every `TOLD_EVERY` slots, and in office hours (Beijing) alone."""
    if not OFFICE_HOURS[0] <= (now + _BEIJING) % DAY < OFFICE_HOURS[1]:
        return []
    waiting = []
    for institution, told in institutions.items():
        slot = slot_at(institution, now)
        if slot // TOLD_EVERY > told // TOLD_EVERY:
            waiting.append((slot_start(institution, slot), institution, slot))
    return [(institution, slot) for _, institution, slot in sorted(waiting)[: max(0, room)]]


class Handed(NamedTuple):
    """One notification of a proof: to whom, what became of it, and when it was written, first sent and received."""

    responder: str
    channel: str
    state: str
    created_at: Micros
    sent_at: Micros | None
    received_at: Micros | None


def judge_proof(handed: Sequence[Handed], escalation: str, tell: str) -> tuple[str, str]:
    """State and reason of a proof whose alarm was raised: `passed` when the sink has it on every channel, and, where they were to be told,
    every responder of the policy's first moment, too; `failed` with the reason; `raised` while it is under way."""
    if escalation == "uncovered":
        return "failed", "no escalation policy covers it: nobody would be told"
    lost = [one for one in handed if one.state in ("failed", "cancelled")]
    if lost:
        return "failed", f"{lost[0].responder} was not reached by {lost[0].channel}"
    people = [one for one in handed if one.responder != SINK]
    if (
        len(people) == len(handed)
        or any(one.state != "sent" for one in handed)
        or (tell == "responders" and not people)
    ):
        return "raised", ""
    return "passed", ""
