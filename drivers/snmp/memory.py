"""What a driver remembers of an agent from one connection to the next: when it began, and which rows its tables had.

A connection ends with every restart of an agent, so without this no restart would be seen and a row that went with it would stay good for
ever. Bounded: the agents seen longest ago are forgotten first.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from drivers.snmp.reboots import Life
from hub.model import Series

_MOST_AGENTS = 1024


@dataclass(slots=True)
class AgentMemory:
    """What is known of one agent."""

    lives: dict[Series, Life] = field(default_factory=dict)
    """of each point that tells of restarts, the last look"""
    rows: dict[Series, dict[str, str]] = field(default_factory=dict)
    """of each table point, the rows of the last good walk: instance by index"""
    gone: dict[Series, dict[str, None]] = field(default_factory=dict)
    """of each table point, the instances that were there once, the newest last"""


class Memory:
    """Of all agents that this process has spoken with."""

    def __init__(self) -> None:
        self._agents: OrderedDict[tuple[str, int], AgentMemory] = OrderedDict()

    def of(self, host: str, port: int) -> AgentMemory:
        """What is known of the agent there; new where it is not."""
        known = self._agents.setdefault((host, port), AgentMemory())
        self._agents.move_to_end((host, port))
        while len(self._agents) > _MOST_AGENTS:
            self._agents.popitem(last=False)
        return known
