"""Two kinds of channel at once are two media, and every kind of channel has one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.escalation import MOST_KINDS, Step
from hub.core.media import MEDIA, REACHES_A_PERSON, Medium, medium
from hub.core.reach import Way, ways
from hub.notify import KINDS


def test_every_kind_of_channel_that_there_is_has_a_medium() -> None:
    assert set(KINDS) <= set(MEDIA)
    assert medium("pigeon") not in REACHES_A_PERSON


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["sms_aliyun", "sms_tencent", "voice_aliyun"], ["sms_aliyun", "voice_aliyun"]),
        (["dingtalk", "feishu", "wecom", "smtp"], ["dingtalk", "smtp"]),
        (["siren", "sms_tencent", "sink", "voice_tencent"], ["sms_tencent", "voice_tencent"]),
        (["siren"], []),
        (["sms_aliyun", "sms_tencent"], ["sms_aliyun"]),
    ],
)
def test_two_kinds_at_once_are_two_media_in_order_of_preference(kinds: list[str], expected: list[str]) -> None:
    channels = [Way(kind, kind) for kind in kinds]
    assert [way.kind for way in ways(channels, Step(1, "guard", kinds=2))] == expected


@given(st.lists(st.sampled_from(sorted(MEDIA)), max_size=20), st.integers(1, MOST_KINDS))
def test_whatever_channels_somebody_has_no_two_of_a_medium_are_taken_and_none_is_missing(
    kinds: list[str], wanted: int
) -> None:
    chosen = [
        medium(way.kind)
        for way in ways([Way(str(n), kind) for n, kind in enumerate(kinds)], Step(1, "guard", kinds=wanted))
    ]
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= REACHES_A_PERSON
    assert len(chosen) == min(wanted, len({medium(kind) for kind in kinds} & REACHES_A_PERSON))


def test_a_siren_and_a_sink_reach_nobody() -> None:
    assert set(Medium) - REACHES_A_PERSON == {Medium.DEVICE, Medium.SINK}
