"""T5: the restart of a hub with very many devices makes nobody offline and raises nothing. And how soon a dead life-safety device is missed.

There are 20,000 devices here; `ANXIN_TEST_DEVICES=280000` runs it with a province.
"""

import os

import pytest

from hub.core.lane import Live, State
from hub.core.liveness import Beat, Verdict
from hub.core.supervision import LOOKS, MOVES, tick
from hub.model import AdminState, FunctionState, Lane, LinkState
from hub.profiles import Profile, parse_profile
from hub.registry import Client, Device, Registry
from tests.core.lane_world import PROFILES, SECOND, T0, World, registry, sample

DEVICES = int(os.environ.get("ANXIN_TEST_DEVICES", "20000"))
SOME = 3 * LOOKS
PER_SITE = 56
ONLINE = Verdict(LinkState.ONLINE, "")


def province(lane: Lane, count: int = DEVICES) -> tuple[Registry, State]:
    """Institutions of 55 devices and an edge; all of them were online when the hub stopped."""
    of_lane = beating(1) if lane is Lane.URGENT else PROFILES["p-heat"]
    devices: dict[str, Device] = {}
    clients: dict[str, Client] = {}
    for n in range(count):
        site = n // PER_SITE
        edge = f"edge-{site}"
        is_edge = n % PER_SITE == 0
        profile = PROFILES["p-edge"] if is_edge else of_lane
        name = edge if is_edge else f"d-{n}"
        place = Lane.BULK if is_edge else lane
        devices[name] = Device(
            n + 1, name, f"i-{site}", site + 1, profile, place, AdminState.IN_SERVICE, edge, is_edge, "园", "site"
        )
        if is_edge:
            clients[edge] = Client(edge, f"i-{site}", 0, edge, False)
    live = Live(T0 - SECOND, ONLINE, T0 - 3600 * SECOND, FunctionState.OK, "", T0 - 3600 * SECOND, True)
    return Registry(8, devices, clients), State(live=dict.fromkeys(devices, live))


