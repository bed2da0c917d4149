"""A small catalogue and random manifests, for the tests of plan and apply in the core and in the store."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from hub.core.coverage.purposes import InstitutionType, ZonePurpose
from hub.core.provisioning import Fields, Finding, ProfileFacts
from hub.manifest import Manifest
from hub.model import Lane, Priority, SignalClass

EDGE = ProfileFacts("edge", Lane.BULK, "edge", True, ())
CAMERA = ProfileFacts("camera", Lane.BULK, "snmp", False, ((SignalClass.FAULT, Priority.HIGH),))
SMOKE = ProfileFacts("smoke_detector", Lane.URGENT, "mqtt", False, ((SignalClass.FIRE, Priority.CRITICAL),))
SWITCH = ProfileFacts("network_switch", Lane.BULK, "anxin", False, ())
OWN = ProfileFacts("other", Lane.BULK, "anxin", False, ())
SIREN = ProfileFacts("other", Lane.BULK, "mqtt", False, (), {"sounder": "bool"})
_PANIC = (SignalClass.PANIC, Priority.CRITICAL)
BUTTON = ProfileFacts("panic_button", Lane.URGENT, "mqtt", False, (_PANIC,))
BOTH = ProfileFacts("fire_panel", Lane.URGENT, "mqtt", False, (*SMOKE.alarms, _PANIC))
PROFILES = {
    "anxin-edge": EDGE,
    "camera": CAMERA,
    "smoke": SMOKE,
    "own": OWN,
    "switch": SWITCH,
    "siren": SIREN,
    "button": BUTTON,
    "both": BOTH,
}
CLAUSE = "Order 799 Art. 8"


class SmallCatalogue:
    """Four profiles, two drivers that refuse the setting `wrong`, two channel kinds, one rule: no camera in a toilet."""

    def __init__(self, profiles: Mapping[str, ProfileFacts] = PROFILES) -> None:
        self.profiles = profiles

    def profile(self, name: str) -> ProfileFacts | None:
        return self.profiles.get(name)

    def has_driver(self, name: str) -> bool:
        return name in ("snmp", "mqtt")

    def endpoint_findings(self, driver: str, settings: Fields) -> Sequence[Finding]:
        return [Finding(("wrong",), "not a setting")] if "wrong" in settings else []

    def device_findings(self, profile: str, settings: Fields) -> Sequence[Finding]:
        return self.endpoint_findings("", settings)

    def channel_findings(self, kind: str, settings: Fields) -> Sequence[Finding]:
        return [] if kind in ("webhook", "smtp", "siren") else [Finding(("kind",), "there is no such channel")]

    def placement_findings(self, division: str, institution_type: str, purpose: str, profile: str) -> Sequence[Finding]:
        forbidden = purpose == "toilet" and self.profiles[profile].kind == "camera"
        return [Finding((), "no camera here", CLAUSE)] if forbidden else []


def title(text: str = "x") -> dict[str, str]:
    return {"zh": f"名{text}", "en": text}


def manifest(**lists: Any) -> Manifest:
    return Manifest.model_validate(lists)


def city(**changed: Any) -> dict[str, Any]:
    """A manifest that holds: one division, one institution with a camera and a smoke detector, one policy over it all."""
    return {
        "divisions": [
            {"code": "14", "title": title("province")},
            {"code": "1404", "parent": "14", "title": title("city")},
        ],
        "register": [{"filing_number": "F-1", "division": "1404", "type": "private", "title": title()}],
        "responders": [
            {
                "id": "duty",
                "title": title(),
                "manned": True,
                "channels": [
                    {"id": "hook", "kind": "webhook", "settings": {"url": "u"}},
                    {"id": "mail", "kind": "smtp", "settings": {}},
                ],
            }
        ],
        "policies": [policy()],
        "institutions": [institution()],
        **changed,
    }


def policy(**changed: Any) -> dict[str, Any]:
    return {
        "id": "all",
        "title": title(),
        "division": "14",
        "round_every": "60s",
        "steps": [{"responder": "duty", "channel": "hook"}, {"responder": "duty", "channel": "mail"}],
        **changed,
    }


def rota(**changed: Any) -> dict[str, Any]:
    """A rota that somebody fills round the clock."""
    return {
        "id": "round",
        "title": title(),
        "shifts": [{"id": "all", "starts": "00:00", "ends": "00:00", "responders": ["duty"], "since": "2020-01-01"}],
        **changed,
    }


def institution(**changed: Any) -> dict[str, Any]:
    return {
        "id": "sun",
        "division": "1404",
        "type": "private",
        "title": title(),
        "filing_number": "F-1",
        "zones": [
            {"id": "nap", "purpose": "nap_room", "title": title(), "area_m2": 40.5, "floor": 1},
            {"id": "wc", "purpose": "toilet", "title": title()},
        ],
        "positions": [
            {"id": "nap-1", "zone": "nap", "title": title()},
            {"id": "nap-2", "zone": "nap", "title": title()},
            {"id": "wc-1", "zone": "wc", "title": title()},
        ],
        "edges": [{"id": "sun-edge"}],
        "endpoints": [
            {"id": "agent", "driver": "snmp", "edge": "sun-edge", "settings": {"port": 161}},
            {"id": "broker", "driver": "mqtt", "edge": "sun-edge"},
        ],
        "devices": [
            {"id": "cam-1", "profile": "camera", "position": "nap-1", "endpoint": "agent"},
            {
                "id": "smoke-1",
                "profile": "smoke",
                "position": "nap-2",
                "endpoint": "broker",
                "settings": {"topic": "a"},
            },
        ],
        **changed,
    }


_titles = st.sampled_from("abc").map(title)
CALENDAR = {"weekly": {"mon": ["07:30-18:00"]}, "dates": {"2026-10-01": []}, "public_holidays": False}
_json = st.dictionaries(
    st.sampled_from(["a", "b", "中"]),
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2, width=32) | st.lists(st.text("xé中", max_size=2)),
    max_size=2,
)


_shifts = st.fixed_dictionaries(
    {
        "id": st.just("all"),
        "starts": st.sampled_from(["00:00", "07:30", "23:59"]),
        "responders": st.just(["duty"]),
        "since": st.just("2020-02-29"),
        "turn_days": st.integers(1, 9),
    },
).map(lambda shift: {**shift, "ends": shift["starts"]})


@st.composite
def institutions(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A random institution that holds in itself. Devices and edges are named after it, so that ids are unique."""
    zones = draw(st.lists(st.sampled_from(["z1", "z2", "z3"]), unique=True, max_size=3))
    places = draw(st.lists(st.sampled_from(["p1", "p2", "p3", "p4"]), unique=True, max_size=4)) if zones else []
    edges = draw(st.lists(st.sampled_from(["e1", "e2"]), unique=True, max_size=2))
    points = draw(st.lists(st.sampled_from(["n1", "n2"]), unique=True, max_size=2)) if edges else []
    free = list(places)
    devices = []
    for device in draw(st.lists(st.sampled_from(["d1", "d2", "d3", "d4"]), unique=True, max_size=4)):
        place = draw(st.sampled_from([None, *free]))
        if place is not None:
            free.remove(place)
        endpoint = draw(st.sampled_from([None, *points]))
        profile = "own" if endpoint is None else draw(st.sampled_from(["camera"]))
        settings = {} if profile == "own" else draw(_json)
        devices.append(
            {
                "id": f"{name}-{device}",
                "profile": profile,
                "position": place,
                "endpoint": endpoint,
                "settings": settings,
                "switch": draw(st.sampled_from([None, "plain"])),
                "powered_by": draw(st.sampled_from([None, "circuit-1"])),
            }
        )
    return {
        "id": name,
        "division": draw(st.sampled_from(["14", "1404"])),
        "type": draw(st.sampled_from([str(word) for word in InstitutionType])),
        "title": draw(_titles),
        "capacity": draw(st.none() | st.integers(1, 99)),
        "place": draw(st.none() | st.just({"latitude": 36.25, "longitude": 113.1})),
        "uplink": draw(st.none() | st.just({"carrier": "unicom", "access": "olt-3"}) | st.just({"carrier": "mobile"})),
        "calendar": draw(st.none() | st.just(CALENDAR)),
        "external_ids": draw(st.dictionaries(st.sampled_from(["uscc", "city"]), st.just(f"x-{name}"), max_size=2)),
        "filing_number": draw(st.sampled_from([None, f"F-{name}"])),
        "zones": [
            {
                "id": zone,
                "purpose": draw(st.sampled_from([str(word) for word in ZonePurpose])),
                "title": draw(_titles),
                "area_m2": draw(st.none() | st.floats(0.5, 99)),
                "floor": draw(st.none() | st.integers(-2, 5)),
            }
            for zone in zones
        ],
        "positions": [
            {
                "id": place,
                "zone": draw(st.sampled_from(zones)),
                "title": draw(_titles),
                "plan": draw(st.none() | st.just({"x": 0.25, "y": 1})),
            }
            for place in places
        ],
        "edges": [{"id": f"{name}-{edge}"} for edge in edges],
        "endpoints": [
            {
                "id": point,
                "driver": "snmp",
                "edge": f"{name}-{draw(st.sampled_from(edges))}",
                "settings": draw(_json),
            }
            for point in points
        ],
        "devices": devices,
    }


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A random manifest that holds by itself, over few names so that two of them overlap."""
    names = draw(st.lists(st.sampled_from(["aa", "bb", "cc"]), unique=True, max_size=3))
    channels = draw(st.lists(st.sampled_from(["c1", "c2"]), unique=True, min_size=1))
    kinds = {"c1": "webhook", "c2": "smtp"}
    steps = [{"responder": "duty", "channel": channel, "delay": 5 * n} for n, channel in enumerate(channels)]
    steps += draw(st.sampled_from([[], [{"rota": "round", "kinds": 2, "delay": 5}, {"responder": "duty"}]]))
    # what is for fire ends never and is told by two kinds of channel
    ends = draw(st.none() | st.integers(1, 3))
    classes = ["fire", "panic"] if ends is None and len(channels) == 2 else ["fault"]
    place = draw(st.sampled_from([{}, {"institution_types": ["home_point"]}]))
    place |= draw(st.sampled_from([{}, {"lapse_after": "10m"}, {"remind_after": "90s", "lapse_after": "5m"}]))
    return {
        "divisions": [
            {"code": "14", "title": draw(_titles)},
            {"code": "1404", "parent": draw(st.sampled_from([None, "14"])), "title": draw(_titles)},
        ],
        "register": [
            {"filing_number": f"F-{name}", "division": "14", "type": "station", "title": draw(_titles)}
            for name in ("aa", "bb", "cc")
        ],
        "groups": draw(st.sampled_from([[], [{"id": "chain", "title": title(), "institutions": names}]])),
        "responders": [
            {
                "id": "duty",
                "title": draw(_titles),
                "manned": True,
                "channels": [{"id": channel, "kind": kinds[channel], "settings": draw(_json)} for channel in channels],
            }
        ],
        "rotas": [rota(shifts=[draw(_shifts)])],
        "policies": [policy(division="14", steps=steps, max_rounds=ends, signal_classes=classes, **place)],
        "institutions": [draw(institutions(name)) for name in names],
    }
