"""A fire sounder at a site, through its edge. It makes noise: it cannot say that it is an exercise, it is no way to a person, and it never sounds
for anything but a fire.

Which sounder, which point and which value is the edge's own (a local rule of its manifest); the edge looks once more whether that rule watches
what burns, for fire alone (hub/core/siren_order.py).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from pydantic import Field

from hub.model import IDENTIFIER, SignalClass
from hub.notify.message import ChannelSettings, Message, Outcome, Purpose, Receipt

_SECONDS = 12.0

Sound = Callable[[str, str, Message], Awaitable[Receipt]]
"""edge, rule and the message of a real fire: the way to the edge, given by whoever has one"""


class SirenSettings(ChannelSettings):
    """An edge and one of its local rules."""

    edge: str = Field(pattern=IDENTIFIER)
    rule: str = Field(pattern=IDENTIFIER)

    def shown(self) -> dict[str, object]:
        """What may be shown: all of it."""
        return self.model_dump(mode="json")

    def channel(self, *, allow_loopback: bool) -> "SirenChannel":
        """The channel; it has no way to an edge until it is given one (`through`)."""
        return SirenChannel(self, None)


class SirenChannel:
    """Sounds one siren."""

    carries_marks: ClassVar[bool] = False

    def __init__(self, settings: SirenSettings, sound: Sound | None) -> None:
        self._settings = settings
        self._sound = sound

    def through(self, sound: Sound) -> "SirenChannel":
        """The same, with a way to the edge."""
        return SirenChannel(self._settings, sound)

    async def send(self, message: Message) -> Receipt:
        """One order, twelve seconds at most until the edge has answered."""
        if message.purpose is not Purpose.PAGE:
            return Receipt(
                Outcome.REFUSED, None, "a siren asks nobody and lists nothing: it is sounded by a page alone"
            )
        if message.exercise is not None or message.signal_class is not SignalClass.FIRE:
            return Receipt(Outcome.REFUSED, None, "a siren is sounded for a real fire and for nothing else")
        if self._sound is None:
            return Receipt(Outcome.REFUSED, None, "this process has no way to an edge")
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._sound(self._settings.edge, self._settings.rule, message)
        except TimeoutError:
            return Receipt(Outcome.FAILED, None, f"the edge did not answer within {_SECONDS:g} s")
