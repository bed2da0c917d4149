"""A manifest seen together with what the hub has: every lookup that the checks and the difference need."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from hub.core.provisioning.records import (
    INSIDE,
    Catalogue,
    Current,
    Fields,
    Finding,
    Key,
    Noun,
    Problem,
    ProfileFacts,
    Record,
)
from hub.core.reachability import Finding as ReachFinding
from hub.model import Lane

_SHOWN = 5
"""How many names a message lists before it only counts."""


def _completed(record: Record, catalogue: Catalogue) -> Record:
    """A device or edge with what its profile decides, so that a changed profile shows as a change."""
    if record.key.noun not in (Noun.DEVICE, Noun.EDGE):
        return record
    facts = catalogue.profile(record.fields["profile"])
    decided = (
        {"kind": "other", "lane": Lane.BULK.value} if facts is None else {"kind": facts.kind, "lane": facts.lane.value}
    )
    return replace(record, fields={**record.fields, **decided})


class Declaration:
    """A manifest seen together with what the hub has: every lookup that the checks need."""

    def __init__(self, declared: Sequence[Record], current: Current, catalogue: Catalogue) -> None:
        self.declared = [_completed(record, catalogue) for record in declared]
        self.current = current
        self.catalogue = catalogue
        self.records: dict[Key, Record] = {}
        for record in self.declared:
            self.records.setdefault(record.key, record)
        self.reach: tuple[list[ReachFinding], list[ReachFinding]] | None = None
        """what hub.core.reach says of the policies before and after, once it was asked"""
        self.listed = frozenset(record.key.id for record in self.of(Noun.INSTITUTION))

    def of(self, noun: Noun) -> Iterator[Record]:
        """The declared things of one kind that are not to be retired, and institutions that are."""
        for record in self.records.values():
            if record.key.noun is noun and (not record.retired or noun is Noun.INSTITUTION):
                yield record

    def fields(self, key: Key) -> Fields | None:
        """A thing as it will be, None where there will be none."""
        record = self.records.get(key)
        if record is not None:
            return None if record.retired else record.fields
        if key.noun in INSIDE and key.institution in self.listed:
            return None
        return self.current.live.get(key)

    def all_fields(self, noun: Noun) -> dict[str, Fields]:
        """All things of one kind outside institutions as they will be, by id."""
        keys = [key for key in chain(self.current.live, self.records) if key.noun is noun]
        return {key.id: fields for key in keys if (fields := self.fields(key)) is not None}

    def profile_of(self, device: Record) -> ProfileFacts | None:
        """The facts of a declared device's profile."""
        return self.catalogue.profile(device.fields["profile"])


def named(names: Iterable[str]) -> str:
    """Names for a message: the first few in order, the rest counted."""
    ordered = sorted(set(names))
    rest = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + rest


def at(record: Record, *path: str | int) -> str:
    """The JSON pointer to something within a record."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "/".join((record.pointer, *parts))


def found(findings: Iterable[Finding], record: Record, code: str, *path: str | int) -> Iterator[Problem]:
    """A catalogue\'s findings as problems below `path` of a record."""
    for finding in findings:
        yield Problem(at(record, *path, *finding.path), finding.message, code, finding.clause)
