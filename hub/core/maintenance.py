"""Maintenance windows (维护窗口): for a while the alarms of a place are recorded and their paging waits. Pure.

What is raised inside a window waits for its end; what stood before goes on being paged. At the end whatever is still unacknowledged is paged
at once. Fire and panic are never held: a window cannot even name them.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hub.errors import BadInput
from hub.model import SECOND, Micros

LONGEST_WINDOW: Micros = 7 * 86_400 * SECOND
FURTHEST_AHEAD: Micros = 366 * 86_400 * SECOND
MOST_WINDOWS = 100
"""that have not ended, of one institution"""


class Window(NamedTuple):
    """Over an institution, or one zone or one device of it, from `since` until before `until`."""

    id: str
    institution: str
    since: Micros
    until: Micros
    zone: str | None = None
    device: str | None = None

    def covers(self, device: str, zone: str | None, now: Micros) -> bool:
        """Whether what `device` (in `zone`) raises at `now` waits."""
        if not self.since <= now < self.until:
            return False
        if self.device is not None:
            return self.device == device
        return self.zone is None or self.zone == zone


def covering(windows: Iterable[Window], device: str, zone: str | None, now: Micros) -> Window | None:
    """Of the windows that cover the device at `now` the one that ends last."""
    fitting = [window for window in windows if window.covers(device, zone, now)]
    return max(fitting, key=lambda window: (window.until, window.id), default=None)


def check_window(since: Micros, until: Micros, reason: str, now: Micros) -> None:
    """Raises BadInput that names the key where such a window may not be made at `now`."""
    if until <= since:
        raise BadInput("a window ends after it begins", "until", code="maintenance")
    if until <= now:
        raise BadInput("a window that has ended holds nothing", "until", code="maintenance")
    if until - since > LONGEST_WINDOW:
        raise BadInput("a window is at most 7 days long: make another one after it", "until", code="maintenance")
    if since > now + FURTHEST_AHEAD:
        raise BadInput("at most a year ahead", "since", code="maintenance")
    if not reason.strip():
        raise BadInput("say what is being done", "reason", code="maintenance")
