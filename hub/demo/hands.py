"""What a person's hand does to the demo's devices: press and release, open and close, set off and reset."""

from collections.abc import Awaitable, Callable

from hub.demo.city import City

Hand = Callable[[City, bool], Awaitable[None]]


def _modbus(device: str, address: int) -> Hand:
    return lambda city, on: city.play(device, "set_discrete", unit=1, address=address, value=on)


def _smoke(device: str) -> Hand:
    return lambda city, on: city.play(device, "alarm", smoke=on)


def _door(device: str) -> Hand:
    return lambda city, on: city.play(device, "set", door="OPEN" if on else "CLOSED")


async def panel(city: City, on: bool) -> None:
    """A point detector behind the fire panel: fire, or over."""
    await city.play("center-panel", "part", part=7, fire=on, description="活动室 7 号探测器")


async def sos(city: City, on: bool) -> None:
    """The SOS button knows only the press."""
    if on:
        await city.play("center-sos", "press")


HANDS: dict[str, Hand] = {
    "center-button": _modbus("center-io", 4),
    "point-button": _modbus("point-io", 4),
    "center-door": _modbus("center-io", 0),
    "center-back-door": _door("center-back-door"),
    "point-door": _door("point-door"),
    "center-smoke-activity": _smoke("center-smoke-activity"),
    "center-smoke-reception": _smoke("center-smoke-reception"),
    "point-smoke": _smoke("point-smoke"),
    "home-smoke": _smoke("home-smoke"),
    "center-panel": panel,
    "center-sos": sos,
}
"""What the installer's hand does in each test: on, then off."""
