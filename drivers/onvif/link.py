"""The live connection to an ONVIF device: it is asked in turns, and where event points are bound it speaks through a pull point.

What a device cannot answer costs only the points that need it: a fault is their error. Silence is tried once more with the simplest
question before the whole device is called gone.
"""

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from drivers.onvif import recordings, values
from drivers.onvif.answer import DeniedError, Element, FaultError, GarbledError, child, children, text_of
from drivers.onvif.events import notifications_of, samples_of
from drivers.onvif.recordings import Gap, Recording
from drivers.onvif.settings import Address, Endpoint
from drivers.onvif.soap import CAPABILITIES, EVENTS, Conversation, SilentError, conversation
from drivers.onvif.values import MediaProfile, NoValueError
from hub.driver import Binding
from hub.errors import AccessDenied, DriverError, LinkDown, ProtocolFault
from hub.model import Delivery, Micros, Reject, Sample, Scalar, Series

T = TypeVar("T")

_SUBSCRIBED_S = 60
"""Seconds for which a subscription is asked; a device forgets us soon after we are gone."""
_RENEW_S = 25.0
_BATCH = 100
"""Notifications in one answer."""
_REFUSALS = 3
"""Subscriptions in a row that gave nothing, after which the event points are errors."""
_AGAIN_S = 20.0
"""Seconds until a device that refused to tell events is asked again."""
_RECORDINGS, _HISTORY = "GetRecordingSearchResults", "GetEventSearchResults"
_TURN_S = 50.0
"""Seconds after which a turn asks no more; the runtime gives a read 120."""
_SEARCH_S = 20.0
_SEARCH_ROUNDS = 40
"""Answers to one search; a device that has not told all by then is not believed."""
_RESULTS = 200
"""Results in one of them."""
_GARBLED = 4
"""Answers in a row that may be nonsense while we listen."""
_LEAVE_S = 1.0
_PAUSE_S = 0.5
"""Seconds between two questions for events, and before a new subscription, where the device answers at once and says nothing to us."""


def _now() -> Micros:
    return time.time_ns() // 1000


class _Missing(NamedTuple):
    """Why a question has no answer."""

    reason: str


class _Turn:
    """What one read has learned so far: every question is asked once, whatever its outcome."""

    def __init__(self) -> None:
        self.known: dict[object, Any] = {}
        self.fault: GarbledError | None = None
        self.until = asyncio.get_running_loop().time() + _TURN_S


@contextlib.asynccontextmanager
async def connect(endpoint: Endpoint, bindings: Sequence[Binding]) -> AsyncIterator["OnvifLink"]:
    """A link to the device; raises LinkDown where nobody answers, AccessDenied where it refuses us."""
    kind = OnvifPushLink if any(binding.address.event is not None for binding in bindings) else OnvifLink
    try:
        async with conversation(endpoint) as spoken:
            link = kind(endpoint, bindings, spoken)
            await link.greet()
            yield link
    except DriverError as error:
        error.__context__ = None  # its frames hold the session
        raise


