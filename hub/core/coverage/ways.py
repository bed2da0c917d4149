"""What a device depends on, from itself outward to the hub: its line, power and switches, the recorder, the edge and what that hangs on, the uplink. Pure.

A switch, a power feed or a recorder may be a device of the institution, which hangs on others in turn, or a name that nothing is read of: a plain
switch, a circuit of the distribution board.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

DEEPEST = 16
"""so many switches or power feeds are followed one behind the other; a manifest that declares a circle is refused, what is stored ends here"""


class Hangs(NamedTuple):
    """What one device hangs on itself, by name; None where nobody said."""

    endpoint: str | None = None
    recorded_by: str | None = None
    edge: str | None = None
    switch: str | None = None
    powered_by: str | None = None


_NOTHING = Hangs()


def depends_on(device: str, hangs: Mapping[str, Hangs], institution: str) -> tuple[str, ...]:
    """As `kind:id`, each once, where it stands furthest out. `hangs`: of all devices and edges of the institution; an endpoint's name is one within it.

    What a switch or an edge is not said to hang on, it has directly from the uplink. Of a device whose own switch nobody named no switch is told,
    also not its edge's: two such devices are not known to be apart.
    """
    own = hangs.get(device, _NOTHING)
    way: list[str] = [] if own.endpoint is None else [f"link:{own.endpoint}"]
    way += wired(own, hangs)
    if own.recorded_by is not None:
        way.append(f"recorder:{own.recorded_by}")
    if own.edge is not None:
        way.append(f"edge:{own.edge}")
        if own.switch is not None:
            way += wired(hangs.get(own.edge, _NOTHING), hangs)
    way.append(f"uplink:{institution}")
    return tuple(reversed(dict.fromkeys(reversed(way))))


def wired(one: Hangs, hangs: Mapping[str, Hangs]) -> Iterator[str]:
    """Power and switches as `kind:id`, from the device outward, each followed by what it hangs on in turn."""
    for _ in range(DEEPEST):
        yield from _fed(one, hangs)
        if one.switch is None:
            return
        yield f"switch:{one.switch}"
        one = hangs.get(one.switch, _NOTHING)


def _fed(one: Hangs, hangs: Mapping[str, Hangs]) -> Iterator[str]:
    for _ in range(DEEPEST):
        if one.powered_by is None:
            return
        yield f"power:{one.powered_by}"
        one = hangs.get(one.powered_by, _NOTHING)
