"""Completeness: which share of a period's readings is there. Pure: from spans known to be missing, never from what merely looks well.

Readings are reported by exception, so rows cannot be counted against an expectation; time can. A period is complete as far as no
span of it is known to be without readings. What is not known (before gaps were noted, before the device was there, in the future) is
no part of the figure, and where nothing is known there is none.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from hub.model import Micros

MOST_SPANS = 100
"""spans named in an answer; the share counts them all"""


Reason = Literal["empty", "no_device", "before_tracking", "never_heard", "future", "too_many"]


class Span(NamedTuple):
    """A time without readings, and why: `dropped`, `edge`, `device`, `not_arrived`, `silent`, `unread` or `series`."""

    since: Micros
    until: Micros
    cause: str


class Known(NamedTuple):
    """From when to when anything can be said of a device."""

    noted_since: Micros
    """since when the hub notes gaps"""
    device_since: Micros
    device_until: Micros | None
    heard: bool
    """anything was ever heard of it"""


class Completeness(NamedTuple):
    """A share of 0 to 1 over [since, until), or None with a reason."""

    share: float | None
    reason: Reason | None
    since: Micros | None
    until: Micros | None
    missing: list[Span]
    more: int = 0
    """spans that are not named"""


def complete(since: Micros, until: Micros, now: Micros, known: Known, spans: Iterable[Span]) -> Completeness:
    """The share of [since, until) that is not in any of `spans`, over the part of it that can be known."""
    if since >= until:
        return _unknown("empty")
    start = max(since, known.device_since)
    end = until if known.device_until is None else min(until, known.device_until)
    if start >= end:
        return _unknown("no_device")
    start = max(start, known.noted_since)
    if start >= end:
        return _unknown("before_tracking")
    if not known.heard:
        return _unknown("never_heard")
    end = min(end, now)
    if start >= end:
        return _unknown("future")
    inside = sorted(
        Span(max(span.since, start), min(span.until, end), span.cause)
        for span in spans
        if max(span.since, start) < min(span.until, end)
    )
    share = 1.0 - _covered(inside) / (end - start)
    return Completeness(share, None, start, end, inside[:MOST_SPANS], max(0, len(inside) - MOST_SPANS))


def _unknown(reason: Reason) -> Completeness:
    return Completeness(None, reason, None, None, [])


def _covered(spans: list[Span]) -> Micros:
    """How long at least one of the sorted spans holds."""
    total, reached = 0, None
    for since, until, _ in spans:
        begin = since if reached is None else max(since, reached)
        if until > begin:
            total += until - begin
            reached = until
    return total
