"""One line: an endpoint whose devices fell silent together. Pure; all times are of the edge before it, unless said otherwise."""

from collections.abc import Sequence
from typing import NamedTuple

from hub.core.blindness import FEWEST, RECOVERY, SLACK, Cause, Evidence, Weighed
from hub.model import SECOND, Micros

SLOW: Micros = 600 * SECOND
"""with beats slower than this, two silences that overlap say little"""


class OnLine(NamedTuple):
    """A device behind an endpoint; `heard` by its edge's clock."""

    id: str
    heard: Micros
    beat: Micros
    silent: bool
    """called offline, while its edge is heard"""


def weigh_line(endpoint: str, devices: Sequence[OnLine], now: Micros) -> tuple[frozenset[str], Weighed] | None:
    """The devices that fell silent together when their line did, or None where it lives or that cannot be said; `now` by the edge's clock.

    One is enough that is called offline: the others have missed two beats, or their next one is not due yet and they were not heard since the
    line can have broken. One that was silent before is its own fault.
    """
    quiet = [device for device in devices if device.silent or now - device.heard >= 2 * device.beat + SLACK]
    if not any(device.silent for device in quiet):
        return None
    newest = max(device.heard for device in quiet)
    together = [device for device in quiet if device.heard + device.beat + SLACK >= newest - SLACK]
    if len(together) < (FEWEST if any(device.beat > SLOW for device in together) else 2):
        return None
    if not any(device.silent for device in together):
        return None
    broken_by = min(device.heard + device.beat for device in together) + SLACK
    rest = [device for device in devices if device not in quiet]
    if len(rest) > len(together):
        return None
    if any(device.heard > broken_by or now - device.heard >= device.beat + SLACK for device in rest):
        return None
    since = min(device.heard for device in together)
    facts = {"endpoint": endpoint, "silent": len(together), "of": len(devices), "since": since}
    names = frozenset(device.id for device in together)
    return names, Weighed(Cause.LINE, (Evidence("line_silent", facts),))


def line_stands(silent: int, last_return: Micros | None, slowest: Micros, now: Micros) -> bool:
    """Whether a line that failed is still coming back: some of its devices are heard again, and the others had not two beats' time yet."""
    return silent > 0 and last_return is not None and now - last_return < min(max(RECOVERY, 2 * slowest), SLOW)
