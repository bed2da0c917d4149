"""The conformance suite is itself checked: each driver here breaks one promise, and the case for it must fail."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hub.driver import Binding, PushLink
from hub.errors import LinkDown
from hub.testing import Case, DriverContract
from tests.drivers.callers import SpeakingPort
from tests.lampbus.anxin_lampbus import Lampbus, driver
from tests.lampbus.test_contract import SECRET, _Lamp


@pytest.fixture
async def lamp() -> AsyncIterator[_Lamp]:
    port = SpeakingPort()
    await port.open()
    yield _Lamp(port)
    await port.close()


def suite(broken: Any) -> DriverContract:
    """The suite over a driver, with little patience."""

    class Suite(DriverContract):
        driver = broken
        secrets = (SECRET,)
        patience = 1.5

    return Suite()


class _Leaky(Lampbus):
    """Forgets a task."""

    tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[PushLink]:
        self.tasks.append(asyncio.create_task(asyncio.sleep(3600)))
        async with driver.connect(endpoint, bindings) as link:
            yield link


class _Telling(Lampbus):
    """Tells the password to the log, or in its error."""

    def __init__(self, logs: bool) -> None:
        self.logs = logs

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[PushLink]:
        secret = endpoint.password.get_secret_value()
        if self.logs:
            logging.getLogger("lamps").debug("signing in with %s", secret)
        try:
            async with driver.connect(endpoint, bindings) as link:
                yield link
        except LinkDown as error:
            raise LinkDown(str(error) if self.logs else f"{error} ({secret})") from None


class _Deaf(Lampbus):
    """Waits for ever for a bus that is dead."""

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: Any, bindings: Sequence[Binding]) -> AsyncIterator[PushLink]:
        async with driver.connect(endpoint.model_copy(update={"idle_timeout": 3600.0}), bindings) as link:
            yield link


async def test_a_task_that_is_left_behind_is_seen(lamp: _Lamp) -> None:
    with pytest.raises(AssertionError, match=r"left behind: .*tasks"):
        await suite(_Leaky()).test_connecting_and_leaving_twice_gives_every_point_and_leaves_nothing(lamp)
    for task in _Leaky.tasks:
        task.cancel()
    await asyncio.wait(_Leaky.tasks)


@pytest.mark.parametrize("logs", [True, False])
async def test_a_secret_in_a_log_or_an_error_is_seen(lamp: _Lamp, logs: bool) -> None:
    with pytest.raises(AssertionError, match="show a secret") as caught:
        await suite(_Telling(logs)).test_a_peer_that_refuses_is_a_link_down_and_is_found_again(lamp)
    assert SECRET not in str(caught.value)


async def test_a_driver_that_waits_for_ever_is_seen(lamp: _Lamp) -> None:
    with pytest.raises(AssertionError, match="no LinkDown within"):
        await suite(_Deaf()).test_a_connection_that_is_half_open_is_a_link_down(lamp)


async def test_what_is_neither_declared_nor_given_fails(lamp: _Lamp) -> None:
    with pytest.raises(NotImplementedError, match="CREDENTIALS"):
        await suite(driver).test_wrong_credentials_are_access_denied(lamp)


async def test_a_driver_cannot_declare_its_secrets_away(lamp: _Lamp) -> None:
    class Suite(DriverContract):
        driver = Lampbus()
        cannot = {Case.SECRETS: "there is nothing to see here"}

    with pytest.raises(AssertionError):
        Suite().test_what_is_declared_impossible_has_a_reason_and_is_true(lamp)
