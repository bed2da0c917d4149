"""Random facts and requirements of every kind, small enough that they meet: for properties of the whole language."""

from hypothesis import strategies as st

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
from hub.core.coverage.requirements import DAY
from hub.core.coverage.rules import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Independent,
    NoneIn,
    Proven,
    Requirement,
    ShareCovered,
    TimeBound,
    When,
)
from hub.model import SECOND, AdminState, FunctionState, LinkState
from tests.core.coverage_city import NOW

HOUR = 3600 * SECOND
ZONES = ("a", "b", "c", "d")
PURPOSES = ("activity_room", "nap_room", "toilet", "entrance")
CAPABILITIES = ("video.live", "fire.smoke", "alarm.manual")
KINDS = ("patrol", "sign", "filing_receipt", "legal_hold")

zone_id = st.sampled_from(ZONES)
ago = st.sampled_from([-2 * DAY, -HOUR, -1, 0, 1, HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY, 40 * DAY, 400 * DAY])
moment = ago.map(lambda age: NOW - age)
length = st.sampled_from([HOUR, DAY, 2 * DAY, 30 * DAY])
odd = st.sampled_from([0.0, 0.5, 1.0, 2.0, 30.0, 89.0, 90.0, 91.0, 500.0, -1.0, float("nan"), float("inf")])
area = st.none() | st.sampled_from([0.0, 20.0, 60.0, 60.5, 100.0, float("nan")])

zone = st.builds(
    ZoneFact, id=zone_id, purpose=st.sampled_from(PURPOSES), title_zh=st.just("区"), title_en=st.just("zone"),
    floor=st.sampled_from(["", "1", "2"]), area_m2=area, entrances=st.lists(zone_id, max_size=2).map(tuple),
)  # fmt: skip
view = st.builds(
    View, zone=zone_id, share=st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.5, float("nan")]),
    attested_at=st.none() | moment, masked=st.booleans(),
)  # fmt: skip
device = st.builds(
    DeviceFact,
    id=st.sampled_from([f"d-{n}" for n in range(12)]),
    kind=st.sampled_from(["camera", "smoke_detector"]),
    zone=st.none() | zone_id,
    capabilities=st.frozensets(st.sampled_from(CAPABILITIES), max_size=2),
    admin_state=st.sampled_from([AdminState.IN_SERVICE] * 4 + list(AdminState)),
    admin_since=st.just(NOW),
    link_state=st.sampled_from([LinkState.ONLINE] * 3 + list(LinkState)),
    link_since=st.just(NOW),
    function_state=st.sampled_from([FunctionState.OK] * 3 + list(FunctionState)),
    function_since=st.just(NOW),
    last_heard_at=st.none() | moment,
    proven=st.lists(st.tuples(st.sampled_from(["", *CAPABILITIES]), moment), max_size=3).map(tuple),
    behind=st.lists(st.sampled_from(["link:1", "link:2", "edge:1", "uplink:1", "switch:9"]), max_size=3).map(tuple),
    sees=st.lists(view, max_size=2).map(tuple),
    values=st.lists(st.builds(Value, st.just("battery"), odd, moment), max_size=2).map(tuple),
    heard_late=st.booleans(),
    unproven=st.frozensets(st.sampled_from(CAPABILITIES), max_size=1),
)
recording = st.builds(
    RecordingFact, device=st.sampled_from([f"d-{n}" for n in range(12)]), recorder=st.just("r"), days=odd,
    gap_seconds=st.sampled_from([0.0, 600.0, 86_400.0, 3e6, float("nan")]), oldest_at=st.none(),
    newest_at=st.none() | moment, read_at=moment, bad_seconds=st.sampled_from([0.0, 100_000.0]),
    installed_at=st.none() | moment, possible=st.none() | odd,
)  # fmt: skip
attestation = st.builds(
    Attestation, id=st.uuids().map(str), kind=st.sampled_from(KINDS), at=moment, expires_at=st.none() | moment,
    zone=st.none() | zone_id, device=st.none() | st.sampled_from(["d-1", "d-2"]), number=st.sampled_from(["", " ", "A-1"]),
    value=st.none() | odd, seconded=st.booleans(),
)  # fmt: skip
interval = st.builds(
    Interval, kind=st.sampled_from(["open", "detector-centre"]), began_at=moment, ended_at=st.none() | moment,
    device=st.none() | st.just("d-1"),
)  # fmt: skip
arming = st.builds(Arming, st.sampled_from(["d-1", "d-2", "gone"]), st.sampled_from(["panic", "fire"]), st.booleans(), moment)  # fmt: skip


