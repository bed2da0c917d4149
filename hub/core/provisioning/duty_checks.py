"""Who is told, as a manifest would leave it: responders, rotas and policies that hold, and alarms that would reach nobody.

What is judged for reach is the hub as it will be, from the moment of the plan for a year ahead; a manifest is refused for the policies that it
saves, and for every other policy that it would make worse.
"""

from collections.abc import Iterator, Mapping, Sequence

from hub.core.escalation import Policy, check_policy, covers, uncovered
from hub.core.provisioning.declaration import Declaration, at, found, named
from hub.core.provisioning.records import Fields, Guarded, Key, Noun, Problem, policy_of, rota_of
from hub.core.reach import Way
from hub.core.reachability import HORIZON, Duty, Finding, Person, check, worse
from hub.core.rota import check_rota
from hub.errors import BadInput
from hub.model import LIFE_SAFETY, SECOND, Priority, SignalClass

_DUTY = (Noun.RESPONDER, Noun.ROTA, Noun.POLICY)
_FIRST_WORD = 60 * SECOND
OWN_RESPONDERS = frozenset({"canary", "proof-sink"})
"""where canaries and proofs end: nobody; the store shows them to no plan"""


def _responders_and_policies(d: Declaration) -> Iterator[Problem]:
    for record in d.of(Noun.RESPONDER):
        if record.key.id in OWN_RESPONDERS:
            yield Problem(at(record, "id"), f"{record.key.id!r} is the hub's own", "reserved")
        for n, channel in enumerate(record.fields["channels"].values()):
            findings = d.catalogue.channel_findings(channel["kind"], channel["settings"])
            yield from found(findings, record, "settings", "channels", n)
    for record in d.of(Noun.ROTA):
        try:
            check_rota(rota_of(record.key.id, record.fields))
        except BadInput as error:
            yield Problem(at(record, *error.where.partition(": ")[2].split(".")), error.reason, "rota")
    for record in d.of(Noun.POLICY):
        try:
            check_policy(policy_of(record.key.id, record.fields))
        except BadInput as error:
            path = error.where.partition(": ")[2].split(".")
            if path[0] == "steps" and len(path) > 1:
                path[1] = str(int(path[1]) - 1)  # the core counts steps from 1, a pointer from 0
            yield Problem(at(record, *path), error.reason, "policy")
    yield from _steps_to_nobody(d)
    yield from _sirens_for_more_than_fire(d)
    yield from _turns_of_nobody(d)


def _steps_to_nobody(d: Declaration) -> Iterator[Problem]:
    responders, rotas = d.all_fields(Noun.RESPONDER), d.all_fields(Noun.ROTA)
    for policy_id, fields in d.all_fields(Noun.POLICY).items():
        record = d.records.get(Key(Noun.POLICY, "", policy_id))
        said: set[tuple[str, str, str]] = set()
        for n, step in enumerate(fields["steps"]):
            wrong = _wrong_target(step, responders, rotas)
            if wrong is None:
                continue
            message, key = wrong
            if record is not None:
                yield Problem(at(record, "steps", n, key), message, "unknown-reference")
                continue
            noun, name = (Noun.ROTA, step["rota"]) if key == "rota" else (Noun.RESPONDER, step["responder"])
            cause = d.records.get(Key(noun, "", name))
            if cause is not None and (noun, name, key) not in said:  # an existing policy would lose the one it tells
                said.add((noun, name, key))
                yield Problem(cause.pointer, f"policy {policy_id!r} still names it: {message}", "in-use")


def _sirens_for_more_than_fire(d: Declaration) -> Iterator[Problem]:
    """A siren tells an intruder that help was called: the policy that names one is for fire and for nothing else."""
    responders = d.all_fields(Noun.RESPONDER)
    for policy_id, fields in d.all_fields(Noun.POLICY).items():
        if fields["signal_classes"] == [SignalClass.FIRE.value]:
            continue
        for n, step in enumerate(fields["steps"]):
            channels = responders.get(step["responder"] or "", {}).get("channels", {})
            if channels.get(step["channel"], {}).get("kind") != "siren":
                continue
            message = "a siren sounds for fire alone: give fire a policy of its own"
            record = d.records.get(Key(Noun.POLICY, "", policy_id))
            cause = d.records.get(Key(Noun.RESPONDER, "", step["responder"])) if record is None else None
            if record is not None:
                yield Problem(at(record, "steps", n, "channel"), message, "siren")
            elif cause is not None:  # a channel that a policy names becomes a siren
                yield Problem(cause.pointer, f"policy {policy_id!r} names it: {message}", "siren")


