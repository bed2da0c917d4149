"""A Zigbee device as Zigbee2MQTT publishes it: HEIMAN HS1SA (smoke) or Tuya TS0215A_sos (SOS button).

Payloads follow the public device pages of Zigbee2MQTT; availability is its last will, retained. It connects to a real broker as a client
of its own and comes back by itself when the broker was away.
"""

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any, Literal, Self

from hub.errors import DriverError
from hub.mqtt import Broker, Session, Will, session

Product = Literal["HS1SA", "TS0215A_sos"]

_STATES: dict[str, dict[str, Any]] = {
    "HS1SA": {"smoke": False, "battery_low": False, "battery": 97, "linkquality": 120},
    "TS0215A_sos": {"battery": 100, "linkquality": 96},
}


class MqttDevice:
    """Publishes its state every `beat` seconds while it is plugged in.

    `topic` is its topic base (`zigbee2mqtt/panic-1`); its client id is made from it. Every call that publishes waits at most `deadline`
    seconds for the connection and raises TimeoutError after that.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str,
        product: Product = "HS1SA",
        *,
        beat: float = 2.0,
        qos: Literal[0, 1] = 1,
        deadline: float = 5.0,
    ) -> None:
        self.topic = topic
        self.state: dict[str, Any] = dict(_STATES[product])
        self.presses = 0
        self._broker = broker
        self._beat = beat
        self._qos: Literal[0, 1] = qos
        self._deadline = deadline
        self._live: Session | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def plug(self) -> None:
        """Connect, say `online`, start to beat; returns when the broker has it."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"simulated {self.topic}")
        await self._session()

    async def unplug(self) -> None:
        """As a power failure: no goodbye, so the broker publishes the last will (`offline`)."""
        if self._live is not None:
            self._live.abort()
        await self._stop()

    async def report(self, **changes: Any) -> None:
        """Change the state (`battery=12`) and publish all of it."""
        self.state.update(changes)
        await self._publish(self.state)

    async def alarm(self, smoke: bool = True) -> None:
        """Smoke, or its end."""
        await self.report(smoke=smoke)

    async def press(self) -> None:
        """A press of the SOS button: an action that is not kept in the state."""
        await self._publish({**self.state, "action": "emergency"})
        self.presses += 1

    async def garbage(self, payload: bytes = b'{"smoke": NaN, "battery":') -> None:
        """Bytes that are no payload of this product."""
        live = await self._session()
        await live.publish(self.topic, payload, self._qos)

    async def _session(self) -> Session:
        async with asyncio.timeout(self._deadline):
            await self._connected.wait()
        assert self._live is not None
        return self._live

    async def _publish(self, state: dict[str, Any]) -> None:
        live = await self._session()
        await live.publish(self.topic, json.dumps(state).encode(), self._qos)

    async def _run(self) -> None:
        """Connected for ever: a broker that is away is called again until the device is unplugged."""
        availability = f"{self.topic}/availability"
        name = self.topic.replace("/", "-")
        will = Will(availability, b'{"state":"offline"}', 1, True)
        while True:
            try:
                async with session(self._broker, client_id=f"sim-{name}"[:60], clean_start=True, will=will) as live:
                    await live.publish(availability, b'{"state":"online"}', 1, retain=True)
                    self._live = live
                    self._connected.set()
                    while True:
                        await live.publish(self.topic, json.dumps(self.state).encode(), self._qos)
                        await asyncio.sleep(self._beat)
            except DriverError:
                self._connected.clear()
                self._live = None
                await asyncio.sleep(0.25)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._connected.clear()
        self._live = None
