"""The loop that checks all policies again: every night, at the start when a night was missed, and whenever something they depend on has changed.

What it finds stays in the database (hub.store.policy_checks) and is loud until it is gone: by an alarm that is escalated as any other
(hub.core.policy_alarms), on the change feed, in /healthz and in /metrics. A check that is more than a day old is as loud as a finding, whoever
failed to make it. It must not know how a policy is judged.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NoReturn

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from hub.calendars import YearCalendar
from hub.core.policy_alarms import UNCHECKED, UNREACHED
from hub.core.reachability import HORIZON, Finding, check
from hub.core.rota import local_day
from hub.errors import ODD
from hub.model import Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.store.hub_alarms import PROFILE
from hub.store.policy_checks import Alarms, Checker, State, open_checker

POLL_SECONDS = 30.0
NIGHT: Micros = 3 * 3600 * 1_000_000
"""after local midnight: every day's check is made when that hour has passed"""
MAX_BACKOFF_SECONDS = 60.0
_SAID = 20
_log = structlog.get_logger(__name__)


def is_due(state: State) -> bool:
    """Whether all policies are to be checked now: never yet, something has changed, or three o'clock of a new day has passed since."""
    if state.checked_at is None or not state.is_current or state.problem:
        return True
    return local_day(to_micros(state.now) - NIGHT) > local_day(to_micros(state.checked_at) - NIGHT)


class DutyWatch:
    """Keeps the check of all policies fresh (`checks`), or only follows what another process finds. Its owner runs `run()` as a task."""

    def __init__(
        self,
        database_url: str,
        profiles: Mapping[str, Profile],
        calendars: Sequence[YearCalendar],
        *,
        checks: bool = True,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._url = database_url
        self._alarms: Alarms = {
            name: sorted({(alarm.signal_class, alarm.priority) for alarm in profile.alarms.values()})
            for name, profile in profiles.items()
        }
        self._calendars = calendars
        own = profiles.get(PROFILE)
        self._profile = own if own is not None and {UNREACHED, UNCHECKED} <= own.alarms.keys() else None
        self._checks = checks
        self._poll = poll_seconds
        self.state: State | None = None
        """as last read; None before the database was reached"""
        self.looked = asyncio.Event()
        """set after each look; its reader clears it"""

    async def run(self) -> NoReturn:
        """Until cancelled. A lost database is waited for; meanwhile what was last known grows old, and is said to be."""
        await keep("duty-watch", self._session, MAX_BACKOFF_SECONDS)

    async def _session(self, connected: Callable[[], None]) -> None:
        async with open_checker(self._url) as checker:
            if self._checks:
                await checker.seed((one.year, one.notice, one.days) for one in self._calendars)
            while True:
                await self._look(checker)
                connected()
                await asyncio.sleep(self._poll)

    async def _look(self, checker: Checker) -> None:
        self.state = await checker.state()
        if self._checks and is_due(self.state):
            try:
                await self._check(checker)
            except (AssertionError, *ODD) as error:
                # what cannot be judged is no reason to end the hub, and none to be silent: the check stays overdue and says why
                problem = f"{type(error).__name__}: {error}"[:500]
                if problem != self.state.problem:
                    _log.error("policies.unchecked", error=problem)
                await checker.fail(problem, self._profile)
            self.state = await checker.state()
        self.looked.set()

    async def _check(self, checker: Checker) -> None:
        facts = await checker.facts(self._alarms)
        start = to_micros(facts.now)
        findings = await asyncio.to_thread(lambda: list(check(facts.duty, facts.sites, start, start + HORIZON)))
        await checker.record(findings, facts, to_datetime(start + HORIZON), self._profile)
        _say(findings)
        if findings and self._profile is None:
            _log.error("policies.profile_missing", profile=PROFILE, reason="nobody is paged about what was found")


def _say(findings: Sequence[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    for finding in errors[:_SAID]:
        _log.error("policy.unreached", policy=finding.policy, code=finding.code, finding=finding.en)
    _log.info("policies.checked", errors=len(errors), warnings=len(findings) - len(errors))


class DutyMetrics:
    """What is known of the check of all policies; nothing known is said as overdue."""

    def __init__(self, watch: DutyWatch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client at each scrape."""
        state = self._watch.state
        for name, help_text, value in (
            (
                "anxin_policy_errors",
                "policies that reach nobody at some hour, and institutions that none covers",
                state and state.errors,
            ),
            ("anxin_policy_warnings", "what the check of all policies warns of", state and state.warnings),
            (
                "anxin_policy_check_overdue",
                "1 when nobody has checked all policies for more than a day",
                is_overdue(state),
            ),
        ):
            yield GaugeMetricFamily(name, help_text, value=float(value or 0))


def is_overdue(state: State | None) -> bool:
    """Whether the check cannot be relied on: never made, too old, or failed since."""
    if state is None or state.checked_at is None:
        return True
    return state.is_overdue or bool(state.problem) or state.now - state.checked_at > timedelta(hours=26)
