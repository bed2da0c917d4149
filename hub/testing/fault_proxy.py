"""A bad line between two programs: TCP and UDP on loopback, cut, stalled, dripping, garbled, truncated, doubled, reordered, late.

::

    async with TcpFaultProxy("127.0.0.1", 502, seed=7) as proxy:     # the program under test calls proxy.port
        proxy.weather = Weather(delay=0.05, jitter=0.1, garble=0.01)  # what is wrong with every piece
        proxy.stall(); proxy.resume()                                 # nothing passes; then all of it, late
        proxy.cut(reset=True)                                         # every connection ends with RST
        await proxy.play(episodes(seed=7, seconds=60.0, faults=TCP_FAULTS))

What is random comes from the seed: the episodes exactly, the single bits as far as the pieces fall alike. TCP keeps the order of what it
carries, so only datagrams are doubled and reordered. What waits in a proxy is bounded; nothing outlives its context. Knows no protocol.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

HOST = "127.0.0.1"
PIECE = 4096
"""bytes read at a time from a connection"""
CONNECTIONS = 256
"""open at once; more are refused"""
UNDER_WAY = 1024
"""datagrams that wait at once; more are lost, as in any router"""
PEERS = 256
"""callers that a UDP proxy keeps apart; the oldest is forgotten"""
CONNECT_LIMIT = 5.0
_LINGER = struct.pack("ii", 1, 0)


class Way(StrEnum):
    """A direction: up to the target, or down to the caller."""

    UP = "up"
    DOWN = "down"


BOTH = frozenset(Way)


@dataclass(frozen=True)
class Weather:
    """What happens to every piece (TCP: what one read gave; UDP: a datagram). Probabilities are 0 to 1, times in seconds."""

    delay: float = 0.0
    jitter: float = 0.0
    """up to so much more, evenly"""
    drip: int = 0
    """TCP: so many bytes at a time, with a pause of `delay` after each; 0: whole pieces"""
    garble: float = 0.0
    """one bit of the piece is flipped"""
    truncate: float = 0.0
    """the end of the piece is lost; on TCP what comes after follows all the same, as behind a serial server"""
    lose: float = 0.0
    """UDP"""
    double: float = 0.0
    """UDP: a datagram comes twice"""
    reorder: float = 0.0
    """UDP: a datagram is overtaken by those behind it"""

    def __post_init__(self) -> None:
        """Bounds; raises ValueError."""
        for name in ("garble", "truncate", "lose", "double", "reorder"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: a probability is 0 to 1")
        if not (0.0 <= self.delay <= 60.0 and 0.0 <= self.jitter <= 60.0 and 0 <= self.drip <= PIECE):
            raise ValueError("delay and jitter are 0 to 60 s, drip 0 to 4096 bytes")


FAIR = Weather()


class Fault(StrEnum):
    """What an episode does."""

    RESET = "reset"
    FINISH = "finish"
    REFUSE = "refuse"
    STALL = "stall"
    SWALLOW = "swallow"
    SWALLOW_UP = "swallow-up"
    SWALLOW_DOWN = "swallow-down"
    DRIP = "drip"
    DELAY = "delay"
    GARBLE = "garble"
    TRUNCATE = "truncate"
    LOSE = "lose"
    DOUBLE = "double"
    REORDER = "reorder"


TCP_FAULTS = (
    Fault.RESET, Fault.FINISH, Fault.REFUSE, Fault.STALL, Fault.SWALLOW, Fault.SWALLOW_UP, Fault.SWALLOW_DOWN,
    Fault.DRIP, Fault.DELAY, Fault.GARBLE, Fault.TRUNCATE,
)  # fmt: skip
UDP_FAULTS = (
    Fault.STALL, Fault.SWALLOW, Fault.SWALLOW_UP, Fault.SWALLOW_DOWN, Fault.DELAY, Fault.GARBLE, Fault.TRUNCATE,
    Fault.LOSE, Fault.DOUBLE, Fault.REORDER,
)  # fmt: skip
_WEATHERS = {
    Fault.DRIP: Weather(delay=0.01, drip=3),
    Fault.DELAY: Weather(delay=0.2, jitter=0.8),
    Fault.GARBLE: Weather(garble=0.3),
    Fault.TRUNCATE: Weather(truncate=0.3),
    Fault.LOSE: Weather(lose=0.4),
    Fault.DOUBLE: Weather(double=0.5),
    Fault.REORDER: Weather(reorder=0.5),
}
_SWALLOWED = {Fault.SWALLOW: BOTH, Fault.SWALLOW_UP: frozenset({Way.UP}), Fault.SWALLOW_DOWN: frozenset({Way.DOWN})}


class Episode(NamedTuple):
    """One fault: how long after the end of the last one it begins, and how long it holds, seconds."""

    after: float
    fault: Fault
    holds: float


def episodes(
    seed: int,
    seconds: float,
    faults: Sequence[Fault],
    *,
    fair: tuple[float, float] = (1.0, 10.0),
    foul: tuple[float, float] = (0.2, 5.0),
) -> list[Episode]:
    """A random schedule of at most `seconds`, the same for the same seed: fair times and foul ones in turn."""
    chance = random.Random(seed)
    plan: list[Episode] = []
    left = seconds
    while True:
        episode = Episode(chance.uniform(*fair), chance.choice(list(faults)), chance.uniform(*foul))
        left -= max(0.01, episode.after + episode.holds)
        if left < 0:
            return plan
        plan.append(episode)


class _Proxy:
    """What both kinds share: the weather, holding and swallowing, episodes, counting."""

    def __init__(self, host: str, port: int, seed: int) -> None:
        self.port = 0
        """where to call, once entered"""
        self.weather = FAIR
        self.done: Counter[str] = Counter()
        """how often what was done: `connections`, `garbled`, `truncated`, `swallowed`, `lost` …"""
        self._target = (host, port)
        self._chance = random.Random(seed)
        self._swallowed: frozenset[Way] = frozenset()
        self._passing = asyncio.Event()
        self._passing.set()

    def stall(self) -> None:
        """Hold everything back from now on: both ends are there and hear nothing."""
        self._passing.clear()
        self.done["stalls"] += 1

    def swallow(self, ways: frozenset[Way] = BOTH) -> None:
        """Throw away what goes these ways: a half-open connection, a router that forgot."""
        self._swallowed = ways

    def resume(self) -> None:
        """Fair weather: what was held back comes now, late; what was swallowed never."""
        self.weather = FAIR
        self._swallowed = frozenset()
        self._passing.set()

    async def play(self, plan: Sequence[Episode]) -> None:
        """Go through a schedule; fair weather at its end, also when cancelled."""
        try:
            for after, fault, holds in plan:
                await asyncio.sleep(after)
                self.done[fault.value] += 1
                await self._begin(fault)
                await asyncio.sleep(holds)
                await self._recover()
        finally:
            self.resume()

    async def _begin(self, fault: Fault) -> None:
        if fault is Fault.STALL:
            self.stall()
        elif fault in _SWALLOWED:
            self.swallow(_SWALLOWED[fault])
        else:
            self.weather = _WEATHERS.get(fault, FAIR)

    async def _recover(self) -> None:
        self.resume()

    def _spoil(self, piece: bytes, weather: Weather) -> bytes:
        if piece and self._chance.random() < weather.garble:
            spoilt = bytearray(piece)
            spoilt[self._chance.randrange(len(piece))] ^= 1 << self._chance.randrange(8)
            piece = bytes(spoilt)
            self.done["garbled"] += 1
        if piece and self._chance.random() < weather.truncate:
            piece = piece[: self._chance.randrange(len(piece))]
            self.done["truncated"] += 1
        return piece

    def _pause(self, weather: Weather) -> float:
        return weather.delay + self._chance.random() * weather.jitter


class TcpFaultProxy(_Proxy):
    """Listens on loopback and carries to `host`:`port`; an async context manager. `listen_on` 0 takes a free port."""

    def __init__(self, host: str, port: int, *, seed: int = 0, listen_on: int = 0) -> None:
        super().__init__(host, port, seed)
        self.port = listen_on
        self._server: asyncio.Server | None = None
        self._lines: dict[asyncio.Task[Any], list[asyncio.StreamWriter]] = {}

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        lines = list(self._lines)
        for line in lines:
            line.cancel()
        if lines:
            await asyncio.wait(lines)

    @property
    def lines(self) -> int:
        """Connections that stand now."""
        return len(self._lines)

    def retarget(self, host: str, port: int) -> None:
        """Carry the next connections elsewhere: what is behind came back under another port."""
        self._target = (host, port)

    async def accept(self) -> None:
        """Let callers in; nothing happens when it does already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, HOST, self.port, limit=PIECE)
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Let nobody in any more, and end what stands: callers get a refusal."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.cut(reset=True)

    def cut(self, *, reset: bool) -> None:
        """End every connection, by RST or by FIN; what was on the way is lost."""
        for line, writers in self._lines.items():
            for writer in writers:
                if reset:
                    held = writer.get_extra_info("socket")
                    with contextlib.suppress(OSError, AttributeError):
                        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
                    writer.transport.abort()
                else:
                    writer.close()
            line.cancel()
            self.done["cuts"] += 1

    async def _begin(self, fault: Fault) -> None:
        if fault in (Fault.RESET, Fault.FINISH):
            self.cut(reset=fault is Fault.RESET)
        elif fault is Fault.REFUSE:
            await self.refuse()
        else:
            await super()._begin(fault)

    async def _recover(self) -> None:
        await super()._recover()
        await self.accept()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One caller's connection and ours to the target, until either ends."""
        line = asyncio.current_task()
        assert line is not None
        if len(self._lines) >= CONNECTIONS:
            writer.transport.abort()
            return
        writers = self._lines[line] = [writer]
        self.done["connections"] += 1
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                far, to_far = await asyncio.open_connection(*self._target, limit=PIECE)
            writers.append(to_far)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, to_far, Way.UP))
                tasks.create_task(self._pump(far, writer, Way.DOWN))
        except* (OSError, TimeoutError):
            pass
        except* asyncio.CancelledError:
            pass  # cut: the connection is over, whoever cancelled waits for nothing more
        finally:
            del self._lines[line]
            for each in writers:
                each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while piece := await reader.read(PIECE):
            await self._passing.wait()
            if way in self._swallowed:
                self.done["swallowed"] += 1
                continue
            weather = self.weather
            piece = self._spoil(piece, weather)
            size = weather.drip or len(piece) or 1
            for start in range(0, len(piece), size):
                pause = self._pause(weather)
                if pause:
                    await asyncio.sleep(pause)
                await self._passing.wait()
                writer.write(piece[start : start + size])
                await writer.drain()
            self.done[f"bytes-{way}"] += len(piece)
        raise ConnectionResetError("one end has ended: so does the other")


