"""Reading answers: harmless whatever comes, and each value from where ONVIF puts it."""

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.onvif import values
from drivers.onvif.answer import DeniedError, FaultError, GarbledError, body_of, printable
from drivers.onvif.discovery import found_in
from drivers.onvif.events import Notification, notifications_of, samples_of, topic_names
from drivers.onvif.recordings import Change, Recording, changes_of, gap_value, gaps_in, recordings_of, summary_value
from drivers.onvif.values import NoValueError
from drivers.simulator.onvif import OnvifDevice
from hub.config import data_folder
from hub.core.discovery import recognised
from hub.profiles import load_profiles
from tests.drivers.onvif.cameras import binding

SOAP = "http://www.w3.org/2003/05/soap-envelope"
DAY = 86_400.0


def envelope(body: str) -> bytes:
    return f'<e:Envelope xmlns:e="{SOAP}" xmlns:t="urn:t"><e:Body>{body}</e:Body></e:Envelope>'.encode()


BOMB = b"""<?xml version="1.0"?><!DOCTYPE e [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><x>&c;</x></e:Body></e:Envelope>"""
OUTSIDE = (
    b'<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/hostname">]><e:Envelope xmlns:e="'
    + SOAP.encode()
    + b'"><e:Body><x>&a;</x></e:Body></e:Envelope>'
)
DEEP = b"<a>" * 100_000


@pytest.mark.parametrize(
    "content",
    [b"", b"<", b"no xml", BOMB, OUTSIDE, BOMB.decode().encode("utf-16"), DEEP, b"<a/>", envelope(""), b"\xff\xfe\x00"],
)
def test_what_is_no_plain_soap_envelope_is_garbled(content: bytes) -> None:
    with pytest.raises(GarbledError):
        body_of(content)


def test_a_fault_is_a_refusal_or_says_that_we_are_not_welcome() -> None:
    def fault(code: str, text: str) -> bytes:
        code = f"<e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>{code}</e:Value></e:Subcode></e:Code>"
        return envelope(f"<e:Fault>{code}<e:Reason><e:Text>{text}</e:Text></e:Reason></e:Fault>")

    with pytest.raises(FaultError, match="ActionNotSupported"):
        body_of(fault("ter:ActionNotSupported", "no"))
    for code, text in (("ter:NotAuthorized", ""), ("ter:InvalidArgVal", "The action requested is Not Authorized")):
        with pytest.raises(DeniedError):
            body_of(fault(code, text))
    with pytest.raises(DeniedError):
        body_of(envelope("<e:Fault><faultcode>wsse:FailedAuthentication</faultcode><faultstring/></e:Fault>"))


@given(st.binary(max_size=400))
def test_any_bytes_are_an_answer_or_garbled(content: bytes) -> None:
    for bytes_ in (content, envelope("x").replace(b"x", content)):
        with contextlib.suppress(GarbledError, FaultError, DeniedError):
            body_of(bytes_)
    found_in(content, "192.0.2.1")


NAMES = st.sampled_from(
    "Profiles VideoEncoderConfiguration Resolution Width Height RateControl FrameRateLimit ResultList RecordingInformation Track TrackType "
    "DataFrom Result Time Event Topic Message Source Data SimpleItem SystemDateAndTime UTCDateTime Date Year Month Day Hour Minute Second "
    "NotificationMessage Service Namespace XAddr OSDs TextString Type Body ProbeMatches ProbeMatch XAddrs Scopes".split()
)
TEXTS = st.sampled_from(["", "1", "-1", "nan", "1e99", "9999999999999999", "2026-11-22T00:00:00Z", "true", "Video", "٣", "::", "http://[", "onvif://www.onvif.org/name/%ff"])  # fmt: skip


def _element(parts: tuple[str, str, str, list[str]]) -> str:
    name, text, value, below = parts
    return f'<t:{name} Name="State" Value="{value}" PropertyOperation="Changed">{text}{"".join(below)}</t:{name}>'


TREES = st.recursive(
    st.tuples(NAMES, TEXTS, TEXTS, st.just([])).map(_element),
    lambda below: st.tuples(NAMES, TEXTS, TEXTS, st.lists(below, max_size=5)).map(_element),
    max_leaves=25,
)


@given(TREES)
def test_any_tree_of_known_names_gives_values_or_says_why_not(text: str) -> None:
    answer = body_of(envelope(f"<t:Answer>{text}</t:Answer>"))
    profiles = values.profiles_of(answer)
    asks: list[Callable[[], object]] = [
        lambda: values.identity_of(answer, "model"),
        lambda: values.clock_of(answer),
        lambda: values.media_value(profiles, "fps", "main", None),
        lambda: values.media_value(profiles, "hd", "main", None),
        lambda: summary_value(recordings_of(answer), "days", 0.0),
    ]
    for ask in asks:
        with contextlib.suppress(NoValueError):
            assert ask() is not None
    values.services_of(answer)
    values.draws_time(answer)
    changes_of(answer)
    bound = [binding("p", kind, event="t:1/1") for kind in ("bool", "int", "float", "str")]
    samples_of(notifications_of(answer), bound, 0, "here")
    found_in(envelope(text), "192.0.2.1")


