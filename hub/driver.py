"""THE driver contract: all that a third party imports (with `hub.model`, `hub.errors` and, for MQTT, `hub.mqtt`).

A driver is an object with a name, three pydantic models and one method::

    class Lamp:
        name = "lamp"
        Endpoint = LampEndpoint      # where to connect: one per line, gateway, agent or broker
        Device = LampDevice          # what tells this device from others on the same endpoint (unit id, topic base)
        Address = LampAddress        # what tells this point from others of the device (register, OID, JSON pointer)

        def connect(self, endpoint, bindings):   # an async context manager that yields a PollLink or a PushLink
            ...

    driver = Lamp()                  # named by the entry point group `hub.drivers`

Entering connects, leaving disconnects; to reconnect is to leave and to enter again. A driver raises `LinkDown`, `ProtocolFault` or
`AccessDenied` and nothing else; the runtime owns timing, back-off, logging and counting. A driver starts no task that outlives its context,
keeps no unbounded queue, reads the clock only to set `Sample.at`, and puts no secret into an error.
All three models forbid unknown keys. Several devices may share one endpoint; the runtime runs one link and one task per endpoint.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from hub.model import Delivery, Sample, Scalar, Series

ENTRY_POINT_GROUP = "hub.drivers"


class Binding(NamedTuple):
    """One point of one device on this endpoint, parsed by the driver's own models.

    `kind` is the profile's point type (`bool`, `int`, `float`, `str`), for protocols whose values carry none.
    A point whose instances are known only at run time is bound once with an empty instance; the driver fills `Series.instance`.
    """

    series: Series
    device: Any
    """an instance of the driver's `Device` model"""
    address: Any
    """an instance of the driver's `Address` model"""
    kind: str
    writable: bool = False


@runtime_checkable
class PollLink(Protocol):
    """A link that answers when asked."""

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked, in any order; a point that failed alone gives a Sample with `error`.

        A point whose instances are known only at run time gives one sample an instance, and where they cannot be listed one with `error`
        and no instance; a point that only ever speaks by itself (a link that is a PushLink too) gives none.

        Raises `LinkDown` when the endpoint is gone, `ProtocolFault` when an answer is nonsense as a whole: with the bytes,
        and in its `samples` what this read has all the same.
        """
        ...


@runtime_checkable
class PushLink(Protocol):
    """A link whose peer speaks by itself."""

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Samples as they come. Garbage becomes a `Reject` in the delivery and never ends the stream.

        Ends by raising `LinkDown`. `Delivery.settle` sends the protocol's own confirmation where there is one.
        """
        ...


@runtime_checkable
class WriteLink(Protocol):
    """An optional extra of either kind."""

    async def write(self, series: Series, value: Scalar) -> Scalar | None:
        """Write and read back; returns what the device then says, None where it cannot be read.

        Raises `BadInput` when the point cannot be written, the value does not fit, or the device refuses it.
        """
        ...


Link = PollLink | PushLink
"""A link may be both: it is asked and speaks by itself (an agent that is polled and sends traps)."""


class Driver(Protocol):
    """What the entry point names."""

    name: str
    Endpoint: type[BaseModel]
    Device: type[BaseModel]
    Address: type[BaseModel]

    def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AbstractAsyncContextManager[Link]:
        """Connect on entering, disconnect on leaving. Raises `LinkDown` or `AccessDenied` on entering."""
        ...


class FoundPoint(NamedTuple):
    """One value that a found device has."""

    name: str
    """a suggestion, `[a-z][a-z0-9_]{0,39}` where the protocol has a name for it"""
    address: Mapping[str, Any]
    """settings of the driver's `Address` model"""
    raw: Scalar | None
    """what it gave just now"""


class Found(NamedTuple):
    """One device that discovery saw, as a manifest would name it. Holds no secret: who edits the manifest puts them in."""

    name: str
    """a suggestion for the device's id"""
    endpoint: Mapping[str, Any]
    """settings of the driver's `Endpoint` model, without its secrets; equal for devices behind one endpoint"""
    device: Mapping[str, Any]
    """settings of the driver's `Device` model"""
    says: str
    """what it says of itself, in one line; empty where it says nothing"""
    marks: Mapping[str, str] = {}
    """by which a profile's `recognised_by` may know it: `sysobjectid`, `topic`, `manufacturer`, `model` …"""
    points: Sequence[FoundPoint] = ()


@runtime_checkable
class Discoverer(Protocol):
    """An optional extra of a driver: look for devices, only where `search` says and no faster than it says."""

    Search: type[BaseModel]
    """where to look and how fast: ranges without defaults, a bounded number of questions, questions a second; unknown keys refused"""

    def discover(self, search: Any) -> AsyncIterator[Found]:
        """Devices as they are found; ends by itself. Raises `LinkDown`, `AccessDenied` or `BadInput`; closing it leaves nothing behind."""
        ...
