"""Whether the broker answers, and whether it is the database that a lane waits for: so that what stood still is named rightly.

A broker that is frozen, or a host that vanished, ends no connection: the keep-alive tells of it after half a minute, and by then every edge would be
called offline. So it is asked each second in which it said nothing, silence counts only up to its last word, and one that answers nothing for
`SILENT` is given up.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import structlog

from hub.model import SECOND, Micros
from hub.mqtt import Session

ASK = 1.0
"""seconds without a word after which the broker is asked, and between two questions"""
LATE = 2.5
"""seconds without a word up to which nothing is made of it: a question is under way, or our own loop is late"""
SILENT = 10.0
"""seconds without a word after which the broker is given up; so long it may take to answer anything (`hub.mqtt.ANSWER_TIMEOUT`)"""
QUESTIONS = 4
"""questions in a row that must have stayed open: a loop that stood still itself heard nothing either"""
_log = structlog.get_logger(__name__)


class Pulse:
    """One lane's. Its owner runs `run()` as a task and sets `mqtt` while there is a session."""

    def __init__(self, name: str, is_asking: Callable[[], bool]) -> None:
        """`is_asking`: whether the database owes an answer now."""
        self._name, self._is_asking = name, is_asking
        self.mqtt: Session | None = None
        self.asked = 0.0
        """seconds in which our loop went round and the database owed an answer"""
        self._open = 0

    @property
    def quiet(self) -> float:
        """Seconds since the broker's last word; 0 without a session, and while nothing is to be made of it."""
        if self.mqtt is None:
            return 0.0
        seconds = time.monotonic() - self.mqtt.heard()
        return seconds if seconds > LATE else 0.0

    def heard_until(self, now: Micros) -> Micros:
        """Up to when somebody's silence says something."""
        return now - int(self.quiet * SECOND)

    async def run(self) -> NoReturn:
        """Until cancelled."""
        while True:
            self.asked += ASK * self._is_asking()
            self.look()
            await asyncio.sleep(ASK)

    def look(self) -> None:
        """Ask a broker that says nothing; give up one that does not answer."""
        mqtt = self.mqtt
        seconds = 0.0 if mqtt is None else time.monotonic() - mqtt.heard()
        if mqtt is None or seconds < ASK:
            self._open = 0
            return
        if self._open >= QUESTIONS and seconds >= SILENT:
            _log.warning("ingest.broker_silent", lane=self._name, seconds=round(seconds, 1))
            self._open = 0
            mqtt.abort()
            return
        self._open += 1
        mqtt.ping()
