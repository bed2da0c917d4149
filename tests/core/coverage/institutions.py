"""Random institutions for the shipped packs: plausible enough that every verdict occurs, odd enough that every edge does."""

import random
from collections.abc import Sequence
from typing import TypeVar

from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.facts import (
    Arming,
    Attestation,
    DeviceFact,
    InstitutionFacts,
    Interval,
    RecordingFact,
    Value,
    View,
    ZoneFact,
)
from hub.core.coverage.purposes import InstitutionType, ZonePurpose
from hub.model import AdminState, FunctionState, LinkState, Micros

HOUR: Micros = 3_600_000_000
DAY = 24 * HOUR
NOW: Micros = 1_795_230_000_000_000
DIVISIONS = ("140403001", "1404", "330112001", "330106", "110105", "520102", "14")
DEVICES = (
    ("camera", ("video.live",)),
    ("camera", ("video.live",)),
    ("camera", ("video.live", "fire.smoke")),
    ("recorder", ("video.record",)),
    ("smoke_detector", ("fire.smoke",)),
    ("smoke_detector", ("fire.smoke",)),
    ("fire_panel", ("fire.panel",)),
    ("gas_detector", ("gas.detect",)),
    ("panic_button", ("alarm.manual",)),
    ("panic_button", ("alarm.manual",)),
    ("access_controller", ("access.control",)),
    ("other", ()),
)
AGES = (-HOUR, -300_000_000, -300_000_001, -1, 0, 1, HOUR, DAY, DAY + 1, 7 * DAY, 30 * DAY, 31 * DAY, 31 * DAY + 1, 92 * DAY, 180 * DAY, 190 * DAY,
        366 * DAY, 390 * DAY, 401 * DAY, 1300 * DAY)  # fmt: skip
KINDS = (*(kind.value for kind in AttestationKind), "legal_hold")
DAILY = ("patrol", "patrol", "security_patrol", "closing_check", "nap_checks", "uv_log", "airing_log")
INTERVALS = ("detector-centre", "detector-people", "centre-people", "press-people", "press-centre")
T = TypeVar("T")


