"""The plan itself: what would be created, changed and retired, in the order in which it can be done.

Applying a plan's changes and planning again gives no change; the order of things in a manifest does not matter.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from hub.core.provisioning.checks import errors_of, warnings_of
from hub.core.provisioning.declaration import Declaration
from hub.core.provisioning.records import INSIDE, ORDER, Catalogue, Current, Fields, Key, Noun, Problem, Record

Action = Literal["retire", "create", "change"]
# what is retired makes room first; a thing is retired before what it lies in
_PHASE: Mapping[Action, int] = {"retire": 0, "create": 1, "change": 1}


class Change(NamedTuple):
    """One thing that would be different. `before` is None for a new thing, `after` for one that is retired."""

    action: Action
    key: Key
    before: Fields | None
    after: Fields | None
    pointer: str

    @property
    def differing(self) -> tuple[str, ...]:
        """Names of the fields that differ, in order."""
        before, after = self.before or {}, self.after or {}
        return tuple(name for name in (after or before) if before.get(name) != after.get(name))


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a manifest would do. With any error nothing is applied."""

    changes: tuple[Change, ...]
    warnings: tuple[Problem, ...]
    errors: tuple[Problem, ...]


def plan(declared: Sequence[Record], current: Current, catalogue: Catalogue) -> Plan:
    """Compare what is declared with what is; total over any input that has the right shape."""
    declaration = Declaration(declared, current, catalogue)
    changes = sorted((*_declared_changes(declaration), *_omitted(declaration)), key=_in_order)
    return Plan(tuple(changes), tuple(warnings_of(declaration)), tuple(errors_of(declaration)))


def _in_order(change: Change) -> tuple[int, int, Key]:
    order = ORDER[change.key.noun]
    return _PHASE[change.action], -order if change.action == "retire" else order, change.key


def _declared_changes(declaration: Declaration) -> Iterable[Change]:
    for key, record in declaration.records.items():
        before = declaration.current.live.get(key)
        if record.retired:
            if before is not None:
                yield Change("retire", key, before, None, record.pointer)
        elif before is None:
            yield Change("create", key, None, record.fields, record.pointer)
        elif before != record.fields:
            yield Change("change", key, before, record.fields, record.pointer)


def _omitted(declaration: Declaration) -> Iterable[Change]:
    for key, before in declaration.current.live.items():
        if key.noun in INSIDE and key.institution in declaration.listed and key not in declaration.records:
            pointer = declaration.records[Key(Noun.INSTITUTION, "", key.institution)].pointer
            yield Change("retire", key, before, None, pointer)


def digest(changes: Iterable[Change]) -> str:
    """A name for exactly these changes (hex): the same for every order of the manifest, another when the hub has moved."""
    rows = [(change.action, change.key, change.before, change.after) for change in changes]
    return hashlib.sha256(json.dumps(rows, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:32]


def applied(current: Current, changes: Iterable[Change]) -> Current:
    """What the hub has after these changes: the model that the store is held to."""
    live = dict(current.live)
    owners = dict(current.owners)
    external = dict(current.external)
    for change in changes:
        if change.after is None:
            del live[change.key]
        else:
            live[change.key] = change.after
            if change.key.noun in (Noun.DEVICE, Noun.EDGE):
                owners[change.key.id] = change.key.institution
        if change.key.noun is Noun.INSTITUTION:
            external = {name: owner for name, owner in external.items() if owner != change.key.id}
            if change.after is not None:
                external.update(dict.fromkeys(change.after["external_ids"].items(), change.key.id))
    return replace(current, live=live, owners=owners, external=external)
