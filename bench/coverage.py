"""How long it takes to judge a province in full: 5,000 institutions with 280,000 devices under all shipped rules, by pure `check`.

Facts are made before the clock runs; nothing is read, written or kept between institutions but the plan of rules that `check` keeps itself. Each
institution differs: devices, states, views, proofs, recordings, attestations and intervals are drawn by a fixed seed, some of it silent, failed, stale or missing.
The same facts are judged once more with every verdict already known to the caller, to see that a second look costs and says the same.
"""

import argparse
import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.machine import facts as machine
from hub.config import data_folder
from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.facts import (
    Arming,
    Attestation,
    DeviceFact,
    InstitutionFacts,
    Interval,
    PlanState,
    RecordingFact,
    Value,
    View,
    ZoneFact,
)
from hub.core.coverage.judge import check
from hub.core.coverage.purposes import InstitutionType, ZonePurpose
from hub.core.coverage.requirements import DAY
from hub.core.coverage.turns import next_turn
from hub.model import SECOND, AdminState, FunctionState, LinkState, Micros
from hub.rulepacks import load_rule_packs
from hub.runtime.memory import NEVER, YOUNG

NOW: Micros = 1_800_000_000_000_000
DEVICES = 56
_TYPES = tuple(InstitutionType)
_DIVISIONS = ("140403001", "140404", "1101", "110105002", "330112", "3301", "510104")
_PLAN = (
    *[ZonePurpose.ACTIVITY_ROOM] * 4, *[ZonePurpose.NAP_ROOM] * 3, ZonePurpose.INFANT_ROOM, ZonePurpose.FEEDING_AREA,
    ZonePurpose.INDOOR_PLAY, ZonePurpose.OUTDOOR_PLAY, ZonePurpose.RECEPTION, ZonePurpose.ENTRANCE, ZonePurpose.GATE,
    ZonePurpose.CORRIDOR, ZonePurpose.STAIRS, ZonePurpose.LOBBY, ZonePurpose.OFFICE, ZonePurpose.KITCHEN, ZonePurpose.TOILET,
    ZonePurpose.TOILET, ZonePurpose.DUTY_ROOM, ZonePurpose.STORAGE, ZonePurpose.NURSING_ROOM,
)  # fmt: skip
_KINDS = (
    *[("camera", ("video.live",))] * 17, *[("smoke_detector", ("fire.smoke",))] * 22, *[("panic_button", ("alarm.manual",))] * 3,
    *[("access_controller", ("access.control",))] * 3, *[("fire_panel", ("fire.panel", "fire.manual_call"))] * 2, ("recorder", ("video.record",)),
    *[("gas_detector", ("gas.detect",))] * 2, ("ups", ("power.backup",)), *[("environment_sensor", ())] * 4, ("breaker", ()),
)  # fmt: skip


def province(institutions: int, seed: int = 1) -> Iterator[InstitutionFacts]:
    """That many institutions of 56 devices each, all different, the same ones every time."""
    dice = random.Random(seed)
    for n in range(institutions):
        yield _institution(n, dice)


def _institution(n: int, dice: random.Random) -> InstitutionFacts:
    name = f"inst-{n:05}"
    zones = tuple(
        ZoneFact(
            f"{name}-z{k:02}", purpose.value, f"{purpose.zh}{k}", f"{purpose.en} {k}", str(1 + k % 3),
            None if dice.random() < 0.02 else float(dice.randrange(12, 120)), (f"{name}-z12",),
        )
        for k, purpose in enumerate(_PLAN)
    )  # fmt: skip
    devices = tuple(
        _device(f"{name}-d{k:02}", kind, has, zones[k % len(zones)], dice) for k, (kind, has) in enumerate(_KINDS)
    )
    cameras = [one for one in devices if one.kind == "camera"]
    return InstitutionFacts(
        name, dice.choice(_DIVISIONS), dice.choice(_TYPES).value, dice.random() > 0.03, zones, devices, True, f"F-{n}",
        dice.randrange(20, 150), float(dice.randrange(200, 2_000)), PlanState(1, NOW if dice.random() > 0.1 else None, NOW - DAY),
        tuple(
            RecordingFact(one.id, f"{name}-d47", dice.uniform(60, 100), 60.0, None, NOW - SECOND, NOW - SECOND, 0.0, NOW - 400 * DAY)
            for one in cameras
        ),
        tuple(_attestations(name, zones, dice)),
        tuple(_intervals(devices, dice)),
        tuple(
            Arming(one.id, signal, dice.random() > 0.05, NOW - DAY)
            for one in devices
            for signal in {"panic_button": ("panic",), "smoke_detector": ("fire",)}.get(one.kind, ())
        ),
    )  # fmt: skip


