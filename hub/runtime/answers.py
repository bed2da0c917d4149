"""Acknowledgements given while the database is away, in memory and in the journal, until they stand in the database."""

from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from uuid import UUID

import structlog

from hub.core.answers import MOST, Answer
from hub.errors import Conflict
from hub.model import Micros
from hub.runtime.journal import Journal

_log = structlog.get_logger(__name__)


class Answers:
    """All of them, by alarm in the order in which they were given."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._given: dict[UUID, tuple[Answer, ...]] = {}
        self._heard: dict[UUID, float] = {}
        """when the standing one came, monotonic seconds; unknown after a restart"""

    def restore(self, kept: Iterable[Answer]) -> None:
        """What the journal held."""
        for answer in sorted(kept, key=lambda one: one.at):
            self._given[answer.alarm] = (*self.of(answer.alarm), answer)

    def of(self, alarm: UUID) -> tuple[Answer, ...]:
        """All of one alarm."""
        return self._given.get(alarm, ())

    def standing(self, alarm: UUID) -> Answer | None:
        """The one that stands: nobody is to be told meanwhile."""
        given = self.of(alarm)
        return given[-1] if given and given[-1].over_at is None else None

    def all_standing(self) -> Iterator[Answer]:
        """Those that stand."""
        for alarm in [*self._given]:
            answer = self.standing(alarm)
            if answer is not None:
                yield answer

    def give(self, answer: Answer, now: float) -> Awaitable[None]:
        """It stands from now on, and is on the disk when what this returns has ended (or the disk is said to be broken). Raises Conflict where
        another stands."""
        before = self.standing(answer.alarm)
        if before is not None:
            raise Conflict(f"the alarm is already acknowledged (by {before.actor})")
        self._given[answer.alarm] = (*self.of(answer.alarm), answer)[-MOST:]
        self._heard[answer.alarm] = now
        _log.warning(
            "standby.acknowledged",
            alarm=str(answer.alarm),
            by="name" if answer.notification is None else str(answer.notification),
        )
        return self._journal.answer(answer)

    def is_after(self, answer: Answer, at: Micros, heard: float) -> bool:
        """Whether a press of time `at`, whose message came at `heard` (monotonic), came after the answer. Where clocks leave it open it did: a cry for
        help is heard rather once too often."""
        came = self._heard.get(answer.alarm)
        return at > answer.at or (came is not None and heard > came)

    async def end(self, answer: Answer, at: Micros, why: str) -> None:
        """It stands no more."""
        over = replace(answer, over_at=at, why=why)
        self._given[answer.alarm] = tuple(over if one == answer else one for one in self.of(answer.alarm))
        _log.warning("standby.acknowledgement_over", alarm=str(answer.alarm), reason=why)
        await self._journal.answer(over)

    def release(self, alarm: UUID) -> None:
        """They stand in the database."""
        self._given.pop(alarm, None)
        self._heard.pop(alarm, None)