class OnvifLink:
    """A PollLink to one device."""

    def __init__(self, endpoint: Endpoint, bindings: Sequence[Binding], spoken: Conversation) -> None:
        self._endpoint = endpoint
        self._spoken = spoken
        self._bindings = {binding.series: binding for binding in bindings if binding.address.event is None}
        self._listening = [binding for binding in bindings if binding.address.event is not None]
        self._signs_time = False
        self._speaking = {binding.series for binding in self._listening}

    async def greet(self) -> None:
        """Learn its time and its services, and prove that it takes our credentials."""
        with self._explained():
            with contextlib.suppress(FaultError, NoValueError):
                await self._clock_offset()
            self._spoken.learn(await self._services())
            with contextlib.suppress(FaultError):
                await self._spoken.ask("devicemgmt", "GetDeviceInformation")

    async def _services(self) -> dict[str, str]:
        with contextlib.suppress(FaultError):
            return values.services_of(await self._spoken.ask("devicemgmt", "GetServices", IncludeCapability=False))
        with contextlib.suppress(FaultError):
            answer = await self._spoken.ask("devicemgmt", "GetCapabilities", Category="All")
            return values.services_of_capabilities(answer, CAPABILITIES)
        return {}

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """The words of this protocol in those of the contract."""
        name = self._endpoint.name
        try:
            yield
        except SilentError as error:
            raise LinkDown(f"{name}: {error}") from None
        except DeniedError as error:
            raise AccessDenied(f"{name}: it refuses user {self._endpoint.username or '(none)'}: {error}") from None
        except GarbledError as error:
            raise LinkDown(f"{name}: what answers is no ONVIF device: {error}") from None

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked.

        What the device cannot tell is an error of that point. LinkDown when it is silent, ProtocolFault with all samples in it when an
        answer was nonsense, AccessDenied when it refuses us. Points of events are passed over: what happened once must not be told twice.
        """
        turn = _Turn()
        samples = [await self._sample(one, turn) for one in series if one not in self._speaking]
        if turn.fault is not None:
            raise ProtocolFault(str(turn.fault), turn.fault.payload, self._endpoint.name, samples)
        return samples

    async def _sample(self, series: Series, turn: _Turn) -> Sample:
        binding = self._bindings.get(series)
        if binding is None:
            return Sample(series, _now(), None, "this link has no such point")
        try:
            value = await self._value(binding, turn)
        except NoValueError as error:
            return Sample(series, _now(), None, str(error))
        return Sample(series, _now(), value)

    async def _value(self, binding: Binding, turn: _Turn) -> Scalar:
        address: Address = binding.address
        device = binding.device
        if address.device is not None:
            answer = await self._once(turn, "identity", self._identity)
            return values.identity_of(answer, address.device)
        if address.media is not None:
            profiles = await self._once(turn, "profiles", self._profiles)
            return values.media_value(profiles, address.media, address.profile, device.source)
        if address.osd is not None:
            return values.draws_time(await self._once(turn, "osd", self._overlays))
        if address.clock is not None:
            return await self._once(turn, "clock", self._clock_offset)
        return await self._recording_value(address, device.recording, turn)

    async def _recording_value(self, address: Address, token: str | None, turn: _Turn) -> Scalar:
        assert address.recording is not None
        known = await self._once(turn, "recordings", self._recordings)
        mine = [one for one in known if token is None or one.token == token]
        now = time.time() + (await self._once(turn, "clock", self._clock_offset))
        if address.recording not in ("gaps", "gap_seconds", "longest_gap"):
            return recordings.summary_value(mine, address.recording, now)
        if not mine:
            raise NoValueError("the device has no such recording")
        gaps: list[Gap] = []
        begin = now - address.window_days * recordings.DAY
        for one in mine:

            async def look(one: Recording = one) -> list[Gap]:
                return await self._gaps(one, begin, now)

            gaps += await self._once(turn, (one.token, address.window_days), look)
        return recordings.gap_value(gaps, address.recording)

    async def _once(self, turn: _Turn, key: object, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question, asked once a turn; raises NoValueError with the reason where there is none."""
        if key not in turn.known and asyncio.get_running_loop().time() > turn.until:
            raise NoValueError("no time was left for this question in this turn")
        if key not in turn.known:
            try:
                turn.known[key] = await ask()
            except (FaultError, NoValueError) as error:
                turn.known[key] = _Missing(
                    f"the device refuses: {error}" if isinstance(error, FaultError) else str(error)
                )
            except GarbledError as error:
                turn.fault = turn.fault or error
                turn.known[key] = _Missing(str(error))
            except SilentError as error:
                await self._sign_of_life()
                turn.known[key] = _Missing(f"the device answers, but not to this: {error}")
            except DeniedError as error:
                await self._is_it_all()
                turn.known[key] = _Missing(f"user {self._endpoint.username} may not ask this: {error}")
        found = turn.known[key]
        if isinstance(found, _Missing):
            raise NoValueError(found.reason)
        known: T = found
        return known

    async def _sign_of_life(self) -> None:
        with self._explained(), contextlib.suppress(FaultError):
            await self._time()

    async def _is_it_all(self) -> None:
        """A user may lack one right; one who may not even ask what the device is has wrong credentials.

        First its time is asked for: a clock that was set meanwhile makes signatures old.
        """
        with self._explained(), contextlib.suppress(FaultError):
            with contextlib.suppress(NoValueError):
                await self._clock_offset()
            await self._spoken.ask("devicemgmt", "GetDeviceInformation")

    # ---- the questions ----

    async def _identity(self) -> Element:
        return await self._spoken.ask("devicemgmt", "GetDeviceInformation")

    async def _profiles(self) -> list[MediaProfile]:
        return values.profiles_of(await self._spoken.ask("media", "GetProfiles"))

    async def _overlays(self) -> Element:
        return await self._spoken.ask("media", "GetOSDs")

    async def _clock_offset(self) -> float:
        before = time.time()
        answer = await self._time()
        after = time.time()
        offset = values.clock_offset(values.clock_of(answer), before, after)
        self._spoken.believe_clock(offset)
        return offset

    async def _time(self) -> Element:
        """Everybody may ask a device for its time (ONVIF Core Specification, access class PRE_AUTH); some devices want a user all the same."""
        if not self._signs_time:
            try:
                return await self._spoken.ask("devicemgmt", "GetSystemDateAndTime", signed=False)
            except DeniedError:
                self._signs_time = True
        return await self._spoken.ask("devicemgmt", "GetSystemDateAndTime")

    async def _recordings(self) -> list[Recording]:
        begun = await self._spoken.ask("search", "FindRecordings", Scope={}, KeepAliveTime=_duration(30))
        found: list[Recording] = []
        async with contextlib.aclosing(self._results(text_of(begun, "SearchToken"), _RECORDINGS)) as answers:
            async for answer in answers:
                found += recordings.recordings_of(answer)
        return found

    async def _gaps(self, one: Recording, begin: float, end: float) -> list[Gap]:
        begun = await self._spoken.ask(
            "search",
            "FindEvents",
            StartPoint=_moment(begin),
            EndPoint=_moment(end),
            Scope={"IncludedRecordings": [one.token]},
            SearchFilter={},
            IncludeStartState=True,
            KeepAliveTime=_duration(30),
        )
        changes: list[recordings.Change] = []
        async with contextlib.aclosing(self._results(text_of(begun, "SearchToken"), _HISTORY)) as answers:
            async for answer in answers:
                changes += recordings.changes_of(answer)
        return recordings.gaps_in(one, changes, begin, end)

    async def _results(self, token: str, operation: str) -> AsyncGenerator[Element, None]:
        """The answers of a search until it says that it is complete; raises NoValueError when it never does."""
        if not token:
            raise NoValueError("the device began no search")
        until = asyncio.get_running_loop().time() + _SEARCH_S
        try:
            for _ in range(_SEARCH_ROUNDS):
                if asyncio.get_running_loop().time() > until:
                    raise NoValueError(f"the search was not complete after {_SEARCH_S:g} s")
                answer = await self._spoken.ask(
                    "search",
                    operation,
                    SearchToken=token,
                    MinResults=1,
                    MaxResults=_RESULTS,
                    WaitTime=_duration(min(2.0, self._endpoint.timeout_s / 2)),
                )
                yield answer
                if recordings.search_state(answer) == "Completed":
                    return
            raise NoValueError(f"the search was not complete after {_SEARCH_ROUNDS} answers")
        finally:
            with contextlib.suppress(SilentError, GarbledError, FaultError, DeniedError):
                await self._spoken.ask("search", "EndSearch", patience=_LEAVE_S, SearchToken=token)


