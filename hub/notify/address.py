"""Where the hub may connect to for a notification: resolve once, check every address, connect to what was checked.

Policies come from manifests, so a channel's address is somebody else's text: it must not make the hub speak to itself, to its
neighbours by link-local address, or to a cloud's metadata service. Private networks are allowed, because offices of the administration
are there. (An allow-list of networks per division would be stronger; it is not built.)
"""

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from hub.errors import BadInput

# metadata and host services of clouds outside the link-local range: Alibaba, Oracle, Azure, AWS over IPv6
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"))
)
_NAT64 = IPv6Network("64:ff9b::/96")
# as many names may hang at once as there are places for messages (hub.runtime.deliverer)
_THREADS = ThreadPoolExecutor(64, thread_name_prefix="resolve")
_Found = list[tuple[socket.AddressFamily, str]]
_LOCK = threading.Lock()
_LOOKING_UP: "dict[str, Future[_Found]]" = {}


class Peer(NamedTuple):
    """A checked address."""

    family: socket.AddressFamily
    address: str
    port: int


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for: a check of the outside alone would let it through."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address


def is_allowed(address: str, allow_loopback: bool) -> bool:
    """Whether the hub may connect to this literal address."""
    inner = _inner(ip_address(address.partition("%")[0]))
    if inner.is_loopback:
        return allow_loopback
    forbidden = inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner.is_reserved
    return not forbidden and inner not in _METADATA


def _look_up(host: str) -> _Found:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(family, str(sockaddr[0])) for family, _, _, _, sockaddr in found]


async def _looked_up(host: str) -> _Found:
    """A look-up cannot be cancelled, and of a name whose servers are dead it lasts for half a minute. So there are threads for nothing else, and each name
    takes one of them, however many messages wait for it.
    """
    loop = asyncio.get_running_loop()
    with _LOCK:  # another thread may have a loop of its own
        for key in [key for key, running in _LOOKING_UP.items() if running.done()]:
            del _LOOKING_UP[key]
        running = _LOOKING_UP.get(host)
        if running is None:
            running = _LOOKING_UP[host] = _THREADS.submit(_look_up, host)
    # whoever gives up must not cancel it for the others
    mine: asyncio.Future[_Found] = loop.create_future()

    def settle(done: "Future[_Found]") -> None:
        with contextlib.suppress(RuntimeError):  # the loop has gone meanwhile
            loop.call_soon_threadsafe(_tell, mine, done)

    running.add_done_callback(settle)
    return await mine


def _tell(
    mine: "asyncio.Future[_Found]",
    done: "Future[_Found]",
) -> None:
    if mine.done():
        return
    error = done.exception()
    if error is None:
        mine.set_result(done.result())
    else:
        mine.set_exception(error)


async def resolve(host: str, port: int, *, allow_loopback: bool) -> list[Peer]:
    """The addresses of `host`, all of them allowed; raises BadInput (code `address`) where one is not, OSError where there is none.

    The caller limits the time.
    """
    found = await _looked_up(host)
    peers = [Peer(family, address, port) for family, address in found]
    if not peers:
        raise OSError("the name has no address")
    for peer in peers:
        if not is_allowed(peer.address, allow_loopback):
            raise BadInput("the address is one that notifications may not go to", code="address")
    return peers


async def connect(peers: list[Peer]) -> socket.socket:
    """A connected socket to the first peer that answers; raises the last OSError. The caller limits the time."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("no address")
    for peer in peers:
        sock = socket.socket(peer.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, (peer.address, peer.port))
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
