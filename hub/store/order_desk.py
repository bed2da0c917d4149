"""What the hub does about orders by itself, over a connection of its own: it drafts, lapses, closes, reopens, raises, and has the alarms stand that
tell the divisions above. One desk at a time (an advisory lock); every method raises LinkDown when the connection is gone.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta, timezone
from typing import Any, NamedTuple

import structlog
from psycopg.types.json import Jsonb

from hub.core import orders as core
from hub.core.coverage.rules import Verdict
from hub.core.order_alarms import OVERDUE, Raised, wanted
from hub.core.orders import Event, Facts, Order, Period, State, Terms
from hub.core.policy_alarms import MOST
from hub.errors import ODD, Conflict
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store import hub_alarms, rollup
from hub.store.orders import HUB, of_row, parents, put
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_log = structlog.get_logger(__name__)
_SQL = queries("orders")
_LOCK = 0x6F72646572  # "order"
BATCH = 500
"""drafts of one look, and orders whose periods are read at once"""
MOST_EVENTS = 1000
"""of one look, so that a transaction stays short"""
AHEAD: Micros = 90 * SECOND
"""what falls due so soon is told with a look, so that it is done on time: longer than from one look at everything to the next"""
_JUDGED_LATER: Micros = 2 * SECOND
"""what is due waits for the next judging of its institution (renewed every few seconds): look again after so long"""
MOST_SAID = 10_000
_DRAFTED = ("institution", "rule", "basis", "module", "sentence_zh", "sentence_en", "since", "days_to_remedy")
_BEIJING = timezone(timedelta(hours=8))


class Done(NamedTuple):
    """What a look did: how many orders met with each event."""

    events: Mapping[str, int]
    more: bool
    """one look did not do all of it: look again at once"""
    due: Mapping[str, Micros]
    """when to look at an institution's orders again, by its id: what falls due within `AHEAD`"""


class _Due:
    """When to look again at whose orders, as far as it is soon."""

    def __init__(self, at: Micros) -> None:
        self._at = at
        self.found: dict[str, Micros] = {}

    def add(self, subject: str, when: Micros | None, checked_at: Micros) -> None:
        """Something at this institution falls due at `when`. What is due already and was not done waits for the institution to be judged; where
        nobody judges it, the look at everything is soon enough.
        """
        if when is None or when > self._at + AHEAD or max(when, checked_at) <= self._at - AHEAD:
            return
        then = when if when > self._at else self._at + _JUDGED_LATER
        self.found[subject] = min(then, self.found.get(subject, then))


