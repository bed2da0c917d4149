"""What a zone plan contradicts: entrances and views name zones of the same institution."""

from collections.abc import Iterator

from hub.core.provisioning.declaration import Declaration, at
from hub.core.provisioning.records import Key, Noun, Problem, Record


def _entrances(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.ZONE):
        for name in record.fields["entrances"]:
            if name == record.key.id:
                yield Problem(at(record, "entrances"), "a zone is no entrance to itself", "entrance")
            else:
                yield from _zone(d, record, name, "entrances")


def _views(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.POSITION):
        for n, sight in enumerate(record.fields["sees"]):
            yield from _zone(d, record, sight["zone"], "sees", n, "zone")


def _zone(d: Declaration, record: Record, name: str, *path: str | int) -> Iterator[Problem]:
    if d.fields(Key(Noun.ZONE, record.key.institution, name)) is None:
        message = f"there is no zone {name!r} in institution {record.key.institution}"
        yield Problem(at(record, *path), message, "unknown-reference")


ERRORS = (_entrances, _views)
