"""From messages to what one transaction writes: sequence, decode, normalise, judge. Pure; nothing is assigned before the commit.

`take_in` judges a batch against a lane's `State` (`hub.core.lane`) and returns a `Draft` (`hub.core.draft`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from hub.core import wire
from hub.core.clocks import note_clock
from hub.core.commissioning import belongs, missing, observe
from hub.core.device_state import check_health, hear, mark, prove
from hub.core.draft import Draft
from hub.core.exercises import PROOF_STREAM
from hub.core.judging import judge_latest, judge_reading, note_armed
from hub.core.lane import Message, State, Streamed
from hub.core.liveness import Beat
from hub.core.normalise import Latest, moved, normalise, worth_a_row
from hub.core.proofs import take_marked
from hub.core.rows import Change, EventRow, Gap, Quarantined
from hub.errors import BadInput
from hub.model import Lane, Micros, Quality, Reading, Reject, Sample, Series
from hub.profiles import Point, Record
from hub.registry import Device, Registry

BEAT_POINT = "beat"
LONGEST_UPTIME = 1e9
"""seconds; what an edge says beyond it is nonsense that must not overflow"""
MAX_ITEMS = wire.MAX_SAMPLES + wire.MAX_REJECTS
MOST_OFF = 10**9
"""items that one message may be out of balance by; a lying client must not make the hour's sum overflow"""


def take_in(
    state: State,
    registry: Registry,
    messages: Sequence[Message],
    now: Micros,
    refused: frozenset[tuple[str, int, int]],
    other: State | None = None,
) -> Draft:
    """Judge a batch of one lane, in order. `refused` names (stream, seq, n) that the database would not take, or over which judging itself fell: they
    go to quarantine. With n = -1 the message is meant as a whole.

    `other` is the state of the other lane, for devices that moved there: what still comes of them here is judged where they are. Without it
    such a sample is refused, and the draft says that it `crosses`.
    """
    draft = Draft(state, registry, now, other)
    for message in messages:
        take_message(draft, message, refused)
    return draft


def take_message(draft: Draft, message: Message, refused: frozenset[tuple[str, int, int]] = frozenset()) -> None:
    """One message: skip it, answer a gap, or take all that is in it."""
    streamed = draft.streams.get(message.stream) or draft.state.streams.get(message.stream)
    upto = 0 if streamed is None else streamed.upto
    confirm = (message.client, message.lane, message.stream)
    if not message.stream.startswith(PROOF_STREAM):  # there the hub itself speaks
        draft.clients[message.client] = draft.now
    if streamed is not None and streamed.client != message.client:
        where = f"topic {message.topic}"
        _quarantine(draft, message, None, BadInput(f"stream {message.stream} is another client's", where, "client"))
        return
    if message.seq != upto + 1:
        draft.confirm[confirm] = upto
        return
    before = Streamed(message.client, message.lane, 0, None) if streamed is None else streamed
    if before.drop_items:  # who seems silent meanwhile was not
        draft.edge_gaps[message.client] = (before.drop_from or 0, draft.now)
    came = _take_payload(draft, message, refused)
    draft.streams[message.stream] = _moved_on(draft, message, before, came)
    draft.confirm[confirm] = message.seq
    draft.messages += 1


WHOLE = -1
"""the number of a message as a whole, beside those of its samples"""


class _Came(NamedTuple):
    """What a message held: how many items, and the event times of what was taken of them."""

    items: int
    whole: bool
    """it could be read; else it is in quarantine as a whole"""
    oldest: Micros | None = None
    newest: Micros | None = None


def _moved_on(draft: Draft, message: Message, before: Streamed, came: _Came) -> Streamed:
    """The stream after a message: what the client declares is held against what came, and what it gave up becomes a gap."""
    tally = draft.tallies[message.stream]
    counted, declared = before.counted, message.items
    dropped = 0 if declared is None else declared.dropped
    here = came.items + dropped
    if declared is not None and counted is not None:
        said = declared.through - counted
        if not came.whole and 1 <= said <= MAX_ITEMS:  # garbage as a whole: how much it was only the client knows
            tally.produced += said - here
            tally.quarantined += said - here
            here = said
        if said != here:
            off = max(-here, min(said - here, MOST_OFF))
            tally.missing += max(0, off)
            tally.produced += off
            tally.surplus += max(0, -off)
    drop_from, drop_items = before.drop_from, before.drop_items
    if dropped:
        tally.produced += dropped
        tally.dropped += dropped
        drop_from = before.newest_at if drop_items == 0 else drop_from
        drop_items += dropped
    elif drop_items and came.oldest is not None and came.newest is not None:
        since = came.oldest if drop_from is None else drop_from
        until = came.oldest if came.oldest > since else max(came.newest, since)
        draft.gaps.append(Gap(message.client, message.lane, None, since, until, "dropped", drop_items))
        drop_from, drop_items = None, 0
    newest = came.newest
    if newest is None or (before.newest_at is not None and before.newest_at > newest):
        newest = before.newest_at
    counted, given = (None, before.given) if declared is None else (declared.through, declared.given)
    return Streamed(
        message.client,
        message.lane,
        message.seq,
        newest,
        counted,
        given,
        draft.mark_of(message.client),
        drop_from,
        drop_items,
    )


