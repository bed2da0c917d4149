"""From messages to what one transaction writes: sequence, decode, normalise, judge. Pure; nothing is assigned before the commit.

`take_in` judges a batch against a lane's `State` and returns a `Draft` (both in `hub.core.draft`).
"""

from collections.abc import Sequence

from hub.core import wire
from hub.core.commissioning import belongs, missing, observe
from hub.core.draft import Change, Draft, EventRow, Message, Quarantined, State, Streamed
from hub.core.liveness import Beat
from hub.core.normalise import Latest, moved, normalise, worth_a_row
from hub.errors import BadInput
from hub.model import Micros, Quality, Reading, Reject, Sample, Series
from hub.profiles import Point, Record
from hub.registry import Device, Registry

BEAT_POINT = "beat"
LONGEST_UPTIME = 1e9
"""seconds; what an edge says beyond it is nonsense that must not overflow"""


def take_in(
    state: State, registry: Registry, messages: Sequence[Message], now: Micros, refused: frozenset[tuple[str, int, int]]
) -> Draft:
    """Judge a batch of one lane, in order. `refused` names (stream, seq, n) that the database would not take: they go to quarantine."""
    draft = Draft(state, registry, now)
    for message in messages:
        take_message(draft, message, refused)
    return draft


def take_message(draft: Draft, message: Message, refused: frozenset[tuple[str, int, int]] = frozenset()) -> None:
    """One message: skip it, answer a gap, or take all that is in it."""
    streamed = draft.streams.get(message.stream) or draft.state.streams.get(message.stream)
    upto = 0 if streamed is None else streamed.upto
    confirm = (message.client, message.lane, message.stream)
    draft.clients[message.client] = draft.now
    if streamed is not None and streamed.client != message.client:
        where = f"topic {message.topic}"
        _quarantine(draft, message, None, BadInput(f"stream {message.stream} is another client's", where, "client"))
        return
    if message.seq != upto + 1:
        draft.confirm[confirm] = upto
        return
    newest = None if streamed is None else streamed.newest_at
    newest = _take_payload(draft, message, newest, refused)
    draft.streams[message.stream] = Streamed(message.client, message.lane, message.seq, newest)
    draft.confirm[confirm] = message.seq
    draft.messages += 1


def _take_payload(
    draft: Draft, message: Message, newest: Micros | None, refused: frozenset[tuple[str, int, int]]
) -> Micros | None:
    tally = draft.tallies[message.stream]
    try:
        up = wire.decode_up(message.payload)
    except BadInput as error:
        tally.produced += 1
        _quarantine(draft, message, -1, error)
        return newest
    tally.produced += len(up.samples) + len(up.rejects) + len(up.refused)
    for n, code, reason, payload in up.refused:
        _quarantine(draft, message, n, BadInput(reason, f"samples[{n}]", code), payload)
    for n, reject in up.rejects:
        _quarantine_reject(draft, message, n, reject)
    for n, sample in up.samples:
        try:
            if (message.stream, message.seq, n) in refused:
                raise BadInput("the database refused this row", _where(sample.series), "refused")
            reading = take_sample(draft, message, n, sample)
        except BadInput as error:
            _quarantine(draft, message, n, error, wire.encode_sample(sample))
        else:
            newest = reading.at if newest is None else max(newest, reading.at)
    return newest


def take_sample(draft: Draft, message: Message, n: int, sample: Sample) -> Reading:
    """One sample of a known device and point: heard, normalised, stored or suppressed, judged. Raises BadInput."""
    series = sample.series
    device = draft.registry.devices.get(series.device)
    if device is None or device.client != message.client:
        raise BadInput(f"no such device at client {message.client}", _where(series), "device")
    point = device.profile.points.get(series.point)
    if point is None:
        raise BadInput(f"profile {device.profile.profile} has no such point", _where(series), "point")
    if device.lane is not message.lane and not device.is_edge:
        raise BadInput(f"this device belongs on the {device.lane} lane", _where(series), "point")
    reading = normalise(sample, point, draft.now, message.lane)
    if sample.error is None:
        _note_beat(draft, device, reading)
        if device.lane is message.lane:  # an edge beats in both lanes and lives in its own
            draft.hear(device, reading.at)
    return _keep(draft, message, n, device, point, reading)


