"""Who spoke and is not in the registry: it may have been registered a moment ago, so the registry is loaded once more, within bounds."""

from hub.model import Micros

REMEMBERED: Micros = 5_000_000
"""for how long a name is remembered as looked up"""
MOST = 10_000
LOOK_AGAIN: Micros = 5_000_000
"""a client makes the registry be loaded once in this time: a flood of ever new names must not become a flood of loads"""
REST = 20
"""times as long as a look took a client that was looked up before has to wait for the next one: in a province a look takes seconds in which the lane
commits nothing, and an edge that was retired and left on its wall speaks every few seconds, for years"""
KNOWN: Micros = 600_000_000
"""for how long a client is remembered as looked up"""


class Strangers:
    """Names that were looked up, and when each client last made us look."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str]] = set()
        self._since: Micros = 0
        self._looked: dict[str, Micros] = {}
        self._rests: tuple[Micros, Micros] = (0, 0)
        """since when, and for how long, nobody is looked up again"""

    def worth_a_look(self, names: set[tuple[str, str]], now: Micros) -> bool:
        """Whether one of these (client, what is unknown) asks for a fresh registry now."""
        if abs(now - self._since) > REMEMBERED or len(self._names) > MOST:
            self._names, self._since = set(), now
        new = names - self._names
        since, rest = self._rests
        wait = LOOK_AGAIN if abs(now - since) >= rest else KNOWN
        eager = {client for client, _ in new if abs(now - self._looked.get(client, now - KNOWN)) >= wait}
        if not eager:
            return False
        self._names |= new
        self._looked = {client: at for client, at in self._looked.items() if abs(now - at) < KNOWN}
        if len(self._looked) > MOST:
            self._looked = {}
        self._looked |= dict.fromkeys(eager, now)
        return True

    def looked(self, took: Micros, now: Micros) -> None:
        """A look took so long."""
        self._rests = now, REST * took
