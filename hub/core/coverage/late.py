"""What came late of a stretch in which the hub did not hear a device: its edge did, and kept it (docs/decisions/0380). Pure.

A device whose link was unknown is heard of again. What its edge's stream brought meanwhile says from when to when it was heard there, and when it
said itself that it had failed. That becomes dated items with an end, by which `hub.core.coverage.ledger` amends the past; what is not proven by
them stays unknown. Nothing is ever taken for a sign of life but a sample that arrived: where anything is in doubt, the stretch is left as it was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.ledger import Span
from hub.core.coverage.snapshot import Observed
from hub.core.health import Faults, diagnose, function_of
from hub.model import LIFE_SAFETY, SECOND, FunctionState, LinkState, Micros, Quality, Reading, Series
from hub.profiles import Profile, Record

SHORTEST: Micros = 120 * SECOND
"""a shorter silence (a restart of the hub, a line that flaps) is left as it is: each amendment would be read by nobody"""
LONGEST: Micros = 31 * 86_400 * SECOND
"""of a longer one only the last part is amended"""
MARGIN: Micros = 60 * SECOND
"""by which edge and hub may disagree on the time: so much before and after everything that is missing is not believed either"""
CAUGHT_UP: Micros = 5 * SECOND
"""by which an edge's clock may be behind ours: a lane whose newest beat is older than its device's return by more has not brought all of the silence"""
PATIENCE: Micros = 60 * SECOND
"""so long a device that is heard again waits for the rest of what its edge kept; afterwards what has come is all that is believed"""
WRONG_CLOCK = 5.0
"""seconds by which an edge's clock is wrong (device-profiles/edge): its times prove nothing"""
MOST_PIECES = 20
"""different periods by which the past of one institution is amended in one go; the longest are"""
MOST_READINGS = 1_000
"""of one series in one stretch; a device that says more of its health is not believed"""


class Silence(NamedTuple):
    """A device that the hub had no link to from `since` to before `until`, and that is heard of again. `gone`: its edge is, and misses it."""

    device: str
    since: Micros
    until: Micros
    gone: bool = False
    back: Micros | None = None
    """when its link was known again, None where nobody said: it was the hub that did not listen"""


class Kept(NamedTuple):
    """What the edge's stream says of a device and a silence; all times by the edge's clock."""

    arrived: Micros | None
    """until when everything of its lane has arrived (the newest beat), None where nothing did"""
    heard: Micros | None
    """when the device was heard last"""
    missing: Sequence[tuple[Micros, Micros]]
    """when the device, or its whole lane, was not heard, or what was heard was dropped"""
    began_anew: Micros | None
    """when the edge's machine began anew in the silence: from then on nobody knows what its clock said"""
    skew: float | None
    """seconds by which the edge said, last before the silence and in it, that its clock was off at most; None: it never said so before"""
    said: Sequence[Reading] | None = ()
    """readings of the points that tell of a failure (`telling`), oldest first; None where they are too many"""


def ended(last: Span, fresh: InstitutionFacts, at: Micros) -> list[Silence]:
    """The silences that end between the last facts and these, each since `last` began at the latest (`since` may lie further back)."""
    now = {device.id: device for device in fresh.devices}
    found = []
    for device in last.kept.facts.devices:
        then = now.get(device.id)
        if device.link_state is not LinkState.UNKNOWN or then is None or then.link_state is LinkState.UNKNOWN:
            continue
        if device.last_heard_at is None:
            continue  # never heard before: that it was silent at first would not be known
        # the hub itself was deaf where the link has not moved since: when that was over is not told
        back = then.link_since if then.link_since > device.link_since else None
        until = at if back is None else min(back, at)
        found.append(Silence(device.id, last.start, until, then.link_state is LinkState.OFFLINE, back))
    return found


def further(silences: Sequence[Silence], spans: Sequence[Span]) -> tuple[list[Silence], bool]:
    """The silences as far back as these spans (oldest first, without the open one) show them, and whether one may be older than the oldest span."""
    unknown = {one.device: one for one in silences}
    open_ended = set(unknown)
    for span in reversed(spans):
        links = {device.id: device for device in span.kept.facts.devices if device.id in open_ended}
        for name in sorted(open_ended):
            device, one = links.get(name), unknown[name]
            if device is None or device.link_state is not LinkState.UNKNOWN or span.end != one.since:
                open_ended.discard(name)
                continue
            unknown[name] = one._replace(since=span.start)
            if span.start <= device.link_since:
                open_ended.discard(name)
    return list(unknown.values()), bool(open_ended)


def worth_it(silence: Silence, at: Micros) -> Silence | None:
    """The silence as far as it is amended; None where it is too short."""
    cut = silence._replace(since=max(silence.since, at - LONGEST))
    return cut if cut.until - cut.since >= SHORTEST else None


