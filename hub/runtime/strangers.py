"""Who spoke and is not in the registry: it may have been registered a moment ago, so the registry is loaded once more, within bounds."""

from hub.model import Micros

REMEMBERED: Micros = 5_000_000
"""for how long a name is remembered as looked up"""
MOST = 10_000
LOOK_AGAIN: Micros = 5_000_000
"""a client makes the registry be loaded once in this time: a flood of ever new names must not become a flood of loads"""


class Strangers:
    """Names that were looked up, and when each client last made us look."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str]] = set()
        self._since: Micros = 0
        self._looked: dict[str, Micros] = {}

    def worth_a_look(self, names: set[tuple[str, str]], now: Micros) -> bool:
        """Whether one of these (client, what is unknown) asks for a fresh registry now."""
        if abs(now - self._since) > REMEMBERED or len(self._names) > MOST:
            self._names, self._since = set(), now
        new = names - self._names
        eager = {client for client, _ in new if abs(now - self._looked.get(client, 0)) >= LOOK_AGAIN}
        if not eager:
            return False
        self._names |= new
        self._looked = {client: at for client, at in self._looked.items() if abs(now - at) < LOOK_AGAIN}
        self._looked |= dict.fromkeys(eager, now)
        return True