def test_a_profile_whose_size_cannot_be_read_is_never_passed_over_for_a_smaller_one() -> None:
    rows = "".join(
        f'<t:Profiles token="p{n}"><t:VideoEncoderConfiguration><t:Resolution><t:Width>{width}</t:Width><t:Height>360</t:Height></t:Resolution></t:VideoEncoderConfiguration></t:Profiles>'
        for n, width in enumerate(["wide", "640"])
    )
    profiles = values.profiles_of(body_of(envelope(f"<t:R>{rows}</t:R>")))
    with pytest.raises(NoValueError, match="cannot be read"):
        values.media_value(profiles, "width", "main", None)
    assert values.media_value(profiles, "width", "p1", None) == 640


@pytest.mark.parametrize(
    ("width", "height", "hd"), [(1280, 720, True), (1920, 1080, True), (704, 576, False), (1280, 719, False)]
)
def test_high_definition_begins_at_720_lines(width: int, height: int, hd: bool) -> None:
    profiles = [values.MediaProfile("a", "a", "s", "H264", width, height, 25.0, 4096)]
    assert values.media_value(profiles, "hd", "main", None) is hd


def test_half_the_way_and_half_a_second_are_taken_from_the_clock() -> None:
    assert values.clock_offset(1000.0, 990.0, 991.0) == 10.0


@pytest.mark.parametrize("date", ["2026-02-30", "0-1-1", "99999-1-1", "-1-1-1"])
def test_a_time_that_is_none_is_said(date: str) -> None:
    year, month, day = date.rsplit("-", 2)
    text = f"<t:R><t:SystemDateAndTime><t:UTCDateTime><t:Date><t:Year>{year}</t:Year><t:Month>{month}</t:Month><t:Day>{day}</t:Day></t:Date><t:Time><t:Hour>1</t:Hour><t:Minute>1</t:Minute><t:Second>1</t:Second></t:Time></t:UTCDateTime></t:SystemDateAndTime></t:R>"
    with pytest.raises(NoValueError):
        values.clock_of(body_of(envelope(text)))


# ---- where pictures are missing ----


def recording(earliest: float | None, latest: float | None, going: bool = True) -> Recording:
    return Recording("r", earliest, latest, going, frozenset({"v"}))


def change(at: float, present: bool, track: str = "v", start: bool = False) -> Change:
    return Change("r", track, at, present, start)


@pytest.mark.parametrize(
    ("held", "changes", "gaps"),
    [
        (recording(0, 100), [], []),
        (recording(30, 100), [], [(10, 30)]),
        (recording(0, 60, going=False), [], [(60, 90)]),
        (recording(None, None), [], [(10, 90)]),
        (recording(0, 100), [change(20, False), change(40, True)], [(20, 40)]),
        (recording(0, 100), [change(0, True, start=True), change(20, False)], [(20, 90)]),
        (recording(0, 100), [change(0, False, start=True), change(20, True)], [(10, 20)]),
        (recording(0, 100), [change(20, True)], [(10, 20)]),  # what begins was not there before
        (recording(40, 100), [change(0, True, start=True), change(40, True)], [(10, 40)]),
        (recording(0, 100), [change(20, False), change(20, True)], []),
        (recording(0, 100), [change(5, False), change(8, True)], []),  # before the window
        (recording(0, 100), [change(20, False, track="sound"), change(40, True, track="sound")], []),
        (recording(0, 100), [change(20, False, track=""), change(40, True, track="")], [(20, 40)]),
        (recording(0, 100), [Change("other", "v", 20, False, False)], []),
    ],
)
def test_gaps_are_where_no_video_track_has_data(
    held: Recording, changes: list[Change], gaps: list[tuple[float, float]]
) -> None:
    assert [(gap.begin, gap.end) for gap in gaps_in(held, changes, 10, 90)] == gaps


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.sampled_from(["v", "", "w"]), st.booleans()), max_size=12),
    st.floats(0, 100) | st.none(),
    st.floats(0, 100) | st.none(),
    st.booleans(),
)
def test_gaps_lie_in_order_inside_the_window(
    history: list[tuple[float, bool, str, bool]], earliest: float | None, latest: float | None, going: bool
) -> None:
    changes = [change(at, present, track, start) for at, present, track, start in history]
    gaps = gaps_in(recording(earliest, latest, going), changes, 10, 90)
    ends = [10.0, *(end for gap in gaps for end in (gap.begin, gap.end)), 90.0]
    assert ends == sorted(ends)
    assert all(gap.seconds > 0 for gap in gaps)
    assert gap_value(gaps, "gaps") == len(gaps)


def test_of_several_recordings_the_worst_is_told() -> None:
    both = [recording(0, 100 * DAY), Recording("s", 60 * DAY, 99 * DAY, False, frozenset())]
    now = 100 * DAY
    assert summary_value(both, "days", now) == 39.0
    assert summary_value(both, "oldest", now) == 60 * DAY
    assert summary_value(both, "newest_age", now) == DAY
    assert summary_value(both, "recording", now) is False
    assert summary_value([recording(None, None)], "days", now) == 0.0
    with pytest.raises(NoValueError):
        summary_value([], "days", now)


