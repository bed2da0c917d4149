"""Devices put into their own test by a proof: a point is written, the device's answer is waited for, and the point is set back, whatever happens.

What must be set back stands on the disk before it is written: an edge that is killed between sets it back at its next start. Nothing here is
marked and nothing is swallowed: what the devices say meanwhile goes its way to the hub like any reading, a real press among it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from hub import crash
from hub.core.proof_order import Trial
from hub.edge import replaced
from hub.edge.site import Site
from hub.errors import AnxinError, BadInput, LinkDown
from hub.model import Micros, Sample, Scalar, Series
from hub.runtime.links import LinkRunner

log = structlog.get_logger()

ASK_EVERY = 0.25
"""seconds between two questions for the answer"""
TRIES = 3
"""writes that set a point back before the proof has failed; it is tried on for ever afterwards"""
AGAIN = 5.0
"""seconds between two tries to set back what an earlier process, or a broken line, left behind"""
MOST = 100
MAX_FILE = 256 * 1024


class Owed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point that must be set back."""

    device: str
    point: str
    rest: bool | int | float | str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    owed: list[Owed]


_decoder = msgspec.json.Decoder(_File)


class Debts:
    """The file beside the spool, mode 0600; replaced as a whole, synced. All calls block."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "test-points.json"

    def load(self) -> list[Owed]:
        """What an earlier process left in its test; nothing where there is no file, or it is damaged, which is said."""
        try:
            with self.path.open("rb") as file:
                return _decoder.decode(file.read(MAX_FILE)).owed
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, ValueError, RecursionError) as error:
            log.error("edge.test_points_unreadable", path=str(self.path), reason=type(error).__name__)
            return []

    def save(self, owed: list[Owed]) -> None:
        """On the disk when it returns; raises OSError, and what was there stays."""
        replaced.replace(self.path, msgspec.json.encode(_File(1, owed)))


class Trials:
    """The tests under way at this edge; `run` never returns."""

    def __init__(self, debts: Debts, site: Site, clock: Callable[[], Micros]) -> None:
        self._debts = debts
        self._site = site
        self._clock = clock
        self._owed: dict[tuple[str, str], Owed] = {}
        self._testing: set[tuple[str, str]] = set()
        self._said: set[tuple[str, str]] = set()
        """that these could not be set back: once is enough"""
        self._writing = asyncio.Lock()
        self._left = asyncio.Event()
        self._loaded = asyncio.Event()
        """what an earlier process owes is known: nothing is written over it"""

    async def run(self) -> NoReturn:
        """Set back what was left behind: by an earlier process at the start, by a broken line whenever that happens. Until cancelled."""
        for owed in await asyncio.to_thread(self._debts.load):
            self._owed.setdefault((owed.device, owed.point), owed)
        self._loaded.set()
        if self._owed:
            log.warning("trials.left_behind", points=sorted("/".join(key) for key in self._owed))
            self._left.set()
        while True:
            await self._left.wait()
            for key, owed in list(self._owed.items()):
                if key not in self._testing and await self._set_back(owed, 1):
                    log.warning("trials.set_back", device=owed.device, point=owed.point)
            if not any(key not in self._testing for key in self._owed):
                self._left.clear()
                continue
            await asyncio.sleep(AGAIN)

    async def conduct(self, device: str, trial: Trial) -> Micros:
        """Put a device into its test and out of it; when it had answered. Raises LinkDown, or BadInput, that says what it did not do."""
        await self._loaded.wait()
        runner = self._runner(device, trial)
        key = (device, trial.write)
        if key in self._owed or key in self._testing or len(self._owed) >= MOST:
            raise BadInput("its test point is still to be set back from an earlier test", "/".join(key), code="proof")
        expect = Series(device, trial.expect)
        with runner.heard(expect) as said:
            self._testing.add(key)
            try:
                await self._is_quiet(runner, expect, trial, said)
                await self._owe(Owed(device, trial.write, trial.rest))
                said.clear()
                try:
                    await runner.write(Series(device, trial.write), trial.value)
                    crash.point("edge-in-a-test")
                    answered = await self._answer(runner, expect, trial, said)
                finally:
                    said.clear()
                    back = await self._set_back(self._owed[key], TRIES)
            finally:
                self._testing.discard(key)
                self._left.set()
            if back and not runner.polls:
                await self._is_over(expect, trial, said)
        if not back:
            raise LinkDown(f"its test point {trial.write!r} could not be set back: it is tried again")
        return answered

    def _runner(self, device: str, trial: Trial) -> LinkRunner:
        points = {
            p.point: p for e in self._site.bundle.endpoints for d in e.devices if d.id == device for p in d.points
        }
        runner = self._site.runner(device)
        if runner is None or trial.write not in points or trial.expect not in points:
            raise BadInput("this edge does not have that test point", f"{device}/{trial.write}", code="proof")
        if not points[trial.write].writable:
            raise BadInput("is not writable", f"{device}/{trial.write}", code="proof")
        if any((rule.siren, rule.point) == (device, trial.write) for rule in self._site.bundle.local_rules):
            raise BadInput("is the siren of a local rule: no test sounds it", f"{device}/{trial.write}", code="proof")
        return runner

    async def _is_quiet(self, runner: LinkRunner, expect: Series, trial: Trial, said: deque[Sample]) -> None:
        """A point that gives the answer already would show nothing."""
        if not runner.polls:
            return
        with contextlib.suppress(LinkDown):  # one that only speaks by itself; a line that is down fails at the write
            await runner.ask(expect)
        if said and said[-1].error is None and _is_answer(said[-1].raw, trial):
            raise BadInput(
                f"its answer {said[-1].raw!r} stands already, before the test", "/".join(expect), code="proof"
            )

    async def _answer(self, runner: LinkRunner, expect: Series, trial: Trial, said: deque[Sample]) -> Micros:
        loop = asyncio.get_running_loop()
        until = loop.time() + trial.within / 1_000_000
        last: Scalar | None = None
        while True:
            if runner.polls:
                with contextlib.suppress(LinkDown, TimeoutError):
                    async with asyncio.timeout_at(until):
                        await runner.ask(expect)
            while said:
                sample = said.popleft()
                last = sample.raw if sample.error is None else last
                if sample.error is None and _is_answer(sample.raw, trial):
                    return self._clock()
            if loop.time() >= until:
                told = "it said nothing" if last is None else f"it said {last!r}"
                raise LinkDown(f"the device did not answer its test within {trial.within / 1e6:g} s: {told}")
            await asyncio.sleep(min(ASK_EVERY, max(0.0, until - loop.time())))

    async def _is_over(self, expect: Series, trial: Trial, said: deque[Sample]) -> None:
        """One that speaks by itself could not be asked before whether its answer stood already: if it did, it says it still. What says nothing more
        (its answer is an event) has said it after the test was tripped, and not before."""
        loop = asyncio.get_running_loop()
        until, stands = loop.time() + trial.within / 1_000_000, False
        while loop.time() < until:
            while said:
                sample = said.popleft()
                if sample.error is None and not _is_answer(sample.raw, trial):
                    return
                stands |= sample.error is None
            await asyncio.sleep(ASK_EVERY)
        if stands:
            raise LinkDown(f"its answer at {expect.point!r} stands after its test is over: it proves nothing")

    async def _owe(self, owed: Owed) -> None:
        """On the disk before it is written to the device; raises BadInput where the disk takes nothing: then there is no test."""
        async with self._writing:
            after = {**self._owed, (owed.device, owed.point): owed}
            try:
                await asyncio.to_thread(self._debts.save, list(after.values()))
            except OSError as error:
                where = f"{owed.device}/{owed.point}"
                raise BadInput(f"what must be set back cannot be kept: {error.strerror}", where, code="proof") from None
            self._owed = after

    async def _set_back(self, owed: Owed, tries: int) -> bool:
        key = (owed.device, owed.point)
        for n in range(tries):
            runner = self._site.runner(owed.device)
            try:
                if runner is None:
                    raise LinkDown("it is behind no link of this edge")
                seen = await runner.write(Series(owed.device, owed.point), owed.rest)
                if seen is not None and seen != owed.rest:
                    raise LinkDown(f"it was written {owed.rest!r} and says {seen!r}")
                break
            except AnxinError as error:
                say = log.debug if key in self._said else log.error
                self._said.add(key)
                say("trials.not_set_back", device=owed.device, point=owed.point, reason=str(error))
                if n + 1 < tries:
                    await asyncio.sleep(1)
        else:
            return False
        self._said.discard(key)
        async with self._writing:
            self._owed = {name: one for name, one in self._owed.items() if name != key}
            with contextlib.suppress(OSError):  # it is set back once more at the next start, which harms nobody
                await asyncio.to_thread(self._debts.save, list(self._owed.values()))
        return True


def _is_answer(raw: Scalar | None, trial: Trial) -> bool:
    return raw is not None and any(raw == one and isinstance(raw, str) == isinstance(one, str) for one in trial.answers)