def _device(name: str, kind: str, has: tuple[str, ...], zone: ZoneFact, dice: random.Random) -> DeviceFact:
    ill = dice.random() < 0.04
    views = (View(zone.id, 1.0, NOW - 90 * DAY),) if kind == "camera" and dice.random() < 0.9 else ()
    return DeviceFact(
        name, kind, zone.id, frozenset(has), AdminState.IN_SERVICE if dice.random() > 0.02 else AdminState.OUT_OF_SERVICE, NOW - 300 * DAY,
        LinkState.OFFLINE if ill else LinkState.ONLINE, NOW - DAY, FunctionState.FAILED if dice.random() < 0.01 else FunctionState.OK,
        NOW - DAY, NOW - 30 * SECOND, tuple((one, NOW - dice.randrange(400) * DAY) for one in has),
        (f"link:{name[:10]}-{dice.randrange(3)}", f"edge:{name[:10]}", f"uplink:{name[:10]}"), views,
        (Value("temperature", dice.uniform(10, 35), NOW - 60 * SECOND),) if not has else (),
    )  # fmt: skip


def _attestations(name: str, zones: tuple[ZoneFact, ...], dice: random.Random) -> Iterator[Attestation]:
    for k in range(16):
        yield Attestation(f"{name}-p{k}", AttestationKind.PATROL, NOW - k * DAY // 2, seconded=True)
    for k, kind in enumerate(AttestationKind):
        if kind is not AttestationKind.PATROL and dice.random() < 0.85:
            ago = dice.randrange(300) * DAY
            yield Attestation(
                f"{name}-a{k}", kind, NOW - ago, None, None, None, f"N-{k}", float(dice.randrange(1, 40)), True
            )
    for zone in zones:
        if dice.random() < 0.8:
            yield Attestation(f"{zone.id}-s", AttestationKind.SIGN, NOW - 30 * DAY, zone=zone.id)


def _intervals(devices: tuple[DeviceFact, ...], dice: random.Random) -> Iterator[Interval]:
    for k in range(1, 8):
        yield Interval("open", NOW - k * DAY - 9 * 3600 * SECOND, NOW - k * DAY)
    for k in range(12):
        began = NOW - k * DAY
        for kind in ("detector-centre", "centre-people", "detector-people", "press-people"):
            yield Interval(kind, began, began + dice.randrange(1, 20) * SECOND, devices[20].id)


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(prog="scripts/bench coverage", description=__doc__)
    parser.add_argument("--institutions", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, default=data_folder("rule-packs"))
    asked = parser.parse_args()
    packs = load_rule_packs([asked.folder])
    where = machine()
    started = time.process_time()
    country = list(province(asked.institutions))
    made = time.process_time() - started
    gc.set_threshold(
        YOUNG, 10, NEVER
    )  # as `anxin serve` does (hub.runtime.memory): a country of facts is no garbage to look through
    gc.freeze()
    rules = sum(len(pack.rules) for pack in packs)
    print(where)
    print(
        f"{len(country):,} institutions, {sum(len(one.devices) for one in country):,} devices, {len(packs)} packs, {rules} rules; facts made in {made:.1f} s"
    )
    for look in ("first", "second"):
        verdicts: Counter[str] = Counter()
        findings = rows = 0
        wall, cpu = time.perf_counter(), time.process_time()
        for one in country:
            for finding in check(packs, one, NOW):
                findings += 1
                verdicts[finding.verdict.value] += 1
                rows += sum(len(part.devices) + len(part.facts) for part in finding.parts)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{look} look: {cpu:.2f} CPU s ({wall:.2f} s), {findings:,} findings ({1e6 * cpu / findings:.1f} µs each), {rows:,} rows of evidence, "
            + ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(verdicts.items()))
        )
    cpu = time.process_time()
    turns = sum(next_turn(packs, one, NOW) is not None for one in country)
    print(f"next_turn: {time.process_time() - cpu:.2f} CPU s, {turns:,} institutions have one")


if __name__ == "__main__":
    main()
