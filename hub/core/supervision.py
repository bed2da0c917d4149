"""What time alone does to a lane: silence, delays that end, tests that run out. Pure; `tick` returns a draft like a batch does."""

from collections.abc import Iterator, Mapping, Sequence, Set
from types import MappingProxyType

from hub.core.alarms import AlarmEvent, Fired, gate, holds, is_active, step
from hub.core.commissioning import Trial, missing
from hub.core.device_state import check_health, refresh_function, retire, update_live
from hub.core.draft import Draft
from hub.core.health import is_retired
from hub.core.hidings import release, remove_from_service, return_to_service
from hub.core.judging import end_exercise, fire, judge_latest, judge_reading, run_timer
from hub.core.lane import Gates, Key, Live, State
from hub.core.lateness import waits
from hub.core.liveness import Verdict, judge_device, judge_edge
from hub.core.normalise import Latest
from hub.core.rest import Behind, rest
from hub.core.rows import Change
from hub.model import (
    LIFE_SAFETY,
    AdminState,
    Exercise,
    FunctionState,
    Lane,
    LinkState,
    Micros,
    Quality,
    Reading,
    Series,
)
from hub.profiles import LINK_POINT, AlarmDefinition
from hub.registry import Device, Registry

RUNS_POINT = "config_version"
BEHIND_POINT = "config_behind"
BEHIND: Micros = 600_000_000
"""how long an edge that is online may take for a configuration: the trial takes two minutes, a rollback another"""
LOOKS = 4_000
"""devices of a lane that one tick looks at, if need be: 30 ms, measured. When a whole partition falls silent or begins to be heard, all of its
devices would be judged and written in one go, and everything else would stand still for a second; so they are within some ticks, in turn"""
MOVES = 1_000
"""devices of a lane whose state one tick moves by silence. After a restart of the hub most of a partition is heard again before its turn comes to be
unknown for a moment, and is never written twice for nothing; a partition that really fell silent is told within half a minute (bulk: a tick a second)"""
HOLD_POINT = "hold_seconds"
"""for how long an edge can keep what it reads, by its own reckoning"""
UNPLACED = Verdict(LinkState.UNKNOWN, "unplaced")
"""behind something that is no client"""
_NO_CLIENT = Behind(UNPLACED, 0, None)


def tick(
    state: State,
    registry: Registry,
    lane: Lane,
    now: Micros,
    observing_since: Micros,
    clients: Mapping[str, Micros],
    requested: Sequence[Trial] = (),
    deaths: Mapping[str, Micros] = MappingProxyType({}),
    deaf: str = "hub",
    heard_until: Micros | None = None,
    left_out: Set[str] = frozenset(),
) -> Draft:
    """Judge liveness, pending delays and open tests of this lane at `now`.

    `observing_since`: since when this lane has listened without a break. `clients`: when each client was last received, in any lane of the
    partition. `requested`: function tests to open. `deaths`: when the broker said that the session of a client had ended.
    `deaf`: what kept this lane from listening before. `heard_until`: silence counts up to then only, since the broker itself has said nothing after it.
    `left_out`: clients of whose devices nothing is judged now.
    """
    draft = Draft(state, registry, now)
    draft.left_out = left_out
    known = {test.id for test in state.tests.values()}
    for test in requested:
        if test.id not in known and not _is_left_out(draft, test.device):  # its time begins now, by the hub's clock
            draft.tests[test.device] = test._replace(opened_at=now, deadline=now + test.deadline - test.opened_at)
    until = now if heard_until is None else min(now, heard_until)
    _judge_links(draft, lane, until, observing_since, clients, deaths, deaf)
    _judge_configurations(draft, lane)
    _follow_hours(draft, lane)
    _run_timers(draft)
    _clear_vanished(draft)
    _retire_gone(draft)
    _follow_service(draft)
    _release_late(draft, observing_since)
    _end_exercises(draft)
    _expire_tests(draft)
    return draft


