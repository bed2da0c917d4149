"""Why something is not seen: from the path tree, silences that go together and mains that failed to a cause with its evidence. Pure.

The tree comes from the registry: device → line (endpoint) → switches and power feeds, where they are declared → edge → site (power, uplink) → carrier and its access node, division and those
above it → broker → hub. Liveness (`hub.core.liveness`) says *that* something is silent and whether the hub itself was deaf; here is weighed *where* it broke:

- `find_areas`: many sites that fell silent at one moment have one cause. Of all areas (a carrier's access node, a carrier in a division, a division,
  everything) the one is taken that explains most: silent sites less sites that are heard all the same, less two. So one heard site outweighs one silent one.
- `hub.core.blindness_sites`: a site by itself: another client that is heard, mains that failed, a session that its own machine closed; and what
  the return of its client adds.
- `hub.core.blindness_lines`: all devices of an endpoint fell silent together. `hub.core.blindness_parts`: all that hang on a declared switch or feed.

What the evidence cannot tell apart is `undetermined`, with the candidates. A silence is known to have begun between the last message and the
next one that was due: moments are compared as such intervals, never as points.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from hub.model import LIFE_SAFETY, SECOND, Micros, SignalClass
from hub.profiles import LINK_POINT

SLACK: Micros = 15 * SECOND
"""what two clients of one failing path may differ by, besides their beats: a failure spreads, a queue empties"""
SETTLE: Micros = 15 * SECOND
"""after the first silence of many was found: the last is found a beat later, and only the whole picture names the right area"""
FEWEST = 3
"""sites that make an area"""
UNEXPLAINED = 10
"""sites that fall silent at one moment by chance: never so many (5,000 edges with an outage a week each: once in 30,000 years)"""
BLIND: Micros = 120 * SECOND
"""longer than this the hub itself was blind: what fell silent meanwhile cannot be compared"""
JOIN: Micros = 60 * SECOND
"""a site that falls silent so long after the last one of an area belongs to it"""
REST = 5
"""an area stands while at least one in so many of its sites is still silent"""
RECOVERY: Micros = 60 * SECOND
"""after a site came back its neighbours have this time to come back too, before those that stay away are released"""
HOLD_POINT = "hold_seconds"


class Cause(StrEnum):
    """Where it broke, in the order of the path: a later one lies higher."""

    DEVICE = "device"
    LINE = "line"
    SWITCH = "switch"
    POWER_FEED = "power_feed"
    EDGE = "edge"
    SITE_POWER = "site_power"
    UPLINK = "uplink"
    CARRIER = "carrier"
    DISTRICT = "district"
    BROKER = "broker"
    HUB = "hub"
    DATABASE = "database"
    UNDETERMINED = "undetermined"


class Evidence(NamedTuple):
    """One observation. `facts` hold text, numbers, and times (`since`, `until`) in microseconds."""

    what: str
    facts: Mapping[str, Any]


class Weighed(NamedTuple):
    """A cause with what it rests on."""

    cause: Cause
    evidence: tuple[Evidence, ...]


class Site(NamedTuple):
    """How an institution reaches the hub."""

    institution: str
    divisions: tuple[str, ...]
    """its own division and all above it, lowest first"""
    carrier: str = ""
    access: str = ""


class Heard(StrEnum):
    """What is known of a client."""

    HEARD = "heard"
    SILENT = "silent"
    UNKNOWN = "unknown"
    """the hub itself did not listen"""


class Client(NamedTuple):
    """An edge, or a device that speaks for itself."""

    id: str
    institution: str
    state: Heard
    last: Micros
    """when the hub stored its newest message, by the hub's clock"""
    seen: Micros = 0
    """since when it is called silent"""
    beat: Micros = 10 * SECOND
    closed: Micros | None = None
    """when the broker said that its session had ended"""


class Mains(NamedTuple):
    """Something at an institution that says whether the mains are there; `lost` since when they are not."""

    device: str
    institution: str
    lost: Micros | None


