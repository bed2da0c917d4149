"""Worlds that break on purpose: sites behind carriers and divisions, one fault each, and what the hub sees of it. Seeded, without waiting."""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.blindness import (
    SETTLE,
    Cause,
    Client,
    Heard,
    Mains,
    Site,
    find_areas,
    silences,
)
from hub.core.blindness_lines import OnLine, weigh_line
from hub.core.blindness_parts import Hanging, weigh_parts
from hub.core.blindness_sites import Return, weigh_client, weigh_return
from hub.model import SECOND, Micros

T0: Micros = 1_795_000_000 * SECOND
BEAT: Micros = 10 * SECOND
OFFLINE: Micros = 30 * SECOND
KEEP_ALIVE: Micros = 22_500_000
"""one and a half keep-alives: so late the broker notices that a line is cut"""
CARRIERS = ("telecom", "unicom", "mobile")
DISTRICTS = ("140402", "140403", "140404", "140405")


class City(NamedTuple):
    """Sites and who speaks for them."""

    sites: Mapping[str, Site]
    edges: Mapping[str, tuple[str, ...]]
    monitored: frozenset[str]
    """sites with a UPS that says whether the mains are there"""


def city(chance: random.Random, count: int) -> City:
    """`count` sites; one in eight has two edges, one in two a UPS."""
    sites, edges, monitored = {}, {}, set()
    for n in range(count):
        name = f"s{n:04}"
        district = chance.choice(DISTRICTS)
        carrier = chance.choice(CARRIERS)
        sites[name] = Site(name, (district, "1404", "14"), carrier, f"{carrier}-{district[-1]}{chance.randrange(3)}")
        edges[name] = tuple(f"{name}-e{k}" for k in range(2 if chance.random() < 0.125 else 1))
        if chance.random() < 0.5:
            monitored.add(name)
    return City(sites, edges, frozenset(monitored))


class Seen(NamedTuple):
    """What the hub knows some time after the fault."""

    clients: Sequence[Client]
    mains: Sequence[Mains]
    now: Micros


def cut(
    chance: random.Random, world: City, gone: Mapping[str, Micros], closed: bool, powerless: frozenset[str]
) -> Seen:
    """The clients in `gone` fell silent at their moment. `closed`: their machines closed the session; else the broker noticed it late or never."""
    now = max(gone.values(), default=T0) + OFFLINE + BEAT + SETTLE + 2 * SECOND
    clients = []
    for site, names in world.edges.items():
        for name in names:
            beat_at = chance.randrange(BEAT)
            if name not in gone:
                clients.append(Client(name, site, Heard.HEARD, now - (now - beat_at) % BEAT))
                continue
            last = gone[name] - (gone[name] - beat_at) % BEAT
            noticed = gone[name] + chance.randrange(SECOND) if closed else last + KEEP_ALIVE
            said = noticed if closed or chance.random() < 0.9 else None
            clients.append(Client(name, site, Heard.SILENT, last, last + OFFLINE, BEAT, said))
    lost = {
        site: min(gone[name] for name in world.edges[site]) - chance.randrange(SECOND, 20 * 60 * SECOND)
        for site in powerless
    }
    mains = [Mains(f"{site}-ups", site, lost.get(site)) for site in sorted(world.monitored)]
    return Seen(clients, mains, now)


def attribute(world: City, seen: Seen, back: Return | None = None) -> dict[str, Cause]:
    """The cause of every silent client, as the watcher weighs it; with `back` once it has returned."""
    silent, heard = silences(seen.clients)
    areas = find_areas(world.sites, silent, heard, seen.now)
    explained = {name: one.cause for one in areas for name in one.sites}
    found = {}
    for client in seen.clients:
        if client.state is Heard.SILENT:
            others = [one for one in seen.clients if one.institution == client.institution and one.id != client.id]
            mains = [one for one in seen.mains if one.institution == client.institution]
            weighed = weigh_client(client, others, mains)
            if back is not None:
                weighed = weigh_return(weighed, back)
            found[client.id] = explained.get(client.institution) or weighed.cause
    return found


def break_something(chance: random.Random, cause: Cause, afterwards: bool = False) -> list[Cause]:
    """One fault of this cause in a city of its own; what every silent client (or device) is blamed on, at the time or `afterwards`."""
    if cause in (Cause.DEVICE, Cause.LINE):
        return _line(chance, cause)
    if cause is Cause.SWITCH:
        return _switch(chance)
    world = city(chance, 240)
    at = T0 + chance.randrange(3600) * SECOND
    spread = chance.choice((1, 5, 20)) * SECOND

    def everybody(names: list[str]) -> dict[str, Micros]:
        return {edge: at + chance.randrange(spread) for name in names for edge in world.edges[name]}

    sites = sorted(world.sites)
    powerless: frozenset[str] = frozenset()
    closed = False
    back = Return(restarted=False)  # the edge and its machine ran all the while
    if cause is Cause.EDGE:
        site = chance.choice(sites)
        gone = {chance.choice(world.edges[site]): at}
        closed = chance.random() < 0.7  # the program ended; else the machine stood still or broke
        back = Return(restarted=True, rebooted=not closed, last_end="killed or without power")
    elif cause is Cause.SITE_POWER:
        site = chance.choice(sites)
        gone = {edge: at + chance.randrange(5 * SECOND) for edge in world.edges[site]}
        powerless = frozenset({site} & world.monitored) if chance.random() < 0.8 else frozenset()
        if site in world.monitored and not powerless:
            world = world._replace(monitored=world.monitored - {site})
        back = Return(restarted=True, rebooted=True, last_end="killed or without power")
    elif cause is Cause.UPLINK:
        gone = everybody([chance.choice(sites)])
    elif cause is Cause.CARRIER:
        first = world.sites[chance.choice(sites)]
        wide = chance.random() < 0.5
        gone = everybody([n for n in sites if world.sites[n].carrier == first.carrier and (
            first.divisions[0] in world.sites[n].divisions if not wide else world.sites[n].access == first.access)
            and chance.random() < 0.95])  # fmt: skip
    elif cause is Cause.DISTRICT:
        district = chance.choice(DISTRICTS)
        gone = everybody([n for n in sites if district in world.sites[n].divisions and chance.random() < 0.9])
    elif cause is Cause.BROKER:
        gone = everybody(sites)
    else:
        raise ValueError(cause)
    for site in chance.sample(sites, 5):  # and what is broken anyhow, each at another time
        for edge in world.edges[site]:
            gone.setdefault(edge, at - chance.randrange(3600, 200_000) * SECOND)
    fault = {edge for edge, since in gone.items() if since >= at}
    blamed = attribute(world, cut(chance, world, gone, closed, powerless), back if afterwards else None)
    return [blamed[edge] for edge in sorted(fault)]


