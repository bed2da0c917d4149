"""The clocks of devices: what their samples say of them is compared, judged and noted. Pure; noted in a `Draft`."""

from hub.core.draft import Draft
from hub.core.judging import judge_reading
from hub.core.lane import Key
from hub.core.normalise import EARLIEST, LATEST
from hub.core.skew import AHEAD, Clock, Skew
from hub.model import SECOND, Quality, Reading, Sample, Series
from hub.profiles import CLOCK_POINT
from hub.registry import Device


def note_clock(draft: Draft, device: Device, sample: Sample) -> bool:
    """What a sample says of its device's clock; whether that goes behind, so that its times are not to be believed.

    Compared is what the edge's driver had from the device with the edge's own clock; what a device sends to the hub by itself with the hub's.
    An edge is none of these: it measures its clock against the hub's confirmations.
    """
    if device.is_edge or CLOCK_POINT not in device.profile.alarms_of:
        return False
    direct = device.client == device.id
    skew = draft.skew_of(device.id)
    told_by = sample.series.point, sample.series.instance
    read_at = draft.now if direct else sample.edge_at
    if read_at is None:  # its edge found no difference worth saying, or the time is the edge's own
        if skew.series != told_by if skew is not None else not _is_called_wrong(draft, device):
            return False
        read_at = sample.at
    elif direct and skew is None and abs(sample.at - read_at) <= AHEAD and not _is_called_wrong(draft, device):
        return False
    if not EARLIEST <= read_at <= LATEST or not 0 <= sample.at <= LATEST:
        return False
    skew = (Skew() if skew is None else skew).with_told(read_at, sample.at, told_by)
    draft.skews[device.id] = skew
    if skew.estimate is not None:
        _judge(draft, device, skew.estimate, sample.at, read_at, "hub" if direct else "edge")
    return skew.is_slow


def _judge(draft: Draft, device: Device, ahead: int, said_at: int, read_at: int, reader: str) -> None:
    wrong, before = abs(ahead) > AHEAD, draft.clock_of(device.id)
    since = before.since if before is not None and before.wrong == wrong else draft.now
    clock = Clock(ahead, said_at, read_at, reader, wrong, since)
    if (wrong or before is not None or _is_called_wrong(draft, device)) and clock.is_news(before):
        draft.clocks[device.id] = clock
    if (wrong or _is_called_wrong(draft, device)) and draft.test_of(device.id) is None:
        series = Series(device.id, CLOCK_POINT)
        judge_reading(draft, device, Reading(series, draft.now, draft.now, abs(ahead) / SECOND, None, Quality.GOOD))


def _is_called_wrong(draft: Draft, device: Device) -> bool:
    """Whether a condition over its clock was last seen to hold, also before a restart of the hub."""
    for name, _ in device.profile.alarms_of[CLOCK_POINT]:
        watch = draft.watch_of(Key(device.id, name, ""))
        if watch is not None and watch.holds:
            return True
    return False