class Area(NamedTuple):
    """What sites may share. Empty: whatever it is."""

    division: str = ""
    carrier: str = ""
    access: str = ""


class Failing(NamedTuple):
    """An area that fails: its sites that are silent, and why it is blamed."""

    area: Area
    cause: Cause
    sites: frozenset[str]
    first: Micros
    """the earliest of the last messages of its sites"""
    latest: Micros
    evidence: tuple[Evidence, ...]


class Silence(NamedTuple):
    """When a site fell silent: at some moment from `begin` to `end`."""

    begin: Micros
    end: Micros
    last: Micros
    seen: Micros


def areas_of(site: Site) -> tuple[Area, ...]:
    """Everything that the site may share with others, and everything at all."""
    places = (*site.divisions, "")
    areas = [Area(place) for place in places]
    if site.carrier:
        areas += [Area(place, site.carrier) for place in places]
        if site.access:
            areas.append(Area("", site.carrier, site.access))
    return tuple(areas)


def silences(clients: Iterable[Client]) -> tuple[dict[str, Silence], frozenset[str]]:
    """Sites all of whose clients are silent, and sites that are heard. A site of which the hub cannot know is in neither."""
    by_site: dict[str, list[Client]] = defaultdict(list)
    for client in clients:
        by_site[client.institution].append(client)
    silent: dict[str, Silence] = {}
    heard = set()
    for institution, own in by_site.items():
        if any(client.state is Heard.HEARD for client in own):
            heard.add(institution)
        elif all(client.state is Heard.SILENT for client in own):
            newest = max(own, key=lambda client: client.last)
            seen = max(client.seen for client in own)
            silent[institution] = Silence(newest.last - SLACK, newest.last + newest.beat + SLACK, newest.last, seen)
    return silent, frozenset(heard)


def comparable(silence: Silence, blind: Iterable[tuple[Micros, Micros]]) -> bool:
    """Whether it is known well enough when the site fell silent: the hub did not look away for long just then."""
    return not any(until - since > BLIND and since <= silence.end and until >= silence.last for since, until in blind)


def find_areas(
    sites: Mapping[str, Site], silent: Mapping[str, Silence], heard: frozenset[str], now: Micros
) -> list[Failing]:
    """The areas that explain the silences of `silent` (comparable, and not explained yet), settled ones only.

    `sites` are all of the hub's, `heard` those that live. Greedy: the area that explains most is taken, then the next among the rest.
    """
    rest = {name: silence for name, silence in silent.items() if name in sites}
    found: list[Failing] = []
    if len(rest) < FEWEST:
        return found
    living = Counter(area for name in heard if name in sites for area in areas_of(sites[name]))
    while len(rest) >= FEWEST:
        best = _best(sites, rest, living)
        if best is None:
            break
        area, members = best
        if now - min(rest[name].seen for name in members) >= SETTLE:
            cause = _cause(area, [sites[name] for name in members], heard)
            found.append(_failing(area, cause, members, rest, living[area]))
        for name in members:
            del rest[name]
    members = _together(rest)
    if len(members) >= UNEXPLAINED and now - min(rest[name].seen for name in members) >= SETTLE:
        area = _common([sites[name] for name in members])
        found.append(_failing(area, Cause.UNDETERMINED, members, rest, living[area]))
    return found


def _moments(rest: Mapping[str, Silence]) -> Iterable[tuple[str, bool]]:
    """Sites as their interval begins (True) and has ended (False), in time."""
    edges = [(silence.begin, 0, name) for name, silence in rest.items()]
    edges += [(silence.end, 1, name) for name, silence in rest.items()]
    return ((name, kind == 0) for _, kind, name in sorted(edges))


