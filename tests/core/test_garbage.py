"""Noise on a line fills no spool, and every reject is either kept or counted."""

import re

from hypothesis import given
from hypothesis import strategies as st

from hub.core.garbage import KEPT, MINUTE, SOURCES, Sieve
from hub.model import Reject


def noise(count: int, source: str = "line-1", code: str = "checksum") -> list[Reject]:
    return [Reject(n, source, code, "wrong") for n in range(count)]


def counted(rejects: list[Reject]) -> int:
    found = [re.match(r"(\d+) more", reject.reason) for reject in rejects if reject.code == "dropped"]
    return sum(int(match[1]) for match in found if match is not None)


def test_of_one_source_and_code_sixty_a_minute_are_kept_and_the_rest_is_declared_when_the_minute_is_over() -> None:
    sieve = Sieve()
    assert sieve.take(noise(1000), 0) == noise(KEPT)
    (summary,) = sieve.take([], MINUTE)
    assert summary == Reject(
        MINUTE, "line-1", "dropped", "940 more rejects 'checksum' within a minute: counted, not kept"
    )
    assert sieve.take([], 2 * MINUTE) == []
    assert sieve.total == 940


def test_a_noisy_line_takes_nothing_from_another_line_or_another_code() -> None:
    sieve = Sieve()
    sieve.take(noise(1000), 0)
    assert sieve.take(noise(1, "line-2"), 0) == noise(1, "line-2")
    assert sieve.take(noise(1, code="length"), 0) == noise(1, code="length")


def test_sources_that_are_made_up_share_one_place() -> None:
    sieve = Sieve()
    kept = [reject for n in range(10_000) for reject in sieve.take(noise(1, f"topic/{n}"), 0)]
    assert len(kept) == SOURCES + KEPT
    assert counted(sieve.take([], MINUTE)) == 10_000 - len(kept)


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("abc"), st.integers(0, MINUTE))))
def test_every_reject_is_kept_or_counted(steps: list[tuple[int, str, int]]) -> None:
    sieve, now, given_, out = Sieve(), 0, 0, list[Reject]()
    for count, source, pause in steps:
        now += pause
        given_ += count
        out += sieve.take(noise(count, source), now)
    out += sieve.take([], now + MINUTE)
    assert len([reject for reject in out if reject.code == "checksum"]) + counted(out) == given_
