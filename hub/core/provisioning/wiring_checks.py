"""What devices and edges hang on: switches and power feeds, which may be devices of the institution or plain names."""

from collections.abc import Iterator

from hub.core.provisioning.declaration import Declaration, at, named
from hub.core.provisioning.records import Fields, Key, Noun, Problem, Record
from hub.profiles import Kind

_MAY_BE = {
    "switch": frozenset({Kind.NETWORK_SWITCH}),
    "powered_by": frozenset({Kind.UPS, Kind.BREAKER, Kind.NETWORK_SWITCH, Kind.OTHER}),
}
"""which kinds of devices carry others: a switch powers by its own cables (PoE), a meter or relay of any make may watch a circuit"""
_WORDS = {"switch": "a switch", "powered_by": "a power feed"}


def _hanging(d: Declaration) -> Iterator[tuple[Record, str, str]]:
    for noun in (Noun.EDGE, Noun.DEVICE):
        for record in d.of(noun):
            for field in _MAY_BE:
                name = record.fields[field]
                if name is not None:
                    yield record, field, name


def _thing(d: Declaration, institution: str, name: str) -> Fields | None:
    """The device or edge of that name."""
    found = d.fields(Key(Noun.DEVICE, institution, name))
    return d.fields(Key(Noun.EDGE, institution, name)) if found is None else found


def _not_what_carries(d: Declaration) -> Iterator[Problem]:
    for record, field, name in _hanging(d):
        thing = _thing(d, record.key.institution, name)
        if thing is not None and name != record.key.id and thing["kind"] not in _MAY_BE[field]:
            kinds = ", ".join(sorted(_MAY_BE[field]))
            yield Problem(
                at(record, field),
                f"{name!r} is of the kind {thing['kind']}: {_WORDS[field]} is one of {kinds}",
                "wiring",
            )


def _circles(d: Declaration) -> Iterator[Problem]:
    for record, field, name in _hanging(d):
        trail = [record.key.id]
        above: str | None = name
        while above is not None and above not in trail:
            trail.append(above)
            thing = _thing(d, record.key.institution, above)
            above = None if thing is None else thing[field]
        if above == record.key.id:
            way = " → ".join((*trail, record.key.id))
            yield Problem(at(record, field), f"it hangs on itself: {way}", "circle")


def _plain_names(d: Declaration) -> Iterator[Problem]:
    found: dict[tuple[str, str, str], list[Record]] = {}
    for record, field, name in _hanging(d):
        if _thing(d, record.key.institution, name) is None:
            found.setdefault((record.key.institution, field, name), []).append(record)
    for (_, field, name), records in found.items():
        hang = named(record.key.id for record in records)
        reason = f"there is no device {name!r}: taken as {_WORDS[field]} of which nothing is read, for {hang}"
        yield Problem(at(records[0], field), reason, "unwatched")


ERRORS = (_not_what_carries, _circles)
WARNINGS = (_plain_names,)