class Dice:
    """A seeded source of institutions."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def _one(self, of: Sequence[T]) -> T:
        return self._dice.choice(of)

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    def _ago(self) -> Micros:
        return NOW - self._one(AGES)

    def _lately(self) -> Micros:
        """Mostly a moment that is fresh."""
        return NOW - self._one((0, 1, HOUR, 12 * HOUR)) if self._chance(0.8) else self._ago()

    def institution(self) -> InstitutionFacts:
        """One institution; one in thirty is not connected."""
        rich = self._chance(0.5)
        zones = [self._zone(n) for n in range(self._dice.randint(0, 7))] if self._chance(0.96) else []
        names = [zone.id for zone in zones] + ["gone"]
        devices = [self._device(n, names) for n in range(self._dice.randint(0, 12))]
        ids = [one.id for one in devices] + ["gone"]
        return InstitutionFacts(
            subject="one",
            division=self._one(DIVISIONS),
            type=self._one(tuple(InstitutionType)).value,
            connected=self._chance(0.97),
            zones=tuple(zones),
            devices=tuple(devices),
            capacity=self._one((None, 0, 20, 60, 61)),
            area_m2=self._one((None, 0.0, 25.0, 30.0, 79.9, 80.0, 120.0, 1000.0, float("nan"))),
            recordings=tuple(
                self._recording(one.id) for one in devices if self._chance(0.6) for _ in range(self._dice.randint(1, 2))
            ),
            attestations=tuple(self._attestations(names, ids, rich)),
            intervals=tuple(self._intervals()),
            armed_always=tuple(
                Arming(self._one(ids), self._one(("panic", "panic", "fire")), self._chance(0.8), NOW)
                for _ in range(self._dice.randint(0, 4))
            ),
        )

    def _zone(self, n: int) -> ZoneFact:
        return ZoneFact(
            f"z-{n}", self._one(tuple(ZonePurpose)).value, "区", "zone",
            floor=self._one(("", "1", "1", "2", "4", "-1")),
            area_m2=self._one((None, 0.0, 20.0, 60.0, 60.000_000_01, 80.0, 80.5, 100.0, 121.0, 180.0, float("inf"))),
            entrances=("z-0",) if self._chance(0.2) else (),
        )  # fmt: skip

    def _device(self, n: int, zones: Sequence[str]) -> DeviceFact:
        kind, capabilities = self._one(DEVICES)
        sees = kind == "camera" and self._chance(0.6)
        return DeviceFact(
            id=f"d-{n}",
            kind=kind,
            zone=self._one(zones) if self._chance(0.93) else None,
            capabilities=frozenset(capabilities),
            admin_state=AdminState.IN_SERVICE if self._chance(0.9) else self._one(tuple(AdminState)),
            admin_since=NOW,
            link_state=LinkState.ONLINE if self._chance(0.85) else self._one(tuple(LinkState)),
            link_since=NOW,
            function_state=FunctionState.OK if self._chance(0.85) else self._one(tuple(FunctionState)),
            function_since=NOW,
            last_heard_at=self._lately() if self._chance(0.95) else None,
            proven=tuple(
                (self._one(("", *capabilities, "alarm.manual")), self._ago()) for _ in range(self._dice.randint(0, 2))
            ),
            behind=tuple(self._one(("link:1", "link:2", "edge:1", "recorder:1", "uplink:1")) for _ in range(self._dice.randint(0, 3))),
            sees=tuple(self._view(zones) for _ in range(self._dice.randint(1, 3))) if sees else (),
            values=tuple(Value("width", self._one((1280.0, 1920.0, float("nan"))), self._lately()) for _ in range(self._dice.randint(0, 1))),
            heard_late=self._chance(0.3),
            unproven=frozenset({self._one(capabilities)}) if len(capabilities) > 1 and self._chance(0.3) else frozenset(),
        )  # fmt: skip

    def _view(self, zones: Sequence[str]) -> View:
        share = self._one((1.0, 1.0, 0.5, 0.5, 0.4, 0.6, 0.0, 1.2))
        return View(self._one(zones), share, self._ago() if self._chance(0.85) else None, self._chance(0.1))

    def _recording(self, device: str) -> RecordingFact:
        days = self._one((0.0, 5.0, 20.0, 29.5, 30.0, 71.0, 88.9, 89.0, 90.0, 95.0, 180.0, 181.0, -1.0, float("nan")))
        read = self._lately()
        return RecordingFact(
            device=device,
            recorder="r",
            days=days,
            gap_seconds=self._one((0.0, 0.0, 600.0, 86_400.0, 86_401.0, 300_000.0)),
            oldest_at=None,
            newest_at=self._one((None, read, read - HOUR, read - 2 * DAY)),
            read_at=read,
            bad_seconds=self._one((0.0, 0.0, 40_000.0, 100_000.0)),
            installed_at=self._one((None, NOW - 20 * DAY, NOW - 400 * DAY, NOW - DAY, NOW)),
            possible=self._one((None, None, days, 95.0, 200.0, 10.0)),
        )

    def _attestations(self, zones: Sequence[str], devices: Sequence[str], rich: bool) -> list[Attestation]:
        found: list[Attestation] = []
        for kind in KINDS:
            for _ in range(self._dice.choice((0, 1, 1, 2)) if rich else self._dice.choice((0, 0, 0, 1))):
                at = self._ago()
                found.append(
                    Attestation(
                        id=f"a-{len(found)}",
                        kind=kind,
                        at=at,
                        expires_at=self._one((None, None, at + DAY, NOW, NOW + 1, NOW + DAY)),
                        zone=self._one(zones) if self._chance(0.5) else None,
                        device=self._one(devices) if self._chance(0.3) else None,
                        number=self._one(("A-1", "A-1", "")),
                        value=self._one((None, 0.0, 0.05, 1.0, 2.0, 3.0, 20.0, 50.0, 100_000.0, float("nan"))),
                        seconded=self._chance(0.5),
                    )
                )
        if rich and self._chance(0.6):
            kind = self._one(DAILY)
            for day in range(4):
                found += [
                    Attestation(f"p-{day}-{n}", kind, NOW - day * DAY - self._dice.randint(0, 9) * HOUR)
                    for n in range(self._one((1, 2, 5, 5)))
                ]
        return found

    def _intervals(self) -> list[Interval]:
        found = [
            Interval("open", NOW - day * DAY - 8 * HOUR, self._one((None, NOW - day * DAY, NOW - day * DAY + 1)))
            for day in range(self._dice.randint(0, 4))
        ]
        for _ in range(self._dice.randint(0, 5)):
            began = self._ago()
            took = self._one(
                (
                    0,
                    1_000_000,
                    4_000_000,
                    5_000_000,
                    5_000_001,
                    15_000_000,
                    15_000_001,
                    40_000_000,
                    41_000_000,
                    60_000_000,
                    -1,
                )
            )
            found.append(Interval(self._one(INTERVALS), began, None if self._chance(0.15) else began + took))
        return found
