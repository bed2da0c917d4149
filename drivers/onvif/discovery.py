"""WS-Discovery: who speaks ONVIF, asked by one multicast on a network of ours or address by address, never more and never faster than told.

A probe asks for tds:Device and dn:NetworkVideoTransmitter (ONVIF Core Specification, 7.3); an answer's scopes tell manufacturer, model and
place. Answers are believed as far as anybody on that network can be: they fill in a manifest that a person reads.
"""

import asyncio
import ipaddress
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from urllib.parse import unquote, urlsplit

from drivers.onvif.answer import Element, GarbledError, child, children, parse, printable, text_of
from drivers.onvif.settings import Search
from hub.driver import Found
from hub.errors import LinkDown

GROUP = "239.255.255.250"
_LARGEST = 65_507
_WAITING = 1024
"""Answers that may wait to be read."""
_PROBE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><e:Header><w:MessageID>urn:uuid:{id}</w:MessageID>'
    "<w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>"
    "<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>"
    "<e:Body><d:Probe><d:Types>{types}</d:Types></d:Probe></e:Body></e:Envelope>"
)
_TYPES = ("dn:NetworkVideoTransmitter", "tds:Device")
_SCOPES = {
    "name": "name",
    "hardware": "model",
    "location": "location",
    "manufacturer": "manufacturer",
    "mfr": "manufacturer",
}


def probes() -> Iterator[bytes]:
    """One question for each of the two types that devices go by."""
    for types in _TYPES:
        yield _PROBE.format(id=uuid.uuid4(), types=types).encode()


def found_in(datagram: bytes, sender: str) -> list[Found]:
    """The devices that a datagram tells of; empty where it is no ProbeMatches."""
    try:
        root = parse(datagram)
    except GarbledError:
        return []
    matches = child(root, "Body", "ProbeMatches")
    return [found for one in children(matches, "ProbeMatch") if (found := _found(one, sender)) is not None]


def _found(match: Element, sender: str) -> Found | None:
    addresses = [urlsplit(text) for text in text_of(match, "XAddrs").split() if _usable(text)]
    if not addresses:
        return None
    # a device with several networks tells all its addresses: the one that answered us is the one that can be reached
    place = next((one for one in addresses if one.hostname == sender), addresses[0])
    assert place.hostname is not None
    marks = dict(_marks(text_of(match, "Scopes")))
    endpoint: dict[str, str | int] = {
        "host": place.hostname,
        "port": place.port or (443 if place.scheme == "https" else 80),
    }
    if place.scheme == "https":
        endpoint["tls"] = "unverified"
    if place.path != "/onvif/device_service":
        endpoint["path"] = place.path
    says = ", ".join(marks[key] for key in ("manufacturer", "name", "model", "location") if key in marks)
    name = f"camera-{place.hostname}".replace(".", "-").replace(":", "-")[:40].rstrip("-")
    return Found(name, endpoint, {}, says, marks)


def _usable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _marks(scopes: str) -> Iterator[tuple[str, str]]:
    for scope in scopes.split():
        parts = scope.removeprefix("onvif://www.onvif.org/").split("/", 1)
        if len(parts) == 2 and parts[0].lower() in _SCOPES and scope.startswith("onvif://"):
            text = printable(unquote(parts[1])).strip()[:80]
            if text:
                yield _SCOPES[parts[0].lower()], text


class _Ear(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(_WAITING)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) <= _LARGEST and not self.heard.full():
            self.heard.put_nowait((data, addr[0]))


def _socket(search: Search) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if search.interface is not None:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(search.interface))
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            opened.bind((search.interface, 0))
        else:
            opened.bind(("0.0.0.0", 0))  # noqa: S104 -- answers come from whoever was asked
    except OSError:
        opened.close()
        raise
    return opened


async def discover(search: Search) -> AsyncIterator[Found]:
    """Each device once, as its answer comes. Raises LinkDown where nothing can be sent from there."""
    try:
        opened = _socket(search)
    except OSError as error:
        raise LinkDown(f"nothing can be sent from {search.interface or 'here'}: {error.strerror}") from None
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(_Ear, sock=opened)
    asking = asyncio.create_task(_ask(search, transport), name="ws-discovery probes")
    seen: set[tuple[object, object]] = set()
    try:
        until: float | None = None
        while until is None or loop.time() < until:
            if until is None and asking.done():
                asking.result()
                until = loop.time() + search.wait_s
            try:
                async with asyncio.timeout(0.1):
                    datagram, sender = await ear.heard.get()
            except TimeoutError:
                continue
            for found in found_in(datagram, sender):
                key = found.endpoint["host"], found.endpoint["port"]
                if key in seen:
                    continue
                seen.add(key)
                yield found
                if len(seen) >= search.limit:
                    return
    finally:
        asking.cancel()
        await asyncio.wait({asking})
        transport.close()


async def _ask(search: Search, transport: asyncio.DatagramTransport) -> None:
    network = ipaddress.ip_network(search.addresses or f"{GROUP}/32")
    everybody = [GROUP] if search.interface is not None else [str(one) for one in network.hosts()]
    for address in everybody:
        for probe in probes():
            transport.sendto(probe, (address, search.port))
            await asyncio.sleep(1 / search.rate)


__all__ = ["discover", "found_in", "probes"]
