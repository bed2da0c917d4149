"""What a manifest contradicts (errors: nothing is applied) and what it deserves a warning for.

Each check is one generator over a `Declaration`; a message says what, the pointer says where.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from hub.core.coverage.purposes import InstitutionType, ZonePurpose
from hub.core.opening import parse_opening
from hub.core.provisioning import duty_checks, plan_checks, wiring_checks
from hub.core.provisioning.declaration import Declaration, at, found, named
from hub.core.provisioning.records import (
    INSIDE,
    OWN_PROTOCOL,
    Key,
    Noun,
    Problem,
    ProfileFacts,
    Record,
)
from hub.errors import BadInput
from hub.model import SECOND

Check = Callable[[Declaration], Iterator[Problem]]
_TYPED = (Noun.INSTITUTION, Noun.REGISTER_ENTRY)
_RESERVED = frozenset({"hub"})
_OWN = ("anxin-path-", "anxin-hub-")
"""The hub's own names begin so: what an alarm about a carrier or a district, or about the hub itself, stands at."""
_FIRST_WORD = 60 * SECOND
_PROVES = ("profile", "position", "endpoint", "settings")
"""When one of these fields of a device changes, what its function test proved no longer holds."""
_SAME_PLACE = frozenset(
    {"username", "password", "community", "write_community", "user", "auth", "auth_key", "priv", "priv_key"}
    | {"key_expansion", "insecure_transport", "ca_file", "fingerprint", "certificate_file", "key_file", "retries"}
    | {
        "timeout_s",
        "late_s",
        "answer_s",
        "pull_s",
        "window_s",
        "fresh_s",
        "keepalive",
        "session_expiry",
        "idle_timeout",
    }
    | {"query_every", "retry_after", "repeats", "sync_clock", "patrol", "max_varbinds", "max_payload", "max_instances"}
    | {"max_answer", "client_id", "version", "baudrate", "bytesize", "parity", "stopbits"}
)
"""Settings of an endpoint by which nobody else comes to answer: credentials, how the line is kept, times and bounds. Of any other, also of a
driver that is not ours, nobody can say so (decision 0325)."""


# errors ---------------------------------------------------------------------------------------------------------------


def _declared_twice(d: Declaration) -> Iterator[Problem]:
    first: dict[tuple[object, ...], Record] = {}
    repeated: set[str] = set()
    for record in d.declared:
        noun = record.key.noun
        if noun in INSIDE and record.pointer.rsplit("/", 2)[0] in repeated:
            continue  # the institution around it is said already
        shared = noun in (Noun.DEVICE, Noun.EDGE)  # one name space over the whole hub
        name = ("device", record.key.id) if shared else tuple(record.key)
        other = first.setdefault(name, record)
        if other is not record:
            repeated.add(record.pointer)
            place = other.pointer.removeprefix("/")
            yield Problem(record.pointer, f"{record.key} stands in the manifest already, at {place}", "twice")


def _refers(d: Declaration, record: Record, field: str, noun: Noun, institution: str = "") -> Iterator[Problem]:
    name = record.fields[field]
    if name is not None and d.fields(Key(noun, institution, name)) is None:
        where = f" in institution {institution}" if institution else ""
        what = noun.value.replace("_", " ")
        yield Problem(at(record, field), f"there is no {what} {name!r}{where}", "unknown-reference")


def _unknown_references(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.DIVISION):
        yield from _refers(d, record, "parent", Noun.DIVISION)
    for noun in (Noun.INSTITUTION, Noun.REGISTER_ENTRY, Noun.ROTA, Noun.POLICY):
        for record in d.of(noun):
            if not record.retired:
                yield from _refers(d, record, "division", Noun.DIVISION)
    for record in d.of(Noun.INSTITUTION):
        if not record.retired:
            yield from _refers(d, record, "filing_number", Noun.REGISTER_ENTRY)
    for record in (*d.of(Noun.ROTA), *d.of(Noun.POLICY)):
        yield from _refers(d, record, "institution", Noun.INSTITUTION)
    for record in d.of(Noun.POLICY):
        yield from _refers(d, record, "group", Noun.GROUP)
    for record in d.of(Noun.POSITION):
        yield from _refers(d, record, "zone", Noun.ZONE, record.key.institution)
    for record in d.of(Noun.ENDPOINT):
        yield from _refers(d, record, "edge", Noun.EDGE, record.key.institution)
    for record in d.of(Noun.DEVICE):
        yield from _refers(d, record, "position", Noun.POSITION, record.key.institution)
        yield from _refers(d, record, "endpoint", Noun.ENDPOINT, record.key.institution)
        yield from _refers(d, record, "recorded_by", Noun.DEVICE, record.key.institution)
    for record in d.of(Noun.GROUP):
        for member in record.fields["institutions"]:
            if d.fields(Key(Noun.INSTITUTION, "", member)) is None:
                yield Problem(at(record, "institutions"), f"there is no institution {member!r}", "unknown-reference")