def _take_payload(draft: Draft, message: Message, refused: frozenset[tuple[str, int, int]]) -> _Came:
    tally = draft.tallies[message.stream]
    draft.runs.append((len(draft.readings), message.stream))
    oldest: Micros | None = None
    newest: Micros | None = None
    try:
        if refused and (message.stream, message.seq, WHOLE) in refused:
            raise BadInput("the hub could not judge this message: its log says why", "", "judging")
        up = wire.decode_up(message.payload)
    except BadInput as error:
        tally.produced += 1
        _quarantine(draft, message, -1, error)
        return _Came(1, whole=False)
    if message.items is not None and message.items.dropped and not up.samples and not up.refused:
        for n, reject in up.rejects:  # the declaration itself, which stands for items and is none
            _quarantine_reject(draft, message, n, reject)
        tally.quarantined -= len(up.rejects)
        return _Came(0, whole=True)
    tally.produced += up.total
    for n, code, reason, payload in up.refused:
        _quarantine(draft, message, n, BadInput(reason, f"samples[{n}]", code), payload)
    for n, reject in up.rejects:
        _quarantine_reject(draft, message, n, reject)
    for n, sample in up.samples:
        try:
            if (message.stream, message.seq, n) in refused:
                raise BadInput(
                    "the database refused this row, or the hub could not judge it", _where(sample.series), "refused"
                )
            reading = take_sample(draft, message, n, sample)
        except BadInput as error:
            _quarantine(draft, message, n, error, wire.encode_sample(sample))
        else:
            if reading is None:
                continue
            newest = reading.at if newest is None else max(newest, reading.at)
            oldest = reading.at if oldest is None else min(oldest, reading.at)
    return _Came(up.total, whole=True, oldest=oldest, newest=newest)


def take_sample(draft: Draft, message: Message, n: int, sample: Sample) -> Reading | None:
    """One sample of a known device and point: heard, normalised, stored or suppressed, judged; None for a marked one. Raises BadInput."""
    series = sample.series
    device = draft.registry.devices.get(series.device)
    if device is None or device.client != message.client:
        raise BadInput(f"no such device at client {message.client}", _where(series), "device")
    point = device.profile.points.get(series.point)
    if point is None:
        raise BadInput(f"profile {device.profile.profile} has no such point", _where(series), "point")
    home = draft
    if device.lane is not message.lane and not device.is_edge:
        draft.crosses = True
        if draft.beside is None:
            raise BadInput(f"this device belongs on the {device.lane} lane", _where(series), "point")
        home = draft.beside
    if sample.mark is not None:
        take_marked(home, device, sample)
        draft.tallies[message.stream].beats += 1  # taken, and nowhere a reading
        return None
    # what an edge says of itself is never refused for its clock: it is how a clock that is wrong is heard of
    urgent = device.is_edge or Lane.URGENT in (device.lane, message.lane)
    slow = (
        note_clock(home, device, sample) and not urgent
    )  # what an alarm is called never depends on what is remembered
    reading = normalise(sample, point, draft.now, Lane.URGENT if urgent else Lane.BULK, slow)
    if sample.error is None:
        _note_beat(draft, device, reading, message)
        if not point.proves_life:
            pass
        elif device.lane is message.lane:  # an edge beats in both lanes and lives in its own
            hear(draft, device, reading.at, message.stream)
        elif home is not draft and _is_fresh(home, device, reading):
            hear(home, device, reading.at, message.stream)
    return _keep(draft, home, message, n, device, point, reading)


def _is_fresh(home: Draft, device: Device, reading: Reading) -> bool:
    """Whether a sample that came on the other lane is newer than the edge's beat in the device's own: a backlog there proves no life now."""
    beat = home.state.beats.get(device.client)
    return beat is not None and reading.at >= beat.at


def _note_beat(draft: Draft, device: Device, reading: Reading, message: Message) -> None:
    if device.is_edge and reading.series.point == BEAT_POINT and reading.value is not None:
        newest = draft.beat_of(device.id)
        if newest is not None and _is_backlog(device, reading.at, draft.now, message.stream, newest):
            return
        uptime = min(max(reading.value, 0.0), LONGEST_UPTIME)
        draft.beats[device.id] = Beat(reading.at, draft.now, int(uptime * 1_000_000), message.stream)
        mark(draft, device, message.lane, reading.at)


def _is_backlog(edge: Device, at: Micros, now: Micros, stream: str, newest: Beat) -> bool:
    """Whether a beat is older than what another stream brings at this time: a disk that is full gives its old ones beside memory's new ones."""
    current = now - newest.received_at < edge.profile.liveness.offline_after
    return stream != newest.stream and at < newest.at and current


def _keep(
    draft: Draft, home: Draft, message: Message, n: int, device: Device, point: Point, reading: Reading
) -> Reading:
    """Rows and counts belong to the message's draft, what the device is now to `home`, that of its own lane."""
    tally = draft.tallies[message.stream]
    if point.record is Record.BEAT:
        tally.beats += 1
        _judge(home, device, reading)
        return reading
    latest = home.latest_of(reading.series)
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
        _advance(home, latest, reading, stored=stored)
    _judge(home, device, reading, newest=latest is None or reading.at >= latest.at)
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
            prove(draft, device)
            payload = {"device": device.id, "test": str(test.id), "result": "passed"}
            draft.changes.append(Change("device_state", device.institution_key, payload))
            judge_latest(draft, device)
    if newest:
        check_health(draft, device, reading)
        if not tested and reading.quality < Quality.BAD_RANGE:
            note_armed(draft, device, reading)
    if not tested and reading.quality < Quality.BAD_RANGE:
        judge_reading(draft, device, reading)


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
