"""From what a recorder says of its recordings to how far back pictures reach and where they are missing. Pure.

ONVIF Recording Search Service Specification: RecordingInformation has the earliest and latest moment of each recording; the history of
`RecordingHistory/Track/State` (data item IsDataPresent) says when a track has data and when not. Times are seconds since the epoch.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from drivers.onvif.answer import Element, child, children, text_of
from drivers.onvif.events import Notification, notification_of, topic_names
from drivers.onvif.values import NoValueError, moment_of
from hub.model import Scalar

TRACK_STATE = "RecordingHistory/Track/State"
RECORDING_STATE = "RecordingHistory/Recording/State"
DAY = 86_400.0
_YES = ("true", "1")


class Recording(NamedTuple):
    """One recording: what it holds from when to when, and its tracks with video."""

    token: str
    earliest: float | None
    latest: float | None
    recording: bool
    video_tracks: frozenset[str]


class Change(NamedTuple):
    """From `at` on, a track of a recording has data, or has none."""

    recording: str
    track: str
    at: float
    present: bool
    start_state: bool
    """it was so before the search begins"""


class Gap(NamedTuple):
    """Where nothing was recorded."""

    recording: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.begin


def recordings_of(answer: Element) -> list[Recording]:
    """The recordings of GetRecordingSearchResultsResponse."""
    found = []
    for one in children(child(answer, "ResultList"), "RecordingInformation"):
        tracks = [track for track in children(one, "Track") if text_of(track, "TrackType") == "Video"]
        found.append(
            Recording(
                text_of(one, "RecordingToken"),
                _earliest(one, tracks),
                _latest(one, tracks),
                text_of(one, "RecordingStatus") == "Recording",
                frozenset(text_of(track, "TrackToken") for track in tracks),
            )
        )
    return found


def _earliest(one: Element, tracks: Sequence[Element]) -> float | None:
    """Of the video tracks where they say so: sound or metadata may be kept longer than pictures."""
    of_tracks = [moment for track in tracks if (moment := moment_of(text_of(track, "DataFrom"))) is not None]
    return min(of_tracks) if of_tracks else moment_of(text_of(one, "EarliestRecording"))


def _latest(one: Element, tracks: Sequence[Element]) -> float | None:
    of_tracks = [moment for track in tracks if (moment := moment_of(text_of(track, "DataTo"))) is not None]
    return max(of_tracks) if of_tracks else moment_of(text_of(one, "LatestRecording"))


def changes_of(answer: Element) -> list[Change]:
    """The changes of GetEventSearchResultsResponse; what is no change of a track's or recording's data is left out."""
    found = []
    for one in children(child(answer, "ResultList"), "Result"):
        event = child(one, "Event")
        note = notification_of(event) if event is not None else None
        at = moment_of(text_of(one, "Time"))
        if isinstance(note, Notification) and at is not None and (change := _change(one, note, at)) is not None:
            found.append(change)
    return found


def _change(result: Element, note: Notification, at: float) -> Change | None:
    names = topic_names(note.topic)
    track = text_of(result, "TrackToken")
    if names == topic_names(TRACK_STATE):
        present = note.data.get("IsDataPresent")
    elif names == topic_names(RECORDING_STATE):
        present, track = note.data.get("IsRecording"), ""
    else:
        return None
    if present is None:
        return None
    start = text_of(result, "StartStateEvent") in _YES
    return Change(text_of(result, "RecordingToken"), track, at, present in _YES, start)


def search_state(answer: Element) -> str:
    """Queued, Searching, Completed or Unknown (tt:SearchState)."""
    return text_of(answer, "ResultList", "SearchState")


def gaps_in(recording: Recording, changes: Iterable[Change], begin: float, end: float) -> list[Gap]:
    """Where a recording has no pictures between two moments, in order.

    What its video tracks say holds before what the recording says; one track with data is enough. Before the earliest picture there is a
    gap. Where the history is silent, only the ends are known.
    """
    mine = [one for one in changes if one.recording == recording.token]
    tracks = [one for one in mine if one.track and (not recording.video_tracks or one.track in recording.video_tracks)]
    history = sorted(
        tracks or [one for one in mine if not one.track], key=lambda one: (not one.start_state, one.at, one.present)
    )
    earliest = recording.earliest if recording.earliest is not None else end
    if history:
        spans = _without(history, earliest > begin, begin, end)
    else:
        spans = [(begin, earliest)]
        if not recording.recording and recording.latest is not None:
            spans.append((max(recording.latest, earliest), end))
    clipped = [Gap(recording.token, max(since, begin), min(until, end)) for since, until in spans]
    return [gap for gap in clipped if gap.seconds > 0]


def _without(history: Sequence[Change], empty: bool, begin: float, end: float) -> list[tuple[float, float]]:
    """The spans in which no track has data. A track whose state at the beginning is not told was what its first change ended."""
    state: dict[str, bool] = {}
    for one in history:
        state.setdefault(one.track, one.present if one.start_state else not one.present)
    if empty:
        state = dict.fromkeys(state, False)
    spans: list[tuple[float, float]] = []
    since = None if any(state.values()) else begin
    for one in history:
        if one.start_state:
            continue
        state[one.track] = one.present
        if not any(state.values()):
            since = one.at if since is None else since
        elif since is not None:
            spans.append((since, one.at))
            since = None
    if since is not None:
        spans.append((since, end))
    return spans


def summary_value(recordings: Sequence[Recording], what: str, now: float) -> Scalar:
    """One value of what is held, of the worst recording; raises NoValueError. `now` is the device's own time."""
    if not recordings:
        raise NoValueError("the device has no such recording")
    if what == "recording":
        return all(one.recording for one in recordings)
    if any(one.earliest is None or one.latest is None for one in recordings):
        if what == "days":
            return 0.0  # one of them holds nothing
        raise NoValueError("a recording is empty")
    oldest = max(one.earliest for one in recordings if one.earliest is not None)
    newest = min(one.latest for one in recordings if one.latest is not None)
    if what == "oldest":
        return oldest
    if what == "newest":
        return newest
    if what == "newest_age":
        return round(max(0.0, now - newest), 1)
    return round(max(0.0, (newest - oldest) / DAY), 3)


def gap_value(gaps: Sequence[Gap], what: str) -> Scalar:
    """How many, how long together, how long the longest."""
    if what == "gaps":
        return len(gaps)
    if what == "gap_seconds":
        return round(sum(gap.seconds for gap in gaps), 1)
    return round(max((gap.seconds for gap in gaps), default=0.0), 1)
