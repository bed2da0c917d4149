"""The simulator `mqtt`: devices that publish at a real broker."""

import contextlib
import csv
import io
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from drivers.mqtt.decode import decode
from drivers.mqtt.settings import Device
from drivers.simulator.exchange import MESSAGES, Message, content_of, read_lines, write_lines
from drivers.simulator.faults import DUPLICATE, HALF, RESET, SILENCE, Faults
from drivers.simulator.overheard import Published
from drivers.simulator.taps import tcp_tap
from hub.driver import Binding
from hub.errors import AccessDenied, BadInput, DriverError, LinkDown
from hub.model import Scalar, Series
from hub.mqtt import Broker, Session, parse_broker, session
from hub.simulation import ALL_WORDS, Mark, Place, Played, Settings, Values


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


class _Playing:
    """One device, a client of its own."""

    words: Mapping[str, frozenset[Scalar]] = ALL_WORDS
    instances = ("1",)
    cannot: frozenset[str] = frozenset()

    def __init__(self, played: Played, broker: Broker) -> None:
        defaults = dict(played.defaults)
        self.device: Settings = {} if played.device else {"topic": defaults.get("topic", f"sim/{played.name}")}
        self.endpoint: Settings = {**endpoint_of(broker), "session_expiry": 3600}
        model = Device.model_validate({**defaults, **self.device})
        self._bindings = [
            Binding(Series(played.name, part.point), model, part.address, part.kind) for part in played.parts
        ]
        self._events = {part.point for part in played.parts if part.event}
        self._values: dict[str, Scalar] = {}
        self._faults = Faults(played.faults, played.seed)
        self._broker = broker
        self._name = f"sim-{played.name}-{secrets.token_hex(3)}"
        self._live: Session | None = None
        self._taken = False
        """whether the broker has ever taken a message"""
        self._stack = contextlib.AsyncExitStack()

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """Publish every topic that one of the values stands in, whole; what happens is not kept."""
        now = {point: raw for (point, _), raw in values.items()}
        self._values |= {point: raw for point, raw in now.items() if point not in self._events}
        topics = dict.fromkeys(one.address.full_topic(one.device) for one in self._bindings if one.series.point in now)
        heard = True
        for topic in topics:
            concrete = topic.replace("+", self.instances[0])
            known = {**self._values, **now}
            payload = payload_of([one for one in self._of(topic) if one.series.point in known], known, concrete)
            heard = await self._publish(concrete, payload) and heard
        return heard

    def _of(self, topic: str) -> list[Binding]:
        return [one for one in self._bindings if one.address.full_topic(one.device) == topic]

    async def _publish(self, topic: str, payload: bytes) -> bool:
        fault = self._faults.draw(SILENCE, HALF, RESET, DUPLICATE)
        if fault == SILENCE:
            return False
        try:
            if self._live is None:
                live = session(self._broker, client_id=self._name, clean_start=True)
                self._live = await self._stack.enter_async_context(live)
            if fault == RESET:
                self._live.abort()
                raise LinkDown("a fault on demand")
            octets = self._faults.half(payload) if fault == HALF else payload
            await self._live.publish(topic, octets, 1)
            if fault == DUPLICATE:
                await self._live.publish(topic, octets, 1)
        except AccessDenied as error:
            await self.leave()
            if not self._taken:  # a broker that starts anew may have no accounts for a while; one that never took a word has other reasons
                raise BadInput(str(error), f"topic {topic!r}", code="settings") from None
            return False
        except DriverError:
            await self.leave()
            return False
        self._taken = True
        return fault != HALF

    async def leave(self) -> None:
        """Disconnect; the next value connects again."""
        self._live = None
        with contextlib.suppress(DriverError):
            await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()


