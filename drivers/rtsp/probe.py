"""One look at a stream, in a process of its own: figures come out, never a picture.

Run as a file; it imports nothing of ours. One line of JSON on standard input says what to look at, one line on standard output what was
seen: `{"figures": {…}}` or `{"failed": "denied" | "missing" | "silent" | "gone" | "garbled"}`. The process may not write a file, dump its
memory, take more memory or time than it is given, or outlive who started it: a decoder is fed by strangers.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

COLUMNS, ROWS = 128, 72
"""A picture is looked at as this many cells, each the mean brightness of its part: 15 × 15 pixels of 1920 × 1080."""
CHANGE = 6
"""Levels of 255 by which a cell must move to count: an encoder that repeats a still picture moves cells by 1 or 2, one digit of an overlay by tens."""
DARK_MEAN, DARK_CELL = 16.0, 40
"""A picture is black when its mean is below the first and no cell is above the second."""
MEMORY = 2 * 1024**3
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


@dataclass
class Watch:
    """What is remembered of the pictures seen: one number a frame and one grid a second. Pure."""

    region: tuple[float, float, float, float] | None = None
    """left, top, width, height of the overlay with the time, as parts of the picture"""
    means: list[float] = field(default_factory=list)
    dark: int = 0
    still: dict[int, bool] = field(default_factory=dict)
    """whether nothing changed, by second"""
    ticks: list[bool] = field(default_factory=list)
    """whether the overlay was another than a second before"""
    _grid: bytes = b""

    def see(self, moment: float, grid: bytes) -> None:
        """One picture: when, in seconds that only go up, and its cells."""
        mean = fmean(grid)
        self.means.append(mean)
        self.dark += mean < DARK_MEAN and max(grid) < DARK_CELL
        second = int(moment)
        if second in self.still:
            self.still[second] = self.still[second] and not differs(grid, self._grid)
            return
        if self.still:
            self.still[second] = not differs(grid, self._grid)
            if self.region is not None:
                self.ticks.append(differs(cut(grid, self.region), cut(self._grid, self.region)))
        else:
            self.still[second] = True
        self._grid = grid

    def figures(self) -> dict[str, float | None]:
        """Shares of 0 to 1 and the mean brightness; None where too little was seen to say."""
        count = len(self.means)
        return {
            "luma": round(fmean(self.means), 1) if count else None,
            "black": round(self.dark / count, 3) if count else None,
            "frozen": round(sum(self.still.values()) / len(self.still), 3) if len(self.still) > 1 else None,
            "overlay_moving": round(sum(self.ticks) / len(self.ticks), 3) if self.ticks else None,
        }


def differs(one: bytes, other: bytes) -> bool:
    """Whether any cell moved."""
    return one != other and any(abs(a - b) >= CHANGE for a, b in zip(one, other, strict=True))


def cut(grid: bytes, region: Sequence[float]) -> bytes:
    """The cells of a region."""
    left, top, width, height = region
    columns = slice(int(left * COLUMNS), max(int(left * COLUMNS) + 1, round((left + width) * COLUMNS)))
    rows = range(int(top * ROWS), max(int(top * ROWS) + 1, round((top + height) * ROWS)))
    return b"".join(grid[row * COLUMNS : (row + 1) * COLUMNS][columns] for row in rows)


@dataclass
class Flow:
    """What came, counted. Times are seconds."""

    packets: int = 0
    size: int = 0
    frames: int = 0
    errors: int = 0
    begun: float = 0.0
    last: float = 0.0
    longest: float = 0.0
    whole: bool = False
    """the look was not ended by the server, or by its silence"""
    shown: float = 0.0
    """seconds of pictures, by the stream's own clock"""
    _moment: float | None = None

    def arrive(self, at: float, size: int) -> None:
        """A packet."""
        self.longest = max(self.longest, at - self.last)
        self.last = at
        self.packets += 1
        self.size += size

    def show(self, moment: float | None) -> float:
        """A picture with its time in the stream; seconds of pictures until it."""
        self.frames += 1
        if moment is not None:
            step = moment - self._moment if self._moment is not None else 0.0
            if 0 < step < 5:  # a jump is a new beginning, not a pause
                self.shown += step
            self._moment = moment
        return self.shown

    def figures(self, ended: float) -> dict[str, float | bool | None]:
        """`ended` is when the look was over."""
        elapsed = max(ended - self.begun, 0.001)
        return {
            "flowing": self.packets > 1 and self.whole,
            "decodable": self.frames > 0 and self.errors <= self.frames,
            "fps": round((self.frames - 1) / self.shown, 2) if self.shown > 0 else None,
            "bitrate": round(self.size * 8 / 1000 / (self.shown or elapsed), 1),
            "longest_stall": round(max(self.longest, ended - self.last), 2),
            "decode_errors": self.errors,
        }


