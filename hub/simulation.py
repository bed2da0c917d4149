"""The contract of a simulator: the far end of one protocol, for cases, recordings and `anxin simulate`. Entry point group `hub.simulators`.

A simulator has the name of its driver and imports what a driver may import, with this module. The hub starts it and never imports it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hub.driver import Binding
from hub.model import Scalar

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


FAULTS = ("silence", "half_frame", "wrong_id", "bit_error", "duplicate_trap", "reset_mid_frame", "clock_jump")
"""silence: a frame or answer that never comes. half_frame: only its beginning comes. wrong_id: it names another question or another device.
bit_error: one bit is turned over. duplicate_trap: what was said by itself is said twice. reset_mid_frame: the connection is cut in the middle of a
frame. clock_jump: the device's own clock jumps by up to a day."""

Values = Mapping[tuple[str, str], Scalar]
"""Raw values, as the protocol gives them, by point and instance."""


ALL_WORDS: Mapping[str, frozenset[Scalar]] = {}
"""Every point can say every value of its own."""


class Part(NamedTuple):
    """A point that is played."""

    point: str
    kind: str
    address: Any
    """an instance of the driver's `Address` model"""
    instances: bool
    event: bool
    """it happens and never un-happens"""
    beat: bool = False
    """that it comes is what counts"""


class Played(NamedTuple):
    """One device to be played."""

    name: str
    """unique among all that are played"""
    device: Any
    """an instance of the driver's `Device` model; None where the profile's settings are not enough, and the simulator chooses"""
    defaults: Settings
    """the profile's settings of the device"""
    parts: tuple[Part, ...]
    faults: Mapping[str, float]
    """probability of each of `FAULTS`, per frame, answer or message"""
    seed: int
    host: str = "127.0.0.1"
    """where to listen"""
    over: str = "tcp"
    """`tcp`, `rtu_over_tcp` or `pty`, for what may stand on a line"""
    site: str = ""
    """the institution: one edge reads all devices of it, and listens at one port for what they send"""


class Playing(Protocol):
    """A device that is there."""

    @property
    def endpoint(self) -> Settings:
        """Settings of the driver's endpoint that reach it, secrets included; equal for devices behind one endpoint."""
        ...

    @property
    def device(self) -> Settings:
        """Settings of the device over those of its profile."""
        ...

    @property
    def instances(self) -> tuple[str, ...]:
        """Instances of its points that have some."""
        ...

    @property
    def cannot(self) -> frozenset[str]:
        """Points of this device that the simulator cannot say yet; they are never shown."""
        ...

    @property
    def words(self) -> Mapping[str, frozenset[Scalar]]:
        """All raw values that a point can say, of points that have words only for some."""
        ...

    @property
    def spoilt(self) -> Mapping[str, int]:
        """How often each fault has been played."""
        ...

    async def show(self, values: Values) -> bool:
        """Hold these values from now on and say what is said by itself; False where nobody can have heard it, so that it is said again."""
        ...


class Tap(Protocol):
    """Stands between a real device and the real driver, and keeps what a case needs."""

    @property
    def endpoint(self) -> Settings:
        """Settings over the endpoint's own by which the driver reaches the device through the tap."""
        ...

    @property
    def kept(self) -> tuple[str, ...]:
        """Keys of the endpoint's settings that the case needs: none that says where it is or who we are."""
        ...

    def files(self, redact: Callable[[str], str]) -> Mapping[str, bytes]:
        """The exchange as the files of a case; `redact` goes over every text in it."""
        ...


class Simulator(Protocol):
    """What the entry point names."""

    name: str
    """the driver's name"""

    def tap(self, endpoint: Any, bindings: Sequence[Binding], place: Place) -> AbstractAsyncContextManager[Tap]:
        """A tap in front of the device that `endpoint` (the driver's model) reaches. Raises BadInput where none can stand, DriverError, OSError."""
        ...

    def play(self, played: Played, place: Place) -> AbstractAsyncContextManager[Playing]:
        """A device of this protocol, there until the context ends. Raises BadInput that names the point which it cannot play."""
        ...

    def replay(self, files: Mapping[str, bytes], place: Place) -> AbstractAsyncContextManager[Replay]:
        """The far end that a case's files describe; questions are answered by content, in any order. Raises BadInput that names file and line."""
        ...