def _unknown_words(d: Declaration) -> Iterator[Problem]:
    for noun, field, words in ((Noun.ZONE, "purpose", ZonePurpose), *((n, "type", InstitutionType) for n in _TYPED)):
        for record in d.of(noun):
            if not record.retired and record.fields[field] not in set(words):
                known = ", ".join(words)
                yield Problem(at(record, field), f"{record.fields[field]!r} is none of: {known}", "word")
    for record in d.of(Noun.POLICY):
        for word in record.fields["institution_types"]:
            if word not in set(InstitutionType):
                known = ", ".join(InstitutionType)
                yield Problem(at(record, "institution_types"), f"{word!r} is none of: {known}", "word")


def _calendars(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.INSTITUTION):
        calendar = record.fields["calendar"]
        if record.retired or calendar is None:
            continue
        try:
            parse_opening(calendar)
        except BadInput as error:
            yield Problem(f"{record.pointer}/{error.where.replace('.', '/')}", error.reason, "calendar")


def _circles_of_divisions(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.DIVISION):
        trail = [record.key.id]
        above = record.fields["parent"]
        while above is not None and above not in trail:
            trail.append(above)
            fields = d.fields(Key(Noun.DIVISION, "", above))
            above = None if fields is None else fields["parent"]
        if above == record.key.id:
            way = " → ".join((*trail, record.key.id))
            yield Problem(at(record, "parent"), f"the divisions go round in a circle: {way}", "circle")


def _retired_with_content(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.INSTITUTION):
        if not record.retired:
            continue
        inside = [r.key for r in d.declared if r.key.noun in INSIDE and r.key.institution == record.key.id]
        if inside:
            yield Problem(record.pointer, f"is to be retired but still names {named(map(str, inside))}", "retired")


def _other_owners(d: Declaration) -> Iterator[Problem]:
    for record in chain(d.of(Noun.DEVICE), d.of(Noun.EDGE)):
        key = record.key
        owner = d.current.owners.get(key.id)
        if owner is not None and owner != key.institution:
            yield Problem(
                at(record, "id"), f"{key.id!r} is the id of another institution's device: an id is used once", "owner"
            )
        if key.id in _RESERVED:
            yield Problem(at(record, "id"), f"{key.id!r} is the hub's own name at the broker", "reserved")
        other = Noun.EDGE if key.noun is Noun.DEVICE else Noun.DEVICE
        if Key(other, key.institution, key.id) in d.current.live:
            yield Problem(at(record, "id"), f"{key.id!r} is the id of an existing {other.value}", "owner")


def _names_of_the_hub(d: Declaration) -> Iterator[Problem]:
    for noun in (Noun.INSTITUTION, Noun.DEVICE, Noun.EDGE):
        for record in d.of(noun):
            for own in _OWN:
                if record.key.id.startswith(own):
                    reason = f"{record.key.id!r}: names of the hub's own begin with {own}"
                    yield Problem(at(record, "id"), reason, "reserved")


def _shared_outer_names(d: Declaration) -> Iterator[Problem]:
    def owner(name: str) -> str:
        # one that is not in the manifest may be beyond the caller's scope: it is not named
        return repr(name) if name in d.listed else "another institution"

    filed: dict[str, str] = {}
    outer = {name: has for name, has in d.current.external.items() if has not in d.listed}
    for key, fields in d.current.live.items():
        if key.noun is Noun.INSTITUTION and key.id not in d.listed and fields["filing_number"] is not None:
            filed[fields["filing_number"]] = key.id
    for record in d.of(Noun.INSTITUTION):
        if record.retired:
            continue
        number = record.fields["filing_number"]
        if number is not None and filed.setdefault(number, record.key.id) != record.key.id:
            yield Problem(at(record, "filing_number"), f"{number!r} is that of {owner(filed[number])}", "twice")
        for scheme, value in record.fields["external_ids"].items():
            if outer.setdefault((scheme, value), record.key.id) != record.key.id:
                where = at(record, "external_ids", scheme)
                yield Problem(where, f"{value!r} is that of {owner(outer[scheme, value])}", "twice")


