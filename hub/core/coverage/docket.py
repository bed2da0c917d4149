"""The docket: who is judged next, how long those who come after wait, and for whom the watch may vouch meanwhile. Pure; time is an argument.

Each subject stands in it once, however many changes it has: what comes while it waits is judged with it. Who was judged a moment ago waits for company.
Every rank has its patience: a case goes before another when its time of entry and its patience end earlier. So a change that can take a green away
goes before those that can only prove more, and nobody is overtaken for ever (docs/decisions/0375).
"""

import heapq
from collections import Counter, deque
from collections.abc import Set
from enum import IntEnum
from typing import NamedTuple

from hub.model import SECOND, Micros


class Rank(IntEnum):
    """Why a subject is judged, the most urgent first."""

    TAKES = 0
    """something changed that can take a green away, or a time limit passed"""
    ADDS = 1
    """something changed that can only prove more, or nothing was ever judged: what is shown meanwhile is never better than the truth"""
    FIRST = 2
    """this watch has not judged it yet; another did"""
    ROUND = 3
    """nothing is known to have changed"""


PATIENCE: dict[Rank, Micros] = {
    Rank.TAKES: 0,
    Rank.ADDS: 20 * SECOND,
    Rank.FIRST: 40 * SECOND,
    Rank.ROUND: 300 * SECOND,
}
"""How much later than one that can take a green away a case may enter and still be judged before it."""
COMPANY: Micros = 2 * SECOND
"""Who was judged is not judged again sooner: the devices behind one edge come and go within seconds of each other."""
ALLOWED: Micros = 5 * SECOND
"""How long a change may wait before nobody vouches for its subject any more (issue 5: re-evaluated within 5 s)."""
PRESSING: Micros = SECOND
"""Within so much time what changed is to be judged, rests included; where that cannot be, as soon as the shortest rests let it."""
FINISH: Micros = 90 * SECOND
"""Within so much time everything that waits is to be judged, rests included: half of `hub.core.coverage.ledger.STALE_AFTER`."""
LONGEST_REST: Micros = SECOND
MOST_REST, LEAST_REST = 3.0, 0.5
"""Rests as shares of the work before them: where there is time, and where there is none. The database works while a watch does, so it takes with its
backend a quarter of a core where there is time, two thirds at the most."""


class Case(NamedTuple):
    """A subject that waits."""

    rank: Rank
    turn: Micros
    """by which it stands in line: entry and patience"""
    ready: Micros
    """when it is judged at the earliest"""
    since: Micros | None
    """of the oldest change that nobody has judged; None where none is known"""


class Vouched(NamedTuple):
    """What a watch may say: all that it judged holds until `until`, but for `doubted`, subjects with the time of their oldest unjudged change."""

    until: Micros
    doubted: dict[str, Micros]