def _judge_links(
    draft: Draft,
    lane: Lane,
    now: Micros,
    observing_since: Micros,
    clients: Mapping[str, Micros],
    deaths: Mapping[str, Micros],
    deaf: str,
) -> None:
    """The link states of the lane as of `now`, twice a second: each client's own, and of the devices behind it those that have no rest."""
    state = draft.state
    edges: dict[str, Behind] = {}
    for device in draft.registry.own_clients:
        after = device.profile.liveness.offline_after
        verdict = judge_edge(now, after, clients.get(device.client), observing_since, deaths.get(device.client), deaf)
        edges[device.id] = Behind(verdict, after, state.beats.get(device.id), deaf)
        if device.lane is lane and device.client not in draft.left_out:
            _look(draft, device, verdict)
            if device.is_edge and verdict.state is LinkState.OFFLINE:
                _judge_hold(draft, device)
    rests = state.rests_by(draft.registry)
    awake = state.stirred | {device.client for device in _tested(draft)}
    everybody = list(enumerate(draft.registry.behind[lane].items()))
    first = state.look_from % max(1, len(everybody))
    looked = turned = 0
    for number, (client, devices) in everybody[first:] + everybody[:first]:
        if client in draft.left_out:
            continue
        behind = edges.get(client, _NO_CLIENT)
        known = None if client in awake else rests.get(client)
        if known is not None and known.holds(now, behind):
            continue
        if looked >= LOOKS or turned >= MOVES:
            draft.look_from = number  # the next tick begins here: everybody has a turn
            break
        looked += len(devices)
        found = [(device, _verdict(state, device, now, behind)) for device in devices]
        moved = [_look(draft, device, verdict) for device, verdict in found]
        turned += sum(moved)
        quiet = None
        if not any(moved):
            measures = [
                (_heard(state, device), device.profile.liveness.offline_after, verdict) for device, verdict in found
            ]
            quiet = rest(now, behind, measures, number * 7_919)
        draft.rests[client] = quiet


def _judged(draft: Draft, name: str) -> Device | None:
    """A registered device that is not left out."""
    device = draft.registry.devices.get(name)
    return None if device is None or device.client in draft.left_out else device


def _is_left_out(draft: Draft, name: str) -> bool:
    device = draft.registry.devices.get(name)
    return device is not None and device.client in draft.left_out


def _tested(draft: Draft) -> Iterator[Device]:
    for name in {**draft.state.tests, **draft.tests}:
        device = draft.registry.devices.get(name)
        if device is not None:
            yield device


def _heard(state: State, device: Device) -> Micros | None:
    live = state.live.get(device.id)
    return None if live is None else live.heard


def _verdict(state: State, device: Device, now: Micros, behind: Behind) -> Verdict:
    if behind is _NO_CLIENT:
        return UNPLACED
    return judge_device(now, device.profile.liveness.offline_after, _heard(state, device), *behind)


def _look(draft: Draft, device: Device, verdict: Verdict) -> bool:
    """Judge one device; whether anything had to be moved."""
    live = draft.state.live.get(device.id)
    if live is not None and live.link == verdict and not _is_unsound(live, device):
        if LINK_POINT not in device.profile.alarms_of:
            return False
        before = len(draft.watches)
        _judge_link(draft, device, verdict)
        return len(draft.watches) != before
    _judge_link(draft, device, verdict)
    return True


def _is_unsound(live: Live, device: Device) -> bool:
    """Ok without proof, or not ok without a reason: others wrote, or the profile changed."""
    if live.function is FunctionState.OK:
        return not (live.proven or device.is_edge)
    return live.proven or device.is_edge


def _judge_link(draft: Draft, device: Device, verdict: Verdict) -> None:
    live = draft.live_of(device.id)
    if live.link != verdict or device.id not in draft.state.live:
        since = draft.now if live.link.state is not verdict.state else live.link_since
        update_live(draft, device, Live(live.heard, verdict, since, *live[3:]))
    if _is_unsound(live, device):
        refresh_function(draft, device)  # what a manifest changed is unproven again, whatever was written meanwhile
    if verdict.state is LinkState.UNKNOWN or device.admin_state is not AdminState.IN_SERVICE:
        return
    if draft.test_of(device.id) is None and _link_moved(draft, device, verdict):
        silent = float(verdict.state is LinkState.OFFLINE)
        series = Series(device.id, LINK_POINT)
        judge_reading(draft, device, Reading(series, draft.now, draft.now, silent, None, Quality.GOOD))


def _link_moved(draft: Draft, device: Device, verdict: Verdict) -> bool:
    for name, definition in device.profile.alarms_of.get(LINK_POINT, ()):
        watch = draft.watch_of(Key(device.id, name, ""))
        silent = float(verdict.state is LinkState.OFFLINE)
        if watch is None or watch.holds != holds(definition.condition, definition.deadband, watch.holds, silent, None):
            return True
    return False


