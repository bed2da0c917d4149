"""A camera or recorder that speaks ONVIF on loopback, for the demo and for tests: the part of it that the driver asks for.

::

    async with OnvifDevice(user="hub", password="…") as device:
        device.set("Model", "B-2")                                            # what it says of itself
        await device.happen("tns1:VideoSource/MotionAlarm", "State", "true")  # a property that changed
        await device.unplug()                                                 # the port is closed, connections are cut
        device.garble_next()                                                  # the next answer is garbage

Device, Media, Events by pull points, Search, and WS-Discovery by unicast where `discovery` is asked for. A user's digest is checked
(WS-UsernameToken, and HTTP digest where `http_digest` is set). It keeps no picture.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import time
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from xml.sax.saxutils import escape, quoteattr

HOST = "127.0.0.1"
GARBAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 8\r\nConnection: close\r\n\r\n<garbage"
)
_LARGEST = 262_144
_KEPT = 1000
_NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tse": "http://www.onvif.org/ver10/search/wsdl",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "tns1": "http://www.onvif.org/ver10/topics",
}
_OPEN = " ".join(f"xmlns:{prefix}={quoteattr(name)}" for prefix, name in _NAMESPACES.items())
_WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
_WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
_DIALECT = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
_EVERYBODY = ("GetSystemDateAndTime", "GetServices", "GetCapabilities")
"""What a device tells before it knows who asks (ONVIF Core Specification, access class PRE_AUTH)."""


class Stream(NamedTuple):
    """One media profile."""

    token: str
    name: str
    width: int
    height: int
    fps: int
    encoding: str = "H264"
    bitrate: int = 4096
    source: str = "source-1"


class Footage(NamedTuple):
    """One recording: stretches with pictures, seconds since the epoch, in order."""

    token: str
    stretches: Sequence[tuple[float, float]]
    recording: bool = True


class Refusal(Exception):
    """A SOAP fault; `code` is its subcode."""

    def __init__(self, code: str, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status


@dataclass
class _Property:
    topic: str
    item: str
    value: str
    source: Mapping[str, str]


@dataclass
class _PullPoint:
    ends: float
    waiting: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    news: asyncio.Event = field(default_factory=asyncio.Event)


class OnvifDevice:
    """An async context manager; `port` 0 takes a free one, `port` then says which."""

    def __init__(
        self,
        *,
        user: str | None = None,
        password: str = "",
        port: int = 0,
        streams: Sequence[Stream] = (Stream("main", "main", 1920, 1080, 25), Stream("sub", "sub", 640, 360, 15)),
        footage: Sequence[Footage] = (),
        clock_offset: float = 0.0,
        http_digest: bool = False,
        discovery: bool = False,
        identity: Mapping[str, str] | None = None,
    ) -> None:
        self.host = HOST
        self.port = port
        self.user, self.password = user, password
        self.streams, self.footage = list(streams), list(footage)
        self.clock_offset = clock_offset
        self.http_digest = http_digest
        self.draws_time = True
        self.discovery_port = 0
        self.requests = 0
        """questions that came since the start"""
        self.refused: set[str] = set()
        """operations that this device does not know"""
        self.before_answer: Callable[[str], Awaitable[None]] | None = None
        """awaited before a question is answered: tests make it hang"""
        self._identity = {
            "Manufacturer": "Anxin",
            "Model": "Simulated camera",
            "FirmwareVersion": "1.0",
            "SerialNumber": "SIM-1",
            "HardwareId": "sim",
            **(identity or {}),
        }
        self._discovery = discovery
        self._properties: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Property] = {}
        self._points: dict[str, _PullPoint] = {}
        self._searches: dict[str, str] = {}
        self._garbage: deque[bytes] = deque(maxlen=64)
        self._nonces: deque[str] = deque(maxlen=_KEPT)
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()
        self._talks: set[asyncio.Task[None]] = set()
        self._ear: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        await self.plug()
        if self._discovery:
            loop = asyncio.get_running_loop()
            self._ear, _ = await loop.create_datagram_endpoint(lambda: WsDiscovery(self), local_addr=(HOST, 0))
            self.discovery_port = self._ear.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ear is not None:
            self._ear.close()
        await self.unplug()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    # ---- what may be asked of it ----

    async def plug(self) -> None:
        """Listen on the port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._talk, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Close the port and cut every connection; subscriptions are forgotten."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._points.clear()
        for writer in list(self._callers):
            writer.transport.abort()
        for talk in list(self._talks):
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)
        if server is not None:
            await server.wait_closed()

    def set(self, name: str, value: str) -> None:
        """One of Manufacturer, Model, FirmwareVersion, SerialNumber, HardwareId."""
        if name not in self._identity:
            raise ValueError(f"a device tells no {name!r}")
        self._identity[name] = value

    def set_stream(self, width: int, height: int, fps: int) -> None:
        """The first media profile's size and rate."""
        self.streams[0] = self.streams[0]._replace(width=width, height=height, fps=fps)

    def set_clock(self, offset: float) -> None:
        """Seconds that its clock is ahead."""
        self.clock_offset = offset

    def set_footage(self, days: float, gap_hours: float = 0.0) -> None:
        """One recording that reaches `days` back, with one gap in its middle."""
        now = time.time()
        begin, middle = now - days * 86_400, now - days * 43_200
        stretches = [(begin, now)] if not gap_hours else [(begin, middle), (middle + gap_hours * 3600, now)]
        self.footage = [Footage("recording-1", stretches)]

    async def happen(self, topic: str, item: str, value: str, source: Mapping[str, str] | None = None) -> None:
        """A property takes a value: every pull point hears of it."""
        where = dict(source or {"VideoSourceConfigurationToken": "source-1"})
        known = _Property(topic, item, value, where)
        self._properties[topic, item, tuple(sorted(where.items()))] = known
        for point in self._points.values():
            point.waiting.append(self._notification(known, "Changed"))
            point.news.set()

    def tell(self, notification: str) -> None:
        """Put this text into every pull point, whatever it is."""
        for point in self._points.values():
            point.waiting.append(notification)
            point.news.set()

    def forget_subscriptions(self) -> None:
        """As if it had restarted: pull points are gone."""
        points = list(self._points.values())
        self._points.clear()
        for point in points:
            point.news.set()

    @property
    def subscriptions(self) -> int:
        """Pull points there are."""
        return len(self._points)

    def garble_next(self, count: int = 1) -> None:
        """Send garbage instead of the next answers."""
        self._garbage.extend([GARBAGE] * count)

    # ---- HTTP ----

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(writer)
        self._talks.add(task)
        try:
            # a cancellation is ours, at the end: in this Python a stream's callback that ends cancelled reaches the loop
            with contextlib.suppress(
                ConnectionError, EOFError, asyncio.LimitOverrunError, ValueError, asyncio.CancelledError
            ):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = {
                    key.strip().lower(): value.strip()
                    for key, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
                }
                length = int(fields.get("content-length", "0"))
                body = await reader.readexactly(min(length, _LARGEST))
                self.requests += 1
                answer = await self._respond(head.split(" ")[1], fields.get("authorization", ""), body)
                writer.write(answer)
                await writer.drain()
        finally:
            self._callers.discard(writer)
            self._talks.discard(task)
            writer.close()

    async def _respond(self, path: str, authorization: str, body: bytes) -> bytes:
        status, text, extra = 200, "", ""
        try:
            root = ET.fromstring(body)  # noqa: S314 -- a simulator on loopback
            question = root.find("{*}Body/*")
            if question is None:
                raise Refusal("ter:InvalidArgs", "no question")
            operation = question.tag.rpartition("}")[2]
            if self.before_answer is not None:
                await self.before_answer(operation)
            if self._garbage:
                return self._garbage.popleft()
            if operation not in _EVERYBODY:
                if self.http_digest and not self._digest_holds(authorization, path):
                    nonce = secrets.token_hex(8)
                    self._nonces.append(nonce)
                    extra = f'WWW-Authenticate: Digest realm="sim", qop="auth", nonce="{nonce}", algorithm=MD5\r\n'
                    raise Refusal("ter:NotAuthorized", "Sender not authorized", 401)
                if not self.http_digest:
                    self._check_token(root)
            text = await self._answer(operation, path, question)
        except ET.ParseError:
            status, text = 400, _fault("ter:WellFormed", "not well formed")
        except Refusal as refusal:
            status, text = refusal.status, _fault(refusal.code, str(refusal))
        content = (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope {_OPEN}><s:Body>{text}</s:Body></s:Envelope>'.encode()
        )
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/soap+xml; charset=utf-8\r\n{extra}"
        return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content

    def _check_token(self, root: ET.Element) -> None:
        """WS-UsernameToken: Base64(SHA-1(nonce + created + password)), and `created` near our own time."""
        if self.user is None:
            return
        token = root.find(f".//{_WSSE}UsernameToken")
        parts = [(token.findtext(name, "") if token is not None else "") for name in _TOKEN_PARTS]
        user, digest, nonce, created = parts
        with contextlib.suppress(ValueError):
            made = base64.b64decode(nonce) + created.encode() + self.password.encode()
            expected = base64.b64encode(hashlib.sha1(made).digest()).decode()  # noqa: S324 -- the standard's digest
            signed_at = _seconds(created)
            if (
                hmac.compare_digest(expected, digest)
                and user == self.user
                and abs(signed_at - self._now()) < 300
                and nonce not in self._nonces
            ):
                self._nonces.append(nonce)
                return
        raise Refusal("ter:NotAuthorized", "Sender not authorized")

    def _digest_holds(self, authorization: str, path: str) -> bool:
        """RFC 7616 with MD5 and qop auth, each nonce of ours."""
        kind, _, rest = authorization.partition(" ")
        given = {k.strip(): v.strip().strip('"') for k, _, v in (part.partition("=") for part in rest.split(","))}
        if kind.lower() != "digest" or given.get("nonce") not in self._nonces or given.get("uri") != path:
            return False
        first = _md5(f"{self.user}:sim:{self.password}")
        second = _md5(f"POST:{path}")
        middle = f"{given['nonce']}:{given.get('nc')}:{given.get('cnonce')}:{given.get('qop')}"
        return hmac.compare_digest(_md5(f"{first}:{middle}:{second}"), given.get("response", ""))

    # ---- SOAP ----

    async def _answer(self, operation: str, path: str, question: ET.Element) -> str:
        known: dict[str, Callable[[ET.Element], str]] = {
            "GetSystemDateAndTime": self._time,
            "GetServices": self._services,
            "GetDeviceInformation": self._information,
            "GetProfiles": self._profiles,
            "GetOSDs": self._overlays,
            "CreatePullPointSubscription": self._subscribe,
            "FindRecordings": lambda _: self._begin_search("FindRecordings", ""),
            "GetRecordingSearchResults": self._recordings,
            "FindEvents": lambda one: self._begin_search("FindEvents", one.findtext(".//{*}IncludedRecordings", "")),
            "GetEventSearchResults": self._history,
            "EndSearch": self._end_search,
        }
        if operation in self.refused:
            raise Refusal("ter:ActionNotSupported", "optional action not implemented")
        if operation in ("PullMessages", "Renew", "Unsubscribe"):
            return await self._at_point(operation, path.rpartition("/")[2], question)
        if operation not in known:
            raise Refusal("ter:ActionNotSupported", "optional action not implemented")
        return known[operation](question)

    def _now(self) -> float:
        return time.time() + self.clock_offset

    def _time(self, _: ET.Element) -> str:
        now = time.gmtime(self._now())
        clock = f"<tt:Time><tt:Hour>{now.tm_hour}</tt:Hour><tt:Minute>{now.tm_min}</tt:Minute><tt:Second>{now.tm_sec}</tt:Second></tt:Time>"
        date = f"<tt:Date><tt:Year>{now.tm_year}</tt:Year><tt:Month>{now.tm_mon}</tt:Month><tt:Day>{now.tm_mday}</tt:Day></tt:Date>"
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>"
            f"<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>{clock}{date}</tt:UTCDateTime>"
            "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def _services(self, _: ET.Element) -> str:
        services = {"tds": "device_service", "trt": "media", "tev": "events", "tse": "search"}
        rows = "".join(
            f"<tds:Service><tds:Namespace>{_NAMESPACES[prefix]}</tds:Namespace><tds:XAddr>{self.address}/onvif/{path}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
            for prefix, path in services.items()
        )
        return f"<tds:GetServicesResponse>{rows}</tds:GetServicesResponse>"

    def _information(self, _: ET.Element) -> str:
        rows = "".join(f"<tds:{name}>{escape(value)}</tds:{name}>" for name, value in self._identity.items())
        return f"<tds:GetDeviceInformationResponse>{rows}</tds:GetDeviceInformationResponse>"

    def _profiles(self, _: ET.Element) -> str:
        return f"<trt:GetProfilesResponse>{''.join(map(_profile, self.streams))}</trt:GetProfilesResponse>"

    def _overlays(self, _: ET.Element) -> str:
        kind = "DateAndTime" if self.draws_time else "Plain"
        return (
            '<trt:GetOSDsResponse><trt:OSDs token="osd-1"><tt:VideoSourceConfigurationToken>vsc-1</tt:VideoSourceConfigurationToken>'
            "<tt:Type>Text</tt:Type><tt:Position><tt:Type>UpperLeft</tt:Type></tt:Position>"
            f"<tt:TextString><tt:Type>{kind}</tt:Type></tt:TextString></trt:OSDs></trt:GetOSDsResponse>"
        )

    def _subscribe(self, _: ET.Element) -> str:
        for token in [token for token, point in self._points.items() if point.ends < time.monotonic()]:
            del self._points[token]
        token = secrets.token_hex(6)
        point = self._points[token] = _PullPoint(time.monotonic() + 60)
        for known in self._properties.values():
            point.waiting.append(self._notification(known, "Initialized"))
        point.news.set()
        return (
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
            f"<a:Address>{self.address}/onvif/point/{token}</a:Address></tev:SubscriptionReference>"
            f"{self._term('wsnt')}</tev:CreatePullPointSubscriptionResponse>"
        )

    def _term(self, prefix: str, seconds: float = 60) -> str:
        now = self._now()
        return (
            f"<{prefix}:CurrentTime>{_moment(now)}</{prefix}:CurrentTime>"
            f"<{prefix}:TerminationTime>{_moment(now + seconds)}</{prefix}:TerminationTime>"
        )

    async def _at_point(self, operation: str, token: str, question: ET.Element) -> str:
        point = self._points.get(token)
        if point is None or point.ends < time.monotonic():
            raise Refusal("wsnt:ResourceUnknown", "there is no such pull point")
        if operation == "Unsubscribe":
            del self._points[token]
            return "<wsnt:UnsubscribeResponse/>"
        if operation == "Renew":
            point.ends = time.monotonic() + 60
            now = self._now()
            return (
                f"<wsnt:RenewResponse><wsnt:TerminationTime>{_moment(now + 60)}</wsnt:TerminationTime>"
                f"<wsnt:CurrentTime>{_moment(now)}</wsnt:CurrentTime></wsnt:RenewResponse>"
            )
        limit = int(question.findtext("{*}MessageLimit", "100"))
        patience = question.findtext("{*}Timeout", "PT1S").removeprefix("PT").removesuffix("S")
        if not point.waiting:
            point.news.clear()
            with contextlib.suppress(TimeoutError, ValueError):
                async with asyncio.timeout(min(60.0, float(patience))):
                    await point.news.wait()
        if token not in self._points:
            raise Refusal("wsnt:ResourceUnknown", "there is no such pull point any more")
        notes = [point.waiting.popleft() for _ in range(min(limit, len(point.waiting)))]
        return f"<tev:PullMessagesResponse>{self._term('tev')}{''.join(notes)}</tev:PullMessagesResponse>"

    def _notification(self, one: _Property, operation: str, at: float | None = None) -> str:
        source = "".join(f"<tt:SimpleItem Name={quoteattr(k)} Value={quoteattr(v)}/>" for k, v in one.source.items())
        data = f"<tt:SimpleItem Name={quoteattr(one.item)} Value={quoteattr(one.value)}/>"
        return (
            f'<wsnt:NotificationMessage><wsnt:Topic Dialect="{_DIALECT}">{escape(one.topic)}</wsnt:Topic><wsnt:Message>'
            f'<tt:Message UtcTime="{_moment(self._now() if at is None else at)}" PropertyOperation="{operation}">'
            f"<tt:Source>{source}</tt:Source><tt:Data>{data}</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        )

    def _begin_search(self, kind: str, recording: str) -> str:
        token = secrets.token_hex(6)
        self._searches[token] = recording
        while len(self._searches) > 64:
            del self._searches[next(iter(self._searches))]
        return f"<tse:{kind}Response><tse:SearchToken>{token}</tse:SearchToken></tse:{kind}Response>"

    def _search_of(self, question: ET.Element) -> str:
        token = question.findtext("{*}SearchToken", "")
        if token not in self._searches:
            raise Refusal("ter:InvalidToken", "there is no such search")
        return self._searches[token]

    def _end_search(self, question: ET.Element) -> str:
        self._search_of(question)
        del self._searches[question.findtext("{*}SearchToken", "")]
        return f"<tse:EndSearchResponse><tse:Endpoint>{_moment(self._now())}</tse:Endpoint></tse:EndSearchResponse>"

    def _recordings(self, question: ET.Element) -> str:
        self._search_of(question)
        rows = "".join(map(_recording, self.footage))
        return (
            "<tse:GetRecordingSearchResultsResponse><tse:ResultList><tt:SearchState>Completed</tt:SearchState>"
            f"{rows}</tse:ResultList></tse:GetRecordingSearchResultsResponse>"
        )

    def _history(self, question: ET.Element) -> str:
        wanted = self._search_of(question)
        rows = "".join(
            self._change(one, moment, present)
            for one in self.footage
            if wanted in ("", one.token)
            for begin, end in one.stretches
            for moment, present in ((begin, True), (end, False))
            if present or end != one.stretches[-1][1] or not one.recording
        )
        return (
            "<tse:GetEventSearchResultsResponse><tse:ResultList><tt:SearchState>Completed</tt:SearchState>"
            f"{rows}</tse:ResultList></tse:GetEventSearchResultsResponse>"
        )

    def _change(self, one: Footage, moment: float, present: bool) -> str:
        source = {"RecordingToken": one.token, "Track": "VIDEO001"}
        told = _Property("tns1:RecordingHistory/Track/State", "IsDataPresent", str(present).lower(), source)
        event = self._notification(told, "Changed", moment).replace("wsnt:NotificationMessage", "tt:Event")
        return (
            f"<tt:Result><tt:RecordingToken>{one.token}</tt:RecordingToken><tt:TrackToken>VIDEO001</tt:TrackToken>"
            f"<tt:Time>{_moment(moment)}</tt:Time>{event}<tt:StartStateEvent>false</tt:StartStateEvent></tt:Result>"
        )

    def probe_match(self, question: ET.Element) -> bytes:
        """What it answers to a WS-Discovery probe."""
        scopes = {
            "type": "video_encoder",
            "name": self._identity["Manufacturer"],
            "hardware": self._identity["Model"].replace(" ", "%20"),
            "location": "loopback",
        }
        told = " ".join(f"onvif://www.onvif.org/{key}/{escape(value)}" for key, value in scopes.items())
        relates = escape(question.findtext(".//{*}MessageID", ""))
        return (
            '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
            'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
            f'xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header><w:RelatesTo>{relates}</w:RelatesTo></s:Header><s:Body>'
            f"<d:ProbeMatches><d:ProbeMatch><w:EndpointReference><w:Address>urn:uuid:{self._identity['SerialNumber']}</w:Address>"
            f"</w:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{told}</d:Scopes>"
            f"<d:XAddrs>{self.address}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
            "</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
        ).encode()


_TOKEN_PARTS = (f"{_WSSE}Username", f"{_WSSE}Password", f"{_WSSE}Nonce", f"{_WSU}Created")


class WsDiscovery(asyncio.DatagramProtocol):
    """Answers probes for a device."""

    def __init__(self, device: OnvifDevice) -> None:
        self._device = device
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the way back."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a probe; nothing else."""
        with contextlib.suppress(ET.ParseError):
            question = ET.fromstring(data)  # noqa: S314 -- a simulator on loopback
            if question.find(".//{*}Probe") is not None and self._transport is not None:
                self._transport.sendto(self._device.probe_match(question), addr)


def _profile(one: Stream) -> str:
    bounds = f'<tt:Bounds x="0" y="0" width="{one.width}" height="{one.height}"/>'
    source = f'<tt:VideoSourceConfiguration token="vsc-1"><tt:Name>source</tt:Name><tt:UseCount>2</tt:UseCount><tt:SourceToken>{one.source}</tt:SourceToken>{bounds}</tt:VideoSourceConfiguration>'
    size = f"<tt:Resolution><tt:Width>{one.width}</tt:Width><tt:Height>{one.height}</tt:Height></tt:Resolution>"
    rate = f"<tt:RateControl><tt:FrameRateLimit>{one.fps}</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>{one.bitrate}</tt:BitrateLimit></tt:RateControl>"
    multicast = "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type></tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
    encoder = f'<tt:VideoEncoderConfiguration token="vec-{one.token}"><tt:Name>encoder</tt:Name><tt:UseCount>1</tt:UseCount><tt:Encoding>{one.encoding}</tt:Encoding>{size}<tt:Quality>5</tt:Quality>{rate}{multicast}<tt:SessionTimeout>PT60S</tt:SessionTimeout></tt:VideoEncoderConfiguration>'
    return (
        f'<trt:Profiles token="{one.token}" fixed="true"><tt:Name>{one.name}</tt:Name>{source}{encoder}</trt:Profiles>'
    )


def _recording(one: Footage) -> str:
    begin, end = _moment(one.stretches[0][0]), _moment(one.stretches[-1][1])
    source = "<tt:Source><tt:SourceId>onvif://sim</tt:SourceId><tt:Name>camera</tt:Name><tt:Location>-</tt:Location><tt:Description>-</tt:Description><tt:Address>-</tt:Address></tt:Source>"
    track = f"<tt:Track><tt:TrackToken>VIDEO001</tt:TrackToken><tt:TrackType>Video</tt:TrackType><tt:Description>-</tt:Description><tt:DataFrom>{begin}</tt:DataFrom><tt:DataTo>{end}</tt:DataTo></tt:Track>"
    status = "Recording" if one.recording else "Stopped"
    return f"<tt:RecordingInformation><tt:RecordingToken>{one.token}</tt:RecordingToken>{source}<tt:EarliestRecording>{begin}</tt:EarliestRecording><tt:LatestRecording>{end}</tt:LatestRecording><tt:Content>-</tt:Content>{track}<tt:RecordingStatus>{status}</tt:RecordingStatus></tt:RecordingInformation>"


def _fault(code: str, reason: str) -> str:
    return (
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )


def _moment(seconds: float) -> str:
    whole, part = divmod(round(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{part:03d}Z"


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 -- the standard's digest