def _line(chance: random.Random, cause: Cause) -> list[Cause]:
    """Devices on one line, polled every 2 to 30 s: the line breaks, or one to three of them, each at its time."""
    count = chance.randrange(2, 12)
    every = [chance.choice((2, 10, 30)) * SECOND for _ in range(count)]
    at = T0
    dead = {n: at - chance.randrange(600, 90_000) * SECOND for n in range(count) if chance.random() < 0.1}
    if cause is Cause.LINE:
        gone = dict.fromkeys(range(count), at) | dead
    else:
        gone = dead | {
            n: at - n * 700 * SECOND for n in chance.sample(range(count), chance.randrange(1, min(4, count + 1)))
        }
    devices = []
    for n in range(count):
        phase = chance.randrange(every[n])
        end = gone.get(n, at + 600 * SECOND)
        devices.append(OnLine(f"d{n}", end - (end - phase) % every[n], every[n], n in gone))
    found = weigh_line("rs485", devices, at + 600 * SECOND)
    blamed = frozenset() if found is None else found[0]
    faults = [n for n in gone if n not in dead] if cause is Cause.LINE else list(gone)
    return [Cause.LINE if f"d{n}" in blamed else Cause.DEVICE for n in faults]


def _switch(chance: random.Random) -> list[Cause]:
    """An edge with two switches, one behind the other or each by itself, and devices on each, on lines of one to three; one switch breaks."""
    chained = chance.random() < 0.5
    on = {"": (), "a": ("switch:a",), "b": ("switch:b", "switch:a") if chained else ("switch:b",)}
    devices: list[Hanging] = []
    broken = chance.choice(("a", "b"))
    hit = {"switch:a"} if broken == "a" else {"switch:b"}
    fault = []
    for place, way in on.items():
        for line in range(chance.randrange(2, 5)):
            for n in range(chance.randrange(1, 4)):
                name, beat = f"{place}{line}-{n}", chance.choice((2, 10, 30)) * SECOND
                gone = bool(hit & {*way})
                if gone:
                    fault.append(name)
                if chance.random() < 0.05:  # and what is broken anyhow
                    end, silent = T0 - chance.randrange(3600, 90_000) * SECOND, True
                    if gone:
                        fault.remove(name)
                else:
                    end, silent = (T0, True) if gone else (T0 + 600 * SECOND, False)
                heard = end - (end - chance.randrange(beat)) % beat
                devices.append(Hanging(OnLine(name, heard, beat, silent), f"{place}{line}", way))
    found = weigh_parts(devices, (), T0 + 600 * SECOND)
    blamed = {name: one.weighed.cause for one in found if one.part in hit for name in one.devices}
    wrong = {name: Cause.UNDETERMINED for one in found if one.part not in hit for name in one.devices}
    for endpoint in {one.endpoint for one in devices}:
        mine = [one.device for one in devices if one.endpoint == endpoint and one.device.id not in blamed | wrong]
        together = weigh_line(endpoint, mine, T0 + 600 * SECOND)
        blamed |= dict.fromkeys(() if together is None else together[0], Cause.LINE)
    return [(blamed | wrong).get(name, Cause.DEVICE) for name in fault]


CAUSES = (
    Cause.DEVICE,
    Cause.LINE,
    Cause.SWITCH,
    Cause.EDGE,
    Cause.SITE_POWER,
    Cause.UPLINK,
    Cause.CARRIER,
    Cause.DISTRICT,
    Cause.BROKER,
)


def campaign(
    seed: int, faults: int, afterwards: bool = False, causes: Sequence[Cause] = CAUSES
) -> dict[Cause, dict[Cause, float]]:
    """The confusion matrix: of `faults` faults of every true cause, the share of silent things that each cause was blamed for."""
    chance = random.Random(seed)
    matrix: dict[Cause, dict[Cause, float]] = {}
    for cause in causes:
        shares: dict[Cause, float] = {}
        done = 0
        while done < faults:
            blamed = break_something(chance, cause, afterwards)
            if not blamed:
                continue
            done += 1
            for one in blamed:
                shares[one] = shares.get(one, 0.0) + 1 / len(blamed) / faults
        matrix[cause] = shares
    return matrix


def table(matrix: Mapping[Cause, Mapping[Cause, float]]) -> str:
    """The matrix in Markdown, true causes down, blamed ones across, in percent."""
    across = (*CAUSES, Cause.UNDETERMINED)
    lines = ["| true \\ blamed | " + " | ".join(across) + " |", "|---" * (len(across) + 1) + "|"]
    for cause, shares in matrix.items():
        cells = [f"{100 * shares[one]:.0f}" if shares.get(one) else "" for one in across]
        lines.append(f"| {cause} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