def confine(seconds: float) -> None:
    """Give up what a decoder does not need."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    limit = int(seconds * 2) + 10
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.nice(5)


def look(url: str, timeout: float, window: float, region: tuple[float, float, float, float] | None) -> dict[str, Any]:
    """The figures of `window` seconds; raises what PyAV raises where the stream cannot be opened."""
    import av

    options = {
        "rtsp_transport": "tcp",
        "protocol_whitelist": "rtsp,rtp,tcp",
        "analyzeduration": "1000000",
        "fpsprobesize": "0",
        "allowed_media_types": "video",
    }
    flow, watch = Flow(), Watch(region)
    with av.open(url, format="rtsp", options=options, timeout=(timeout, timeout)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        flow.begun = flow.last = time.monotonic()
        with contextlib.suppress(TimeoutError, av.error.ExitError):
            for packet in container.demux(stream):
                now = time.monotonic()
                if packet.size:
                    flow.arrive(now, packet.size)
                flow.errors += bool(packet.is_corrupt)
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    frames = []
                    flow.errors += 1
                for frame in frames:
                    _see(frame, flow, watch)
                if now - flow.begun >= window:
                    flow.whole = True
                    break
        context = stream.codec_context
        size = {"width": context.width, "height": context.height, "codec": context.name}
        return {**flow.figures(time.monotonic()), **watch.figures(), **size}


def _see(frame: Any, flow: Flow, watch: Watch) -> None:
    if frame.is_corrupt:
        flow.errors += 1
    moment = flow.show(frame.time)
    small = frame.reformat(width=COLUMNS, height=ROWS, format="gray", interpolation="AREA")
    plane = small.planes[0]
    cells = bytes(plane)
    watch.see(moment, b"".join(cells[n * plane.line_size :][:COLUMNS] for n in range(ROWS)))


_FAILURES = {
    "HTTPUnauthorizedError": "denied",
    "HTTPForbiddenError": "denied",
    "HTTPNotFoundError": "missing",
    "ConnectionRefusedError": "gone",
    "ConnectionResetError": "gone",
    "TimeoutError": "silent",
    "ExitError": "silent",
    "PermissionError": "silent",  # FFmpeg's RTSP says -1, which is EPERM, where an answer to PLAY does not come
}


def main() -> None:
    """One look."""
    asked = json.loads(sys.stdin.readline())
    confine(asked["timeout"] + asked["window"])
    import av

    av.logging.set_level(None)
    seen: dict[str, Any]
    try:
        region = asked["region"]
        seen = {"figures": look(asked["url"], asked["timeout"], asked["window"], tuple(region) if region else None)}
    except (av.error.FFmpegError, OSError, ValueError, IndexError, MemoryError) as error:
        # its text may hold the address with its password: only its kind goes out
        names = [kind.__name__ for kind in type(error).__mro__]
        seen = {"failed": next((_FAILURES[name] for name in names if name in _FAILURES), "garbled")}
    print(json.dumps(seen), flush=True)
    os._exit(0)  # a decoder's own cleaning up is nobody's business any more


if __name__ == "__main__":
    main()