class UdpFaultProxy(_Proxy):
    """Takes datagrams on loopback and carries them to `host`:`port` and the answers back; an async context manager."""

    def __init__(self, host: str, port: int, *, seed: int = 0, listen_on: int = 0) -> None:
        super().__init__(host, port, seed)
        self.port = listen_on
        self._near: asyncio.DatagramTransport | None = None
        self._peers: dict[Any, asyncio.DatagramTransport] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._take_near), local_addr=(HOST, self.port)
        )
        self.port = self._near.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        for transport in (self._near, *self._peers.values()):
            if transport is not None:
                transport.close()

    def _take_near(self, datagram: bytes, caller: Any) -> None:
        self._take(datagram, Way.UP, caller)

    def _take(self, datagram: bytes, way: Way, caller: Any) -> None:
        """A datagram came; it goes on by itself, whatever the others do."""
        weather = self.weather
        if way in self._swallowed:
            self.done["swallowed"] += 1
            return
        if self._chance.random() < weather.lose or len(self._under_way) >= UNDER_WAY:
            self.done["lost"] += 1
            return
        copies = 2 if self._chance.random() < weather.double else 1
        self.done["doubled"] += copies - 1
        for _ in range(copies):
            pause = self._pause(weather)
            if self._chance.random() < weather.reorder:
                pause += 0.05 + self._chance.random() * 0.2
                self.done["reordered"] += 1
            task = asyncio.create_task(self._carry(self._spoil(datagram, weather), way, caller, pause))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _carry(self, datagram: bytes, way: Way, caller: Any, pause: float) -> None:
        if pause:
            await asyncio.sleep(pause)
        await self._passing.wait()
        if way is Way.DOWN:
            if self._near is not None:
                self._near.sendto(datagram, caller)
        else:
            (await self._peer(caller)).sendto(datagram)
        self.done[f"datagrams-{way}"] += 1

    async def _peer(self, caller: Any) -> asyncio.DatagramTransport:
        """The socket that speaks to the target for this caller, so that answers find the way back."""
        found = self._peers.get(caller)
        if found is None or found.is_closing():
            loop = asyncio.get_running_loop()
            found, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(lambda datagram, _: self._take(datagram, Way.DOWN, caller)), remote_addr=self._target
            )
            while len(self._peers) >= PEERS:
                self._peers.pop(next(iter(self._peers))).close()
            known = self._peers.setdefault(caller, found)
            if known is not found and not known.is_closing():  # two datagrams of a new caller at once
                found.close()
                return known
            self._peers[caller] = found
        return found


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Any) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody there: as silent as any lost datagram."""


__all__ = [
    "BOTH",
    "FAIR",
    "TCP_FAULTS",
    "UDP_FAULTS",
    "Episode",
    "Fault",
    "TcpFaultProxy",
    "UdpFaultProxy",
    "Way",
    "Weather",
    "episodes",
]