def _wrong_target(
    step: Fields, responders: Mapping[str, Fields], rotas: Mapping[str, Fields]
) -> tuple[str, str] | None:
    """What a step names that will not be there, and its key."""
    if step["rota"]:
        return None if step["rota"] in rotas else (f"there is no rota {step['rota']!r}", "rota")
    if not step["responder"]:
        return None  # said by check_policy
    responder = responders.get(step["responder"])
    if responder is None:
        return f"there is no responder {step['responder']!r}", "responder"
    if step["channel"] and step["channel"] not in responder["channels"]:
        return f"responder {step['responder']!r} has no channel {step['channel']!r}", "channel"
    return None


def _turns_of_nobody(d: Declaration) -> Iterator[Problem]:
    responders = d.all_fields(Noun.RESPONDER)
    for rota_id, fields in d.all_fields(Noun.ROTA).items():
        record = d.records.get(Key(Noun.ROTA, "", rota_id))
        for n, shift in enumerate(fields["shifts"]):
            for m, name in enumerate(shift["responders"]):
                if name in responders:
                    continue
                if record is not None:
                    pointer = at(record, "shifts", n, "responders", m)
                    yield Problem(pointer, f"there is no responder {name!r}", "unknown-reference")
                elif (cause := d.records.get(Key(Noun.RESPONDER, "", name))) is not None:
                    yield Problem(cause.pointer, f"rota {rota_id!r} still names it", "in-use")


def _duty_of(d: Declaration, things: Mapping[Noun, Mapping[str, Fields]]) -> Duty:
    people = {
        name: Person(
            tuple(
                Way(channel, given["kind"])
                for channel, given in sorted(fields["channels"].items(), key=lambda item: (item[1]["rank"], item[0]))
            ),
            fields["manned"],
        )
        for name, fields in things[Noun.RESPONDER].items()
    }
    overrides = d.current.overrides
    rotas = {name: rota_of(name, fields, overrides.get(name, ())) for name, fields in things[Noun.ROTA].items()}
    policies = tuple(policy_of(name, fields) for name, fields in sorted(things[Noun.POLICY].items()))
    return Duty(policies, rotas, people, d.current.calendar)


def _findings(d: Declaration) -> tuple[list[Finding], list[Finding]]:
    """What is wrong with the hub's policies before and after this manifest; nothing where it is not about them or contradicts itself."""
    if d.reach is None:
        d.reach = _judge(d)
    return d.reach


def _judge(d: Declaration) -> tuple[list[Finding], list[Finding]]:
    if not any(record.key.noun in _DUTY for record in d.declared) or any(_responders_and_policies(d)):
        return [], []
    live = d.current.live
    before = {noun: {key.id: fields for key, fields in live.items() if key.noun is noun} for noun in _DUTY}
    start, end = d.current.at, d.current.at + HORIZON
    found_before = list(check(_duty_of(d, before), (), start, end))
    return found_before, list(check(_duty_of(d, {noun: d.all_fields(noun) for noun in _DUTY}), (), start, end))


def _unreached(d: Declaration) -> Iterator[Problem]:
    """A policy that is saved must reach somebody at every hour; one that is not must not become worse."""
    before, after = _findings(d)
    made_worse = worse(after, before)
    for finding in after:
        if finding.severity != "error":
            continue
        key = Key(Noun.POLICY, "", finding.policy)
        record = d.records.get(key)
        if record is not None and d.current.live.get(key) != record.fields:
            yield Problem(record.pointer, finding.en, finding.code)
        elif finding in made_worse:
            yield Problem(_cause(d, finding.policy) if record is None else record.pointer, finding.en, finding.code)


def _cause(d: Declaration, policy: str) -> str:
    """Where the manifest changes somebody or something that the policy's steps name; the whole manifest where that cannot be told."""
    fields = d.fields(Key(Noun.POLICY, "", policy))
    steps = [] if fields is None else fields["steps"]
    for step in steps:
        for key in (Key(Noun.ROTA, "", step["rota"]), Key(Noun.RESPONDER, "", step["responder"])):
            if key in d.records:
                return d.records[key].pointer
    for noun in (Noun.ROTA, Noun.RESPONDER):
        for record in d.records.values():
            if record.key.noun is noun:
                return record.pointer
    return ""