# ---- events ----


def note(value: str = "true", operation: str = "Changed", **source: str) -> Notification:
    return Notification("tns1:VideoSource/MotionAlarm", operation, source, {"State": value})


TOPIC = "other:VideoSource/MotionAlarm"


def heard(one: Notification | str, **address: Any) -> list[Any]:
    kind = str(address.pop("kind", "bool"))
    of = address.pop("of", None)
    bound = binding("p", kind, of=of, **{"event": TOPIC, **address})
    samples, rejects = samples_of([one], [bound], 7, "here")
    return [sample.raw if sample.error is None else sample.error for sample in samples] + [
        one.reason for one in rejects
    ]


def test_a_notification_is_read_as_the_point_says() -> None:
    assert heard(note("true")) == [True]
    assert heard(note("0")) == [False]
    assert heard(note("4"), kind="int") == [4]
    assert heard(note("4.5"), kind="float") == [4.5]
    assert heard(note("x"), equals="x") == [True]
    assert heard(note("3"), equals=4) == [False]
    assert heard(note("1"), equals=True) == [True]
    assert heard(note("no"), equals="x", only_when_equal=True, initial="drop") == []
    assert heard(note("b"), map={"a": 1, "b": 2}, kind="int") == [2]
    assert "map" in str(heard(note("c"), map={"a": 1})[0])
    assert "no bool" in str(heard(note("maybe"))[0])
    assert "no item" in str(heard(note("true"), item="IsMotion")[0])
    assert heard("nonsense") == ["nonsense"]


def test_the_state_at_the_beginning_is_no_event() -> None:
    assert heard(note("true", "Initialized")) == [True]
    assert heard(note("true", "Initialized"), initial="drop") == []
    assert heard(note("true", "Initialized"), initial="drop", equals=True, only_when_equal=True) == []
    assert "deleted" in str(heard(note("true", "Deleted"))[0])


def test_only_the_topic_and_source_that_were_named_are_heard() -> None:
    assert heard(note(VideoSource="1"), of={"source": "1"}) == [True]
    assert heard(note(VideoSource="2"), of={"source": "1"}) == []
    assert heard(note(Rule="a"), source={"Rule": "a"}) == [True]
    assert heard(note(Rule="b"), source={"Rule": "a"}) == []
    assert heard(note(), event="tns1:VideoSource/ImageTooDark") == []
    assert topic_names("a:B/c:D") == topic_names("B/D")


def test_each_of_several_notifications_is_later_than_the_one_before() -> None:
    bound = [binding("p", "bool", event=TOPIC)]
    samples, _ = samples_of([note("true"), note("false"), note("true")], bound, 100, "here")
    assert [(sample.at, sample.raw) for sample in samples] == [(100, True), (101, False), (102, True)]


# ---- discovery ----


def test_a_probe_match_is_a_device_with_its_marks() -> None:
    device = OnvifDevice(port=8080, identity={"Model": "DS 1 ü"})
    (found,) = found_in(device.probe_match(ET.fromstring("<Probe/>")), "127.0.0.1")
    assert found.endpoint == {"host": "127.0.0.1", "port": 8080}
    assert found.marks == {"name": "Anxin", "model": "DS 1 ü", "location": "loopback"}
    assert found_in(b"<a/>", "127.0.0.1") == []


def test_the_address_that_answered_is_taken_and_nonsense_is_not() -> None:
    match = "<t:ProbeMatches><t:ProbeMatch><t:XAddrs>gopher://x http://[bad http://10.0.0.9/onvif/device_service https://192.0.2.7:444/x</t:XAddrs></t:ProbeMatch></t:ProbeMatches>"
    (found,) = found_in(envelope(match), "192.0.2.7")
    assert found.endpoint == {"host": "192.0.2.7", "port": 444, "tls": "unverified", "path": "/x"}


def test_what_a_device_writes_cannot_move_a_terminal() -> None:
    assert printable("a\x1bb\n") == "a b "


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("HIKVISION%20DS-2CD2143G0-I", "hikvision-onvif"),
        ("Hikvision", "hikvision-onvif"),
        ("Dahua", "dahua-onvif"),
        ("Uniview", "uniview-onvif"),
        ("AXIS%20P3245-LV", "axis-onvif"),
    ],
)
def test_what_a_camera_calls_itself_finds_its_profile(name: str, profile: str) -> None:
    match = f"<t:ProbeMatches><t:ProbeMatch><t:Scopes>onvif://www.onvif.org/name/{name}</t:Scopes><t:XAddrs>http://192.0.2.7/onvif/device_service</t:XAddrs></t:ProbeMatch></t:ProbeMatches>"
    (found,) = found_in(envelope(match), "192.0.2.7")
    assert recognised(found, load_profiles([data_folder("device-profiles")]), "onvif") == (profile,)