def _judge_configurations(draft: Draft, lane: Lane) -> None:
    """An edge that is there and has not taken the configuration that is wanted for `BEHIND`: its point says so, health and alarm follow."""
    for device in draft.registry.own_clients:
        if device.wanted == 0 or device.lane is not lane or BEHIND_POINT not in device.profile.points:
            continue
        if device.client in draft.left_out:
            continue
        if draft.live_of(device.id).link.state is not LinkState.ONLINE:
            continue  # what is not there is said to be away, and nothing else
        runs = draft.latest_of(Series(device.id, RUNS_POINT))
        differs = runs is None or runs.value != device.wanted
        behind = float(differs and draft.now - device.wanted_at >= BEHIND)
        series = Series(device.id, BEHIND_POINT)
        latest = draft.latest_of(series)
        if (0.0 if latest is None else latest.value) == behind:
            continue
        draft.latest[series] = Latest(draft.now, behind, None, Quality.GOOD, draft.now, draft.now)
        reading = Reading(series, draft.now, draft.now, behind, None, Quality.GOOD)
        check_health(draft, device, reading)
        judge_reading(draft, device, reading)


def _judge_hold(draft: Draft, device: Device) -> None:
    """An edge that is not heard fills its spool: how long that can go on it said last, and since then time has passed."""
    series = Series(device.id, HOLD_POINT)
    latest = draft.latest_of(series)
    if latest is None or latest.value is None or device.admin_state is not AdminState.IN_SERVICE:
        return
    left = max(0.0, latest.value - max(0, draft.now - latest.at) / 1e6)
    for name, definition in device.profile.alarms_of.get(HOLD_POINT, ()):
        watch = draft.watch_of(Key(device.id, name, ""))
        already = watch is not None and watch.holds
        if not already and holds(definition.condition, definition.deadband, already, left, None):
            judge_reading(draft, device, Reading(series, draft.now, draft.now, left, None, Quality.GOOD))


def _follow_hours(draft: Draft, lane: Lane) -> None:
    """Conditions that depend on opening hours or the armed state begin and end to hold with them, though no reading comes."""
    due: dict[str, dict[str, AlarmDefinition]] = {}
    for institution, devices in draft.registry.gated[lane].items():
        hours, seen = draft.hours_of(institution), draft.state.gates.get(institution)
        if seen is not None and seen.hours == hours and draft.now < seen.until:
            continue
        if any(device.client in draft.left_out for device in devices):
            continue
        draft.gates[institution] = Gates(hours, hours.next_change(draft.now))
        due |= {device.id: dict(device.profile.gated) for device in devices}
    if not due:
        return
    for key in {**draft.state.watches, **draft.watches}:
        definition = due.get(key.device, {}).get(key.definition)
        if definition is not None and definition.condition.present is None:
            _follow_gate(draft, key, definition)


def _follow_gate(draft: Draft, key: Key, definition: AlarmDefinition) -> None:
    hours = draft.gates[draft.registry.devices[key.device].institution].hours
    watch, latest = draft.watch_of(key), draft.latest_of(Series(key.device, definition.point, key.instance))
    if watch is None or definition.when is None:
        return
    met = (
        latest is not None
        and latest.quality < Quality.BAD_RANGE
        and holds(definition.condition, definition.deadband, watch.holds, latest.value, latest.text)
    )
    now_holds = met and hours.stands(definition.when, draft.now)
    since = hours.since(definition.when, draft.now)
    moved = gate(watch, now_holds, watch.since if since is None else since)
    if moved is not None:
        draft.watches[key] = moved


def _follow_service(draft: Draft) -> None:
    """What stands of a device that a person took out of service is hidden; when it is back, what still stands is paged."""
    for key in draft.state.alarms:
        device, alarm = _judged(draft, key.device), draft.alarm_of(key)
        if device is None or alarm is None:
            continue
        out = device.admin_state is AdminState.OUT_OF_SERVICE
        if out and not alarm.out_of_service:
            draft.move(device, key, *remove_from_service(alarm, draft.now, note="the device is out of service"))
        elif alarm.out_of_service and not out:
            draft.move(device, key, *return_to_service(alarm, draft.now, note="the device is in service again"))