def some(of: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(of, max_size=most).map(tuple)


facts: st.SearchStrategy[InstitutionFacts] = st.builds(
    InstitutionFacts,
    subject=st.just("i"),
    division=st.just("140403"),
    type=st.just("employer"),
    connected=st.just(True),
    zones=st.lists(zone, max_size=4, unique_by=lambda one: one.id).map(tuple),
    devices=st.lists(device, max_size=5, unique_by=lambda one: one.id).map(tuple),
    registered=st.none() | st.booleans(),
    capacity=st.sampled_from([None, 0, 1, 60, 61]),
    area_m2=area,
    plan=st.none() | st.builds(PlanState, st.just(1), st.none() | moment, moment),
    recordings=some(recording),
    attestations=some(attestation, 4),
    intervals=some(interval, 4),
    armed_always=some(arming),
)

_zones = st.frozensets(st.sampled_from(PURPOSES), min_size=1, max_size=3)
_anywhere = st.just(frozenset[str]()) | _zones
_capabilities = st.frozensets(st.sampled_from(CAPABILITIES), min_size=1, max_size=2)
_missing = st.sampled_from(["unknown", "non_compliant"])
at_least: st.SearchStrategy[AtLeast] = st.one_of(
    st.builds(
        AtLeast, _capabilities, st.integers(1, 3), st.just("institution"), _anywhere, per_m2=st.none() | st.just(20.0),
        views_within=st.none() | length,
    ),
    st.builds(AtLeast, _capabilities, st.integers(1, 3), st.just("institution"), per_children=st.just(30)),
    st.builds(
        AtLeast, _capabilities, st.integers(1, 2), st.just("zone"), _zones, st.booleans(), st.none() | st.just(30.0),
        area_above=st.none() | st.just(20.0), area_up_to=st.none() | st.just(60.0), views_within=st.none() | length,
    ),
    st.builds(
        AtLeast, _capabilities, st.integers(1, 2), st.sampled_from(["entrance", "floor"]), _anywhere, st.booleans()
    ),
)  # fmt: skip
share_covered = st.builds(
    ShareCovered, _capabilities, st.sampled_from([0.3, 0.8, 1.0]), _zones, st.booleans(), st.none() | length
)
independent = st.builds(
    Independent, _capabilities, st.integers(2, 3), st.sampled_from(["link", "edge", "uplink"]),
    st.sampled_from(["institution", "zone"]), _zones, st.booleans(),
)  # fmt: skip
none_in = st.builds(NoneIn, _zones, st.frozensets(st.just("camera")), _capabilities)
bounds = st.one_of(
    st.builds(
        Bounds, st.just("recording_days"), st.sampled_from([30.0, 90.0]), st.none() | st.just(120.0),
        capabilities=st.just(frozenset({"video.live"})), zones=_anywhere, must_exist=st.booleans(),
        hold_excepted=st.booleans(), gaps=st.sampled_from([0, DAY]), newest_within=st.none() | length,
    ),
    st.builds(
        Bounds, st.just("point"), st.none() | st.just(1.0), st.just(90.0), st.just("battery"),
        capabilities=st.just(frozenset[str]()) | _capabilities, zones=_anywhere, must_exist=st.booleans(),
    ),
    st.builds(Bounds, st.sampled_from(["area_m2", "capacity"]), st.just(30.0), st.none() | st.just(80.0)),
    st.builds(Bounds, st.just("floor"), st.none() | st.just(1.0), st.just(1.0), zones=_zones, must_exist=st.booleans()),
)  # fmt: skip
proven = st.builds(Proven, _capabilities, length, _anywhere, st.booleans())
attested = st.one_of(
    st.builds(
        Attested, st.sampled_from(KINDS), st.none() | length, st.integers(1, 2), seconded=st.booleans(),
        min_value=st.none() | st.just(1.0), value_per_m2=st.none() | st.just(50.0), missing=_missing,
    ),
    st.builds(
        Attested, st.just("sign"), st.none() | length, per=st.just("zone"), zones=_anywhere,
        where=st.just(frozenset[str]()) | _capabilities, missing=_missing, must_exist=st.booleans(),
    ),
    st.builds(
        Attested, st.just("sign"), st.none() | length, per=st.just("device"), zones=_anywhere, where=_capabilities,
        missing=_missing, must_exist=st.booleans(),
    ),
    st.builds(
        Attested, st.just("patrol"), length, st.integers(1, 2), each_open_day=st.just(True), seconded=st.booleans(),
        missing=_missing,
    ),
)  # fmt: skip
documents = st.builds(
    Documents, st.frozensets(st.sampled_from(KINDS), min_size=1, max_size=2), st.booleans(), st.none() | length, _missing
)  # fmt: skip
always_armed = st.builds(AlwaysArmed, st.frozensets(st.sampled_from(["panic", "fire"]), min_size=1), st.booleans())
time_bound = st.builds(
    TimeBound,
    st.just("detector"),
    st.just("centre"),
    st.sampled_from([SECOND, HOUR, 3 * DAY]),
    st.none() | st.just(0.5),
)
when = st.none() | st.one_of(
    st.builds(When, st.sampled_from(["sign", "patrol"]), st.sampled_from([1.0, 2.0]), st.none() | length),
    st.builds(When, capabilities=_capabilities),
)  # fmt: skip
KINDS_ASKED: tuple[st.SearchStrategy[Requirement], ...] = (
    at_least, share_covered, independent, none_in, bounds, proven, attested, documents, always_armed, time_bound,
)  # fmt: skip
requirement: st.SearchStrategy[Requirement] = st.one_of(KINDS_ASKED)
greatest_age = st.none() | length
