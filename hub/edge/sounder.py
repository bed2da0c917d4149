"""Sirens at an edge that the hub orders sounded for a fire: the rule is the edge's own, and so is the last look whether it is for fire."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from hub.core.siren_order import SirenAnswer, SirenOrder, make_siren_answer, read_siren_order, rule_for
from hub.edge.rules import LocalRules
from hub.edge.site import Site
from hub.edge.uplink import Uplink
from hub.errors import AnxinError, BadInput
from hub.model import Micros

log = structlog.get_logger()

AT_ONCE = 4


class Sounder:
    """Takes the hub's orders; `run` never returns."""

    def __init__(
        self, edge: str, key: bytes, site: Site, rules: LocalRules, uplink: Uplink, clock: Callable[[], Micros]
    ) -> None:
        self._edge = edge
        self._key = key
        self._site = site
        self._rules = rules
        self._uplink = uplink
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> NoReturn:
        """Until cancelled. What an order does wrong is said, and ends nothing. One that comes twice is followed twice: it asks for the same."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._uplink.alarmed.wait()
                self._uplink.alarmed.clear()
                while self._uplink.sirens:
                    payload = self._uplink.sirens.popleft()
                    try:
                        order = read_siren_order(payload, self._edge, self._key)
                    except BadInput as error:
                        log.error("sounder.order_refused", reason=str(error))
                        continue
                    await self._room.acquire()
                    tasks.create_task(self._take(order), name=f"siren-{order.id}")

    async def _take(self, order: SirenOrder) -> None:
        try:
            answer = SirenAnswer(order.id, True, await self._sound(order))
        except AnxinError as error:
            log.error("sounder.failed", rule=order.rule, fire=f"{order.device}/{order.definition}", reason=str(error))
            answer = SirenAnswer(order.id, False, str(error))
        finally:
            self._room.release()
        await self._uplink.answer_siren(make_siren_answer(answer))

    async def _sound(self, order: SirenOrder) -> str:
        skew = self._uplink.skew.best(asyncio.get_running_loop().time())
        ahead = 0 if skew is None else skew.ahead
        rule = rule_for(order, tuple(self._site.bundle.local_rules), self._clock() - ahead)
        return await self._rules.sound(rule, self._site.runner(rule.siren), f"{order.device}/{order.definition}")
