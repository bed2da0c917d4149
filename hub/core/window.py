"""What of a stream may be sent now: the client's side of order, confirmation and going back (docs/protocol.md).

The hub's confirmation does not say why it came: `upto` may be progress, the answer to a message it had already, or the answer to a gap.
So the rules are:

- above what was confirmed: progress, everything up to it is let go of;
- not above, although more was sent: perhaps a gap. Go back to the lowest unconfirmed, but only when nothing has moved for `PATIENCE`,
  doubled each time without progress, so that late answers to a repetition never cause the next one;
- below what was confirmed, again and again while the lowest unconfirmed was sent: the hub has lost its place (restored from a backup, set
  up anew); above all that it can have: we have. In both cases the numbers mean nothing any more and the stream must begin anew;
- no confirmation for `FIRST_SILENCE`, doubled each time up to `SILENCE`: go back too. A broker that was started again takes messages while
  the hub has not yet subscribed, and drops them; an alarm among them must not wait ten seconds.

Time comes in as seconds of a monotonic clock.
"""

from dataclasses import dataclass
from enum import Enum

LIMIT = 100
"""unconfirmed messages of a lane that may be under way"""
FIRST_SILENCE = 2.0
SILENCE = 10.0
PATIENCE = 1.0
FORGOTTEN = 3
"""gap answers below the confirmed number, each to a repetition, after which the stream begins anew"""


class Verdict(Enum):
    """What a confirmation means."""

    PROGRESS = "progress"
    NOTHING = "nothing"
    BACK = "back"
    ANEW = "anew"


@dataclass(slots=True)
class Past:
    """What of a stream the hub can know, over all sessions of this process: so it is seen when a spool was put back from a backup.

    Such a spool gives numbers again that the hub has under other contents, and takes the hub's "I have it" for theirs. Therefore a hub
    that is ahead of all that can have been sent is no progress (`known`), and until it has said where it stands at most one
    number goes up that was not in the spool when it was opened (`allowed`).
    """

    inherited: int | None
    """the highest number in the spool when it was opened, which an earlier process may have sent; None: the stream began since"""
    highest: int = 0
    """sent by this process"""
    heard: bool = False
    """the hub has said where it stands"""

    @property
    def known(self) -> int:
        """The highest number that the hub can have from us."""
        return max(self.inherited or 0, self.highest)

    def allowed(self, sent: int, room: int) -> int:
        """How many of `room` messages may follow number `sent`."""
        if self.heard or self.inherited is None:
            return room
        return max(0, min(room, self.inherited + 1 - sent))


@dataclass(slots=True)
class Window:
    """One lane's place; numbers up to `confirmed` are done with, up to `sent` are under way."""

    confirmed: int
    moved_at: float
    """when something was last sent for the first time, confirmed, or repeated"""
    heard_at: float = 0.0
    """when the last confirmation of any kind came"""
    sent: int = -1
    patience: float = PATIENCE
    silence: float = FIRST_SILENCE
    forgotten: int = 0

    def __post_init__(self) -> None:
        if self.sent < 0:
            self.sent = self.confirmed

    @property
    def room(self) -> int:
        """How many more messages may be sent."""
        return max(0, LIMIT - (self.sent - self.confirmed))

    def take(self, seq: int, now: float) -> bool:
        """Whether message `seq` is the next one; if so it counts as sent."""
        if seq != self.sent + 1 or self.room == 0:
            return False
        if self.sent == self.confirmed:
            self.moved_at = now
        self.sent = seq
        return True

    def confirm(self, upto: int, last: int, now: float) -> Verdict:
        """A confirmation came, when `last` is the highest number that the hub can have (`Past.known`)."""
        self.heard_at = now
        if upto > last:
            return Verdict.ANEW
        if upto > self.confirmed:
            self.confirmed, self.sent = upto, max(self.sent, upto)
            self._moved(now)
            return Verdict.PROGRESS
        if self.sent == self.confirmed or now - self.moved_at < self.patience:
            return Verdict.NOTHING
        if upto < self.confirmed:
            self.forgotten += 1
            if self.forgotten >= FORGOTTEN:
                return Verdict.ANEW
        self._back(now)
        return Verdict.BACK

    def expire(self, now: float) -> bool:
        """Whether the hub has been silent too long about what is under way; if so everything unconfirmed is to be sent again."""
        if self.sent == self.confirmed or now < max(self.moved_at, self.heard_at) + self.silence:
            return False
        self.silence = min(2 * self.silence, SILENCE)
        self._back(now)
        return True

    def wait(self, now: float) -> float | None:
        """Seconds until `expire` may be true; None when nothing is under way."""
        return None if self.sent == self.confirmed else max(0.0, max(self.moved_at, self.heard_at) + self.silence - now)

    def restart(self, now: float) -> None:
        """The stream begins anew: nothing of it is confirmed or under way."""
        self.confirmed = self.sent = 0
        self._moved(now)

    def _moved(self, now: float) -> None:
        self.moved_at, self.patience, self.silence, self.forgotten = now, PATIENCE, FIRST_SILENCE, 0

    def _back(self, now: float) -> None:
        self.sent, self.moved_at = self.confirmed, now
        self.patience = min(2 * self.patience, SILENCE)
