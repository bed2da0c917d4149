"""What is known to be missing: streams with their watermarks, the balance of each hour, gaps, and the completeness of a series."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from psycopg.types.json import Jsonb

from hub.core.completeness import Completeness, Known, Span, complete
from hub.core.rights import Scope
from hub.model import to_datetime, to_micros
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.views import DeviceKey

_SQL = queries("completeness")
LAG = timedelta(seconds=60)
"""how old an edge's newest beat may be before what came after it counts as not arrived"""
MOST = 20_000
"""spans that are weighed; where a period has more there is no share, since one that leaves some out would be too good"""
LONGEST = timedelta(days=7)
"""of a period in which a series' own rows are looked through; beyond it only what is known of its device counts"""


class Rhythm(NamedTuple):
    """How often a series must be stored: `every` is None where nobody polls it."""

    point: str
    instance: str
    reassert: timedelta
    every: timedelta | None


class Gaps:
    """All that is missing of one series in a period; asked once, weighed over any part of it."""

    def __init__(self, known: Known, spans: list[Span], now: datetime) -> None:
        self._known, self._spans, self._now = known, spans, to_micros(now)

    def over(self, since: datetime, until: datetime) -> Completeness:
        """The completeness of [since, until)."""
        if len(self._spans) > MOST:
            return Completeness(None, "too_many", None, None, [])
        return complete(to_micros(since), to_micros(until), self._now, self._known, self._spans)


async def gaps_of(
    conn: Connection, device: DeviceKey, rhythm: Rhythm | None, since: datetime, until: datetime, now: datetime
) -> Gaps:
    """What is missing of a device, and with `rhythm` of one of its series, in [since, until)."""
    asked: dict[str, Any] = {
        "device": device.key,
        "since": since,
        "until": until,
        "now": now,
        "lag": LAG,
        "most": MOST + 1,
    }
    row = await one_row(conn, _SQL["known"], {"device": device.key})
    assert row is not None
    ended = None if row["device_until"] is None else to_micros(row["device_until"])
    known = Known(to_micros(row["noted_since"]), to_micros(row["device_since"]), ended, row["heard"])
    spans = _spans(await all_rows(conn, _SQL["spans"], asked))
    if len(spans) <= MOST and rhythm is not None and min(until, now) - since <= LONGEST and since < now:
        spans += _spans(await all_rows(conn, _SQL["holes"], {**asked, **rhythm._asdict()}))
    return Gaps(known, spans, now)


def _spans(rows: Iterable[Row]) -> list[Span]:
    return [Span(to_micros(row["since"]), to_micros(row["until"]), row["cause"]) for row in rows]


def moments(span: Span) -> dict[str, Any]:
    """A span as the API shows it."""
    return {"from": to_datetime(span.since), "to": to_datetime(span.until), "cause": span.cause}


async def figures(
    conn: Connection,
    device: DeviceKey,
    *,
    point: str,
    instance: str,
    by: Literal["hour", "day"],
    since: datetime,
    until: datetime,
    limit: int,
    after: datetime | None = None,
) -> list[Row]:
    """Count, mean, least and greatest of a series by hour or day, oldest first; bad values count and give no figure."""
    asked = {"device": device.key, "point": point, "instance": instance, "since": since, "until": until}
    name: Literal["figures", "figures_by_day"] = "figures" if by == "hour" else "figures_by_day"
    return await all_rows(conn, _SQL[name], {**asked, "limit": limit, "after": after})


async def streams(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None = None,
    client: str | None = None,
    institution: str | None = None,
) -> list[Row]:
    """The streams of a scope, by name: there are two for each client, and those that they have left behind."""
    asked: dict[str, Any] = {"limit": limit, "after": after, "client": client, "institution": institution}
    asked["scope"] = Jsonb(scope.as_json())
    return await all_rows(conn, _SQL["streams"], asked)


async def conservation(
    conn: Connection, scope: Scope, *, limit: int, after: tuple[datetime, str] | None = None, **filters: Any
) -> list[Row]:
    """What became of all items, by hour and stream, newest first; filters: client, institution, unbalanced, since, until."""
    hour, stream = (None, None) if after is None else after
    asked = {"scope": Jsonb(scope.as_json()), "limit": limit, "after_hour": hour, "after": stream, **filters}
    return await all_rows(conn, _SQL["conservation"], asked)


async def gaps(
    conn: Connection, scope: Scope, *, limit: int, before: datetime | None = None, skip: int = 0, **filters: Any
) -> list[Row]:
    """Gaps, newest first; go on at `before`, of which `skip` were shown. Filters: client, device, institution, cause, since, until."""
    asked = {"scope": Jsonb(scope.as_json()), "limit": limit, "before": before, "skip": skip, **filters}
    return await all_rows(conn, _SQL["gaps"], asked)