class Desk:
    """One connection in autocommit mode; each look is one transaction."""

    def __init__(self, conn: Connection, profile: Profile | None) -> None:
        self._conn = conn
        self._profile = profile if profile is not None and OVERDUE in profile.alarms else None
        self._said: set[tuple[object, ...]] = set()
        """what could not be done when it was tried last, which was said"""

    @asynccontextmanager
    async def _alone(self, **what: object) -> AsyncIterator[None]:
        """What goes wrong inside is taken back and said, once for each: one odd row stops nobody else's orders."""
        told = tuple(what.values())
        try:
            async with self._conn.transaction():
                with translated():
                    yield
        except (Conflict, *ODD) as error:
            say = _log.debug if told in self._said else _log.error
            self._said = (self._said if len(self._said) < MOST_SAID else set()) | {told}
            say("orders.refused", **what, reason=repr(error)[:300])
        else:
            self._said.discard(told)

    async def look(self, at: Micros, terms: Terms, among: Sequence[str] | None = None) -> Done:
        """Everything that is due at `at`, or what of it is due at the institutions `among`. Drafts come last, so that what lapses or reopens is not
        drafted beside it.
        """
        events: dict[str, int] = {}
        due = _Due(at)
        names = None if among is None else list(among)
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["only_one"], {"key": _LOCK})
                above = await parents(self._conn)
                async with self._alone(what="orders"):
                    await self._settle_all(at, terms, names, above, due, events)
                moved = sum(events.values())
                drafted, more = 0, moved >= MOST_EVENTS
                if not more:
                    async with self._alone(what="drafts"):
                        drafted, more = await self._draft(at, terms, names, due)
                if drafted:
                    events["draft"] = drafted
                if self._profile is not None:
                    async with self._alone(what="alarms"):
                        await self._tell(self._profile, above, at)
        return Done(events, more, due.found)

    async def _settle_all(
        self,
        at: Micros,
        terms: Terms,
        among: list[str] | None,
        above: Mapping[str, str | None],
        due: "_Due",
        events: dict[str, int],
    ) -> None:
        for row, periods in await self._attention(at, terms, among):
            async with self._alone(order=str(row["id"])):
                done = await self._settle(row, _facts(row, periods), at, terms, above, due)
                for event in done:
                    events[event] = events.get(event, 0) + 1
            if sum(events.values()) >= MOST_EVENTS:
                break

    async def take(self, day: date, at: Micros) -> None:
        """The roll-up's snapshot of a day."""
        with translated():
            async with self._conn.transaction():
                await self._conn.execute(_SQL["only_one"], {"key": _LOCK})
                await rollup.take(self._conn, day, to_datetime(at))

    async def _attention(self, at: Micros, terms: Terms, among: list[str] | None) -> list[tuple[Row, list[Row]]]:
        """Orders, each with the rows of what its rule was found to be."""
        asked: dict[str, Any] = {"at": to_datetime(at), "stood": to_datetime(at - terms.stands)}
        asked |= {"watched": to_datetime(at - terms.holds), "relapse": _span(terms.relapse)}
        asked |= {"ahead": _span(AHEAD), "among": among}
        rows = await all_rows(self._conn, _SQL["attention"], asked)
        found = []
        for first in range(0, len(rows), BATCH):
            part = rows[first : first + BATCH]
            places = [
                {
                    "subject": row["subject"],
                    "rule": row["rule"],
                    "since": (row["watched_from"] or row["drafted_at"]).isoformat(),
                }
                for row in part
            ]
            periods: dict[tuple[str, str], list[Row]] = {}
            for one in await all_rows(self._conn, _SQL["periods"], {"asked": Jsonb(places)}):
                periods.setdefault((one["subject"], one["rule"]), []).append(one)
            found += [(row, periods.get((row["subject"], row["rule"]), [])) for row in part]
        return found

    async def _settle(
        self, row: Row, facts: Facts, at: Micros, terms: Terms, above: Mapping[str, str | None], due: "_Due"
    ) -> Sequence[str]:
        order, done = of_row(row), []
        while (event := core.decide(order, facts, at, terms)) is not None:
            raised = event is Event.RAISE
            order = core.climbed(order, above, at, terms) if raised else core.step(order, event, at)
            await put(self._conn, row["id"], order, event, at, HUB)
            done.append(event.value)
        due.add(row["subject"], core.due_at(order, facts, terms), facts.checked_at)
        return done

    async def _draft(self, at: Micros, terms: Terms, among: list[str] | None, due: "_Due") -> tuple[int, bool]:
        asked = {
            "stood": to_datetime(at - terms.stands),
            "stands": _span(terms.stands),
            "forgotten": to_datetime(at - terms.relapse),
            "relapse": _span(terms.relapse),
            "ahead": _span(AHEAD),
            "among": among,
            "limit": BATCH + 1,
        }
        rows = await all_rows(self._conn, _SQL["violations"], asked)
        drafted = 0
        for row in rows[:BATCH]:
            made = False
            async with self._alone(institution=row["subject"], rule=row["rule"]):
                made = await self._draft_one(row, at, terms, due)
            drafted += made
        return drafted, len(rows) > BATCH and drafted > 0

    async def _draft_one(self, row: Row, at: Micros, terms: Terms, due: "_Due") -> bool:
        last = None if row["state"] is None else _last(row)
        violation = Period(Verdict.NON_COMPLIANT, to_micros(row["since"]), None)
        if not core.may_draft(violation, last, at, to_micros(row["checked_at"]), terms):
            due.add(row["subject"], core.draft_at(violation, last, terms), to_micros(row["checked_at"]))
            return False
        values = {name: row[name] for name in _DRAFTED}
        cited = {"citation": Jsonb(row["citation"])}
        made = await one_row(self._conn, _SQL["draft"], {**values, **cited, "at": to_datetime(at)})
        if made is None:
            return False
        said = {"id": made["id"], "event": "draft", "at": to_datetime(at), "state": "draft", "actor": HUB}
        words = {"note": "", "attachment": "", "raised_to": None}
        await self._conn.execute(_SQL["add_step"], said | words)
        await self._conn.execute(_SQL["say"], said)
        return True

    async def _tell(self, profile: Profile, above: Mapping[str, str | None], at: Micros) -> None:
        rows = await all_rows(self._conn, _SQL["raised"], {"limit": MOST})
        alarms = wanted([_raised(row) for row in rows], above, rows[0]["total"] if rows else 0)
        await hub_alarms.settle(self._conn, profile, OVERDUE, alarms, at)


def _facts(row: Row, periods: Sequence[Row]) -> Facts:
    known = [
        Period(
            Verdict(one["verdict"]), to_micros(one["since"]), None if one["until"] is None else to_micros(one["until"])
        )
        for one in periods
    ]
    return Facts(tuple(known), to_micros(row["checked_at"]))


def _last(row: Row) -> Order:
    ended = None if row["ended_at"] is None else to_micros(row["ended_at"])
    return Order(State(row["state"]), row["days_to_remedy"], to_micros(row["drafted_at"]), ended_at=ended)


def _raised(row: Row) -> Raised:
    order = Order(
        State.RAISED,
        row["days_to_remedy"],
        to_micros(row["drafted_at"]),
        owner=row["owner"],
        raised_to=row["raised_to"],
    )
    cited = row["citation"] if isinstance(row["citation"], dict) else {}
    # without its words it is overdue all the same
    zh, en = (str(cited.get(name) or row["rule"]) for name in ("title_zh", "title_en"))
    due = "-" if row["due_at"] is None else row["due_at"].astimezone(_BEIJING).date().isoformat()
    return Raised(str(row["id"]), order, row["title_zh"], row["title_en"], zh, en, due)


def _span(span: Micros) -> timedelta:
    return timedelta(microseconds=span)


@asynccontextmanager
async def open_order_desk(database_url: str, profile: Profile | None) -> AsyncIterator[Desk]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "orders", autocommit=True, lock_timeout="1s")
    try:
        yield Desk(conn, profile)
    finally:
        await conn.close()
