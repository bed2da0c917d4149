"""Finding frames in a stream of bytes, whatever comes between them and however it is cut. Pure; knows no protocol.

A protocol says what its frames begin with and what stands at such a beginning (`Shape`); the scanner never loses the next good frame.
"""

from collections.abc import Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

F = TypeVar("F")


class Garbage(NamedTuple, Generic[F]):
    """Bytes that are no frame; `frame` is what they would be if their checksum were right."""

    octets: bytes
    code: str
    reason: str
    frame: F | None = None


class Whole(NamedTuple, Generic[F]):
    """A frame and where it ends."""

    frame: F
    end: int


class Shape(Protocol[F]):
    """What a protocol's frames look like."""

    start: bytes
    """what every frame begins with, at least one byte"""

    def at(self, buffer: bytes, at: int) -> Whole[F] | Garbage[F] | str | None:
        """What stands at a start: a frame, one with a wrong checksum, the reason why it is none, None while it is too short to say."""
        ...


class Scanner(Generic[F]):
    """Gives out whole frames and garbage, in order, every byte once.

    `feed` waits for the rest of what may be a frame; `idle`, called when nothing has come for a while, gives up such a candidate as soon as
    a whole frame stands behind it. So a false start delays the next good frame by that while, and never loses it.
    The buffer holds at most one frame more than one feed.
    """

    def __init__(self, shape: Shape[F]) -> None:
        self._shape = shape
        self._buffer = b""

    @property
    def pending(self) -> bool:
        """True while there is something that may become a frame."""
        return len(self._buffer) > 0

    def feed(self, octets: bytes) -> list[F | Garbage[F]]:
        """Whole frames and garbage, in order."""
        self._buffer += octets
        return list(self._scan())

    def idle(self) -> list[F | Garbage[F]]:
        """Nothing more came for a while: look behind a start that leads nowhere."""
        found: list[F | Garbage[F]] = []
        at = self._buffer.find(self._shape.start, 1)
        while at >= 0:
            if isinstance(self._shape.at(self._buffer, at), Whole):
                found.append(Garbage(self._buffer[:at], "frame", "a frame that was never finished"))
                self._buffer = self._buffer[at:]
                found.extend(self._scan())
                at = 0
            at = self._buffer.find(self._shape.start, at + 1)
        return found

    def end(self) -> list[F | Garbage[F]]:
        """Nothing more will come: what is left over is garbage."""
        found = self.idle()
        if self._buffer:
            found.append(Garbage(self._buffer, "frame", "a frame that was never finished"))
            self._buffer = b""
        return found

    def _scan(self) -> Iterator[F | Garbage[F]]:
        buffer, at, clean = self._buffer, 0, 0  # clean: everything before it is already given out
        looked: dict[int, Whole[F] | Garbage[F] | str | None] = {}  # a checksum is not computed twice
        while True:
            start = buffer.find(self._shape.start, at)
            if start < 0:
                at = max(clean, len(buffer) - _begun(buffer, self._shape.start))
                break
            at = start
            found = looked.pop(at) if at in looked else self._shape.at(buffer, at)
            if found is None:
                break
            if isinstance(found, str):
                at += 1
                continue
            if clean < at:
                yield Garbage(buffer[clean:at], "frame", "bytes that are no frame")
            if isinstance(found, Garbage):
                # Only the checksum is wrong. Or the start is a false one, and the frame that it seems to hold is another's.
                inner = self._inner(buffer, at, len(found.octets), looked)
                yield found if inner is None else Garbage(buffer[at:inner], "frame", "bytes that are no frame")
                clean = at = at + len(found.octets) if inner is None else inner
                continue
            twin = self._twin(buffer, at, found.end)
            if twin is not None:  # noise that looks like a start, and whose bytes add up to nothing, before a frame
                yield Garbage(buffer[at:twin], "frame", "bytes that are no frame")
                clean = at = twin
                continue
            yield found.frame
            clean = at = found.end
        if clean < at:
            yield Garbage(buffer[clean:at], "frame", "bytes that are no frame")
        self._buffer = buffer[max(at, clean) :]

    def _inner(
        self, buffer: bytes, at: int, size: int, looked: dict[int, Whole[F] | Garbage[F] | str | None]
    ) -> int | None:
        """A start within a broken frame that may be a frame itself (whole, or not yet)."""
        start = buffer.find(self._shape.start, at + 1, at + size)
        while start >= 0:
            looked[start] = self._shape.at(buffer, start)
            if not isinstance(looked[start], str):
                return start
            start = buffer.find(self._shape.start, start + 1, at + size)
        return None

    def _twin(self, buffer: bytes, at: int, end: int) -> int | None:
        """The start of another frame within a frame that has the same end, so that what stands before it is none of it."""
        start = buffer.find(self._shape.start, at + 1, end)
        while start >= 0:
            found = self._shape.at(buffer, start)
            if isinstance(found, Whole) and found.end == end:
                return start
            start = buffer.find(self._shape.start, start + 1, end)
        return None


def _begun(buffer: bytes, start: bytes) -> int:
    """How many bytes at the end of the buffer may be the beginning of a start."""
    return next((size for size in range(len(start) - 1, 0, -1) if buffer.endswith(start[:size])), 0)
