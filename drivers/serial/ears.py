"""From octets of one far end to samples, rejects, and the octets that answer them once that is safe. Pure but for the clock in an answer."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol

from drivers.serial import framing
from drivers.serial import gb26875_2011 as gb
from drivers.serial.checks import check_of, size_of
from drivers.serial.frames import Finder, Frames, octets_of
from drivers.serial.lines import Lines, LineSplitter, Long
from drivers.serial.panel import Panel
from drivers.serial.settings import LineShape
from hub.model import Micros, Reject, Sample

_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")

MAX_REJECTS = 20
"""Refused pieces of one read that are kept one by one: a wrong baud rate makes hundreds a second."""


class Heard(NamedTuple):
    """What some octets gave. `answer` makes the octets that confirm it; `frame` is a frame of a transmitter that is known."""

    samples: Sequence[Sample]
    rejects: Sequence[Reject]
    answer: Callable[[], bytes] | None = None
    frame: gb.Frame | None = None
    ask: tuple[bytes, ...] = ()


class Ear(Protocol):
    """One far end's decoder."""

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """What the octets complete."""
        ...

    def idle(self, now: Micros) -> Iterable[Heard]:
        """What can be said after a while of silence."""
        ...

    def end(self, now: Micros) -> Iterable[Heard]:
        """What can be said when nothing more will come: a datagram has an end."""
        ...

    @property
    def pending(self) -> bool:
        """True while a silence would tell something."""
        ...


def _bounded(rejects: list[Reject], octets: bytes, now: Micros) -> list[Reject]:
    if len(rejects) <= MAX_REJECTS:
        return rejects
    rest = f"{len(rejects) - MAX_REJECTS} more pieces of the same moment were refused"
    return [*rejects[:MAX_REJECTS], Reject(now, rejects[0].source, "flood", rest, octets[:4096])]


class LineEar:
    """The line protocol: what one read brought goes out together."""

    pending = False

    def __init__(self, lines: Lines, shape: LineShape) -> None:
        self._lines = lines
        self._shape = shape
        self._terminator = shape.terminator.encode(shape.encoding)
        self._splitter = LineSplitter(self._terminator, shape.max_line)

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """At most one group of samples."""
        samples: list[Sample] = []
        rejects: list[Reject] = []
        answer = ""
        for line in self._splitter.feed(octets):
            held = self._held(line)
            if isinstance(held, str):
                rejects.append(
                    Reject(now, self._lines.source, "checksum", held, line if isinstance(line, bytes) else b"")
                )
                answer += self._shape.refuse or ""
                continue
            more, refused = self._lines.read(held, now)
            samples += more
            rejects += refused
            answer += self._shape.acknowledge or ""
        if not samples and not rejects and not answer:
            return ()
        confirm = answer.encode(self._shape.encoding)
        return (Heard(samples, _bounded(rejects, octets, now), (lambda: confirm) if confirm else None),)

    def idle(self, now: Micros) -> Iterable[Heard]:
        """A line without its end says nothing."""
        return ()

    def end(self, now: Micros) -> Iterable[Heard]:
        """The end of a datagram ends its last line."""
        return self.feed(self._terminator, now)

    def _held(self, line: bytes | Long) -> bytes | Long | str:
        """The line without its checksum, or why that does not hold."""
        check = self._shape.check
        if check is None or isinstance(line, Long):
            return line
        digits = 2 * size_of(check.kind)
        body = line.strip()
        if len(body) < digits + check.since or not _HEXADECIMAL.fullmatch(body[-digits:]):
            return f"it does not end with {digits} hexadecimal digits"
        right = check_of(check.kind, body[check.since : -digits])
        if int(body[-digits:], 16) != right:
            return f"checksum is {body[-digits:]!r}, should be {right:0{digits}X}"
        return body[:-digits]


class FrameEar:
    """Binary frames: what one read brought goes out together."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._scanner: framing.Scanner[bytes] = framing.Scanner(Finder(frames.shape))
        self._confirm = octets_of(frames.shape.acknowledge) if frames.shape.acknowledge is not None else b""

    @property
    def pending(self) -> bool:
        """True while there may be half a frame."""
        return self._scanner.pending

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """At most one group of samples."""
        return self._read(self._scanner.feed(octets), octets, now)

    def idle(self, now: Micros) -> Iterable[Heard]:
        """Frames that stood behind a false start."""
        return self._read(self._scanner.idle(), b"", now)

    def end(self, now: Micros) -> Iterable[Heard]:
        """What is left over is no frame."""
        return self._read(self._scanner.end(), b"", now)

    def _read(self, found: "Sequence[bytes | framing.Garbage[bytes]]", octets: bytes, now: Micros) -> Iterable[Heard]:
        samples: list[Sample] = []
        rejects: list[Reject] = []
        confirm = b""
        for one in found:
            more, refused = self._frames.read(one, now)
            samples += more
            rejects += refused
            confirm += self._confirm if isinstance(one, bytes) else b""
        if not samples and not rejects and not confirm:
            return ()
        return (Heard(samples, _bounded(rejects, octets, now), (lambda: confirm) if confirm else None),)


class PanelEar:
    """GB/T 26875.3: one frame, one delivery, one answer."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._scanner = gb.Scanner()

    @property
    def pending(self) -> bool:
        """True while there may be half a frame."""
        return self._scanner.pending

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """Every frame and every garbage in order."""
        return [self._heard(found, now) for found in self._scanner.feed(octets)]

    def idle(self, now: Micros) -> Iterable[Heard]:
        """Frames that stood behind a false start."""
        return [self._heard(found, now) for found in self._scanner.idle()]

    def end(self, now: Micros) -> Iterable[Heard]:
        """What is left over is no frame."""
        return [self._heard(found, now) for found in self._scanner.end()]

    def _heard(self, found: "gb.Frame | framing.Garbage[gb.Frame]", now: Micros) -> Heard:
        samples, rejects, command, ask = self._panel.hear(found, now)
        if isinstance(found, gb.Frame):
            known = found if self._panel.knows(found.source) else None
            answer = partial(_answer, found, command) if command is not None else None
            return Heard(samples, rejects, answer, known, ask)
        if command is None or found.frame is None:
            return Heard(samples, rejects)
        return Heard(samples, rejects, partial(_answer, found.frame, command))


def _answer(frame: gb.Frame, command: gb.Command) -> bytes:
    return gb.encode(gb.reply(frame, command, gb.label_of(datetime.now(UTC))))
