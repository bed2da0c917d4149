"""The simulator `mqtt`: devices that publish at a real broker."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence

from drivers.simulator.exchange import MESSAGES, Message, content_of, read_lines
from hub.errors import BadInput
from hub.mqtt import Broker, Session, parse_broker, session
from hub.simulation import Mark, Place, Settings


def endpoint_of(broker: Broker) -> dict[str, object]:
    """What an endpoint's settings must be to reach this broker, with a session of its own."""
    found: dict[str, object] = {"host": broker.host, "port": broker.port, "session_expiry": 0}
    found["client_id"] = f"replay-{secrets.token_hex(6)}"
    if broker.username is not None:
        found["username"] = broker.username
    if broker.password is not None:
        found["password"] = broker.password.get_secret_value()
    return found


class _Replay:
    """Publishes what was published."""

    def __init__(self, broker: Broker, live: Session, messages: Sequence[Message]) -> None:
        self.endpoint: Settings = endpoint_of(broker)
        self._last = f"anxin-replay/{secrets.token_hex(6)}"
        self.end = Mark({"topic": self._last}, {"format": "raw"}, "str")
        self._live = live
        self._messages = messages

    async def play(self) -> None:
        """What was not retained, in its order, then the end."""
        for message in self._messages:
            if not message.retained:
                await self._live.publish(message.topic, message.payload, 1)
        await self._live.publish(self._last, b"end", 1)


class MqttSimulator:
    """Its devices are clients of the broker that the place names."""

    name = "mqtt"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`messages.jsonl`; what was retained is retained while the replay lasts."""
        messages = read_lines(Message, content_of(files, MESSAGES), MESSAGES)
        if place.broker is None:
            raise BadInput("messages are replayed at a broker, and none is named", MESSAGES, code="case")
        broker = parse_broker(place.broker)
        kept = [message for message in messages if message.retained]
        async with session(broker, client_id=f"sim-{secrets.token_hex(6)}", clean_start=True) as live:
            for message in kept:
                await live.publish(message.topic, message.payload, 1, retain=True)
            try:
                yield _Replay(broker, live, messages)
            finally:
                for message in kept:
                    await live.publish(message.topic, b"", 1, retain=True)


simulator = MqttSimulator()
