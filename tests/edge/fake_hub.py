"""The hub's side of docs/protocol.md, small enough to be read at a glance: it stores in memory, and forgets or goes deaf when told to."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hub.core.wire import (
    SessionState,
    confirm_properties,
    decode_up,
    encode_confirm,
    parse_properties,
    parse_state,
    parse_topic,
)
from hub.model import Lane, Reject, Sample
from hub.mqtt import Broker, session


@dataclass
class FakeHub:
    """What it was sent and what it keeps."""

    upto: dict[str, int] = field(default_factory=dict)
    samples: dict[Lane, list[Sample]] = field(default_factory=lambda: {lane: [] for lane in Lane})
    rejects: list[Reject] = field(default_factory=list)
    seen: list[tuple[str, int]] = field(default_factory=list)
    lose: set[int] = field(default_factory=set)
    """numbers whose next arrival is as if it had never been"""
    states: list[SessionState] = field(default_factory=list)
    ahead: int = 0
    """microseconds by which its clock is ahead"""
    deaf: bool = False
    """takes nothing and confirms nothing"""

    @property
    def dead(self) -> int:
        """How many sessions ended."""
        return len({state.session for state in self.states if not state.born})

    def values(self, lane: Lane, point: str = "level") -> list[object]:
        """Raw values of one point, in the order they were stored."""
        return [sample.raw for sample in self.samples[lane] if sample.series.point == point]

    def take(self, lane: Lane, stream: str, seq: int, payload: bytes) -> int:
        """Store what is next; the number to confirm."""
        upto = self.upto.setdefault(stream, 0)
        if seq == upto + 1:
            up = decode_up(payload)
            assert up.refused == []
            self.samples[lane].extend(numbered.sample for numbered in up.samples)
            self.rejects.extend(numbered.reject for numbered in up.rejects)
            self.upto[stream] = seq
        return self.upto[stream]

    async def serve(self, broker: Broker) -> None:
        """One session's life."""
        async with session(broker, client_id="fake-hub", clean_start=True) as live:
            await live.subscribe("anxin/v1/+/+/up/+")
            while True:
                (message,) = await live.take(1)
                live.settle(message)
                if message.topic.endswith("/up/siren"):
                    continue
                state = parse_state(message.topic, message.payload)
                if state is not None:
                    self.states.append(state[1])
                    continue
                topic = parse_topic(message.topic)
                stream, seq = parse_properties(message.properties, topic.lane)
                self.seen.append((stream, seq))
                if self.deaf:
                    continue
                if seq in self.lose:
                    self.lose.remove(seq)
                    continue
                upto = self.take(topic.lane, stream, seq, message.payload)
                down = str(topic._replace(direction="down"))
                beside = confirm_properties(time.time_ns() // 1000 + self.ahead)
                await live.publish(down, encode_confirm(stream, upto), user_properties=beside)


@contextlib.asynccontextmanager
async def serving(hub: FakeHub, broker: Broker) -> AsyncIterator[None]:
    """The hub is there while inside."""
    task = asyncio.create_task(hub.serve(broker))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