def _devices_that_cannot_be(d: Declaration) -> Iterator[Problem]:
    taken: dict[tuple[str, str], str] = {}
    for record in d.of(Noun.DEVICE):
        profile = d.profile_of(record)
        if profile is None:
            yield Problem(at(record, "profile"), f"there is no device profile {record.fields['profile']!r}", "profile")
            continue
        if profile.is_edge:
            yield Problem(at(record, "profile"), "is the profile of an edge: name it under edges", "profile")
            continue
        yield from _connection(d, record, profile)
        findings = d.catalogue.device_findings(record.fields["profile"], record.fields["settings"])
        yield from found(findings, record, "settings", "settings")
        place = record.fields["position"]
        if place is not None:
            other = taken.setdefault((record.key.institution, place), record.key.id)
            if other != record.key.id:
                yield Problem(at(record, "position"), f"{place!r} is taken by device {other!r}", "position-taken")


def _connection(d: Declaration, record: Record, profile: ProfileFacts) -> Iterator[Problem]:
    name = record.fields["endpoint"]
    if profile.driver == OWN_PROTOCOL:
        if name is not None:
            yield Problem(at(record, "endpoint"), "the device speaks to the hub itself: it has no endpoint", "endpoint")
        return
    if name is None:
        message = f"the device is read by the driver {profile.driver!r}: name the endpoint it is behind"
        yield Problem(at(record, "endpoint"), message, "endpoint")
        return
    endpoint = d.fields(Key(Noun.ENDPOINT, record.key.institution, name))
    if endpoint is not None and endpoint["driver"] != profile.driver:
        message = f"{name!r} is of the driver {endpoint['driver']!r}, the profile needs {profile.driver!r}"
        yield Problem(at(record, "endpoint"), message, "endpoint")


def _edges_and_endpoints(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.EDGE):
        profile = d.profile_of(record)
        if profile is None or not profile.is_edge:
            reason = "there is no such device profile" if profile is None else "is not the profile of an edge"
            yield Problem(at(record, "profile"), f"{record.fields['profile']!r}: {reason}", "profile")
    for record in d.of(Noun.ENDPOINT):
        driver = record.fields["driver"]
        if not d.catalogue.has_driver(driver):
            yield Problem(at(record, "driver"), f"there is no driver {driver!r}", "driver")
        else:
            findings = d.catalogue.endpoint_findings(driver, record.fields["settings"])
            yield from found(findings, record, "settings", "settings")


def _local_rules(d: Declaration) -> Iterator[Problem]:
    """A rule sounds a siren of its own edge, for fires that this edge reads, and for nothing else: never for a panic press."""
    for edge in d.of(Noun.EDGE):
        behind = {device.key.id: device for device in d.of(Noun.DEVICE) if _edge_of(d, device) == edge.key}
        for n, rule in enumerate(edge.fields["local_rules"]):
            yield from _siren(d, edge, n, rule, behind)
            for m, name in enumerate(rule["devices"]):
                yield from _watched(d, at(edge, "local_rules", n, "devices", m), name, behind)
            for m, name in enumerate(rule["zones"]):
                where = at(edge, "local_rules", n, "zones", m)
                if d.fields(Key(Noun.ZONE, edge.key.institution, name)) is None:
                    yield Problem(where, f"there is no zone {name!r} in this institution", "unknown-reference")
                elif not any(_zone_of(d, device) == name and _may_sound(d, device) for device in behind.values()):
                    yield Problem(
                        where, f"no fire detector behind edge {edge.key.id!r} is in zone {name!r}", "local-rule"
                    )


def _siren(
    d: Declaration, edge: Record, n: int, rule: Mapping[str, Any], behind: Mapping[str, Record]
) -> Iterator[Problem]:
    siren = behind.get(rule["siren"])
    if siren is None:
        message = f"no device {rule['siren']!r} is behind edge {edge.key.id!r}"
        yield Problem(at(edge, "local_rules", n, "siren"), message, "unknown-reference")
        return
    profile = d.profile_of(siren)
    kind = None if profile is None else profile.writable.get(rule["point"])
    if kind is None:
        message = f"{rule['siren']!r} has no writable point {rule['point']!r} (one with a scale cannot be written so)"
        yield Problem(at(edge, "local_rules", n, "point"), message, "local-rule")
    elif kind != ("bool" if isinstance(rule["value"], bool) else "int"):
        yield Problem(at(edge, "local_rules", n, "value"), f"the point is of type {kind}", "local-rule")


def _watched(d: Declaration, where: str, name: str, behind: Mapping[str, Record]) -> Iterator[Problem]:
    device = behind.get(name)
    profile = None if device is None else d.profile_of(device)
    if profile is None:
        yield Problem(where, f"no device {name!r} is behind this edge", "unknown-reference")
    elif profile.is_for_panic:
        message = f"{name!r} has a panic alarm: nothing automatic ever sounds on a panic press"
        yield Problem(where, message, "local-rule-panic")
    elif not profile.is_for_fire:
        yield Problem(where, f"{name!r} has no fire alarm", "local-rule")