class _Subscription(NamedTuple):
    """A pull point of ours: where it is, and what must be said back to it."""

    address: str
    headers: Sequence[Element]


class OnvifPushLink(OnvifLink):
    """The same for a device that has points of events: a PushLink too."""

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """Samples as the device tells them; ends by LinkDown or AccessDenied.

        A pull point forgets what it handed out: there is nothing to settle. After a reconnection it tells the present state first.
        """
        refusals = 0
        while True:
            refused = ""
            with self._explained():
                try:
                    subscription = await self._subscribe()
                    try:
                        async with contextlib.aclosing(self._pull(subscription)) as pulled:
                            async for delivery in pulled:
                                yield delivery
                    finally:
                        await self._unsubscribe(subscription)
                except FaultError as error:
                    refused = str(error)
                except DeniedError as error:
                    refused = str(error)
                    await self._is_it_all()
            # it forgot us, or its clock was set: once more at once, with the time that it has now
            refusals = 0 if self._heard else refusals + 1
            if refusals < _REFUSALS:
                await asyncio.sleep(_PAUSE_S)
                continue
            # it has no events for us: its other points go on
            reason = f"the device refuses: {refused}"
            yield Delivery([Sample(one.series, _now(), None, reason) for one in self._listening])
            await asyncio.sleep(_AGAIN_S)

    _heard = False
    """whether the present subscription gave an answer"""

    async def _subscribe(self) -> _Subscription:
        self._heard = False
        if not self._spoken.has(EVENTS):
            raise FaultError("it has no events service")
        answer = await self._spoken.ask(
            "events", "CreatePullPointSubscription", InitialTerminationTime=f"PT{_SUBSCRIBED_S}S"
        )
        reference = child(answer, "SubscriptionReference")
        address = text_of(reference, "Address")
        if not address:
            raise GarbledError("the device made a subscription without an address", b"")
        return _Subscription(self._spoken.here(address), list(children(child(reference, "ReferenceParameters"))))

    async def _pull(self, subscription: _Subscription) -> AsyncGenerator[Delivery, None]:
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + _RENEW_S
        garbled = 0
        while True:
            asked_at = loop.time()
            try:
                answer = await self._spoken.ask(
                    "pullpoint",
                    "PullMessages",
                    at=subscription.address,
                    headers=subscription.headers,
                    patience=self._endpoint.pull_s + self._endpoint.timeout_s,
                    Timeout=_duration(self._endpoint.pull_s),
                    MessageLimit=_BATCH,
                )
            except GarbledError as error:
                garbled += 1
                yield Delivery((), [Reject(_now(), self._endpoint.name, "onvif-answer", str(error), error.payload)])
                if garbled > _GARBLED:
                    raise
                await asyncio.sleep(_PAUSE_S)
                continue
            self._heard, garbled = True, 0
            samples, rejects = samples_of(notifications_of(answer), self._listening, _now(), self._endpoint.name)
            if samples or rejects:
                yield Delivery(samples, rejects)
            elif loop.time() < asked_at + _PAUSE_S:
                await asyncio.sleep(_PAUSE_S)
            if loop.time() >= renew_at:
                renew_at = loop.time() + _RENEW_S
                await self._spoken.ask(
                    "subscription",
                    "Renew",
                    at=subscription.address,
                    headers=subscription.headers,
                    TerminationTime=f"PT{_SUBSCRIBED_S}S",
                )

    async def _unsubscribe(self, subscription: _Subscription) -> None:
        with contextlib.suppress(SilentError, GarbledError, FaultError, DeniedError):
            await self._spoken.ask(
                "subscription",
                "Unsubscribe",
                at=subscription.address,
                headers=subscription.headers,
                patience=_LEAVE_S,
            )


def _duration(seconds: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=seconds)


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