def arrives(silence: Silence, kept: Kept, at: Micros) -> bool:
    """Whether a part of the silence is still on its way: its edge sends in order, and is not done. What it says there may be that the device failed."""
    if silence.gone or silence.back is None or kept.arrived is None or at - silence.back >= PATIENCE:
        return False
    return kept.arrived < silence.back - CAUGHT_UP


def held_back(fresh: InstitutionFacts, last: InstitutionFacts, devices: Collection[str]) -> InstitutionFacts:
    """The facts with these devices as unheard as they were in the last ones: their silence is not over while a part of it is on its way."""
    before = {device.id: device for device in last.devices}
    return replace(
        fresh,
        devices=tuple(
            replace(
                one,
                link_state=before[one.id].link_state,
                link_since=before[one.id].link_since,
                last_heard_at=before[one.id].last_heard_at,
            )
            if one.id in devices
            else one
            for one in fresh.devices
        ),
    )


def telling(profile: Profile) -> frozenset[str] | None:
    """The points that tell whether the device failed, or could tell of a fire or a press; None where they leave no readings behind."""
    names = {row.point for row in profile.health if row.state is FunctionState.FAILED}
    names |= {alarm.point for alarm in profile.alarms.values() if alarm.signal_class in LIFE_SAFETY}
    points = [profile.points[name] for name in names if name in profile.points]
    if any(point.record is not Record.READING or point.type == "str" for point in points):
        return None
    return frozenset(names)


def reading(profile: Profile, series: Series, at: Micros, value: float | None, quality: int) -> Reading:
    """A stored reading as it was; the label of an enumeration is the profile's."""
    enum = profile.points[series.point].enum
    text = None if enum is None or value is None else enum.get(int(value))
    return Reading(series, at, at, value, text, Quality(quality))


def observed(silence: Silence, kept: Kept, profile: Profile) -> list[Observed]:
    """What is known of the silence now: from when to when the edge heard the device working, and from when to when it said that it had failed."""
    since, until = silence.since, silence.until
    wrong = kept.skew is None or not abs(kept.skew) <= WRONG_CLOCK
    if wrong or kept.said is None or kept.arrived is None or kept.heard is None or telling(profile) is None:
        return []
    end = min(until, kept.arrived + CAUGHT_UP)
    if silence.gone:
        end = min(end, kept.heard - MARGIN)
    if kept.began_anew is not None:
        end = min(end, kept.began_anew - MARGIN)
    failures = list(_failures(kept.said, profile, since, end))
    bad = [(begin - MARGIN, over + MARGIN) for begin, over in kept.missing]
    bad += [(begin - MARGIN, over + MARGIN) for begin, over, _ in failures]
    name = silence.device
    heard = [Observed(("heard_late", name), begin, True, over) for begin, over in _without(since, end, bad)]
    failed = [
        Observed(("function", name), begin, state, over)
        for begin, over, state in failures
        if state is FunctionState.FAILED and begin > since
    ]
    return [*(one for one in heard if one.until is not None and one.until - one.since >= SHORTEST), *failed]


def _failures(
    said: Iterable[Reading], profile: Profile, since: Micros, until: Micros
) -> Iterable[tuple[Micros, Micros, FunctionState]]:
    """From when to when the device said of itself that it did not work, within [since, until)."""
    faults: Faults = {}
    began, state = since, FunctionState.OK
    for one in sorted(said, key=lambda one: (one.at, one.series)):
        faults = diagnose(faults, profile, one)
        found, _ = function_of(faults, proven=True)
        if found is state:
            continue
        if state in _BROKEN and began < min(one.at, until):
            yield began, min(one.at, until), state
        began, state = max(one.at, since), found
    if state in _BROKEN and began < until:
        yield began, until, state


_BROKEN = frozenset({FunctionState.FAILED, FunctionState.UNPROVEN})


def _without(since: Micros, until: Micros, bad: Iterable[tuple[Micros, Micros]]) -> Iterable[tuple[Micros, Micros]]:
    """What is left of [since, until) without these periods."""
    begin = since
    for start, end in sorted(bad):
        if begin < min(start, until):
            yield begin, min(start, until)
        begin = max(begin, end)
    if begin < until:
        yield begin, until


def bounded(found: Iterable[Observed]) -> list[Observed]:
    """At most `MOST_PIECES` different periods, the longest over all devices: each makes the past of an institution be judged twice more."""
    by_period: dict[tuple[Micros, Micros], list[Observed]] = {}
    for one in found:
        assert one.until is not None
        by_period.setdefault((one.since, one.until), []).append(one)
    ordered = sorted(by_period.items(), key=_weight, reverse=True)
    return [one for _, meant in ordered[:MOST_PIECES] for one in meant]


def _weight(item: tuple[tuple[Micros, Micros], Sequence[Observed]]) -> tuple[Micros, Micros]:
    (since, until), meant = item
    return (until - since) * len(meant), -since


def named(silences: Mapping[str, Sequence[Silence]]) -> list[tuple[str, Silence]]:
    """Every silence with its institution, in one order."""
    return [(subject, one) for subject in sorted(silences) for one in silences[subject]]
