"""A manifest as records: every thing with its key, its complete fields and its JSON pointer."""

from collections.abc import Iterator
from typing import Any

from hub.core.provisioning.records import Key, Noun, Record
from hub.manifest import WEEKDAYS, Institution, Manifest, Policy, PolicyStep, Responder, Rota, Shift
from hub.profiles import Title


def declared(manifest: Manifest) -> list[Record]:
    """Everything the manifest declares, in its own order."""
    return list(_records(manifest))


def _titles(title: Title) -> dict[str, Any]:
    return {"title_zh": title.zh, "title_en": title.en}


def _records(manifest: Manifest) -> Iterator[Record]:
    for n, division in enumerate(manifest.divisions):
        fields = {"parent": division.parent, **_titles(division.title)}
        yield Record(Key(Noun.DIVISION, "", division.code), fields, f"/divisions/{n}")
    for n, entry in enumerate(manifest.register_):
        fields = {"division": entry.division, "type": entry.type, **_titles(entry.title), "capacity": entry.capacity}
        fields["credit_code"] = entry.credit_code
        key = Key(Noun.REGISTER_ENTRY, "", entry.filing_number)
        yield Record(key, fields, f"/register/{n}", entry.retired)
    for n, group in enumerate(manifest.groups):
        fields = {**_titles(group.title), "institutions": sorted(set(group.institutions))}
        yield Record(Key(Noun.GROUP, "", group.id), fields, f"/groups/{n}")
    for n, responder in enumerate(manifest.responders):
        key = Key(Noun.RESPONDER, "", responder.id)
        yield Record(key, _responder(responder), f"/responders/{n}", responder.retired)
    for n, rota in enumerate(manifest.rotas):
        yield Record(Key(Noun.ROTA, "", rota.id), _rota(rota), f"/rotas/{n}", rota.retired)
    for n, policy in enumerate(manifest.policies):
        yield Record(Key(Noun.POLICY, "", policy.id), _policy(policy), f"/policies/{n}", policy.retired)
    for n, institution in enumerate(manifest.institutions):
        pointer = f"/institutions/{n}"
        key = Key(Noun.INSTITUTION, "", institution.id)
        yield Record(key, _institution(institution), pointer, institution.retired)
        yield from _inside(institution, pointer)


def _responder(responder: Responder) -> dict[str, Any]:
    channels = {
        channel.id: {"kind": channel.kind, "settings": channel.settings, "rank": rank}
        for rank, channel in enumerate(responder.channels)
    }
    return {**_titles(responder.title), "manned": responder.manned, "channels": channels}


def _rota(rota: Rota) -> dict[str, Any]:
    return {
        **_titles(rota.title),
        "division": rota.division,
        "institution": rota.institution,
        "shifts": [_shift(shift) for shift in rota.shifts],
    }


def _shift(shift: Shift) -> dict[str, Any]:
    return {
        **shift.model_dump(exclude={"weekdays", "days"}),
        "responders": list(shift.responders),
        "weekdays": sorted({WEEKDAYS.index(day) for day in shift.weekdays}),
        "days": sorted({day.value for day in shift.days}),
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        **_titles(policy.title),
        "division": policy.division,
        "group": policy.group,
        "institution": policy.institution,
        "institution_types": sorted(set(policy.institution_types)),
        "signal_classes": sorted({name.value for name in policy.signal_classes}),
        "priorities": sorted({name.value for name in policy.priorities}),
        "round_every": policy.round_every,
        "max_rounds": policy.max_rounds,
        "remind_after": policy.remind_after,
        "lapse_after": policy.lapse_after,
        "steps": [_step(step) for step in policy.steps],
    }


def _step(step: PolicyStep) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in step.model_dump().items()}


def _institution(institution: Institution) -> dict[str, Any]:
    place = institution.place
    return {
        "division": institution.division,
        "type": institution.type,
        **_titles(institution.title),
        "capacity": institution.capacity,
        "latitude": None if place is None else place.latitude,
        "longitude": None if place is None else place.longitude,
        "operator": institution.operator,
        "uplink": None if institution.uplink is None else institution.uplink.model_dump(),
        "calendar": institution.calendar,
        "contacts": [{**_titles(contact.title), "phone": contact.phone} for contact in institution.contacts],
        "video": institution.video,
        "external_ids": dict(institution.external_ids),
        "filing_number": institution.filing_number,
    }


def _inside(institution: Institution, at: str) -> Iterator[Record]:
    for n, zone in enumerate(institution.zones):
        fields: dict[str, Any] = {"purpose": zone.purpose, **_titles(zone.title)}
        fields |= {"area_m2": zone.area_m2, "floor": zone.floor}
        fields |= {"entrances": sorted(set(zone.entrances)), "ages": sorted(set(zone.ages))}
        yield Record(Key(Noun.ZONE, institution.id, zone.id), fields, f"{at}/zones/{n}")
    for n, position in enumerate(institution.positions):
        on = (None, None) if position.plan is None else (position.plan.x, position.plan.y)
        fields = {"zone": position.zone, **_titles(position.title), "plan_x": on[0], "plan_y": on[1]}
        fields["sees"] = [sight.model_dump() for sight in sorted(position.sees, key=lambda sight: sight.zone)]
        yield Record(Key(Noun.POSITION, institution.id, position.id), fields, f"{at}/positions/{n}")
    for n, edge in enumerate(institution.edges):
        rules = [rule.model_dump(mode="json") for rule in edge.local_rules]
        fields = {"profile": edge.profile, "local_rules": rules, "switch": edge.switch, "powered_by": edge.powered_by}
        yield Record(Key(Noun.EDGE, institution.id, edge.id), fields, f"{at}/edges/{n}")
    for n, endpoint in enumerate(institution.endpoints):
        fields = {"driver": endpoint.driver, "edge": endpoint.edge, "settings": endpoint.settings}
        yield Record(Key(Noun.ENDPOINT, institution.id, endpoint.id), fields, f"{at}/endpoints/{n}")
    for n, device in enumerate(institution.devices):
        fields = {
            "profile": device.profile,
            "position": device.position,
            "endpoint": device.endpoint,
            "settings": device.settings,
            "dials_police": device.dials_police,
            "recorded_by": device.recorded_by,
            "switch": device.switch,
            "powered_by": device.powered_by,
        }
        yield Record(Key(Noun.DEVICE, institution.id, device.id), fields, f"{at}/devices/{n}")