def _may_sound(d: Declaration, device: Record) -> bool:
    profile = d.profile_of(device)
    return profile is not None and profile.is_for_fire and not profile.is_for_panic


def _edge_of(d: Declaration, device: Record) -> Key | None:
    endpoint = d.fields(Key(Noun.ENDPOINT, device.key.institution, device.fields["endpoint"] or ""))
    return None if endpoint is None else Key(Noun.EDGE, device.key.institution, endpoint["edge"])


def _zone_of(d: Declaration, device: Record) -> str | None:
    place = d.fields(Key(Noun.POSITION, device.key.institution, device.fields["position"] or ""))
    return None if place is None else place["zone"]


# warnings -------------------------------------------------------------------------------------------------------------


def _unplaced(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.DEVICE):
        if record.fields["position"] is None:
            yield Problem(
                record.pointer, f"device {record.key.id!r} has no position: it counts for nothing", "unplaced"
            )


def _misplaced(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.DEVICE):
        institution = d.fields(Key(Noun.INSTITUTION, "", record.key.institution))
        place = d.fields(Key(Noun.POSITION, record.key.institution, record.fields["position"] or ""))
        zone = None if place is None else d.fields(Key(Noun.ZONE, record.key.institution, place["zone"]))
        if institution is not None and zone is not None and d.profile_of(record) is not None:
            findings = d.catalogue.placement_findings(
                institution["division"], institution["type"], zone["purpose"], record.fields["profile"]
            )
            yield from found(findings, record, "placement", "position")


def _not_on_the_register(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.INSTITUTION):
        if not record.retired and record.fields["filing_number"] is None:
            message = f"institution {record.key.id!r} names no filing_number: it counts in no rate"
            yield Problem(record.pointer, message, "not-registered")


def _nothing_behind(d: Declaration) -> Iterator[Problem]:
    used = {(record.key.institution, record.fields["endpoint"]) for record in d.of(Noun.DEVICE)}
    for record in d.of(Noun.ENDPOINT):
        if (record.key.institution, record.key.id) not in used:
            yield Problem(record.pointer, f"no device is behind endpoint {record.key.id!r}", "unused")


def _to_be_tested_again(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.DEVICE):
        before = d.current.live.get(record.key)
        if before is None:
            continue
        changed = needs_new_test(before, record.fields)
        endpoint = Key(Noun.ENDPOINT, record.key.institution, record.fields["endpoint"] or "")
        was, now = d.current.live.get(endpoint), d.fields(endpoint)
        if not changed and was is not None and now is not None:
            changed = [f"endpoint's {name}" for name in moved_by(was, now)]
        if changed:
            message = f"device {record.key.id!r} must be tested again: its {' and '.join(changed)} changed"
            yield Problem(record.pointer, message, "test-again")


def needs_new_test(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The fields of a device whose change takes its function test's proof away; empty where the proof holds."""
    return [name for name in _PROVES if before.get(name) != after.get(name)]


def moved_by(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields and settings of an endpoint whose change may put another device at its end: what is behind it is to be tested again."""
    fields = [name for name in ("driver", "edge") if before.get(name) != after.get(name)]
    was, now = before["settings"], after["settings"]
    return fields + sorted(name for name in {*was, *now} - _SAME_PLACE if was.get(name) != now.get(name))


_ERRORS: tuple[Check, ...] = (
    _declared_twice,
    _unknown_references,
    _unknown_words,
    _calendars,
    _circles_of_divisions,
    _retired_with_content,
    _other_owners,
    _names_of_the_hub,
    _shared_outer_names,
    _devices_that_cannot_be,
    _edges_and_endpoints,
    _local_rules,
    *wiring_checks.ERRORS,
    *plan_checks.ERRORS,
    *duty_checks.ERRORS,
)
_WARNINGS: tuple[Check, ...] = (
    _misplaced,
    _unplaced,
    _not_on_the_register,
    _nothing_behind,
    *wiring_checks.WARNINGS,
    *duty_checks.WARNINGS,
    _to_be_tested_again,
)


def errors_of(declaration: Declaration) -> Iterable[Problem]:
    """Everything the manifest contradicts: itself, the hub, or a guarantee."""
    return chain.from_iterable(check(declaration) for check in _ERRORS)


def warnings_of(declaration: Declaration) -> Iterable[Problem]:
    """Everything that can be done and should be looked at."""
    return chain.from_iterable(check(declaration) for check in _WARNINGS)
