"""The conformance suite for drivers. Inherit it in a test module, name the driver and give a fixture `peer`::

    class TestLampContract(DriverContract):
        driver = driver
        secrets = ("lamp-secret-1",)
        cannot = {Case.LATE_ANSWER: "the lamps speak by themselves: nothing is asked"}

        @pytest.fixture
        async def peer(self) -> AsyncIterator[ContractPeer]: ...

It wants pytest with pytest-asyncio in its auto mode. A case that a protocol cannot have is declared in `cannot` with the reason;
what is neither declared nor given by the peer fails.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from pydantic import BaseModel, SecretStr, ValidationError

from hub.driver import Link, PollLink, PushLink
from hub.errors import AccessDenied, LinkDown, ProtocolFault
from hub.model import Sample, Scalar, Series
from hub.testing.peer import Case, ContractPeer
from hub.testing.waiting import eventually


class DriverContract:
    """The suite: every test is one promise of `hub.driver`. The subclass gives a fixture `peer` that yields a `ContractPeer`."""

    driver: ClassVar[Any]
    """a `hub.driver.Driver`"""
    cannot: ClassVar[Mapping[Case, str]] = {}
    """cases that this protocol has not, each with the reason"""
    secrets: ClassVar[Sequence[str]] = ()
    """the secrets in the peer's endpoint, as plain text"""
    patience: ClassVar[float] = 10.0
    """seconds within which any trouble must have become an error"""

    def test_what_is_declared_impossible_has_a_reason_and_is_true(self, peer: ContractPeer) -> None:
        """A driver cannot declare itself out of what its own settings show."""
        assert all(case in Case and len(reason) > 10 for case, reason in self.cannot.items())
        held = sorted(_secrets_of(peer.endpoint))
        assert held == sorted(self.secrets), "`secrets` must name what the endpoint holds"
        assert (Case.SECRETS in self.cannot) == (not held), "SECRETS is impossible only where the endpoint has none"

    async def test_connecting_and_leaving_twice_gives_every_point_and_leaves_nothing(self, peer: ContractPeer) -> None:
        """To reconnect is to leave and to enter again."""
        async with self._watched():
            for _ in range(2):
                assert await self._all_values(peer) == peer.values

    async def test_an_error_of_the_caller_inside_the_link_stays_what_it_is(self, peer: ContractPeer) -> None:
        """A driver translates its own errors only."""
        async with self._watched():
            thrown, seen = TimeoutError("the caller's"), None
            try:
                async with self._connected(peer):
                    raise thrown
            except TimeoutError as error:
                seen = error
            assert seen is thrown

    async def test_a_read_cancelled_in_the_middle_ends_at_once_and_leaves_nothing(self, peer: ContractPeer) -> None:
        """Cancelled is cancelled: it is not swallowed, and what was under way spoils nothing later."""
        async with self._watched():
            for whole in (True, False):
                await self._cancel(peer, whole)
                assert await self._all_values(peer) == peer.values

    async def test_a_peer_that_refuses_is_a_link_down_and_is_found_again(self, peer: ContractPeer) -> None:
        """While connected and on entering."""
        self._needs(Case.REFUSED)
        async with self._watched():
            async with self._ends_by(LinkDown), self._connected(peer) as link:
                await peer.refuse()
                await self._work(link, peer)
            async with self._ends_by(LinkDown), self._connected(peer):
                raise AssertionError("nobody is there and the driver has connected")
            await peer.recover()
            assert await self._all_values(peer) == peer.values

    async def test_a_peer_that_is_silent_is_a_link_down(self, peer: ContractPeer) -> None:
        """On entering, or where only a question shows it, soon after."""
        self._needs(Case.SILENT)
        async with self._watched():
            await peer.fall_silent()
            async with self._ends_by(LinkDown), self._connected(peer) as link:
                await self._work(link, peer)
            await peer.recover()
            assert await self._all_values(peer) == peer.values

    async def test_a_connection_that_is_half_open_is_a_link_down(self, peer: ContractPeer) -> None:
        """No operating system tells of it: the driver must."""
        self._needs(Case.HALF_OPEN)
        async with self._watched():
            async with self._ends_by(LinkDown), self._connected(peer) as link:
                await peer.freeze()
                await self._work(link, peer)
            await peer.recover()
            assert await self._all_values(peer) == peer.values

    async def test_wrong_credentials_are_access_denied(self, peer: ContractPeer) -> None:
        """A person must act: the runtime waits longest after this one."""
        self._needs(Case.CREDENTIALS)
        async with self._watched():
            await peer.demand_other_credentials()
            async with self._ends_by(AccessDenied), self._connected(peer) as link:
                await self._work(link, peer)
            await peer.recover()
            assert await self._all_values(peer) == peer.values

    async def test_a_dead_point_does_not_spoil_its_neighbours(self, peer: ContractPeer) -> None:
        """It is an error or a reject of its own, and never a value."""
        self._needs(Case.DEAD_POINT)
        async with self._watched():
            dead = peer.bindings[0].series
            await peer.kill_point(dead)
            alive = {series: raw for series, raw in peer.values.items() if series != dead}
            for _ in range(2):
                async with self._connected(peer) as link:
                    heard = await self._hear(link, peer, alive)
                assert {one.series: one.raw for one in heard if one.error is None} == alive

    async def test_a_late_answer_is_never_taken_for_the_answer_to_another_question(self, peer: ContractPeer) -> None:
        """Neither for another point's, nor for a newer value of the same point."""
        self._needs(Case.LATE_ANSWER)
        async with self._watched():
            first, second = (binding.series for binding in peer.bindings[:2])
            for asked, then in ((first, second), (first, first), (second, first)):
                before = peer.late_sent
                try:
                    async with self._connected(peer) as link:
                        await peer.hold_answer()
                        await _poll(link, [asked])
                        await peer.change(asked)
                        await self._read_only_truth(link, peer, then)
                except LinkDown as error:
                    self._errors.append(error)
                    await peer.change(asked)
                    async with self._connected(peer) as link:
                        await self._read_only_truth(link, peer, then)
                assert peer.late_sent > before, "the peer never sent its late answer"

    async def test_settings_refuse_unknown_keys_by_name(self, peer: ContractPeer) -> None:
        """All three models, with all that is known being right."""
        binding = peer.bindings[0]
        for known in (peer.endpoint, binding.device, binding.address):
            error = _refusal(known, {"no_such_key": "x"})
            assert [problem["loc"] for problem in error.errors(include_input=False)] == [("no_such_key",)]

    async def test_no_error_representation_or_log_shows_a_secret(self, peer: ContractPeer) -> None:
        """What the other cases raise and log is looked at there; here is what people get to see without any trouble."""
        self._needs(Case.SECRETS)
        async with self._watched(), self._connected(peer) as link:
            shown = [f"{thing!r} {thing}" for thing in (peer.endpoint, link, self.driver, *peer.bindings)]
            shown += [peer.endpoint.model_dump_json()]
            for key, value in peer.endpoint:
                if isinstance(value, SecretStr):
                    wrong = {key: [value.get_secret_value()]}
                    shown.append(repr(_refusal(peer.endpoint, wrong)))
            shown.append(repr(_refusal(peer.endpoint, {"no_such_key": self.secrets[0]})))
            self._assert_no_secret(shown)

    # ---- what the cases are made of ----

    def _needs(self, case: Case) -> None:
        if case in self.cannot:
            import pytest  # the hub's own programs run without it

            pytest.skip(f"{self.driver.name} cannot have this: {self.cannot[case]}")

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Whatever happens inside: no task, socket or thread is left, nothing reached the loop, and no secret was shown.

        The errors are kept meanwhile, as the runtime keeps one while it pauses: an error's frames must hold no socket.
        """
        self._errors: list[BaseException] = []
        escaped: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: escaped.append(context))
        before = _held()
        with _listening() as said:
            yield

        with contextlib.suppress(AssertionError):  # what the peer holds for a connection that ended goes a moment later
            await eventually(lambda: _held() <= before, deadline=8.0)
        assert not (left := _held() - before), f"left behind: {dict(left)}"
        assert escaped == []
        self._assert_no_secret([*said, *(text for error in self._errors for text in _told(error))])

    def _assert_no_secret(self, texts: Sequence[str]) -> None:
        shown = [text for text in texts for secret in self.secrets if secret in text]
        assert not shown, f"{len(shown)} texts show a secret, the first has {len(shown[0])} characters"

    @contextlib.asynccontextmanager
    async def _connected(self, peer: ContractPeer) -> AsyncIterator[Link]:
        async with self.driver.connect(peer.endpoint, peer.bindings) as link:
            assert isinstance(link, PollLink | PushLink)
            yield link

    @contextlib.asynccontextmanager
    async def _ends_by(self, kind: type[Exception]) -> AsyncIterator[None]:
        """The body must end by exactly this error, in time."""
        try:
            async with asyncio.timeout(self.patience):
                yield
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} within {self.patience} s") from None
        except kind as error:
            self._errors.append(error)
        else:
            raise AssertionError(f"it ended without {kind.__name__}")

    async def _work(self, link: Link, peer: ContractPeer) -> NoReturn:
        """Use the link as the runtime does until it raises."""
        while isinstance(link, PollLink):
            await _poll(link, [binding.series for binding in peer.bindings])
        async with contextlib.aclosing(_stream(link)) as deliveries:
            async for delivery in deliveries:
                await delivery.settle()
        raise AssertionError("the stream ended without an error")

    async def _all_values(self, peer: ContractPeer) -> dict[Series, Scalar | None]:
        async with self._connected(peer) as link:
            heard = await self._hear(link, peer, peer.values)
        assert [one for one in heard if one.error is not None] == []
        return {one.series: one.raw for one in heard}

    async def _hear(self, link: Link, peer: ContractPeer, wanted: Mapping[Series, Scalar]) -> list[Sample]:
        """All samples of one round: one read, or what comes until every series that is wanted has spoken."""
        async with asyncio.timeout(self.patience):
            if isinstance(link, PollLink):
                return await _poll(link, [binding.series for binding in peer.bindings])
            heard: list[Sample] = []
            async with contextlib.aclosing(_stream(link)) as deliveries:
                await peer.speak()
                while not wanted.keys() <= {one.series for one in heard}:
                    delivery = await anext(deliveries)
                    heard += delivery.samples
                    await delivery.settle()
            return heard

    async def _cancel(self, peer: ContractPeer, whole: bool) -> None:
        """Cancel the whole link's life in a read, or the read alone and go on with the link."""
        begun = asyncio.Event()

        async def live() -> None:
            async with self._connected(peer) as link:
                if isinstance(link, PollLink):
                    await peer.fall_silent()
                reading = asyncio.create_task(self._work(link, peer))
                try:
                    await peer.asked()
                    await asyncio.sleep(0)
                    begun.set()
                    if whole:
                        await reading
                finally:
                    reading.cancel()
                    ended, _ = await asyncio.wait({reading}, timeout=self.patience)
                    assert ended, "a read that was cancelled goes on"
                    assert reading.cancelled(), "a read swallowed its cancellation"
                if isinstance(link, PollLink):
                    await peer.recover()
                    await self._read_only_truth(link, peer, peer.bindings[0].series)

        life = asyncio.create_task(live())
        try:
            waiting = asyncio.create_task(begun.wait())
            await asyncio.wait({waiting, life}, timeout=self.patience, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if whole:
                assert begun.is_set()
                life.cancel()
            await asyncio.wait({life}, timeout=self.patience)
            assert life.done(), "leaving takes too long"
            assert life.cancelled() == whole
            if not whole:
                life.result()
        finally:
            life.cancel()
            await asyncio.wait({life})
            await peer.recover()

    async def _read_only_truth(self, link: Link, peer: ContractPeer, series: Series) -> None:
        """Read until the point has a value again; no read may give one that the point has not."""
        async with asyncio.timeout(self.patience):
            good = 0
            while good < 3:
                for sample in await _poll(link, [series]):
                    assert sample.error is not None or sample.raw == peer.values[sample.series], (
                        "somebody else's answer"
                    )
                    good += sample.error is None


async def _poll(link: Link, series: Sequence[Series]) -> list[Sample]:
    """One read with what a fault brings along; a point that failed alone is a sample with an error."""
    assert isinstance(link, PollLink), "a link that is asked; declare LATE_ANSWER in `cannot`"
    try:
        samples = list(await link.read(series))
    except ProtocolFault as fault:
        samples = list(fault.samples)
    assert sorted(sample.series for sample in samples) == sorted(series), "one sample for every series asked"
    return samples


def _stream(link: Link) -> AsyncGenerator[Any, None]:
    assert isinstance(link, PushLink)
    stream = link.deliveries()
    assert isinstance(stream, AsyncGenerator), "a stream that can be closed"
    return stream


def _held() -> Counter[str]:
    """How many tasks, threads, sockets, pipes and terminals there are. Threads of the loop's own executor stay with the loop."""
    held = Counter(tasks=len(asyncio.all_tasks()))
    held["threads"] = sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            kind = os.readlink(f"/proc/self/fd/{name}").partition(":")[0]
            if kind in ("socket", "pipe") or kind.startswith(("/dev/pts", "/dev/tty")):
                held[kind.rstrip("0123456789")] += 1
    return held


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """All that is logged inside, with its arguments."""
    said: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: said.append(f"{record.getMessage()} {record.exc_info}")  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _told(error: BaseException | None) -> Iterator[str]:
    """What an error and all behind it say."""
    while error is not None:
        yield f"{error!r} {error} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__


def _secrets_of(model: BaseModel) -> list[str]:
    return [value.get_secret_value() for _, value in model if isinstance(value, SecretStr)]


def _refusal(model: BaseModel, wrong: dict[str, Any]) -> ValidationError:
    """The error that these keys beside the right ones give."""
    known = {key: getattr(model, key) for key in model.model_fields_set}
    try:
        type(model).model_validate(known | wrong)
    except ValidationError as error:
        return error
    raise AssertionError(f"{type(model).__name__} took {sorted(wrong)}")
