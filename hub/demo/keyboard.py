"""The demo while it stays up: one letter plays a device, and what reaches the duty rooms is shown."""

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import Awaitable, Callable

from hub.demo.city import City, Say
from hub.demo.hands import panel, sos
from hub.errors import EngineUnavailable

LOOK = 0.2


async def play_by_hand(city: City, say: Say) -> None:
    """Run until cancelled; raises EngineUnavailable when a part of the demo has died."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_show(city, say), name="demo-show")
        tasks.create_task(_read(city, say), name="demo-keys")
        while True:
            for program in (city.serve, city.devices, *city.edges.values()):
                if program.ended:
                    raise EngineUnavailable(f"{program.name} has ended: {program.last_words()}")
            await asyncio.sleep(LOOK)


async def _show(city: City, say: Say) -> None:
    calls = mails = 0
    while True:
        async with city.rooms.moved:
            await city.rooms.moved.wait()
        for call in city.rooms.calls[calls:]:
            say(f"→ 值班室 webhook: {_title(call.body)}")
        for mail in city.rooms.mails[mails:]:
            say(f"→ 邮件 mail: {mail.body['subject']}")
        calls, mails = len(city.rooms.calls), len(city.rooms.mails)


def _title(body: dict[str, object]) -> str:
    data = body.get("data")
    title = data.get("title") if isinstance(data, dict) else None
    words = " / ".join(str(word) for word in title.values()) if isinstance(title, dict) else ""
    return f"{body.get('type', '')} {words}".strip()


async def _read(city: City, say: Say) -> None:
    """Letters from a terminal or a pipe; nothing to do where there is none."""
    kind = os.fstat(sys.stdin.fileno()).st_mode
    if not (sys.stdin.isatty() or stat.S_ISFIFO(kind)):
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    hands = _hands(city)
    while line := await reader.readline():
        letter = line.decode("utf-8", "replace").strip().lower()
        hand = hands.get(letter)
        if hand is not None:
            with contextlib.suppress(EngineUnavailable):
                await hand()
        elif letter:
            say("p · f · u")


def _hands(city: City) -> dict[str, Callable[[], Awaitable[None]]]:
    on = {"f": False, "u": False}

    async def press() -> None:
        await sos(city, True)

    async def fire() -> None:
        on["f"] = not on["f"]
        await panel(city, on["f"])

    async def unplug() -> None:
        on["u"] = not on["u"]
        await city.play("center-cam-activity", "unplug" if on["u"] else "plug")

    return {"p": press, "f": fire, "u": unplug}