class Docket:
    """The cases that wait, and those that enter by themselves when their time limits pass. Bounded by the number of subjects."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._ranks: Counter[Rank] = Counter()
        self._coming: list[tuple[Micros, int, str]] = []
        self._line: list[tuple[Micros, int, str]] = []
        self._n = 0
        """the order of entry decides between equals"""
        self._judged: dict[str, Micros] = {}
        self._lately: deque[tuple[Micros, str]] = deque()
        self._limits: dict[str, Micros] = {}
        self._passing: list[tuple[Micros, str]] = []
        self._doubted: set[str] = set()

    def __len__(self) -> int:
        return len(self._cases)

    def __contains__(self, subject: str) -> bool:
        return subject in self._cases

    def add(self, subject: str, rank: Rank, at: Micros, since: Micros | None = None) -> None:
        """Enter a subject, or let it stand where it does with one more reason. `since` is when it changed, never later than `at`."""
        judged = self._judged.get(subject)
        company = rank in (Rank.TAKES, Rank.ADDS) and judged is not None
        ready = max(at, judged + COMPANY) if company and judged is not None else at
        changed = None if since is None else min(since, at)
        made = Case(rank, at + PATIENCE[rank], ready, changed)
        before = self._cases.get(subject)
        if before is not None:
            oldest = [one for one in (before.since, changed) if one is not None]
            made = Case(
                min(before.rank, rank),
                min(before.turn, made.turn),
                min(before.ready, ready),
                min(oldest) if oldest else None,
            )
            if made.since != before.since:
                self._doubted.discard(subject)  # an older change than the one that is doubted
        self._cases[subject] = made
        if before is None or before.rank is not made.rank:
            self._ranks[made.rank] += 1
            if before is not None:
                self._ranks[before.rank] -= 1
        if before is None or (before.turn, before.ready) != (made.turn, made.ready):
            self._n += 1
            heapq.heappush(self._coming, (made.ready, self._n, subject))
        self._tidy()

    def sleeps(self, subject: str, until: Micros | None) -> None:
        """The subject enters by itself at `until`, which replaces what was said before; None: it does not."""
        if until is None:
            self._limits.pop(subject, None)
        elif self._limits.get(subject) != until:
            self._limits[subject] = until
            heapq.heappush(self._passing, (until, subject))
            self._tidy()

    def keep(self, subjects: Set[str]) -> None:
        """All others are judged no more."""
        for gone in (self._cases.keys() | self._limits.keys()) - subjects:
            case = self._cases.pop(gone, None)
            if case is not None:
                self._ranks[case.rank] -= 1
            self._limits.pop(gone, None)
        self._doubted &= subjects

    def take(self, at: Micros, most: int) -> list[str]:
        """The next `most` at most. They wait no more: whoever takes them judges them now, with what they are as of now."""
        self._advance(at)
        taken: list[str] = []
        while self._line and len(taken) < most:
            turn, _, subject = heapq.heappop(self._line)
            case = self._cases.get(subject)
            if case is not None and case.turn == turn:
                taken.append(subject)
                del self._cases[subject]
                self._ranks[case.rank] -= 1
                self._doubted.discard(subject)
                self._note_judged(subject, at)
        return taken

    def next_at(self, at: Micros) -> Micros | None:
        """When somebody may be taken next; None while nobody waits and no limit is known."""
        self._advance(at)
        if self._line:
            return at
        return min((heap[0][0] for heap in (self._coming, self._passing) if heap), default=None)

    def vouch(self, upto: Micros, at: Micros) -> Vouched:
        """What may be said once every change before `upto` has been entered. Who has waited for too long is doubted, once, until it is judged;
        nothing is said of anybody beyond the oldest change that waits and is not doubted."""
        self._advance(at)
        waiting = {subject: case.since for subject, case in self._cases.items() if case.since is not None}
        doubted = {
            subject: since
            for subject, since in waiting.items()
            if since < at - ALLOWED and subject not in self._doubted
        }
        self._doubted |= doubted.keys()
        until = min((since for subject, since in waiting.items() if subject not in self._doubted), default=upto)
        return Vouched(min(upto, until), doubted)

    def rest(self, worked: Micros, judged: int) -> Micros:
        """How long processor and database are left to others after `judged` subjects took `worked`."""
        if judged == 0:
            return 0
        cost = max(1.0, worked / judged)
        takes = self._ranks[Rank.TAKES]
        changed = takes + self._ranks[Rank.ADDS]
        shares = [MOST_REST]
        if self._cases:
            shares.append(max(LEAST_REST, FINISH / (len(self._cases) * cost) - 1))
        if (
            0 < changed * cost * (1 + LEAST_REST) <= PRESSING
        ):  # else haste would not help them, and take the room of others
            shares.append(max(LEAST_REST, PRESSING / (changed * cost) - 1))
        if takes:
            shares.append(max(LEAST_REST, PRESSING / (takes * cost) - 1))
        return min(LONGEST_REST, int(worked * min(shares)))

    def _advance(self, at: Micros) -> None:
        """Let limits pass, and those get in line whose company has come."""
        while self._passing and self._passing[0][0] <= at:
            until, subject = heapq.heappop(self._passing)
            if self._limits.get(subject) == until:
                del self._limits[subject]
                self.add(subject, Rank.TAKES, at, until)
        while self._coming and self._coming[0][0] <= at:
            _, n, subject = heapq.heappop(self._coming)
            case = self._cases.get(subject)
            if case is not None:
                heapq.heappush(self._line, (case.turn, n, subject))
        while self._lately and self._lately[0][0] <= at - COMPANY:
            judged_at, subject = self._lately.popleft()
            if self._judged.get(subject) == judged_at:
                del self._judged[subject]

    def _note_judged(self, subject: str, at: Micros) -> None:
        self._judged[subject] = at
        self._lately.append((at, subject))

    def _tidy(self) -> None:
        """Entries that nothing points to any more are dropped before they are many."""
        if len(self._coming) + len(self._line) > 4 * len(self._cases) + 64:
            self._line = []
            self._coming = [(case.ready, n, subject) for n, (subject, case) in enumerate(self._cases.items())]
            self._n = len(self._coming)
            heapq.heapify(self._coming)
        if len(self._passing) > 2 * len(self._limits) + 64:
            self._passing = [(until, subject) for subject, until in self._limits.items()]
            heapq.heapify(self._passing)


class Horizon:
    """Up to when every change has been read. Changes are read in the order of their transactions, and one is shown only when no older transaction
    runs (hub.store.changes): what had been committed at a look has been read once all transactions that had begun by then have been passed."""

    SPACED: Micros = SECOND // 4
    MOST = 4096

    def __init__(self, at: Micros) -> None:
        self.upto = at
        self._looks: deque[tuple[int, Micros]] = deque()

    def looked(self, at: Micros, began: int, read: int) -> None:
        """At `at` every transaction below the number `began` had begun, and every change of those below `read` has been read now."""
        if len(self._looks) < self.MOST and (not self._looks or at >= self._looks[-1][1] + self.SPACED):
            self._looks.append((began, at))
        while self._looks and self._looks[0][0] <= read:
            self.upto = max(self.upto, self._looks.popleft()[1])
