"""One text for one value, and back: facts and packs as they are kept."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.coverage import canonical
from hub.core.coverage.facts import (
    Arming,
    Attestation,
    Contribution,
    DeviceFact,
    InstitutionFacts,
    Interval,
    PlanState,
    RecordingFact,
    Value,
    View,
    ZoneFact,
)
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Part
from hub.core.coverage.rulebook import Packs, Rulebook
from hub.core.coverage.rules import RulePack, Verdict
from hub.core.coverage.snapshot import Snapshot, Texts, body, from_plain, items, put, snapshot, steady
from hub.core.coverage.statements import Shelf, essence, iso, micros
from hub.core.coverage.waivers import Waiver
from hub.errors import BadInput
from hub.model import AdminState, FunctionState, LinkState, to_datetime
from hub.rulepacks import load_rule_packs
from tests.core import coverage_random, coverage_stated

TIMES = st.integers(0, 2_000_000_000_000_000)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
SHARES = st.floats(0, 1e9, allow_nan=False)
VALUES = st.none() | st.floats() | st.integers(-(10**20), 10**20)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
EMPTY = InstitutionFacts("inst-1", "140403", "community_point", connected=True)
DEVICES = st.builds(
    DeviceFact,
    id=NAMES,
    kind=NAMES,
    zone=st.none() | NAMES,
    capabilities=st.frozensets(NAMES, max_size=3),
    admin_state=st.sampled_from(AdminState),
    admin_since=TIMES,
    link_state=st.sampled_from(LinkState),
    link_since=TIMES,
    function_state=st.sampled_from(FunctionState),
    function_since=TIMES,
    last_heard_at=st.none() | TIMES,
    proven=st.lists(st.tuples(NAMES, TIMES), max_size=2, unique_by=lambda one: one[0]).map(tuple),
    behind=st.lists(NAMES, max_size=2).map(tuple),
    sees=st.lists(st.builds(View, NAMES, SHARES, TIMES, st.booleans()), max_size=2, unique_by=lambda one: one.zone).map(
        tuple
    ),
    values=st.lists(st.builds(Value, NAMES, SHARES, TIMES), max_size=2, unique_by=lambda one: one.point).map(tuple),
)
FACTS = st.builds(
    InstitutionFacts,
    subject=NAMES,
    division=NAMES,
    type=NAMES,
    connected=st.booleans(),
    zones=st.lists(st.builds(ZoneFact, NAMES, NAMES, NAMES, NAMES, NAMES, st.none() | SHARES), max_size=2).map(tuple),
    devices=st.lists(DEVICES, max_size=3, unique_by=lambda one: one.id).map(tuple),
    capacity=st.none() | st.integers(0, 300),
    plan=st.none() | st.builds(PlanState, st.integers(0, 9), st.none() | TIMES, TIMES),
    recordings=st.lists(
        st.builds(RecordingFact, NAMES, NAMES, SHARES, SHARES, st.none() | TIMES, st.none() | TIMES, TIMES),
        max_size=2,
        unique_by=lambda one: (one.device, one.recorder),
    ).map(tuple),
    attestations=st.lists(
        st.builds(Attestation, NAMES, NAMES, TIMES, st.none() | TIMES), max_size=2, unique_by=lambda one: one.id
    ).map(tuple),
    intervals=st.lists(
        st.builds(Interval, NAMES, TIMES), max_size=2, unique_by=lambda one: (one.kind, one.began_at)
    ).map(tuple),
    armed_always=st.lists(
        st.builds(Arming, NAMES, NAMES, st.booleans(), TIMES),
        max_size=2,
        unique_by=lambda one: (one.device, one.signal_class),
    ).map(tuple),
)


RULES = Rulebook(load_rule_packs([data_folder("rule-packs")]))


@given(FACTS)
def test_facts_come_back_equal_from_their_text_and_have_one_text(facts: InstitutionFacts) -> None:
    kept = snapshot(facts, [Waiver("w", facts.subject, "r", 1, 2)])
    text = body(kept)
    again = from_plain(json.loads(text), "facts")
    assert again == kept
    assert body(again) == text
    texts = Texts()
    changed = replace(kept, facts=replace(facts, capacity=77, devices=facts.devices[:-1]))
    for one in (kept, again, changed, kept):
        assert texts.body(one) == canonical.text_of(one)
    shuffled = replace(facts, devices=facts.devices[::-1], attestations=facts.attestations[::-1])
    assert snapshot(shuffled, kept.waivers) == kept
    assert steady(snapshot(shuffled, kept.waivers)) == steady(kept)


def test_a_device_that_says_no_number_stops_nobody() -> None:
    for odd in (float("nan"), float("inf"), float("-inf")):
        told = body(snapshot(InstitutionFacts("i", "1", "t", True, area_m2=odd)))
        [again] = [from_plain(json.loads(told), "").facts.area_m2]
        assert str(again) == str(odd)


@settings(max_examples=25)
@given(coverage_random.facts)
def test_whatever_facts_there_are_they_are_judged_kept_and_stated_in_their_canonical_text(
    facts: InstitutionFacts,
) -> None:
    kept = snapshot(facts)
    for finding in RULES.findings(RULES.current, kept, 1_795_000_000_000_000):
        shelf = Shelf()
        said = shelf.said(finding, kept, RULES.current, 1_795_000_000_000_000)
        plain = coverage_stated.stated(finding)
        assert coverage_stated.content(shelf.statements[said.statement]) == plain
        assert shelf.statements[said.statement].text().encode() == canonical.text(plain)
        assert said.statement == canonical.digest(plain)
        assert said.essence == essence(finding) == coverage_stated.essence(finding)
    told = body(kept)
    assert body(from_plain(json.loads(told), "")) == told


@settings(max_examples=25)
@given(coverage_random.facts, st.data())
def test_a_shelf_that_has_told_much_names_everything_as_a_new_one(facts: InstitutionFacts, data: st.DataObject) -> None:
    shelf = Shelf()
    for _ in range(3):
        kept = snapshot(facts)
        for finding in RULES.findings(RULES.current, kept, 1_795_000_000_000_000):
            alone = Shelf()
            assert shelf.said(finding, kept, b"", 1) == alone.said(finding, kept, b"", 1)
            assert alone.statements.items() <= shelf.statements.items()
            assert alone.facts.items() <= shelf.facts.items()
        gone = data.draw(st.sets(st.sampled_from([one.id for one in facts.devices] or [""])))
        facts = replace(
            facts,
            devices=tuple(
                replace(one, link_state=LinkState.OFFLINE) if one.id in gone else one for one in facts.devices
            ),
        )


@given(FACTS)
def test_putting_what_already_stands_changes_nothing(facts: InstitutionFacts) -> None:
    kept = snapshot(facts)
    assert put(kept.facts, items(kept.facts).values()) == kept.facts


def test_the_shipped_packs_come_back_equal() -> None:
    packs = Packs(load_rule_packs([data_folder("rule-packs")]))
    text = canonical.text(canonical.plain(packs))
    assert canonical.read(Packs, json.loads(text)) == packs


def test_a_field_that_has_its_default_is_in_no_text() -> None:
    assert canonical.plain(ZoneFact("a", "b", "c", "d")) == {
        "id": "a",
        "purpose": "b",
        "title_zh": "c",
        "title_en": "d",
    }


@pytest.mark.parametrize(("value", "said"), [(90.0, b"90"), (0.5, b"0.5"), (1e22, b"10000000000000000000000")])
def test_a_float_has_one_text_whatever_the_database_made_of_it(value: float, said: bytes) -> None:
    assert canonical.text([value]) == b"[" + said + b"]"
    assert canonical.text(json.loads(canonical.text([value]))) == b"[" + said + b"]"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "must be an object"),
        ({"facts": {"subject": "a"}}, "facts: division is missing"),
        ({"facts": {"subject": "a", "division": "", "type": "", "connected": 1}}, "facts.connected: must be bool"),
        ({"facts": {"subject": "a", "division": "", "type": "", "connected": True, "more": 1}}, "unknown key 'more'"),
        (
            {"facts": {"subject": "a", "division": "", "type": "", "connected": True, "zones": [{}]}},
            "facts.zones[0]: id is",
        ),
    ],
)
def test_what_is_no_snapshot_is_refused_by_its_place(document: Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_plain(document, "")
    assert said in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["facts", "subject", "zones", "is", "packs", "rules"]) | NAMES, inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_document_makes_the_reader_fall_over(document: Any) -> None:
    for kind in (Snapshot, Packs, RulePack):
        try:
            canonical.read(kind, document)
        except BadInput:
            continue


@given(st.integers(-(10**15), 4 * 10**15))
def test_a_time_is_written_in_one_way_and_read_back(at: int) -> None:
    written = iso(at)
    assert micros(written) == at
    assert written == to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@given(VALUES, VALUES, TEXTS)
def test_evidence_of_any_figures_and_words_is_written_as_its_canonical_text(
    needed: float, value: float | None, word: str
) -> None:
    """What no institution has: figures that are none, whole and not, and words with everything that JSON escapes."""
    [finding, *_] = RULES.findings(RULES.current, snapshot(EMPTY), 1_795_000_000_000_000)
    devices = (DeviceEvidence(word, None, Contribution.UNKNOWN, word, 5, None, word, value, 7),)
    facts = (FactEvidence(word, word, Contribution.NONE, word, None, 3, value, word),)
    part = Part(ZoneFact(word, word, word, word), Verdict.UNKNOWN, needed or 0, 0.5, 3, devices, word, facts)
    odd = finding._replace(parts=(part, part._replace(zone=None)), sentence_zh=word, reason=word)
    shelf = Shelf()
    said = shelf.said(odd, snapshot(EMPTY), RULES.current, 1)
    assert shelf.statements[said.statement].text().encode() == canonical.text(coverage_stated.stated(odd))
    assert said.essence == coverage_stated.essence(odd)