@pytest.mark.parametrize("lane", Lane)
def test_the_restart_of_a_hub_with_very_many_devices_makes_no_offline_alarm(lane: Lane) -> None:
    known, state = province(lane)
    edges = list(known.clients)
    behind: dict[str, list[str]] = {edge: [] for edge in edges}
    for device in known.devices.values():
        behind[device.client].append(device.id)
    states: set[tuple[LinkState, str]] = set()
    heard: dict[str, int] = {}
    raised = 0
    for tenth in (0, 5, 10, 15, 20, 25, 50):  # after 3 s of silence everything of this world is given up
        now = T0 + tenth * SECOND // 10
        for edge in edges if tenth >= 25 else edges[len(heard) : len(edges) * tenth // 25]:
            heard[edge] = now  # it is back, with what its spool kept, and beats on
            state.beats[edge] = Beat(now, now, 900 * SECOND)
            state.stirred.add(edge)
            for name in behind[edge]:
                state.live[name] = state.live[name]._replace(heard=now)
        draft = tick(state, known, lane, now, T0, heard)
        raised += len(draft.transitions)
        draft.settle()
        states |= {(live.link.state, live.link.cause) for live in state.live.values()}
    for _ in range(DEVICES // MOVES + 1):  # so many ticks it takes to look at a partition that moved as a whole
        draft = tick(state, known, lane, now, T0, heard)
        raised += len(draft.transitions)
        draft.settle()
    assert raised == 0
    assert states == {(LinkState.ONLINE, ""), (LinkState.UNKNOWN, "hub")}
    in_lane = [state.live[device.id].link for device in known.devices.values() if device.lane is lane]
    assert (set(in_lane), len(in_lane) > DEVICES // 2) == ({ONLINE}, True)


def test_a_partition_that_falls_silent_as_a_whole_is_looked_at_in_turns_and_nobody_is_left_out() -> None:
    known, state = province(Lane.BULK)
    heard = dict.fromkeys(known.clients, T0)  # and nobody after
    devices = {device.id for device in known.devices.values() if not device.is_edge}
    now, silent = T0 + 10 * SECOND, 0
    for _ in range(len(devices) // MOVES + 1):
        state.stirred.update(list(known.clients)[:3])  # who always wants a look takes nobody's turn
        draft = tick(state, known, Lane.BULK, now, T0 - 3600 * SECOND, heard)
        looked = len(draft.live.keys() & devices)
        assert looked <= MOVES + PER_SITE
        draft.settle()
        silent += looked
        now += SECOND // 2
    assert silent == len(devices)
    assert {state.live[name].link for name in devices} == {Verdict(LinkState.UNKNOWN, "edge")}


def test_after_a_restart_whoever_is_heard_before_its_turn_comes_is_never_unknown() -> None:
    known, state = province(Lane.BULK, SOME)
    edges = list(known.clients)
    behind: dict[str, list[str]] = {edge: [] for edge in edges}
    for device in known.devices.values():
        behind[device.client].append(device.id)
    heard: dict[str, int] = {}
    flapped = 0
    for turn in range(SOME // MOVES + 10):  # the first five while they come back
        now = T0 + turn * SECOND // 10
        for edge in edges if turn >= 5 else edges[len(heard) : len(edges) * turn // 5]:
            heard[edge] = now
            state.beats[edge] = Beat(now, now, 900 * SECOND)
            for name in behind[edge]:
                state.live[name] = state.live[name]._replace(heard=now)
        draft = tick(state, known, Lane.BULK, now, T0, heard)
        flapped += sum(live.link != ONLINE for live in draft.live.values())
        draft.settle()
    assert 0 < flapped <= 5 * (MOVES + PER_SITE) + len(edges)
    assert {live.link for live in state.live.values()} == {ONLINE}


def test_where_nothing_moves_a_tick_looks_at_more_but_not_at_a_whole_partition() -> None:
    known, state = province(Lane.BULK, SOME)
    heard = dict.fromkeys(known.clients, T0)
    state.beats.update({edge: Beat(T0, T0, 900 * SECOND) for edge in known.clients})

    def look() -> int:
        draft = tick(state, known, Lane.BULK, T0, T0 - 3600 * SECOND, heard)
        draft.settle()
        return len(draft.rests)

    while look():
        pass
    state.rests.clear()
    turns = [look() for _ in range(SOME // LOOKS + 2)]
    assert turns[0] * (PER_SITE - 1) >= LOOKS
    assert max(turns) <= LOOKS // (PER_SITE - 1) + 2
    assert sum(turns) == len(known.clients)


# how soon a dead device is missed --------------------------------------------------------------------------------------


def beating(every: int) -> Profile:
    """A wireless button that beats every so many seconds and is given up after three of its beats."""
    document = {
        "profile": "p-sos",
        "kind": "panic_button",
        "vendor": "anxin",
        "model": "sos",
        "title": {"zh": "按钮", "en": "button"},
        "source": "our own",
        "driver": "mqtt",
        "liveness": {"beat": f"{every}s", "offline_after": f"{3 * every}s"},
        "points": {
            "pressed": {"title": {"zh": "按", "en": "press"}, "type": "bool"},
            "alive": {"title": {"zh": "心跳", "en": "alive"}, "type": "int", "record": "beat"},
        },
        "alarms": {
            "panic": {
                "title": {"zh": "报警", "en": "panic"},
                "class": "panic",
                "priority": "critical",
                "point": "pressed",
                "condition": {"equals": True},
                "latching": True,
                "response": {"zh": "看", "en": "look"},
            },
            "link_lost": {
                "title": {"zh": "离线", "en": "silent"},
                "class": "communication",
                "priority": "high",
                "point": "link",
                "condition": {"equals": 1},
                "response": {"zh": "看", "en": "look"},
            },
        },
        "test": {"pressed": {"pressed": {"equals": True}}},
    }
    return parse_profile(document, "test")


@pytest.mark.parametrize("phase", [0.0, 0.4, 3.3, 9.9])
def test_the_silence_of_a_panic_button_that_beats_every_30_s_is_an_alarm_within_95_s(phase: float) -> None:
    profile = beating(30)
    button = Device(
        9,
        "sos-1",
        "garden",
        1,
        profile,
        profile.lane,
        AdminState.IN_SERVICE,
        "edge-1",
        False,
        "园",
        "garden",
        proven=True,
    )
    edge = registry().devices["edge-1"]
    world = World(Lane.URGENT, registry(edge, button))
    world.say(sample("edge-1", "beat", 900.0, world.now), sample("sos-1", "alive", 1, world.now))
    died = world.now
    world.now += round(phase * SECOND)
    while not world.alarms():
        assert world.now - died <= 95 * SECOND, "not found"
        world.now += SECOND // 2  # as often as ingest looks
        if (world.now - T0) % SECOND < SECOND // 2:
            world.beat()
        world.tick()
    assert world.alarms() == {"link_lost": "unack_active"}
    assert 90 * SECOND <= world.now - died <= 95 * SECOND


def test_an_edge_that_beats_every_10_s_costs_no_more_than_a_beat_of_that_time() -> None:
    """The real edge's beat: the silence behind it is judged by its clock, which moves with its beats."""
    profile = beating(25)
    button = Device(
        9,
        "sos-1",
        "garden",
        1,
        profile,
        profile.lane,
        AdminState.IN_SERVICE,
        "edge-1",
        False,
        "园",
        "garden",
        proven=True,
    )
    slow = PROFILES["p-edge"].model_copy(
        update={
            "liveness": PROFILES["p-edge"].liveness.model_copy(
                update={"beat": 10 * SECOND, "offline_after": 30 * SECOND}
            )
        }
    )
    edge = registry().devices["edge-1"]
    edge = Device(1, "edge-1", "garden", 1, slow, edge.lane, AdminState.IN_SERVICE, "edge-1", True, "园", "garden")
    world = World(Lane.URGENT, registry(edge, button))
    world.say(sample("edge-1", "beat", 900.0, world.now), sample("sos-1", "alive", 1, world.now))
    died = world.now
    while not world.alarms():
        world.now += SECOND // 2
        if (world.now - T0) % (10 * SECOND) == 3 * SECOND:
            world.beat()
        world.tick()
    assert world.now - died <= 75 * SECOND + 10 * SECOND + SECOND // 2