def _nobody_would_be_told(d: Declaration) -> Iterator[Problem]:
    """An institution whose fire or panic alarms no policy covers is refused: they would reach nobody."""
    policies = [policy_of(name, fields) for name, fields in d.all_fields(Noun.POLICY).items()]
    alarms: dict[str, list[tuple[str, SignalClass, Priority]]] = {}
    for record in d.of(Noun.DEVICE):
        profile = d.profile_of(record)
        if profile is not None:
            rows = alarms.setdefault(record.key.institution, [])
            rows.extend((record.key.id, signal_class, priority) for signal_class, priority in profile.alarms)
    groups = _groups(d, d.current.groups)
    for institution in d.of(Noun.INSTITUTION):
        if institution.retired:
            continue
        division = institution.fields["division"]
        place = (institution.fields["type"], groups.get(institution.key.id, ()))
        missing = uncovered(policies, institution.key.id, division, alarms.get(institution.key.id, ()), *place)
        for signal_class in sorted({row.signal_class for row in missing}):
            devices = named(row.device for row in missing if row.signal_class is signal_class)
            message = f"no escalation policy covers {signal_class.value} alarms here (devices: {devices})"
            yield Problem(institution.pointer, message, "uncovered")
    yield from _others_lose_their_policy(d, policies)


def _groups(d: Declaration, before: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Groups of institutions as they will be, where `before` says those of now."""
    declared = {record.key.id: frozenset(record.fields["institutions"]) for record in d.of(Noun.GROUP)}
    groups = {name: {group for group in of if group not in declared} for name, of in before.items()}
    for group, members in declared.items():
        for name in members:
            groups.setdefault(name, set()).add(group)
    return {name: tuple(sorted(of)) for name, of in groups.items()}


def _others_lose_their_policy(d: Declaration, policies: Sequence[Policy]) -> Iterator[Problem]:
    before = [policy_of(key.id, fields) for key, fields in d.current.live.items() if key.noun is Noun.POLICY]
    guarded = {name: Guarded(*facts) for name, facts in d.current.guarded.items()}
    groups = _groups(d, {name: facts.groups for name, facts in guarded.items()})
    for institution, facts in sorted(guarded.items()):
        profiles = [profile for name in facts.profiles if (profile := d.catalogue.profile(name)) is not None]
        kinds = {alarm for profile in profiles for alarm in profile.alarms if alarm[0] in LIFE_SAFETY}
        for alarm in sorted(kinds):
            place = (institution, facts.division, *alarm, facts.type)
            used = covers(before, *place, facts.groups)
            if used is None or covers(policies, *place, groups.get(institution, ())) is not None:
                continue
            cause = d.records.get(Key(Noun.POLICY, "", used.id)) or d.records.get(Key(Noun.GROUP, "", used.group or ""))
            message = f"{alarm[0].value} alarms of institution {institution!r} would be covered by no policy"
            yield Problem("" if cause is None else cause.pointer, message, "uncovered")


def _falls_silent(d: Declaration) -> Iterator[Problem]:
    """A policy for fire or panic that begins late, or ends while nobody has answered."""
    for record in d.of(Noun.POLICY):
        classes = [name.value for name in sorted(LIFE_SAFETY) if name.value in record.fields["signal_classes"]]
        delays = [step["delay"] for step in record.fields["steps"]]
        if record.retired or not classes or not delays:
            continue
        what = " or ".join(classes)
        rounds = record.fields["max_rounds"]
        if rounds is not None:
            message = f"after {rounds} rounds nobody is told any more of a {what} alarm that nobody has acknowledged"
            yield Problem(at(record, "max_rounds"), message, "falls-silent")
        if min(delays) > _FIRST_WORD:
            message = f"of a {what} alarm nobody is told in the first {min(delays) // SECOND} seconds"
            yield Problem(at(record, "steps"), message, "late")


def _unknown_years(d: Declaration) -> Iterator[Problem]:
    """Years of the horizon whose days off nobody has imported, where a rota goes by them; and what an unchanged policy lacked before."""
    before, after = _findings(d)
    refused = worse(after, before)
    for finding in after:
        key = Key(Noun.POLICY, "", finding.policy)
        record = d.records.get(key)
        unchanged = record is None or d.current.live.get(key) == record.fields
        if finding.severity == "warning" or finding.code == "calendar" or (unchanged and finding not in refused):
            yield Problem("" if record is None else record.pointer, finding.en, finding.code)


ERRORS = (_responders_and_policies, _nobody_would_be_told, _unreached)
WARNINGS = (_falls_silent, _unknown_years)
