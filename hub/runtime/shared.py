"""What the lanes of a partition share: the registry, whom they heard, and what they have counted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.core import wire
from hub.core.premises import Said
from hub.model import Lane, Micros
from hub.registry import Registry
from hub.runtime.turns import Turns

if TYPE_CHECKING:
    from hub.runtime.ingest import LaneIngest

Clock = Callable[[], Micros]


def wall_clock() -> Micros:
    """The hub's clock, microseconds."""
    return time.time_ns() // 1000


@dataclass
class Counters:
    """What /metrics shows of one lane."""

    messages: int = 0
    readings: int = 0
    quarantined: int = 0
    unbalanced: int = 0
    """items that a client declared and that came in no message, or the other way round"""
    batches: int = 0
    conflicts: int = 0
    database_losses: int = 0
    broker_losses: int = 0
    put_off: int = 0
    """messages that wait because somebody else holds a row of their client's"""


@dataclass
class Shared:
    """What the lanes of a partition share: the registry, and when each client was last heard in any lane."""

    number: int
    registry: Registry
    clients: dict[str, Micros] = field(default_factory=dict)
    said: Said = field(default_factory=Said)
    """hours, armed states and maintenance windows, as they were loaded with the registry"""
    reload: Callable[[], "asyncio.Future[None]"] = field(default=lambda: asyncio.get_running_loop().create_future())
    """ask for a fresh registry; the future ends when one that was loaded after the call is there"""
    lanes: "dict[Lane, LaneIngest]" = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)
    """of all lanes of the process"""
    sessions: dict[str, str] = field(default_factory=dict)
    """the newest session of each client that said that one began"""
    deaths: dict[str, Micros] = field(default_factory=dict)
    """when the broker said that this session had ended"""
    session_news: dict[str, Micros | None] = field(default_factory=dict)
    """the same, to be written down; None: a session began"""

    def note_state(self, client: str, state: wire.SessionState, now: Micros) -> None:
        """A session began or ended. The end of another than the newest says nothing: the client is back already."""
        if client not in self.registry.clients:
            return
        if state.born:
            self.sessions[client] = state.session
            self.session_news[client] = None
            self.deaths.pop(client, None)
        elif self.sessions.get(client) in (None, state.session):
            self.deaths[client] = self.session_news[client] = now
