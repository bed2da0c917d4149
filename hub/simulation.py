"""The contract of a simulator: the far end of one protocol, for cases, recordings and `anxin simulate`. Entry point group `hub.simulators`.

A simulator has the name of its driver and imports what a driver may import, with this module. The hub starts it and never imports it.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

ENTRY_POINT_GROUP = "hub.simulators"

Settings = Mapping[str, Any]


class Place(NamedTuple):
    """What a simulator may use of this machine."""

    folder: Path
    """for pseudo terminals and the like; exists"""
    broker: str | None = None
    """mqtt://user:password@host:port, for protocols that meet at a broker"""


class Mark(NamedTuple):
    """A point of no profile that says something last of all."""

    device: Settings
    address: Settings
    kind: str


class Replay(Protocol):
    """A far end that says what a case holds."""

    @property
    def endpoint(self) -> Settings:
        """Settings over the case's own that reach it."""
        ...

    @property
    def end(self) -> Mark | None:
        """What `play` says last; None where it hangs up instead, or never speaks by itself."""
        ...

    async def play(self) -> None:
        """Once a driver is connected: say what the case says by itself, in its order. Raises TimeoutError when nobody listens."""
        ...


class Simulator(Protocol):
    """What the entry point names."""

    name: str
    """the driver's name"""

    def replay(self, files: Mapping[str, bytes], place: Place) -> AbstractAsyncContextManager[Replay]:
        """The far end that a case's files describe; questions are answered by content, in any order. Raises BadInput that names file and line."""
        ...