def _note_beat(draft: Draft, device: Device, reading: Reading) -> None:
    if device.is_edge and reading.series.point == BEAT_POINT and reading.value is not None:
        uptime = min(max(reading.value, 0.0), LONGEST_UPTIME)
        draft.beats[device.id] = Beat(reading.at, draft.now, int(uptime * 1_000_000))


def _keep(draft: Draft, message: Message, n: int, device: Device, point: Point, reading: Reading) -> Reading:
    tally = draft.tallies[message.stream]
    if point.record is Record.BEAT:
        tally.beats += 1
        _judge(draft, device, reading)
        return reading
    latest = draft.latest_of(reading.series)
    if point.record is Record.READING and latest is not None and latest.at == reading.at:
        if _same(latest, reading):
            tally.duplicates += 1
            return reading
        reading = reading._replace(at=reading.at + 1)
    if point.record is Record.EVENT:
        tally.events += 1
        draft.events.append(EventRow(message.stream, message.seq, n, reading))
        stored = True
    else:
        stored = latest is None or reading.at <= latest.at or worth_a_row(latest, reading, point.report)
        tally.stored += stored
        tally.suppressed += not stored
        if stored:
            draft.readings.append(reading)
    if latest is None or reading.at > latest.at:
        _advance(draft, latest, reading, stored=stored)
    _judge(draft, device, reading, newest=latest is None or reading.at >= latest.at)
    return reading


def _same(latest: Latest, reading: Reading) -> bool:
    return (latest.value, latest.text, latest.quality) == (reading.value, reading.text, reading.quality)


def _advance(draft: Draft, latest: Latest | None, reading: Reading, *, stored: bool) -> None:
    changed = latest is None or latest.quality != reading.quality or moved(latest, reading, 0.0)
    draft.latest[reading.series] = Latest(
        reading.at,
        reading.value,
        reading.text,
        reading.quality,
        reading.at if latest is None or changed else latest.changed_at,
        reading.at if latest is None or stored else latest.stored_at,
    )


def _judge(draft: Draft, device: Device, reading: Reading, *, newest: bool = True) -> None:
    """Function test, health, alarms. Only the newest reading of a series says how the device is now."""
    test = draft.test_of(device.id)
    tested = test is not None and belongs(test, reading)
    if test is not None and tested:
        moved_on = observe(test, device.profile, reading)
        draft.tests[device.id] = moved_on
        if not missing(moved_on, device.profile):
            draft.passed[test.id] = device.id
            draft.prove(device)
            payload = {"device": device.id, "test": str(test.id), "result": "passed"}
            draft.changes.append(Change("device_state", device.institution_key, payload))
            draft.judge_latest(device)
    if newest:
        draft.check_health(device, reading)
    if not tested and reading.quality < Quality.BAD_RANGE:
        draft.judge_reading(device, reading)


# quarantine ---------------------------------------------------------------------------------------------------------


def _where(series: Series) -> str:
    return "/".join(part for part in series if part)


def _quarantine(draft: Draft, message: Message, n: int | None, error: BadInput, payload: bytes | None = None) -> None:
    if n is not None:
        draft.tallies[message.stream].quarantined += 1
    reason = f"{error.where}: {error.reason}" if error.where else error.reason
    held = message.payload if payload is None else payload
    draft.quarantined.append(
        Quarantined(
            None,
            message.client,
            message.topic,
            message.stream if n is not None else None,
            message.seq if n is not None else None,
            n,
            error.code,
            reason[:1000],
            held[: wire.QUARANTINED_BYTES],
        )
    )


def _quarantine_reject(draft: Draft, message: Message, n: int, reject: Reject) -> None:
    draft.tallies[message.stream].quarantined += 1
    draft.quarantined.append(
        Quarantined(
            reject.at,
            message.client,
            reject.source,
            message.stream,
            message.seq,
            n,
            reject.code,
            reject.reason[:1000],
            reject.payload,
        )
    )