def _release_late(draft: Draft, listening_since: Micros) -> None:
    """A late alarm is paged when the rest of what was late has come and it still stands."""
    for key in draft.state.alarms:
        device, alarm = _judged(draft, key.device), draft.alarm_of(key)
        if device is None or alarm is None or alarm.held_until is None or alarm.maintenance is not None:
            continue
        streams = draft.state.streams.items()
        lags = [draft.state.lags[name] for name, s in streams if s.client == device.client and name in draft.state.lags]
        if not waits(alarm.held_until, lags, listening_since, draft.now):
            draft.move(device, key, *release(alarm, draft.now))


def _run_timers(draft: Draft) -> None:
    """Delays end by the hub's clock when no reading comes that would end them."""
    alarms = draft.state.alarms
    waiting = [
        (key, watch) for key, watch in draft.state.watches.items() if watch.holds is not is_active(alarms.get(key))
    ]
    for key, watch in {**dict(waiting), **draft.watches}.items():
        device = _judged(draft, key.device)
        definition = None if device is None else device.profile.alarms.get(key.definition)
        if device is None or definition is None or draft.test_of(device.id) is not None:
            continue
        heard = draft.live_of(device.id).link.state is LinkState.ONLINE or definition.point == LINK_POINT
        if heard or definition.signal_class in LIFE_SAFETY:  # silence is no evidence that a condition still holds
            run_timer(draft, device, key, definition, watch)


def _clear_vanished(draft: Draft) -> None:
    """An alarm whose definition is no longer in the profile: nothing would ever clear it, and nobody could reset it."""
    for key, alarm in draft.state.alarms.items():
        device = _judged(draft, key.device)
        if device is not None and key.definition not in device.profile.alarms and is_active(draft.alarm_of(key)):
            note = "the definition is no longer in the device's profile"
            draft.move(device, key, *step(alarm, AlarmEvent.CLEAR, draft.now, "", note))


def _retire_gone(draft: Draft) -> None:
    """Rows that have been gone from their table for long: no fault, and no alarm that nothing would ever clear. Never where life is guarded."""
    for series, since in draft.state.gone.items():
        device = _judged(draft, series.device)
        if device is None or not is_retired(device.profile, series.point, since, draft.now):
            continue
        retire(draft, device, series)
        for name, definition in device.profile.alarms_of.get(series.point, ()):
            key = Key(device.id, name, series.instance)
            watch, alarm = draft.watch_of(key), draft.alarm_of(key)
            if definition.condition.present is not None:
                continue
            if watch is not None and watch.holds:
                draft.watches[key] = watch._replace(holds=False, since=max(watch.since, draft.now))
            if alarm is not None and is_active(alarm):
                note = f"{series.point} {series.instance} has been gone for long"
                draft.move(device, key, *step(alarm, AlarmEvent.CLEAR, draft.now, "", note))


def _end_exercises(draft: Draft) -> None:
    """Alarms of drills and proofs that are over end. What still holds then is real, and pages: a fire may have begun under a drill."""
    state = draft.state
    for key, alarm in state.alarms.items():
        if alarm.exercise is Exercise.DRILL:
            over = alarm.exercise_id is None or draft.now >= state.drills.get(alarm.exercise_id, 0)
        elif alarm.exercise is Exercise.PROOF:
            probe = None if alarm.exercise_id is None else state.probes.get(alarm.exercise_id)
            over = probe is None or not probe.open
        else:
            continue
        device = _judged(draft, key.device)
        if not over or device is None or draft.alarm_of(key) is not alarm:
            continue
        end_exercise(draft, device, key, alarm, f"the {alarm.exercise} is over")
        definition = device.profile.alarms.get(key.definition)
        if is_active(alarm) and definition is not None:
            fire(draft, device, key, definition, (Fired(AlarmEvent.RAISE, draft.now),))


def _expire_tests(draft: Draft) -> None:
    for test in {**draft.state.tests, **draft.tests}.values():
        device = draft.registry.devices.get(test.device)
        if draft.now < test.deadline or test.id in draft.passed or _is_left_out(draft, test.device):
            continue
        why = "the device is not registered any more" if device is None else "; ".join(missing(test, device.profile))
        draft.expired[test.id] = (test.device, why)
        if device is not None:
            payload = {"device": test.device, "test": str(test.id), "result": "expired"}
            draft.changes.append(Change("device_state", device.institution_key, payload))
            judge_latest(draft, device)
