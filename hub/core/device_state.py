"""What is noted of a device's state (VOCABULARY.md: device state): heard, silent for too long, what is wrong with it, what was proven. Pure; noted
in a `Draft`. What follows from silence as time goes by is `hub.core.supervision`.
"""

from hub.core.draft import Draft
from hub.core.health import diagnose, forget, function_of, is_retired
from hub.core.lane import Live
from hub.core.rows import Change, Gap
from hub.model import Lane, Micros, Quality, Reading, Series
from hub.registry import Device

SHORTEST_SILENCE: Micros = 1_000_000
"""below it nobody asks the profile: this is done for every sample"""


def hear(draft: Draft, device: Device, at: Micros, stream: str) -> None:
    """The device was heard at `at`; held close to its edge's beat, so that its own clock cannot hide its silence.

    Not up to a beat of another stream: what the disk of the edge still holds proves no life now, when memory says the newest.
    """
    beat = draft.beat_of(device.client)
    edge = draft.registry.devices.get(device.client)
    live = draft.live_of(device.id)
    heard = live.heard
    if beat is not None and edge is not None:
        latest = beat.at + edge.profile.liveness.offline_after
        at = min(max(at, beat.at) if stream == beat.stream else at, latest)
        heard = None if heard is not None and heard > latest else heard  # the clock of the edge went back
    if heard is None or at > heard:
        if heard is not None and at - heard > SHORTEST_SILENCE:
            _note_silence(draft, device, heard, at)
        draft.live[device.id] = live._replace(heard=at)


def _note_silence(draft: Draft, device: Device, since: Micros, until: Micros) -> None:
    """The device said nothing for longer than its profile allows; not its fault while its edge was away."""
    own = device.profile.liveness.offline_after
    if device.is_edge or until - since <= own:
        return
    away = draft.edge_gaps.get(device.client) or draft.state.edge_gaps.get(device.client)
    if away is None or since < away[0] - own or until > away[1] + own:
        draft.gaps.append(Gap(device.client, device.lane, device.id, since, until, "device"))


def mark(draft: Draft, edge: Device, lane: Lane, at: Micros) -> None:
    """An edge's beat in this lane. They follow one another in its stream whatever waited, so a hole between two is a time without it."""
    before = draft.mark_of(edge.id)
    if before is not None and at - before > edge.profile.liveness.offline_after:
        draft.edge_gaps[edge.id] = (before, at)
        draft.gaps.append(Gap(edge.client, lane, None, before, at, "edge"))
    draft.marks[edge.id] = at


def check_health(draft: Draft, device: Device, reading: Reading) -> None:
    """Add or remove what this reading says is wrong with the device."""
    faults = draft.faults_of(device.id)
    if not faults and reading.quality.is_good and reading.series.point not in device.profile.health_points:
        return  # nearly every reading there is: a quarter of the time of judging it, measured
    updated = diagnose(faults, device.profile, reading)
    if reading.quality is Quality.BAD_GONE:
        latest = draft.latest_of(reading.series)
        since = reading.at if latest is None else latest.changed_at
        waits = reading.series in draft.state.gone  # `hub.core.supervision` retires it, with its alarms
        retired = not waits and is_retired(device.profile, reading.series.point, since, draft.now)
        draft.gone[reading.series] = None if retired else since
        updated = forget(updated, reading.series) if retired else updated
    elif reading.series in draft.state.gone or reading.series in draft.gone:
        draft.gone[reading.series] = None
    if updated != faults:
        draft.faults[device.id] = updated
    refresh_function(draft, device)


def retire(draft: Draft, device: Device, series: Series) -> None:
    """What has gone from a table is no fault of the device any more."""
    draft.gone[series] = None
    draft.faults[device.id] = forget(draft.faults_of(device.id), series)
    refresh_function(draft, device)


def prove(draft: Draft, device: Device) -> None:
    """A function test has passed."""
    draft.live[device.id] = draft.live_of(device.id)._replace(proven=True)
    refresh_function(draft, device)


def refresh_function(draft: Draft, device: Device) -> None:
    """Compute the function state again from what is wrong and what was proven."""
    live = draft.live_of(device.id)
    function, reason = function_of(draft.faults_of(device.id), proven=live.proven or device.is_edge)
    if (function, reason) != (live.function, live.function_reason):
        update_live(draft, device, live._replace(function=function, function_reason=reason, function_since=draft.now))


def update_live(draft: Draft, device: Device, live: Live) -> None:
    """Store new liveness or health, and say so on the change feed when an axis moved."""
    before = draft.live_of(device.id)
    draft.live[device.id] = live
    if (before.link, before.function) == (live.link, live.function) and device.id in draft.state.live:
        return
    payload = {
        "device": device.id,
        "link_state": live.link.state,
        "link_cause": live.link.cause,
        "function_state": live.function,
        "function_reason": live.function_reason,
    }
    draft.changes.append(Change("device_state", device.institution_key, payload))