def payload_of(bindings: Sequence[Binding], values: Mapping[str, Scalar], topic: str) -> bytes:
    """One message of a topic that gives these raw values. Raises BadInput for a point that cannot be said so."""
    document: Any = None
    text: str | None = None
    fields: dict[int, str] = {}
    for one in bindings:
        word, address = word_of(one, values[one.series.point]), one.address
        if address.format == "json":
            document = put(document, address.pointer.split("/")[1:], word)
        elif address.field is None:
            text = said(word)
        else:
            fields[address.field] = said(word)
            text = row_of(fields, address.separator)
    octets = text.encode() if text is not None else json.dumps(document, ensure_ascii=False).encode()
    came = {found.series.point: found.raw for found in decode(topic, octets, False, bindings, 0, "", 1 << 18).samples}
    for one in bindings:
        wanted = values[one.series.point]
        if one.series.point in came and came[one.series.point] != wanted:
            raise BadInput(
                f"{wanted!r} cannot be said: it would be read as {came[one.series.point]!r}",
                one.series.point,
                code="unplayable",
            )
    return octets


def said(word: Any) -> str:
    """A word as text."""
    return str(word).lower() if isinstance(word, bool) else str(word)


def row_of(fields: Mapping[int, str], separator: str) -> str:
    """One line of CSV with these fields by their numbers; the others are empty, which is no news of them."""
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="").writerow(fields.get(n, "") for n in range(max(fields) + 1))
    return line.getvalue()


def word_of(binding: Binding, raw: Scalar) -> Any:
    """What stands in the message for this raw value."""
    address = binding.address
    if address.equals is not None:
        if raw == 1:  # True or 1: the word that came is this one
            return address.equals
        if isinstance(address.equals, bool):
            return not address.equals
        if address.only_when_equal:
            return None if address.format == "json" else ""
        return "-" if address.format == "csv" else ""  # an empty field would be no news
    if address.map is not None:
        for word, value in address.map.items():
            if value == raw:
                return {"true": True, "false": False}.get(word, word)
        raise BadInput(f"the point's map has no word for {raw!r}", binding.series.point, code="unplayable")
    return raw


def put(document: Any, path: Sequence[str], word: Any) -> Any:
    """The document with `word` at a JSON pointer's parts; a part that is a number is an array's index where an array is already, else a key."""
    if not path:
        return word
    key = path[0].replace("~1", "/").replace("~0", "~")
    held = document if isinstance(document, dict) else {}
    return {**held, key: put(held.get(key), path[1:], word)}


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

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator[_Playing]:
        """A device that publishes; all of them share the broker."""
        if place.broker is None:
            raise BadInput("devices that speak MQTT need a broker, and none is named", played.name, code="broker")
        playing = _Playing(played, parse_broker(place.broker))
        try:
            yield playing
        finally:
            await playing.leave()

    @contextlib.asynccontextmanager
    async def tap(self, endpoint: Any, bindings: Sequence[Binding], place: Place) -> AsyncIterator["_Tap"]:
        """In front of the broker, with a session of its own that the broker forgets: the edge's is left alone."""
        if endpoint.tls:
            reason = "a tap cannot stand inside TLS: record at a listener without it, beside the broker"
            raise BadInput(reason, "tls", code="tap")
        published = Published(five=endpoint.version == "5")
        async with tcp_tap(endpoint.host, endpoint.port, published.hear) as port:
            name = f"record-{secrets.token_hex(6)}"
            yield _Tap(published, {"host": "127.0.0.1", "port": port, "client_id": name, "session_expiry": 0})


class _Tap:
    """Messages as the broker gave them."""

    kept: tuple[str, ...] = ()

    def __init__(self, published: Published, endpoint: Settings) -> None:
        self.endpoint = endpoint
        self._published = published

    def files(self, redact: Callable[[str], str]) -> Mapping[str, bytes]:
        """Text where it is text; octets that are none stay as they are."""
        lines = []
        for topic, payload, retained in self._published.messages:
            try:
                content = {"text": redact(payload.decode())}
            except UnicodeDecodeError:
                content = {"hex": payload.hex()}
            kept = {"retained": True} if retained else {}
            lines.append(Message.model_validate({"topic": redact(topic), **content, **kept}))
        return {MESSAGES: write_lines(lines).encode()}


simulator = MqttSimulator()