def _best(
    sites: Mapping[str, Site], rest: Mapping[str, Silence], living: Mapping[Area, int]
) -> tuple[Area, frozenset[str]] | None:
    """The area and moment with the largest gain above 0; between equals the narrowest area."""
    counts: Counter[Area] = Counter()
    best: tuple[int, tuple[bool, bool, int]] | None = None
    area_then: Area | None = None
    moment = 0
    for step, (name, begins) in enumerate(_moments(rest)):
        for area in areas_of(sites[name]):
            counts[area] += 1 if begins else -1
            if not begins or counts[area] < FEWEST:
                continue
            gain = counts[area] - living.get(area, 0) - 2
            rank = gain, (area.access != "", area.carrier != "", len(area.division))
            if gain > 0 and (best is None or rank > best):
                best, area_then, moment = rank, area, step
    if area_then is None:
        return None
    active: set[str] = set()
    for step, (name, begins) in enumerate(_moments(rest)):
        if step > moment:
            break
        if begins and area_then in areas_of(sites[name]):
            active.add(name)
        elif not begins:
            active.discard(name)
    return area_then, frozenset(active)


def _together(rest: Mapping[str, Silence]) -> frozenset[str]:
    """The most sites whose silences can have begun at one moment."""
    active: set[str] = set()
    most: frozenset[str] = frozenset()
    for name, begins in _moments(rest):
        if begins:
            active.add(name)
            if len(active) > len(most):
                most = frozenset(active)
        else:
            active.discard(name)
    return most


def _common(sites: Sequence[Site]) -> Area:
    """The lowest division of all, and the carrier of all where they have one."""
    shared = [place for place in sites[0].divisions if all(place in site.divisions for site in sites)]
    carriers = {site.carrier for site in sites}
    return Area(shared[0] if shared else "", carriers.pop() if len(carriers) == 1 else "")


def _cause(area: Area, sites: Sequence[Site], heard: frozenset[str]) -> Cause:
    """Where nobody is heard any more the way into the hub itself is as likely as what the sites share, unless they share nothing else."""
    if not heard:
        carriers = {site.carrier for site in sites if site.carrier}
        return Cause.BROKER if len(carriers) > 1 and not area.carrier else Cause.UNDETERMINED
    if area.carrier:
        return Cause.CARRIER
    return Cause.DISTRICT if area.division else Cause.BROKER


def _failing(area: Area, cause: Cause, members: frozenset[str], silent: Mapping[str, Silence], living: int) -> Failing:
    lasts = [silent[name].last for name in members]
    first, latest = min(lasts), max(lasts)
    facts: dict[str, Any] = {"silent": len(members), "of": len(members) + living}
    facts |= {name: value for name, value in area._asdict().items() if value}
    facts |= {"since": first, "within_s": round((latest - first) / SECOND)}
    evidence = [Evidence("area_silent", facts)]
    if cause is Cause.UNDETERMINED:
        evidence.append(between(Cause.CARRIER, Cause.DISTRICT, Cause.BROKER))
    return Failing(area, cause, members, first, latest, tuple(evidence))


def between(*causes: Cause) -> Evidence:
    """That what was seen fits several causes."""
    return Evidence("candidates", {"causes": [cause.value for cause in causes]})


def joins(site: Site, silence: Silence, area: Area, first: Micros, latest: Micros) -> bool:
    """Whether a site that fell silent belongs to an area that fails already: at its time, or soon after its last one."""
    return area in areas_of(site) and silence.end >= first and silence.begin <= latest + JOIN


def stands(silent: int, most: int, last_return: Micros | None, now: Micros) -> bool:
    """Whether an area still fails: `silent` of the `most` sites that it had are not back."""
    if silent == 0:
        return False
    if silent >= max(FEWEST, (most + REST - 1) // REST):
        return True
    return last_return is not None and now - last_return < RECOVERY


def is_child(signal_class: SignalClass, point: str) -> bool:
    """Whether an alarm of a client only says that it is silent: that is what a root suppresses, and nothing else. Never a fire or panic."""
    return signal_class not in LIFE_SAFETY and point in (LINK_POINT, HOLD_POINT)


def not_listening(part: Cause, since: Micros, until: Micros | None) -> Weighed:
    """The hub itself was blind: its process, its broker or its database."""
    return Weighed(part, (Evidence("not_listening", {"part": part.value, "since": since, "until": until}),))
