"""The error tree. Every type is tied to one action of whoever catches it.

::

    AnxinError
    ├── BadInput            refuse, name what and where, quarantine if it came from the field
    ├── Conflict            the caller looked at an older version: reload and evaluate again (HTTP 409)
    ├── NotFound            HTTP 404
    ├── Forbidden           HTTP 403
    ├── EngineUnavailable   a part of the private engine cannot be had or started: say so and stop
    └── DriverError         raised by drivers; the runtime decides when to try again
        ├── LinkDown        leave the link, back off, enter again
        ├── ProtocolFault   the peer answered nonsense: count it, quarantine `payload`, keep the link
        └── AccessDenied    wrong credentials: longest back-off, a person must act

No message of these errors may contain a secret.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar


class AnxinError(Exception):
    """Anything this hub raises on purpose."""


class BadInput(AnxinError):
    """Input that does not hold; `where` names file and key, topic, point or register."""

    def __init__(self, reason: str, where: str = "", code: str = "bad-input") -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.where = where
        self.code = code


class Conflict(AnxinError):
    """The state has moved since it was read, or the action is not allowed in this state."""


class NotFound(AnxinError):
    """The thing named does not exist, or not within the caller's scope."""


class Forbidden(AnxinError):
    """The principal may not do this."""


class EngineUnavailable(AnxinError):
    """A part of the engine cannot be fetched or started; the text says what to do."""


class DriverError(AnxinError):
    """The root of what a driver may raise."""


class LinkDown(DriverError):
    """The endpoint cannot be reached or has gone."""


class ProtocolFault(DriverError):
    """The peer answered, but not in its protocol; `payload` is what it sent, at most 4096 bytes.

    `samples` (of `hub.model.Sample`) is what the same read got from the neighbours, and one with `error` for every point
    that the nonsense stood for: whoever catches this delivers them as if they had been returned, so that garbage costs
    nobody else a turn. Empty when the driver has nothing.
    """

    def __init__(self, reason: str, payload: bytes = b"", source: str = "", samples: Sequence[Any] = ()) -> None:
        super().__init__(reason)
        self.payload = payload[:4096]
        self.source = source
        self.samples = samples


class AccessDenied(DriverError):
    """The endpoint refused our credentials."""


ODD = (BadInput, TypeError, ValueError, LookupError, ArithmeticError)
"""What one row makes of us that the database refuses, or that another release wrote: it is said, and costs nobody else their turn."""


T = TypeVar("T")


class Fallen(NamedTuple):
    """What `tried` gives where something was raised."""

    error: Exception


def tried(judging: Callable[[], T]) -> T | Fallen:
    """What judging something from the field gives, or what it raised: a mistake of ours over one message must hold up nobody else's alarm.

    The one guard against everything. Whoever calls it says what fell, and leaves that out.
    """
    try:
        return judging()
    except Exception as error:  # noqa: BLE001 -- that is what it is for
        return Fallen(error)
