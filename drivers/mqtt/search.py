"""Listening at a broker below a filter for a bounded time; what was seen is sorted into devices by `sight`."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator

from drivers.mqtt.settings import Search
from drivers.mqtt.sight import devices
from drivers.mqtt.tls import context_of
from hub.driver import Found
from hub.errors import BadInput
from hub.mqtt import Broker, Session, session

_LARGEST = 1 << 18
"""bytes of one payload that are kept: Zigbee2MQTT's list of devices is the longest that helps"""
_MOST = 1 << 25
"""bytes of all of them"""


async def discover(search: Search) -> AsyncGenerator[Found, None]:
    """All devices, when the time or the number of messages has ended. Raises LinkDown, AccessDenied, or BadInput for the filter."""
    endpoint = search.endpoint
    broker = Broker(endpoint.host, endpoint.port, endpoint.username, endpoint.password, context_of(endpoint))
    seen: dict[str, bytes] = {}
    async with session(
        broker,
        client_id=f"anxin-discover-{secrets.token_hex(4)}",  # another's session at this broker stays untouched
        clean_start=True,
        session_expiry=0,
        keepalive=endpoint.keepalive,
        protocol=endpoint.version,
    ) as live:
        await live.subscribe(search.filter)
        too_much = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(search.seconds):
                too_much = await _listen(live, search, seen)
    for sight in devices(seen):
        serial = sight.marks.get("serial")
        name = f"{sight.marks['style']}-{serial}" if serial else sight.topic.rpartition("/")[2]
        yield Found(name, search.shown, {"topic": sight.topic}, sight.says, sight.marks, sight.points)
    if too_much is not None:
        raise BadInput(f"{too_much}: there may be more, choose a narrower one", "filter", code="search")


async def _listen(live: Session, search: Search, seen: dict[str, bytes]) -> str | None:
    """Until something is too much; what."""
    size = 0
    for _ in range(search.max_messages):
        (message,) = await live.take(1)
        if message.qos > 0:
            live.settle(message)
        if message.topic not in seen and len(seen) >= search.max_topics:
            return f"more than {search.max_topics} topics"
        size += len(message.payload) - len(seen.get(message.topic, b""))
        if size > _MOST:
            return f"more than {_MOST >> 20} MiB of payloads"
        seen[message.topic] = message.payload if len(message.payload) <= _LARGEST else b""
    return f"{search.max_messages} messages"
