"""Cutting up: nothing is left out, nothing is out of order, nothing is larger than a message."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.batching import TARGET_BYTES, pack
from hub.core.wire import MAX_PAYLOAD, MAX_REJECTS, MAX_SAMPLES, decode_up
from hub.model import Reject, Sample, Series

LAMP = Series("lamp-1", "level")


def numbered(count: int, text: str = "") -> list[Sample]:
    return [Sample(LAMP, n, f"{n}{text}") for n in range(count)]


def test_nothing_makes_no_message() -> None:
    assert pack([]) == []


def test_a_lone_sample_is_one_message() -> None:
    (message,) = pack(numbered(1))
    assert (message.samples, message.rejects) == (1, 0)
    assert decode_up(message.payload).samples[0].sample == Sample(LAMP, 0, "0")


@given(st.integers(0, 2500), st.integers(0, 250), st.integers(0, 1000), st.integers(0, 4096))
def test_all_of_it_travels_in_order_in_messages_that_the_hub_takes(
    count: int, rejected: int, text: int, payload: int
) -> None:
    samples = numbered(count, "温" * min(text, 1000))
    rejects = [Reject(n, "line-1", "checksum", "wrong", b"x" * payload) for n in range(rejected)]
    messages = pack(samples, rejects)
    ups = [decode_up(message.payload) for message in messages]
    assert [one.sample for up in ups for one in up.samples] == samples
    assert [one.reject for up in ups for one in up.rejects] == rejects
    for message, up in zip(messages, ups, strict=True):
        assert (len(up.samples), len(up.rejects), up.refused) == (message.samples, message.rejects, [])
        assert up.total > 0
        assert message.samples <= MAX_SAMPLES
        assert message.rejects <= MAX_REJECTS
        assert len(message.payload) < TARGET_BYTES + 8192 < MAX_PAYLOAD


def test_few_samples_and_few_rejects_share_a_message() -> None:
    (message,) = pack(numbered(3), [Reject(1, "line-1", "checksum", "wrong")])
    assert (message.samples, message.rejects) == (3, 1)


def test_a_sample_that_cannot_be_written_becomes_a_reject_that_says_so() -> None:
    bad = Sample(Series("Not an id", "level"), 7, 1)
    (message,) = pack([bad, *numbered(2)], source="lamp:/line-1")
    up = decode_up(message.payload)
    assert len(up.samples) == 2
    (found,) = up.rejects
    assert (found.reject.at, found.reject.source, found.reject.code) == (7, "lamp:/line-1", "sample")
    assert "Not an id" in found.reject.reason
    assert b"Not an id" in found.reject.payload
