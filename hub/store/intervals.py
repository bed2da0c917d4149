"""Spans of time between us (whole microseconds) and PostgreSQL (interval, a timedelta in psycopg), exactly."""

from datetime import timedelta

from hub.model import Micros

_MICROSECOND = timedelta(microseconds=1)


def to_interval(span: Micros) -> timedelta:
    """What psycopg writes as an interval."""
    return timedelta(microseconds=span)


def to_span(interval: timedelta) -> Micros:
    """Microseconds of an interval that holds no months."""
    return interval // _MICROSECOND
