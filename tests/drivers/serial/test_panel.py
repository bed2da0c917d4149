"""From GB/T 26875.3 frames to samples: which point, which instance, which time, which answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial.framing import Garbage
from drivers.serial.gb26875_2011 import (
    PART_BITS,
    SYSTEM_BITS,
    SYSTEM_OPERATION_BITS,
    Command,
    Frame,
    Item,
    decode_unit,
    encode_unit,
    label_of,
    operation_unit,
    part_unit,
    system_unit,
    transmitter_unit,
)
from drivers.serial.panel import Duties, Panel
from drivers.serial.settings import Address, Device
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import SECOND, Series, to_micros

NOW_DATE = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
NOW = to_micros(NOW_DATE)
FIRE = 1 << PART_BITS["fire"]


def label(seconds: float = 0) -> bytes:
    return label_of(NOW_DATE + timedelta(seconds=seconds))


def bind(
    point: str, kind: str = "bool", transmitter: str | None = None, device: str = "panel", **address: Any
) -> Binding:
    return Binding(Series(device, point), Device(address=transmitter), Address(**address), kind)


def frame(data: bytes, *, source: int = 0xA1, command: int = Command.SEND, sent: float = 0) -> Frame:
    return Frame(1, source, 1, command, data, label(sent))


def part(status: int = FIRE, *, at: float = 0, **fields: int) -> Item:
    return Item(status, label(at), **{"system_type": 1, "system": 1, "part_type": 42, "part": 23, **fields})  # type: ignore[arg-type]


def times(panel: Panel, *moments: tuple[float, float]) -> list[float]:
    """Seconds after NOW at which the samples of parts labelled so stand, each sent and received at its second moment."""
    found = []
    for told, received in moments:
        samples = panel.hear(frame(part_unit(part(at=told)), sent=received), NOW + int(received * SECOND)).samples
        found.append((samples[0].at - NOW) / SECOND)
    return found


def test_a_parts_fire_is_a_sample_with_system_and_part_as_its_instance() -> None:
    panel = Panel([bind("fire", item="part", bit="fire"), bind("fault", item="part", bit="fault")], "line")
    heard = panel.hear(frame(part_unit(part(), part(0, part=24))), NOW)
    assert [(s.series.point, s.series.instance, s.raw) for s in heard.samples] == [
        ("fire", "1-23", True),
        ("fault", "1-23", False),
        ("fire", "1-24", False),
        ("fault", "1-24", False),
    ]
    assert heard.answer == Command.CONFIRM
    assert heard.rejects == []


def test_systems_of_other_types_never_share_an_instance_with_the_fire_alarm_system() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    heard = panel.hear(frame(part_unit(part(), part(system_type=13))), NOW)
    assert [s.series.instance for s in heard.samples] == ["1-23", "13.1-23"]


def test_the_systems_own_status_has_no_instance_unless_asked_for() -> None:
    panel = Panel(
        [bind("fire", item="system", bit="fire"), bind("each", item="system", bit="fire", instances=True)], "line"
    )
    heard = panel.hear(frame(system_unit(part(system=7))), NOW)
    assert [(s.series.point, s.series.instance) for s in heard.samples] == [("fire", ""), ("each", "7")]


def test_points_pick_their_items_by_system_and_part_type() -> None:
    panel = Panel(
        [bind("call", item="part", bit="fire", part_type=23), bind("other", item="part", bit="fire", system=9)], "line"
    )
    heard = panel.hear(frame(part_unit(part(part_type=23), part(system=9))), NOW)
    assert [(s.series.point, s.series.instance) for s in heard.samples] == [("call", "1-23"), ("other", "9-23")]


def test_whole_words_texts_and_operators_are_fields() -> None:
    panel = Panel(
        [
            bind("word", "int", item="part", field="status"),
            bind("text", "str", item="part", field="description"),
            bind("who", "int", item="system_operation", field="operator"),
            bind("reset", item="system_operation", bit="reset"),
            bind("duty", item="transmitter_operation", bit="duty_answer"),
            bind("mains", item="transmitter", bit="mains_fault"),
        ],
        "line",
    )
    seen: dict[str, object] = {}
    units = (
        part_unit(part()._replace(description="午睡室")),
        b"\x04\x01\x01\x01\x01\x09" + label(),
        b"\x18\x01\x20\x03" + label(),
        transmitter_unit(0b1001, label()),
    )
    for unit in units:
        seen |= {s.series.point: s.raw for s in panel.hear(frame(unit), NOW).samples}
    assert seen == {"word": 2, "text": "午睡室", "who": 9, "reset": True, "duty": True, "mains": True}


def test_an_operation_that_was_not_done_is_no_news() -> None:
    panel = Panel(
        [bind("reset", item="system_operation", bit="reset"), bind("mute", item="system_operation", bit="mute")], "line"
    )
    samples = panel.hear(frame(operation_unit(1 << SYSTEM_OPERATION_BITS["mute"], label())), NOW).samples
    assert [(s.series.point, s.raw) for s in samples] == [("mute", True)]


def test_transmitters_on_one_line_are_told_apart_by_their_address() -> None:
    panel = Panel(
        [
            bind("fire", item="part", bit="fire", transmitter="0000000000a1", device="one"),
            bind("fire", item="part", bit="fire", transmitter="0000000000a2", device="two"),
        ],
        "line",
    )
    assert [s.series.device for s in panel.hear(frame(part_unit(part()), source=0xA2), NOW).samples] == ["two"]
    stranger = panel.hear(frame(part_unit(part()), source=0xA3), NOW)
    assert stranger.samples == []
    assert (stranger.rejects[0].code, stranger.answer) == ("device", Command.DENY)
    assert "0000000000a3" in stranger.rejects[0].reason
    assert panel.hear(frame(part_unit(part()), source=0xA3), NOW) == ([], [], Command.DENY, ())


def test_a_heartbeat_without_a_data_unit_is_a_beat_and_is_confirmed() -> None:
    panel = Panel([bind("beat", "int", item="frame"), bind("skew", "float", item="clock_skew")], "line")
    heard = panel.hear(frame(b"", sent=-7), NOW)
    assert [(s.series.point, s.raw) for s in heard.samples] == [("beat", 1), ("skew", -7.0)]
    assert (heard.rejects, heard.answer) == ([], Command.CONFIRM)
    assert [s.raw for s in panel.hear(frame(b"", command=Command.CONFIRM), NOW).samples] == [1]


def test_a_fire_in_front_of_bytes_that_nobody_explains_is_read_and_they_are_kept() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    heard = panel.hear(frame(part_unit(part()) + b"\0\0"), NOW)
    assert [s.raw for s in heard.samples] == [True]
    assert (heard.rejects[0].code, heard.answer) == ("unit", Command.CONFIRM)
    short = b"\x02\x02" + part_unit(part())[2:]
    heard = panel.hear(frame(short), NOW)
    assert [s.raw for s in heard.samples] == [True]
    assert (heard.rejects[0].code, heard.answer) == ("unit", Command.DENY)


def test_analogue_values_come_in_their_unit_and_one_that_cannot_be_is_an_error() -> None:
    panel = Panel(
        [
            bind("temperature", "float", item="analog", quantity="temperature"),
            bind("gas", "float", item="analog", quantity="gas", part_type=[10, 11]),
        ],
        "line",
    )
    items = [
        Item(0, label(), 1, 1, 31, 5, quantity=3, value=-123),
        Item(0, label(), 1, 1, 11, 6, quantity=6, value=250),
        Item(0, label(), 1, 1, 11, 7, quantity=6, value=1001),
        Item(0, label(), 1, 1, 12, 8, quantity=6, value=1),
        Item(0, label(), 1, 1, 31, 5, quantity=200, value=1),
    ]
    samples = panel.hear(frame(encode_unit(3, *items)), NOW).samples
    assert [(s.series.point, s.series.instance, s.raw) for s in samples] == [
        ("temperature", "1-5", -12.3),
        ("gas", "1-6", 25.0),
        ("gas", "1-7", None),
    ]
    assert "not within 0 to 100" in (samples[-1].error or "")


def test_versions_configurations_and_clocks_are_points() -> None:
    panel = Panel(
        [
            bind("version", "str", item="transmitter_version"),
            bind("panel_version", "str", item="system_version"),
            bind("config", "str", item="transmitter_config"),
            bind("panel_config", "str", item="system_config"),
            bind("place", "str", item="part_config"),
            bind("panel_clock", "float", item="system_clock"),
            bind("clock", "float", item="transmitter_clock"),
        ],
        "line",
    )
    seen: dict[tuple[str, str], object] = {}
    for unit in (
        encode_unit(25, Item(major=1, minor=2)),
        encode_unit(5, Item(system_type=1, system=1, major=3, minor=4)),
        encode_unit(26, Item(description="一号楼")),
        encode_unit(6, Item(system_type=1, system=1, description="两回路")),
        encode_unit(7, Item(system_type=1, system=1, part_type=42, part=9, description="午睡室")),
        encode_unit(8, Item(label=label(30), system_type=1, system=1)),
        encode_unit(28, Item(label=label(-30))),
    ):
        seen |= {(s.series.point, s.series.instance): s.raw for s in panel.hear(frame(unit), NOW).samples}
    assert seen == {
        ("version", ""): "1.2",
        ("panel_version", ""): "3.4",
        ("config", ""): "一号楼",
        ("panel_config", ""): "两回路",
        ("place", "1-9"): "午睡室",
        ("panel_clock", ""): 30.0,
        ("clock", ""): -30.0,
    }


ANSWERED = SYSTEM_OPERATION_BITS["confirm"]
"""The same bit is `duty_answer` at the transmitter."""
DUTY = [
    bind("check", "int", item="duty_check"),
    bind("took", "float", item="duty_time"),
    bind("missed", item="duty_missed"),
]


def operated(bit: int, at: float) -> Frame:
    return frame(encode_unit(24, Item(1 << bit, label(at), operator=3)), sent=at)


def test_the_answer_to_a_duty_check_is_timed_by_our_clock_and_the_same_when_it_is_sent_again() -> None:
    panel = Panel(DUTY, "line")
    assert [(s.series.point, s.raw) for s in panel.duty_sent(0xA1, 10, NOW)] == [("check", 10)]
    assert panel.hear(operated(0, 20), NOW + 20 * SECOND).samples == []
    first = panel.hear(operated(ANSWERED, 95), NOW + 95 * SECOND).samples
    assert [(s.series.point, s.raw) for s in first] == [("took", 95.0), ("missed", False)]
    again = panel.hear(operated(ANSWERED, 95), NOW + 105 * SECOND).samples
    assert again == first
    assert panel.hear(operated(ANSWERED, 200), NOW + 200 * SECOND).samples == []
    assert panel.overdue(NOW + 3600 * SECOND) == []


async def test_a_duty_check_that_nobody_answers_is_said_until_it_is_safe_even_over_a_new_link() -> None:
    duties: Duties = {}
    Panel(DUTY, "line", "auto", duties).duty_sent(0xA1, 1, NOW)
    panel = Panel(DUTY, "line", "auto", duties)
    assert panel.overdue(NOW + 59 * SECOND) == []
    ((transmitter, said),) = panel.overdue(NOW + 60 * SECOND)
    assert transmitter == 0xA1
    took, missed = said
    assert (took.series.point, took.raw, took.error) == ("took", None, "no answer within 60 s")
    assert (missed.series.point, missed.raw) == ("missed", True)
    assert panel.overdue(NOW + 61 * SECOND) == []
    panel = Panel(DUTY, "line", "auto", duties)  # the link went before it was safe
    assert panel.overdue(NOW + 300 * SECOND) == [(0xA1, said)]
    await panel.told(0xA1)
    assert Panel(DUTY, "line", "auto", duties).overdue(NOW + 900 * SECOND) == []


def test_one_duty_check_at_a_time_is_open_and_one_that_was_not_confirmed_is_none() -> None:
    panel = Panel(DUTY, "line")
    panel.duty_sent(0xA1, 1, NOW)
    with pytest.raises(BadInput, match="open for 50 s more"):
        panel.duty_sent(0xA1, 1, NOW + 10 * SECOND)
    panel.duty_withdrawn(0xA1)
    assert panel.overdue(NOW + 60 * SECOND) == []
    panel.duty_sent(0xA1, 1, NOW + 70 * SECOND)


async def test_an_answer_that_comes_too_late_is_timed_all_the_same_while_the_miss_is_not_yet_safe() -> None:
    panel = Panel(DUTY, "line")
    panel.duty_sent(0xA1, 1, NOW)
    assert len(panel.overdue(NOW + 60 * SECOND)) == 1
    heard = panel.hear(operated(ANSWERED, 61), NOW + 61 * SECOND)
    assert [(s.series.point, s.raw) for s in heard.samples] == [("took", 61.0), ("missed", False)]
    await panel.told(0xA1)
    assert panel.overdue(NOW + 600 * SECOND) == []


def test_a_reset_clears_nothing_but_asks_what_was_not_at_rest_in_that_system() -> None:
    panel = Panel([bind("fire", item="part", bit="fire"), bind("reset", item="system_operation", bit="reset")], "line")
    panel.hear(frame(part_unit(part(), part(part=24), part(part=25), part(part=9, system=2))), NOW)
    panel.hear(frame(part_unit(part(1, part=24), part(1 | 1 << PART_BITS["fault"], part=25))), NOW)
    heard = panel.hear(frame(operation_unit(1 << SYSTEM_OPERATION_BITS["reset"], label())), NOW)
    assert [(s.series.point, s.raw) for s in heard.samples] == [("reset", True)]
    (unit,) = heard.ask
    assert [(item.system, item.part) for item in decode_unit(unit).items] == [(1, 23), (1, 25)]
    answer = panel.hear(frame(part_unit(part(1)), command=Command.ANSWER), NOW)
    assert [(s.series.instance, s.raw) for s in answer.samples] == [("1-23", False)]


def test_the_question_after_a_reset_is_cut_to_frames_that_the_standard_allows() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    for start in range(0, 50, 10):
        panel.hear(frame(part_unit(*(part(part=start + n) for n in range(10)))), NOW)
    system_reset = system_unit(part(1 | 1 << SYSTEM_BITS["reset"]))
    assert [len(decode_unit(unit).items) for unit in panel.hear(frame(system_reset), NOW).ask] == [22, 22, 6]


@pytest.mark.parametrize(
    ("found", "code", "answer"),
    [
        (frame(b"\x02\x01short"), "unit", Command.DENY),
        (frame(b"\x02"), "unit", Command.DENY),
        (frame(b"\x02\x01short", command=Command.ANSWER), "unit", None),
        (frame(b"\x51\x01\x00"), "type", Command.DENY),
        (frame(part_unit(part()))._replace(version=(2, 0)), "version", Command.DENY),
        (frame(b"", command=Command.REQUEST), "command", Command.DENY),
        (frame(b"", command=200), "command", Command.DENY),
        (frame(b"\x80\x01 of a maker"), "type", Command.CONFIRM),
        (Garbage(b"??", "frame", "bytes that are no frame"), "frame", None),
        (Garbage(b"@@".ljust(9000), "checksum", "wrong", frame(b"")), "checksum", Command.DENY),
        (Garbage(b"@@", "checksum", "wrong", frame(b"", command=Command.CONFIRM)), "checksum", None),
    ],
)
def test_what_cannot_be_taken_is_kept_and_answered(
    found: "Frame | Garbage[Frame]", code: str, answer: Command | None
) -> None:
    heard = Panel([bind("fire", item="part", bit="fire")], "line").hear(found, NOW)
    assert heard.samples == []
    assert heard.answer == answer
    (reject,) = heard.rejects
    assert (reject.code, reject.source, reject.at) == (code, "line", NOW)
    assert 0 < len(reject.payload) <= 4096


def test_types_that_hold_nothing_of_ours_are_confirmed_and_answers_are_not() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    assert panel.hear(frame(b"\x05\x01\x01\x01\x02\x03"), NOW) == ([], [], Command.CONFIRM, ())
    assert panel.hear(frame(b"", command=Command.CONFIRM), NOW) == ([], [], None, ())
    answered = panel.hear(frame(part_unit(part()), command=Command.ANSWER), NOW)
    assert (len(answered.samples), answered.answer) == (1, None)


def test_the_event_time_is_the_devices_own_while_its_clock_is_right() -> None:
    assert times(Panel([bind("fire", item="part", bit="fire")], "line"), (-3, 0), (-3, 0.5), (10, 10)) == [-3, -3, 10]


def test_a_delayed_record_keeps_its_time_and_one_older_than_a_day_does_not() -> None:
    assert times(Panel([bind("fire", item="part", bit="fire")], "line"), (-7200, 0), (-90_000, 1)) == [-7200, 1]


def test_a_label_of_the_future_or_of_the_year_2000_gives_the_time_of_arrival() -> None:
    assert times(Panel([bind("fire", item="part", bit="fire")], "line"), (400, 0), (-820_000_000, 5)) == [0, 5]


def test_a_label_a_little_ahead_is_kept_only_as_far_as_the_hub_judges_it_and_what_follows_is_never_before_it() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    assert times(panel, (2, 0), (3, 0), (60, 1), (70, 65)) == [2, 2, 2, 65]


def test_a_clock_that_falls_back_never_moves_a_series_back() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    assert times(panel, (100, 100), (-3500, 110), (-3490, 120), (130, 130)) == [100, 110, 120, 130]


def test_a_transmitter_whose_clock_is_off_by_more_than_300_s_is_not_believed_and_its_skew_is_a_point() -> None:
    panel = Panel([bind("fire", item="part", bit="fire"), bind("skew", "float", item="clock_skew")], "line")
    for error, believed in ((0, True), (299, True), (-299, True), (301, False), (-86_400, False)):
        heard = Panel.hear(panel, frame(part_unit(part(at=error, part=100_000 + error)), sent=error), NOW)
        by_point = {s.series.point: s for s in heard.samples}
        assert by_point["skew"].raw == error
        assert by_point["fire"].at == (NOW + min(error, 0) * SECOND if believed else NOW)


def test_a_frame_without_a_date_says_so_in_the_skew() -> None:
    panel = Panel([bind("skew", "float", item="clock_skew"), bind("fire", item="part", bit="fire")], "line")
    heard = panel.hear(Frame(1, 0xA1, 1, Command.SEND, part_unit(part()), b"\xff" * 6), NOW)
    assert heard.samples[0].error == "the frame's label is no date"
    assert heard.samples[1].at == NOW


def test_what_is_remembered_is_bounded() -> None:
    panel = Panel([bind("fire", item="part", bit="fire")], "line")
    for start in range(0, 11_000, 20):
        panel.hear(frame(part_unit(*(part(part=start + n) for n in range(20)))), NOW)
    assert len(panel._last) <= 10_000


def test_a_device_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="12 hexadecimal digits"):
        Panel([bind("fire", item="part", bit="fire", transmitter="1")], "line")


@given(data=st.binary(max_size=120), command=st.integers(0, 255), sent=st.binary(min_size=6, max_size=6))
def test_no_frame_raises_and_every_sample_has_a_plausible_time(data: bytes, command: int, sent: bytes) -> None:
    panel = Panel([bind("fire", item="part", bit="fire"), bind("skew", "float", item="clock_skew")], "line")
    heard = panel.hear(Frame(1, 2, 3, command, data, sent), NOW)
    for sample in heard.samples:
        assert NOW - 86_400 * SECOND <= sample.at <= NOW + 2 * SECOND
