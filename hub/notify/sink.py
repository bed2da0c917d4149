"""The end of a proof: what reaches it has come the whole way. It takes exercises alone, so that no real alarm can ever be told to nobody."""

from typing import ClassVar

from hub.notify.message import ChannelSettings, Message, Outcome, Receipt


class SinkSettings(ChannelSettings):
    """Nothing: it needs no address."""

    def shown(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def channel(self, *, allow_loopback: bool) -> "SinkChannel":
        """The channel."""
        return SinkChannel()


class SinkChannel:
    """Takes and confirms."""

    carries_marks: ClassVar[bool] = True

    async def send(self, message: Message) -> Receipt:
        """The receipt of an exercise; a real alarm is refused."""
        if message.exercise is None:
            return Receipt(Outcome.REFUSED, None, "a sink is for exercises: nobody would read a real alarm")
        return Receipt(Outcome.DELIVERED, None, "sink")
