"""Clients of whom somebody else holds a row (a person's transaction that hangs, a tool that was left open): what they say waits, and nobody else's does.

What is put off is settled with the broker and not confirmed: the client still has it and sends it again (docs/protocol.md, *Order, confirmation, going
back*). So nothing is lost, a client's order stands, and the messages of others need not wait behind it.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence, Set
from datetime import timedelta

import structlog

SEARCH = 1.0
"""seconds that a search may take; whom it has not come to by then waits with those it found"""
QUICKLY = timedelta(milliseconds=100)
"""how long a try in a search waits for a row"""
PAUSES = 1.0, 8.0
"""seconds until a client that is put off is tried again: the first time, and at most"""
FORGOTTEN = 60.0
"""seconds after which a client that was put off and says nothing any more is forgotten"""

_log = structlog.get_logger(__name__)

Goes = Callable[[Collection[str]], Awaitable[bool | None]]
"""Whether what these clients say goes in; None where the state has to be looked at anew first"""


class PutOff:
    """Whose messages wait, and until when (monotonic seconds)."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        """the lane's, for the log"""
        self._until: dict[str, tuple[float, float]] = {}
        """with the pause that it was given"""

    def waits(self, now: float) -> frozenset[str]:
        """Who is left alone now."""
        self._until = {name: one for name, one in self._until.items() if one[0] + FORGOTTEN > now}
        return frozenset(name for name, (until, _) in self._until.items() if until > now)

    def known(self, clients: Iterable[str]) -> list[str]:
        """Of these who was put off and did not go in since: a try with them is a short one."""
        return sorted(self._until.keys() & set(clients))

    def any(self) -> bool:
        """Whether there is anybody of whom it is not known that they go in."""
        return bool(self._until)

    def put_off(self, clients: Iterable[str], now: float) -> list[str]:
        """These wait, each time for longer; returns those that did not wait before."""
        fresh = []
        for name in sorted(clients):
            before = self._until.get(name)
            if before is None:
                fresh.append(name)
            pause = PAUSES[0] if before is None else min(PAUSES[1], 2 * before[1])
            self._until[name] = now + pause, pause
        return fresh

    async def search(self, clients: Collection[str], goes: Goes) -> Set[str]:
        """Whose rows somebody holds, found by trying (first those that were put off before): they are put off. Nobody where it is no row that is held."""
        for some in (self.known(clients), sorted(clients)):
            held = await find_held(some, goes, time.monotonic) if some else None
            if held:
                for client in self.put_off(held, time.monotonic()):
                    _log.warning("ingest.row_held", lane=self._name, client=client)
                return held
        return frozenset()

    def went_in(self, clients: Iterable[str]) -> list[str]:
        """These are committed; returns those that had been put off."""
        return [name for name in clients if self._until.pop(name, None) is not None]


async def find_held(clients: Sequence[str], goes: Goes, clock: Callable[[], float]) -> set[str] | None:
    """Who of these does not go in; found by trying parts of them, within `SEARCH`. None: of several nobody goes in, so that no row is to blame.

    Empty where the state has to be looked at anew, or all go in by now.
    """
    until, held, went = clock() + SEARCH, set[str](), False
    parts: list[Sequence[str]] = [clients]
    while parts:
        part = parts.pop()
        # one alone was tried just now
        fits = await goes(part) if len(clients) > 1 and clock() < until else False
        if fits is None:
            return set()
        went |= fits
        if not fits and len(part) == 1:
            held.update(part)
        elif not fits:
            half = len(part) // 2
            parts += [part[half:], part[:half]]
    return held if went or len(clients) == 1 else None
