"""The requirement language as it is written: every kind is understood, and whatever else stands in a file is refused by name, never a crash."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.coverage.facts import InstitutionFacts
from hub.core.coverage.judge import check
from hub.core.coverage.requirements import DAY
from hub.core.coverage.rules import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Independent,
    Module,
    NoneIn,
    Proven,
    Requirement,
    ShareCovered,
    TimeBound,
)
from hub.errors import BadInput
from hub.rulepack_fixtures import load_fixtures, load_proven_rule_packs
from hub.rulepacks import MOST_TRIED, NOT_PACKS, load_rule_packs, parse_rule_pack, read_yaml, with_pack
from hub.rulepacks_schema import main, schema
from tests.core import coverage_random as drawn
from tests.core.coverage_city import NOW

jsonschema: Any = import_module("jsonschema")  # comes with check-jsonschema; it has no types

FOLDER = data_folder("rule-packs")
PACKS = load_rule_packs([FOLDER])
SCHEMA = schema()
VIDEO = frozenset({"video.live"})
SMOKE = frozenset({"fire.smoke"})


def written(requirement: object, **change: object) -> dict[str, Any]:
    rule = {
        "id": "r-1", "clause_id": "VID-03", "module": "video", "document": "某规范", "clause": "第一条", "force": "NORM",
        "basis": "obligation", "confidence": "V3", "effective_from": "2024-01-01", "days_to_remedy": 7,
        "title": {"zh": "标题", "en": "title"}, "requirement": requirement, **change,
    }  # fmt: skip
    return {"pack": "p", "version": "2026.11.1", "title": {"zh": "包", "en": "pack"}, "rules": [rule]}


@pytest.mark.parametrize(
    ("text", "age", "asked"),
    [
        ("at_least: {capability: fire.smoke, per: zone, zones: [office], per_m2: 60, area_above: 80}", None,
         AtLeast(SMOKE, 1, "zone", frozenset({"office"}), False, 60.0, None, 80.0)),
        ("at_least: {capability: fire.smoke, per: institution, per_children: 30}", "1d",
         AtLeast(SMOKE, 1, "institution", per_children=30)),
        ("share_covered: {capability: video.live, share: 1, zones: [office], views_within: 365d}", None,
         ShareCovered(VIDEO, 1.0, frozenset({"office"}), False, 365 * DAY)),
        ("none_in: {zones: [toilet], kinds: [camera]}", None, NoneIn(frozenset({"toilet"}), frozenset({"camera"}))),
        ("bounds: {of: recording_days, capability: video.live, min: 90, max: 120, except: legal_hold}", "2d",
         Bounds("recording_days", 90.0, 120.0, capabilities=VIDEO, hold_excepted=True)),
        ("bounds: {point: battery, kinds: [smoke_detector], min: 20}", "1d",
         Bounds("point", 20.0, None, "battery", frozenset({"smoke_detector"}))),
        ("bounds: {of: capacity, max: 5}", None, Bounds("capacity", None, 5.0)),
        ("proven: {capability: fire.smoke, within: 31d}", None, Proven(SMOKE, 31 * DAY)),
        ("attested: {kind: patrol, n: 2, each: open_day, within: 7d, seconded: true}", None,
         Attested("patrol", 7 * DAY, 2, each_open_day=True, seconded=True)),
        ("attested: {kind: sign, per: zone, where: {capability: video.live}, missing: non_compliant}", None,
         Attested("sign", None, per="zone", where=VIDEO, missing="non_compliant")),
        ("attested: {kind: extinguishers, within: 365d, value: {min: 2, per_m2: 50}}", None,
         Attested("extinguishers", 365 * DAY, min_value=2.0, value_per_m2=50.0)),
        ("documents: {kind: [filing_receipt, fire_plan], number: optional}", None,
         Documents(frozenset({"filing_receipt", "fire_plan"}), number_required=False)),
        ("always_armed: {classes: panic, must_exist: true}", None, AlwaysArmed(frozenset({"panic"}), True)),
        ("time_bound: {from: detector, to: centre, within: 10s, quantile: 0.95}", "31d",
         TimeBound("detector", "centre", 10_000_000, 0.95)),
        ("independent: {capability: fire.smoke, of: link, per: zone, zones: [office]}", None,
         Independent(SMOKE, 2, "link", "zone", frozenset({"office"}))),
    ],
)  # fmt: skip
def test_every_kind_of_requirement_is_understood(text: str, age: str | None, asked: Requirement) -> None:
    document = written(yaml.safe_load(text), **({} if age is None else {"evidence_max_age": age}))
    jsonschema.validate(document, SCHEMA)
    [rule] = parse_rule_pack(document, "p.yaml").rules
    assert rule.requirement == asked
    assert rule.module is Module.VIDEO


@pytest.mark.parametrize(
    ("text", "change", "said"),
    [
        ("{}", {}, "exactly one of at_least, share_covered"),
        ("at_least: {capability: fire.smoke, per: institution}\nproven: {capability: fire.smoke, within: 1d}", {}, "exactly one"),
        ("at_least: {capability: fire.smoke, per: floor, per_m2: 20}", {}, "per_m2: only per institution or per zone"),
        ("at_least: {capability: fire.smoke, per: zone, zones: rooms, per_children: 20}", {}, "per_children"),
        ("at_least: {capability: fire.smoke, per: institution, area_above: 20}", {}, "area_above"),
        ("at_least: {capability: fire.smoke, per: zone, zones: rooms, per_m2: .inf}", {}, "at_least.per_m2"),
        ("share_covered: {capability: video.live, share: 1.2, zones: rooms}", {}, "share_covered.share"),
        ("bounds: {point: battery, of: capacity, min: 1}", {}, "exactly one: point, or of"),
        ("bounds: {point: battery, min: 1}", {}, "evidence_max_age: bounds needs it"),
        ("bounds: {point: battery}", {"evidence_max_age": "1d"}, "min, max"),
        ("bounds: {point: battery, min: 2, max: 1}", {"evidence_max_age": "1d"}, "max: below min"),
        ("bounds: {point: battery, min: 1, except: legal_hold}", {"evidence_max_age": "1d"}, "only of recording_days"),
        ("bounds: {of: recording_days, min: 90}", {"evidence_max_age": "1d"}, "name what is recorded"),
        ("proven: {capability: fire.smoke, within: 0s}", {}, "proven.within"),
        ("attested: {kind: dance}", {}, "attested.kind"),
        ("attested: {kind: patrol, n: 2}", {}, "within: several attestations"),
        ("attested: {kind: patrol, each: open_day}", {}, "each: open_day goes with"),
        ("attested: {kind: sign, per: zone}", {}, "names zones or where"),
        ("documents: {kind: []}", {}, "documents.kind"),
        ("always_armed: {classes: [dance]}", {}, "always_armed.classes"),
        ("time_bound: {from: a, to: b, within: 1s}", {"evidence_max_age": "1d"}, "exactly one of them"),
        ("time_bound: {from: a, to: b, within: 1s, every: true}", {}, "time_bound needs it"),
        ("independent: {capability: fire.smoke, n: 1, of: link}", {}, "independent.n"),
        ("none_in: {zones: [toilet], kinds: [camera]}", {"evidence_max_age": "1d"}, "a place does not grow old"),
        ("at_least: {capability: fire.smoke, per: institution}", {"evidence_max_age": "1h"}, "not below 12h"),
        ("at_least: {capability: fire.smoke, per: institution}", {"tightens": "x", "replaces": "y"}, "not beside tightens"),
        ("at_least: {capability: fire.smoke, per: institution}", {"replaces": "y"}, "on what ground"),
        ("at_least: {capability: fire.smoke, per: institution}", {"module": "dance"}, "module"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_refused_with_file_rule_and_key(
    text: str, change: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInput, match=r"p\.yaml: rule 'r-1': rules\.0") as refused:
        parse_rule_pack(written(yaml.safe_load(text), **change), "p.yaml")
    assert said in str(refused.value)


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("pack: a\nversion: 2026.11.1\npack: b\n")
    with pytest.raises(BadInput, match=r"p\.yaml: the key 'pack' stands twice.*line 3"):
        load_rule_packs([tmp_path])


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 5_000])
def test_a_file_that_is_nested_without_end_is_refused_and_ends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"p\.yaml: nested too deep"):
        load_rule_packs([tmp_path])


def _overlay(folder: Path, requirement: object, **change: object) -> None:
    base = written({"at_least": {"capability": "fire.smoke", "n": 2, "per": "zone", "zones": ["office"]}})
    upper = written(requirement, id="r-2", tightens="r-1", **change) | {"pack": "q", "overlays": "p"}
    (folder / "p.yaml").write_text(yaml.safe_dump(base))
    (folder / "q.yaml").write_text(yaml.safe_dump(upper))


def test_an_overlay_that_loosens_an_obligation_is_refused_with_file_rule_and_key(tmp_path: Path) -> None:
    looser = {"at_least": {"capability": "fire.smoke", "n": 1, "per": "zone", "zones": ["office"]}}
    _overlay(tmp_path, looser)
    with pytest.raises(BadInput, match=r"q\.yaml: rule 'r-2': requirement\.n: looser than 'r-1': 某规范 第一条"):
        load_rule_packs([tmp_path])
    _overlay(tmp_path, {"at_least": {**looser["at_least"], "n": 3}}, days_to_remedy=30)
    with pytest.raises(BadInput, match=r"q\.yaml: rule 'r-2': days_to_remedy: looser"):
        load_rule_packs([tmp_path])
    _overlay(tmp_path, {"at_least": {**looser["at_least"], "n": 3}})
    assert [pack.overlays for pack in load_rule_packs([tmp_path])] == ["", "p"]


def test_a_hub_does_not_start_on_a_rule_that_nobody_proved(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(written({"documents": {"kind": "fire_plan"}})))
    with pytest.raises(BadInput, match="r-1: the rule has no fixtures"):
        load_proven_rule_packs([tmp_path])
    (tmp_path / "fixtures").mkdir()
    site = {"name": "x", "type": "employer", "attestations": [{"kind": "fire_plan", "number": "A"}]}
    proof = {"rule": "r-1", "day": "2026-11-21", "pass": [site], "fail": [{**site, "name": "y"}]}
    (tmp_path / "fixtures" / "r-1.yaml").write_text(yaml.safe_dump(proof))
    with pytest.raises(BadInput, match="r-1: y: compliant, not non_compliant"):
        load_proven_rule_packs([tmp_path])


def test_the_schema_is_what_the_models_say_and_holds_every_shipped_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    assert main([str(tmp_path)]) == 0
    (tmp_path / "schema.json").write_text("{}")
    assert main(["--check", str(tmp_path)]) == 1
    assert "schema.json" in capsys.readouterr().err
    shipped = [path for path in FOLDER.glob("*.yaml") if path.name not in NOT_PACKS]
    assert len(shipped) == len(PACKS)
    for path in shipped:
        jsonschema.validate(json.loads(json.dumps(yaml.safe_load(path.read_text("utf-8")), default=str)), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written({"at_least": {"colour": "red"}}), SCHEMA)


@given(
    drawn.facts,
    st.sampled_from(["1101", "140403", "330112", "51"]),
    st.sampled_from(["private", "home_point", "station_basic"]),
)
def test_no_facts_make_the_shipped_rules_raise_or_speak_of_a_waiver(
    of: InstitutionFacts, division: str, institution_type: str
) -> None:
    found = check(
        PACKS,
        InstitutionFacts(
            "i",
            division,
            institution_type,
            True,
            of.zones,
            of.devices,
            recordings=of.recordings,
            attestations=of.attestations,
            intervals=of.intervals,
            armed_always=of.armed_always,
        ),
        NOW,
    )
    assert found
    assert "waived" not in {one.verdict for one in found}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_WHERE = [
    (), ("pack",), ("version",), ("overlays",), ("title",), ("rules",), ("rules", 0), *(
        ("rules", 0, key) for key in ("id", "module", "force", "effective_from", "jurisdiction", "institution_types",
                                       "title", "evidence_max_age", "tightens", "replaces", "ground", "requirement")
    ),
    *(("rules", 0, "requirement", kind) for kind in ("at_least", "share_covered", "none_in", "bounds", "proven", "attested",
                                                      "documents", "always_armed", "time_bound", "independent")),
    *(("rules", 0, "requirement", "at_least", key) for key in ("capability", "n", "per", "zones", "per_m2", "views_within")),
]  # fmt: skip


@given(st.sampled_from(_WHERE), plain)
def test_whatever_stands_in_a_pack_it_is_read_or_refused_by_name(where: tuple[str | int, ...], given_: object) -> None:
    document: Any = written({"at_least": {"capability": "fire.smoke", "per": "zone", "zones": ["office"]}})
    if not where:
        document = given_
    else:
        place = document
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = given_
    _read_or_refused(lambda: parse_rule_pack(document, "p.yaml"))


@given(st.binary(max_size=60) | st.text("{}[]:,-&*!|>'\"#%@`?abc01 \n\t", max_size=60).map(str.encode))
def test_whatever_bytes_a_file_holds_they_are_read_or_refused_by_name(bytes_: bytes) -> None:
    path = _FOLDERS[0] / "p.yaml"
    path.write_bytes(bytes_)
    for read in (
        lambda: read_yaml(path, "rule-pack"),
        lambda: load_rule_packs([path.parent]),
        lambda: load_fixtures([path.parent.parent]),
    ):
        _read_or_refused(read)


@given(st.binary(max_size=60) | st.text("{}[]:,-&*!|>'\"#%@`?abc01 \n\t", max_size=60).map(str.encode))
def test_whatever_a_stranger_sends_as_a_pack_is_read_or_refused_by_name(sent: bytes) -> None:
    _read_or_refused(lambda: with_pack((), sent, "p.yaml"))


def test_a_pack_that_is_tried_stands_in_for_the_one_of_its_name_and_is_held_to_what_ours_are() -> None:
    own = load_rule_packs([data_folder("rule-packs")])
    text = (data_folder("rule-packs") / "changzhi-2024.yaml").read_text("utf-8")
    tried, packs = with_pack(own, text.encode())
    assert (tried, packs) == (next(one for one in own if one.id == tried.id), own)
    _, more = with_pack(
        own, text.replace("pack: changzhi-2024", "pack: mine").replace("id: changzhi", "id: mine").encode()
    )
    assert len(more) == len(own) + 1
    for wrong, said in (
        (text.replace("pack: changzhi-2024", "pack: mine"), "stands in the hub's pack changzhi-2024 too"),
        (text.replace("days_to_remedy: ", "days_to_remedy: -"), "days_to_remedy"),
        (text + "\nzz: &a [1]\ny: *a\n", "no alias is taken here, line"),
        ("x" * (MOST_TRIED + 1), "at most"),
        ("\udcff", "utf-8"),
    ):
        with pytest.raises(BadInput, match=said) as refused:
            with_pack(own, wrong.encode("utf-8", "surrogateescape"), "mine.yaml")
        assert refused.value.where.startswith(("mine.yaml", "the hub's pack"))


_FOLDERS: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("packs") / "fixtures"
    folder.mkdir()
    _FOLDERS[:] = [folder]


def _read_or_refused(read: Callable[[], object]) -> None:
    """Any other exception fails the test."""
    try:
        read()
    except BadInput as error:
        refused = str(error)
    else:
        refused = "p.yaml"
    assert "p.yaml" in refused
