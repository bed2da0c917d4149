"""The connection to somebody else's broker: QoS 1, a session that outlives us, settled in order of arrival; commands read back from the state topic."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from drivers.mqtt import settings
from drivers.mqtt.decode import Topics, command_of, decode
from drivers.mqtt.tls import context_of
from hub.driver import Binding, Found
from hub.errors import BadInput, LinkDown
from hub.model import Delivery, Micros, Reject, Sample, Scalar, Series
from hub.mqtt import Broker, Incoming, Session, session


def _now() -> Micros:
    return time.time_ns() // 1000


class _Asked:
    """A command whose effect is waited for."""

    def __init__(self, value: Scalar) -> None:
        self.value = value
        self.said: Scalar | None = None
        self.done = asyncio.Event()

    def hear(self, sample: Sample) -> None:
        """A state that was under way before the command may still be the old one: only the one asked for ends the waiting."""
        if sample.raw is not None:
            self.said = sample.raw
            if sample.raw == self.value:
                self.done.set()


class MqttLink:
    """PushLink and WriteLink. Messages may be settled in any order; the broker hears it in the order of arrival, as MQTT asks (4.6.0-2)."""

    def __init__(self, live: Session, endpoint: settings.Endpoint, bindings: Sequence[Binding], topics: Topics) -> None:
        self._live = live
        self._endpoint = endpoint
        self._source = f"mqtt://{endpoint.host}:{endpoint.port}"
        self._bindings = {binding.series: binding for binding in bindings}
        self._topics = topics
        self._waiting: deque[Incoming] = deque()
        self._done: set[int] = set()
        self._asked: dict[Series, _Asked] = {}

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """One delivery a message that says something; ends by raising LinkDown."""
        while True:
            (message,) = await self._live.take(1)
            if message.qos > 0:
                self._waiting.append(message)
            samples, rejects = self._read(message)
            for sample in samples if self._asked else ():
                asked = self._asked.get(sample.series)
                if asked is not None and not message.retain:
                    asked.hear(sample)
            if samples or rejects:
                yield Delivery(samples, rejects, partial(self._settle, message))
            else:
                await self._settle(message)

    def _read(self, message: Incoming) -> tuple[Sequence[Sample], Sequence[Reject]]:
        bindings, refused = self._topics.of(message.topic)
        at = _now()
        samples, rejects = decode(
            message.topic, message.payload, message.retain, bindings, at, self._source, self._endpoint.max_payload
        )
        if not refused or message.retain:
            return samples, (() if refused and not bindings else rejects)
        told = Reject(at, f"{self._source} topic {message.topic!r}", "instance", refused, message.payload[:4096])
        return samples, ((*rejects, told) if bindings else (told,))

    async def _settle(self, message: Incoming) -> None:
        if message.qos == 0:
            return
        self._done.add(message.mid)
        while self._waiting and self._waiting[0].mid in self._done:
            first = self._waiting.popleft()
            self._done.discard(first.mid)
            self._live.settle(first)

    async def write(self, series: Series, value: Scalar) -> Scalar | None:
        """Publish the command; returns the state that the device then says, None where it says none within `answer_s`.

        Whoever waits here needs the deliveries to be taken meanwhile. Raises BadInput, LinkDown, AccessDenied.
        """
        binding = self._bindings.get(series)
        where = "/".join(part for part in series if part)
        if binding is None or not binding.writable:
            raise BadInput("this point is not writable", where)
        payload = command_of(value, binding.address, where)
        if series in self._asked:
            raise BadInput("another command for this point is under way", where, code="busy")
        asked = self._asked[series] = _Asked(value)
        try:
            await self._live.publish(settings.place(binding.address.command.topic, binding.device), payload)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._endpoint.answer_s):
                    await asked.done.wait()
        finally:
            del self._asked[series]
        return asked.said


@contextlib.asynccontextmanager
async def connect(endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> AsyncIterator[MqttLink]:
    """Connect and subscribe; raises LinkDown, or AccessDenied for wrong credentials and forbidden topics."""
    topics = Topics(bindings, endpoint.max_instances)
    broker = Broker(endpoint.host, endpoint.port, endpoint.username, endpoint.password, context_of(endpoint))
    async with session(
        broker,
        client_id=endpoint.client_id,
        session_expiry=endpoint.session_expiry,
        keepalive=endpoint.keepalive,
        protocol=endpoint.version,
    ) as live:
        for topic in topics.filters:
            try:
                await live.subscribe(topic)
            except BadInput as error:
                raise LinkDown(str(error)) from None
        yield MqttLink(live, endpoint, bindings, topics)


class MqttDriver:
    """The driver `mqtt`: third-party topics described by a profile."""

    name = "mqtt"
    Endpoint: type[BaseModel] = settings.Endpoint
    Device: type[BaseModel] = settings.Device
    Address: type[BaseModel] = settings.Address
    Search: type[BaseModel] = settings.Search

    def connect(
        self, endpoint: settings.Endpoint, bindings: Sequence[Binding]
    ) -> contextlib.AbstractAsyncContextManager[MqttLink]:
        """A context that yields a link (see hub.driver)."""
        return connect(endpoint, bindings)

    def discover(self, search: Any) -> AsyncIterator[Found]:
        """Devices behind the topics seen at the broker (see hub.driver.Discoverer)."""
        from drivers.mqtt.search import discover

        return discover(search)
