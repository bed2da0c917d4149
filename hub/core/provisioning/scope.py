"""Whether a principal may do what a plan does: every thing has a place, and the place must lie within the scope.

Groups widen other principals' scopes, and a responder is told about alarms of many places: to change either takes a scope over everything.
"""

from collections.abc import Iterator, Mapping, Sequence

from hub.core.provisioning.difference import Change, Plan
from hub.core.provisioning.records import Current, Fields, Key, Noun, Record
from hub.core.rights import Scope

_EVERYTHING = "a scope over everything"


def beyond(scope: Scope, declared: Sequence[Record], plan: Plan, current: Current) -> Iterator[str]:
    """What the plan would do outside the scope, in words. An institution that is only listed must lie within it too: a plan shows what it has."""
    if scope.everything:
        return
    things = {**current.live, **{record.key: record.fields for record in declared}}
    entries = {key.id: fields["division"] for key, fields in things.items() if key.noun is Noun.REGISTER_ENTRY}
    for record in declared:
        if record.key.noun is Noun.INSTITUTION:
            yield from _institution(scope, record.key.id, record.fields, current)
            yield from _entry(scope, record, entries, current)
    for change in plan.changes:
        if change.key.noun is not Noun.INSTITUTION and not change.key.institution:
            yield from _outside(scope, change, current)


def _institution(scope: Scope, name: str, fields: Fields, current: Current) -> Iterator[str]:
    groups = current.groups.get(name, ())
    before = current.live.get(Key(Noun.INSTITUTION, "", name))
    places = [fields["division"]] if before is None else [before["division"], fields["division"]]
    if name in current.retired:
        places.append(current.retired[name])  # it comes back with its whole past
    if not all(scope.covers(name, place, groups) for place in places):
        yield f"institution {name!r} is not within your scope"


def _entry(scope: Scope, record: Record, entries: Mapping[str, str], current: Current) -> Iterator[str]:
    """An entry of the register is taken by an institution of its own division, or by whoever may over that division."""
    number = record.fields["filing_number"]
    before = current.live.get(record.key)
    if record.retired or number is None or number not in entries:
        return
    if before is not None and before["filing_number"] == number:
        return
    if entries[number] != record.fields["division"] and not _covers_division(scope, entries[number]):
        yield f"register_entry {number!r} is not within your scope"


def _outside(scope: Scope, change: Change, current: Current) -> Iterator[str]:
    for fields in (change.before, change.after):
        if fields is None:
            continue
        if change.key.noun is Noun.DIVISION:
            within = _covers_division(scope, change.key.id)
        elif change.key.noun is Noun.REGISTER_ENTRY:
            within = _covers_division(scope, fields["division"])
        elif change.key.noun in (Noun.POLICY, Noun.ROTA):
            within = _covers_policy(scope, fields, current)
        else:
            within = change.key.noun is Noun.RESPONDER and change.action == "create"
        if not within:
            yield f"{change.key} is not within your scope: to {change.action} it takes {_needed(change.key.noun)}"
            return


def _needed(noun: Noun) -> str:
    return _EVERYTHING if noun in (Noun.GROUP, Noun.RESPONDER) else "a scope over its place"


def _covers_division(scope: Scope, code: str) -> bool:
    return any(code.startswith(prefix) for prefix in scope.divisions)


def _covers_policy(scope: Scope, fields: Fields, current: Current) -> bool:
    if fields["institution"] is not None:
        found = current.live.get(Key(Noun.INSTITUTION, "", fields["institution"]))
        division = "" if found is None else found["division"]
        return scope.covers(fields["institution"], division, current.groups.get(fields["institution"], ()))
    if fields.get("group") is not None:
        return fields["group"] in scope.groups
    return fields["division"] is not None and _covers_division(scope, fields["division"])
