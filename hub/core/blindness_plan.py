"""What the watcher does next: which silences are weighed, which areas begin, gain sites and end. Pure; the store keeps what it says.

A client's row is opened when it is silent and its silence has settled, or an area explains it; it ends when the client is heard. While the hub
itself is blind nothing moves: what is not known to be back is not back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hub.core.blindness import (
    SETTLE,
    Area,
    Client,
    Failing,
    Heard,
    Mains,
    Silence,
    Site,
    Weighed,
    comparable,
    find_areas,
    joins,
    silences,
    stands,
)
from hub.core.blindness_sites import weigh_client
from hub.model import Micros


class Standing(NamedTuple):
    """An area that fails, as it is stored. `members` are its institutions, also those that are back."""

    key: int
    area: Area
    members: frozenset[str]
    first: Micros
    latest: Micros
    last_return: Micros | None


class Open(NamedTuple):
    """A client's row that has not ended, with the area that explains it, or did before that one ended."""

    key: int
    client: str
    area: int | None


class Look(NamedTuple):
    """All that is known at one moment."""

    now: Micros
    sites: Mapping[str, Site]
    clients: Mapping[str, Client]
    mains: Sequence[Mains]
    blind: Mapping[str, Sequence[tuple[Micros, Micros]]]
    """by institution: when the hub did not listen to it"""
    areas: Sequence[Standing]
    rows: Sequence[Open]


class Found(NamedTuple):
    """A silent client: why, since when, and the area that explains it: one that stands (its key), or a new one (its place in `Plan.begun`)."""

    client: str
    weighed: Weighed
    since: Micros
    area: int | None = None
    begun: int | None = None


class Plan(NamedTuple):
    """What is to be written."""

    begun: list[Failing]
    ended: list[int]
    """areas"""
    back: list[int]
    """rows of clients that are heard, or not registered any more"""
    found: list[Found]
    """every silent client that is settled or explained; a row is written where it says something new"""


def plan(look: Look) -> Plan:
    """What follows from `look`."""
    silent, heard = silences(look.clients.values())
    gone = [row for row in look.rows if _is_back(look.clients.get(row.client))]
    returning = {row.area for row in gone}
    standing = [
        area
        for area in look.areas
        if _stands(area, heard, look.now if area.key in returning else area.last_return, look.now)
    ]
    stand = {area.key for area in standing}
    belongs: dict[str, int] = {}
    released: set[str] = set()
    for row in look.rows:
        if row.area is not None and row.client in look.clients:
            institution = look.clients[row.client].institution
            if row.area in stand:
                belongs[institution] = row.area
            else:
                released.add(institution)  # its area is over and it is not back: it had its time, and stands for itself
    rest: dict[str, Silence] = {}
    for institution, silence in silent.items():
        if institution in belongs or institution in released or institution not in look.sites:
            continue
        joined = _joined(look.sites[institution], silence, standing)
        if joined is not None:
            belongs[institution] = joined
        elif comparable(silence, look.blind.get(institution, ())):
            rest[institution] = silence
    begun: list[Failing] = []
    begins: dict[str, int] = {}
    for failing in find_areas(look.sites, rest, heard, look.now):
        again = next((area.key for area in standing if area.area == failing.area), None)
        if again is not None:
            belongs |= dict.fromkeys(failing.sites, again)
        else:
            begins |= dict.fromkeys(failing.sites, len(begun))
            begun.append(failing)
    ended = [area.key for area in look.areas if area.key not in stand]
    return Plan(begun, ended, [row.key for row in gone], list(_weighed(look, belongs, begins)))


def _is_back(client: Client | None) -> bool:
    return client is None or client.state is Heard.HEARD


def _stands(area: Standing, heard: frozenset[str], last_return: Micros | None, now: Micros) -> bool:
    return stands(len(area.members - heard), len(area.members), last_return, now)


def _joined(site: Site, silence: Silence, standing: Iterable[Standing]) -> int | None:
    for area in standing:
        if site.institution in area.members or joins(site, silence, area.area, area.first, area.latest):
            return area.key
    return None


def _weighed(look: Look, belongs: Mapping[str, int], begins: Mapping[str, int]) -> Iterable[Found]:
    mates: dict[str, list[Client]] = defaultdict(list)
    for client in look.clients.values():
        mates[client.institution].append(client)
    mains: dict[str, list[Mains]] = defaultdict(list)
    for one in look.mains:
        mains[one.institution].append(one)
    for client in look.clients.values():
        if client.state is not Heard.SILENT:
            continue
        place = client.institution
        area, begun = belongs.get(place), begins.get(place)
        if area is None and begun is None and look.now - client.seen < SETTLE:
            continue
        others = [mate for mate in mates[place] if mate.id != client.id]
        yield Found(client.id, weigh_client(client, others, mains[place]), client.last, area, begun)
