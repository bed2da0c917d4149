"""The connection to somebody else's broker: exact topics, QoS 1, a session that outlives us, settled in order of arrival."""

import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial

from pydantic import BaseModel

from drivers.mqtt import settings
from drivers.mqtt.decode import decode
from hub.driver import Binding
from hub.errors import BadInput, LinkDown
from hub.model import Delivery, Micros
from hub.mqtt import Broker, Incoming, Session, session


def _now() -> Micros:
    return time.time_ns() // 1000


class MqttLink:
    """Push link. Messages may be settled in any order; the broker hears it in the order of arrival, as MQTT asks (4.6.0-2)."""

    def __init__(self, live: Session, endpoint: settings.Endpoint, by_topic: dict[str, list[Binding]]) -> None:
        self._live = live
        self._endpoint = endpoint
        self._by_topic = by_topic
        self._waiting: deque[Incoming] = deque()
        self._done: set[int] = set()

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """One delivery a message that says something; ends by raising LinkDown."""
        source = f"mqtt://{self._endpoint.host}:{self._endpoint.port}"
        while True:
            (message,) = await self._live.take(1)
            if message.qos > 0:
                self._waiting.append(message)
            samples, rejects = decode(
                message.topic,
                message.payload,
                message.retain,
                self._by_topic.get(message.topic, ()),
                _now(),
                source,
                self._endpoint.max_payload,
            )
            if samples or rejects:
                yield Delivery(samples, rejects, partial(self._settle, message))
            else:
                await self._settle(message)

    async def _settle(self, message: Incoming) -> None:
        if message.qos == 0:
            return
        self._done.add(message.mid)
        while self._waiting and self._waiting[0].mid in self._done:
            first = self._waiting.popleft()
            self._done.discard(first.mid)
            self._live.settle(first)


class MqttDriver:
    """The driver `mqtt`: third-party topics described by a profile."""

    name = "mqtt"
    Endpoint: type[BaseModel] = settings.Endpoint
    Device: type[BaseModel] = settings.Device
    Address: type[BaseModel] = settings.Address

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> AsyncIterator[MqttLink]:
        """Connect and subscribe; raises LinkDown, or AccessDenied for wrong credentials and forbidden topics."""
        by_topic: dict[str, list[Binding]] = {}
        for binding in bindings:
            by_topic.setdefault(binding.address.full_topic(binding.device), []).append(binding)
        broker = Broker(endpoint.host, endpoint.port, endpoint.username, endpoint.password)
        async with session(
            broker,
            client_id=endpoint.client_id,
            session_expiry=endpoint.session_expiry,
            keepalive=endpoint.keepalive,
            protocol=endpoint.version,
        ) as live:
            for topic in sorted(by_topic):
                try:
                    await live.subscribe(topic)
                except BadInput as error:
                    raise LinkDown(str(error)) from None
            yield MqttLink(live, endpoint, by_topic)
