"""A lane without a database: profiles, a registry, messages, and a state that is moved like ingest moves it."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

import yaml

from hub.core import wire
from hub.core.commissioning import Trial
from hub.core.draft import Draft
from hub.core.intake import take_in
from hub.core.lane import Message, State
from hub.core.supervision import tick
from hub.model import AdminState, Lane, Micros, Sample, Scalar, Series
from hub.profiles import Profile, parse_profile
from hub.registry import Client, Device, Registry

SECOND = 1_000_000
T0 = 1_795_000_000 * SECOND
STREAM = "00000000-0000-0000-0000-000000000001"

_PROFILES = """
- &base
  profile: p-edge
  kind: edge
  vendor: anxin
  model: edge
  title: {zh: 网关, en: edge}
  source: our own
  driver: edge
  liveness: {beat: 1s, offline_after: 3s}
  points:
    beat: {title: {zh: 心跳, en: beat}, type: float, record: beat}
  test: {seen: [beat]}
- <<: *base
  profile: p-button
  kind: panic_button
  points:
    pressed: {title: {zh: 按下, en: pressed}, type: bool}
    press: {title: {zh: 按一下, en: press}, type: str, record: event}
    fault: {title: {zh: 故障, en: fault}, type: bool}
    reachable: {title: {zh: 网关判定在线, en: reachable}, type: bool, proves_life: false}
    battery: {title: {zh: 电池, en: battery}, type: float, range: [0, 100]}
  health:
    - {point: fault, condition: {equals: true}, state: failed, title: {zh: 故障, en: broken}}
  alarms:
    panic: {title: {zh: 报警, en: panic}, class: panic, priority: critical, point: pressed, condition: {equals: true},
            latching: true, response: {zh: 立即, en: at once}}
    click: {title: {zh: 报警, en: click}, class: panic, priority: critical, point: press, condition: {present: true},
            latching: true, response: {zh: 立即, en: at once}}
  test: {pressed: {pressed: {equals: true}}}
- <<: *base
  profile: p-smoke
  kind: smoke_detector
  points:
    smoke: {title: {zh: 烟, en: smoke}, type: int, enum: {0: normal, 1: fire, 2: fault}}
  alarms:
    smoke: {title: {zh: 火, en: fire}, class: fire, priority: critical, point: smoke, condition: {equals: fire}, on_delay: 2s,
            response: {zh: 立即, en: at once}}
  test: {pressed: {smoke: {equals: fire}}}
- <<: *base
  profile: p-heat
  kind: other
  points:
    celsius: {title: {zh: 温度, en: temperature}, type: float, range: [-40, 80], report: {change: 0.5, reassert: 10m}}
    alive: {title: {zh: 心跳, en: alive}, type: int, record: beat}
    door: {title: {zh: 门, en: door}, type: str, record: event}
  alarms:
    hot: {title: {zh: 热, en: hot}, class: supervisory, priority: high, point: celsius, condition: {above: 40},
          deadband: 2, on_delay: 1s, response: {zh: 看, en: look}}
    silent: {title: {zh: 离线, en: silent}, class: communication, priority: low, point: link, condition: {equals: true},
             response: {zh: 看, en: look}}
  test: {seen: [celsius]}
"""

PROFILES: dict[str, Profile] = {d["profile"]: parse_profile(d, "world") for d in yaml.safe_load(_PROFILES)}


def device(key: int, name: str, profile: str, client: str = "edge-1", **changes: object) -> Device:
    """One registered device, in service unless said otherwise."""
    what = PROFILES[profile]
    made = Device(
        key, name, "garden", 1, what, what.lane, AdminState.IN_SERVICE, client, profile == "p-edge", "园", "garden"
    )
    return replace(made, **changes)  # type: ignore[arg-type]


DEVICES = (
    device(1, "edge-1", "p-edge"),
    device(2, "button-1", "p-button"),
    device(3, "smoke-1", "p-smoke"),
    device(4, "heat-1", "p-heat"),
)


def registry(*devices: Device) -> Registry:
    """The devices behind one edge; without any: all of this world."""
    known = {each.id: each for each in devices or DEVICES}
    clients = {d.client: Client(d.client, "garden", 0, d.client, False) for d in known.values()}
    return Registry(8, known, clients)


def sample(
    name: str, point: str, raw: Scalar | None, at: Micros = T0, instance: str = "", error: str | None = None
) -> Sample:
    return Sample(Series(name, point, instance), at, raw, error)


class World:
    """One lane, its state and its clock."""

    def __init__(self, lane: Lane = Lane.URGENT, known: Registry | None = None) -> None:
        self.lane = lane
        self.registry = registry() if known is None else known
        self.state = State()
        self.now: Micros = T0
        self.clients: dict[str, Micros] = {}
        self.seq = 0
        self.stream = f"{STREAM}-{lane}"

    def message(self, *samples: Sample, client: str = "edge-1") -> Message:
        """The next message of the stream."""
        self.seq += 1
        return self.raw(wire.encode_up(samples), self.seq, client)

    def raw(self, payload: bytes, seq: int, client: str = "edge-1", stream: str | None = None) -> Message:
        topic = f"anxin/v1/0/{client}/up/{self.lane}"
        return Message(topic, client, self.lane, self.stream if stream is None else stream, seq, payload)

    def take(self, *messages: Message, refused: frozenset[tuple[str, int, int]] = frozenset()) -> Draft:
        """Judge and settle a batch."""
        return self.settle(take_in(self.state, self.registry, messages, self.now, refused))

    def say(self, *samples: Sample) -> Draft:
        """One message with these samples."""
        return self.take(self.message(*samples))

    def beat(self, uptime: float = 900.0) -> Draft:
        """The edge beats."""
        return self.say(sample("edge-1", "beat", uptime, self.now))

    def tick(self, since: Micros = T0 - 3600 * SECOND, requested: Sequence[Trial] = ()) -> Draft:
        """What time alone does."""
        return self.settle(tick(self.state, self.registry, self.lane, self.now, since, self.clients, requested))

    def settle(self, draft: Draft) -> Draft:
        draft.settle()
        self.clients.update(draft.clients)
        return draft

    def trial(self, name: str, seconds: int = 60) -> Trial:
        """A function test as the store hands it over."""
        return Trial(uuid.uuid4(), name, self.now, self.now + seconds * SECOND)

    def alarms(self) -> dict[str, str]:
        """Definition and state of what has not ended."""
        return {alarm.definition: str(alarm.state) for alarm in self.state.alarms.values()}
