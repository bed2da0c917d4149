"""Where notifications may not go, in every spelling."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from hub.errors import BadInput
from hub.notify.address import connect, is_allowed, resolve


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "240.0.0.1",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_link_local_metadata_and_addresses_of_nobody_are_never_allowed(address: str) -> None:
    assert not is_allowed(address, allow_loopback=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_loopback_is_allowed_only_where_the_hub_was_told_so(address: str) -> None:
    assert not is_allowed(address, allow_loopback=False)
    assert is_allowed(address, allow_loopback=True)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.1.1", "172.16.0.1", "8.8.8.8", "2400:3200::1", "fd12:3456::1"]
)
def test_public_and_private_networks_are_allowed(address: str) -> None:
    assert is_allowed(address, allow_loopback=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "169.254.169.254"])
async def test_a_name_or_number_that_leads_to_a_forbidden_address_is_refused_without_saying_which(host: str) -> None:
    with pytest.raises(BadInput) as caught:
        await resolve(host, 80, allow_loopback=False)
    assert str(caught.value) == "the address is one that notifications may not go to"


async def test_a_name_whose_servers_are_dead_holds_up_no_other_and_takes_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    let_go = threading.Event()
    real = socket.getaddrinfo

    def slow(host: Any, *given: Any, **more: Any) -> Any:
        asked.append(host)
        if host.startswith("dead"):
            let_go.wait(60)
            raise socket.gaierror("no such name")
        return real(host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    names = [f"dead-{n}.example" for n in range(40)]
    waiting = [asyncio.create_task(resolve(name, 80, allow_loopback=True)) for name in names for _ in range(10)]
    try:
        (peer, *_) = await resolve("127.0.0.1", 80, allow_loopback=True)
        assert peer.address == "127.0.0.1"
        assert sorted(asked) == sorted([*names, "127.0.0.1"])
        waiting[0].cancel()  # who gives up does not give up for the others
        await asyncio.wait(waiting[:1])
    finally:
        let_go.set()
    found = await asyncio.gather(*waiting[1:], return_exceptions=True)
    assert {type(error) for error in found} == {socket.gaierror}
    monkeypatch.undo()
    assert await resolve("127.0.0.1", 80, allow_loopback=True)


async def test_a_checked_address_is_what_is_connected_to() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        sock = await connect(await resolve("127.0.0.1", port, allow_loopback=True))
        assert sock.getpeername() == ("127.0.0.1", port)
        sock.close()


async def test_where_nobody_listens_the_last_error_is_raised() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError):
        await connect(await resolve("127.0.0.1", port, allow_loopback=True))
